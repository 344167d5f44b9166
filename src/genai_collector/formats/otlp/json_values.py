"""Attributes and AnyValues in OTLP/JSON, both directions.

`{"stringValue": ...}`, one member of six; `{}` is `None`. Of several members the last one wins,
as it does in protobuf; of several attributes with one key, too.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Final

from genai_collector.formats.otlp import json_fields as fields
from genai_collector.formats.otlp import wire
from genai_collector.formats.otlp.json_fields import Fault, JsonObject
from genai_collector.formats.otlp.values import MAX_LEVELS, MIN_LEVELS, descend
from genai_collector.model import Attributes, Value

# --- read -----------------------------------------------------------------------------------


def read_attributes(owner: JsonObject, name: str = "attributes") -> Attributes:
    found: Attributes = {}
    for index, entry in enumerate(fields.array(owner, name)):
        # Nine of ten attributes are plain strings: read those here, the rest in full.
        if type(entry) is dict:
            key, value = entry.get("key"), entry.get("value")
            if type(key) is str and type(value) is dict and len(value) == 1:
                text = value.get("stringValue")
                if type(text) is str:
                    found[key] = text
                    continue
        elif entry is None:
            continue
        try:
            key, result = _read_pair(fields.to_object(entry, ""))
        except Fault as fault:
            raise fault.under(f"{name}[{index}]") from None
        found[key] = result
    return found


def _read_pair(pair: JsonObject) -> tuple[str, Value]:
    return fields.string(pair, "key"), read_value(pair, "value")


def read_value(owner: JsonObject, name: str, levels: int = MIN_LEVELS) -> Value:
    """The AnyValue under this name; absent is None. Raises Fault."""
    value = owner.get(name)
    if value is None:
        return None
    try:
        return _read_any(fields.to_object(value, ""), levels)
    except Fault as fault:
        raise fault.under(name) from None


def _read_any(members: JsonObject, levels: int) -> Value:
    result: Value = None
    for name, content in members.items():
        if content is None:
            continue
        if name == "stringValue":
            result = content if type(content) is str else fields.to_string(content, name)
        elif name in _SCALARS:
            result = _SCALARS[name](content, name)
        elif name == "arrayValue":
            result = _read_array(fields.to_object(content, name), levels)
        elif name == "kvlistValue":
            result = _read_kvlist(fields.to_object(content, name), levels)
    return result


def _to_boolean(value: object, name: str) -> Value:
    if type(value) is bool:
        return value
    raise Fault(name, f"expected a boolean, found {fields.found(value)}")


def _to_int64(value: object, name: str) -> Value:
    return fields.to_integer(value, name, fields.INT64)


_SCALARS: Final[dict[str, Callable[[object, str], Value]]] = {
    "intValue": _to_int64,
    "doubleValue": fields.to_double,
    "boolValue": _to_boolean,
    "bytesValue": fields.to_bytes,
}


def _descend(levels: int, taken: int) -> int:
    if levels < taken:
        raise Fault("", "nested too deep")
    return levels - taken


def _read_array(owner: JsonObject, levels: int) -> Value:
    left = _descend(levels, 2)
    values: list[Value] = []
    for index, entry in enumerate(fields.array(owner, "values")):
        try:
            # An empty element is a value of its own, so null is not left out here.
            members = {} if entry is None else fields.to_object(entry, "")
            values.append(_read_any(members, left))
        except Fault as fault:
            raise fault.under(f"arrayValue.values[{index}]") from None
    return values


def _read_kvlist(owner: JsonObject, levels: int) -> Value:
    left = _descend(levels, 3)

    def read(pair: JsonObject) -> tuple[str, Value]:
        return fields.string(pair, "key"), read_value(pair, "value", left)

    try:
        return dict(fields.each(owner, "values", read))
    except Fault as fault:
        raise fault.under("kvlistValue") from None


# --- write ----------------------------------------------------------------------------------


def write_attributes(attributes: Attributes) -> list[JsonObject]:
    return [
        {"key": key, "value": {"stringValue": value}}
        if type(value) is str and type(key) is str
        else _write_pair(key, value, MAX_LEVELS)
        for key, value in attributes.items()
    ]


def _write_pair(key: str, value: Value, levels: int) -> JsonObject:
    if not isinstance(key, str):
        raise wire.Unencodable(f"an attribute key must be a string, not {type(key).__name__}")
    return {"key": key, "value": write_value(value, levels)}


def write_value(value: Value, levels: int = MAX_LEVELS) -> JsonObject:
    """The AnyValue. Raises `Unencodable` as the protobuf encoder does."""
    if isinstance(value, str):
        return {"stringValue": value}
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        fits = wire.INT64_MIN <= value <= wire.INT64_MAX
        return {"intValue" if fits else "stringValue": str(int(value))}
    if isinstance(value, float):
        return {"doubleValue": fields.double_json(value)}
    if isinstance(value, bytes | bytearray):
        return {"bytesValue": base64.b64encode(value).decode("ascii")}
    if isinstance(value, list | tuple):
        left = descend(levels, 2 if value else 1)
        return {"arrayValue": fields.compact({"values": [write_value(v, left) for v in value]})}
    if isinstance(value, Mapping):
        left = descend(levels, 3 if value else 1)
        pairs = [_write_pair(k, v, left) for k, v in value.items()]
        return {"kvlistValue": fields.compact({"values": pairs})}
    raise wire.Unencodable(f"OTLP has no value for a Python {type(value).__name__}")
