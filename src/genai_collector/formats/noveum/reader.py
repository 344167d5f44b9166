"""Bytes to records: an object, an array, one object per line, or the documentation's sample.

The sample carries `//` comments and could carry trailing commas. That is no JSON, so it is tried
only when strict parsing fails; comments are blanked in place, so that a fault is still reported at
its own line and column.
"""

from __future__ import annotations

import re
from typing import Final

from genai_collector.errors import DecodeError
from genai_collector.formats.noveum.fields import Record
from genai_collector.formats.noveum.json_text import loads
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
    plain = _TRAILING_COMMA.sub(_blank, _COMMENT.sub(_blank, body))
    return None if plain == body else _objects(loads(plain))


def _blank(match: re.Match[bytes]) -> bytes:
    token = match.group()
    return token if token.startswith(b'"') else b" " * len(token)
