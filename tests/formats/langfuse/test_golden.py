"""The judge: what Langfuse's own code made of the same spans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from genai_collector.formats.langfuse import encode_spans, parse_event
from genai_collector.formats.otlp import decode_json
from genai_collector.model import Signal, Span
from tests.formats.langfuse.making import without_absent
from tests.support.captures import SHARED, shared

FILES = ("otel_to_langfuse.jsonl", "otel_to_langfuse_synthetic.jsonl")
NOW_NS = 1_800_000_000_000_000_000
NOW = "2027-01-15T08:00:00.000Z"

# Case -> event position -> fields of the body that we make differently, on purpose or because the
# recording holds a clock's reading. The reasons are in docs/langfuse.md.
DIFFERENCES: dict[str, dict[int, dict[str, Any]]] = {
    "status/str-code": {1: {"level": "ERROR"}},
    "OTel Resource Span Mapping > Property Mapping > "
    "should interpret an empty buffer as an unset parentSpanId": {1: {"parentObservationId": None}},
    "OTel Resource Span Mapping > Missing span timestamps > "
    "should process spans with no start/end times without throwing": {
        0: {"timestamp": NOW},
        1: {"startTime": NOW, "endTime": NOW},
    },
}


def _lines(name: str) -> Iterator[dict[str, Any]]:
    path = SHARED / "golden" / name
    if path.exists():
        for line in path.read_text().splitlines():
            yield json.loads(line)


def _cases() -> list[Any]:
    found = [case for name in FILES for case in _lines(name) if case.get("kind") != "event"]
    return [pytest.param(case, id=f"{at}-{case['test'][-60:]}") for at, case in enumerate(found)]


def _spans(resource_spans: list[Any]) -> list[Span]:
    decoded = decode_json(Signal.TRACES, json.dumps({"resourceSpans": resource_spans}).encode())
    return cast("list[Span]", decoded.items)


def _expected(case: dict[str, Any]) -> list[Any]:
    expected = []
    for at, event in enumerate(case["stored"]):
        assert "rejected" not in event, "give it a place among the differences"
        changed = DIFFERENCES.get(case["test"], {}).get(at, {})
        expected.append(
            without_absent({"type": event["type"], "body": {**event["body"], **changed}})
        )
    return expected


def test_the_judge_is_here() -> None:
    """Without the recordings the cases below are not even collected, which must be visible."""
    shared("golden")
    assert len(_cases()) >= 391


@pytest.mark.parametrize("case", _cases())
def test_same_events_as_langfuse(case: dict[str, Any]) -> None:
    """The events are those that Langfuse stored, but for the listed differences."""
    encoded = encode_spans(_spans(case["otlp"]), seen_traces=case["seenTraces"], now_ns=NOW_NS)
    made = [
        without_absent({"type": one.event["type"], "body": one.event["body"]}) for one in encoded
    ]
    assert made == _expected(case)


@pytest.mark.parametrize("case", _cases())
def test_every_event_of_a_case_is_acceptable(case: dict[str, Any]) -> None:
    """The server would take each event, and take it as it is."""
    for encoded in encode_spans(_spans(case["otlp"]), now_ns=NOW_NS):
        parsed = parse_event(encoded.event)
        assert parsed.issues == []
        assert without_absent(parsed.event) == without_absent(encoded.event)


@pytest.mark.parametrize("case", _cases())
def test_schema_stores_what_the_server_stores(case: dict[str, Any]) -> None:
    """`parse_event` makes of the reference mapper's events what the server stored."""
    for event, stored in zip(case["events"], case["stored"], strict=True):
        envelope = {"id": "e", "timestamp": NOW, "type": event["type"], "body": event["body"]}
        parsed = parse_event(envelope).event
        assert parsed is not None
        assert without_absent(parsed["body"]) == without_absent(stored["body"])


def test_schema_cases() -> None:
    """Every recorded event is accepted or refused as the server did, and parsed alike."""
    shared("golden/ingestion_schema.jsonl")
    wrong = []
    for case in _lines("ingestion_schema.jsonl"):
        parsed = parse_event(case["event"])
        if case["accepted"] != (parsed.event is not None):
            wrong.append((case["case"], parsed.issues))
        elif case["accepted"] and without_absent(parsed.event) != without_absent(case["parsed"]):
            wrong.append((case["case"], [str(parsed.event)]))
    assert wrong == []


def test_real_sdk_payloads() -> None:
    """What Langfuse's SDKs send over OTLP becomes what Langfuse made of it."""
    found = sorted(shared("captures/langfuse_otel").glob("*/*.expected_langfuse.json"))
    assert len(found) >= 8
    for path in found:
        stored = json.loads(path.read_text())["stored"]
        otlp = path.with_name(path.name.replace("expected_langfuse", "otlp"))
        spans = _spans(json.loads(otlp.read_text())["resourceSpans"])
        made = [{"type": e.event["type"], "body": e.event["body"]} for e in encode_spans(spans)]
        expected = [{"type": e["type"], "body": e["body"]} for e in stored]
        assert without_absent(made) == without_absent(expected), path.parent.name  # type: ignore[arg-type]
