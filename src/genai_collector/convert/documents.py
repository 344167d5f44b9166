"""Bytes to documents: one per line, or one that is the whole input.

Input is read a document at a time, so that a long file of one-line documents needs the memory of
its longest line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, NamedTuple

MAX_DOCUMENT_BYTES: Final = 512 * 1024 * 1024


class Document(NamedTuple):
    """One input document and the line (from 1) in which it begins."""

    line: int
    data: bytes


def split_json(
    stream: BinaryIO, is_whole: Callable[[bytes], bool] | None = None
) -> Iterator[Document]:
    """One document per line, or one that spans all lines. Blank lines count but are none.

    `is_whole` says whether all lines together are one document; JSON's rules by default.
    """
    lines = _lines(stream)
    first = next(lines, None)
    if first is None:
        return
    if not _is_beginning(first.data):
        yield first
        yield from lines
        return
    held = [first]
    size = len(first.data)
    for line in lines:
        held.append(line)
        size += len(line.data)
        if size > MAX_DOCUMENT_BYTES:
            break
    whole = b"\n".join([line.data for line in held])
    if len(held) > 1 and (is_whole or _is_json)(whole):
        yield Document(first.line, whole)
        return
    yield from held
    yield from lines


def split_whole(stream: BinaryIO) -> Iterator[Document]:
    """The whole input is one document."""
    yield Document(1, stream.read(MAX_DOCUMENT_BYTES + 1))


def _lines(stream: BinaryIO) -> Iterator[Document]:
    number = 0
    while data := stream.readline(MAX_DOCUMENT_BYTES + 1):
        number += 1
        too_long = len(data) > MAX_DOCUMENT_BYTES
        if number == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
        if too_long:
            _skip_line(stream)
            yield Document(number, data)
        elif data := data.strip():
            yield Document(number, data)


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(1024 * 1024)) and not rest.endswith(b"\n"):
        pass


def _is_beginning(line: bytes) -> bool:
    """Whether a line could be the first of a document that goes on in the next one."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        # What is wrong with it is only that it ends.
        return error.pos >= len(error.doc) or error.doc[error.pos :].strip() == ""
    except (ValueError, RecursionError):
        return False
    return False


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
