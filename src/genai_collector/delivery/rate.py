"""How fast a queue empties, for telling refused senders when to come back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

MIN_WAIT_S: Final = 1.0
MAX_WAIT_S: Final = 60.0


class DrainRate:
    """Bytes per second, averaged over about `window_s`, recent ones counting more."""

    def __init__(self, clock: Callable[[], float], window_s: float = 10.0) -> None:
        self._clock = clock
        self._window_s = window_s
        self._recent = 0.0
        self._at = clock()

    def _decay(self) -> None:
        now = self._clock()
        self._recent *= math.exp(-max(0.0, now - self._at) / self._window_s)
        self._at = now

    def add(self, drained: int) -> None:
        self._decay()
        self._recent += drained

    def per_second(self) -> float:
        self._decay()
        return self._recent / self._window_s

    def wait_for(self, size: int) -> float:
        """Seconds until `size` bytes have drained, between 1 and 60."""
        rate = self.per_second()
        return min(MAX_WAIT_S, max(MIN_WAIT_S, size / rate)) if rate > 0 else MAX_WAIT_S
