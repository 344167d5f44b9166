"""Where accepted batches wait for a worker: bounded, weighed in bytes.

`DeliveryQueue` is the seam for a queue that survives a restart. Room is taken with `reserve`,
which never waits, so that a pipeline can ask all its destinations and then take them all without
an `await` between; the weight is fixed there and given back only by `done`, when a batch has been
delivered or counted as lost. What is in flight therefore still takes room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final, Protocol

from genai_collector.errors import QueueFull, TooLarge
from genai_collector.model import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Queued:
    """A batch in the queue, or out of it and not yet done with."""

    batch: Batch
    weight: int


class QueueBooks(Protocol):
    """Who counts, and must hear of items that come or go by themselves."""

    def found(self, items: int, /) -> None:
        """Items are here that nobody has `put` here: from before the start. Negative if items that
        were put here are gone, because another queue has delivered them."""
        ...

    def lost(self, reason: str, items: int, /) -> None:
        """Items that were put or found are no longer readable."""
        ...


class _NoBooks:
    def found(self, items: int, /) -> None: ...
    def lost(self, reason: str, items: int, /) -> None: ...


NO_BOOKS: Final[QueueBooks] = _NoBooks()


class DeliveryQueue(Protocol):
    """First in, first out, read by one worker at a time."""

    books: QueueBooks
    """Set by the owner before the first `wait`."""
    capacity: int
    """Bytes. Never more than this is needed at any moment, in the queue's own way of weighing: a
    durable queue counts what is stored, compressed."""
    keeps: bool
    """Whether what is not delivered at shutdown stays for the next start."""

    @property
    def used(self) -> int:
        """Bytes reserved, waiting and in flight."""
        ...

    @property
    def closed(self) -> bool: ...

    def has_room(self, weight: int, /) -> bool: ...

    def reserve(self, weight: int, /) -> None:
        """Take room; directly after `has_room`. Cannot fail."""
        ...

    def unreserve(self, weight: int, /) -> None:
        """Give back room that will not be used."""
        ...

    async def put(self, batch: Batch, weight: int, /) -> None:
        """Take the batch into reserved room. Returning means that it is safe here: a durable
        queue commits before it returns; where it cannot, it gives the room back and raises a
        `Retryable`."""
        ...

    async def wait_for_room(self, weight: int, /) -> None:
        """Until `has_room`. Raises QueueFull when the queue closes, TooLarge if it never can."""
        ...

    def refuse_waiting(self) -> None:
        """Whoever waits for room now gets QueueFull."""
        ...

    async def wait(self) -> bool:
        """Until `peek` and `poll` have something. False: closed and empty. Takes nothing, so
        that it may be cancelled; a durable queue reads ahead here."""
        ...

    def peek(self) -> Queued | None: ...

    def poll(self) -> Queued | None:
        """Take the oldest. It stays weighed until `done`."""
        ...

    def done(self, queued: Queued, /) -> None:
        """Delivered, or counted as lost: forget it, and there is room again."""
        ...

    def put_back(self, queued: Queued, /) -> None:
        """Taken, but not delivered when the collector stopped. Only called if `keeps`."""
        ...

    def close(self) -> None:
        """No room for anyone any more; `wait` no longer waits, and says False at once if the queue
        keeps what it has."""
        ...

    def release(self) -> None:
        """After the last `put_back`: another queue may read now what this one keeps."""
        ...


class MemoryQueue:
    """A `DeliveryQueue` in memory; what is left at the end is lost, and counted by its owner."""

    keeps = False

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.books: QueueBooks = NO_BOOKS
        self._used = 0
        self._closed = False
        self._waiting: deque[Queued] = deque()
        self._filled = asyncio.Event()
        self._want_room: list[asyncio.Future[None]] = []

    @property
    def used(self) -> int:
        return self._used

    @property
    def closed(self) -> bool:
        return self._closed

    def has_room(self, weight: int, /) -> bool:
        return not self._closed and self._used + weight <= self.capacity

    def reserve(self, weight: int, /) -> None:
        self._used += weight

    def unreserve(self, weight: int, /) -> None:
        self._used -= weight
        self._wake_those_who_want_room()

    async def put(self, batch: Batch, weight: int, /) -> None:
        self._waiting.append(Queued(batch, weight))
        self._filled.set()

    async def wait_for_room(self, weight: int, /) -> None:
        if weight > self.capacity:
            raise TooLarge(f"{weight} bytes never fit into a queue of {self.capacity} bytes")
        while not self.has_room(weight):
            if self._closed:
                raise QueueFull("the collector is stopping")
            room = asyncio.get_running_loop().create_future()
            self._want_room.append(room)
            await room

    def refuse_waiting(self) -> None:
        waiters, self._want_room = self._want_room, []
        for room in waiters:
            if not room.done():
                room.set_exception(QueueFull("the collector is stopping"))

    def _wake_those_who_want_room(self) -> None:
        waiters, self._want_room = self._want_room, []
        for room in waiters:
            if not room.done():
                room.set_result(None)

    async def wait(self) -> bool:
        while not self._waiting:
            if self._closed:
                return False
            self._filled.clear()
            await self._filled.wait()
        return True

    def peek(self) -> Queued | None:
        return self._waiting[0] if self._waiting else None

    def poll(self) -> Queued | None:
        return self._waiting.popleft() if self._waiting else None

    def done(self, queued: Queued, /) -> None:
        self._used -= queued.weight
        self._wake_those_who_want_room()

    def put_back(self, queued: Queued, /) -> None:
        self._waiting.appendleft(queued)

    def close(self) -> None:
        self._closed = True
        self._filled.set()
        self._wake_those_who_want_room()

    def release(self) -> None: ...
