"""Values as JavaScript sees them, because the reference implementation is JavaScript.

Langfuse's mapper turns an attribute into a plain JavaScript value, and many of its rules hang on
what JavaScript does with one: what is falsy, what `Number("")` is, how `JSON.stringify` writes a
float. Here those few behaviours have names, so that the rules elsewhere read as rules.
Rules: 3.1 of the Langfuse mapping (attribute values) and ECMA-262.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeAlias

import orjson

from genai_collector.model import Attributes, Value

JSON: TypeAlias = "str | bool | int | float | list[JSON] | dict[str, JSON] | None"
"""A plain JSON value; `None` stands for both null and undefined."""

PlainAttributes: TypeAlias = "Mapping[str, JSON]"

NAN: Final = float("nan")
MAX_DEPTH: Final = 128
"""JSON text nested deeper than this stays text: nobody writes it by hand, encoders choke on it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND: Final = 253_402_300_799
_MINUTES: Final = tuple(f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440))
_SECONDS: Final = tuple(f"{second:02d}" for second in range(60))
_FRACTIONS: Final = tuple(f".{fraction:03d}Z" for fraction in range(1000))
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INTEGER: Final = re.compile(r"\s*([+-]?\d+)")
_BASES: Final = {"0x": 16, "0o": 8, "0b": 2}


def plain_attributes(attributes: Attributes) -> dict[str, JSON]:
    """The attributes as plain JSON values."""
    return {key: plain(value) for key, value in attributes.items()}


def is_plain(value: Value) -> bool:
    """Whether the value is a JSON value already, with finite numbers only."""
    kind = type(value)
    if kind is str or kind is int or kind is bool:
        return True
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]
    if kind is list:
        for item in value:  # type: ignore[union-attr]  # noqa: SIM110  a loop is twice as fast
            if type(item) is not str and not is_plain(item):
                return False
        return True
    return False


def plain(value: Value) -> JSON:
    """One attribute value: maps, bytes and empty values become the JSON text of their wrapper."""
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else js_number(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return js_text(_wrapper(value))


def _wrapper(value: Value) -> JSON:
    """The OTLP/JSON `AnyValue` that carried this value."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else js_number(value)}
    if isinstance(value, bytes):
        return {"bytesValue": base64.b64encode(value).decode("ascii")}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_wrapper(item) for item in value]}}
    pairs: list[JSON] = [{"key": key, "value": _wrapper(item)} for key, item in value.items()]
    return {"kvlistValue": {"values": pairs}}


def truthy(value: JSON) -> bool:
    """JavaScript's truth: an empty list or object is true."""
    return bool(value) or isinstance(value, list | dict)


def says_true(value: JSON) -> bool:
    """Whether a flag is set: true or "true", and nothing else (1 is not)."""
    return value is True or value == "true"


def first_truthy(attributes: PlainAttributes, keys: Iterable[str]) -> JSON:
    """The first truthy value under these keys, else None."""
    for key in keys:
        value = attributes.get(key)
        if value or value == []:
            return value
    return None


def first_present(attributes: PlainAttributes, keys: Iterable[str]) -> JSON:
    """The first value that is there at all under these keys (`??`), else None."""
    for key in keys:
        value = attributes.get(key)
        if value is not None:
            return value
    return None


def text(value: JSON) -> str | None:
    """Strings as they are, other values as JSON text, None as None."""
    return value if isinstance(value, str) or value is None else js_text(value)


def js_number(value: float) -> str:
    """A number as JavaScript prints it."""
    # orjson writes the same digits as repr, faster, and fewer numbers with an exponent.
    shown = orjson.dumps(value).decode()
    if shown.endswith(".0"):
        return shown[:-2] if value else "0"
    if "e" not in shown and "n" not in shown:  # neither an exponent nor `null`
        return shown
    if not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124
    shown = repr(value)
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(shown), "f")
    mantissa, _, exponent = shown.partition("e")
    return f"{mantissa}e{int(exponent):+d}"


def js_string(value: JSON) -> str:
    """`String(value)`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(["" if item is None else js_string(item) for item in value])
    if isinstance(value, dict):
        return "[object Object]"
    return js_text(value)


def js_text(value: JSON) -> str:
    """`JSON.stringify(value)`: compact, and numbers as JavaScript prints them."""
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if value is None:
        return "null"
    if kind is float:
        return js_number(value) if math.isfinite(value) else "null"  # type: ignore[arg-type]
    if isinstance(value, list):
        return _list_text(value)
    if isinstance(value, dict):
        pairs = [f"{_quoted(key)}:{js_text(item)}" for key, item in value.items()]
        return "{" + ",".join(pairs) + "}"
    assert isinstance(value, str)
    return _quoted(value)


def _list_text(value: list[JSON]) -> str:
    for item in value:
        if type(item) is not str:
            return "[" + ",".join([js_text(item) for item in value]) + "]"
    return _quoted(value)


def _quoted(value: str | list[JSON]) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:  # a lone surrogate, which JSON can only write escaped
        return json.dumps(value)


def to_number(value: JSON) -> int | float:
    """`Number(value)`: NaN for what is no number, 0 for an empty string."""
    if isinstance(value, int | float):
        return int(value) if isinstance(value, bool) else value
    if value is None:
        return 0
    if isinstance(value, dict):
        return NAN
    stripped = js_string(value).strip()
    if not stripped:
        return 0
    if stripped.isascii() and stripped.isdigit() and len(stripped) < 400:
        return int(stripped)
    return _parse_number(stripped)


def _parse_number(stripped: str) -> int | float:
    if _NUMBER.fullmatch(stripped):
        number = float(stripped)
        return int(number) if number == number // 1 and abs(number) < 2**53 else number
    if stripped in {"Infinity", "+Infinity", "-Infinity"}:
        return float(stripped.replace("Infinity", "inf"))
    base = _BASES.get(stripped[:2].lower())
    try:
        return int(stripped[2:], base) if base and "_" not in stripped else NAN
    except ValueError:
        return NAN


def parse_int(value: str) -> int | None:
    """`parseInt(value)` in base ten: leading digits, or None."""
    found = _INTEGER.match(value)
    return int(found[1]) if found and len(found[1]) < 400 else None


def parse_json(value: str) -> JSON:
    """`JSON.parse(value)`. Raises ValueError for what is no JSON, or is nested absurdly deep."""
    try:
        parsed: JSON = orjson.loads(value)
    except orjson.JSONDecodeError:
        parsed = _parse_leniently(value)
    if value.count("[") + value.count("{") > MAX_DEPTH and _is_deep(parsed):
        raise ValueError("nested too deep")
    return parsed


def _parse_leniently(value: str) -> JSON:
    """What orjson refuses and JSON allows: lone surrogates, huge integers."""
    try:
        parsed: JSON = json.loads(value, parse_constant=_refuse_constant)
    except RecursionError as exc:
        raise ValueError("nested too deep") from exc
    return parsed


def _refuse_constant(name: str) -> JSON:
    raise ValueError(f"{name} is no JSON")


def _is_deep(value: JSON) -> bool:
    level: list[JSON] = [value]
    for _ in range(MAX_DEPTH):
        below: list[JSON] = []
        for item in level:
            if isinstance(item, list):
                below += item
            elif isinstance(item, dict):
                below += item.values()
        if not below:
            return False
        level = below
    return True


def parse_payload(value: JSON) -> JSON:
    """Objects and lists as they are, JSON text parsed, anything else (or bad JSON) None."""
    if isinstance(value, list | dict):
        return value
    if isinstance(value, str):
        try:
            return parse_json(value)
        except ValueError:
            return None
    return None


def as_object(value: JSON) -> dict[str, JSON] | None:
    """The value if it is a JSON object."""
    return value if isinstance(value, dict) else None


@lru_cache(maxsize=1024)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).isoformat()[:10]


def iso_from_ms(milliseconds: int) -> str:
    """`2025-04-30T15:28:50.686Z`, the precision that Langfuse stores."""
    seconds, fraction = divmod(milliseconds, 1000)
    if not 0 <= seconds <= _LAST_SECOND:
        seconds = 0 if seconds < 0 else _LAST_SECOND
    minutes, second = divmod(seconds, 60)
    days, minute = divmod(minutes, 1440)
    return _day(days) + _MINUTES[minute] + _SECONDS[second] + _FRACTIONS[fraction]


def iso_from_ns(nanoseconds: int) -> str:
    """The same from nanoseconds, which are cut, not rounded."""
    return iso_from_ms(nanoseconds // 1_000_000)
