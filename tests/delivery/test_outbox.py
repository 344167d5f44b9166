"""What is kept goes into the pipelines in order, again while they refuse, and once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

from genai_collector.component import ACCEPTED, Acceptance
from genai_collector.delivery import Outbox
from genai_collector.errors import Overloaded, QueueFull
from genai_collector.formats.otlp import batch_of
from genai_collector.model import Batch, Signal
from tests.support.builders import span
from tests.support.fakes import CountingTelemetry, loop_time, make_context, names_of, run_virtual


class Pipelines:
    """A consumer that answers from a list and then takes everything, each after `takes_s`."""

    def __init__(self, *answers: Exception | Acceptance, takes_s: float = 0.0) -> None:
        self.answers: Iterator[Exception | Acceptance] = iter(answers)
        self.takes_s = takes_s
        self.tries: list[float] = []
        self.taken: list[str] = []

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]:
        assert size_bytes > 0
        return nullcontext()

    async def consume(self, batch: Batch, /) -> Acceptance:
        self.tries.append(round(loop_time(), 1))
        await asyncio.sleep(self.takes_s)
        names = names_of(batch)
        batch.spans.clear()  # the batch is the pipelines' own
        answer = next(self.answers, ACCEPTED)
        if isinstance(answer, Exception):
            raise answer
        self.taken += names
        return answer


class Sending:
    """An outbox in front of these pipelines."""

    def __init__(self, pipelines: Pipelines) -> None:
        self.telemetry = CountingTelemetry()
        context = make_context("c", telemetry=self.telemetry, clock=loop_time)
        self.outbox = Outbox(Signal.TRACES, pipelines, context)
        self.settled: list[str] = []

    def put(self, name: str) -> None:
        self.outbox.put(
            batch_of(Signal.TRACES, [span(name=name)]), lambda: self.settled.append(name)
        )


def test_in_order_and_again() -> None:
    """A refused batch comes again as it was, after as long as it is told or ever longer; those
    behind it wait. Each is settled when it is taken."""

    async def main() -> None:
        pipelines = Pipelines(
            QueueFull("full"), Overloaded("full"), QueueFull("full", retry_after=3)
        )
        sending = Sending(pipelines)
        sending.put("a")
        sending.outbox.start()
        sending.put("b")
        await asyncio.sleep(1)
        assert sending.settled == []
        await asyncio.sleep(5)
        assert pipelines.taken == sending.settled == ["a", "b"]
        assert pipelines.tries == [0, 0.2, 0.6, 3.6, 3.6]
        await sending.outbox.close(1)
        assert sending.outbox.abandon(lost=True) == 0

    run_virtual(main())


def test_rejected_items_are_counted() -> None:
    """What no queue can ever hold is dropped here: nobody waits for an answer any more."""

    async def main() -> None:
        sending = Sending(Pipelines(Acceptance(1, "too large")))
        sending.outbox.start()
        sending.put("a")
        await sending.outbox.close(1)
        assert sending.settled == ["a"]
        assert sending.telemetry.counts == {("dropped", "c", "rejected"): 1}

    run_virtual(main())


def test_closing_does_not_interrupt() -> None:
    """A batch on its way is taken once; who waits between tries is tried again at once; what is
    left at the end is counted, or kept by whoever has it on disk."""

    async def main() -> None:
        slow = Pipelines(takes_s=2)
        sending = Sending(slow)
        sending.outbox.start()
        sending.put("a")
        await asyncio.sleep(1)
        await sending.outbox.close(10)
        assert (slow.taken, slow.tries) == (["a"], [0])

        waiting = Pipelines(QueueFull("full", retry_after=60))
        sending = Sending(waiting)
        sending.outbox.start()
        sending.put("b")
        await asyncio.sleep(1)
        await sending.outbox.close(10)
        assert (waiting.taken, len(waiting.tries)) == (["b"], 2)

        for lost in (True, False):
            full = Sending(Pipelines(*[QueueFull("full")] * 1000))
            full.outbox.start()
            full.put("c")
            await full.outbox.close(1)
            assert full.outbox.abandon(lost=lost) == 1
            assert full.telemetry.counts["dropped", "c", "shutdown"] == int(lost)
            assert full.settled == []

    run_virtual(main())
