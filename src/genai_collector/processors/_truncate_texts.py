"""Cutting texts in values, with JSON staying JSON, and how far to cut so that something fits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from genai_collector.model import Value
from genai_collector.processors._json_strings import Handlers, change_written, is_json, rewrite

SHORTEST: Final = 256
"""Bytes. Nothing shorter is cut, so that ids, names and numbers stay whole."""

_MAX_LEVELS: Final = 8
_ROUNDS: Final = 6
_MARKER: Final = re.compile(rb"\xe2\x80\xa6\[truncated ([0-9]{1,15}) bytes\]\Z")
_OF_A_NUMBER: Final = 8


def cut_bytes(data: bytes, limit: int) -> bytes:
    """At most `limit` bytes, with a marker that says how many went; no UTF-8 sequence is parted.
    What was cut before has one marker again, for both cuts."""
    if len(data) <= limit:
        return data
    before = _MARKER.search(data)
    kept, gone = (data[: before.start()], int(before[1])) if before else (data, 0)
    room = limit - len(_marker(gone + len(kept)))
    while room > 0 and kept[room : room + 1] and 0x80 <= kept[room] < 0xC0:
        room -= 1
    return kept[:room] + _marker(gone + len(kept) - room)


def _marker(count: int) -> bytes:
    return f"…[truncated {count} bytes]".encode()


class Cutter:
    """Cuts every text to one length; `cuts` says how many it had to."""

    def __init__(self, longest: int) -> None:
        self.cuts = 0
        self._longest = longest

    def cut(self, value: Value) -> Value:
        """The value with its texts cut; the same object where nothing was. Keys stay."""
        if isinstance(value, str):
            return self._text(value, 0)
        if isinstance(value, bytes):
            short = cut_bytes(value, self._longest)
            self.cuts += short is not value
            return short
        if isinstance(value, list):
            items = [self.cut(item) for item in value]
            same = all(new is old for new, old in zip(items, value, strict=True))
            return value if same else items
        if isinstance(value, dict):
            members = {key: self.cut(member) for key, member in value.items()}
            same = all(members[key] is member for key, member in value.items())
            return value if same else members
        return value

    def _text(self, text: str, level: int) -> str:
        if length(text) <= self._longest:
            return text
        if level < _MAX_LEVELS and is_json(text):
            new = rewrite(text, Handlers(lambda inner, is_key: self._string(inner, is_key, level)))
            return text if new is None else new
        self.cuts += 1
        return cut_bytes(_encode(text), self._longest).decode("utf-8", "surrogatepass")

    def _string(self, inner: str, is_key: bool, level: int) -> str | None:
        if is_key or len(inner) * 4 <= self._longest:
            return None
        return change_written(inner, is_key, lambda said, _: self._text(said, level + 1))


def shrink(values: Sequence[Value], limit: int) -> tuple[list[Value], int]:
    """The values with their longest texts cut, all to one length, until they are `limit` bytes
    together or all texts are as short as they may get; and how many texts were cut."""
    best, cuts = list(values), 0
    for longest in _levels(values, limit):
        cutter = Cutter(longest)
        best = [cutter.cut(value) for value in values]
        cuts = cutter.cuts
        if sum(map(size_of, best)) <= limit:
            break
    return best, cuts


def _levels(values: Sequence[Value], limit: int) -> Iterator[int]:
    """Ever shorter lengths; the first would do if nothing in JSON had to be escaped."""
    total = sum(map(size_of, values))
    lengths = sorted((one for value in values for one in lengths_of(value)), reverse=True)
    longest = max(SHORTEST, _water_level(lengths, total - limit))
    for _ in range(_ROUNDS):
        yield longest
        longest = max(SHORTEST, longest * 3 // 4)
    yield SHORTEST


def _water_level(lengths: list[int], excess: int) -> int:
    """To which length all must be cut so that `excess` bytes go. The longest come first."""
    for count, longest in enumerate(lengths, start=1):
        following = lengths[count] if count < len(lengths) else 0
        if count * (longest - following) >= excess:
            return longest - -(-excess // count)
        excess -= count * (longest - following)
    return 0


def size_of(value: Value) -> int:
    """Bytes of everything in a value: texts, keys, eight for a number."""
    if isinstance(value, str):
        return length(value)
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, list):
        return sum(map(size_of, value))
    if isinstance(value, dict):
        return sum(length(key) + size_of(member) for key, member in value.items())
    return _OF_A_NUMBER


def lengths_of(value: Value) -> list[int]:
    """The lengths of all texts in a value that may be cut."""
    found: list[int] = []
    _collect(value, found, 0)
    return found


def _collect(value: Value, found: list[int], level: int) -> None:
    if isinstance(value, list):
        for item in value:
            _collect(item, found, level)
    elif isinstance(value, dict):
        for member in value.values():
            _collect(member, found, level)
    elif isinstance(value, bytes):
        found.append(len(value))
    elif isinstance(value, str) and (size := length(value)) > SHORTEST:
        if level < _MAX_LEVELS and is_json(value):
            _collect_json(value, found, level + 1)
        else:
            found.append(size)


def _collect_json(text: str, found: list[int], level: int) -> None:
    def look(said: str, is_key: bool) -> None:
        if not is_key:
            _collect(said, found, level)

    def string(inner: str, is_key: bool) -> None:
        if len(inner) > SHORTEST // 4:
            change_written(inner, is_key, look)

    rewrite(text, Handlers(string))


def length(text: str) -> int:
    """Bytes in UTF-8."""
    return len(text) if text.isascii() else len(_encode(text))


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
