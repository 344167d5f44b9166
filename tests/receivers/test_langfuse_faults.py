"""The `langfuse` receiver when disks fail, records are damaged and ends come at bad moments."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext

import pytest

from genai_collector.component import ACCEPTED, Acceptance, Stored
from genai_collector.errors import Retryable
from genai_collector.formats.langfuse.decode import Source
from genai_collector.model import Batch, Signal
from genai_collector.receivers.langfuse.assembly import Assembly, Emission, Weighed
from genai_collector.receivers.langfuse.config import AssemblyConfig
from genai_collector.receivers.langfuse.journal import Journal
from genai_collector.receivers.langfuse.outlet import Outlet
from tests.receivers.langfuse_harness import ALL, made, receiving
from tests.receivers.test_langfuse_journal import ENDED, OPENED, PROMPT, TRACE, event
from tests.support.fakes import CountingTelemetry, loop_time, make_context, run_virtual
from tests.support.records import MemoryRecords, MemoryStorage

ALL_EVENTS = [Weighed(TRACE, 10), Weighed(OPENED, 10), Weighed(ENDED, 10)]
SOURCE = Source("web", "python", "2.60.10")


class Failing(MemoryRecords):
    """Cannot be read for a while."""

    failures = 100

    async def read(self, after: int = 0, max_bytes: int = 8 << 20) -> list[Stored]:
        if self.failures:
            self.failures -= 1
            raise Retryable("the disk fails")
        return await super().read(after, max_bytes)


def test_a_disk_that_cannot_be_read_for_a_while() -> None:
    """What is on it is taken again as soon as it works; nobody gives up before."""

    async def main() -> list[int]:
        events, emitted = Failing(), Failing()
        await Journal(events, emitted).keep(SOURCE, ALL_EVENTS)
        journal = Journal(events, emitted)
        assert [left async for left in journal.emitted()] == []
        return [len(kept) async for _, kept in journal.replay()]

    assert run_virtual(main()) == [1, 2]


async def test_what_cannot_be_read_holds_nothing_up() -> None:
    """Damaged records, and notes, are set aside and counted; the rest goes on."""
    storage = MemoryStorage()
    events = storage.records("receiver.langfuse", "events")
    emitted = storage.records("receiver.langfuse", "emitted")
    for bad in (b"{", b"[]", b'{"batch": [1]}', b'{"batch": [{"type": "span-create"}]}'):
        await events.append(bad, meta=b"[]", items=2)
        await emitted.append(bad, items=1)
    await events.append(b'{"batch": []}', meta=b"[1, 2, 3, 4, 5, 6, 7]", items=1)
    await Journal(events, emitted).keep(SOURCE, ALL_EVENTS)
    async with receiving(PROMPT, storage=storage) as house:
        await house.until(spans=1)
    assert house.telemetry.counts["dropped", "langfuse", "unreadable"] == 9
    assert emitted.count == 1


class Odd(Assembly):
    """Has a fault with its first events."""

    faults = 1

    def take(self, source: Source, events: Iterable[Weighed]) -> Emission:
        self.faults -= 1
        if self.faults >= 0:
            raise ZeroDivisionError("a bug")
        return super().take(source, events)


async def test_what_cannot_be_taken_again_holds_nothing_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A record that the assembly fails over is set aside, or no start would ever get past it."""
    storage = MemoryStorage()
    events = storage.records("receiver.langfuse", "events")
    before = Journal(events, storage.records("receiver.langfuse", "emitted"))
    await before.keep(SOURCE, ALL_EVENTS[:1])
    await before.keep(SOURCE, [Weighed(event("event-create", "e", 7, traceId="t"), 10)])
    receiver, consumers, telemetry = made(
        {"assembly": {**PROMPT["assembly"], "max_wait": "1ms"}}, ALL, storage
    )
    odd = Odd(receiver._config.assembly, receiver._context.clock)
    receiver._assembly = receiver._outlet._assembly = odd
    async with receiver:
        while not consumers[Signal.TRACES].batches:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert telemetry.counts["dropped", "langfuse", "unreadable"] == 1
    assert "cannot be taken again" in caplog.text
    assert events.count == 0


async def test_a_request_that_is_cancelled_leaves_nothing_on_disk() -> None:
    """Its client was never told that it is safe, and sends again."""

    class Second(MemoryRecords):
        async def append(
            self, data: bytes, *, meta: bytes = b"", items: int = 0, compressed: bool = False
        ) -> int:
            if self.last_id:
                await asyncio.Event().wait()
            return await super().append(data, meta=meta, items=items, compressed=compressed)

    events = Second()
    journal = Journal(events, MemoryRecords())
    keeping = asyncio.create_task(journal.keep(SOURCE, ALL_EVENTS))
    while not events.count:  # noqa: ASYNC110
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert events.count == 0
    async with asyncio.timeout(5):
        await journal.acquire()
        await journal.release()


async def test_an_end_that_is_cut_short_lets_the_next_one_read() -> None:
    """The host's deadline may pass while the pipelines refuse: the receiver that follows in a
    reload reads what is left all the same."""
    storage = MemoryStorage()
    old, consumers, _ = made(PROMPT, ALL, storage)
    await old.__aenter__()
    consumers[Signal.TRACES].refuse = Retryable("not now")
    kept = await old._journal.keep(SOURCE, ALL_EVENTS)
    old._outlet.put(old._assembly.take(SOURCE, kept))
    await asyncio.sleep(0)
    async with receiving(PROMPT, storage=storage) as house:
        leaving = asyncio.create_task(old.__aexit__(None, None, None))
        assert old._emitting is not None
        while not old._emitting.done():  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        async with asyncio.timeout(5):
            await house.until(spans=1)


class Door:
    """A consumer that takes a second, and fails as it is told."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.begun = self.taken = 0

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]:
        return nullcontext()

    async def consume(self, batch: Batch, /) -> Acceptance:
        self.begun += 1
        await asyncio.sleep(1)
        if self.faults:
            raise self.faults.pop(0)
        self.taken += batch.count
        return ACCEPTED


def made_outlet(door: Door, telemetry: CountingTelemetry) -> Outlet:
    config = AssemblyConfig.model_validate({"settle_time": "0s"})
    context = make_context("langfuse", clock=loop_time, telemetry=telemetry)
    assembly = Assembly(config, loop_time)
    outlet = Outlet(assembly, {Signal.TRACES: door}, context, 1 << 20, Journal())
    outlet.put(assembly.take(SOURCE, ALL_EVENTS))
    return outlet


def test_what_is_on_its_way_arrives_once() -> None:
    """The end comes while the pipelines take a batch: that one is waited for, not sent again."""

    async def main() -> None:
        door, telemetry = Door(), CountingTelemetry()
        outlet = made_outlet(door, telemetry)
        running = asyncio.create_task(outlet.run())
        await asyncio.sleep(0.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await outlet.drain(5)
        assert (door.begun, door.taken) == (1, 1)
        assert telemetry.counts["received", "langfuse", "http"] == 1
        assert not telemetry.counts["dropped", "langfuse", "shutdown"]

    run_virtual(main())


def test_a_deadline_cuts_it_short() -> None:
    """What does not arrive until then is counted, and is not taken later."""

    async def main() -> None:
        door, telemetry = Door(), CountingTelemetry()
        outlet = made_outlet(door, telemetry)
        await outlet.drain(0.5)
        await asyncio.sleep(10)
        assert (door.begun, door.taken) == (1, 0)
        assert telemetry.counts["dropped", "langfuse", "shutdown"] == 1

    run_virtual(main())


def test_a_fault_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    """Of a component behind it: what it met is dropped and counted, what follows goes out."""

    async def main() -> None:
        door, telemetry = Door(ZeroDivisionError("a bug")), CountingTelemetry()
        outlet = made_outlet(door, telemetry)
        running = asyncio.create_task(outlet.run())
        await asyncio.sleep(5)
        again = [Weighed(event("event-create", "other", 7, traceId="t"), 10)]
        outlet.put(outlet._assembly.take(SOURCE, again))
        await asyncio.sleep(5)
        assert door.taken == 1
        assert telemetry.counts["dropped", "langfuse", "pipeline_error"] == 1
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtual(main())
    assert "The pipelines failed" in caplog.text
