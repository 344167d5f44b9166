"""The server's judgement of an event, rule by rule."""

from __future__ import annotations

import pytest

from genai_collector.formats.langfuse import parse_event
from genai_collector.formats.langfuse.values import JSON

Object = dict[str, JSON]
SCORE: Object = {"name": "n", "value": 1, "traceId": "t"}


def parse(kind: str, body: JSON, **envelope: JSON) -> Object | None:
    """The stored body, or None if the event is refused."""
    event: Object = {"id": "e", "timestamp": "2025-01-01T00:00:00Z", "type": kind, "body": body}
    parsed = parse_event({**event, **envelope})
    assert (parsed.event is None) == bool(parsed.issues)
    if parsed.event is None:
        return None
    stored = parsed.event["body"]
    assert isinstance(stored, dict)
    return stored


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("trace-create", {"public": "true"}),
        ("trace-create", {"tags": ["a", 1]}),
        ("trace-create", {"timestamp": "2025-01-01"}),
        ("trace-create", {"timestamp": "2025-02-30T00:00:00Z"}),
        ("span-create", {"name": "no id"}),
        ("span-create", {"id": "a\rb"}),
        ("span-create", {"id": "x", "level": "error"}),
        ("generation-create", {"id": "x", "promptVersion": 1}),
        ("generation-create", {"id": "x", "promptName": "p", "promptVersion": "1"}),
        ("generation-create", {"id": "x", "promptName": "p", "promptVersion": 0}),
        ("generation-create", {"id": "x", "modelParameters": {"a": [1]}}),
        ("generation-create", {"id": "x", "usage": {"unit": "WORDS"}}),
        ("tool-update", {"id": "x"}),
        ("score-create", {**SCORE, "value": None}),
        ("score-create", {**SCORE, "value": True, "dataType": "BOOLEAN"}),
        ("score-create", {**SCORE, "value": 2, "dataType": "BOOLEAN"}),
        ("score-create", {**SCORE, "sessionId": "s"}),
        ("score-create", {**SCORE, "source": "me"}),
        ("score-create", {**SCORE, "value": "x" * 501, "dataType": "TEXT"}),
        ("sdk-log", {}),
        ("span-create", "no body"),
    ],
)
def test_refused(kind: str, body: JSON) -> None:
    """One bad field refuses the event."""
    assert parse(kind, body) is None


@pytest.mark.parametrize(
    ("kind", "body", "stored"),
    [
        ("trace-create", {"x": 1, "public": True}, {"public": True, "environment": "default"}),
        ("event-create", {"id": "x", "endTime": "z"}, {"id": "x", "environment": "default"}),
        ("span-create", {"id": "x", "parentObservationId": ""},
         {"id": "x", "parentObservationId": "", "environment": "default"}),
        ("guardrail-create", {"id": "x", "usageDetails": {"a": 1, "b": 1.5, "c": "2x", "d": None}},
         {"id": "x", "usageDetails": {"a": 1, "c": 2}, "environment": "default"}),
        ("generation-update", {"id": "x", "usage": {"promptTokens": 1, "input": 9, "totalCost": 1}},
         {"id": "x", "usage": {"input": 1, "unit": "TOKENS"}, "environment": "default"}),
        ("generation-create", {"id": "x", "usageDetails": {"input_tokens": 9, "output_tokens": 5,
          "total_tokens": 14, "output_tokens_details": {"reasoning_tokens": 7}}},
         {"id": "x", "environment": "default", "usageDetails":
          {"input": 9, "output": 0, "total": 14, "output_reasoning_tokens": 7}}),
        ("observation-create", {"type": "SPAN", "environment": "e"}, {"type": "SPAN"}),
        ("score-create", {**SCORE, "value": 1, "dataType": "BOOLEAN", "observationId": "o"},
         {**SCORE, "value": 1, "dataType": "BOOLEAN", "observationId": "o", "source": "API",
          "environment": "default"}),
        ("sdk-log", {"log": {"a": 1}}, {"log": {"a": 1}}),
    ],
)  # fmt: skip
def test_accepted(kind: str, body: JSON, stored: JSON) -> None:
    """Unknown keys are stripped, usage and environment normalised, the rest stays."""
    assert parse(kind, body) == stored


@pytest.mark.parametrize("timestamp", [None, 5, "2025-01-01 00:00:00Z", "2025-01-01T00:00:00"])
def test_envelope_time(timestamp: JSON) -> None:
    """The envelope needs a time with an offset."""
    assert parse("trace-create", {}, timestamp=timestamp) is None


@pytest.mark.parametrize("time", ["2025-01-01T00:00Z", "2025-01-01T00:00:00.123456789+02:00"])
def test_times_of_any_precision(time: str) -> None:
    """Seconds may be missing, fractions may be long."""
    assert parse("trace-create", {"timestamp": time}) is not None


def test_not_an_event() -> None:
    """Whatever it is, it is judged, not raised about."""
    events: list[JSON] = ["x", None, [], {}, {"type": []}]
    for event in events:
        assert parse_event(event).event is None
