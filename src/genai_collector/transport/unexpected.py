"""How a bug shows in the log: where it happened, never what was being handled.

An exception's text may quote the payload, so only its type and the places it passed are written;
and the places only the first time, so that a bug on every request does not flood the log.
"""

from __future__ import annotations

import logging
import traceback
from typing import Final

_MAX_REMEMBERED: Final = 1000


class UnexpectedErrors:
    """Logs exceptions that nobody foresaw."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._seen: set[tuple[str, str]] = set()

    def report(self, where: str, error: BaseException) -> None:
        """One ERROR for `error`; with the traceback's places if it is new."""
        name = type(error).__name__
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
        trace = ""
        if (name, place) not in self._seen and len(self._seen) < _MAX_REMEMBERED:
            self._seen.add((name, place))
            trace = "\n" + "".join(traceback.format_list(frames)).rstrip()
        self._log.error(
            "A request failed because of a bug in the collector: %s at %s (%s).%s",
            name,
            place,
            where,
            trace,
            extra={"error": name, "where": where},
        )
