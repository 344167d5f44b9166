"""A queue on disk: order, restart, reload, and what cannot be read."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from genai_collector.delivery import (
    DurableQueue,
)
from genai_collector.errors import Retryable, StorageFull
from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import Compressed, Signal, Span
from tests.delivery.test_queues import put, take
from tests.storage.support import opened
from tests.support.fakes import (
    LineCodec,
    line_batch,
    names_of,
    run_virtual,
)
from tests.support.records import MemoryRecords


class Books:
    """What the queue told."""

    def __init__(self) -> None:
        self.items = 0
        self.gone: dict[str, int] = {}

    def found(self, items: int) -> None:
        self.items += items

    def lost(self, reason: str, items: int) -> None:
        self.gone[reason] = self.gone.get(reason, 0) + items


def durable(records: MemoryRecords, window: int = 1 << 20) -> tuple[DurableQueue, Books]:
    queue = DurableQueue(records, Signal.TRACES, codec=LineCodec(), window=window)
    queue.books = books = Books()
    return queue, books


async def everything(queue: DurableQueue) -> list[str]:
    """Deliver what there is."""
    seen: list[str] = []
    while True:
        try:
            async with asyncio.timeout(5):
                taken = await take(queue)
        except TimeoutError:
            return seen
        seen += names_of(taken.batch)
        queue.done(taken)


@pytest.mark.parametrize("window", [8, 1 << 20])
def test_what_was_not_delivered_is_there_after_a_restart(window: int) -> None:
    """In order, what was in flight included, and counted as found."""

    async def main() -> None:
        records = MemoryRecords()
        queue, books = durable(records, window)
        for n in range(6):
            await put(queue, f"{n}", f"{n}'")
        queue.done(await take(queue))
        await take(queue)  # in flight when it dies
        assert (books.items, books.gone) == (0, {})
        records.release()
        again, books = durable(records, window)
        await put(again, "new")
        expected = [f"{n}{prime}" for n in range(1, 6) for prime in ("", "'")]
        assert await everything(again) == [*expected, "new"]
        assert (books.items, books.gone) == (10, {})
        assert records.count == 0

    run_virtual(main())


def test_a_good_day_reads_nothing_back() -> None:
    """What fits into memory is handed out as the object that was put."""

    async def main() -> None:
        records = MemoryRecords()
        queue, _ = durable(records)
        assert not await _waits(queue)
        batch = line_batch(["a"])
        queue.reserve(batch.size_bytes)
        await queue.put(batch, batch.size_bytes)
        assert (await take(queue)).batch is batch

    run_virtual(main())


async def _waits(queue: DurableQueue) -> bool:
    try:
        async with asyncio.timeout(0.1):
            return await queue.wait()
    except TimeoutError:
        return False


def test_memory_is_bounded() -> None:
    """However much is put, only the window is in memory, also while it is delivered."""

    async def main() -> None:
        queue, _ = durable(MemoryRecords(), window=50)
        assert not await _waits(queue)
        for n in range(100):
            await put(queue, f"{n:04}")
        for _ in range(100):
            taken = await take(queue)
            for held in (queue._ready, queue._recent):
                assert sum(q.batch.size_bytes for q in held) <= 50
            queue.done(taken)

    run_virtual(main())


@pytest.mark.parametrize("error", [StorageFull("full"), Retryable("broken")])
def test_what_cannot_be_stored_is_refused(error: Exception) -> None:
    """The put raises, the room is given back, and nothing of it is delivered."""

    async def main() -> None:
        records = MemoryRecords()
        queue, _ = durable(records)
        records.failure = error
        with pytest.raises(type(error)):
            await put(queue, "a")
        assert queue.used == 0
        records.failure = None
        await put(queue, "b")
        assert await everything(queue) == ["b"]

    run_virtual(main())


@pytest.mark.parametrize("window", [8, 1 << 20])
def test_two_queues_while_a_configuration_is_reloaded(window: int) -> None:
    """The new one takes and waits; the old one delivers its own, gives up, and the new one goes
    on with what is left. Everything once, and the sum of both books is right."""

    async def main() -> None:
        records = MemoryRecords()
        old, old_books = durable(records, window)
        assert not await _waits(old)
        await put(old, "old1")
        new, new_books = durable(records, window)
        waiting = asyncio.create_task(new.wait())
        await put(new, "new1")
        await put(old, "old2")
        await put(new, "new2")
        taken = await take(old)
        assert names_of(taken.batch) == ["old1"]
        old.done(taken)
        assert not waiting.done()
        old.close()
        old.release()
        assert await waiting
        assert sorted(await everything(new)) == ["new1", "new2", "old2"]
        # The old one put two and delivered one; the new one put two, found one, delivered three.
        assert (old_books.items, new_books.items) == (0, 1)
        assert (old_books.gone, new_books.gone) == ({}, {})

    run_virtual(main())


def test_a_queue_that_never_reads_can_close() -> None:
    """A new configuration that is withdrawn again leaves its turn to others."""

    async def main() -> None:
        records = MemoryRecords()
        old, _ = durable(records)
        assert not await _waits(old)
        new, _ = durable(records)
        waiting = asyncio.create_task(new.wait())
        await put(new, "left")
        new.close()
        assert not await waiting
        new.release()
        old.release()
        third, books = durable(records)
        assert await everything(third) == ["left"]
        assert books.items == 1

    run_virtual(main())


def test_what_is_gone_from_disk_is_counted() -> None:
    """Records that have vanished are booked as unreadable; the rest arrives."""

    async def main() -> None:
        records = MemoryRecords()
        queue, _ = durable(records)
        for n in range(4):
            await put(queue, f"{n}", f"{n}'")
        again, books = durable(records, window=1)
        assert await again.wait()  # has read the first only
        records.remove([2, 4])
        assert await everything(again) == ["0", "0'", "2", "2'"]
        assert (books.items, books.gone) == (8, {"unreadable": 4})

    run_virtual(main())


@pytest.mark.parametrize(
    "meta", [b"nonsense", b"[]", b"{}", b'{"encoding":"gzip","size":9}', b'{"encoding":5,"size":9}']
)
async def test_what_is_no_batch_is_set_aside(meta: bytes) -> None:
    """A record with a good checksum that is no batch costs only itself."""
    records = MemoryRecords()
    queue, books = durable(records)
    await records.append(b"good\n", items=1)
    await records.append(b"what is this", meta=meta, items=3)
    await records.append(b"fine\n", items=1)
    seen = [names_of((await take(queue)).batch) for _ in range(2)]
    assert seen == [["good"], ["fine"]]
    assert (books.items, books.gone) == (5, {"unreadable": 3})
    assert records.count == 2


async def test_reading_goes_on_when_the_disk_works_again() -> None:
    """A disk that fails for a moment does not end the worker."""

    class Failing(MemoryRecords):
        broken = True

        async def read(self, after: int = 0, max_bytes: int = 8 << 20):  # type: ignore[no-untyped-def]
            if self.broken:
                self.broken = False
                raise Retryable("the storage fails")
            return await super().read(after, max_bytes)

    records = Failing()
    await records.append(b"a\n", items=1)
    queue, _ = durable(records)
    assert names_of((await take(queue)).batch) == ["a"]


async def test_the_sender_s_bytes_survive(tmp_path: Path) -> None:
    """A batch that came compressed is stored as it came, and is handed out so after a restart."""
    plain = batch_of(Signal.TRACES, [Span(name="a" * 1000), Span(name="b")]).encoded()
    sent = Compressed("gzip", gzip.compress(plain))
    async with opened(tmp_path / "a.db") as one:
        queue = DurableQueue(one.records, Signal.TRACES)
        batch = batch_from_protobuf(Signal.TRACES, plain, sent)
        queue.reserve(batch.size_bytes)
        await queue.put(batch, batch.size_bytes)
        assert one.records.used < len(plain)
    async with opened(tmp_path / "a.db") as one:
        queue = DurableQueue(one.records, Signal.TRACES)
        batch = (await take(queue)).batch
        assert (batch.encoded(), batch.compressed, batch.count) == (plain, sent, 2)


@pytest.mark.parametrize("window", [1, 1 << 20])
async def test_over_real_files(tmp_path: Path, window: int) -> None:
    """Many concurrent puts, a crash without any closing, and a restart: all there, in order."""
    async with opened(tmp_path / "a.db") as one:
        queue = DurableQueue(one.records, Signal.TRACES, codec=LineCodec(), window=window)
        await asyncio.gather(*(put(queue, f"{n:03}") for n in range(100)))
        assert one.file.counters.syncs < 50
        first = await take(queue)
        queue.done(first)
        await one.records.settled()
        assert queue.used == one.records.used
    async with opened(tmp_path / "a.db") as one:
        queue = DurableQueue(one.records, Signal.TRACES, codec=LineCodec(), window=window)
        seen = [names_of((await take(queue)).batch)[0] for _ in range(99)]
        assert seen == [f"{n:03}" for n in range(1, 100)]
