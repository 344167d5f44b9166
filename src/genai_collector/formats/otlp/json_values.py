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
from genai_collector.formats.otlp.values import MAX_LEVELS
from genai_collector.model import Attributes, Value

READ_LEVELS: Final = MAX_LEVELS - 10
"""So that the value can be written as protobuf wherever it stands, up to an exemplar."""


# --- read -----------------------------------------------------------------------------------


def read_attributes(owner: JsonObject, name: str = "attributes") -> Attributes:
    return dict(fields.each(owner, name, _read_pair))


def _read_pair(pair: JsonObject) -> tuple[str, Value]:
    return fields.string(pair, "key"), read_value(pair, "value")


def read_value(owner: JsonObject, name: str, levels: int = READ_LEVELS) -> Value:
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


def _check_levels(levels: int) -> None:
    if levels < 3:
        raise Fault("", "nested too deep")


def _read_array(owner: JsonObject, levels: int) -> Value:
    _check_levels(levels)
    values: list[Value] = []
    for index, entry in enumerate(fields.array(owner, "values")):
        try:
            # An empty element is a value of its own, so null is not left out here.
            members = {} if entry is None else fields.to_object(entry, "")
            values.append(_read_any(members, levels - 2))
        except Fault as fault:
            raise fault.under(f"arrayValue.values[{index}]") from None
    return values


def _read_kvlist(owner: JsonObject, levels: int) -> Value:
    _check_levels(levels)

    def read(pair: JsonObject) -> tuple[str, Value]:
        return fields.string(pair, "key"), read_value(pair, "value", levels - 3)

    try:
        return dict(fields.each(owner, "values", read))
    except Fault as fault:
        raise fault.under("kvlistValue") from None


# --- write ----------------------------------------------------------------------------------


def write_attributes(attributes: Attributes) -> list[JsonObject]:
    return [{"key": key, "value": write_value(value)} for key, value in attributes.items()]


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
    if levels < 3:
        raise wire.Unencodable(f"a value is nested deeper than {MAX_LEVELS} protobuf levels")
    if isinstance(value, list | tuple):
        values = [write_value(each, levels - 2) for each in value]
        return {"arrayValue": fields.compact({"values": values})}
    if isinstance(value, Mapping):
        pairs = [{"key": k, "value": write_value(v, levels - 3)} for k, v in value.items()]
        return {"kvlistValue": fields.compact({"values": pairs})}
    raise wire.Unencodable(f"OTLP has no value for a Python {type(value).__name__}")
