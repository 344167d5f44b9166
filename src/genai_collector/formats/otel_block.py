"""`attributes.otel`: all of an OTLP span that the record's own members cannot carry.

Ids are hex, times decimal strings of nanoseconds. Attributes, events, links and the resource are
JSON *strings* (see `tagged`), so that a search engine does not grow a column per attribute and no
reader rounds an integer. A member whose value is OTLP's default is left out.
"""

from __future__ import annotations

from typing import Final

from genai_collector.errors import DecodeError
from genai_collector.formats.json_text import dumps, loads
from genai_collector.formats.tagged import (
    pack_attributes,
    packed_attributes_text,
    packed_text,
    unpack_attributes,
)
from genai_collector.model import EntityRef, Event, Link, Resource, Scope, Span, Value

SOURCE: Final = "source"
"""Why a record carries a block beside its own members: see `codec`."""

_NOT_A_BLOCK: Final = (TypeError, ValueError, KeyError, DecodeError, RecursionError)
_SPAN_COUNTS: Final = (
    "flags",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
)


class BlockWriter:
    """Writes blocks; resources and scopes, which many spans share, are written once."""

    __slots__ = ("_resources", "_scopes")

    def __init__(self) -> None:
        # The objects are kept beside their text, so that an id is not reused meanwhile.
        self._resources: dict[int, tuple[Resource, str]] = {}
        self._scopes: dict[int, tuple[Scope, dict[str, Value]]] = {}

    def block(self, span: Span) -> dict[str, Value]:
        found: dict[str, Value] = {
            "trace_id": span.trace_id.hex(),
            "span_id": span.span_id.hex(),
            "name": span.name,
            "kind": int(span.kind),
            "start_time_unix_nano": str(span.start_ns),
            "end_time_unix_nano": str(span.end_ns),
            "resource_json": self.resource_text(span.resource),
            "scope": self.scope(span.scope),
            "attributes_json": packed_attributes_text(span.attributes),
        }
        if span.parent_span_id:
            found["parent_span_id"] = span.parent_span_id.hex()
        if span.trace_state:
            found["trace_state"] = span.trace_state
        if span.status_code or span.status_message:
            found["status"] = {"code": int(span.status_code), "message": span.status_message}
        for name in _SPAN_COUNTS:
            if count := getattr(span, name):
                found[name] = count
        if events := span.events:
            found["events_json"] = _events_text(events)
        if links := span.links:
            found["links_json"] = text([_link(link) for link in links])
        return found

    def resource_text(self, resource: Resource) -> str:
        known = self._resources.get(id(resource))
        if known is None:
            known = self._resources[id(resource)] = (resource, text(pack_resource(resource)))
        return known[1]

    def scope(self, scope: Scope) -> dict[str, Value]:
        known = self._scopes.get(id(scope))
        if known is None:
            known = self._scopes[id(scope)] = (scope, pack_scope(scope))
        return known[1]


class BlockReader:
    """Reads blocks; spans with the same resource share it again, as encoders want."""

    __slots__ = ("_resources", "_scopes")

    def __init__(self) -> None:
        self._resources: dict[str, Resource] = {}
        self._scopes: dict[str, Scope] = {}

    def span(self, block: Value) -> Span | None:
        """The span of a block, or None when it is no block that `BlockWriter` wrote."""
        try:
            return self._span(block)
        except _NOT_A_BLOCK:
            return None

    def _span(self, value: Value) -> Span:
        block = _object(value)
        status = _object(block.get("status", {}))
        return Span(
            trace_id=_hex(block["trace_id"]),
            span_id=_hex(block["span_id"]),
            parent_span_id=_hex(block.get("parent_span_id", "")),
            trace_state=_text(block.get("trace_state", "")),
            flags=_int(block.get("flags", 0)),
            name=_text(block["name"]),
            kind=_int(block["kind"]),
            start_ns=decimal(block["start_time_unix_nano"]),
            end_ns=decimal(block["end_time_unix_nano"]),
            attributes=unpack_attributes(loads(_text(block["attributes_json"]))),
            events=[_to_event(item) for item in _list(block.get("events_json", "[]"))],
            links=[_to_link(item) for item in _list(block.get("links_json", "[]"))],
            status_code=_int(status.get("code", 0)),
            status_message=_text(status.get("message", "")),
            dropped_attributes_count=_int(block.get("dropped_attributes_count", 0)),
            dropped_events_count=_int(block.get("dropped_events_count", 0)),
            dropped_links_count=_int(block.get("dropped_links_count", 0)),
            resource=self.resource(block["resource_json"]),
            scope=self.scope(block["scope"]),
        )

    def resource(self, value: Value) -> Resource:
        """The resource of its JSON text."""
        written = _text(value)
        known = self._resources.get(written)
        if known is None:
            known = self._resources[written] = _to_resource(loads(written))
        return known

    def scope(self, value: Value) -> Scope:
        """The scope of its object."""
        key = text(value)
        known = self._scopes.get(key)
        if known is None:
            known = self._scopes[key] = _to_scope(_object(value))
        return known


def text(value: Value) -> str:
    """JSON as a string."""
    return dumps(value).decode("utf-8")


def pack_resource(resource: Resource) -> dict[str, Value]:
    found: dict[str, Value] = {"attributes": pack_attributes(resource.attributes)}
    if resource.dropped_attributes_count:
        found["dropped_attributes_count"] = resource.dropped_attributes_count
    if resource.schema_url:
        found["schema_url"] = resource.schema_url
    if resource.entity_refs:
        found["entity_refs"] = [
            {
                "type": ref.type,
                "id_keys": list(ref.id_keys),
                "description_keys": list(ref.description_keys),
                "schema_url": ref.schema_url,
            }
            for ref in resource.entity_refs
        ]
    return found


def _to_resource(value: Value) -> Resource:
    packed = _object(value)
    refs = packed.get("entity_refs", [])
    if not isinstance(refs, list):
        raise TypeError("not a list")
    return Resource(
        unpack_attributes(packed["attributes"]),
        _int(packed.get("dropped_attributes_count", 0)),
        [_to_entity_ref(_object(ref)) for ref in refs],
        _text(packed.get("schema_url", "")),
    )


def _to_entity_ref(ref: dict[str, Value]) -> EntityRef:
    return EntityRef(
        _text(ref["type"]),
        _texts(ref["id_keys"]),
        _texts(ref["description_keys"]),
        _text(ref["schema_url"]),
    )


def pack_scope(scope: Scope) -> dict[str, Value]:
    found: dict[str, Value] = {"name": scope.name, "version": scope.version}
    if scope.attributes:
        found["attributes_json"] = packed_attributes_text(scope.attributes)
    if scope.dropped_attributes_count:
        found["dropped_attributes_count"] = scope.dropped_attributes_count
    if scope.schema_url:
        found["schema_url"] = scope.schema_url
    return found


def _to_scope(packed: dict[str, Value]) -> Scope:
    return Scope(
        _text(packed["name"]),
        _text(packed["version"]),
        unpack_attributes(loads(_text(packed.get("attributes_json", "{}")))),
        _int(packed.get("dropped_attributes_count", 0)),
        _text(packed.get("schema_url", "")),
    )


def _events_text(events: list[Event]) -> str:
    raw: Value = [_event(event, event.attributes) for event in events]
    return packed_text(raw, lambda: [_event(e, pack_attributes(e.attributes)) for e in events])


def _event(event: Event, attributes: dict[str, Value]) -> Value:
    packed: dict[str, Value] = {
        "name": event.name,
        "time_unix_nano": str(event.time_ns),
        "attributes": attributes,
    }
    if event.dropped_attributes_count:
        packed["dropped_attributes_count"] = event.dropped_attributes_count
    return packed


def _to_event(value: Value) -> Event:
    packed = _object(value)
    return Event(
        _text(packed["name"]),
        decimal(packed["time_unix_nano"]),
        unpack_attributes(packed["attributes"]),
        _int(packed.get("dropped_attributes_count", 0)),
    )


def _link(link: Link) -> Value:
    return {
        "trace_id": link.trace_id.hex(),
        "span_id": link.span_id.hex(),
        "trace_state": link.trace_state,
        "attributes": pack_attributes(link.attributes),
        "dropped_attributes_count": link.dropped_attributes_count,
        "flags": link.flags,
    }


def _to_link(value: Value) -> Link:
    packed = _object(value)
    return Link(
        _hex(packed["trace_id"]),
        _hex(packed["span_id"]),
        _text(packed["trace_state"]),
        unpack_attributes(packed["attributes"]),
        _int(packed["dropped_attributes_count"]),
        _int(packed["flags"]),
    )


def _object(value: Value) -> dict[str, Value]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _list(value: Value) -> list[Value]:
    found = loads(_text(value))
    if not isinstance(found, list):
        raise TypeError("not a list")
    return found


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _texts(value: Value) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return [_text(item) for item in value]


def _int(value: Value) -> int:
    if type(value) is not int:
        raise TypeError("not an integer")
    return value


def _hex(value: Value) -> bytes:
    return bytes.fromhex(_text(value))


def decimal(value: Value) -> int:
    """A nanosecond time from its decimal string."""
    return int(_text(value))
