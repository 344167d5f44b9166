"""Exports of records in JSON, one or many per request: what goes together, and what became of it.

Strategy: an attempt is a list of requests. Each ends as taken, refused or interrupted; what is
already decided is never sent again, and one bad record among several requests is dropped alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple, NoReturn

from genai_collector.component import NOT_GENAI, Sent
from genai_collector.errors import Partial, Permanent, Refused, Retryable
from genai_collector.model import Batch, Items, LogRecord, Metric, Point, Signal, Span

# An attempt with several requests ends in good time, so that what it sent is not sent again.
_SHARE_OF_TIMEOUT: Final = 0.5


class Piece(NamedTuple):
    """One record, and what to try again if it is not taken."""

    item: Span | LogRecord | Metric
    point: Point | None
    weight: int
    """Items that it counts as; a metric without points is none."""
    body: bytes
    others: Sequence[Span] = ()
    """More items of the same record: the other spans of a trace."""


def groups_of(
    pieces: Iterable[Piece], max_bytes: int, max_pieces: int = 1_000_000
) -> list[list[Piece]]:
    """What goes into one request each: up to so many bytes of records with what separates them;
    with a limit of 0, and for a record over it, one alone."""
    groups: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        size = len(piece.body) + 1  # and a comma or a bracket
        if not groups or size > room or len(groups[-1]) == max_pieces:
            groups.append([])
            room = max(0, max_bytes - 1)
        groups[-1].append(piece)
        room -= size
    return groups


class Attempt:
    """The requests of one attempt, and what became of them so far."""

    def __init__(
        self, batch: Batch, groups: list[list[Piece]], *, whole_records: bool = False
    ) -> None:
        """With `whole_records` the bad one is looked for here, by halving requests: delivery would
        halve the batch, and with it records of several items."""
        self.sent = 0
        self._whole_records = whole_records
        self.dropped: Counter[str] = Counter()
        self.dead: list[Refused] = []
        """What was dropped because the destination refused it."""
        self.message = ""
        self._batch = batch
        self._groups = groups
        self._at = 0

    def __iter__(self) -> Iterator[list[Piece]]:
        while self._at < len(self._groups):
            yield self._groups[self._at]

    @property
    def remaining(self) -> list[Piece]:
        return [piece for group in self._groups[self._at :] for piece in group]

    def took(self) -> None:
        """The destination took the request at hand."""
        self.sent += _count(self._groups[self._at])
        self._at += 1

    def refused(self, error: Permanent) -> None:
        """The destination refused it for good: drop what is surely lost, or let delivery halve."""
        if self._whole_records and error.data_fault:
            self._halve(error)
            return
        untouched = not self.sent and self.dropped.keys() <= {NOT_GENAI}
        if untouched and (error.data_fault or not self.dropped) and not self._poisoned(error):
            raise error
        self.message = str(error)
        if not error.data_fault:
            self._drop(self.remaining, error)
            self._at = len(self._groups)
        elif len(self._groups[self._at]) == 1:
            self._drop(self._groups[self._at], error)
            self._at += 1
        else:
            self._stop(str(error), None)

    def _halve(self, error: Permanent) -> None:
        group = self._groups[self._at]
        middle = len(group) // 2
        if middle:
            self._groups[self._at : self._at + 1] = [group[:middle], group[middle:]]
            return
        self.message = str(error)
        self._drop(group, error)
        self._at += 1

    def _drop(self, pieces: list[Piece], error: Permanent) -> None:
        self.dropped[error.reason] += _count(pieces)
        batch = self._batch.with_items(_items(pieces, self._batch.signal))
        self.dead.append(Refused(batch, error.reason, str(error)))

    def end(self) -> Sent:
        """How it ended, when there are no more requests."""
        return Sent(self.sent, self.dropped, self.message, self.dead)

    def _poisoned(self, error: Permanent) -> bool:
        """One bad record among several requests: the others need not be halved for it."""
        return error.data_fault and len(self._groups) > 1 and len(self._groups[self._at]) == 1

    def interrupted(self, error: Retryable) -> None:
        """What is left may be taken later."""
        if not self.sent and not self.dropped:
            raise error
        self._stop(str(error), error.retry_after)

    def pause(self, took_s: float, timeout_s: float) -> None:
        """Leave the rest to the next attempt when this one has used its share of the timeout."""
        if self.remaining and 0 < timeout_s * _SHARE_OF_TIMEOUT < took_s:
            self.interrupted(Retryable("one attempt was too short for all requests"))

    def _stop(self, message: str, retry_after: float | None) -> NoReturn:
        raise Partial(
            message,
            remaining=self._batch.with_items(_items(self.remaining, self._batch.signal)),
            sent=self.sent,
            dropped=self.dropped,
            refused=self.dead,
            retry_after=retry_after,
        )


def _count(pieces: Iterable[Piece]) -> int:
    return sum(piece.weight for piece in pieces)


def _items(pieces: Sequence[Piece], signal: Signal) -> Items:
    if signal is Signal.TRACES:
        first = [(piece.item, *piece.others) for piece in pieces]
        return [item for items in first for item in items if isinstance(item, Span)]
    if signal is Signal.LOGS:
        return [piece.item for piece in pieces if isinstance(piece.item, LogRecord)]
    return [_with_point(p.item, p.point) for p in pieces if isinstance(p.item, Metric)]


def _with_point(metric: Metric, point: Point | None) -> Metric:
    """The metric with this one of its points."""
    data = metric.data
    if data is not None and point is not None:
        data = replace(data, points=[point])  # type: ignore[arg-type]
    return Metric(
        name=metric.name,
        description=metric.description,
        unit=metric.unit,
        data=data,
        metadata=metric.metadata,
        resource=metric.resource,
        scope=metric.scope,
    )
