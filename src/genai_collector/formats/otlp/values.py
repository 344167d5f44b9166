"""Attributes and AnyValues, protobuf in both directions, with memos.

Most attributes repeat in every span (provider, model, service, sdk), so the bytes of a short
scalar KeyValue are remembered with what they mean, and the other way round. Never remembered:
lists and dicts, which their owner may change, long values, and floats on the way out, where
0.0 == -0.0 and NaN != NaN would confuse the memo. A memo is emptied when it is full: the few
dozen attributes that matter are back at once.

An AnyValue with nothing set is `None`, and so is a KeyValue without a value. When a key occurs
twice the last one wins (the specification forbids it; senders with a bug do it).
`string_value_strindex` and `key_strindex` belong to profiles only and are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

from genai_collector.formats.otlp import wire
from genai_collector.formats.otlp.messages import (
    AnyValueMessage,
    parse_any_value,
    parse_key_value,
)
from genai_collector.model import Attributes, Value

_Hashed = TypeVar("_Hashed", str, int, bool)

MAX_LEVELS: Final = 100
"""Nested messages that protobuf parsers accept. A list takes two of them, a dict three."""

_MEMO_ENTRIES: Final = 4096
_MEMO_BYTES: Final = 128
"""KeyValues longer than this are not remembered."""


# --- decode ---------------------------------------------------------------------------------


class _PairMemo(dict[bytes, "tuple[str, Value]"]):
    """KeyValue bytes -> (key, value). Reading a key that is not there parses it."""

    def __missing__(self, raw: bytes) -> tuple[str, Value]:
        message = parse_key_value(raw)
        value = read_any_value(message.value)
        pair = message.key, value
        if len(raw) <= _MEMO_BYTES and type(value) is not list and type(value) is not dict:
            if len(self) >= _MEMO_ENTRIES:
                self.clear()
            self[raw] = pair
        return pair


_read_pair: Final = _PairMemo().__getitem__


def read_attributes(encoded: Iterable[bytes]) -> Attributes:
    """The attributes of a list of encoded KeyValues; a later duplicate wins."""
    return dict(map(_read_pair, encoded))


def read_any_value(message: AnyValueMessage) -> Value:
    which = message.WhichOneof("value")
    if which == "string_value":
        return message.string_value
    if which == "array_value":
        return [read_any_value(value) for value in message.array_value.values]
    if which == "kvlist_value":
        return {pair.key: read_any_value(pair.value) for pair in message.kvlist_value.values}
    if which == "int_value":
        return message.int_value
    if which == "double_value":
        return message.double_value
    if which == "bool_value":
        return message.bool_value
    return message.bytes_value if which == "bytes_value" else None


def decode_any_value(encoded: bytes) -> Value:
    """The value of encoded AnyValue bytes (a log record's body)."""
    return read_any_value(parse_any_value(encoded))


# --- encode ---------------------------------------------------------------------------------

_KEY: Final = wire.tag(1, wire.BYTES)
_VALUE: Final = wire.tag(2, wire.BYTES)
_STRING: Final = wire.tag(1, wire.BYTES)
_INT: Final = wire.tag(3, wire.VARINT)
_DOUBLE: Final = wire.tag(4, wire.FIXED64)
_ARRAY: Final = wire.tag(5, wire.BYTES)
_KVLIST: Final = wire.tag(6, wire.BYTES)
_BYTES: Final = wire.tag(7, wire.BYTES)
_ELEMENT: Final = wire.tag(1, wire.BYTES)
_TRUE: Final = b"\x10\x01"
_FALSE: Final = b"\x10\x00"


def encode_any_value(value: Value, levels: int = MAX_LEVELS) -> bytes:
    """AnyValue bytes. Raises `Unencodable` for what is no Value or is nested too deep.

    An int beyond 64 bits is written as its decimal digits, since AnyValue has nothing wider.
    """
    if isinstance(value, str):
        return wire.delimited(_STRING, wire.utf8(value))
    if value is None:
        return b""
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, int):
        if wire.INT64_MIN <= value <= wire.INT64_MAX:
            return _INT + wire.varint(value & wire.UINT64_MASK)
        return wire.delimited(_STRING, b"%d" % value)
    if isinstance(value, float):
        return _DOUBLE + wire.double(value)
    if isinstance(value, bytes | bytearray):
        return wire.delimited(_BYTES, bytes(value))
    if levels < 3:
        raise wire.Unencodable(f"a value is nested deeper than {MAX_LEVELS} protobuf levels")
    if isinstance(value, list | tuple):
        body = [wire.delimited(_ELEMENT, encode_any_value(each, levels - 2)) for each in value]
        return wire.delimited(_ARRAY, b"".join(body))
    if isinstance(value, Mapping):
        pairs = [
            wire.delimited(_ELEMENT, _encode_pair(key, each, levels - 3))
            for key, each in value.items()
        ]
        return wire.delimited(_KVLIST, b"".join(pairs))
    raise wire.Unencodable(f"OTLP has no value for a Python {type(value).__name__}")


def _encode_pair(key: str, value: Value, levels: int = MAX_LEVELS) -> bytes:
    if not isinstance(key, str):
        raise wire.Unencodable(f"an attribute key must be a string, not {type(key).__name__}")
    name = wire.delimited(_KEY, wire.utf8(key)) if key else b""
    return name + wire.delimited(_VALUE, encode_any_value(value, levels))


class AttributesField:
    """A `repeated KeyValue` field of one number: attributes -> bytes, tags included."""

    __slots__ = ("_booleans", "_integers", "_prefix", "_strings")

    def __init__(self, number: int) -> None:
        self._prefix = wire.tag(number, wire.BYTES)
        # One memo per type, because "1", 1 and True must not meet (1 == True).
        self._strings: dict[tuple[str, str], bytes] = {}
        self._integers: dict[tuple[str, int], bytes] = {}
        self._booleans: dict[tuple[str, bool], bytes] = {}

    def write(self, attributes: Attributes) -> bytes:
        strings, integers, booleans = self._strings, self._integers, self._booleans
        parts: list[bytes] = []
        for key, value in attributes.items():
            kind = type(value)
            found: bytes | None = None
            if kind is str:
                found = strings.get((key, value))  # type: ignore[arg-type]
            elif kind is int:
                found = integers.get((key, value))  # type: ignore[arg-type]
            elif kind is bool:
                found = booleans.get((key, value))  # type: ignore[arg-type]
            parts.append(self._encode(key, value) if found is None else found)
        return b"".join(parts)

    def _encode(self, key: str, value: Value) -> bytes:
        try:
            encoded = wire.delimited(self._prefix, _encode_pair(key, value))
        except wire.Unencodable as error:
            raise wire.Unencodable(f"attribute {key!r}: {error}") from None
        if len(encoded) <= _MEMO_BYTES:
            if type(value) is str:
                _remember(self._strings, (key, value), encoded)
            elif type(value) is int:
                _remember(self._integers, (key, value), encoded)
            elif type(value) is bool:
                _remember(self._booleans, (key, value), encoded)
        return encoded


def _remember(
    memo: dict[tuple[str, _Hashed], bytes], key: tuple[str, _Hashed], encoded: bytes
) -> None:
    if len(memo) >= _MEMO_ENTRIES:
        memo.clear()
    memo[key] = encoded
