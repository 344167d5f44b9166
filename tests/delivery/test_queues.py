"""What every `DeliveryQueue` owes, in memory and on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.delivery import DeliveryQueue, DurableQueue, MemoryQueue, Queued
from genai_collector.delivery.durable_queue import RECORD_BYTES
from genai_collector.errors import QueueFull, TooLarge
from genai_collector.model import Signal
from tests.support.fakes import LineCodec, line_batch, names_of, run_virtual
from tests.support.records import MemoryRecords

CAPACITY = 1000


def _memory() -> DeliveryQueue:
    return MemoryQueue(CAPACITY)


def _durable(window: int = 1 << 20) -> DeliveryQueue:
    records = MemoryRecords(CAPACITY + RECORD_BYTES)
    return DurableQueue(records, Signal.TRACES, codec=LineCodec(), window=window)


KINDS = pytest.mark.parametrize(
    "make", [_memory, _durable, lambda: _durable(window=20)], ids=["memory", "durable", "on disk"]
)
Make = Callable[[], DeliveryQueue]


async def put(queue: DeliveryQueue, *names: str) -> None:
    batch = line_batch(names)
    assert queue.has_room(batch.size_bytes)
    queue.reserve(batch.size_bytes)
    await queue.put(batch, batch.size_bytes)


async def take(queue: DeliveryQueue) -> Queued:
    assert await queue.wait()
    peeked = queue.peek()
    taken = queue.poll()
    assert taken is not None
    assert taken is peeked
    return taken


@KINDS
def test_first_in_first_out(make: Make) -> None:
    """Everything comes out once, in the order it went in, however puts and polls interleave."""

    async def main() -> None:
        queue = make()
        seen: list[str] = []
        for n in range(12):
            await put(queue, f"a{n:03}", f"b{n:03}")
            if n % 3 == 2:
                taken = await take(queue)
                seen += names_of(taken.batch)
                queue.done(taken)
        for _ in range(8):
            taken = await take(queue)
            seen += names_of(taken.batch)
            queue.done(taken)
        assert seen == [f"{letter}{n:03}" for n in range(12) for letter in "ab"]
        assert queue.used == 0
        assert queue.poll() is None

    run_virtual(main())


@KINDS
def test_room_is_taken_until_done(make: Make) -> None:
    """What waits and what is in flight takes room; `done` and `unreserve` give it back."""

    async def main() -> None:
        queue = make()
        name = "x" * (CAPACITY - 1)
        assert queue.capacity == CAPACITY
        assert queue.has_room(CAPACITY)
        assert not queue.has_room(CAPACITY + 1)
        await put(queue, name)
        assert not queue.has_room(CAPACITY // 2)
        taken = await take(queue)
        assert not queue.has_room(CAPACITY // 2)
        queue.done(taken)
        assert queue.has_room(CAPACITY)
        queue.reserve(CAPACITY)
        assert not queue.has_room(1)
        queue.unreserve(CAPACITY)
        assert queue.has_room(CAPACITY)

    run_virtual(main())


@KINDS
def test_who_waits_for_room_gets_it(make: Make) -> None:
    """As soon as something is done; who wants more than there ever is, hears that at once."""

    async def main() -> None:
        queue = make()
        await put(queue, "x" * (CAPACITY - 1))
        waiting = asyncio.create_task(queue.wait_for_room(CAPACITY))
        await asyncio.sleep(1)
        assert not waiting.done()
        queue.done(await take(queue))
        await waiting
        with pytest.raises(TooLarge):
            await queue.wait_for_room(CAPACITY + 1)

    run_virtual(main())


@KINDS
@pytest.mark.parametrize("how", ["refuse_waiting", "close"])
def test_nobody_waits_for_room_at_the_end(make: Make, how: str) -> None:
    """Who waits is told to come again."""

    async def main() -> None:
        queue = make()
        await put(queue, "x" * (CAPACITY - 1))
        waiting = asyncio.create_task(queue.wait_for_room(CAPACITY))
        await asyncio.sleep(1)
        getattr(queue, how)()
        with pytest.raises(QueueFull):
            await waiting

    run_virtual(main())


@KINDS
def test_a_closed_queue_ends_its_readers(make: Make) -> None:
    """In memory, what is left is handed out first; on disk it stays there."""

    async def main() -> None:
        empty = make()
        waiting = asyncio.create_task(empty.wait())
        await asyncio.sleep(1)
        empty.close()
        assert not await waiting
        assert empty.closed
        filled = make()
        await put(filled, "a")
        filled.close()
        assert not filled.has_room(1)
        assert await filled.wait() is not filled.keeps

    run_virtual(main())


@KINDS
@given(st.lists(st.sampled_from(["put", "take", "done", "wait"]), max_size=40))
@settings(max_examples=60, deadline=None)
def test_the_sums_come_out(make: Make, operations: list[str]) -> None:
    """Whatever the order of operations: used is never over the capacity, and nothing at the end."""

    async def main() -> None:
        queue, number, flying = make(), 0, [Queued(line_batch([]), 0)][:0]
        seen: list[str] = []
        for what in operations:
            if what == "put" and queue.has_room(5):
                await put(queue, f"{number:04}")
                number += 1
            elif what == "take" and len(seen) < number:
                flying.append(await take(queue))
                seen += names_of(flying[-1].batch)
            elif what == "done" and flying:
                queue.done(flying.pop(0))
            elif what == "wait":
                await asyncio.sleep(0.1)
            assert 0 <= queue.used <= queue.capacity
        while len(seen) < number:
            flying.append(await take(queue))
            seen += names_of(flying[-1].batch)
        for queued in flying:
            queue.done(queued)
        assert seen == [f"{n:04}" for n in range(number)]
        assert queue.used == 0

    run_virtual(main())
