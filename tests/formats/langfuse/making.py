"""Spans, and the events they become, in as few words as a test row needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genai_collector.formats.langfuse import encode_spans
from genai_collector.formats.langfuse.values import JSON
from genai_collector.model import Attributes, Event, Resource, Scope, Span, Value

TRACE_ID = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
SPAN_ID = bytes.fromhex("b7ad6b7169203331")
PARENT_ID = bytes.fromhex("00f067aa0ba902b7")
START_NS = 1_714_488_530_686_364_000
Body = dict[str, JSON]


def span(
    attributes: Mapping[str, Value] | None = None,
    *,
    name: str = "span-name",
    scope: str = "x",
    scope_version: str = "",
    resource: Mapping[str, Value] | None = None,
    events: Sequence[tuple[str, Attributes]] = (),
    parent: bytes = b"",
    span_id: bytes = SPAN_ID,
    status_code: int = 0,
    status_message: str = "",
    start_ns: int = START_NS,
    end_ns: int = START_NS + 1_500_000,
) -> Span:
    """A root span with these attributes."""
    return Span(
        trace_id=TRACE_ID,
        span_id=span_id,
        parent_span_id=parent,
        name=name,
        start_ns=start_ns,
        end_ns=end_ns,
        attributes=dict(attributes or {}),
        events=[Event(event, START_NS, shown) for event, shown in events],
        status_code=status_code,
        status_message=status_message,
        resource=Resource(dict(resource or {})),
        scope=Scope(scope, scope_version),
    )


def events_of(*spans: Span) -> list[Body]:
    """The envelopes of these spans."""
    return [encoded.event for encoded in encode_spans(spans)]


def body_of(event: Body) -> Body:
    """The body of an envelope."""
    body = event["body"]
    assert isinstance(body, dict)
    return body


def observation(made: Span) -> tuple[str, Body]:
    """Type and body of the observation that the span becomes."""
    event = events_of(made)[-1]
    return str(event["type"]), body_of(event)


def trace(made: Span) -> Body:
    """Body of the trace that the span describes."""
    event = events_of(made)[0]
    assert event["type"] == "trace-create"
    return body_of(event)


def without_absent(value: JSON) -> JSON:
    """Null, `{}` and `[]` mean absent."""
    if isinstance(value, dict):
        kept = {key: without_absent(item) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item not in (None, {}, [])}
    if isinstance(value, list):
        return [without_absent(item) for item in value]
    return value
