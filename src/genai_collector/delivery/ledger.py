"""The books of one destination: every accepted item ends as sent or as dropped with a reason.

A worker opens an `Account` for what it has taken from the queue. Whoever learns the fate of some
items books it there; what is still unsettled when the worker lets go is booked by the worker. So
the sum is right whoever is interrupted, and a second booking of the same items cannot happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from genai_collector.component import LEFT_OUT, Telemetry
from genai_collector.model import Signal

UNACCOUNTED: Final = "unaccounted"
"""The exporter's answer left these items out: a fault of the exporter."""


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """How one destination stands: `accepted == sent + sum(dropped.values()) + left`."""

    id: str
    signal: Signal
    accepted: int
    sent: int
    dropped: dict[str, int] = field(default_factory=dict)
    left: int = 0
    """Items waiting or in flight; after the end, those that a durable queue keeps."""
    dead_letters: int = 0
    """Of those dropped, how many are kept as dead letters."""


class Ledger:
    """The sums, and the counters that are told about them."""

    def __init__(self, id: str, signal: Signal, telemetry: Telemetry) -> None:
        self.accepted = 0
        self.sent = 0
        self.dropped: dict[str, int] = {}
        self.dead_letters = 0
        self._id = id
        self._signal = signal
        self._telemetry = telemetry

    def accept(self, items: int) -> None:
        self.accepted += items

    def book_sent(self, items: int) -> None:
        self.sent += items
        self._telemetry.sent(self._id, self._signal, items)

    def book_dropped(self, reason: str, items: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + items
        self._telemetry.dropped(self._id, self._signal, reason, items)
        if reason not in LEFT_OUT:
            self._telemetry.send_failed(self._id, self._signal, items)

    def report(self) -> DeliveryReport:
        left = self.accepted - self.sent - sum(self.dropped.values())
        return DeliveryReport(
            self._id,
            self._signal,
            self.accepted,
            self.sent,
            dict(self.dropped),
            left,
            self.dead_letters,
        )


class Account:
    """What one worker holds. Never books more items than it was opened for."""

    __slots__ = ("_ledger", "unsettled")

    def __init__(self, ledger: Ledger, items: int) -> None:
        self._ledger = ledger
        self.unsettled = items

    def sent(self, items: int) -> None:
        items = min(items, self.unsettled)
        if items > 0:
            self.unsettled -= items
            self._ledger.book_sent(items)

    def dropped(self, reason: str, items: int) -> int:
        """Books a loss; returns how many items it really was."""
        items = min(items, self.unsettled)
        if items <= 0:
            return 0
        self.unsettled -= items
        self._ledger.book_dropped(reason, items)
        return items

    def settle(self, total: int, sent: int, dropped: Mapping[str, int], remaining: int) -> None:
        """Book an exporter's answer about `total` items, of which `remaining` are to be tried
        again. An answer that does not add up is corrected towards loss, never towards success."""
        rest = max(0, total - remaining)
        for reason, items in dropped.items():
            rest -= self.dropped(reason, min(items, rest))
        arrived = max(0, min(sent, rest))
        self.sent(arrived)
        self.dropped(UNACCOUNTED, rest - arrived)

    def close(self) -> int:
        """Nothing is booked here any more; returns what was unsettled."""
        items, self.unsettled = self.unsettled, 0
        return items
