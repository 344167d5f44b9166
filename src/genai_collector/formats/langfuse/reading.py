"""One look at a span's attributes, shared by all rules.

Spans of one instrumentation have the same keys over and over, so what follows from the keys alone
(which rules may apply, which attributes they read, what is hidden from `metadata.attributes`) is
worked out once per set of keys and remembered as a `Plan`; only values are looked at per span.
"""

from __future__ import annotations

from functools import lru_cache, reduce
from operator import or_
from typing import Final, cast

from genai_collector.formats.langfuse import keys
from genai_collector.formats.langfuse.usage_roles import SUBTRACTED, role_of
from genai_collector.formats.langfuse.values import (
    JSON,
    PlainAttributes,
    is_plain,
    js_number,
    js_text,
    plain_attributes,
)
from genai_collector.model import Attributes

_NOT_METADATA: Final = frozenset(
    {
        "ai.telemetry.metadata.userId",
        "ai.telemetry.metadata.sessionId",
        "ai.telemetry.metadata.tags",
        "ai.telemetry.metadata.langfusePrompt",
    }
)
_LONGEST_WORD: Final = 64
_MOST_KEYS: Final = 128
"""Larger sets of keys (flattened conversations) differ each time; they are not remembered."""


class Plan:
    """What follows from the keys of a set of attributes, in their order."""

    __slots__ = (
        "bits", "flattened", "hidden", "metadata", "parameters", "subtracted", "usage",
        "usage_repeats"
    )  # fmt: skip

    def __init__(self, names: tuple[str, ...]) -> None:
        found = [(name, keys.bits_of(name)) for name in names]

        def names_with(bit: int) -> tuple[str, ...]:
            return tuple(name for name, bits in found if bits & bit)

        self.bits = reduce(or_, (bits for _, bits in found), 0)
        self.hidden = names_with(keys.HIDDEN)
        self.usage = tuple((name, *role_of(name)) for name in names_with(keys.USAGE))
        buckets = [bucket for _, bucket, _ in self.usage]
        self.usage_repeats = len(set(buckets)) < len(buckets)
        self.subtracted = tuple(
            (bucket, tuple(part for part in parts if part in buckets))
            for bucket, parts in SUBTRACTED
            if bucket in buckets
        )
        self.metadata = tuple(
            name for name in names_with(keys.METADATA) if name not in _NOT_METADATA
        )
        self.parameters = tuple(
            (name, short)
            for bit, prefix in keys.PARAMETER_PREFIXES
            for name in names_with(bit)
            if (short := name[len(prefix) :]) != "model"
        )
        self.flattened = {bit: names_with(bit) for bit in keys.FLATTENED}


_remembered_plan = lru_cache(maxsize=1024)(Plan)


@lru_cache(maxsize=1024)
def _single_text(word: str) -> str:
    """A list of this one word, which most finish reasons are."""
    return js_text([word])


class Reading:
    """A set of attributes with its plan."""

    __slots__ = ("attributes", "bits", "plan", "shown")

    def __init__(
        self, attributes: PlainAttributes, bits: int, plan: Plan, shown: dict[str, JSON]
    ) -> None:
        self.attributes = attributes
        self.bits = bits
        """The plan's bits and those known beforehand (scope, events)."""
        self.plan = plan
        self.shown = shown
        """`metadata.attributes`: all but content and metadata, values as text."""


def read_attributes(attributes: Attributes, bits: int = 0) -> Reading:
    """Look at each value once. `bits` are those known beforehand (scope, events)."""
    names = tuple(attributes)
    plan = _remembered_plan(names) if len(names) <= _MOST_KEYS else Plan(names)
    shown = attributes.copy()
    for name in plan.hidden:
        kind = type(shown.pop(name))
        if kind is not str and kind is not int and not is_plain(attributes[name]):
            return read_attributes(cast("Attributes", plain_attributes(attributes)), bits)
    for name, value in shown.items():
        kind = type(value)
        if kind is str:
            continue
        if kind is int:
            shown[name] = str(value)
        elif kind is float and value - value == 0.0:  # type: ignore[operator]  # else inf or NaN
            shown[name] = js_number(value)  # type: ignore[arg-type]
        elif (
            kind is list
            and len(value) == 1  # type: ignore[arg-type]
            and type(word := value[0]) is str  # type: ignore[index]
            and len(word) <= _LONGEST_WORD
        ):
            shown[name] = _single_text(word)
        elif is_plain(value):
            shown[name] = js_text(cast("JSON", value))
        else:
            return read_attributes(cast("Attributes", plain_attributes(attributes)), bits)
    return Reading(
        cast("PlainAttributes", attributes),
        bits | plan.bits,
        plan,
        cast("dict[str, JSON]", shown),
    )
