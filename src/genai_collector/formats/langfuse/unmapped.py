"""What Langfuse's mapping has no place for (section 3.13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from genai_collector.formats.langfuse.io import CONTENT_EVENTS
from genai_collector.formats.langfuse.values import JSON, js_string, plain_attributes
from genai_collector.formats.loss import Loss
from genai_collector.model import Event, Link, Span, StatusCode

_MAPPED_KINDS: Final = 2
"""Unspecified and internal say nothing that would be missed."""
_DROPPED_COUNTS: Final = (
    ("droppedAttributesCount", "dropped_attributes_count"),
    ("droppedEventsCount", "dropped_events_count"),
    ("droppedLinksCount", "dropped_links_count"),
)
_NO_HOME: Final = "Langfuse observations have no such field"


def unmapped_fields(span: Span) -> dict[str, JSON]:
    """The fields of the span that the mapping drops, under OTLP/JSON's names; times in
    nanoseconds as text, as OTLP/JSON has them."""
    found: dict[str, JSON] = {}
    if span.kind:
        found["kind"] = span.kind
    if span.flags:
        found["flags"] = span.flags
    if span.trace_state:
        found["traceState"] = span.trace_state
    if span.status_code == StatusCode.OK:
        found["statusCode"] = span.status_code
    if span.start_ns % 1_000_000 or span.end_ns % 1_000_000:
        found["startTimeUnixNano"] = str(span.start_ns)
        found["endTimeUnixNano"] = str(span.end_ns)
    events = [_event(event) for event in span.events if event.name not in CONTENT_EVENTS]
    if events:
        found["events"] = list(events)
    links = [_link(link) for link in span.links]
    if links:
        found["links"] = list(links)
    for name, field in _DROPPED_COUNTS:
        count = getattr(span, field)
        if count:
            found[name] = count
    for name, url in (("scope", span.scope.schema_url), ("resource", span.resource.schema_url)):
        if url:
            found[f"{name}SchemaUrl"] = url
    return found


def loss(spans: Sequence[Span]) -> list[Loss]:
    """Every field of these spans that the events do not carry."""
    lost: list[Loss] = []
    for span in spans:
        where = f"span {span.span_id.hex()}"
        if not span.trace_id or not span.span_id:
            lost.append(Loss(where, "span", "Langfuse needs a trace id and a span id"))
            continue
        for field, value in unmapped_fields(span).items():
            if field == "kind" and span.kind < _MAPPED_KINDS:
                continue
            if field == "endTimeUnixNano":
                continue
            if field == "startTimeUnixNano":
                lost.append(Loss(where, "nanoseconds", "Langfuse stores milliseconds"))
            elif field == "events" and isinstance(value, list):
                lost.extend(_lost_events(where, value))
            else:
                lost.append(Loss(where, field, _NO_HOME))
    return lost


def _lost_events(where: str, events: list[JSON]) -> list[Loss]:
    named = sorted({js_string(event["name"]) for event in events if isinstance(event, dict)})
    return [Loss(where, f"events[{name}]", "only content events are read") for name in named]


def _event(event: Event) -> JSON:
    shown: dict[str, JSON] = {"name": event.name, "timeUnixNano": str(event.time_ns)}
    if event.attributes:
        shown["attributes"] = plain_attributes(event.attributes)
    if event.dropped_attributes_count:
        shown["droppedAttributesCount"] = event.dropped_attributes_count
    return shown


def _link(link: Link) -> JSON:
    shown: dict[str, JSON] = {"traceId": link.trace_id.hex(), "spanId": link.span_id.hex()}
    if link.trace_state:
        shown["traceState"] = link.trace_state
    if link.flags:
        shown["flags"] = link.flags
    if link.attributes:
        shown["attributes"] = plain_attributes(link.attributes)
    if link.dropped_attributes_count:
        shown["droppedAttributesCount"] = link.dropped_attributes_count
    return shown
