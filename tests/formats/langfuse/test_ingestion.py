"""Request bodies, judged event by event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.errors import DecodeError
from genai_collector.formats.langfuse import parse_ingestion
from tests.formats.langfuse.making import without_absent
from tests.support.captures import shared


def event(key: object, kind: str = "span-create", **body: object) -> dict[str, Any]:
    return {"id": key, "type": kind, "timestamp": "2025-01-01T00:00:00Z", "body": body}


def dumped(*events: object, **more: object) -> bytes:
    return json.dumps({"batch": list(events), **more}).encode()


def test_golden_cases() -> None:
    """Alone or in one batch, every recorded event is judged and parsed as the server did."""
    lines = shared("golden/ingestion_schema.jsonl").read_text().splitlines()
    cases = [json.loads(line) for line in lines]
    assert len(cases) >= 48
    whole = parse_ingestion(dumped(*(case["event"] for case in cases)))
    accepted = [case["parsed"] for case in cases if case["accepted"]]
    assert [without_absent(one) for one in whole.events] == [
        without_absent(one) for one in accepted
    ]
    assert len(whole.refused) == len(cases) - len(accepted)
    for case in cases:
        alone = parse_ingestion(dumped(case["event"]))
        assert bool(alone.events) == case["accepted"], case["case"]


def test_refused_issues_name_the_place() -> None:
    """What is said of a refused event begins with the path that the server names."""
    lines = shared("golden/ingestion_schema.jsonl").read_text().splitlines()
    for case in map(json.loads, lines):
        if case["accepted"] or len(case["issues"][0]["path"]) > 3:
            continue
        [error] = parse_ingestion(dumped(case["event"])).refused
        path = ".".join(case["issues"][0]["path"])
        assert error.error.startswith(path), (case["case"], error.error)


def test_answer() -> None:
    """The 207 lists accepted events and refused ones; SDK logs are in neither list."""
    judged = parse_ingestion(
        dumped(event("a", id="x"), event("b"), event("c", "sdk-log", log=1), event(5, id="x"), 7)
    )
    assert judged.answer()["successes"] == [{"id": "a", "status": 201}]
    errors = [error.as_json() for error in judged.refused]
    assert judged.answer()["errors"] == errors
    assert [(error["id"], error["status"]) for error in errors] == [
        ("b", 400), ("unknown", 400), ("unknown", 400),
    ]  # fmt: skip


def test_metadata() -> None:
    """What the SDK says of itself is kept if it is an object, and ignored otherwise."""
    assert parse_ingestion(dumped(metadata={"sdk_name": "x"})).metadata == {"sdk_name": "x"}
    assert parse_ingestion(dumped(metadata=[1])).metadata == {}


def test_scores_only() -> None:
    """Who may only send scores is refused everything else, event by event."""
    score = event("s", "score-create", name="n", value=1, traceId="t")
    judged = parse_ingestion(dumped(event("a", id="x"), score), scores_only=True)
    assert [one["id"] for one in judged.events] == ["s"]
    [error] = judged.refused
    assert (error.status, error.message) == (401, "Authentication error")


@pytest.mark.parametrize(
    "data", [b"", b"x", b"null", b"[]", b"{}", b'{"batch":1}', b'{"batch":null}', b"\xff\xfe"]
)
def test_no_batch(data: bytes) -> None:
    """A body that is no batch is refused as a whole."""
    with pytest.raises(DecodeError):
        parse_ingestion(data)


def test_deep_events_cost_only_themselves() -> None:
    """One event nested absurdly deep does not cost the others."""
    deep: object = 1
    for _ in range(300):
        deep = [deep]
    judged = parse_ingestion(dumped(event("deep", id="d", input=deep), event("a", id="a")))
    assert [one["id"] for one in judged.events] == ["a"]
    assert [error.id for error in judged.refused] == ["deep"]


def test_half_characters() -> None:
    """Half a character, which nobody can store, is replaced, in keys too; whole ones stay."""
    data = (
        b'{"batch":[{"id":"e","type":"span-create","timestamp":"2025-01-01T00:00:00Z",'
        b'"body":{"id":"x","input":"a\\ud800b \\ud83d\\ude00","metadata":{"\\udc00":1}}}]}'
    )
    [one] = parse_ingestion(data).events
    body = one["body"]
    assert isinstance(body, dict)
    assert body["input"] == "a\ufffdb \U0001f600"
    assert body["metadata"] == {"\ufffd": 1}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_JSON | st.builds(event, st.text(), body=_JSON), max_size=5))
def test_every_event_is_judged(events: list[object]) -> None:
    """Whatever is in a batch, each entry is either an event or an error."""
    judged = parse_ingestion(json.dumps({"batch": events}).encode())
    assert len(judged.events) + len(judged.refused) == len(events)
