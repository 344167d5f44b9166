"""What the three signals have in common: request, resource and scope.

    request { groups[] { resource, schema_url, scopes[] { scope, schema_url, items[] } } }

Decoding flattens it: every item points at its Resource and Scope, one object per occurrence.
Encoding groups consecutive items that share them, by identity, so that the order of the items
is always kept. Groups and scopes without items have nowhere to live and vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeVar

from genai_collector.formats.otlp import wire
from genai_collector.formats.otlp.messages import RequestMessage, parse_resource, parse_scope
from genai_collector.formats.otlp.values import AttributesField, read_attributes
from genai_collector.model import EntityRef, Resource, Scope


class _Item(Protocol):
    resource: Resource
    scope: Scope


MessageT = TypeVar("MessageT")
ItemT = TypeVar("ItemT")
OwnedT = TypeVar("OwnedT", bound=_Item)

_SCHEMA_URL: Final = wire.StringField("schema_url", 3)
_GROUP: Final = wire.tag(1, wire.BYTES)
_GROUP_RESOURCE: Final = wire.BytesField("resource", 1)
_GROUP_SCOPE: Final = wire.tag(2, wire.BYTES)
_SCOPE: Final = wire.BytesField("scope", 1)
_ITEM: Final = wire.tag(2, wire.BYTES)

_RESOURCE_ATTRIBUTES: Final = AttributesField(1, levels=96)
_RESOURCE_DROPPED: Final = wire.uint32_field("resource.dropped_attributes_count", 2)
_RESOURCE_ENTITY: Final = wire.BytesField("resource.entity_refs", 3)

_ENTITY_SCHEMA_URL: Final = wire.StringField("entity_ref.schema_url", 1)
_ENTITY_TYPE: Final = wire.StringField("entity_ref.type", 2)
_ENTITY_ID_KEY: Final = wire.BytesField("entity_ref.id_keys", 3)
_ENTITY_DESCRIPTION_KEY: Final = wire.BytesField("entity_ref.description_keys", 4)

_SCOPE_NAME: Final = wire.StringField("scope.name", 1)
_SCOPE_VERSION: Final = wire.StringField("scope.version", 2)
_SCOPE_ATTRIBUTES: Final = AttributesField(3, levels=95)
_SCOPE_DROPPED: Final = wire.uint32_field("scope.dropped_attributes_count", 4)


# --- decode ---------------------------------------------------------------------------------


def read_items(
    request: RequestMessage[MessageT], read: Callable[[MessageT, Resource, Scope], ItemT]
) -> list[ItemT]:
    """All items of a request, in order, each with its resource and scope."""
    found: list[ItemT] = []
    for group in request.groups:
        resource = _read_resource(b"".join(group.resource), group.schema_url)
        for part in group.scopes:
            scope = _read_scope(b"".join(part.scope), part.schema_url)
            found += [read(item, resource, scope) for item in part.items]
    return found


def _read_resource(encoded: bytes, schema_url: str) -> Resource:
    message = parse_resource(encoded)
    entities = [
        EntityRef(ref.type, list(ref.id_keys), list(ref.description_keys), ref.schema_url)
        for ref in message.entity_refs
    ]
    attributes = read_attributes(message.attributes)
    return Resource(attributes, message.dropped_attributes_count, entities, schema_url)


def _read_scope(encoded: bytes, schema_url: str) -> Scope:
    message = parse_scope(encoded)
    return Scope(
        message.name,
        message.version,
        read_attributes(message.attributes),
        message.dropped_attributes_count,
        schema_url,
    )


# --- encode ---------------------------------------------------------------------------------


def write_request(items: Sequence[OwnedT], write: Callable[[OwnedT], bytes]) -> bytes:
    """The request of these items; `write` gives one item's bytes, without tag and length."""
    # Everything is a list of parts until the one join at the end: requests are megabytes, and
    # joining at each level would copy them three times.
    request: list[bytes] = []
    at, end = 0, len(items)
    while at < end:
        resource = items[at].resource
        body = [_GROUP_RESOURCE.write(_write_resource(resource))]
        while at < end and items[at].resource is resource:
            scope, start = items[at].scope, at
            while at < end and items[at].scope is scope and items[at].resource is resource:
                at += 1
            body += _write_scope_items(scope, [write(item) for item in items[start:at]])
        body.append(_SCHEMA_URL.write(resource.schema_url))
        request += wire.framed(_GROUP, body)
    return b"".join(request)


def _write_scope_items(scope: Scope, items: list[bytes]) -> list[bytes]:
    body = [_SCOPE.write(_write_scope(scope))]
    for item in items:
        body += (_ITEM, wire.varint(len(item)), item)
    body.append(_SCHEMA_URL.write(scope.schema_url))
    return wire.framed(_GROUP_SCOPE, body)


def _write_resource(resource: Resource) -> bytes:
    return b"".join(
        [
            _RESOURCE_ATTRIBUTES.write(resource.attributes),
            _RESOURCE_DROPPED.write(resource.dropped_attributes_count),
            *[_RESOURCE_ENTITY.write_present(_write_entity(r)) for r in resource.entity_refs],
        ]
    )


def _write_entity(ref: EntityRef) -> bytes:
    return b"".join(
        [
            _ENTITY_SCHEMA_URL.write(ref.schema_url),
            _ENTITY_TYPE.write(ref.type),
            *[_ENTITY_ID_KEY.write_present(wire.utf8(key)) for key in ref.id_keys],
            *[_ENTITY_DESCRIPTION_KEY.write_present(wire.utf8(k)) for k in ref.description_keys],
        ]
    )


def _write_scope(scope: Scope) -> bytes:
    return b"".join(
        [
            _SCOPE_NAME.write(scope.name),
            _SCOPE_VERSION.write(scope.version),
            _SCOPE_ATTRIBUTES.write(scope.attributes),
            _SCOPE_DROPPED.write(scope.dropped_attributes_count),
        ]
    )
