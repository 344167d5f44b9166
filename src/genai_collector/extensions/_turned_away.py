"""What is said of those who were turned away: a counter, and a line that cannot flood the log."""

from __future__ import annotations

from collections import Counter
from typing import Final

from genai_collector.component import Context
from genai_collector.errors import Unauthenticated

_EVERY_S: Final = 10.0


class TurnedAway:
    """Counts, and at most every ten seconds logs how many came with what fault. What they sent is
    in no line."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._next_line = float("-inf")
        self._unsaid: Counter[str] = Counter()

    def because(self, reason: str) -> Unauthenticated:
        """One more, for this reason (one of few): the error to raise."""
        context = self._context
        context.telemetry.unauthenticated(context.id)
        self._unsaid[reason] += 1
        now = context.clock()
        if now >= self._next_line:
            self._next_line = now + _EVERY_S
            told = ", ".join(f"{text} ({times})" for text, times in self._unsaid.items())
            context.log.warning(
                "Requests were refused: %s.", told, extra={"requests": self._unsaid.total()}
            )
            self._unsaid.clear()
        return Unauthenticated(reason)
