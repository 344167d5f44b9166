"""Spans to ingestion events: each span becomes an observation, some also a trace (section 3.2).

Strategy: one pass over the attributes (`reading`), then each rule looks only where the bits say
that it could find something. Bodies are built from what the ingestion schema accepts and hold no
nulls: a null in a `trace-create` would erase what another span of the trace has said.

Event ids and timestamps come from the span's ids and times alone, so that an event sent twice is
stored once.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final, NamedTuple

from genai_collector.conventions import read_observation
from genai_collector.conventions.semconv import ERROR_MESSAGE
from genai_collector.formats.langfuse import keys, metadata, model, names
from genai_collector.formats.langfuse.io import Content, content, event_bits
from genai_collector.formats.langfuse.keys import scope_bits
from genai_collector.formats.langfuse.reading import Reading, read_attributes
from genai_collector.formats.langfuse.tools import move_tools
from genai_collector.formats.langfuse.types import SPAN, observation_type
from genai_collector.formats.langfuse.unmapped import unmapped_fields
from genai_collector.formats.langfuse.usage import cost_details, stated_costs, usage_details
from genai_collector.formats.langfuse.v4_usage import missing_usage
from genai_collector.formats.langfuse.values import (
    JSON,
    PlainAttributes,
    first_truthy,
    iso_from_ms,
    plain_attributes,
    says_true,
    text,
)
from genai_collector.model import Event, Resource, Scope, Span, StatusCode

Body = dict[str, JSON]

_LONGEST_TRACE_NAME: Final = 1000
_NO_EVENTS: Final[list[Event]] = []
_EVENT: Final = "event"


class EncodedEvent(NamedTuple):
    event: Body
    """The complete envelope: id, type, timestamp, body."""
    span_index: int | None
    """Which of the given items it was made from (a span, log record or data point)."""


class _Resource:
    """What all spans of a resource share."""

    __slots__ = ("language", "metadata", "reading")

    def __init__(self, resource: Resource) -> None:
        self.reading = read_attributes(resource.attributes)
        self.metadata = metadata.user_metadata(self.reading, keys.TRACE_METADATA_KEY)
        self.language = self.reading.attributes.get("telemetry.sdk.language")


class _Scope:
    """What all spans of a scope share."""

    __slots__ = ("bits", "metadata", "version")

    def __init__(self, scope: Scope) -> None:
        self.bits = scope_bits(scope.name)
        self.version = scope.version
        self.metadata = metadata.scope_metadata(scope, plain_attributes(scope.attributes))


class _Reader:
    """One span with all that is found out about it once."""

    __slots__ = ("content", "end", "environment", "events", "kept", "name", "reading", "resource",
        "scope", "span", "span_id", "start", "start_ms", "trace_id")  # fmt: skip

    def __init__(self, span: Span, resource: _Resource, scope: _Scope, now_ns: int) -> None:
        self.span = span
        self.resource = resource
        self.scope = scope
        bits = scope.bits
        self.events: Sequence[Event] = ()
        if span.has_events:
            self.events = span.read_events()
            bits |= event_bits(self.events)
        self.reading = read_attributes(span.attributes, bits)
        self.trace_id = span.trace_id.hex()
        self.span_id = span.span_id.hex()
        start_ns = span.start_ns or span.end_ns or now_ns
        self.start_ms = start_ns // 1_000_000
        self.start = iso_from_ms(self.start_ms)
        self.end = iso_from_ms((span.end_ns or start_ns) // 1_000_000)
        self.name = names.observation_name(self.reading, span.name)
        self.environment = names.environment(self.reading, resource.reading)
        self.content = content(self.reading, self.events)
        self.kept: Body = {}


class _Context:
    """What stays the same from span to span."""

    def __init__(self, now_ns: int, keep_unmapped: bool) -> None:
        self._now_ns = now_ns
        self._keep_unmapped = keep_unmapped
        self._resources: dict[int, _Resource] = {}
        self._scopes: dict[int, _Scope] = {}

    def read(self, span: Span) -> _Reader:
        resource = self._resources.get(id(span.resource))
        if resource is None:
            resource = self._resources[id(span.resource)] = _Resource(span.resource)
        scope = self._scopes.get(id(span.scope))
        if scope is None:
            scope = self._scopes[id(span.scope)] = _Scope(span.scope)
        reader = _Reader(span, resource, scope, self._now_ns)
        if self._keep_unmapped:
            reader.kept = unmapped_fields(span)
        return reader


def encode_spans(
    spans: Sequence[Span],
    *,
    seen_traces: Container[str] = (),
    now_ns: int = 0,
    keep_unmapped: bool = False,
) -> list[EncodedEvent]:
    """The events of these spans, in order.

    A trace that no span here describes gets a bare `trace-create`, unless its id (hex) is among
    `seen_traces`. `now_ns` stands in for spans without any time. With `keep_unmapped`, what
    Langfuse's mapping drops is kept in `metadata.otel`. Spans without ids give no event.
    """
    context = _Context(now_ns, keep_unmapped)
    encoded: list[EncodedEvent] = []
    seen: set[str] = set()
    bare: dict[str, EncodedEvent] = {}
    described: set[str] = set()
    for index, span in enumerate(spans):
        if not span.trace_id or not span.span_id:
            continue
        reader = context.read(span)
        trace, is_full = _trace_body(
            reader, is_new=not (reader.trace_id in seen or reader.trace_id in seen_traces)
        )
        if trace is not None:
            event = EncodedEvent(_envelope(reader, "trace", reader.start, trace), index)
            encoded.append(event)
            seen.add(reader.trace_id)
            if is_full:
                described.add(reader.trace_id)
            else:
                bare[reader.trace_id] = event
        kind, body = _observation_body(reader)
        encoded.append(EncodedEvent(_envelope(reader, kind, reader.end, body), index))
    if not described:
        return encoded
    needless = {id(event) for trace_id, event in bare.items() if trace_id in described}
    return [event for event in encoded if id(event) not in needless] if needless else encoded


def _envelope(reader: _Reader, kind: str, timestamp: str, body: Body) -> Body:
    """The id is the same for the same span, whatever is in it: a second sending replaces the
    first. A 207 that names an event thereby names the span."""
    entity = "trace" if kind == "trace" else "observation"
    return {
        "id": f"{reader.trace_id}-{reader.span_id}-{entity}",
        "type": f"{kind}-create",
        "timestamp": timestamp,
        "body": body,
    }


def _observation_body(reader: _Reader) -> tuple[str, Body]:
    span, reading = reader.span, reader.reading
    attributes, bits = reading.attributes, reading.bits
    resource = reader.resource.reading.attributes
    kind = observation_type(reading, span.name, reader.scope.version, reader.resource.language)
    described = _metadata(reader, [metadata.user_metadata(reading, keys.OBSERVATION_METADATA)])
    given, answer = reader.content
    if bits & keys.TOOL_DEFINITIONS or "tools" in described:
        given, described = move_tools(given, described)
    if reader.kept:
        described["otel"] = reader.kept
    body: Body = {
        "id": reader.span_id,
        "traceId": reader.trace_id,
        "name": reader.name,
        "startTime": reader.start,
        "environment": reader.environment,
        "metadata": described,
        "level": names.level(reading, span.status_code, span.name),
    }
    if kind != _EVENT:
        body["endTime"] = reader.end
    if span.parent_span_id:
        body["parentObservationId"] = span.parent_span_id.hex()
    message = _status_message(span, attributes)
    if message:
        body["statusMessage"] = message
    version = names.version(reading, resource)
    if version is not None:
        body["version"] = version
    if kind not in {SPAN, _EVENT}:
        _add_generation(body, reader, kind)
    _add_content(body, given, answer)
    return kind, body


def _status_message(span: Span, attributes: PlainAttributes) -> str | None:
    message = text(attributes.get("langfuse.observation.status_message")) or span.status_message
    if not message and span.status_code == StatusCode.ERROR:
        return text(attributes.get(ERROR_MESSAGE))
    return message


def _add_generation(body: Body, reader: _Reader, kind: str) -> None:
    """What all types but span and event have."""
    reading = reader.reading
    parameters = model.model_parameters(reading)
    if parameters:
        body["modelParameters"] = parameters
    first_token = model.completion_start_time(reading, reader.start_ms)
    if first_token is not None:
        body["completionStartTime"] = first_token
    if kind == "generation" and reading.bits & keys.PROMPT_LINK:
        link = model.prompt_link(reading.attributes)
        if link is not None:
            body["promptName"], body["promptVersion"] = link.name, link.version
    if model.repeats_its_children(reading.attributes):
        return
    name = model.model_name(reading.attributes)
    if name is not None:
        body["model"] = name
    usage, costs = _spent(reader)
    if usage:
        body["usageDetails"] = usage
    if costs:
        body["costDetails"] = costs


def _spent(reader: _Reader) -> tuple[Body, Body]:
    """Usage and cost by Langfuse's reading, put right where other conventions say more: a sum must
    not change on the way."""
    reading = reader.reading
    usage, costs = usage_details(reading), cost_details(reading)
    has_other_costs = bool(reading.bits & keys.OTHER_COST and not costs)
    if has_other_costs or reading.bits & keys.OTHER_USAGE:
        seen = read_observation(reader.span)
        if has_other_costs and seen.is_billable:
            costs = stated_costs(seen)
        if reading.bits & keys.OTHER_USAGE:
            usage = {**missing_usage(reading, seen.usage)} or usage
    return usage, costs


def _trace_body(reader: _Reader, *, is_new: bool) -> tuple[Body | None, bool]:
    """The trace's body and whether it says more than that the trace exists.

    Root spans describe their trace in full; a span with trace attributes updates it, without its
    own name, content or attributes.
    """
    reading, span = reader.reading, reader.span
    attributes = reading.attributes
    is_root = not span.parent_span_id or says_true(attributes.get("langfuse.internal.as_root"))
    if not is_root and not _has_trace_updates(reading):
        if not is_new:
            return None, False
        return _trace_start(reader), False
    parts = [metadata.user_metadata(reading, keys.TRACE_METADATA_KEY)]
    name = text(attributes.get("langfuse.trace.name"))
    seen = reader.content
    if is_root:
        parts.append(metadata.user_metadata(reading, keys.OBSERVATION_METADATA))
        name = reader.name if name is None else name
        if reading.bits & keys.LANGFUSE_IO:
            seen = content(reading, reader.events, of_trace=True)
    else:
        seen = Content(
            attributes.get("langfuse.trace.input"), attributes.get("langfuse.trace.output")
        )
    body = _trace_start(reader)
    described = _metadata(reader, parts, with_attributes=is_root)
    if reader.kept and is_root:
        described["otel"] = reader.kept
    body["metadata"] = described
    if name is not None:
        body["name"] = _cut_name(name)
    _add_trace_fields(body, reader)
    _add_content(body, seen.input, seen.output)
    return body, True


def _trace_start(reader: _Reader) -> Body:
    return {
        "id": reader.trace_id,
        "timestamp": reader.start,
        "environment": reader.environment,
    }


def _add_trace_fields(body: Body, reader: _Reader) -> None:
    reading, resource = reader.reading, reader.resource.reading.attributes
    version = names.version(reading, resource)
    if version is not None:
        body["version"] = version
    release = names.release(reading, resource)
    if release is not None:
        body["release"] = release
    if reading.bits & keys.IDENTITY:
        user = names.user_id(reading.attributes)
        if user is not None:
            body["userId"] = user
        session = names.session_id(reading.attributes)
        if session is not None:
            body["sessionId"] = session
        tags = names.tags(reading.attributes)
        if tags:
            body["tags"] = tags
    if reading.bits & keys.LANGFUSE:
        public = names.public(reading.attributes)
        if public is not None:
            body["public"] = public


def _has_trace_updates(reading: Reading) -> bool:
    if reading.bits & keys.TRACE_METADATA:
        return True
    if not reading.bits & keys.TRACE_UPDATE:
        return False
    return first_truthy(reading.attributes, keys.TRACE_UPDATE_KEYS) is not None


def _metadata(
    reader: _Reader, own: Sequence[dict[str, JSON]], *, with_attributes: bool = True
) -> Body:
    """Resource's and own metadata, then attributes, resource and scope; Langfuse's SDKs have told
    everything already, so their attributes are left out."""
    described: Body = dict(reader.resource.metadata)
    for part in own:
        described.update(part)
    if with_attributes and not reader.reading.bits & keys.SCOPE_LANGFUSE:
        described["attributes"] = reader.reading.shown
    described["resourceAttributes"] = reader.resource.reading.attributes  # type: ignore[assignment]
    described["scope"] = reader.scope.metadata
    return described


def _add_content(body: Body, given: JSON, answer: JSON) -> None:
    if given is not None:
        body["input"] = given
    if answer is not None:
        body["output"] = answer


def _cut_name(name: str) -> str:
    """At most 1000 UTF-16 code units; the server would refuse the whole trace for a longer one."""
    if len(name) * 2 <= _LONGEST_TRACE_NAME:
        return name
    units = name.encode("utf-16-le", "surrogatepass")
    if len(units) <= 2 * _LONGEST_TRACE_NAME:
        return name
    return units[: 2 * _LONGEST_TRACE_NAME].decode("utf-16-le", "ignore")
