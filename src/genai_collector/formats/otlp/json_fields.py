"""Reading and writing single fields of OTLP/JSON.

Rules (OTLP specification, JSON Protobuf Encoding): lowerCamelCase names only, unknown fields are
ignored, `null` is absent, ids are hex in either case, 64-bit integers are decimal strings or
numbers, enums are integers or names, doubles may be the strings `NaN`, `Infinity`, `-Infinity`.

A field of the wrong type or out of range is a `Fault`, which collects the path on its way up. It
says which type was found, never the value.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias, TypeVar

JsonObject: TypeAlias = "dict[str, object]"
T = TypeVar("T")


class Fault(Exception):
    """Something in the document is not what OTLP says. `items` are lost with it."""

    def __init__(self, where: str, why: str, items: int = 1) -> None:
        super().__init__(why)
        self.where = where
        self.why = why
        self.items = items

    def under(self, segment: str) -> Fault:
        """The same fault, seen from one level up."""
        self.where = f"{segment}.{self.where}" if self.where else segment
        return self

    def __str__(self) -> str:
        return f"{self.where}: {self.why}" if self.where else self.why


class Range(NamedTuple):
    low: int
    high: int
    name: str


UINT32: Final = Range(0, (1 << 32) - 1, "uint32")
INT32: Final = Range(-(1 << 31), (1 << 31) - 1, "int32")
UINT64: Final = Range(0, (1 << 64) - 1, "uint64")
INT64: Final = Range(-(1 << 63), (1 << 63) - 1, "int64")

_DECIMAL: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)
_DOUBLE: Final = re.compile(r"-?[0-9]{1,400}(\.[0-9]{0,400})?([eE][+-]?[0-9]{1,5})?", re.ASCII)
_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_TYPES: Final[dict[type, str]] = {
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


def found(value: object) -> str:
    """What a value is, in the words of JSON; never the value itself."""
    return _TYPES.get(type(value), "something else")


# --- read -----------------------------------------------------------------------------------


def string(owner: JsonObject, name: str) -> str:
    value = owner.get(name)
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise Fault(name, f"expected a string, found {found(value)}")


def boolean(owner: JsonObject, name: str) -> bool:
    value = owner.get(name)
    if value is None:
        return False
    if type(value) is bool:
        return value
    raise Fault(name, f"expected a boolean, found {found(value)}")


def integer(owner: JsonObject, name: str, within: Range) -> int:
    value = owner.get(name)
    return 0 if value is None else to_integer(value, name, within)


def to_integer(value: object, name: str, within: Range) -> int:
    if type(value) is int:
        number = value
    elif (type(value) is str and _DECIMAL.fullmatch(value)) or (
        type(value) is float and value.is_integer()
    ):
        number = int(value)
    else:
        raise Fault(name, f"expected an integer, found {found(value)}")
    if within.low <= number <= within.high:
        return number
    raise Fault(name, f"out of the range of {within.name}")


def optional_double(owner: JsonObject, name: str) -> float | None:
    value = owner.get(name)
    return None if value is None else to_double(value, name)


def double(owner: JsonObject, name: str) -> float:
    value = owner.get(name)
    return 0.0 if value is None else to_double(value, name)


def to_double(value: object, name: str) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise Fault(name, "out of the range of double") from None
    if type(value) is str:
        if value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if _DOUBLE.fullmatch(value):
            return float(value)
    raise Fault(name, f"expected a number, found {found(value)}")


def enum(owner: JsonObject, name: str, names: Mapping[str, int]) -> int:
    """An integer that our table may not know yet, or a name that it must know."""
    value = owner.get(name)
    if value is None:
        return 0
    if type(value) is str:
        if value in names:
            return names[value]
        raise Fault(name, "unknown name of an enum value")
    return to_integer(value, name, INT32)


def identifier(owner: JsonObject, name: str, length: int) -> bytes:
    """A trace or span id in hex; "" or absent means none."""
    value = owner.get(name)
    if value is None or value == "":
        return b""
    if type(value) is not str:
        raise Fault(name, f"expected hex digits, found {found(value)}")
    if len(value) == 2 * length:
        try:
            raw = bytes.fromhex(value)
        except ValueError:
            raw = b""
        if len(raw) == length:  # fromhex() skips blanks
            return raw
        raise Fault(name, f"expected {2 * length} hex digits, found other characters")
    raise Fault(name, f"expected {2 * length} hex digits, found {len(value)} characters")


def to_bytes(value: object, name: str) -> bytes:
    """Base64, standard or URL-safe, with or without padding."""
    if type(value) is not str:
        raise Fault(name, f"expected base64, found {found(value)}")
    text = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise Fault(name, "not base64") from None


def array(owner: JsonObject, name: str) -> list[object]:
    value = owner.get(name)
    if type(value) is list:
        return value
    if value is None:
        return []
    raise Fault(name, f"expected an array, found {found(value)}")


def child(owner: JsonObject, name: str) -> JsonObject | None:
    value = owner.get(name)
    return None if value is None else to_object(value, name)


def to_object(value: object, name: str) -> JsonObject:
    if type(value) is dict:
        return value
    raise Fault(name, f"expected an object, found {found(value)}")


def each(owner: JsonObject, name: str, read: Callable[[JsonObject], T]) -> list[T]:
    """Every object of an array, read; `null` elements are absent."""
    results: list[T] = []
    for index, entry in enumerate(array(owner, name)):
        try:
            if entry is not None:
                results.append(read(to_object(entry, "")))
        except Fault as fault:
            raise fault.under(f"{name}[{index}]") from None
    return results


def scalars(owner: JsonObject, name: str, read: Callable[[object, str], T]) -> list[T]:
    """Every scalar of an array, read."""
    return [read(entry, f"{name}[{at}]") for at, entry in enumerate(array(owner, name))]


def to_string(value: object, name: str) -> str:
    if type(value) is str:
        return value
    raise Fault(name, f"expected a string, found {found(value)}")


def to_uint64(value: object, name: str) -> int:
    return to_integer(value, name, UINT64)


# --- write ----------------------------------------------------------------------------------


def compact(fields: dict[str, object]) -> JsonObject:
    """Without what proto3 leaves out: empty strings and arrays, 0, False, None. Doubles stay; the
    caller has turned those that are a default into None."""
    return {name: value for name, value in fields.items() if value or type(value) is float}


def int64_text(number: int) -> str:
    """Decimal digits, or nothing for the default 0."""
    return str(number) if number else ""


def double_json(value: float) -> float | str:
    """JSON has no NaN and no infinities; OTLP writes their names as strings."""
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if number != number else ("Infinity" if number > 0 else "-Infinity")  # noqa: PLR0124


def optional_double_json(value: float | None) -> float | str | None:
    return None if value is None else double_json(value)


def default_double_json(value: float) -> float | str | None:
    """None for the default, which +0.0 is and -0.0 is not."""
    return None if value == 0 and math.copysign(1.0, value) > 0 else double_json(value)
