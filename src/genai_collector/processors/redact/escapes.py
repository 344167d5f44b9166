"""JSON's escapes taken out of a text that is no whole JSON (it was cut off, it is embedded), with
the way back: what is found in the plain form can be replaced in the original."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from typing import Final

_ESCAPE: Final = re.compile(rb'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_PLAIN: Final = {
    b'"': b'"', b"\\": b"\\", b"/": b"/", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r",
    b"t": b"\t",
}  # fmt: skip


class Unescaped:
    """A text without one level of escapes."""

    def __init__(self, original: bytes) -> None:
        pieces: list[bytes] = []
        self._plain_starts: list[int] = []
        self._spans: list[tuple[int, int, int]] = []
        """(length in the plain form, start and end in the original)."""
        at = length = 0
        for match in _ESCAPE.finditer(original):
            start, end = match.span()
            char = _char(match)
            pieces += (original[at:start], char)
            length += start - at
            self._plain_starts.append(length)
            self._spans.append((len(char), start, end))
            length += len(char)
            at = end
        pieces.append(original[at:])
        self.data = b"".join(pieces)

    def __bool__(self) -> bool:
        """Whether there was anything to take out."""
        return bool(self._spans)

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where in the original a part of the plain form stands."""
        return self._start(start), self._end(end)

    def _start(self, at: int) -> int:
        index = bisect_right(self._plain_starts, at) - 1
        if index < 0:
            return at
        length, start, end = self._spans[index]
        behind = at - self._plain_starts[index] - length
        return start if behind < 0 else end + behind

    def _end(self, at: int) -> int:
        index = bisect_left(self._plain_starts, at) - 1
        if index < 0:
            return at
        length, _, end = self._spans[index]
        return end + max(0, at - self._plain_starts[index] - length)


def _char(match: re.Match[bytes]) -> bytes:
    code, sign = match.groups()
    if sign is not None:
        return _PLAIN[sign]
    return chr(int(code, 16)).encode("utf-8", "surrogatepass")
