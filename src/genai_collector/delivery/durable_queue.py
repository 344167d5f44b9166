"""A `DeliveryQueue` on disk: what was put is there when the collector starts again.

What was put last stays in memory as well, as long as that is little: on a good day nothing is read
back. What is beyond that is on disk only (the backlog), and is read from there in its order.

    oldest                                                                newest
    in flight │ ready: in memory, too │ backlog: on disk │ recent: in memory, too

Room is counted in bytes as they are stored. A batch reserves its size before compression and gives
the difference back when it is stored; so what was admitted never needs more than the quota.

While a configuration is reloaded, the old and the new queue are on the same records. Only one
reads, the new one when the old one has let go; until then it only adds. Each delivers what it has
put itself, and the reader what it found when it began.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

import orjson

from genai_collector.component import Records, Stored
from genai_collector.delivery.queue import NO_BOOKS, QueueBooks, Queued
from genai_collector.errors import QueueFull, Retryable, TooLarge
from genai_collector.formats.otlp import CODEC
from genai_collector.model import Batch, Codec, Compressed, Signal
from genai_collector.transport.compression import canonical, decompress

WINDOW_BYTES: Final = 8 * 1024 * 1024
"""Of the oldest waiting batches that are in memory, too, and as many of the newest."""
RECORD_BYTES: Final = 256
"""What a record needs on disk beside its data, at most: reserved with every batch."""
UNREADABLE: Final = "unreadable"
"""Reason under which items are counted that are on disk no more, or not as they were."""

_PAUSE_S: Final = 1.0
_MOST_TOO_MUCH: Final = 256
"""By how much less is read at once, at most, where data is many times as much in memory."""
_STOPPING: Final = "the collector is stopping"


@dataclass(frozen=True, slots=True, eq=False)
class QueuedOnDisk(Queued):
    """A batch that is in the records under this id."""

    id: int


@dataclass(slots=True)
class _Backlog:
    """What is on disk only: records with ids after `after`, up to `last`."""

    after: int
    last: int
    items: int


class DurableQueue:
    """A `DeliveryQueue` over `component.Records`, as long as their storage is open."""

    keeps = True

    def __init__(
        self,
        records: Records,
        signal: Signal,
        *,
        codec: Codec = CODEC,
        window: int = WINDOW_BYTES,
    ) -> None:
        self.capacity = max(1, records.quota - RECORD_BYTES)
        self.books: QueueBooks = NO_BOOKS
        self._records = records
        self._signal = signal
        self._codec = codec
        self._window = window
        self._ready: deque[QueuedOnDisk] = deque()
        self._backlog: _Backlog | None = None
        self._recent: deque[QueuedOnDisk] = deque()
        self._recent_bytes = 0
        self._own_items = 0
        self._reserved = 0
        self._putting = 0
        self._reading = False
        self._released = False
        self._done = 0
        self._known_done = 0
        """Of those done with, how many are known to have been removed."""
        self._read_bytes = window
        self._closed = False
        self._refusing = False
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._may_put = asyncio.Event()
        self._may_put.set()
        self._nobody_puts = asyncio.Event()
        self._nobody_puts.set()
        self._want_room: list[asyncio.Future[None]] = []

    # ---- room ------------------------------------------------------------------------------

    @property
    def used(self) -> int:
        return self._records.used + self._reserved

    @property
    def closed(self) -> bool:
        return self._closed

    def has_room(self, weight: int, /) -> bool:
        return not self._closed and self.used + weight <= self.capacity

    def reserve(self, weight: int, /) -> None:
        self._reserved += weight + RECORD_BYTES

    def unreserve(self, weight: int, /) -> None:
        self._reserved -= weight + RECORD_BYTES
        self._wake_those_who_want_room()

    async def wait_for_room(self, weight: int, /) -> None:
        if weight > self.capacity:
            raise TooLarge(f"{weight} bytes never fit into a queue of {self.capacity} bytes")
        while not self.has_room(weight):
            if self._closed or self._refusing:
                raise QueueFull(_STOPPING)
            if self._known_done < self._done:  # takes room until it is removed
                done = self._done
                await self._records.settled()
                self._known_done = max(done, self._known_done)
                continue
            room = asyncio.get_running_loop().create_future()
            self._want_room.append(room)
            await room

    def refuse_waiting(self) -> None:
        self._refusing = True
        waiters, self._want_room = self._want_room, []
        for room in waiters:
            if not room.done():
                room.set_exception(QueueFull(_STOPPING))

    def _wake_those_who_want_room(self) -> None:
        waiters, self._want_room = self._want_room, []
        for room in waiters:
            if not room.done():
                room.set_result(None)

    # ---- in --------------------------------------------------------------------------------

    async def put(self, batch: Batch, weight: int, /) -> None:
        try:
            while not self._may_put.is_set():
                await self._may_put.wait()
            if self._released:  # who reads now would not see it before the next start
                raise QueueFull(_STOPPING)
            self._begin_to_put()
            try:
                data, meta = _written(batch)
                number = await self._records.append(
                    data, meta=meta, items=batch.count, compressed=bool(meta)
                )
                self._note(QueuedOnDisk(batch, weight, number))
            finally:
                self._end_of_put()
        finally:
            self.unreserve(weight)

    def _begin_to_put(self) -> None:
        self._putting += 1
        self._nobody_puts.clear()

    def _end_of_put(self) -> None:
        self._putting -= 1
        if not self._putting:
            self._nobody_puts.set()
            if self._released:
                self._let_the_next_read()

    def _note(self, queued: QueuedOnDisk) -> None:
        """It is on disk. Called in the order of the ids: commits answer in order."""
        if not self._reading:
            self._own_items += queued.batch.count
            return
        self._recent.append(queued)
        self._recent_bytes += queued.batch.size_bytes
        while self._recent_bytes > self._window and len(self._recent) > 1:
            self._leave_to_disk(self._recent.popleft())
        self._changed.set()

    def _leave_to_disk(self, queued: QueuedOnDisk) -> None:
        self._recent_bytes -= queued.batch.size_bytes
        if self._backlog is None:
            self._backlog = _Backlog(queued.id - 1, queued.id, 0)
        self._backlog.last = queued.id
        self._backlog.items += queued.batch.count

    # ---- out -------------------------------------------------------------------------------

    async def wait(self) -> bool:
        while not self._closed:
            if not self._reading:
                await self._take_over()
            elif self._ready:
                return True
            elif self._backlog is not None:
                await self._read_ahead(self._backlog)
            elif self._recent:
                self._ready, self._recent, self._recent_bytes = self._recent, deque(), 0
            else:
                self._changed.clear()
                await self._changed.wait()
        return False

    async def _take_over(self) -> None:
        """Become the one who reads, and learn what is there. For a moment nobody puts, so that
        what others have left can be told from what was put here."""
        turn = asyncio.ensure_future(self._records.acquire())
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({turn, closing}, return_when=asyncio.FIRST_COMPLETED)
            if self._closed or not turn.done():
                return
            turn.result()
            self._may_put.clear()
            await self._nobody_puts.wait()
            await self._records.settled()
            self._begin_reading()
        except Retryable:  # nobody knows what is on disk; the storage has told
            self._may_put.set()
            await self._pause()
        finally:
            self._may_put.set()
            closing.cancel()
            if not self._reading:
                _give_up_turn(turn, self._records)

    def _begin_reading(self) -> None:
        self._reading = True
        records = self._records
        self._backlog = None
        if records.count:
            self._backlog = _Backlog(0, records.last_id, records.items)
        # Less than nothing if the one who read before has delivered what was put here.
        self.books.found(records.items - self._own_items)
        self._wake_those_who_want_room()  # it has made some, and could not tell

    async def _read_ahead(self, backlog: _Backlog) -> None:
        last = backlog.last
        try:
            stored = await self._records.read(backlog.after, self._read_bytes)
            found = self._affordable([one for one in stored if one.id <= last])
            batches = await self._batches(found)
            await self._set_aside(found, batches)
        except Retryable:
            await self._pause()  # the storage has told
            return
        for one, batch in zip(found, batches, strict=True):
            backlog.after = one.id
            backlog.items -= one.items
            if batch is None:
                self.books.lost(UNREADABLE, one.items)
            else:
                self._ready.append(QueuedOnDisk(batch, max(1, batch.size_bytes), one.id))
        if not stored or (stored[len(found) :] and stored[len(found)].id > last):
            backlog.after = max(backlog.after, last)
        if backlog.items < 0:  # another queue had put these
            self.books.found(-backlog.items)
            backlog.items = 0
        if backlog.after >= backlog.last:
            self._end_of(backlog)

    def _affordable(self, found: list[Stored]) -> list[Stored]:
        """The first ones, as many as are small enough together when they are decompressed."""
        size = 0
        for number, one in enumerate(found):
            size += _size_of(one)
            if number and size > self._window:
                self._read_bytes = max(self._window // _MOST_TOO_MUCH, self._read_bytes // 2)
                return found[:number]
        self._read_bytes = min(self._window, self._read_bytes * 2)
        return found

    def _end_of(self, backlog: _Backlog) -> None:
        """Everything on disk was read. What should have been there and was not is lost."""
        self._backlog = None
        if backlog.items > 0:
            self.books.lost(UNREADABLE, backlog.items)

    async def _batches(self, stored: list[Stored]) -> list[Batch | None]:
        if any(one.meta for one in stored):  # these are to be decompressed
            return await asyncio.to_thread(self._batches_of, stored)
        return self._batches_of(stored)

    def _batches_of(self, stored: list[Stored]) -> list[Batch | None]:
        return [_batch_of(one, self._signal, self._codec) for one in stored]

    async def _set_aside(self, stored: list[Stored], batches: list[Batch | None]) -> None:
        bad = [one.id for one, batch in zip(stored, batches, strict=True) if batch is None]
        if bad:
            await self._records.set_aside(bad, "it is not a batch of this version")

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_PAUSE_S):
                await self._closing.wait()
        except TimeoutError:
            pass

    def peek(self) -> Queued | None:
        return self._ready[0] if self._ready else None

    def poll(self) -> Queued | None:
        return self._ready.popleft() if self._ready else None

    def done(self, queued: Queued, /) -> None:
        assert isinstance(queued, QueuedOnDisk)
        self._records.remove([queued.id])
        self._done += 1
        self._wake_those_who_want_room()

    def put_back(self, queued: Queued, /) -> None:
        assert isinstance(queued, QueuedOnDisk)
        self._ready.appendleft(queued)

    # ---- the end ---------------------------------------------------------------------------

    def close(self) -> None:
        self._closed = True
        self._changed.set()
        self._closing.set()
        self._wake_those_who_want_room()

    def release(self) -> None:
        if self._released:
            return
        self._released = True
        if not self._putting:
            self._let_the_next_read()

    def _let_the_next_read(self) -> None:
        """Not before the last `put` is on disk: the next one reads only what is there then."""
        if self._reading:
            self._reading = False
            self._records.release()


def _give_up_turn(turn: asyncio.Future[None], records: Records) -> None:
    """Whoever has got the turn and does not want it must give it back."""
    if turn.done() and not turn.cancelled() and turn.exception() is None:
        records.release()
    else:
        turn.cancel()


def _written(batch: Batch) -> tuple[bytes, bytes]:
    """What to store of a batch, and the meta of it: empty for the plain OTLP request, otherwise
    how it is compressed, as its sender had it."""
    compressed = batch.compressed
    if compressed is None or not batch.is_encoded or len(compressed.data) >= batch.size_bytes:
        return batch.encoded(), b""
    return compressed.data, orjson.dumps(
        {"encoding": compressed.encoding, "size": batch.size_bytes}
    )


def _size_of(stored: Stored) -> int:
    """Bytes in memory, decompressed."""
    try:
        return int(orjson.loads(stored.meta)["size"]) if stored.meta else len(stored.data)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return len(stored.data)  # it will not be decompressed either


def _batch_of(stored: Stored, signal: Signal, codec: Codec) -> Batch | None:
    """The batch; None if it is not one."""
    if not stored.meta:
        return Batch(signal, codec, encoded=stored.data, count=stored.items)
    try:
        meta = orjson.loads(stored.meta)
        encoding, size = meta["encoding"], meta["size"]
        if not canonical(encoding):
            return None
        data = decompress(encoding, stored.data, size)
    except Exception:  # whatever is wrong with it: those that follow must be delivered
        return None
    compressed = Compressed(encoding, stored.data)
    return Batch(signal, codec, encoded=data, count=stored.items, compressed=compressed)
