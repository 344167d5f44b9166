"""Times of a payload, seconds since the epoch as a float, and nanoseconds.

LiteLLM takes its times from clocks of microseconds, so a float is read as the microsecond that it
was made from; any other float as the nearest nanosecond. A float of today's dates is known to about
120 ns, so both give the very same float again.
"""

from __future__ import annotations

import math
from typing import Final

from genai_collector.model import Value

_SECOND: Final = 1_000_000_000
_MICROSECONDS: Final = 1_000_000
_LATEST_S: Final = (2**64 - 1) // _SECOND


def to_ns(seconds: Value) -> int | None:
    """Nanoseconds since the epoch, or None for what is no time between 1970 and 2554."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    if not 0 <= seconds < _LATEST_S:  # also refuses NaN
        return None
    if isinstance(seconds, int):
        return seconds * _SECOND
    whole = int(seconds)
    rest = seconds - whole  # exact
    microseconds = whole * _MICROSECONDS + round(rest * _MICROSECONDS)
    if microseconds / _MICROSECONDS == seconds:
        return microseconds * 1000
    return whole * _SECOND + round(rest * _SECOND)


def to_seconds(ns: int) -> float:
    """Seconds since the epoch, the nearest float there is."""
    return ns / _SECOND


def gives_back(seconds: Value, ns: int) -> bool:
    """Whether `to_seconds(ns)` is exactly this value."""
    if not isinstance(seconds, float) or seconds != to_seconds(ns):
        return False
    return math.copysign(1.0, seconds) > 0
