"""Several documents become one: later ones win, mappings merge, lists and scalars are replaced.

A key that a later document leaves empty (`processors:` and nothing below it) changes nothing where
there is a mapping already, and gives a warning. otelcol erases the mapping there, which nobody who
comments out the lines below a key expects.

A list under `key+` is appended to the list of that key, and is the list where there is none yet.
"""

from __future__ import annotations

from typing import Final

from genai_collector.configfile.tree import (
    Entry,
    ListNode,
    MapNode,
    Node,
    Path,
    fault_at,
    is_null,
)
from genai_collector.errors import Fault

APPEND: Final = "+"
"""What a key ends with whose list is appended."""


def merge(base: MapNode, over: MapNode, warnings: list[Fault], path: Path = ()) -> MapNode:
    """A new tree of both; values keep the places they come from."""
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        before = entries.get(key)
        if _appends(key, entry):
            _append(entries, key.removesuffix(APPEND), entry, warnings, path)
        elif before is None:
            entries[key] = Entry(entry.key_place, _alone(entry.node, warnings, (*path, key)))
        elif isinstance(before.node, MapNode) and isinstance(entry.node, MapNode):
            merged = merge(before.node, entry.node, warnings, (*path, key))
            entries[key] = Entry(before.key_place, merged)
        elif isinstance(before.node, MapNode) and is_null(entry.node):
            warnings.append(_kept(before, entry, (*path, key)))
        else:
            entries[key] = entry
    return MapNode(base.place, entries)


def assign(base: MapNode, over: MapNode, warnings: list[Fault], faults: list[Fault]) -> MapNode:
    """`merge` for `--set`, which must not go through a list or a scalar by mistake."""
    here, path, step = base, list[str](), over
    while True:
        key, entry = next(iter(step.entries.items()))
        path.append(key)
        below = here.entries.get(key)
        if below is None or not isinstance(entry.node, MapNode):
            return merge(base, over, warnings)
        if isinstance(below.node, ListNode):
            faults.append(fault_at(over.place, path, "is a list; --set replaces it as a whole"))
            return base
        if not isinstance(below.node, MapNode):
            return merge(base, over, warnings)
        here, step = below.node, entry.node


def _appends(key: str, entry: Entry) -> bool:
    return len(key) > 1 and key.endswith(APPEND) and isinstance(entry.node, ListNode)


def _append(
    entries: dict[str, Entry], key: str, entry: Entry, warnings: list[Fault], path: Path
) -> None:
    """Elements keep the places they come from."""
    before, more = entries.get(key), entry.node
    assert isinstance(more, ListNode)
    if before is not None and isinstance(before.node, ListNode):
        both = ListNode([*before.node.items, *more.items], before.node.place)
        entries[key] = Entry(before.key_place, both)
        return
    if before is not None and not is_null(before.node):
        message = f"replaces what {_source(before)} says, which is no list to append to"
        warnings.append(fault_at(entry.key_place, (*path, key + APPEND), message))
    entries[key] = entry


def _alone(node: Node, warnings: list[Fault], path: Path) -> Node:
    """What nothing was there to merge with; what it appends is what there is."""
    return merge(MapNode(node.place), node, warnings, path) if isinstance(node, MapNode) else node


def _kept(before: Entry, entry: Entry, path: Path) -> Fault:
    message = f"is empty here and changes nothing; what {_source(before)} says is kept"
    return fault_at(entry.key_place, path, message)


def _source(entry: Entry) -> str:
    file, line, _ = entry.key_place
    return f"{file}:{line}" if line else file
