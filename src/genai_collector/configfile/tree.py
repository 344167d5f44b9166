"""A YAML document in which every value knows where it stands.

Merging, expansion and checking all work on this tree, so that a fault in a value that came from
the third file, or from an environment variable, still points at the line that somebody wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from genai_collector.errors import Fault

Path: TypeAlias = "tuple[str | int, ...]"


class Place(NamedTuple):
    """A position in a source. Lines and columns count from 1; line 0 = the source as a whole."""

    file: str
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Scalar:
    """A string, number, boolean or null."""

    value: str | int | float | bool | None
    place: Place
    raw: str | None = None
    """How it stands in the file, where that can be told on one line."""
    text: str | None = None
    """Expanded values only: the text that was found, for a field that wants a string."""
    origin: str | None = None
    """Expanded values only: the expression, to be shown in the value's place."""
    broken: bool = False
    """Already reported; what follows from it is not."""


@dataclass(slots=True)
class ListNode:
    """A list."""

    items: list[Node]
    place: Place
    text: str | None = None
    origin: str | None = None


class Entry(NamedTuple):
    key_place: Place
    node: Node


@dataclass(slots=True)
class MapNode:
    """A mapping from strings, in the order in which it was written."""

    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)
    text: str | None = None
    origin: str | None = None


Node: TypeAlias = Scalar | ListNode | MapNode


def is_null(node: Node | None) -> bool:
    """Absent, or written and empty."""
    return node is None or (isinstance(node, Scalar) and node.value is None and not node.broken)


def plain(node: Node) -> Any:
    """The tree as ordinary dicts, lists and scalars."""
    if isinstance(node, MapNode):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return node.value


def child(node: Node, key: str | int) -> Node | None:
    """What stands under a key or an index, if anything."""
    if isinstance(node, MapNode) and isinstance(key, str):
        entry = node.entries.get(key)
        return entry.node if entry else None
    if isinstance(node, ListNode) and isinstance(key, int) and key < len(node.items):
        return node.items[key]
    return None


def find(node: Node, path: Sequence[str | int]) -> Node | None:
    """What stands under a path, if anything."""
    found: Node | None = node
    for key in path:
        if found is None:
            return None
        found = child(found, key)
    return found


def place_of(node: Node, path: Sequence[str | int], *, value: bool = False) -> Place:
    """Where the key at the end of a path stands, or the deepest one above it that exists.

    With `value`, a scalar's or a list element's own place instead of its key's.
    """
    place, here = node.place, node
    for key in path:
        below = child(here, key)
        if below is None:
            return place
        place = here.entries[str(key)].key_place if isinstance(here, MapNode) else below.place
        here = below
    return here.place if value and isinstance(here, Scalar) and here.value is not None else place


def is_broken(node: Node, path: Sequence[str | int]) -> bool:
    """Whether something on the way has already been reported."""
    return any(
        isinstance(found, Scalar) and found.broken
        for found in (find(node, path[:depth]) for depth in range(len(path) + 1))
    )


def moved_to(node: Node, place: Place, origin: str | None = None) -> Node:
    """The tree as if all of it stood at one place: that of the expression it came from."""
    if isinstance(node, MapNode):
        entries = {
            key: Entry(place, moved_to(entry.node, place, origin))
            for key, entry in node.entries.items()
        }
        return MapNode(place, entries, origin=origin)
    if isinstance(node, ListNode):
        return ListNode([moved_to(item, place, origin) for item in node.items], place, None, origin)
    return Scalar(node.value, place, origin=origin, broken=node.broken)


def dotted(path: Sequence[str | int]) -> str:
    """`receivers.otlp.protocols`, `processors.attributes.actions[0].key`."""
    words = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return words.removeprefix(".")


def fault_at(place: Place, path: Sequence[str | int], message: str) -> Fault:
    return Fault(place.file, place.line, place.column, dotted(path), message)
