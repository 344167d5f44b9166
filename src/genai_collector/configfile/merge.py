"""Several documents become one: later ones win, mappings merge, lists and scalars are replaced.

A key that a later document leaves empty (`processors:` and nothing below it) changes nothing where
there is a mapping already, and gives a warning. otelcol erases the mapping there, which nobody who
comments out the lines below a key expects.
"""

from __future__ import annotations

from genai_collector.configfile.tree import (
    Entry,
    ListNode,
    MapNode,
    Path,
    fault_at,
    is_null,
)
from genai_collector.errors import Fault


def merge(base: MapNode, over: MapNode, warnings: list[Fault], path: Path = ()) -> MapNode:
    """A new tree of both; values keep the places they come from."""
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        before = entries.get(key)
        if before is None:
            entries[key] = entry
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


def _kept(before: Entry, entry: Entry, path: Path) -> Fault:
    file, line, _ = before.key_place
    source = f"{file}:{line}" if line else file
    return fault_at(
        entry.key_place, path, f"is empty here and changes nothing; what {source} says is kept"
    )
