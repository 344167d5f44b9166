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

import struct
from collections.abc import Iterable, Mapping
from typing import Final, cast

from genai_collector.formats.otlp import wire
from genai_collector.formats.otlp.messages import (
    AnyValueMessage,
    parse_any_value,
    parse_key_value,
)
from genai_collector.model import Attributes, Value

MAX_LEVELS: Final = 96
MIN_LEVELS: Final = 92
"""How many messages may be nested below an AnyValue. Protobuf parsers refuse more than 100 in all,
and an AnyValue starts four levels down in a resource, eight in an exemplar. A list takes two
levels, a dict three."""

_MEMO_ENTRIES: Final = 2048
"""A memo this full starts anew: the ids and timings that each span has of its own fill it, and
what all spans share is back after one of them."""
_MEMO_BYTES: Final = 128
"""KeyValues longer than this are not remembered."""
_MEMO_CHARACTERS: Final = 24
"""Texts longer than this are written anew each time: most of them are ids, times and JSON."""


# --- decode ---------------------------------------------------------------------------------


class _PairMemo(dict[bytes, "tuple[str, Value]"]):
    """KeyValue bytes -> (key, value). Reading one that is not there parses it."""

    __slots__ = ("_lists",)

    def __init__(self) -> None:
        super().__init__()
        self._lists: dict[bytes, tuple[str, list[Value]]] = {}

    def __missing__(self, raw: bytes) -> tuple[str, Value]:
        """The layout that every encoder writes (key, value, nothing else) is read here, for a
        dozen of each span's attributes are its own; the protobuf runtime reads what differs by a
        single byte, and judges whether it is valid.

        Tags: string_value 0x0a, bool_value 0x10, int_value 0x18, double_value 0x21."""
        try:
            at = raw[1] + 3
            key = _recall_key(raw[:at])
            if key is None:
                return self._read(raw)
            size, kind, first = raw[at], raw[at + 1], raw[at + 2]
            if size > 127:
                return _read_long_string(key, raw, at) or self._read(raw)
            if size != len(raw) - at - 1:
                return self._read(raw)
            value: Value
            if kind == 0x0A and first == size - 2:
                value = raw[at + 3 :].decode()
            elif kind == 0x18 and size == 3 and first > 127 > raw[at + 3]:
                value = first - 128 + (raw[at + 3] << 7)
            elif kind == 0x21 and size == 9:
                value = _unpack_double(raw, at + 2)[0]
            elif kind == 0x18 and size == 2 and first < 128:
                value = first
            elif kind == 0x10 and size == 2 and first < 2:
                value = first == 1
            else:
                return self._read(raw)
        except (IndexError, UnicodeDecodeError):
            return self._read(raw)
        return self._remember(raw, (key, value))

    def _remember(self, raw: bytes, pair: tuple[str, Value]) -> tuple[str, Value]:
        if len(raw) <= _MEMO_BYTES:
            if len(self) >= _MEMO_ENTRIES:
                self.clear()
            self[raw] = pair
        return pair

    def _read(self, raw: bytes) -> tuple[str, Value]:
        """Finish reasons and stop sequences repeat, too; each reader gets a list of its own."""
        if known := self._lists.get(raw):
            return known[0], known[1].copy()
        message = parse_key_value(raw)
        key, value = message.key, read_any_value(message.value)
        if (
            type(value) is list
            and len(raw) <= _MEMO_BYTES
            and _MUTABLE.isdisjoint(map(type, value))
        ):
            if len(self._lists) >= _MEMO_ENTRIES:
                self._lists.clear()
            self._lists[raw] = key, value.copy()
        return key, value


_MUTABLE: Final = frozenset({list, dict})


class _HeadMemo(dict[bytes, "str | None"]):
    """The first bytes of a KeyValue, up to the tag of its value -> its key.

    None if they are anything but the key and the tag, as every encoder writes them."""

    __slots__ = ()

    def __missing__(self, head: bytes) -> str | None:
        plain = head[0] == 0x0A and head[1] < 128 and head[-1] == 0x12 and len(head) == head[1] + 3
        key = head[2:-1].decode() if plain else None
        if len(self) >= _MEMO_ENTRIES:
            self.clear()
        if len(head) <= _MEMO_BYTES:
            self[head] = key
        return key


_recall_key: Final = _HeadMemo().__getitem__
_unpack_double: Final = struct.Struct("<d").unpack_from


def _read_long_string(key: str, raw: bytes, at: int) -> tuple[str, Value] | None:
    """Lengths of two bytes each, for strings of 126 bytes and more; `at` is the outer length."""
    low, high = raw[at], raw[at + 1]
    if high > 127 or low - 128 + (high << 7) != len(raw) - at - 2 or raw[at + 2] != 0x0A:
        return None
    low, high = raw[at + 3], raw[at + 4]
    if low < 128:
        return (key, raw[at + 4 :].decode()) if low == len(raw) - at - 4 else None
    if high > 127 or low - 128 + (high << 7) != len(raw) - at - 5:
        return None
    return key, raw[at + 5 :].decode()


recall_pair: Final = _PairMemo().__getitem__
"""Encoded KeyValue -> (key, value). Raises protobuf's DecodeError."""


def read_attributes(encoded: Iterable[bytes]) -> Attributes:
    """The attributes of a list of encoded KeyValues; a later duplicate wins."""
    return dict(map(recall_pair, encoded))


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


def encode_any_value(value: object, levels: int = MAX_LEVELS) -> bytes:
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
    if isinstance(value, list | tuple):
        left = descend(levels, 2 if value else 1)
        body = [wire.delimited(_ELEMENT, encode_any_value(each, left)) for each in value]
        return wire.delimited(_ARRAY, b"".join(body))
    if isinstance(value, Mapping):
        left = descend(levels, 3 if value else 1)
        pairs = [wire.delimited(_ELEMENT, _encode_pair(k, v, left)) for k, v in value.items()]
        return wire.delimited(_KVLIST, b"".join(pairs))
    raise wire.Unencodable(f"OTLP has no value for a Python {type(value).__name__}")


def descend(levels: int, taken: int) -> int:
    """The levels left below one that takes so many. Raises `Unencodable` if there are none."""
    if levels < taken:
        raise wire.Unencodable("nested too deep for protobuf parsers")
    return levels - taken


def _encode_key(key: object) -> bytes:
    if not isinstance(key, str):
        raise wire.Unencodable(f"an attribute key must be a string, not {type(key).__name__}")
    return wire.delimited(_KEY, wire.utf8(key)) if key else b""


def _encode_pair(key: object, value: object, levels: int) -> bytes:
    return _encode_key(key) + wire.delimited(_VALUE, encode_any_value(value, levels))


class _IntegerMemo(dict[int, bytes]):
    """An int -> its `value` field in a KeyValue."""

    __slots__ = ()

    def __missing__(self, value: int) -> bytes:
        encoded = wire.delimited(_VALUE, encode_any_value(value))
        if len(encoded) <= _MEMO_BYTES:
            if len(self) >= _MEMO_ENTRIES:
                self.clear()
            self[value] = encoded
        return encoded


class _KeyMemo(dict[object, bytes]):
    """A key -> its field in a KeyValue."""

    __slots__ = ()

    def __missing__(self, key: object) -> bytes:
        encoded = _encode_key(key)
        if len(encoded) <= _MEMO_BYTES:
            if len(self) >= _MEMO_ENTRIES:
                self.clear()
            self[key] = encoded
        return encoded


_encoded_key: Final = _KeyMemo().__getitem__
_encoded_integer: Final = _IntegerMemo().__getitem__
_STRINGS: Final = {str}
_TRUE_VALUE: Final = wire.delimited(_VALUE, _TRUE)
_FALSE_VALUE: Final = wire.delimited(_VALUE, _FALSE)
_DOUBLE_VALUE: Final = _VALUE + wire.varint(9) + _DOUBLE


_ONE_BYTE: Final = 126
"""Texts below this size, and the values that hold them, have lengths of one byte."""
_SHORT_TEXTS: Final = tuple([
    _VALUE + wire.varint(size + 2) + _STRING + wire.varint(size) for size in range(_ONE_BYTE)
])  # fmt: skip
"""What comes before a text of so many bytes in a `value` field."""


class AttributesField:
    """A `repeated KeyValue` field of one number: attributes -> bytes, tags included."""

    __slots__ = ("_heads", "_levels", "_prefix", "_text_heads", "_texts")

    def __init__(self, number: int, levels: int) -> None:
        self._levels = levels
        self._prefix = wire.tag(number, wire.BYTES)
        self._texts: dict[tuple[object, ...], bytes] = {}
        """(key, string) or ("", key, *list of strings) -> the whole attribute."""
        self._heads: dict[tuple[object, int], bytes] = {}
        """(key, length of the `value` field) -> all that comes before that field."""
        self._text_heads: dict[tuple[object, int], bytes] = {}
        """(key, bytes of a text) -> all that comes before the text."""

    def write(self, attributes: Attributes) -> bytes:
        """Raises `Unencodable`, naming the attribute, for what AnyValue cannot hold."""
        recall, heads, text_heads = self._texts.get, self._heads.get, self._text_heads.get
        parts: list[bytes] = []
        # Processors may have put anything in, whatever the types say.
        for key, value in cast("dict[object, object]", attributes).items():
            # Exact types: True == 1 == 1.0 must not meet in a memo, and -0.0 == 0.0 in none.
            kind = type(value)
            if kind is str:
                if len(value) > _MEMO_CHARACTERS:  # type: ignore[arg-type]
                    text = wire.utf8(value)  # type: ignore[arg-type]
                    size = len(text)
                    parts += (text_heads((key, size)) or self._write_text_head(key, size), text)
                    continue
                mark: tuple[object, ...] = (key, value)
                parts.append(recall(mark) or self._write_text(mark, key, value))
                continue
            if kind is int:
                content = _encoded_integer(value)  # type: ignore[arg-type]
            elif kind is float:
                content = _DOUBLE_VALUE + wire.double(value)  # type: ignore[arg-type]
            elif kind is bool:
                content = _TRUE_VALUE if value else _FALSE_VALUE
            elif kind is list and set(map(type, value)) == _STRINGS:  # type: ignore[call-overload]
                mark = ("", key, *value)  # type: ignore[misc]
                parts.append(recall(mark) or self._write_text(mark, key, value))
                continue
            else:
                content = self._write_value(key, value)
            size = len(content)
            parts += (heads((key, size)) or self._write_head(key, size), content)
        return b"".join(parts)

    def _write_value(self, key: object, value: object) -> bytes:
        try:
            return wire.delimited(_VALUE, encode_any_value(value, self._levels))
        except wire.Unencodable as error:
            raise wire.Unencodable(f"attribute {key!r}: {error}") from None

    def _write_text_head(self, key: object, size: int) -> bytes:
        """All that comes before a text, which is thus not copied before the last join."""
        if size < _ONE_BYTE:
            inner = _SHORT_TEXTS[size]
        else:
            inner = _STRING + wire.varint(size)
            inner = _VALUE + wire.varint(len(inner) + size) + inner
        outer = _encoded_key(key) + inner
        head = self._prefix + wire.varint(len(outer) + size) + outer
        if size <= _MEMO_BYTES and len(head) <= _MEMO_BYTES:
            if len(self._text_heads) >= _MEMO_ENTRIES:
                self._text_heads.clear()
            self._text_heads[key, size] = head
        return head

    def _write_head(self, key: object, size: int) -> bytes:
        name = _encoded_key(key)
        head = self._prefix + wire.varint(len(name) + size) + name
        if len(head) <= _MEMO_BYTES:
            if len(self._heads) >= _MEMO_ENTRIES:
                self._heads.clear()
            self._heads[key, size] = head
        return head

    def _write_text(self, mark: tuple[object, ...], key: object, value: object) -> bytes:
        if isinstance(value, str):
            text = wire.utf8(value)
            encoded = self._write_text_head(key, len(text)) + text
        else:
            content = self._write_value(key, value)
            encoded = self._write_head(key, len(content)) + content
        if len(encoded) <= _MEMO_BYTES:
            if len(self._texts) >= _MEMO_ENTRIES:
                self._texts.clear()
            self._texts[mark] = encoded
        return encoded
