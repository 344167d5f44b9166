"""The whole delivery of one destination, situation by situation, in virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from genai_collector.component import Sent
from genai_collector.delivery import (
    BatchConfig,
    DeliveryConfig,
    DeliveryReport,
    MemoryQueue,
    QueueConfig,
    Queued,
    QueuedExporter,
    RetryConfig,
)
from genai_collector.errors import Permanent, QueueFull, Retryable, TooLarge
from genai_collector.model import Batch, Signal
from tests.support.fakes import (
    CountingTelemetry,
    ScriptedExporter,
    line_batch,
    loop_time,
    make_context,
    names_of,
    run_virtual,
)


def destination(
    exporter: ScriptedExporter,
    *,
    workers: int = 1,
    queue_size: int = 1_000_000,
    batch: BatchConfig | None = None,
    retry: RetryConfig | None = None,
    timeout: float = 5.0,
    enabled: bool = True,
    queue: MemoryQueue | None = None,
    telemetry: CountingTelemetry | None = None,
) -> QueuedExporter:
    config = DeliveryConfig(
        timeout=timeout,
        sending_queue=QueueConfig.model_validate(
            {
                "enabled": enabled,
                "num_consumers": workers,
                "queue_size": f"{queue_size}B",
                "batch": batch,
            }
        ),
        retry_on_failure=retry or RetryConfig(),
    )
    context = make_context("out", clock=loop_time, telemetry=telemetry)
    return QueuedExporter(
        "out", Signal.TRACES, exporter, config, context, queue=queue, random=lambda: 1.0
    )


async def put(queued: QueuedExporter, *names: str, weight: int = 100) -> None:
    assert queued.has_room(weight)
    queued.reserve(weight)
    await queued.put(line_batch(names), weight)


def virtual(
    test: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., None]:
    """Run a test coroutine in virtual time."""

    def run() -> None:
        run_virtual(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def hang(seconds: float) -> Callable[[Batch, int], Awaitable[None]]:
    async def script(_batch: Batch, _attempt: int) -> None:
        await asyncio.sleep(seconds)

    return script


@virtual
async def test_what_is_put_arrives_in_order_and_is_counted() -> None:
    """One worker keeps the order; the books say sent."""
    exporter = ScriptedExporter()
    async with destination(exporter) as queued:
        await put(queued, "a", "b")
        await put(queued, "c")
        await queued.drain(loop_time() + 10)
    assert exporter.names == ["a", "b", "c"]
    assert queued.report() == DeliveryReport("out", Signal.TRACES, accepted=3, sent=3)


@virtual
async def test_the_exporter_is_not_entered_by_its_queues() -> None:
    """Several signals share one exporter, so none of their queues may open or close it."""
    exporter = ScriptedExporter()
    async with destination(exporter):
        pass
    assert (exporter.entered, exporter.left) == (0, 0)


@virtual
async def test_room_is_taken_by_what_is_in_flight() -> None:
    """Weight is fixed at admission and given back only when the batch is done."""
    exporter = ScriptedExporter(hang(3))
    async with destination(exporter, queue_size=250) as queued:
        await put(queued, "a")
        await put(queued, "b")
        await asyncio.sleep(1)
        assert not queued.has_room(100)
        assert queued.has_room(50)
        await asyncio.sleep(3)
        assert queued.has_room(100)
        assert not queued.has_room(200)


@virtual
async def test_unreserve_gives_room_back() -> None:
    """A destination that had room, in a fan-out where another had none, is as before."""
    async with destination(ScriptedExporter(), queue_size=100) as queued:
        queued.reserve(100)
        assert not queued.has_room(1)
        queued.unreserve(100)
        assert queued.has_room(100)


@virtual
async def test_a_sender_that_waits_for_room_gets_it() -> None:
    """when_full: block. The waiter runs on as soon as a batch is done."""
    exporter = ScriptedExporter(hang(3))
    async with destination(exporter, queue_size=100) as queued:
        await put(queued, "a")
        started = loop_time()
        await queued.wait_for_room(100)
        assert loop_time() - started == pytest.approx(3)
        with pytest.raises(TooLarge):
            await queued.wait_for_room(101)


@virtual
async def test_a_sender_that_waits_for_room_is_told_of_the_end() -> None:
    """Nobody waits for room in a collector that stops."""
    exporter = ScriptedExporter(hang(4))
    async with destination(exporter, queue_size=100) as queued:
        await put(queued, "a")
        waiter = asyncio.create_task(queued.wait_for_room(100))
        await asyncio.sleep(1)
        await queued.drain(loop_time() + 10)
        with pytest.raises(QueueFull):
            await waiter
        assert not queued.has_room(1)


@virtual
async def test_after_the_end_nothing_is_taken() -> None:
    """A put that comes too late is refused, not lost."""
    async with destination(ScriptedExporter()) as queued:
        queued.reserve(100)
        await queued.drain(loop_time())
        with pytest.raises(QueueFull):
            await queued.put(line_batch(["late"]), 100)
    assert queued.report().accepted == 0


@virtual
async def test_a_failure_that_may_pass_is_tried_again_with_growing_waits() -> None:
    """Full jitter at its upper end: 1, 1.5, 2.25 s; a longer wait that is asked for is kept."""
    times: list[float] = []

    def script(_batch: Batch, attempt: int) -> object:
        times.append(loop_time())
        hint = 40.0 if attempt == 3 else None
        return Retryable("not now", retry_after=hint) if attempt < 5 else None

    async with destination(ScriptedExporter(script)) as queued:
        await put(queued, "a")
        await queued.drain(loop_time() + 1000)
    waits = [b - a for a, b in pairwise(times)]
    assert waits == pytest.approx([1, 1.5, 40, 3.375])
    assert queued.report().sent == 1


@virtual
async def test_a_timeout_is_a_failure_that_may_pass() -> None:
    """An attempt that hangs is cut off after the timeout and tried again."""

    async def first_hangs(_batch: Batch, attempt: int) -> None:
        await asyncio.sleep(1000 if attempt == 1 else 0)

    exporter = ScriptedExporter(first_hangs)
    async with destination(exporter, timeout=5.0) as queued:
        await put(queued, "a")
        started = loop_time()
        await queued.drain(started + 1000)
        assert loop_time() - started == pytest.approx(6)
    assert exporter.names == ["a"]


@pytest.mark.parametrize(
    ("error", "retry", "reason"),
    [
        (Permanent("no", reason="unauthorized"), RetryConfig(), "unauthorized"),
        (Permanent("bad", reason="bad_request", data_fault=True), RetryConfig(), "bad_request"),
        (Retryable("down"), RetryConfig(max_elapsed_time=10.0), "retries_exhausted"),
        (Retryable("down"), RetryConfig(enabled=False), "retries_exhausted"),
        (ZeroDivisionError("oops"), RetryConfig(), "exporter_error"),
    ],
    ids=["permanent", "data", "out-of-time", "no-retry", "bug"],
)
def test_each_loss_has_its_reason_and_the_worker_lives_on(
    error: Exception, retry: RetryConfig, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A lost batch is counted under its reason and logged as an error; the next one is sent."""

    async def scenario() -> tuple[QueuedExporter, ScriptedExporter]:
        exporter = ScriptedExporter(lambda batch, _: error if names_of(batch) == ["lost"] else None)
        async with destination(exporter, retry=retry, telemetry=telemetry) as queued:
            await put(queued, "lost")
            await put(queued, "next")
            await queued.drain(loop_time() + 1000)
        return queued, exporter

    telemetry = CountingTelemetry()
    queued, exporter = run_virtual(scenario())
    assert exporter.names == ["next"]
    assert queued.report().dropped == {reason: 1}
    assert telemetry.counts["dropped", "out", reason] == 1
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.__dict__["reason"] == reason
    assert record.__dict__["items"] == 1
    assert (record.exc_info is not None) == (reason == "exporter_error")


@virtual
async def test_a_call_cancelled_from_the_other_side_does_not_end_the_worker() -> None:
    """The exporter's own CancelledError is a failure that may pass."""
    exporter = ScriptedExporter(lambda _, n: asyncio.CancelledError() if n == 1 else None)
    async with destination(exporter) as queued:
        await put(queued, "a")
        await queued.drain(loop_time() + 100)
    assert exporter.names == ["a"]


@virtual
async def test_a_poisoned_item_is_isolated() -> None:
    """Of 100 items only the bad one is lost."""

    def script(batch: Batch, _attempt: int) -> object:
        bad = "66" in names_of(batch)
        return Permanent("bad", reason="bad_request", data_fault=True) if bad else None

    exporter = ScriptedExporter(script)
    async with destination(exporter) as queued:
        await put(queued, *[str(n) for n in range(100)])
        await queued.drain(loop_time() + 10)
    assert queued.report().sent == 99
    assert queued.report().dropped == {"bad_request": 1}
    assert sorted(exporter.names, key=int) == [str(n) for n in range(100) if n != 66]
    assert len(exporter.attempts) <= 15


@virtual
async def test_an_answer_that_does_not_add_up_is_counted_as_loss() -> None:
    """What the exporter's answer leaves out is `unaccounted`, never silently sent."""
    exporter = ScriptedExporter(lambda batch, _: Sent(1, {"partial_success": 1}))
    async with destination(exporter) as queued:
        await put(queued, "a", "b", "c")
        await queued.drain(loop_time() + 10)
    assert queued.report().dropped == {"partial_success": 1, "unaccounted": 1}
    assert queued.report().sent == 1


def test_the_destinations_words_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A partial success is an error line with the message; a mere remark is a warning."""

    async def scenario() -> None:
        answers = [Sent(0, {"partial_success": 1}, "no such model"), Sent(1, message="slow down")]
        async with destination(ScriptedExporter(lambda _, n: answers[n - 1])) as queued:
            await put(queued, "a")
            await put(queued, "b")
            await queued.drain(loop_time() + 10)

    run_virtual(scenario())
    assert [(r.levelname, r.getMessage().rpartition(": ")[2]) for r in caplog.records] == [
        ("ERROR", "no such model"),
        ("WARNING", "slow down"),
    ]


@virtual
async def test_stop_retrying_gives_everything_one_last_try() -> None:
    """What waits between tries goes at once, once; what still waits in the queue too."""
    exporter = ScriptedExporter(lambda *_: Retryable("down", retry_after=500))
    async with destination(exporter) as queued:
        await put(queued, "a")
        await put(queued, "b")
        await asyncio.sleep(1)
        assert len(exporter.attempts) == 1
        stopped = loop_time()
        queued.stop_retrying()
        await queued.drain(stopped + 1000)
        assert loop_time() - stopped < 0.1
    assert [names_of(batch) for batch in exporter.attempts] == [["a"], ["a"], ["b"]]
    assert queued.report().dropped == {"shutdown": 2}


@virtual
async def test_the_deadline_counts_the_rest() -> None:
    """At the deadline the worker is stopped; in hand or in the queue, all is counted as lost."""
    exporter = ScriptedExporter(hang(1000))
    async with destination(exporter, timeout=0.0) as queued:
        await put(queued, "a")
        await put(queued, "b", "c")
        started = loop_time()
        await queued.drain(started + 7)
        assert loop_time() - started == pytest.approx(7)
    assert queued.report().dropped == {"shutdown": 3}
    assert queued.report().left == 0


@virtual
async def test_an_exporter_that_ignores_its_cancellation_holds_nobody_up() -> None:
    """A second after the deadline its batch is counted as lost, and drain returns."""

    async def deaf(_batch: Batch, _attempt: int) -> None:
        for _ in range(3):
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                continue

    async with destination(ScriptedExporter(deaf), timeout=0.0) as queued:
        await put(queued, "a")
        await asyncio.sleep(0)
        started = loop_time()
        await queued.drain(started + 7)
        assert loop_time() - started == pytest.approx(8)
        assert queued.report().dropped == {"shutdown": 1}


@virtual
async def test_leaving_without_drain_counts_everything() -> None:
    """Also a service that fails on its way down says what it lost."""
    exporter = ScriptedExporter(hang(1000))
    async with destination(exporter) as queued:
        await put(queued, "a")
    assert queued.report().dropped == {"shutdown": 1}


class KeepingQueue(MemoryQueue):
    """Stands for a durable queue: what is not delivered stays."""

    keeps = True

    def names(self) -> list[str]:
        return [name for queued in self._waiting for name in names_of(queued.batch)]

    def put_back(self, queued: Queued, /) -> None:
        super().put_back(queued)


@virtual
async def test_a_queue_that_keeps_loses_nothing_at_shutdown() -> None:
    """In flight, half collected or waiting: it is put back in order, counted as left."""
    queue = KeepingQueue(10_000)
    exporter = ScriptedExporter(lambda *_: Retryable("down"))
    async with destination(exporter, queue=queue) as queued:
        for name in "abc":
            await put(queued, name)
        await asyncio.sleep(0.5)
        queued.stop_retrying()
        await queued.drain(loop_time())
    assert queue.names() == ["a", "b", "c"]
    assert queued.report() == DeliveryReport("out", Signal.TRACES, accepted=3, sent=0, left=3)


@virtual
async def test_without_a_queue_the_sender_gets_the_error() -> None:
    """sending_queue.enabled: false. Nothing that failed is accepted, so nothing is left."""
    errors = [Retryable("down"), Permanent("never"), ZeroDivisionError()]
    exporter = ScriptedExporter(lambda _, n: errors[n - 1] if n <= len(errors) else None)
    async with destination(exporter, enabled=False) as queued:
        with pytest.raises(Retryable):
            await put(queued, "a")
        with pytest.raises(Permanent):
            await put(queued, "a")
        with pytest.raises(Permanent, match="ZeroDivisionError"):
            await put(queued, "a")
        await put(queued, "a", weight=1_000_000)
        assert queued.has_room(1_000_000)
    assert queued.report() == DeliveryReport("out", Signal.TRACES, accepted=1, sent=1)


@virtual
async def test_without_a_queue_retrying_must_have_an_end() -> None:
    """With max_elapsed_time the sender waits while it is tried again, at most that long."""
    exporter = ScriptedExporter(lambda *_: Retryable("down"))
    retry = RetryConfig(max_elapsed_time=10.0)
    async with destination(exporter, enabled=False, retry=retry) as queued:
        started = loop_time()
        with pytest.raises(Retryable):
            await put(queued, "a")
        assert 5 < loop_time() - started <= 10


@virtual
async def test_retry_after_follows_the_drain_rate() -> None:
    """A destination that stands still: a minute. One that keeps up: a second. Between: between."""
    exporter = ScriptedExporter(hang(1))
    async with destination(exporter, timeout=0.0) as queued:
        assert queued.retry_after() == 60
        for n in range(30):
            await put(queued, str(n), weight=1000)
        await asyncio.sleep(15.5)
        # 1000 bytes a second go, 15 000 wait: half of that in about 8 to 12 seconds.
        assert 7 < queued.retry_after() < 13
        await queued.drain(loop_time() + 100)
        assert queued.retry_after() == 1


@virtual
async def test_the_queue_and_what_is_in_flight_are_watched() -> None:
    """Self-observation sees bytes in the queue and requests in flight."""
    telemetry = CountingTelemetry()
    exporter = ScriptedExporter(hang(2))
    async with destination(exporter, workers=2, telemetry=telemetry) as queued:
        for name in "abc":
            await put(queued, name)
        await asyncio.sleep(1)
        size, capacity = telemetry.queues["out", Signal.TRACES]
        assert (size(), capacity) == (300, 1_000_000)
        assert telemetry.in_flight["out", Signal.TRACES]() == 2


@virtual
async def test_workers_send_at_the_same_time() -> None:
    """Four batches of three seconds each take three seconds with four workers."""
    exporter = ScriptedExporter(hang(3))
    async with destination(exporter, workers=4) as queued:
        for name in "abcd":
            await put(queued, name)
        started = loop_time()
        await queued.drain(started + 100)
        assert loop_time() - started == pytest.approx(3)
