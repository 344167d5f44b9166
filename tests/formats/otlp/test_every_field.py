"""No field of the protocol is missing: judged by the public descriptors, not by our own list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from genai_collector.formats import otlp
from genai_collector.formats.otlp.wire import delimited
from genai_collector.model import Signal
from tests.formats.otlp.public import REQUEST, parse

PROFILES_ONLY = {"string_value_strindex", "key_strindex"}
"""Fields of the common messages that the protocol forbids outside of profiles."""

_SCALARS: dict[int, object] = {
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_DOUBLE: 1.5,
    FieldDescriptor.TYPE_STRING: "text",
    FieldDescriptor.TYPE_ENUM: 2,
}


def _paths(message: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every field below a message, as the names that lead to it; AnyValue inside AnyValue once."""
    for field in message.fields:
        if field.name in PROFILES_ONLY:
            continue
        yield (*above, field.name)
        if field.message_type is not None and above.count("values") < 2:
            yield from _paths(field.message_type, (*above, field.name))


def _set(message: Any, path: tuple[str, ...], number: int) -> None:
    """Set the field at the end of the path, with the messages on the way and nothing else."""
    name = path[0]
    field = message.DESCRIPTOR.fields_by_name[name]
    if field.message_type is not None:
        below = getattr(message, name)
        if field.is_repeated:
            below = below[0] if below else below.add()
        below.SetInParent()
        if len(path) > 1:
            _set(below, path[1:], number)
        return
    value = _SCALARS.get(field.type, number)
    if field.type == FieldDescriptor.TYPE_BYTES:
        value = bytes(range(16 if name == "trace_id" else 8))
    if field.is_repeated:
        getattr(message, name).extend([value, value])
    else:
        setattr(message, name, value)


def _envelope(signal: Signal) -> tuple[Any, Any, Any]:
    """The fields of a request that hold groups, scopes and items."""
    groups: Any = REQUEST[signal].DESCRIPTOR.fields[0]
    scopes = groups.message_type.fields_by_number[2]
    return groups, scopes, scopes.message_type.fields_by_number[2]


def _with_one_item(signal: Signal) -> Message:
    """A request with one item that says nothing, so that what is around it has a place to live."""
    request = REQUEST[signal]()
    _set(request, tuple(field.name for field in _envelope(signal)), 0)
    return request


@pytest.mark.parametrize("signal", Signal)
def test_every_field_survives(signal: Signal) -> None:
    """A request with one field set means the same after protobuf and after JSON, for each field
    that the public messages know, at every place where it can stand."""
    paths = list(_paths(REQUEST[signal].DESCRIPTOR))
    assert len(paths) > 100
    for number, path in enumerate(paths, start=1):
        request = _with_one_item(signal)
        _set(request, path, number)
        data = request.SerializeToString()
        wanted = parse(signal, data)
        items = otlp.decode(signal, data)
        assert parse(signal, otlp.encode(signal, items)) == wanted, path
        read = otlp.decode_json(signal, otlp.encode_json(signal, items))
        assert read.errors == [], path
        assert parse(signal, otlp.encode(signal, read.items)) == wanted, path


@pytest.mark.parametrize("signal", Signal)
def test_split_submessages_are_merged(signal: Signal) -> None:
    """A message that comes in two halves on the wire is merged, as protobuf demands, also where
    our own descriptors keep it as bytes."""
    groups, scopes, items = _envelope(signal)
    halves = []
    for name in ("first", "second"):
        group = getattr(REQUEST[signal](), groups.name).add()
        group.resource.attributes.add(key=name).value.string_value = name
        part = getattr(group, scopes.name).add()
        part.scope.attributes.add(key=name).value.int_value = 1
        part.scope.name = name
        getattr(part, items.name).add()
        halves.append(group.SerializeToString())
    # Two halves of one group: the resource comes twice and is one.
    data = delimited(b"\x0a", b"".join(halves))
    wanted = parse(signal, data)
    assert len(getattr(wanted, groups.name)[0].resource.attributes) == 2
    assert parse(signal, otlp.encode(signal, otlp.decode(signal, data))) == wanted
