"""OTLP values as JSON and back, exactly.

Strings, booleans, null, finite doubles and integers below 2**53 are themselves. What JSON cannot
hold, or what many readers would round, is an object with one key that begins with a dollar sign:

    {"$int": "9223372036854775807"}   {"$bytes": "base64"}   {"$float": "NaN"}

A key-value list of the producer's own that looks like that is wrapped as `{"$map": {...}}`.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from typing import Final

import orjson

from genai_collector.formats.json_text import dumps
from genai_collector.model import Attributes, Value

_SAFE: Final = 2**53 - 1
MAX_READABLE_DEPTH: Final = 100
_PLAIN: Final = frozenset({str, int, bool, type(None)})
_FLOATS: Final[dict[str, float]] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def pack(value: Value) -> Value:
    """The JSON form of one value."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if isinstance(value, int):
        return value if -_SAFE <= value <= _SAFE else {"$int": str(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": _float_name(value)}
    if isinstance(value, list):
        return [pack(item) for item in value]
    if isinstance(value, dict):
        packed = pack_attributes(value)
        return {"$map": packed} if _looks_tagged(packed) else packed
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    return value


def pack_attributes(attributes: Attributes) -> dict[str, Value]:
    """The JSON form of attributes; never wrapped, because their place says what they are."""
    return {key: value if type(value) is str else pack(value) for key, value in attributes.items()}


def packed_text(raw: Value, pack_all: Callable[[], Value]) -> str:
    """The JSON text of what `pack_all()` gives; `raw` is the same with its values not packed.

    Nearly all telemetry needs no tag, so the raw value is written first, and the result is used
    unless orjson refused (bytes, long integers) or a tag is needed (a null may have been NaN).
    """
    try:
        text = orjson.dumps(raw, option=orjson.OPT_STRICT_INTEGER)
    except (TypeError, RecursionError):
        text = b"null"
    if b"null" in text or b'{"$' in text:
        text = dumps(pack_all())
    return text.decode("utf-8")


def packed_attributes_text(attributes: Attributes) -> str:
    """The JSON text of attributes."""
    return packed_text(attributes, lambda: pack_attributes(attributes))


def _looks_tagged(value: Mapping[str, Value]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith("$")


def _float_name(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def unpack(value: Value) -> Value:
    """The value again. Raises ValueError, KeyError or TypeError for what `pack` never writes."""
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if isinstance(value, dict):
        if _looks_tagged(value):
            [(tag, inner)] = value.items()
            return _UNPACK[tag](inner)
        return unpack_attributes(value)
    return value


def unpack_attributes(value: Value) -> Attributes:
    """The attributes again. Raises TypeError when it is no object."""
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return {key: item if type(item) is str else unpack(item) for key, item in value.items()}


def _unpack_int(text: Value) -> Value:
    if not isinstance(text, str):
        raise TypeError("not a decimal string")
    return int(text)


def _unpack_bytes(text: Value) -> Value:
    if not isinstance(text, str):
        raise TypeError("not a base64 string")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError("not base64") from exc


def _unpack_float(text: Value) -> Value:
    if not isinstance(text, str):
        raise TypeError("not a name of a float")
    return _FLOATS[text]


_UNPACK: Final[dict[str, Callable[[Value], Value]]] = {
    "$int": _unpack_int,
    "$bytes": _unpack_bytes,
    "$float": _unpack_float,
    "$map": unpack_attributes,
}


def readable(value: Value, levels: int = MAX_READABLE_DEPTH) -> Value:
    """A JSON value for people and search engines to read: bytes as base64, NaN as its name.

    What is nested deeper than `levels` is cut; the whole value is kept elsewhere.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float):
        return value if math.isfinite(value) else _float_name(value)
    if levels == 0:
        return "[nested too deeply]"
    if isinstance(value, list):
        return [v if type(v) in _PLAIN else readable(v, levels - 1) for v in value]
    if isinstance(value, dict):
        return {
            key: v if type(v) in _PLAIN else readable(v, levels - 1) for key, v in value.items()
        }
    return value
