"""A log that a dead destination cannot flood.

Lines of one kind come at most once per interval; the next one that comes says how many were left
out. WARN: nothing is lost. ERROR: something is, or an operator must act.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from genai_collector.model import Signal


class QuietLog:
    """At most one line per kind and `interval_s`; the first at once."""

    def __init__(
        self,
        log: logging.Logger,
        id: str,
        signal: Signal,
        clock: Callable[[], float],
        interval_s: float = 10.0,
    ) -> None:
        self._log = log
        self._fields: dict[str, object] = {"component": id, "signal": signal.value}
        self._clock = clock
        self._interval_s = interval_s
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def say(
        self,
        level: int,
        kind: str,
        message: str,
        *,
        exc_info: BaseException | None = None,
        **fields: object,
    ) -> None:
        """Log the line, or remember that it was left out."""
        now = self._clock()
        last = self._last.get(kind)
        if last is not None and now - last < self._interval_s:
            self._left_out[kind] = self._left_out.get(kind, 0) + 1
            return
        self._last[kind] = now
        left_out = self._left_out.pop(kind, 0)
        if left_out:
            message = f"{message} ({left_out} more like this since the last line)"
        self._log.log(level, "%s", message, exc_info=exc_info, extra={**self._fields, **fields})
