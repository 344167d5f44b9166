"""Request, resource and scope of OTLP/JSON, for all three signals. Mirrors `envelope`.

A fault inside an item rejects that item and keeps the rest; a fault in what is around the items
(request, resource, scope) makes the document unreadable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias, TypeVar

from genai_collector.errors import DecodeError
from genai_collector.formats.otlp import json_fields as fields
from genai_collector.formats.otlp.json_fields import Fault, JsonObject, compact
from genai_collector.formats.otlp.json_values import read_attributes, write_attributes
from genai_collector.model import EntityRef, Resource, Scope

MAX_ERRORS: Final = 20
"""How many rejections are described; all are counted."""


class _Item(Protocol):
    resource: Resource
    scope: Scope


ItemT = TypeVar("ItemT")
OwnedT = TypeVar("OwnedT", bound=_Item)

ReadItem: TypeAlias = "Callable[[JsonObject, Resource, Scope, list[Fault]], ItemT | None]"
"""Reads one item; raises Fault to reject it, or appends Faults for the parts it leaves out."""


class Names(NamedTuple):
    groups: str
    scopes: str
    items: str


# --- read -----------------------------------------------------------------------------------


class RequestReader:
    """Reads one document; holds what it has found so far."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.rejected = 0
        self.errors: list[str] = []

    def read(self, document: object, read_item: ReadItem[ItemT]) -> list[ItemT]:
        """All items. Raises DecodeError if the document is no request."""
        found: list[ItemT] = []
        try:
            request = fields.to_object(document, "")
            for index, group in _objects(request, self._names.groups):
                try:
                    self._read_group(group, index, read_item, found)
                except Fault as fault:
                    raise fault.under(f"{self._names.groups}[{index}]") from None
        except Fault as fault:
            raise DecodeError(str(fault)) from None
        return found

    def _read_group(
        self, group: JsonObject, at: int, read_item: ReadItem[ItemT], found: list[ItemT]
    ) -> None:
        resource = _read_resource(group)
        for index, part in _objects(group, self._names.scopes):
            where = f"{self._names.groups}[{at}].{self._names.scopes}[{index}]"
            try:
                scope = _read_scope(part)
                entries = fields.array(part, self._names.items)
            except Fault as fault:
                raise fault.under(f"{self._names.scopes}[{index}]") from None
            for number, entry in enumerate(entries):
                faults: list[Fault] = []
                try:
                    item = read_item(fields.to_object(entry, ""), resource, scope, faults)
                    if item is not None:
                        found.append(item)
                except Fault as whole:
                    faults.append(whole)
                for each in faults:
                    self._reject(each.under(f"{where}.{self._names.items}[{number}]"))

    def _reject(self, fault: Fault) -> None:
        self.rejected += fault.items
        if len(self.errors) < MAX_ERRORS:
            self.errors.append(str(fault))


def _objects(owner: JsonObject, name: str) -> list[tuple[int, JsonObject]]:
    return [
        (index, fields.to_object(entry, f"{name}[{index}]"))
        for index, entry in enumerate(fields.array(owner, name))
        if entry is not None
    ]


def _read_resource(group: JsonObject) -> Resource:
    schema_url = fields.string(group, "schemaUrl")
    resource = fields.child(group, "resource") or {}
    try:
        return Resource(
            read_attributes(resource),
            fields.integer(resource, "droppedAttributesCount", fields.UINT32),
            fields.each(resource, "entityRefs", _read_entity),
            schema_url,
        )
    except Fault as fault:
        raise fault.under("resource") from None


def _read_entity(ref: JsonObject) -> EntityRef:
    return EntityRef(
        fields.string(ref, "type"),
        fields.scalars(ref, "idKeys", fields.to_string),
        fields.scalars(ref, "descriptionKeys", fields.to_string),
        fields.string(ref, "schemaUrl"),
    )


def _read_scope(part: JsonObject) -> Scope:
    schema_url = fields.string(part, "schemaUrl")
    scope = fields.child(part, "scope") or {}
    try:
        return Scope(
            fields.string(scope, "name"),
            fields.string(scope, "version"),
            read_attributes(scope),
            fields.integer(scope, "droppedAttributesCount", fields.UINT32),
            schema_url,
        )
    except Fault as fault:
        raise fault.under("scope") from None


# --- write ----------------------------------------------------------------------------------


def write_request(
    items: Sequence[OwnedT], names: Names, write: Callable[[OwnedT], JsonObject]
) -> JsonObject:
    """The request of these items; consecutive items of one resource and scope share a group."""
    groups: list[JsonObject] = []
    at, end = 0, len(items)
    while at < end:
        resource = items[at].resource
        scopes: list[JsonObject] = []
        while at < end and items[at].resource is resource:
            scope, start = items[at].scope, at
            while at < end and items[at].scope is scope and items[at].resource is resource:
                at += 1
            part: JsonObject = {"scope": _write_scope(scope)}
            part[names.items] = [write(item) for item in items[start:at]]
            if scope.schema_url:
                part["schemaUrl"] = scope.schema_url
            scopes.append(part)
        group: JsonObject = {"resource": _write_resource(resource), names.scopes: scopes}
        if resource.schema_url:
            group["schemaUrl"] = resource.schema_url
        groups.append(group)
    return {names.groups: groups}


def _write_resource(resource: Resource) -> JsonObject:
    return compact(
        {
            "attributes": write_attributes(resource.attributes),
            "droppedAttributesCount": resource.dropped_attributes_count,
            "entityRefs": [_write_entity(ref) for ref in resource.entity_refs],
        }
    )


def _write_entity(ref: EntityRef) -> JsonObject:
    return compact(
        {
            "schemaUrl": ref.schema_url,
            "type": ref.type,
            "idKeys": ref.id_keys,
            "descriptionKeys": ref.description_keys,
        }
    )


def _write_scope(scope: Scope) -> JsonObject:
    return compact(
        {
            "name": scope.name,
            "version": scope.version,
            "attributes": write_attributes(scope.attributes),
            "droppedAttributesCount": scope.dropped_attributes_count,
        }
    )
