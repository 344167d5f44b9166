"""Writing protobuf's wire format: varints, tags and length-delimited fields.

Only the writing half lives here. Reading is done by the protobuf runtime over the private
descriptors (see `descriptors`). Source: the protobuf encoding specification.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from genai_collector.errors import Permanent

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

UINT64_MASK: Final = (1 << 64) - 1
INT64_MIN: Final = -(1 << 63)
INT64_MAX: Final = (1 << 63) - 1

_ONE_BYTE: Final = [bytes((n,)) for n in range(128)]
_pack_double: Final = struct.Struct("<d").pack
_pack_fixed64: Final = struct.Struct("<Q").pack
_pack_sfixed64: Final = struct.Struct("<q").pack
_pack_fixed32: Final = struct.Struct("<I").pack
_ZERO: Final = _pack_double(0.0)


class Unencodable(Permanent):
    """A value that OTLP cannot carry, put there by a processor or a foreign format."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="unencodable", data_fault=True)


def varint(n: int) -> bytes:
    """Base-128 varint of a non-negative int below 2**64."""
    if n < 128:
        return _ONE_BYTE[n]
    if n < 16384:
        return bytes((n & 127 | 128, n >> 7))
    if n < 2097152:
        return bytes((n & 127 | 128, n >> 7 & 127 | 128, n >> 14))
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def tag(field: int, wire_type: int) -> bytes:
    return varint(field << 3 | wire_type)


def delimited(prefix: bytes, body: bytes) -> bytes:
    """A length-delimited field, whatever its body; `prefix` is the tag."""
    return prefix + varint(len(body)) + body


def framed(prefix: bytes, parts: list[bytes]) -> list[bytes]:
    """The same as `delimited`, of a body in parts, which are not copied yet."""
    return [prefix, varint(sum(map(len, parts))), *parts]


def double(value: float) -> bytes:
    """Eight bytes, bit for bit (NaN and negative zero survive)."""
    return _pack_double(value)


def doubles(values: Sequence[float]) -> bytes:
    """The body of a packed `repeated double`."""
    return struct.pack(f"<{len(values)}d", *values)


def fixed64s(values: Sequence[int]) -> bytes:
    """The body of a packed `repeated fixed64`."""
    try:
        return struct.pack(f"<{len(values)}Q", *values)
    except struct.error:
        raise Unencodable("a bucket count is out of the range of fixed64") from None


def uint64s(values: Iterable[int]) -> bytes:
    """The body of a packed `repeated uint64`."""
    return b"".join([varint(_unsigned(value)) for value in values])


def _unsigned(value: int) -> int:
    if not 0 <= value <= UINT64_MASK:
        raise Unencodable("a bucket count is out of the range of uint64")
    return value


def utf8(text: str) -> bytes:
    """UTF-8. Lone surrogates, which JSON sources may bring, become U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return scrub(text).encode()


def scrub(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class Field:
    """One singular field: writes its tag and value, or nothing for proto3's default."""

    __slots__ = ("_name", "_prefix")

    def __init__(self, name: str, number: int, wire_type: int) -> None:
        self._name = name
        self._prefix = tag(number, wire_type)

    def _refuse(self, value: object) -> Unencodable:
        return Unencodable(f"{self._name}: out of range or no number ({type(value).__name__})")


class StringField(Field):
    __slots__ = ()

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name, number, BYTES)

    def write(self, value: str) -> bytes:
        if not value:
            return b""
        return delimited(self._prefix, utf8(value))


class BytesField(Field):
    """Bytes, and submessages that are left out when empty."""

    __slots__ = ()

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name, number, BYTES)

    def write(self, value: bytes) -> bytes:
        if not value:
            return b""
        return delimited(self._prefix, value)

    def write_present(self, value: bytes) -> bytes:
        """Also when empty: for elements of repeated fields, and where presence means something."""
        return delimited(self._prefix, value)


class VarintField(Field):
    """uint32, uint64, int32, enum and bool. Negative numbers take ten bytes, as protobuf has it."""

    __slots__ = ("_high", "_low")

    def __init__(self, name: str, number: int, low: int, high: int) -> None:
        super().__init__(name, number, VARINT)
        self._low = low
        self._high = high

    def write(self, value: int) -> bytes:
        if not value:
            return b""
        if not self._low <= value <= self._high:
            raise self._refuse(value)
        return self._prefix + varint(value & UINT64_MASK)


def uint32_field(name: str, number: int) -> VarintField:
    return VarintField(name, number, 0, (1 << 32) - 1)


def enum_field(name: str, number: int) -> VarintField:
    return VarintField(name, number, -(1 << 31), (1 << 31) - 1)


class SintField(Field):
    """sint32, zigzag."""

    __slots__ = ()

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name, number, VARINT)

    def write(self, value: int) -> bytes:
        if not value:
            return b""
        if not -(1 << 31) <= value < 1 << 31:
            raise self._refuse(value)
        return self._prefix + varint((value << 1) ^ (value >> 31))


class Fixed64Field(Field):
    __slots__ = ()

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name, number, FIXED64)

    def write(self, value: int) -> bytes:
        if not value:
            return b""
        try:
            return self._prefix + _pack_fixed64(value)
        except struct.error:
            raise self._refuse(value) from None


class Fixed32Field(Field):
    __slots__ = ()

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name, number, FIXED32)

    def write(self, value: int) -> bytes:
        if not value:
            return b""
        try:
            return self._prefix + _pack_fixed32(value)
        except struct.error:
            raise self._refuse(value) from None


class DoubleField(Field):
    __slots__ = ()

    def __init__(self, name: str, number: int) -> None:
        super().__init__(name, number, FIXED64)

    def write(self, value: float) -> bytes:
        """Nothing for +0.0; negative zero is not the default."""
        packed = _pack_double(value)
        return b"" if packed == _ZERO else self._prefix + packed

    def write_optional(self, value: float | None) -> bytes:
        """Nothing for None only: the field has presence."""
        return b"" if value is None else self._prefix + _pack_double(value)


class NumberValue:
    """The `as_double` / `as_int` oneof of data points and exemplars."""

    __slots__ = ("_as_double", "_as_int")

    def __init__(self, as_double: int, as_int: int) -> None:
        self._as_double = tag(as_double, FIXED64)
        self._as_int = tag(as_int, FIXED64)

    def write(self, value: int | float | None) -> bytes:
        if value is None:
            return b""
        if isinstance(value, float):
            return self._as_double + _pack_double(value)
        if INT64_MIN <= value <= INT64_MAX:
            return self._as_int + _pack_sfixed64(value)
        # Wider than the field: the nearest double rather than no value at all.
        return self._as_double + _pack_double(nearest_double(value))


def nearest_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise Unencodable("a number is out of the range of double") from None
