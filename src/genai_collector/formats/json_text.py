"""JSON text to values and back, without losing what JSON allows.

Strategy: orjson where it is exact, the standard library where it is not. orjson turns integers
beyond 64 bits into floats, writes NaN as null and refuses lone surrogates; each of these is noticed
here, so that a value read is the value written.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

from genai_collector.errors import DecodeError
from genai_collector.model import Value

MAX_DEPTH: Final = 200
"""Deeper JSON is refused: it is an attack on the stack, not telemetry."""

_WORTH_COUNTING: Final = 16 * 1024

# Looking for a run of digits is fast once they are all the same.
_SAME_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_RUN: Final = b"0" * 19
_BEFORE_NUMBER: Final = frozenset(b"[,:- \t\r\n")
_find_null: Final = re.compile(b"null").search
"""Twice as fast in prose as `b"null" in`."""


def dumps(value: Value) -> bytes:
    """Compact JSON. Raises DecodeError for what JSON cannot hold (bytes, sets, deep nesting)."""
    try:
        text = orjson.dumps(value)
    except (TypeError, RecursionError):
        return slow_dumps(value)
    # A NaN would have become null, silently; nulls are rare enough to look.
    if _find_null(text) and has_non_finite(value):
        return slow_dumps(value)
    return text


def canonical(value: Value) -> bytes:
    """JSON in which the order of keys does not show; for hashing."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, RecursionError):
        return slow_dumps(value, sort_keys=True)


def slow_dumps(value: Value, *, sort_keys: bool = False) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), sort_keys=sort_keys).encode("ascii")
    except (TypeError, ValueError, RecursionError) as exc:
        raise DecodeError(f"no JSON form: {type(exc).__name__}") from exc


def has_non_finite(value: Value) -> bool:
    """Whether a NaN or an infinity is anywhere inside a value that orjson has written, and which
    is therefore not nested too deep for a recursion."""
    kind = type(value)
    if kind is float:
        return value - value != 0.0  # type: ignore[operator]
    if kind is not dict and kind is not list:
        return False
    for item in value.values() if kind is dict else value:  # type: ignore[union-attr]
        kind = type(item)
        if kind is str or kind is int or item is None:
            continue
        if kind is float:
            if item - item != 0.0:  # type: ignore[operator]
                return True
        elif has_non_finite(item):
            return True
    return False


def loads(data: bytes | str, *, max_depth: int = MAX_DEPTH) -> Value:
    """The value of a JSON text. Raises DecodeError that names line and column, never content."""
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    value = _loads(raw)
    if _may_be_deep(raw, max_depth) and depth(value) > max_depth:
        raise DecodeError(f"JSON nested deeper than {max_depth} levels")
    return value


def _may_be_deep(raw: bytes, max_depth: int) -> bool:
    """Whether there are brackets enough. To count them in long texts costs more than to look."""
    if len(raw) > _WORTH_COUNTING:
        return len(raw) > max_depth
    return raw.count(b"[") + raw.count(b"{") > max_depth


def has_long_integer(raw: bytes) -> bool:
    """Whether a number of 19 digits or more may be inside; most such runs are parts of ids."""
    same = raw.translate(_SAME_DIGITS)
    at = same.find(_LONG_RUN)
    while at >= 0:
        if not at or raw[at - 1] in _BEFORE_NUMBER:
            return True
        at = same.find(_LONG_RUN, at + len(_LONG_RUN))
    return False


def _loads(raw: bytes) -> Value:
    if not has_long_integer(raw):
        try:
            loaded: Value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
        else:
            return loaded
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        line, column = _place(raw, exc.start)
        raise DecodeError(f"line {line} column {column}: not UTF-8") from None
    try:
        loaded = json.loads(text)
    except json.JSONDecodeError as exc:
        raise DecodeError(f"line {exc.lineno} column {exc.colno}: {exc.msg}") from None
    except RecursionError:
        raise DecodeError(f"JSON nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:  # integers of thousands of digits
        raise DecodeError("a number has too many digits") from None
    return loaded


def _place(raw: bytes, at: int) -> tuple[int, int]:
    return raw.count(b"\n", 0, at) + 1, at - raw.rfind(b"\n", 0, at)


def depth(value: Value) -> int:
    """How deeply containers are nested; a scalar is 0."""
    levels = 0
    layer: list[Any] = [value] if isinstance(value, dict | list) else []
    while layer:
        levels += 1
        children: list[Any] = []
        for node in layer:
            children += node.values() if type(node) is dict else node
        layer = [child for child in children if type(child) is dict or type(child) is list]
    return levels


def try_loads(text: object, *, max_depth: int = MAX_DEPTH) -> Value:
    """The value of a JSON text inside an attribute, or None when it is no such text."""
    if not isinstance(text, str):
        return None
    try:
        return loads(text, max_depth=max_depth)
    except DecodeError:
        return None
