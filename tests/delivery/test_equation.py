"""The law of delivery: accepted == sent + dropped{reason} + left, whatever happens.

Random scripts of failures run in virtual time; the exporter itself is the witness of what arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.component import Sent
from genai_collector.delivery import (
    BatchConfig,
    DeliveryConfig,
    QueueConfig,
    QueuedExporter,
    RetryConfig,
)
from genai_collector.errors import Partial, Permanent, Retryable
from genai_collector.model import Batch, Signal
from tests.support.fakes import (
    CountingTelemetry,
    Lifetime,
    line_batch,
    loop_time,
    make_context,
    names_of,
    run_virtual,
)

OUTCOMES = (
    "all", "slow", "rejects_one", "partial", "retryable", "throttled", "permanent", "data_fault",
    "hangs", "deaf", "bug", "cancels_itself", "claims_too_much", "claims_too_little",
)  # fmt: skip


class Witness(Lifetime):
    """An exporter that behaves by the script, then well; it knows what arrived and what did not."""

    def __init__(self, script: list[str], poisoned: frozenset[str]) -> None:
        super().__init__()
        self._script = iter(script)
        self._poisoned = poisoned
        self.arrived: list[str] = []
        self.refused: list[str] = []

    async def export(self, batch: Batch, /) -> Sent:
        outcome = next(self._script, "all")
        names = names_of(batch)
        match outcome:
            case "slow":
                await asyncio.sleep(1.5)
            case "retryable":
                raise Retryable("not now")
            case "throttled":
                raise Retryable("not now", retry_after=7.0)
            case "permanent":
                raise Permanent("never", reason="unauthorized")
            case "hangs":
                await asyncio.sleep(10_000)
            case "deaf":
                try:
                    await asyncio.sleep(10_000)
                except asyncio.CancelledError:
                    await asyncio.sleep(10_000)
            case "bug":
                raise ZeroDivisionError
            case "cancels_itself":
                raise asyncio.CancelledError
            case _:
                pass
        return self._answer(outcome, batch, names)

    def _answer(self, outcome: str, batch: Batch, names: list[str]) -> Sent:
        if outcome == "data_fault" or self._poisoned.intersection(names):
            raise Permanent("bad data", reason="bad_request", data_fault=True)
        if outcome == "partial" and len(names) > 2:
            self.arrived.append(names[0])
            self.refused.append(names[1])
            rest = batch.with_items(batch.view_spans()[2:])
            raise Partial("some", remaining=rest, sent=1, dropped={"partial_success": 1})
        if outcome == "rejects_one":
            self.arrived += names[1:]
            self.refused.append(names[0])
            return Sent(len(names) - 1, {"partial_success": 1}, "one is odd")
        if outcome == "claims_too_little":
            self.arrived += names[1:]
            self.refused.append(names[0])
            return Sent(len(names) - 1)
        self.arrived += names
        return Sent(len(names) + (3 if outcome == "claims_too_much" else 0))


@dataclass(frozen=True)
class Story:
    """One life of a destination."""

    script: list[str]
    sizes: list[int]
    pauses: list[float]
    poisoned: list[int]
    workers: int
    merged: bool
    max_size: int
    gives_up_after: float
    retry: bool
    kill_at: list[float] = field(default_factory=list)
    stops_retrying: bool = True
    grace: float = 5.0


stories = st.builds(
    Story,
    script=st.lists(st.sampled_from(OUTCOMES), max_size=25),
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=10),
    pauses=st.lists(st.sampled_from([0.0, 0.0, 0.05, 0.3, 2.0]), min_size=1, max_size=4),
    poisoned=st.lists(st.integers(0, 30), max_size=3),
    workers=st.sampled_from([1, 4]),
    merged=st.booleans(),
    max_size=st.sampled_from([0, 9, 40]),
    gives_up_after=st.sampled_from([0.0, 3.0]),
    retry=st.booleans(),
    kill_at=st.lists(st.sampled_from([0.0, 0.1, 1.0, 2.5]), max_size=2),
    stops_retrying=st.booleans(),
    grace=st.sampled_from([0.0, 0.4, 5.0, 300.0]),
)


def _config(story: Story) -> DeliveryConfig:
    batch = BatchConfig.model_construct(
        flush_timeout=0.2, min_size=30, max_size=story.max_size, sizer="bytes"
    )
    return DeliveryConfig(
        timeout=2.0,
        sending_queue=QueueConfig.model_construct(
            num_consumers=story.workers, queue_size=10_000, batch=batch if story.merged else None
        ),
        retry_on_failure=RetryConfig(enabled=story.retry, max_elapsed_time=story.gives_up_after),
    )


def _batches(story: Story) -> Iterator[Batch]:
    number = 0
    for size in story.sizes:
        yield line_batch(f"{n:03}" for n in range(number, number + size))
        number += size


async def _live(story: Story) -> tuple[QueuedExporter, Witness, CountingTelemetry, int]:
    telemetry = CountingTelemetry()
    witness = Witness(story.script, frozenset(f"{n:03}" for n in story.poisoned))
    context = make_context("out", telemetry=telemetry, clock=loop_time)
    queued = QueuedExporter("out", Signal.TRACES, witness, _config(story), context)
    accepted = 0
    async with queued:
        for at in story.kill_at:
            worker = queued._workers[0]
            asyncio.get_running_loop().call_later(at, worker.cancel)
        for number, batch in enumerate(_batches(story)):
            weight = batch.size_bytes + 10
            assert queued.has_room(weight)
            queued.reserve(weight)
            await queued.put(batch, weight)
            accepted += batch.count
            await asyncio.sleep(story.pauses[number % len(story.pauses)])
            report = queued.report()
            assert report.sent == len(witness.arrived)
            assert report.accepted == accepted
            assert 0 <= report.left <= accepted
        if story.stops_retrying:
            queued.stop_retrying()
        await queued.drain(loop_time() + story.grace)
    return queued, witness, telemetry, accepted


@given(stories)
@settings(max_examples=300, deadline=None)
def test_every_accepted_item_ends_as_sent_or_dropped(story: Story) -> None:
    """After drain nothing is left over, nothing is counted twice, and all room is given back."""
    queued, witness, telemetry, accepted = run_virtual(_live(story))
    report = queued.report()
    lost = sum(report.dropped.values())
    assert report.left == 0
    assert report.accepted == accepted == report.sent + lost
    assert report.sent == len(witness.arrived) == len(set(witness.arrived))
    assert lost >= len(witness.refused)
    assert telemetry.counts["sent", "out"] == report.sent
    assert telemetry.counts["send_failed", "out"] == lost
    for reason, items in report.dropped.items():
        assert telemetry.counts["dropped", "out", reason] == items
    assert telemetry.queues["out", Signal.TRACES][0]() == 0
    assert telemetry.in_flight["out", Signal.TRACES]() == 0


@pytest.mark.parametrize("workers", [1, 4])
@given(script=st.lists(st.sampled_from(["retryable", "throttled", "hangs", "partial"]), max_size=8))
@settings(max_examples=60, deadline=None)
def test_nothing_is_lost_while_there_is_time(workers: int, script: list[str]) -> None:
    """Failures that may pass lose nothing as long as nobody stops: all that was not refused for
    good arrives, exactly once."""
    story = Story(
        script, [5, 3, 6, 1], [0.0, 0.3], [], workers, merged=True, max_size=0, gives_up_after=0.0,
        retry=True, stops_retrying=False, grace=100_000.0,
    )  # fmt: skip
    queued, witness, _, accepted = run_virtual(_live(story))
    assert sorted(witness.arrived + witness.refused) == [f"{n:03}" for n in range(accepted)]
    assert queued.report().dropped == (
        {"partial_success": len(witness.refused)} if witness.refused else {}
    )
