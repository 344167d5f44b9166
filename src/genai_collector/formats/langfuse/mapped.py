"""Observations that were OTLP spans once: the span again, with its own attributes, resource, scope.

Langfuse's mapping of spans, ours and its server's, leaves `attributes`, `resourceAttributes` and
`scope` in an observation's metadata. Any SDK's user may have chosen the same words, so the shape is
no proof. The proof is the mapping itself: a span is put together from the observation and mapped
once more, and only if that gives the very same observation it is taken. Everything else stays
metadata.

The mapping writes all attributes as text. What the conventions know as a number, a flag or a list
of texts is one again; whether anything else was more than text cannot be told, and it stays text.
What the exporter's `keep_unmapped` has kept in `metadata.otel` comes back, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple, cast

from genai_collector.conventions import VOCABULARIES
from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import flag, from_json, number, to_json, whole
from genai_collector.conventions.vocabulary import Read
from genai_collector.errors import DecodeError
from genai_collector.formats.fits import is_int64, is_number, is_otlp_value, is_text
from genai_collector.formats.json_text import canonical
from genai_collector.formats.langfuse import span_attributes as words
from genai_collector.formats.langfuse.events import encode_spans
from genai_collector.formats.langfuse.instants import time_ns
from genai_collector.formats.langfuse.keys import OBSERVATION_METADATA
from genai_collector.formats.langfuse.merge import EVENT, Object, Record, fold
from genai_collector.formats.langfuse.schema import parse_event
from genai_collector.formats.langfuse.span_values import as_text, metadata_attributes
from genai_collector.formats.langfuse.values import JSON, is_plain, js_text, parse_json
from genai_collector.formats.litellm import fields as litellm
from genai_collector.formats.litellm.fields import is_count, is_flag
from genai_collector.formats.noveum import fields as noveum
from genai_collector.formats.otlp.json_fields import Fault, JsonObject
from genai_collector.formats.otlp.json_values import read_value
from genai_collector.formats.otlp.traces import encode_spans as encode_otlp
from genai_collector.formats.otlp.wire import Unencodable
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

_ATTRIBUTES: Final = "attributes"
_RESOURCE: Final = "resourceAttributes"
_SCOPE: Final = "scope"
_OTEL: Final = "otel"
_OURS: Final = frozenset((_ATTRIBUTES, _RESOURCE, _SCOPE, _OTEL))
_SCOPE_KEYS: Final = frozenset(("name", "version", "attributes", "droppedAttributesCount"))
_SDK_SCOPE: Final = "langfuse-sdk"
_IDS: Final = (("traceId", 32), ("id", 16))
_HEX: Final = re.compile(r"[0-9a-f]+")
_READ_HELD: Final = {is_int64: whole, is_count: whole, is_number: number, is_flag: flag}
_READERS: Final[dict[str, Read]] = {
    "server.port": whole, "client.port": whole,
    **{
        row.attribute: _READ_HELD[row.holds]
        for row in (*litellm.ROWS, *noveum.RECORD_ROWS)
        if row.holds in _READ_HELD
    },
    noveum.TOTAL_TOKENS: whole,
    **{row.key: row.read for v in VOCABULARIES for row in v.rows},
}  # fmt: skip
"""Attributes that have a type: of general conventions, of the other formats, of vocabularies."""
_USAGES: Final = ("gen_ai.usage.", "llm.token_count.")
_CLIENTS: Final = frozenset(("generation", "embedding"))
_REQUEST: Final = "gen_ai.request."
_WRAPPERS: Final = ('{"bytesValue":', '{"kvlistValue":')
_TOOL_HOMES: Final = {
    "input": s.GEN_AI_TOOL_CALL_ARGUMENTS, "output": s.GEN_AI_TOOL_CALL_RESULT,
}  # fmt: skip
_OF_TRACE: Final = frozenset(("id", "timestamp", "environment", "public"))
"""What a trace has without anybody saying it."""
_DROPPED: Final = (
    ("droppedAttributesCount", "dropped_attributes_count"),
    ("droppedEventsCount", "dropped_events_count"),
    ("droppedLinksCount", "dropped_links_count"),
)
_NO_SPAN: Final = (
    TypeError, ValueError, KeyError, OverflowError, RecursionError, DecodeError, Unencodable,
)  # fmt: skip


class Mapped(NamedTuple):
    """A span that was found again, and the trace that it tells of."""

    span: Span
    trace: Object


class Finder:
    """Finds spans; those with the same resource or scope share it, as encoders want."""

    def __init__(self, extra: Attributes) -> None:
        self._extra = extra
        """Attributes that every resource gets."""
        self._resources: dict[bytes, Resource] = {}
        self._scopes: dict[bytes, Scope] = {}

    def find(self, observation: Record) -> Mapped | None:
        """The span that this observation is the mapping of, or None."""
        metadata = observation.body.get("metadata")
        if not isinstance(metadata, dict):
            return None
        try:
            return self._find(observation, metadata) if _has_shape(observation, metadata) else None
        except _NO_SPAN:
            return None

    def _find(self, observation: Record, metadata: Object) -> Mapped | None:
        otel = _object(metadata.get(_OTEL, {}))
        span = _span(observation, metadata, otel)
        span.resource = self._resource(_object(metadata[_RESOURCE]), otel)
        span.scope = self._scope(_object(metadata[_SCOPE]), otel)
        wanted = _comparable(observation)
        for attributes in _variants(observation, span.attributes):
            span.attributes = attributes
            events = [one.event for one in encode_spans([span], keep_unmapped=_OTEL in metadata)]
            folded = fold(
                [event for one in events if (event := parse_event(one).event) is not None]
            )
            if [_comparable(one) for one in folded.observations] == [wanted]:
                encode_otlp([span])  # counts and times that OTLP cannot hold were never a span's
                span.resource = self._with_extra(span.resource)
                return Mapped(span, folded.traces[0].body if folded.traces else {})
        return None

    def _resource(self, said: Object, otel: Object) -> Resource:
        url = _text(otel.get("resourceSchemaUrl", ""))
        key = canonical(cast("Value", [said, url]))
        known = self._resources.get(key)
        if known is None:
            known = self._resources[key] = Resource(_plain(said), schema_url=url)
        return known

    def _scope(self, said: Object, otel: Object) -> Scope:
        url = _text(otel.get("scopeSchemaUrl", ""))
        key = canonical(cast("Value", [said, url]))
        known = self._scopes.get(key)
        if known is None:
            known = self._scopes[key] = Scope(
                _text(said.get("name", "")),
                _text(said.get("version", "")),
                _plain(_object(said["attributes"])),
                _int(said.get("droppedAttributesCount", 0)),
                url,
            )
        return known

    def _with_extra(self, resource: Resource) -> Resource:
        if not self._extra:
            return resource
        key = b"extra" + canonical([cast("Value", resource.attributes), resource.schema_url])
        known = self._resources.get(key)
        if known is None:
            attributes = resource.attributes | self._extra
            known = self._resources[key] = Resource(attributes, schema_url=resource.schema_url)
        return known


def is_of_sdk(scope: str) -> bool:
    """Whether these are spans of Langfuse's own SDKs: they tell everything in Langfuse's words,
    what is true of the trace on every span of it, and the mapping leaves their attributes out."""
    return scope.startswith(_SDK_SCOPE)


def missing_words(trace: Record, told: Object) -> Attributes:
    """What the trace says and this span of it does not, in Langfuse's words."""
    said = {
        key: value
        for key, value in trace.body.items()
        if key not in _OF_TRACE and value != told.get(key)
    }
    if "metadata" in said:
        own, known = trace.body.get("metadata"), told.get("metadata")
        known = known if isinstance(known, dict) else {}
        said["metadata"] = {
            key: value
            for key, value in (own.items() if isinstance(own, dict) else ())
            if key not in _OURS and (key not in known or known[key] != value)
        }
    if "input" in said or "output" in said:
        # Langfuse takes the trace's content from one source.
        said |= {side: trace.body[side] for side in ("input", "output") if side in trace.body}
    rest = Record(trace.kind, said)
    return words.trace_attributes(rest) | words.trace_content(rest)


def _has_shape(observation: Record, metadata: Object) -> bool:
    """Whether it may be such an observation; to look further costs more."""
    kind, body = observation
    scope = metadata.get(_SCOPE)
    if not isinstance(scope, dict) or not isinstance(metadata.get(_RESOURCE), dict):
        return False
    if not isinstance(scope.get("attributes"), dict) or not scope.keys() <= _SCOPE_KEYS:
        return False
    if isinstance(metadata.get(_ATTRIBUTES), dict) is is_of_sdk(_text(scope.get("name", ""))):
        return False
    return (kind == EVENT or "endTime" in body) and all(
        isinstance(value := body.get(key), str) and len(value) == size and _HEX.fullmatch(value)
        for key, size in _IDS
    )


def _span(observation: Record, metadata: Object, otel: Object) -> Span:
    kind, body = observation
    start_ns = time_ns(_text(body["startTime"]))
    end_ns = time_ns(_text(body.get("endTime", body["startTime"])))
    own = {key: value for key, value in metadata.items() if key not in _OURS}
    if _ATTRIBUTES in metadata:
        shown = _object(metadata[_ATTRIBUTES])
        attributes = {key: _typed(key, _text(value)) for key, value in shown.items()}
        attributes |= metadata_attributes(OBSERVATION_METADATA, own)
    else:
        plain = {key: value for key, value in body.items() if key not in ("input", "output")}
        attributes = words.observation_attributes(Record(kind, {**plain, "metadata": own}))
    default = SpanKind.CLIENT if kind in _CLIENTS else SpanKind.INTERNAL
    span = Span(
        trace_id=bytes.fromhex(_text(body["traceId"])),
        span_id=bytes.fromhex(_text(body["id"])),
        parent_span_id=bytes.fromhex(_text(body.get("parentObservationId", ""))),
        trace_state=_text(otel.get("traceState", "")),
        flags=_int(otel.get("flags", 0)),
        name=_text(body.get("name", "")),
        kind=_int(otel.get("kind", 0)) if otel else default,
        start_ns=int(_text(otel.get("startTimeUnixNano", str(start_ns)))),
        end_ns=int(_text(otel.get("endTimeUnixNano", str(end_ns)))),
        attributes=attributes,
        events=[_event(_object(item)) for item in _list(otel.get("events", []))],
        links=[_link(_object(item)) for item in _list(otel.get("links", []))],
        status_code=_int(otel.get("statusCode", 0)),
    )
    for name, field in _DROPPED:
        setattr(span, field, _int(otel.get(name, 0)))
    if body.get("level") == "ERROR":
        span.status_code = StatusCode.ERROR
    if "langfuse.observation.status_message" not in attributes:
        span.status_message = _text(body.get("statusMessage", ""))
    return span


def _typed(key: str, text: str) -> Value:
    """What the conventions say that this text was, if it is written exactly so; a wrapper that only
    the mapping writes is unwrapped."""
    if text.startswith(_WRAPPERS):
        try:
            return read_value({"value": cast("JsonObject", parse_json(text))}, "value")
        except (ValueError, Fault):  # text that only begins like one
            return text
    reads = [whole] if key.startswith((*_USAGES, s.GEN_AI_REQUEST_MAX_TOKENS)) else []
    for read in (_READERS.get(key), *reads):
        fact = None if read is None else read(text)
        if not isinstance(fact, str | None) and js_text(cast("JSON", fact)) == text:
            return fact
    return text


def _variants(observation: Record, attributes: Attributes) -> Iterator[Attributes]:
    """What the attributes may have been: parameters of their type or as text, and content in its
    several places."""
    contents = list(_contents(observation))
    yield from [attributes | content for content in contents]
    texts = {
        key: js_text(cast("JSON", value))
        for key, value in attributes.items()
        if key.startswith(_REQUEST) and not isinstance(value, str) and is_plain(value)
    }
    if texts:
        yield from [attributes | texts | content for content in contents]


def _contents(observation: Record) -> Iterator[Attributes]:
    """Where the content may have been: under the conventions' names, if it has their form, or
    anywhere else."""
    body = observation.body
    sides = {side: as_text(v) for side in ("input", "output") if (v := body.get(side)) is not None}
    plain: Attributes = {f"langfuse.observation.{side}": text for side, text in sides.items()}
    if _ATTRIBUTES in _object(body["metadata"]):
        if observation.kind == "tool":
            yield {_TOOL_HOMES[side]: text for side, text in sides.items()}
        for side, text in sides.items():
            found = _messages(side, text)
            if found:
                del plain[f"langfuse.observation.{side}"]
                plain |= found
        yield plain
    yield {f"langfuse.observation.{side}": text for side, text in sides.items()}


def _messages(side: str, text: str) -> Attributes:
    """The conventions' messages, with tools and instructions as they were before the mapping put
    them beside the messages; none if the text is none of that."""
    found: Attributes = {}
    value = from_json(text)
    if isinstance(value, dict) and value.keys() == {"messages", "tools"}:
        found[s.GEN_AI_TOOL_DEFINITIONS] = to_json(value["tools"])
        value = value["messages"]
    if not isinstance(value, list):
        return {}
    if side == "input" and len(value) > 1:
        match value[0]:
            case {"role": "system", "content": str(words), **rest} if not rest:
                part: Value = {"type": "text", "content": words}
                found[s.GEN_AI_SYSTEM_INSTRUCTIONS] = to_json([part])
                value = value[1:]
    if not all(isinstance(item, dict) and isinstance(item.get("parts"), list) for item in value):
        return {}
    return found | {f"gen_ai.{side}.messages": to_json(value) if found else text}


def _comparable(observation: Record) -> Record:
    """Langfuse stores content as text, so an object and its text are the same."""
    kind, body = observation
    sides = {side: body[side] for side in ("input", "output") if body.get(side) is not None}
    return Record(kind, body | {side: _parsed(value) for side, value in sides.items()})


def _parsed(value: JSON) -> JSON:
    found = from_json(value) if isinstance(value, str) else None
    return value if found is None else cast("JSON", found)


def _event(said: Object) -> Event:
    return Event(
        _text(said["name"]),
        int(_text(said["timeUnixNano"])),
        _plain(_object(said.get("attributes", {}))),
        _int(said.get("droppedAttributesCount", 0)),
    )


def _link(said: Object) -> Link:
    return Link(
        bytes.fromhex(_text(said["traceId"])),
        bytes.fromhex(_text(said["spanId"])),
        _text(said.get("traceState", "")),
        _plain(_object(said.get("attributes", {}))),
        _int(said.get("droppedAttributesCount", 0)),
        _int(said.get("flags", 0)),
    )


def _plain(said: Object) -> Attributes:
    attributes = cast("Attributes", said)
    if not is_otlp_value(attributes):
        raise ValueError("no attributes")
    return attributes


def _object(value: JSON) -> Object:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _list(value: JSON) -> list[JSON]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _text(value: JSON) -> str:
    if not isinstance(value, str) or not is_text(value):
        raise TypeError("not a text")
    return value


def _int(value: JSON) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not is_int64(value):
        raise TypeError("not an integer")
    return value
