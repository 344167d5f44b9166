"""A trace from noveum-trace as spans.

Strategy: attributes are kept as they are and the conventions' added (`trace_views`); what is said
of the trace goes onto one span that carries it, the first without a parent. What the way back
(`trace_writer`) cannot rebuild is the residual's (see `traces`), so that a member of the wrong
type is simply not carried here. Nothing raises on odd data.
"""

from __future__ import annotations

import hashlib
from typing import Final

from genai_collector.formats import ids
from genai_collector.formats.fits import is_number, is_otlp_value, is_text
from genai_collector.formats.json_text import canonical, dumps
from genai_collector.formats.noveum import trace_fields as fields
from genai_collector.formats.noveum.bodies import Body, as_body
from genai_collector.formats.noveum.clock import parse_timestamp
from genai_collector.formats.noveum.trace_fields import Trace
from genai_collector.formats.noveum.trace_views import conventional
from genai_collector.model import (
    Attributes,
    Event,
    Link,
    Resource,
    Scope,
    Span,
    SpanKind,
    StatusCode,
    Value,
)

EXCEPTION: Final = "exception"
EXCEPTION_MEMBERS: Final = (
    ("type", "exception.type"),
    ("message", "exception.message"),
    ("stack_trace", "exception.stacktrace"),
)
_ENVIRONMENT: Final = "deployment.environment"
_ENVIRONMENT_NAME: Final = "deployment.environment.name"
_OF_NO_SPAN: Final = (
    "trace_id", "name", "start_time", "end_time", "status", "status_message",
)  # fmt: skip
_NOT_SCALARS: Final = frozenset({"trace_id", "schema_version", "span_count", "spans"})


class TraceReader:
    """The spans of one trace, which share its resource and, where they can, a scope."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._sdk = as_body(trace.get("sdk"))
        self._resource = _resource(trace)
        self._scopes: dict[bytes, Scope] = {}
        version = trace.get("schema_version")
        self._schema = version if isinstance(version, str) and is_text(version) else ""
        metadata = as_body(trace.get("metadata"))
        self._everywhere: Attributes = {
            key: metadata[member]
            for member, key in fields.METADATA_ON_SPANS
            if metadata.get(member) and is_text(metadata[member])
        }

    def span(self, said: Body) -> Span:
        """One span, without its residual."""
        otel = as_body(said.get("otel"))
        start_ns = parse_timestamp(said.get("start_time")) or 0
        end_ns = parse_timestamp(said.get("end_time")) or 0
        attributes, kind = self._attributes(said), otel.get("kind")
        calls = "llm.model" in attributes or "llm.provider" in attributes
        status = said.get("status")
        message = said.get("status_message")
        span = Span(
            trace_id=self._trace_id(said),
            span_id=_span_id(said.get("span_id"), said),
            parent_span_id=_parent_id(said.get("parent_span_id")),
            name=_text(said.get("name")),
            kind=fields.KINDS.get(str(kind), SpanKind.CLIENT if calls else SpanKind.INTERNAL),
            start_ns=start_ns,
            # A span that was closed for somebody may say that it ended before it began.
            end_ns=max(start_ns, end_ns),
            attributes=attributes,
            events=_events(said.get("events")),
            links=_links(said.get("links")),
            status_code=fields.STATUS_CODES.get(str(status), StatusCode.UNSET),
            status_message=_text(message),
            resource=self._resource,
            scope=self._scope(otel.get("scope", self._sdk)),
        )
        _add_exception(span, as_body(said.get("exception")))
        self._note(span, said)
        return span

    def no_spans(self) -> Span:
        """What carries a trace that has no spans."""
        span = self.span({key: self._trace[key] for key in _OF_NO_SPAN if key in self._trace})
        span.attributes[fields.NO_SPANS] = True
        return span

    def carry(self, span: Span) -> None:
        """Put what is said of the trace onto this span, without the residual."""
        found, trace = span.attributes, self._trace
        found[fields.TRACE_SCHEMA] = self._schema
        for key, value in trace.items():
            if key not in _NOT_SCALARS and is_text(key) and _is_scalar(value):
                found[fields.TRACE_PREFIX + key] = value
        metadata = as_body(trace.get("metadata"))
        groups: list[tuple[str, Value]] = [
            ("sdk", self._sdk),
            ("attributes", trace.get("attributes")),
            *((f"metadata.{name}", metadata.get(name)) for name in fields.METADATA_MAPS),
            ("metadata", {name: metadata.get(name) for name in fields.METADATA}),
        ]
        for group, members in groups:
            for key, value in as_body(members).items():
                if is_text(key) and value is not None and is_otlp_value(value):
                    found[f"{fields.TRACE_PREFIX}{group}.{key}"] = value
        events = _events(trace.get("events"))
        for event in events:
            event.name = fields.TRACE_PREFIX + event.name
        span.events = [*span.events, *events]

    def _trace_id(self, said: Body) -> bytes:
        text = self._trace.get("trace_id", said.get("trace_id"))
        if isinstance(text, str) and text:
            return ids.trace_id(text)
        return hashlib.sha256(b"trace\0" + canonical(self._trace)).digest()[:16]

    def _attributes(self, said: Body) -> Attributes:
        own: Attributes = {
            key: value
            for key, value in as_body(said.get("attributes")).items()
            if is_text(key)
            and key not in fields.OURS
            and not key.startswith(fields.TRACE_PREFIX)
            and is_otlp_value(value)
        }
        added, replaced = conventional(own)
        for key, value in self._everywhere.items():
            if key not in own:
                added[key] = value
        own.update(added)
        own.update(replaced)
        if added:
            own[fields.ADDED] = list[Value](added)
        if replaced:
            own[fields.REPLACED] = list[Value](replaced)
        return own

    def _note(self, span: Span, said: Body) -> None:
        """What of the ids and the status has no OTLP form."""
        found = span.attributes
        found[fields.SCHEMA] = self._schema or fields.OLD_SCHEMA
        for name, key, made in (
            ("trace_id", fields.TRACE_ID, fields.uuid_text(span.trace_id)),
            ("span_id", fields.SPAN_ID, span.span_id.hex()),
            ("parent_span_id", fields.PARENT_ID, span.parent_span_id.hex()),
        ):
            value = said.get(name)
            if isinstance(value, str) and value != made and is_text(value):
                found[key] = value
        status = said.get("status")
        if is_text(status) and status != fields.STATUS_OF_CODE[span.status_code]:
            found[fields.STATUS] = status

    def _scope(self, value: Value) -> Scope:
        said = as_body(value)
        name, version = _text(said.get("name")), _text(said.get("version"))
        key = dumps([name, version])
        return self._scopes.setdefault(key, Scope(name, version))


def _resource(trace: Trace) -> Resource:
    otel = as_body(trace.get("otel"))
    said: Attributes = {
        key: value
        for key, value in as_body(otel.get("resource")).items()
        if is_text(key) and is_otlp_value(value)
    }
    if not said:
        for member, key in fields.RESOURCE_MEMBERS:
            value = trace.get(member)
            if value and is_text(value):
                said[key] = value
    if _ENVIRONMENT in said:
        said.setdefault(_ENVIRONMENT_NAME, said[_ENVIRONMENT])
    return Resource(said)


def resource_member(resource: Resource) -> Body:
    """The trace's `otel.resource` again."""
    said = dict(resource.attributes)
    if _ENVIRONMENT in said and said.get(_ENVIRONMENT_NAME) == said[_ENVIRONMENT]:
        del said[_ENVIRONMENT_NAME]
    return said


def _is_scalar(value: Value) -> bool:
    return isinstance(value, bool) or is_number(value) or is_text(value)


def _text(value: Value) -> str:
    return value if isinstance(value, str) and is_text(value) else ""


def short_id(text: str) -> bytes:
    """The SDK's own rule for its UUIDs: the first 16 of their 32 digits."""
    compact = text.replace("-", "") if len(text) == 36 else text
    return ids.span_id(compact[:16] if len(compact) == 32 else compact)


def _span_id(value: Value, said: Body) -> bytes:
    if isinstance(value, str) and value:
        return short_id(value)
    return hashlib.sha256(b"span\0" + canonical(said)).digest()[:8]


def _parent_id(value: Value) -> bytes:
    return short_id(value) if isinstance(value, str) and value else b""


def _events(value: Value) -> list[Event]:
    """The events, as far as they are any; one that is none leaves its place to the residual."""
    return [
        Event(
            _text(said.get("name")),
            parse_timestamp(said.get("timestamp")) or 0,
            {
                key: item
                for key, item in as_body(said.get("attributes")).items()
                if is_text(key) and is_otlp_value(item)
            },
        )
        for said in (value if isinstance(value, list) else [])
        if isinstance(said, dict)
    ]


def _links(value: Value) -> list[Link]:
    found: list[Link] = []
    for said in value if isinstance(value, list) else []:
        if not isinstance(said, dict):
            continue
        trace_id, span_id = said.get("trace_id"), said.get("span_id")
        found.append(
            Link(
                ids.trace_id(trace_id) if isinstance(trace_id, str) and trace_id else b"",
                short_id(span_id) if isinstance(span_id, str) and span_id else b"",
                attributes={
                    key: item
                    for key, item in as_body(said.get("attributes")).items()
                    if is_text(key) and is_otlp_value(item)
                },
            )
        )
    return found


def _add_exception(span: Span, said: Body) -> None:
    """The exception as an event; the SDK writes one itself, without the stack trace."""
    if not said:
        return
    event = next((event for event in span.events if event.name == EXCEPTION), None)
    if event is None:
        event = Event(EXCEPTION, span.end_ns, {})
        span.events.append(event)
        event.attributes[fields.ADDED] = True
    extended: list[Value] = []
    for member, key in EXCEPTION_MEMBERS:
        value = said.get(member)
        if is_text(value) and key not in event.attributes:
            event.attributes[key] = value
            extended.append(key)
    if extended and fields.ADDED not in event.attributes:
        event.attributes[fields.ADDED] = extended
    name = said.get("type")
    if name and is_text(name) and "error.type" not in span.attributes:
        span.attributes["error.type"] = name
        added = span.attributes.get(fields.ADDED)
        before = added if isinstance(added, list) else []
        span.attributes[fields.ADDED] = [*before, "error.type"]
