"""Bytes to payloads: an object, an array, or one object per line, as LiteLLM's `log_format` says.

All three come with the content type application/json, so the body itself decides. What is no
payload is told apart element by element, because the sender drops what a receiver refuses.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import orjson

from genai_collector.errors import DecodeError
from genai_collector.formats.json_text import dumps, loads, slow_dumps
from genai_collector.formats.litellm import fields
from genai_collector.formats.litellm.fields import Payload
from genai_collector.model import Value

_BOM: Final = b"\xef\xbb\xbf"


class Refused(NamedTuple):
    """One element that is no payload."""

    place: int
    """Among the body's elements, from 0."""
    error: str


class Parsed(NamedTuple):
    payloads: list[tuple[int, Payload]]
    """Each with its place among the body's elements, from 0."""
    refused: list[Refused]


def parse(data: bytes) -> list[Payload]:
    """The payloads of a body; an empty one has none. Raises DecodeError for anything else in it."""
    parsed = parse_each(data)
    if parsed.refused:
        first = parsed.refused[0]
        raise DecodeError(f"record {first.place}: {first.error}")
    return [payload for _, payload in parsed.payloads]


def parse_each(data: bytes) -> Parsed:
    """The payloads of a body, and beside them what is none. Raises DecodeError only where the body
    has no elements to tell apart: what is no JSON at all, or neither object nor list."""
    body = data.removeprefix(_BOM)
    parsed = Parsed([], [])
    if not body.strip():
        return parsed
    try:
        whole = loads(body)
    except DecodeError:
        lines = [line for line in body.split(b"\n") if line.strip()]
        if not _is_ndjson(lines):
            raise
        for index, line in enumerate(lines):
            _take_line(parsed, index, line)
        return parsed
    if not isinstance(whole, dict | list):
        raise DecodeError("expected an object, a list of objects, or one object per line")
    for index, value in enumerate(whole if isinstance(whole, list) else [whole]):
        _take(parsed, index, value)
    return parsed


def _is_ndjson(lines: list[bytes]) -> bool:
    """Whether these are elements of their own, and not the lines of one damaged document."""
    if len(lines) < 2:
        return False
    try:
        return isinstance(loads(lines[0]), dict)
    except DecodeError:
        return all(line.lstrip().startswith(b"{") and line.rstrip() != b"{" for line in lines)


def _take_line(parsed: Parsed, index: int, line: bytes) -> None:
    try:
        value = loads(line)
    except DecodeError as exc:
        parsed.refused.append(Refused(index, str(exc).removeprefix("line 1 ")))
    else:
        _take(parsed, index, value)


def _take(parsed: Parsed, index: int, value: Value) -> None:
    try:
        payload = checked(value)
    except DecodeError as exc:
        parsed.refused.append(Refused(index, str(exc)))
    else:
        parsed.payloads.append((index, payload))


def checked(value: Value) -> Payload:
    """The value, if it is a payload in today's form. Raises DecodeError that says what it is."""
    if not isinstance(value, dict):
        raise DecodeError("not an object")
    if fields.OLD_MARK in value and "model_parameters" not in value:
        raise DecodeError(
            "LiteLLM's old payload, in which every value is a text: set "
            "litellm.generic_api_use_v1 = False to send the StandardLoggingPayload"
        )
    found = sum(key in value for key in fields.MARKS)
    if found < fields.MARKS_NEEDED:
        raise DecodeError("not a StandardLoggingPayload: it has no call_type, model, messages ...")
    return value


def dump(payload: Payload) -> bytes:
    """One line of JSON, without newline."""
    try:
        text = orjson.dumps(payload)
    except (TypeError, RecursionError):
        return slow_dumps(payload)
    # Only a null may have been a NaN, and a payload has many; a JSON text inside needs no look.
    return dumps(payload) if b"null" in text else text
