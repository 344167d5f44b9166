"""The difference between two JSON values, as data, and how to put it back.

Strategy: what the way back from a span cannot rebuild of a record is `diff(rebuilt, record)`. An
operation is `[path, value]` (set) or `[path]` (delete); a path is a list of keys and indices.
Comparison is strict: 1, 1.0 and True differ, -0.0 and 0.0 differ, NaN equals NaN.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

from genai_collector.model import Value

_PLAIN: Final = frozenset({str, int, bool, type(None)})
"""Of these, what is of one type and equal is the same."""

Path: TypeAlias = "list[Value]"
Operation: TypeAlias = "list[Value]"


def diff(base: Value, target: Value) -> list[Value]:
    """Operations that turn `base` into `target`; empty when they are the same."""
    found: list[Value] = []
    _diff(base, target, [], found)
    return found


def same(a: Value, b: Value) -> bool:
    """Whether two values are strictly the same; the order of keys does not matter."""
    kind = type(a)
    if kind is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return a == b


def _diff(base: Value, target: Value, path: Path, found: list[Value]) -> None:
    if base is target:
        return
    if isinstance(base, dict) and isinstance(target, dict):
        # Sorted, so that the order of keys does not show in the result.
        for key in sorted(_unlike(base, target)):
            if key not in target:
                found.append([[*path, key]])
            elif key in base:
                _diff(base[key], target[key], [*path, key], found)
            else:
                found.append([[*path, key], target[key]])
    elif isinstance(base, list) and isinstance(target, list) and len(base) == len(target):
        for index, value in enumerate(target):
            _diff(base[index], value, [*path, index], found)
    elif not same(base, target):
        found.append([path, target])


def _unlike(base: dict[str, Value], target: dict[str, Value]) -> list[str]:
    """The keys under which the two are not the same at first sight; most members are."""
    keys = [key for key in base if key not in target]
    for key, other in target.items():
        one = base.get(key)
        if one is other:
            if one is None and key not in base:
                keys.append(key)
            continue
        kind = type(one)
        if kind is not type(other) or kind not in _PLAIN or one != other:
            keys.append(key)
    return keys


def apply(base: Value, operations: Value) -> Value:
    """`base` with the operations applied; `base` itself is not changed.

    An operation that does not fit (the data changed since) is left out.
    """
    if not isinstance(operations, list):
        return base
    for operation in operations:
        if isinstance(operation, list) and operation and isinstance(operation[0], list):
            base = _applied(base, operation[0], operation[1:])
    return base


def _applied(node: Value, path: Path, new: list[Value]) -> Value:
    if not path:
        return new[0] if new else node
    key, rest = path[0], path[1:]
    if isinstance(node, dict) and isinstance(key, str):
        if rest and key not in node:
            return node
        copy = dict(node)
        if rest or new:
            copy[key] = _applied(node.get(key), rest, new)
        else:
            copy.pop(key, None)
        return copy
    if isinstance(node, list) and type(key) is int and 0 <= key < len(node):
        return [*node[:key], _applied(node[key], rest, new), *node[key + 1 :]]
    return node
