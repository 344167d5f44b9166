"""Timestamps of records: RFC 3339 text or a Unix number, and nanoseconds.

The gateway writes UTC with `+00:00` and 0, 3, 6 or 9 digits, as many as are needed; the sample in
its documentation writes milliseconds and `Z`. A number has no documented unit, so its magnitude
decides.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from genai_collector.model import Value

_TEXT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:([Zz])|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000_000
_LATEST_NS: Final = 2**64 - 1
# Below the limit, a number counts units of so many nanoseconds.
_MAGNITUDES: Final = ((1e11, 1_000_000_000), (1e14, 1_000_000), (1e17, 1_000))


def parse_timestamp(value: Value) -> int | None:
    """Nanoseconds since the epoch, or None for what is no time between 1970 and 2554."""
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value <= _LATEST_NS:  # also refuses NaN
            return None
        scale = next((scale for limit, scale in _MAGNITUDES if value < limit), 1)
        ns = value * scale if isinstance(value, int) else round(value * scale)
        return ns if ns <= _LATEST_NS else None
    return None


def _parse_text(text: str) -> int | None:
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    day, time, fraction, _, sign, hours, minutes = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time}").replace(tzinfo=UTC)
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            moment = moment.replace(tzinfo=timezone(offset if sign == "+" else -offset))
        since = moment - _EPOCH
    except (ValueError, OverflowError):
        return None
    seconds = since.days * 86400 + since.seconds
    ns = seconds * _SECOND + int((fraction or "0").ljust(9, "0"))
    return ns if 0 <= ns <= _LATEST_NS else None


def render_timestamp(ns: int, *, zulu: bool) -> str:
    """RFC 3339 in UTC; `zulu` is the sample's spelling, with at least milliseconds."""
    seconds, rest = divmod(min(max(ns, 0), _LATEST_NS), _SECOND)
    text = _second(seconds)
    if rest:
        digits = f"{rest:09d}"
        while digits.endswith("000"):
            digits = digits[:-3]
        text = f"{text}.{digits}"
    elif zulu:
        text += ".000"
    return text + ("Z" if zulu else "+00:00")


@lru_cache(maxsize=1024)
def _second(seconds: int) -> str:
    # Many records share a second.
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
