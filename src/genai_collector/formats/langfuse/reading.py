"""One pass over a span's attributes, shared by all rules.

`read_attributes` gives the plain values, the union of the keys' bits (see `keys`), the keys that
some rule wants in order, and what will be `metadata.attributes`.
"""

from __future__ import annotations

from typing import Final, cast

from genai_collector.formats.langfuse import keys
from genai_collector.formats.langfuse.values import (
    JSON,
    PlainAttributes,
    is_plain,
    js_text,
    plain_attributes,
)
from genai_collector.model import Attributes

_NO_KEYS: Final[list[tuple[str, int]]] = []


class Reading:
    """What is known of a set of attributes after one look at each."""

    __slots__ = ("attributes", "bits", "collected", "shown")

    def __init__(
        self,
        attributes: PlainAttributes,
        bits: int,
        collected: list[tuple[str, int]],
        shown: dict[str, JSON],
    ) -> None:
        self.attributes = attributes
        self.bits = bits
        self.collected = collected
        """`(key, bits)` of the keys that rules read by prefix, in order."""
        self.shown = shown
        """`metadata.attributes`: all but content and metadata, values as text."""

    def keys_with(self, bit: int) -> list[str]:
        """The collected keys with this bit, in order."""
        return [key for key, bits in self.collected if bits & bit]


def read_attributes(attributes: Attributes, bits: int = 0) -> Reading:
    """Look at each attribute once. `bits` are those known beforehand (scope, events)."""
    shown: dict[str, JSON] = {}
    collected = _NO_KEYS
    remembered = keys.REMEMBERED
    for key, value in attributes.items():
        found = remembered.get(key)
        if found is None:
            found = keys.bits_of(key)
        if found:
            bits |= found
            if found & keys.COLLECTED:
                if collected is _NO_KEYS:
                    collected = []
                collected.append((key, found))
        kind = type(value)
        if kind is str:
            if not found & keys.HIDDEN:
                shown[key] = cast("str", value)
        elif kind is int:
            if not found & keys.HIDDEN:
                shown[key] = str(value)
        elif not is_plain(value):
            return read_attributes(cast("Attributes", plain_attributes(attributes)), bits)
        elif not found & keys.HIDDEN:
            shown[key] = js_text(cast("JSON", value))
    return Reading(cast("PlainAttributes", attributes), bits, collected, shown)
