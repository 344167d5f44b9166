"""What a document says, value by value, however its format writes it down.

Formats spell the same thing differently: a number as text, an instant as ISO 8601, seconds or
nanoseconds, an id with dashes, a message as JSON text inside JSON. `leaves` takes a document apart
to its single values, each in one spelling, so that it can be asked whether another document still
holds all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MS_PER: Final = ((1.2e9, 1e3), (1.2e12, 1.0), (1.2e15, 1e-3), (1.2e18, 1e-6))
"""The beginning of the years that we meet, in s, ms, us, ns, and what makes it milliseconds."""
_WRAPPERS: Final = frozenset(
    {"stringValue", "intValue", "doubleValue", "boolValue", "bytesValue", "arrayValue",
     "kvlistValue"}
)  # fmt: skip
_TAGS: Final = frozenset({"$int", "$bytes", "$float", "$map"})


class Leaf(NamedTuple):
    """One value that a document holds."""

    path: tuple[str, ...]
    value: str


def leaves(data: bytes) -> Iterator[Leaf]:
    """All texts and numbers of a JSON document or of lines of them. Nulls, flags and empty
    values, which nothing could be recognised by, are left out."""
    try:
        yield from _leaves(json.loads(data), ())
    except ValueError:
        for line in data.splitlines():
            yield from _leaves(json.loads(line), ())


class Holder:
    """What a document holds, to be asked."""

    def __init__(self, data: bytes) -> None:
        found = [leaf.value for leaf in leaves(data)]
        self.values = frozenset(found)
        self._text = "\n".join(self.values)
        self._instants = {int(value[1:]) for value in self.values if re.fullmatch(r"@\d+", value)}

    def __contains__(self, value: str) -> bool:
        """Whether it is there by itself or in a longer text; an instant to the millisecond."""
        if value in self.values:
            return True
        if value.startswith("@"):
            return not self._instants.isdisjoint(range(int(value[1:]) - 1, int(value[1:]) + 2))
        return not _NUMBER.fullmatch(value) and value in self._text


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[Leaf]:
    if isinstance(value, dict):
        yield from _members(value, path)
    elif isinstance(value, list):
        for item in value:
            yield from _item(item, path)
    elif isinstance(value, str):
        inner = _json(value)
        if inner is not None:
            yield from _leaves(inner, path)
        elif value.strip():
            yield Leaf(path, spelled(value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield Leaf(path, _number(value))


def _members(value: dict[str, Any], path: tuple[str, ...]) -> Iterator[Leaf]:
    if len(value) == 1:
        [(key, inner)] = value.items()
        if key in _WRAPPERS or key in _TAGS:
            is_list = key in {"arrayValue", "kvlistValue"} and isinstance(inner, dict)
            yield from _leaves(inner.get("values") if is_list else inner, path)
            return
    for key, inner in value.items():
        yield from _leaves(inner, (*path, key))


def _item(item: Any, path: tuple[str, ...]) -> Iterator[Leaf]:
    # OTLP's attributes: a list of keys with values.
    if isinstance(item, dict) and isinstance(item.get("key"), str) and item.keys() <= {
        "key", "value"
    }:  # fmt: skip
        yield from _leaves(item.get("value"), (*path, item["key"]))
    else:
        yield from _leaves(item, path)


def _json(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[", '"')):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def spelled(text: str) -> str:
    """A text in the one spelling of what it says."""
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return _number(float(text) if set(text) & set(".eE") else int(text))
    if _ISO.fullmatch(text):
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return f"@{moment.timestamp() * 1000:.0f}"
    if _UUID.fullmatch(text):
        return text.replace("-", "").lower()
    return text


def _number(value: float) -> str:
    for least, factor in reversed(_MS_PER):
        if least <= value < least * 2:
            return f"@{value * factor:.0f}"
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else f"{value:.12g}"
