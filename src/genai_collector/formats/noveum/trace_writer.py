"""Spans as a trace of noveum-trace's: those that were one, and any others.

Strategy: of a span that was Noveum's, `recorded_span` gives what its attributes still say, and
`recorded_trace` the same for the trace (what is missing is the residual's, see `traces`). Any
other span is read as an `Observation`: its attributes stay under their names, and what Noveum has
a word of its own for is added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from genai_collector.conventions import read_observation
from genai_collector.conventions.observation import Observation
from genai_collector.formats.fits import is_text
from genai_collector.formats.noveum import trace_fields as fields
from genai_collector.formats.noveum.bodies import Body
from genai_collector.formats.noveum.clock import render_timestamp
from genai_collector.formats.noveum.trace_fields import Trace
from genai_collector.formats.noveum.trace_reader import (
    EXCEPTION,
    EXCEPTION_MEMBERS,
    resource_member,
)
from genai_collector.formats.noveum.trace_views import noveum_words
from genai_collector.formats.tagged import readable
from genai_collector.model import Attributes, Event, Link, Span, StatusCode, Value

_SDK_NAME: Final = "genai-collector"
_ENVIRONMENTS: Final = ("deployment.environment.name", "deployment.environment")


# What was Noveum's ------------------------------------------------------------------------------


def recorded_span(span: Span) -> Body:
    """The span that it was, without its residual."""
    said = span.attributes
    trace_id = said.get(fields.TRACE_ID, fields.uuid_text(span.trace_id))
    parent = said.get(fields.PARENT_ID, span.parent_span_id.hex() or None)
    found: Body = {
        "span_id": said.get(fields.SPAN_ID, span.span_id.hex()),
        "trace_id": trace_id,
        "parent_span_id": parent,
        "name": span.name,
        "start_time": sdk_time(span.start_ns),
        "end_time": sdk_time(span.end_ns),
        "duration_ms": sdk_milliseconds(span.end_ns - span.start_ns),
        "status": said.get(fields.STATUS, fields.STATUS_OF_CODE.get(span.status_code, "unset")),
        "status_message": span.status_message or None,
        "attributes": _recorded_attributes(said),
        "events": [
            _recorded_event(event)
            for event in span.events
            if event.attributes.get(fields.ADDED) is not True
            and not event.name.startswith(fields.TRACE_PREFIX)
        ],
        "links": [_link(link) for link in span.links],
    }
    exception = next((event for event in span.events if event.name == EXCEPTION), None)
    if exception is not None:
        found["exception"] = _exception(exception)
    if said.get(fields.SCHEMA) != fields.OLD_SCHEMA:
        attributes = found["attributes"]
        assert isinstance(attributes, dict)
        found["otel"] = _otel(span, _sdk_name(span, attributes))
    return found


def _recorded_attributes(said: Attributes) -> Attributes:
    added = said.get(fields.ADDED)
    replaced = said.get(fields.REPLACED)
    ours = {key for key in added if isinstance(key, str)} if isinstance(added, list) else set()
    found = {
        key: readable(value)
        for key, value in said.items()
        if key not in fields.OURS and key not in ours and not key.startswith(fields.TRACE_PREFIX)
    }
    for key in replaced if isinstance(replaced, list) else []:
        mirror = fields.MIRRORS.get(key) if isinstance(key, str) else None
        if mirror in said and isinstance(key, str):
            found[key] = readable(said[mirror])
    return found


def _recorded_event(event: Event) -> Body:
    added = event.attributes.get(fields.ADDED)
    hidden = {fields.ADDED, *(added if isinstance(added, list) else [])}
    attributes = {key: v for key, v in event.attributes.items() if key not in hidden}
    return _event(event.name, event.time_ns, attributes)


def _sdk_name(span: Span, attributes: Attributes) -> str:
    """The span's name in the conventions, as the SDK makes it."""
    model = attributes.get("gen_ai.request.model")
    if not isinstance(model, str):
        return span.name
    operation = attributes.get("gen_ai.operation.name")
    first = operation if isinstance(operation, str) else span.name.removeprefix("llm.")
    return f"{first} {model}"


def carrier_of(spans: Sequence[Span]) -> Span | None:
    """The one of these spans that carries its trace."""
    return next((span for span in spans if fields.TRACE_SCHEMA in span.attributes), None)


def recorded_trace(carrier: Span, spans: Sequence[Span]) -> Trace:
    """What the carrier says of its trace, without the residual and the spans."""
    said = carrier.attributes
    schema = said.get(fields.TRACE_SCHEMA)
    metadata: Body = dict.fromkeys(fields.METADATA)
    metadata.update({name: {} for name in fields.METADATA_MAPS})
    found: Trace = {
        "trace_id": said.get(fields.TRACE_ID, fields.uuid_text(carrier.trace_id)),
        "status_message": None,
        "span_count": sum(fields.NO_SPANS not in span.attributes for span in spans),
        "attributes": {},
        "metadata": metadata,
    }
    for key, value in said.items():
        if key.startswith(fields.TRACE_PREFIX) and key not in _MARKS:
            _put_member(found, key.removeprefix(fields.TRACE_PREFIX), readable(value))
    events = [
        _event(event.name.removeprefix(fields.TRACE_PREFIX), event.time_ns, event.attributes)
        for event in carrier.events
        if event.name.startswith(fields.TRACE_PREFIX)
    ]
    if events or schema:
        found["events"] = list[Value](events)
    if schema:
        found["schema_version"] = schema
        resource = {key: readable(v) for key, v in resource_member(carrier.resource).items()}
        found["otel"] = {"trace_id": carrier.trace_id.hex(), "resource": resource}
    return found


_MARKS: Final = frozenset({fields.TRACE_SCHEMA, fields.TRACE_RESIDUAL, fields.NO_SPANS})
_GROUPS: Final = (
    ("sdk.", ("sdk",)),
    ("attributes.", ("attributes",)),
    *((f"metadata.{name}.", ("metadata", name)) for name in fields.METADATA_MAPS),
    ("metadata.", ("metadata",)),
)


def _put_member(trace: Trace, name: str, value: Value) -> None:
    for prefix, path in _GROUPS:
        if name.startswith(prefix):
            node = trace
            for key in path:
                child = node.setdefault(key, {})
                assert isinstance(child, dict)
                node = child
            node[name.removeprefix(prefix)] = value
            return
    trace[name] = value


def sdk_time(ns: int) -> str:
    """As Python's isoformat writes it: six digits, or none; more only where they are needed."""
    if ns % 1000:
        return render_timestamp(ns, zulu=False)
    whole = render_timestamp(ns - ns % 1_000_000_000, zulu=False)
    micros = ns % 1_000_000_000 // 1000
    return f"{whole[:19]}.{micros:06d}{whole[19:]}" if micros else whole


def sdk_milliseconds(ns: int) -> float:
    """As the SDK computes it, rounding errors included."""
    return ns // 1000 / 10**6 * 1000


# What was anybody's -----------------------------------------------------------------------------


def observed_span(span: Span, seen: Observation) -> tuple[Body, list[str]]:
    """The span in Noveum's form, and which of its attributes were added."""
    attributes: Attributes = {
        key: readable(value)
        for key, value in span.attributes.items()
        if not key.startswith(fields.TRACE_PREFIX)
    }
    words = noveum_words(seen)
    added = [key for key in words if key not in attributes]
    attributes.update({key: readable(words[key]) for key in added})
    events = span.read_events()
    exception = next((event for event in events if event.name == EXCEPTION), None)
    found: Body = {
        "span_id": span.span_id.hex(),
        "trace_id": fields.uuid_text(span.trace_id),
        "parent_span_id": span.parent_span_id.hex() or None,
        "name": span.name or "span",
        "start_time": render_timestamp(span.start_ns, zulu=False),
        "end_time": render_timestamp(span.end_ns, zulu=False),
        "duration_ms": max(0, span.end_ns - span.start_ns) / 1e6,
        "status": "error" if span.status_code == StatusCode.ERROR else "ok",
        "status_message": span.status_message or None,
        "attributes": attributes,
        "events": [_event(event.name, event.time_ns, event.attributes) for event in events],
        "links": [_link(link) for link in span.read_links()],
        "otel": _otel(span, span.name),
    }
    if exception is not None:
        found["exception"] = _exception(exception)
    return found, added


def observed_trace(spans: Sequence[Span], project: str, environment: str) -> Trace:
    """What these spans of one trace say of it, without the spans."""
    ids = {span.span_id for span in spans}
    tops = [span for span in spans if span.parent_span_id not in ids]
    top = next((span for span in tops if not span.parent_span_id), (tops or list(spans))[0])
    seen = read_observation(top)
    start = min(span.start_ns for span in spans)
    end = max(start, *(span.end_ns for span in spans))
    resource = {key: readable(v) for key, v in resource_member(top.resource).items()}
    service = _said(resource, ("service.name",))
    failed = next((span for span in tops if span.status_code == StatusCode.ERROR), None)
    found: Trace = {
        "trace_id": fields.uuid_text(top.trace_id),
        "name": top.name or "trace",
        "start_time": render_timestamp(start, zulu=False),
        "end_time": render_timestamp(end, zulu=False),
        "duration_ms": (end - start) / 1e6,
        "status": "ok" if failed is None else "error",
        "status_message": None if failed is None else failed.status_message or None,
        "span_count": len(spans),
        "error_count": sum(span.status_code == StatusCode.ERROR for span in spans),
        "attributes": {},
        "metadata": _observed_metadata(seen),
        "events": [],
        "sdk": {"name": top.scope.name or _SDK_NAME, "version": top.scope.version},
        "project": project or service or "default",
        "environment": environment or _said(resource, _ENVIRONMENTS) or "production",
        "schema_version": "2.0",
        "otel": {"trace_id": top.trace_id.hex(), "resource": resource},
    }
    if version := _said(resource, ("service.version",)):
        found["service_version"] = version
    return found


def _observed_metadata(seen: Observation) -> Body:
    return {
        "user_id": seen.user_id,
        "session_id": seen.conversation_id,
        "request_id": None,
        "tags": dict[str, Value](dict.fromkeys(seen.tags or (), "true")),
        "custom_attributes": {},
    }


def _said(resource: Body, keys: Sequence[str]) -> str:
    values = [resource.get(key) for key in keys]
    return next((value for value in values if isinstance(value, str) and value), "")


# What both write --------------------------------------------------------------------------------


def _otel(span: Span, name: str) -> Body:
    status: Body = {"code": fields.OTEL_STATUS.get(span.status_code, "UNSET")}
    if span.status_code == StatusCode.ERROR and span.status_message:
        status["message"] = span.status_message
    return {
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex() or None,
        "kind": fields.KIND_NAMES.get(span.kind, "INTERNAL"),
        "status": status,
        "name": name,
        "scope": {"name": span.scope.name, "version": span.scope.version},
    }


def _event(name: str, time_ns: int, attributes: Attributes) -> Body:
    return {
        "name": name,
        "timestamp": sdk_time(time_ns),
        "attributes": {key: readable(value) for key, value in attributes.items()},
    }


def _link(link: Link) -> Body:
    return {
        "trace_id": link.trace_id.hex(),
        "span_id": link.span_id.hex(),
        "attributes": {key: readable(value) for key, value in link.attributes.items()},
    }


def _exception(event: Event) -> Body:
    return {
        member: readable(event.attributes[key])
        for member, key in EXCEPTION_MEMBERS
        if is_text(event.attributes.get(key))
    }
