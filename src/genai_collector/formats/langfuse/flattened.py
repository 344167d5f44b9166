"""Messages that were flattened into attribute names, put together again (3.11, sources 15d, 15e).

`gen_ai.prompt.0.content` = "hi" becomes `[{"content": "hi"}]`. Paths come from outside, so the
result is bounded: at most 64 segments per path and 10,001 list slots per value.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from genai_collector.formats.langfuse.values import JSON, PlainAttributes

_FORBIDDEN: Final = frozenset({"", "__proto__", "constructor", "prototype"})
_MOST_SLOTS: Final = 10_001
_MOST_SEGMENTS: Final = 64
_MOST_DIGITS: Final = 15


class _Node:
    """A list or an object under construction; the positions of a list are kept as text."""

    __slots__ = ("is_list", "items")

    def __init__(self, is_list: bool) -> None:
        self.is_list = is_list
        self.items: dict[str, _Node | JSON] = {}

    def finish(self) -> JSON:
        """The plain value; what was never set inside a list is null."""
        done: dict[str, JSON] = {
            key: item.finish() if isinstance(item, _Node) else item
            for key, item in self.items.items()
        }
        if not self.is_list:
            return done
        length = max((int(key) for key in done), default=-1) + 1
        return [done.get(str(at)) for at in range(length)]


class _Budget:
    """List slots used so far; a path that would use more than allowed reserves nothing."""

    def __init__(self) -> None:
        self._used = 0
        self._lengths: dict[tuple[str, ...], int] = {}

    def reserve(self, path: Sequence[str]) -> bool:
        grown: dict[tuple[str, ...], int] = {}
        extra = 0
        for at, segment in enumerate(path):
            position = _position(segment)
            if position is None:
                continue
            parent = tuple(path[:at])
            longer = position + 1 - self._lengths.get(parent, 0)
            if longer > 0:
                extra += longer
                grown[parent] = position + 1
        if self._used + extra > _MOST_SLOTS:
            return False
        self._used += extra
        self._lengths.update(grown)
        return True


def unflatten(attributes: PlainAttributes, names: Sequence[str], prefix: str) -> JSON:
    """The value that the attributes of these names (all beginning with `prefix`) describe.

    A truthy attribute called `prefix` itself is the value. A path that would enter or replace what
    another one has made differently is left out.
    """
    whole = attributes.get(prefix)
    if whole or whole == []:
        return whole
    if not names:
        return {}
    start = len(prefix) + 1
    paths = [
        (path, attributes[name])
        for name in names
        if name.startswith(prefix + ".") and (path := _path(name[start:])) is not None
    ]
    root = _Node(_is_list([path for path, _ in paths]))
    budget = _Budget()
    for path, value in paths:
        if _fits(root, path) and budget.reserve(path):
            _set(root, path, value)
    return root.finish()


def _path(name: str) -> list[str] | None:
    """The segments; None for a path that is refused."""
    segments = name.split(".")
    if len(segments) > _MOST_SEGMENTS:
        return None
    for segment in segments:
        if segment in _FORBIDDEN or (_position(segment) or 0) >= _MOST_SLOTS:
            return None
    return segments


def _position(segment: str) -> int | None:
    """The list position that a segment writes, in its canonical form only (`07` is a name)."""
    if not (segment.isascii() and segment.isdecimal()):
        return None
    if segment[0] == "0" and segment != "0":
        return None
    return int(segment) if len(segment) <= _MOST_DIGITS else _MOST_SLOTS


def _is_list(paths: Sequence[Sequence[str]]) -> bool:
    budget = _Budget()
    return any(
        budget.reserve(path) and len(path) > 1 and _position(path[0]) is not None for path in paths
    )


def _fits(node: _Node, path: Sequence[str]) -> bool:
    for at, segment in enumerate(path):
        if node.is_list and _position(segment) is None:
            return False
        if segment not in node.items:
            return True
        below = node.items[segment]
        is_last = at == len(path) - 1
        if is_last or not isinstance(below, _Node):
            return is_last and not isinstance(below, _Node)
        node = below
    return True


def _set(node: _Node, path: Sequence[str], value: JSON) -> None:
    for segment, following in pairwise(path):
        below = node.items.get(segment)
        if not isinstance(below, _Node):
            below = _Node(_position(following) is not None)
            node.items[segment] = below
        node = below
    node.items[path[-1]] = value
