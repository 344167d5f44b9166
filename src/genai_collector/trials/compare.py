"""What was expected against what came, and what changed on the way, as lines for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from genai_collector.configfile.tree import dotted
from genai_collector.trials.written import Written, as_id

_IDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_MAX_CHARS: Final = 200
_ABSENT: Final = object()
_CONTROLS: Final = {
    code: rf"\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)] if code not in (9, 10)
}


def differences(
    expected: Sequence[Mapping[str, Any]], came: Sequence[Written], *, exact: bool
) -> list[str]:
    """One line for everything that is not as expected; none if all is.

    What is written must be so; `null` must not be there. What is not written is not compared; with
    `exact`, mappings below an item (attributes, resource) must not have more than is written.
    """
    lines = [
        line
        for at, (wanted, one) in enumerate(zip(expected, came, strict=False))
        for name, value in wanted.items()
        for line in _compare(_wanted(name, value), one.get(name, _ABSENT), (at, name), exact=exact)
    ]
    lines += [f"[{at}]: expected {_say(expected[at])}, got nothing"
              for at in range(len(came), len(expected))]  # fmt: skip
    lines += [f"[{at}]: was not expected: {_label(came[at])}"
              for at in range(len(expected), len(came))]  # fmt: skip
    return lines


def changes(before: Sequence[Written], after: Sequence[Written]) -> list[str]:
    """One line for every item that went or came, and for every value that changed."""
    lines: list[str] = []
    left = list(after)
    same_number = len(before) == len(after)
    for at, one in enumerate(before):
        found = after[at] if same_number else _find(one, left)
        if found is None:
            lines.append(f"[{at}]: dropped: {_label(one)}")
            continue
        if not same_number:
            left.remove(found)
        lines += _changed(one, found, at)
    if not same_number:
        lines += [f"new: {_label(one)}" for one in left]
    return lines


def printable(text: str) -> str:
    """The text without what would steer a terminal or cannot be written."""
    return text.translate(_CONTROLS).encode("utf-8", "backslashreplace").decode()


def _wanted(name: str, value: object) -> object:
    return as_id(value) if name in _IDS and value is not None else value


def _compare(wanted: Any, came: Any, path: tuple[str | int, ...], *, exact: bool) -> Iterator[str]:
    if wanted is None:
        if came is not _ABSENT and came is not None:
            yield f"{dotted(path)}: expected nothing, got {_say(came)}"
        return
    if came is _ABSENT and wanted in ("", {}, []):  # what is empty is not shown
        return
    if isinstance(wanted, dict | list) and isinstance(came, str):
        came = _parsed(came)
    if isinstance(wanted, dict) and isinstance(came, dict):
        for key, value in wanted.items():
            yield from _compare(value, came.get(key, _ABSENT), (*path, key), exact=exact)
        for key in came if exact else ():
            if key not in wanted:
                yield f"{dotted((*path, key))}: expected nothing, got {_say(came[key])}"
        return
    if isinstance(wanted, list) and isinstance(came, list) and len(wanted) == len(came):
        for at, (one, other) in enumerate(zip(wanted, came, strict=True)):
            yield from _compare(one, other, (*path, at), exact=exact)
        return
    # 1, 1.0 and true are equal to Python and different to whoever reads the telemetry; NaN is NaN.
    if repr(wanted) != repr(came):
        yield f"{dotted(path)}: expected {_say(wanted)}, got {_say(came)}"


def _parsed(text: str) -> object:
    """What a text holds as JSON, such as messages; the text if it holds none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _find(one: Written, others: Sequence[Written]) -> Written | None:
    """The same item, as far as can be told, later on the way."""
    key = one.get("trace_id"), one.get("span_id")
    for other in others:
        if "span_id" in one and key == (other.get("trace_id"), other.get("span_id")):
            return other
        if "span_id" not in one and one == other:
            return other
    return None


def _changed(before: Written, after: Written, at: int) -> list[str]:
    old, new = dict(_leaves(before, (at,))), dict(_leaves(after, (at,)))
    return [
        f"{dotted(path)}: {_say(old.get(path, _ABSENT))} -> {_say(new.get(path, _ABSENT))}"
        for path in dict.fromkeys([*old, *new])
        if _say(old.get(path, _ABSENT)) != _say(new.get(path, _ABSENT))
    ]


def _leaves(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    elif isinstance(value, list) and value:
        for at, below in enumerate(value):
            yield from _leaves(below, (*path, at))
    else:
        yield path, value


def _label(item: Mapping[str, Any]) -> str:
    return _say(item.get("name") or item.get("event_name") or item.get("body") or dict(item))


def _say(value: object) -> str:
    if value is _ABSENT:
        return "nothing"
    text = printable(json.dumps(value, ensure_ascii=False, default=repr))
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}…"
