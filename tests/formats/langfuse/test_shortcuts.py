"""What has a short way for the common case gives what the long way gives."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.formats.langfuse import parse_event
from genai_collector.formats.langfuse.instants import _any_time_ns, plain_instant, time_ns
from genai_collector.formats.langfuse.merge import fold_one
from genai_collector.formats.langfuse.schema_values import _DATETIME, is_datetime
from genai_collector.formats.langfuse.span_attributes import usage_attributes
from genai_collector.formats.langfuse.span_values import json_text
from genai_collector.formats.langfuse.values import iso_from_ms, js_number, js_text

JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(max_size=4), inside),
    max_leaves=12,
)  # fmt: skip
TEXTS = (
    "2025-06-01T12:00:00.123Z",
    "2025-06-01T12:00:00.123456Z",
    "1969-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00.000Z",
)


@settings(max_examples=200, deadline=None)
@given(st.datetimes(), st.sampled_from(["milliseconds", "microseconds"]))
def test_plain_times_are_those_of_the_pattern(moment: Any, precision: str) -> None:
    """The SDKs' own forms are read as the pattern reads them."""
    text = moment.isoformat(timespec=precision) + "Z"
    assert plain_instant(text) is not None
    assert time_ns(text) == _any_time_ns(text)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("at", range(27))
def test_plain_times_accept_no_more_than_the_pattern(text: str, at: int) -> None:
    """With any character replaced, a time is valid exactly where the pattern says so."""
    for other in (*"0369-:.,TWZ+ ٣", "24"):
        changed = text[:at] + other + text[at + len(other) :]
        if plain_instant(changed) is not None:
            assert _DATETIME.fullmatch(changed), changed
            assert changed.isascii()
            assert time_ns(changed) == _any_time_ns(changed)


def test_the_day_has_no_hour_24() -> None:
    """Newer Pythons read it; Langfuse's schema does not."""
    assert not is_datetime("2025-06-01T24:00:00.000Z")


@settings(max_examples=200, deadline=None)
@given(JSONS)
def test_json_text_is_javascripts(value: Any) -> None:
    """Whether floats are looked for or not, the text is what JSON.stringify would write."""
    assert json_text(value) == js_text(value)


@pytest.mark.parametrize("value", [1.0, [1e21], {"a": [{"b": 3.5e-05}]}, "at 1.0, 3e7", ["2.0]"]])
def test_floats_are_found_wherever_they_are(value: Any) -> None:
    """Whole floats and exponents are written as JavaScript writes them; text stays text."""
    assert json_text(value) == js_text(value)
    assert orjson.loads(json_text(value)) == value


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_have_the_digits_of_repr(value: float) -> None:
    """Whoever finds the digits, they are the fewest that give the number again."""
    shown = js_number(value)
    assert float(shown) == value
    assert Decimal(shown) == Decimal(repr(value))
    assert ("e" in shown) == (value != 0 and not 1e-6 <= abs(value) < 1e21)


@settings(max_examples=200, deadline=None)
@given(st.integers(-(10**15), 10**15))
def test_instants_are_those_of_the_calendar(milliseconds: int) -> None:
    """Put together from tables, a time is the calendar's, within the years 1970 to 9999."""
    seconds, fraction = divmod(milliseconds, 1000)
    moment = datetime.fromtimestamp(min(max(seconds, 0), 253_402_300_799), UTC)
    assert iso_from_ms(milliseconds) == f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:03d}Z"


def test_the_first_fault_by_the_schemas_order_is_told() -> None:
    """However the body is ordered, its issue is that of the field the schema names first."""
    body = {"level": "no", "metadata": 1, "name": 2, "startTime": "never", "id": "x"}
    event: dict[str, Any] = {"id": "e", "timestamp": TEXTS[0], "type": "span-create", "body": body}
    expected = ["body.name: Invalid input: expected string"]
    assert parse_event(event).issues == expected
    event["body"] = dict(reversed(body.items()))
    assert parse_event(event).issues == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input": 3, "output": 4, "total": 7}, {"input": 3, "output": 4}),
        ({"input": 3}, {"input": 3}),
        ({"total": 7}, {}),
        ({"input": -1, "output": True}, {}),
        ({}, {}),
    ],
)
def test_plain_usage(usage: Any, expected: dict[str, int]) -> None:
    """Input and output alone need no sums; what is no count is left out."""
    found = usage_attributes(usage)
    assert found == {f"gen_ai.usage.{side}_tokens": count for side, count in expected.items()}


def test_an_empty_text_says_less_than_a_later_one() -> None:
    """Only a text with something in it is taken without looking at its rule."""
    event: dict[str, Any] = {"id": "e", "timestamp": TEXTS[0], "type": "trace-create"}
    first = parse_event({**event, "body": {"id": "t", "input": "", "name": ""}}).event
    second = parse_event({**event, "id": "f", "timestamp": TEXTS[3], "body": {
        "id": "t", "input": "asked", "name": "n", "output": ""}}).event  # fmt: skip
    assert first is not None
    assert second is not None
    record = fold_one([first, second])
    assert record is not None
    assert (record.body["input"], record.body["name"]) == ("asked", "n")
    assert "output" not in record.body


@pytest.mark.parametrize(
    ("start", "end", "kept"),
    [
        (TEXTS[0], "2025-06-01T12:00:00.124Z", "2025-06-01T12:00:00.124Z"),
        (TEXTS[0], "2025-06-01T12:00:00.122Z", TEXTS[0]),
        (TEXTS[1], "2025-06-01T12:00:00.123Z", TEXTS[1]),
        (TEXTS[0], "2025-06-01T12:00:00.123456Z", "2025-06-01T12:00:00.123456Z"),
        ("2025-06-01T12:00:00+02:00", "2025-06-01T11:00:00Z", "2025-06-01T11:00:00Z"),
    ],
)
def test_no_end_before_the_start(start: str, end: str, kept: str) -> None:
    """Times of one form are compared as text, others as instants, with one result."""
    body = {"id": "o", "traceId": "t", "startTime": start, "endTime": end}
    event: dict[str, Any] = {"id": "e", "timestamp": TEXTS[0], "type": "span-create", "body": body}
    parsed = parse_event(event).event
    assert parsed is not None
    record = fold_one([parsed])
    assert record is not None
    assert record.body["endTime"] == kept
