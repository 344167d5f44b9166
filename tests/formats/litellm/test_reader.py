"""Bodies to payloads: three log formats, and what is no payload told apart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.errors import DecodeError
from genai_collector.formats import litellm
from genai_collector.formats.litellm import Refused
from tests.formats.litellm.material import load, one, raw

CHAT = one("chat")
LINE = litellm.dump(CHAT)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (LINE, 1),
        (b"[" + LINE + b"," + LINE + b"]", 2),
        (LINE + b"\n" + LINE, 2),
        (LINE + b"\r\n\r\n" + LINE + b"\r\n", 2),
        (b"\xef\xbb\xbf" + json.dumps([CHAT], indent=2).encode(), 1),
        (json.dumps(CHAT, indent=2).encode(), 1),
        (b"", 0),
        (b" \n ", 0),
        (b"[]", 0),
    ],
)
def test_forms(data: bytes, count: int) -> None:
    """An object, an array, lines; pretty-printed, with a byte order mark, empty."""
    assert litellm.parse(data) == [CHAT] * count


def test_recorded_lines() -> None:
    """LiteLLM's own lines, without a newline at the end."""
    assert not raw("mixed.ndjson").endswith(b"\n")
    assert len(load("mixed.ndjson")) == 3


def test_each_element_is_judged_by_itself() -> None:
    """The good ones are taken; the others are named with their place and reason."""
    broken = b'{"id": "1", "model": '
    parsed = litellm.parse_each(b"\n".join([LINE, broken, b"5", b'{"a":1}', LINE]))
    assert [place for place, _ in parsed.payloads] == [0, 4]
    assert [place for place, _ in parsed.refused] == [1, 2, 3]
    assert "column" in parsed.refused[0].error
    assert parsed.refused[1] == Refused(2, "not an object")
    assert "not a StandardLoggingPayload" in parsed.refused[2].error
    parsed = litellm.parse_each(b"[null," + LINE + b"]")
    assert (len(parsed.payloads), parsed.refused) == (1, [Refused(0, "not an object")])


def test_a_damaged_first_line() -> None:
    """Lines stay lines when it is the first one that is damaged."""
    parsed = litellm.parse_each(LINE[:-5] + b"\n" + LINE)
    assert [place for place, _ in parsed.payloads] == [1]
    assert [place for place, _ in parsed.refused] == [0]


def test_the_old_payload_is_named() -> None:
    """Who still sends the payload of texts is told what to change."""
    old = {"id": "1", "call_type": "completion", "modelParameters": "{}", "model": "m", "cost": "0"}
    with pytest.raises(DecodeError, match=r"record 0: .*generic_api_use_v1"):
        litellm.parse(json.dumps(old).encode())


@pytest.mark.parametrize("data", [b"{", b"nonsense", b"5", b'"text"', b"null", b"\xff\xfe", b"[1,"])
def test_no_payloads_at_all(data: bytes) -> None:
    """What has no elements is refused as a whole."""
    with pytest.raises(DecodeError):
        litellm.parse_each(data)


def test_a_damaged_document_is_not_lines() -> None:
    """A pretty-printed body that breaks off is one fault, at its line and column."""
    data = json.dumps([CHAT, CHAT], indent=2).encode()[:-40]
    with pytest.raises(DecodeError, match=r"line [0-9]{2,} column"):
        litellm.parse_each(data)


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=20).map(lambda cut: LINE + cut)))
@settings(max_examples=200, deadline=None)
def test_any_bytes(data: bytes) -> None:
    """Whatever arrives: payloads, refusals, or DecodeError."""
    try:
        parsed = litellm.parse_each(data)
    except DecodeError:
        return
    litellm.decode_payloads(payload for _, payload in parsed.payloads)
