"""Spans in OTLP/JSON, both directions. Mirrors `traces`."""

from __future__ import annotations

from typing import Final

from opentelemetry.proto.trace.v1 import trace_pb2

from genai_collector.formats.otlp import json_fields as fields
from genai_collector.formats.otlp.json_envelope import Names
from genai_collector.formats.otlp.json_fields import UINT32, UINT64, Fault, JsonObject, compact
from genai_collector.formats.otlp.json_values import read_attributes, write_attributes
from genai_collector.model import Event, Link, Resource, Scope, Span

NAMES: Final = Names("resourceSpans", "scopeSpans", "spans")

_KINDS: Final = dict(trace_pb2.Span.SpanKind.items())
_STATUS_CODES: Final = dict(trace_pb2.Status.StatusCode.items())


# --- read -----------------------------------------------------------------------------------


def read_span(entry: JsonObject, resource: Resource, scope: Scope, _faults: list[Fault]) -> Span:
    code, message = _read_status(entry)
    return Span(
        trace_id=fields.identifier(entry, "traceId", 16),
        span_id=fields.identifier(entry, "spanId", 8),
        parent_span_id=fields.identifier(entry, "parentSpanId", 8),
        trace_state=fields.string(entry, "traceState"),
        flags=fields.integer(entry, "flags", UINT32),
        name=fields.string(entry, "name"),
        kind=fields.enum(entry, "kind", _KINDS),
        start_ns=fields.integer(entry, "startTimeUnixNano", UINT64),
        end_ns=fields.integer(entry, "endTimeUnixNano", UINT64),
        attributes=read_attributes(entry),
        events=fields.each(entry, "events", _read_event),
        links=fields.each(entry, "links", _read_link),
        status_code=code,
        status_message=message,
        dropped_attributes_count=fields.integer(entry, "droppedAttributesCount", UINT32),
        dropped_events_count=fields.integer(entry, "droppedEventsCount", UINT32),
        dropped_links_count=fields.integer(entry, "droppedLinksCount", UINT32),
        resource=resource,
        scope=scope,
    )


def _read_status(entry: JsonObject) -> tuple[int, str]:
    status = fields.child(entry, "status")
    if not status:
        return 0, ""
    try:
        return fields.enum(status, "code", _STATUS_CODES), fields.string(status, "message")
    except Fault as fault:
        raise fault.under("status") from None


def _read_event(entry: JsonObject) -> Event:
    return Event(
        fields.string(entry, "name"),
        fields.integer(entry, "timeUnixNano", UINT64),
        read_attributes(entry),
        fields.integer(entry, "droppedAttributesCount", UINT32),
    )


def _read_link(entry: JsonObject) -> Link:
    return Link(
        fields.identifier(entry, "traceId", 16),
        fields.identifier(entry, "spanId", 8),
        fields.string(entry, "traceState"),
        read_attributes(entry),
        fields.integer(entry, "droppedAttributesCount", UINT32),
        fields.integer(entry, "flags", UINT32),
    )


# --- write ----------------------------------------------------------------------------------


def write_span(span: Span) -> JsonObject:
    return compact(
        {
            "traceId": span.trace_id.hex(),
            "spanId": span.span_id.hex(),
            "traceState": span.trace_state,
            "parentSpanId": span.parent_span_id.hex(),
            "flags": span.flags,
            "name": span.name,
            "kind": int(span.kind),
            "startTimeUnixNano": fields.int64_text(span.start_ns),
            "endTimeUnixNano": fields.int64_text(span.end_ns),
            "attributes": write_attributes(span.attributes),
            "droppedAttributesCount": span.dropped_attributes_count,
            "events": [_write_event(event) for event in span.read_events()],
            "droppedEventsCount": span.dropped_events_count,
            "links": [_write_link(link) for link in span.read_links()],
            "droppedLinksCount": span.dropped_links_count,
            "status": compact({"message": span.status_message, "code": int(span.status_code)}),
        }
    )


def _write_event(event: Event) -> JsonObject:
    return compact(
        {
            "timeUnixNano": fields.int64_text(event.time_ns),
            "name": event.name,
            "attributes": write_attributes(event.attributes),
            "droppedAttributesCount": event.dropped_attributes_count,
        }
    )


def _write_link(link: Link) -> JsonObject:
    return compact(
        {
            "traceId": link.trace_id.hex(),
            "spanId": link.span_id.hex(),
            "traceState": link.trace_state,
            "attributes": write_attributes(link.attributes),
            "droppedAttributesCount": link.dropped_attributes_count,
            "flags": link.flags,
        }
    )
