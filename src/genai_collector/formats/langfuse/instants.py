"""Points in time as the ingestion schema writes them, to numbers (sections 1.3 and 1.4)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from genai_collector.formats.langfuse.values import iso_from_ms

_PARTS: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2})(?::(\d{2})(?:\.(\d+))?)?(Z|[+-]\d{2}:\d{2})"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN_LENGTHS: Final = (27, 24)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND_NS: Final = 1_000_000_000
_LAST_NS: Final = 2**63 - 1


_REMEMBERED: Final = 1024
"""Each time of an event is asked for when it is judged, when events are put in order, and when they
become a span: the last few hundred events' worth."""


def plain_instant(text: str) -> datetime | None:
    """The instant of a text in the two forms that the SDKs write, milli- or microseconds and `Z`,
    which need no pattern; None for all other texts, valid or not."""
    # Only texts of these lengths are remembered, so that what is remembered stays small.
    return _plain_instant(text) if len(text) in _PLAIN_LENGTHS else None


@lru_cache(maxsize=_REMEMBERED)
def _plain_instant(text: str) -> datetime | None:
    if (
        text[-1] != "Z" or text[19] != "." or text[10] != "T" or text[7] != "-"
        or text[11:13] == "24"  # newer Pythons read it
    ):  # fmt: skip
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def time_ns(text: str) -> int:
    """Nanoseconds since the epoch, all digits kept; years outside OTLP's range are its limits.

    The text must be one that `schema_values.is_datetime` accepts.
    """
    plain = _plain_ns(text) if len(text) in _PLAIN_LENGTHS else None
    return _any_time_ns(text) if plain is None else plain


@lru_cache(maxsize=_REMEMBERED)
def _plain_ns(text: str) -> int | None:
    plain = _plain_instant(text)
    if plain is None:
        return None
    nanoseconds = (plain - _EPOCH) // _MICROSECOND * 1000
    return nanoseconds if 0 <= nanoseconds <= _LAST_NS else None


def _any_time_ns(text: str) -> int:
    found = _PARTS.fullmatch(text)
    if found is None:
        raise ValueError(f"no ISO time: {len(text)} characters")
    day, minute, second, fraction, offset = found.groups()
    if day.startswith("0000"):
        return 0
    zone = "+00:00" if offset == "Z" else offset
    instant = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}{zone}")
    try:
        whole = instant - _EPOCH
    except OverflowError:  # within a day of the first or the last year
        return 0
    seconds = whole.days * 86_400 + whole.seconds
    nanoseconds = seconds * _SECOND_NS + int(((fraction or "") + "0" * 9)[:9])
    return min(max(nanoseconds, 0), _LAST_NS)


def iso_exact(nanoseconds: int) -> str:
    """The instant with as many digits as it needs: milli-, micro- or nanoseconds."""
    whole = iso_from_ms(nanoseconds // 1_000_000)
    rest = nanoseconds % 1_000_000
    if not rest:
        return whole
    digits = f"{rest:06d}"
    return whole[:-1] + (digits[:3] if digits.endswith("000") else digits) + "Z"


def time_ms(text: str) -> int:
    """Milliseconds since the epoch, cut, as Langfuse compares and stores them."""
    return time_ns(text) // 1_000_000
