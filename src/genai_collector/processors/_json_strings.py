"""JSON inside a text, changed in place: strings and numbers are replaced, every other byte stays.

Strategy: no tree is built. The text is checked once to be JSON, then walked string by string, so
that spacing, the order of keys, keys that occur twice and the text of numbers stay as they were,
and depth costs nothing. A string is written back only if it was changed, with non-ASCII characters
escaped if they were so before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import orjson

_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*', re.DOTALL)
_COLON: Final = re.compile(r"[ \t\r\n]*:[ \t\r\n]*")
_INSIDE: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
_SCALAR: Final = re.compile(r"[^,\]}\s]+")
_GAP: Final = r"[ \t\r\n]*"
_REST_OF_PATH: Final = re.compile(
    rf'(?:{_GAP},{_GAP}(?:"[^"\\]{{0,256}}"|[0-9]{{1,9}})){{0,16}}{_GAP}\]{_GAP},{_GAP}'
)
_LONGEST_STEP: Final = 64
_CLOSING: Final = re.compile(r"[ \t\r\n]*\]")
_SPACE: Final = " \t\r\n"

Change: TypeAlias = "Callable[[str, bool], str | None]"
"""(the string decoded, whether it is a key) -> another one, or None to leave it."""


class Handlers(NamedTuple):
    """What is done with what is found."""

    string: Callable[[str, bool], str | None]
    """(a string as it is written, without its quotes; whether it is a key) -> another one, as it is
    to be written (see `change_written`), or None to leave it."""
    number: Callable[[str], str | None] = lambda _text: None
    """A number as it is written -> the JSON to write instead, or None to leave it."""
    member: Callable[[str], Callable[[str], str | None] | None] = lambda _name: None
    """A key, or a short string that may be a step of a path -> None to go on inside, or what makes
    of its value, as it is written, the JSON to write instead (None from that leaves the value
    alone). Nothing inside is looked at."""


def is_json(text: str) -> bool:
    """Whether a text is JSON that has strings inside: an object, an array or a string."""
    first = text.lstrip(_SPACE)[:1]
    if not first or first not in '{["':
        return False
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return _is_odd_json(text)
    return True


def _is_odd_json(text: str) -> bool:
    """NaN, lone surrogates: what Python's own writer writes and orjson refuses."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def rewrite(text: str, handlers: Handlers) -> str | None:
    """The JSON text with its strings, numbers and members replaced; None when nothing was."""
    pieces: list[str] = []
    kept = at = 0
    while (token := _TOKEN.search(text, at)) is not None:
        start, at = token.span()
        if text[start] != '"':
            new = handlers.number(token[0])
        else:
            colon = _COLON.match(text, at)
            inner = text[start + 1 : at - 1]
            may_name = colon is not None or len(inner) <= _LONGEST_STEP
            member = handlers.member(decoded(inner)) if may_name else None
            place = None if member is None else _value_of(text, at, colon)
            if member is not None and place is not None:
                start, at = place
                new = member(text[start:at])
            else:
                changed = handlers.string(inner, colon is not None)
                new = None if changed is None else f'"{changed}"'
        if new is not None:
            pieces += (text[kept:start], new)
            kept = at
    if not pieces:
        return None
    return "".join([*pieces, text[kept:]])


def decoded(inner: str) -> str:
    """What a string says that is written so between quotes."""
    if "\\" not in inner:
        return inner
    said: str = json.loads(f'"{inner}"', strict=False)
    return said


def change_written(inner: str, is_key: bool, change: Change) -> str | None:
    """A string as it is written -> the changed one as it is to be written, or None."""
    said = decoded(inner)
    new = change(said, is_key)
    if new is None or new == said:
        return None
    return quoted(new, ascii_only=inner.isascii() and not said.isascii())[1:-1]


def quoted(text: str, *, ascii_only: bool = False) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)


def _value_of(text: str, at: int, colon: re.Match[str] | None) -> tuple[int, int] | None:
    """Where the value stands that belongs to the name that ends here: behind the colon, or, when
    the name is a step of a path, behind the path, as in `[["metadata","password"],"x"]` (what a
    record's residual is made of, see `formats.residual`). None: the string is no name."""
    if colon is not None:
        return colon.end(), _end_of_value(text, colon.end())
    path = _REST_OF_PATH.match(text, at)
    if path is None:
        return None
    end = _end_of_value(text, path.end())
    return (path.end(), end) if _CLOSING.match(text, end) else None


def _end_of_value(text: str, start: int) -> int:
    """Where the value ends that begins here."""
    if text[start] == '"':
        token = _TOKEN.match(text, start)
        assert token is not None
        return token.end()
    if text[start] not in "[{":
        scalar = _SCALAR.match(text, start)
        assert scalar is not None
        return scalar.end()
    depth, at = 0, start
    while (token := _INSIDE.search(text, at)) is not None:
        at = token.end()
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth == 0:
            break
    return at
