"""A queue on disk when things happen at the worst moment: nothing is lost, and nobody hangs."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable

import pytest

from genai_collector.component import Sent
from genai_collector.delivery import (
    DeadLetters,
    DeliveryConfig,
    DurableQueue,
    QueueConfig,
    QueuedExporter,
)
from genai_collector.errors import QueueFull, Retryable
from genai_collector.formats.otlp import batch_from_protobuf
from genai_collector.model import Compressed, Signal
from tests.delivery.test_durable_lives import exporter, give
from tests.delivery.test_durable_queue import durable
from tests.delivery.test_queues import put, take
from tests.support.builders import batch, span
from tests.support.fakes import (
    LineCodec,
    ScriptedExporter,
    loop_time,
    make_context,
    run_virtual,
)
from tests.support.records import MemoryRecords


class Late(MemoryRecords):
    """Removes with the next commit, as a file does: `settled` begins one, and ends it a second
    later."""

    def __init__(self, quota: int) -> None:
        super().__init__(quota)
        self.asked: list[int] = []

    def remove(self, ids: Iterable[int], /) -> None:
        self.asked += ids

    async def settled(self) -> None:
        gone, self.asked = self.asked, []
        await asyncio.sleep(1)
        super().remove(gone)


def test_room_that_is_made_while_somebody_looks() -> None:
    """Who waits for room learns of a removal that was asked for while it waited for another."""

    async def main() -> None:
        records = Late(quota=700)
        queue, _ = durable(records)
        await put(queue, "a" * 199)
        await put(queue, "b" * 199)
        first, second = await take(queue), await take(queue)
        waiting = asyncio.create_task(queue.wait_for_room(420))
        await asyncio.sleep(0)
        queue.done(first)
        await asyncio.sleep(0.5)
        queue.done(second)
        async with asyncio.timeout(60):
            await waiting

    run_virtual(main())


def test_room_that_another_queue_made() -> None:
    """While a configuration is reloaded: the old queue delivers all that it has, and who waits for
    room in the new one learns of it when that one takes over."""

    async def main() -> None:
        records = MemoryRecords(quota=500)
        old, _ = durable(records)
        await put(old, "a" * 199)
        taken = await take(old)
        new, _ = durable(records)
        reading = asyncio.create_task(new.wait())
        waiting = asyncio.create_task(new.wait_for_room(200))
        await asyncio.sleep(1)
        old.done(taken)
        old.close()
        old.release()
        async with asyncio.timeout(60):
            await waiting
        reading.cancel()

    run_virtual(main())


class Slow(MemoryRecords):
    """Appends take two seconds."""

    async def append(
        self, data: bytes, *, meta: bytes = b"", items: int = 0, compressed: bool = False
    ) -> int:
        await asyncio.sleep(2)
        return await super().append(data, meta=meta, items=items, compressed=compressed)


def test_a_put_that_outlasts_its_queue_is_read_by_the_next() -> None:
    """The next queue does not read before what the old one was about to write is there."""

    async def main() -> None:
        records = Slow()
        old, new = exporter(records, ScriptedExporter()), ScriptedExporter()
        async with old:
            await asyncio.sleep(1)
            putting = asyncio.create_task(give(old, "a"))
            await asyncio.sleep(1)
            async with exporter(records, new):
                await old.drain(loop_time())
                await putting
                with pytest.raises(QueueFull):
                    await give(old, "too late")
                await asyncio.sleep(10)
        assert new.names == ["a"]
        assert records.count == 0

    run_virtual(main())


def test_what_had_its_last_try_does_not_come_again_at_once() -> None:
    """Told to stop retrying while it still takes something, as in an end during a reload: one last
    try, and the rest stays on disk. Nobody runs in circles."""

    async def main() -> None:
        records = MemoryRecords()
        away = ScriptedExporter(lambda _, attempt: Retryable("away") if attempt < 99 else None)
        async with exporter(records, away) as queued:
            for n in range(5):
                await give(queued, f"{n}" * 50)
            await asyncio.sleep(1)
            tried = len(away.attempts)
            queued.stop_retrying()
            await asyncio.sleep(1)
            assert len(away.attempts) <= tried + 2
        assert records.count == 5
        assert queued.report().left == 5

    run_virtual(main())


def test_a_fault_of_the_queue_does_not_end_the_worker(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the worker comes again."""

    class Odd(MemoryRecords):
        faults = 3

        async def read(self, after: int = 0, max_bytes: int = 8 << 20) -> list[object]:  # type: ignore[override]
            self.faults -= 1
            if self.faults >= 0:
                raise ZeroDivisionError("a bug")
            return list(await super().read(after, max_bytes))

    async def main() -> None:
        records = Odd()
        await records.append(b"a\n", items=1)
        target = ScriptedExporter()
        async with exporter(records, target):
            await asyncio.sleep(60)
        assert target.names == ["a"]

    run_virtual(main())
    assert "The queue has a fault" in caplog.text


def test_what_another_queue_put_never_makes_the_books_negative() -> None:
    """Read among one's own, it counts as found when it is read, not when all is."""

    async def main() -> None:
        records = MemoryRecords()
        old, books = durable(records, window=8)
        await put(old, "x")
        await take(old)
        for n in range(9):
            await put(old, f"{n}")
            for m in range(3):
                await records.append(f"f{n}{m}\n".encode(), items=1)
        own, taken = 10, 1
        while taken < 16:
            await take(old)
            taken += 1
            assert own + books.items >= taken

    run_virtual(main())


def test_compressed_data_is_bounded_by_what_it_is_in_memory() -> None:
    """Records that are small on disk and large in memory are not read all at once."""

    async def main() -> None:
        records = MemoryRecords()
        queue = DurableQueue(records, Signal.TRACES, window=1 << 20)
        large = batch(span({"text": "x" * 600_000})).encoded()
        packed = Compressed("gzip", gzip.compress(large))
        for _ in range(20):
            one = batch_from_protobuf(Signal.TRACES, large, packed)
            queue.reserve(one.size_bytes)
            await queue.put(one, one.size_bytes)
        again = DurableQueue(records, Signal.TRACES, window=1 << 20)
        for _ in range(20):
            assert await again.wait()
            assert len(again._ready) <= 2
            taken = again.poll()
            assert taken is not None
            assert taken.batch.encoded() == large
            again.done(taken)
        assert records.count == 0

    asyncio.run(main())


def test_keeping_what_was_refused_is_not_the_destinations_time() -> None:
    """A disk that is slow with a dead letter does not make the request one that had no answer: it
    would be sent again, and again."""

    async def main() -> None:
        letters = Slow()
        target = ScriptedExporter(lambda *_: Sent(1, {"partial_success": 1}, "one is bad"))
        context = make_context("out", clock=loop_time)
        config = DeliveryConfig(timeout=1.0)
        async with QueuedExporter(
            "out",
            Signal.TRACES,
            target,
            config,
            context,
            dead_letters=DeadLetters(letters, Signal.TRACES, context),
        ) as queued:
            await give(queued, "a", "b")
            await asyncio.sleep(60)
            assert len(target.attempts) == 1
            report = queued.report()
            assert (report.sent, report.dropped) == (1, {"partial_success": 1})
        assert letters.count == 1

    run_virtual(main())


def test_senders_are_told_when_to_come_by_what_leaves() -> None:
    """What is on disk is compressed, what leaves is not: the wait is reckoned in items."""

    async def main() -> float:
        class Small(MemoryRecords):
            used = 1000

        async def slowly() -> None:
            await asyncio.sleep(1)

        target = ScriptedExporter(lambda *_: slowly())
        config = DeliveryConfig(
            sending_queue=QueueConfig.model_construct(
                num_consumers=1, queue_size=1 << 30, batch=None, storage="file_storage"
            )
        )
        queue = DurableQueue(Small(), Signal.TRACES, codec=LineCodec())
        context = make_context("out", clock=loop_time)
        async with QueuedExporter(
            "out", Signal.TRACES, target, config, context, queue=queue
        ) as queued:
            await asyncio.sleep(1)
            for n in range(70):
                await give(queued, f"{n}" * 1000)
            await asyncio.sleep(30)
            return queued.retry_after()

    assert 15 <= run_virtual(main()) <= 25
