"""A destination with its queue on disk, life after life: the books hold and everything arrives."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.delivery import (
    BatchConfig,
    DeliveryConfig,
    DurableQueue,
    QueueConfig,
    QueuedExporter,
    RetryConfig,
)
from genai_collector.errors import Permanent, Retryable
from genai_collector.model import Signal
from tests.support.fakes import (
    CountingTelemetry,
    LineCodec,
    ScriptedExporter,
    line_batch,
    loop_time,
    make_context,
    names_of,
    run_virtual,
)
from tests.support.records import MemoryRecords


def exporter(
    records: MemoryRecords, target: ScriptedExporter, telemetry: CountingTelemetry | None = None
) -> QueuedExporter:
    queue = DurableQueue(records, Signal.TRACES, codec=LineCodec(), window=40)
    config = DeliveryConfig(
        timeout=2.0,
        sending_queue=QueueConfig.model_construct(
            num_consumers=2,
            queue_size=10_000,
            storage="file_storage",
            batch=BatchConfig.model_construct(
                flush_timeout=0.2, min_size=30, max_size=40, sizer="bytes"
            ),
        ),
        retry_on_failure=RetryConfig(),
    )
    context = make_context("out", clock=loop_time, telemetry=telemetry)
    return QueuedExporter("out", Signal.TRACES, target, config, context, queue=queue)


async def give(queued: QueuedExporter, *names: str) -> None:
    batch = line_batch(names)
    queued.reserve(batch.size_bytes)
    await queued.put(batch, batch.size_bytes)


def test_an_outage_of_any_length_loses_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A destination that is away through a whole life gets everything in the next one."""
    caplog.set_level(logging.INFO)

    async def main() -> None:
        records = MemoryRecords()
        away = ScriptedExporter(lambda *_: Retryable("away"))
        async with exporter(records, away) as queued:
            for n in range(20):
                await give(queued, f"{n:02}", f"{n:02}'")
            await asyncio.sleep(100_000)
            await queued.drain(loop_time() + 25)
        report = queued.report()
        assert (report.accepted, report.sent, report.dropped, report.left) == (40, 0, {}, 40)
        assert records.items == 40
        back = ScriptedExporter()
        async with exporter(records, back) as queued:
            await asyncio.sleep(10)
            report = queued.report()
        assert (report.accepted, report.sent, report.left) == (40, 40, 0)
        assert sorted(back.names) == sorted(f"{n:02}{p}" for n in range(20) for p in ("", "'"))
        assert records.count == 0

    run_virtual(main())
    found = [record for record in caplog.records if "from before" in record.message]
    assert [getattr(record, "items", 0) for record in found] == [40]


def test_the_end_waits_only_for_what_is_in_flight() -> None:
    """At shutdown the backlog stays on disk: nobody waits until it is delivered."""

    async def main() -> None:
        records = MemoryRecords()

        async def slowly() -> None:
            await asyncio.sleep(1)

        slow = ScriptedExporter(lambda *_: slowly())
        async with exporter(records, slow) as queued:
            for n in range(200):
                await give(queued, f"{n:09}")
            began = loop_time()
            await queued.drain(loop_time() + 1000)
            assert loop_time() - began < 3
        report = queued.report()
        assert report.accepted == report.sent + report.left == 200
        assert 0 < report.sent < 20
        assert records.items == report.left

    run_virtual(main())


def test_a_worker_that_never_ends_does_not_remove() -> None:
    """An exporter that swallows its cancellation leaves its batch on disk, whatever it does
    later."""

    async def deaf() -> Exception | None:
        try:
            await asyncio.sleep(10_000)
        except asyncio.CancelledError:
            await asyncio.sleep(100)
        return None

    async def main() -> None:
        records = MemoryRecords()
        async with exporter(records, ScriptedExporter(lambda *_: deaf())) as queued:
            await give(queued, "a")
            await asyncio.sleep(1)
            await queued.drain(loop_time())
            assert queued.report().left == 1
            await asyncio.sleep(1000)
        assert (records.items, queued.report().left) == (1, 1)

    run_virtual(main())


def crashed(records: MemoryRecords) -> MemoryRecords:
    """The same records for another process."""
    copy = MemoryRecords(records.quota)
    copy.stored, copy._next = dict(records.stored), records._next
    return copy


OUTCOMES = ("all", "all", "slow", "retryable", "permanent", "hangs", "bug")


class Fate:
    """What a destination does, over all lives, and what it has seen."""

    def __init__(self, script: list[str]) -> None:
        self.script = iter(script)
        self.refused: list[str] = []

    def __call__(self, batch: object, _attempt: int) -> object:
        return self._act(names_of(batch))  # type: ignore[arg-type]

    async def _act(self, names: list[str]) -> object:
        match next(self.script, "all"):
            case "slow":
                await asyncio.sleep(1.5)
            case "retryable":
                return Retryable("not now")
            case "permanent":
                self.refused += names
                return Permanent("never", reason="forbidden")
            case "hangs":
                await asyncio.sleep(10_000)
            case "bug":
                self.refused += names
                return ZeroDivisionError()
        return None


@given(
    st.lists(st.sampled_from(OUTCOMES), max_size=20),
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 4), max_size=8),
            st.sampled_from([0.0, 0.3, 3.0]),
            st.sampled_from(["stop", "stop now", "crash"]),
        ),
        min_size=1,
        max_size=4,
    ),
)
@settings(max_examples=150, deadline=None)
def test_the_books_hold_across_lives(
    script: list[str], lives: list[tuple[list[int], float, str]]
) -> None:
    """Each life: accepted == sent + dropped + left. In the end everything that was acknowledged has
    arrived or was refused; what was stopped in order is counted exactly."""

    async def main() -> None:
        records, fate, number = MemoryRecords(), Fate(script), 0
        arrived: list[str] = []
        for sizes, pause, end in [*lives, ([], 1000.0, "stop")]:
            target = ScriptedExporter(fate)
            before = records.items
            queued = exporter(records, target)
            await queued.__aenter__()
            for size in sizes:
                await give(queued, *(f"{n:03}" for n in range(number, number + size)))
                number += size
            await asyncio.sleep(pause)
            if end == "crash":  # what is on disk now is all that the next life has
                records = crashed(records)
            await queued.drain(loop_time() + (20 if end == "stop" else 0))
            await queued.__aexit__(None, None, None)
            report = queued.report()
            # Nothing is found by one that is stopped before it has looked.
            assert report.accepted - sum(sizes) in (0, before)
            assert report.accepted == report.sent + sum(report.dropped.values()) + report.left
            assert report.left <= records.items
            arrived += target.names
        assert records.items == 0
        assert set(arrived) | set(fate.refused) == {f"{n:03}" for n in range(number)}

    run_virtual(main())
