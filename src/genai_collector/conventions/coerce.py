"""Readers of single attribute values: what the producer meant, in the type the conventions ask for.

Every reader takes any value and returns the fact, or None for "not said" and "not readable". None
raises. Producers send numbers as strings, lists as JSON or as Python repr, and empty strings or -1
for "unset"; each reader knows which of these it may meet.
"""

from __future__ import annotations

import ast
import base64
import json
import math
from typing import Final, cast

import orjson

from genai_collector.model import Value

_INT64_MAX: Final = 2**63 - 1
_INT64_MIN: Final = -(2**63)
_LONGEST_LITERAL: Final = 1 << 20
_LONGEST_NUMBER: Final = 64
_BOOLS: Final = {"true": True, "false": False}


def keep(value: Value) -> Value:
    """The value as it is."""
    return value


def text(value: Value) -> str | None:
    """A non-empty string."""
    return value if isinstance(value, str) and value else None


def whole(value: Value) -> int | None:
    """An integer, also from `"7"`, `40.0` or `"40.0"`; only what fits OTLP's int64."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if _INT64_MIN <= value <= _INT64_MAX else None
    if isinstance(value, str):
        value = number(value)
    if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    return None


def count(value: Value) -> int | None:
    """A number of tokens or choices: an integer that is not negative."""
    if type(value) is int and 0 <= value <= _INT64_MAX:
        return value
    found = whole(value)
    return found if found is not None and found >= 0 else None


def number(value: Value) -> float | None:
    """A finite float, also from an int or from `"0.2"`."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, str) and len(value) > _LONGEST_NUMBER:
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def flag(value: Value) -> bool | None:
    """A boolean, also from `"True"`."""
    if isinstance(value, bool):
        return value
    return _BOOLS.get(value.lower()) if isinstance(value, str) else None


def texts(value: Value) -> list[Value] | None:
    """A list of strings, also from `'["stop"]'`, `"['END']"` or one bare string; None if empty."""
    if isinstance(value, str):
        parsed = literal(value)
        value = parsed if isinstance(parsed, list) else [value] if value else None
    if not isinstance(value, list):
        return None
    return [item for item in value if isinstance(item, str)] or None


def from_json(value: str) -> Value:
    """The parsed JSON of a text that is a JSON array or object, otherwise None."""
    if value.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        return cast("Value", orjson.loads(value))
    except ValueError:
        pass
    # NaN, lone surrogates and big integers are refused by orjson and common in practice.
    try:
        return cast("Value", json.loads(value))
    except (ValueError, RecursionError):
        return None


def literal(value: str) -> Value:
    """The list or dict that a text holds as JSON or as Python `repr()`, otherwise None."""
    parsed = from_json(value)
    if parsed is not None or value[:1] not in ("[", "{") or len(value) > _LONGEST_LITERAL:
        return parsed
    try:
        found = ast.literal_eval(value)
        # The round trip leaves only what attribute values can be; tuples become lists.
        return cast("Value", json.loads(json.dumps(found)))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def to_json(value: Value) -> str | None:
    """One line of JSON; None if it nests too deeply. Bytes become base64."""
    try:
        return orjson.dumps(value, default=_plain).decode()
    except TypeError:
        pass
    try:
        return json.dumps(value, default=_plain, ensure_ascii=True, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError):
        return None


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} is no attribute value")
