"""Items as plain data that `==` compares exactly: types, NaN, negative zero and key order too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass

from genai_collector.model import EntityRef, Event, Link, LogRecord, Metric, Resource, Scope, Span

_SLOTTED = (EntityRef, Event, Link, LogRecord, Metric, Resource, Scope)


def _fields(kind: type) -> list[str]:
    """The attributes of a class, also of a compiled one, which has no `__slots__`."""
    names: Iterable[str] = vars(kind).get("__slots__") or vars(kind)["__mypyc_attrs__"]
    return [name for name in names if not name.startswith(("_", "encoded"))]


_SPAN = _fields(Span)


def plain(item: object) -> object:
    """The whole of one value, item or list of items."""
    if isinstance(item, float):
        return "float", repr(item)
    if isinstance(item, list):
        return [plain(each) for each in item]
    if isinstance(item, dict):
        return "dict", [(key, plain(value)) for key, value in item.items()]
    if isinstance(item, Span):
        return "Span", _slots(item, [*_SPAN, "events", "links"])
    if isinstance(item, _SLOTTED):
        return type(item).__name__, _slots(item, _fields(type(item)))
    if is_dataclass(item):
        return type(item).__name__, _slots(item, [field.name for field in fields(item)])
    return _kind(item), item


def _slots(item: object, names: Iterable[str]) -> object:
    return [(name, plain(getattr(item, name))) for name in names]


def _kind(item: object) -> str:
    # An IntEnum is as good as its int.
    if isinstance(item, int) and not isinstance(item, bool):
        return "int"
    return type(item).__name__
