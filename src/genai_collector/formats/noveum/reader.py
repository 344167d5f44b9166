"""Bytes to records: an object, an array, one object per line, or the documentation's sample.

The sample carries `//` comments and could carry trailing commas. That is no JSON, so it is tried
only when strict parsing fails; comments are blanked in place, so that a fault is still reported at
its own line and column.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from genai_collector.errors import DecodeError
from genai_collector.formats.json_text import loads
from genai_collector.formats.noveum.fields import Record
from genai_collector.model import Value

# A string is matched even when it does not end: otherwise each quote in it would be tried again.
_STRING: Final = rb'"(?:[^"\\\n]|\\.)*+"?'
_COMMENT: Final = re.compile(_STRING + rb"|//[^\n]*")
_TRAILING_COMMA: Final = re.compile(_STRING + rb"|,(?=\s*[\]}])")
_BOM: Final = b"\xef\xbb\xbf"


def parse(data: bytes) -> list[Record]:
    """The records of a body. An empty body has none.

    Raises DecodeError with line and column for what is no JSON, and for what is no object.
    """
    body = data.removeprefix(_BOM)
    if not body.strip():
        return []
    try:
        return _objects(loads(body))
    except _NotAnObject:
        raise
    except DecodeError as exc:
        records = _lines(body) or _annotated(body)
        if records is None:
            raise exc from None
        return records


class _NotAnObject(DecodeError):
    """JSON, but no record."""


class Refused(NamedTuple):
    """One element of a body that cannot be read."""

    place: int
    """Among the body's elements, from 0."""
    error: str


class Parsed(NamedTuple):
    objects: list[tuple[int, Record]]
    """Each with its place among the body's elements, from 0."""
    refused: list[Refused]


def parse_each(data: bytes) -> Parsed:
    """`parse`, with what is no object beside the others. Raises DecodeError only where the body
    has no elements to tell apart."""
    body = data.removeprefix(_BOM)
    parsed = Parsed([], [])
    if not body.strip():
        return parsed
    try:
        value = loads(body)
    except DecodeError as exc:
        lines = [line for line in body.split(b"\n") if line.strip()]
        if len(lines) > 1 and isinstance(_try_loads(lines[0]), dict):
            for at, line in enumerate(lines):
                _take_line(parsed, at, line)
            return parsed
        plain = _without_comments(body)
        if plain is None:
            raise exc from None
        value = loads(plain)
    if not isinstance(value, dict | list):
        raise DecodeError("expected an object, a list of objects, or one object per line")
    for at, item in enumerate(value if isinstance(value, list) else [value]):
        _take(parsed, at, item)
    return parsed


def _try_loads(line: bytes) -> Value:
    try:
        return loads(line)
    except DecodeError:
        return None


def _take_line(parsed: Parsed, at: int, line: bytes) -> None:
    try:
        value = loads(line)
    except DecodeError as exc:
        parsed.refused.append(Refused(at, str(exc).removeprefix("line 1 ")))
    else:
        _take(parsed, at, value)


def _take(parsed: Parsed, at: int, value: Value) -> None:
    if isinstance(value, dict):
        parsed.objects.append((at, value))
    else:
        parsed.refused.append(Refused(at, "not an object"))


def _objects(value: Value) -> list[Record]:
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        raise _NotAnObject("a record must be an object or a list of objects")
    records: list[Record] = []
    for at, item in enumerate(value):
        if not isinstance(item, dict):
            raise _NotAnObject(f"record {at}: not an object")
        records.append(item)
    return records


def _lines(body: bytes) -> list[Record] | None:
    """The records of newline-delimited JSON; None when the first line is no JSON by itself."""
    lines = [(at, line) for at, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    records: list[Record] = []
    for at, line in lines:
        try:
            value = loads(line)
        except DecodeError as exc:
            if not records:
                return None
            raise DecodeError(_at_line(str(exc), at)) from None
        if not isinstance(value, dict):
            if not records:
                return None
            raise DecodeError(f"line {at} column 1: not an object")
        records.append(value)
    return records


def _at_line(fault: str, line: int) -> str:
    """The fault with its line counted in the whole body."""
    where = fault.removeprefix("line 1 ")
    return f"line {line} {where}" if where != fault else f"line {line}: {fault}"


def _annotated(body: bytes) -> list[Record] | None:
    """The records of JSON with comments or trailing commas; None when there are none of these."""
    plain = _without_comments(body)
    return None if plain is None else _objects(loads(plain))


def _without_comments(body: bytes) -> bytes | None:
    plain = _TRAILING_COMMA.sub(_blank, _COMMENT.sub(_blank, body))
    return None if plain == body else plain


def _blank(match: re.Match[bytes]) -> bytes:
    token = match.group()
    return token if token.startswith(b'"') else b" " * len(token)
