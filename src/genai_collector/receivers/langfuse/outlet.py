"""From the assembly into the pipelines: when it is time, in order, and again if they refuse.

A client has its answer long before its spans are made, so a refusal cannot be handed on to it.
What the pipelines refuse for now stays here and is tried again; while too much waits, `is_full`
has the receiver refuse new requests instead. With a journal, what does not get through before the
end stays on disk for the next start.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from genai_collector.component import Consumer, Context
from genai_collector.delivery.outbox import PIPELINE_ERROR
from genai_collector.errors import PipelineError, Retryable
from genai_collector.formats.otlp import CODEC, batch_of
from genai_collector.model import Batch, Items, Signal
from genai_collector.receivers.langfuse.assembly import Assembly, Emission
from genai_collector.receivers.langfuse.journal import Journal

TRANSPORT: Final = "http"
_FIRST_WAIT_S: Final = 0.2
_LONGEST_WAIT_S: Final = 5.0
_LAST_MOMENT_S: Final = 1.0


@dataclass(slots=True)
class _Waiting:
    signal: Signal
    items: Items
    weight: int
    encoded: bytes | None = None
    """Set by the first try: a refused batch may have been changed by then."""
    settles: list[Emission] = field(default_factory=list)
    """For the journal: these are settled when this and all before it has been sent."""
    way: asyncio.Task[None] | None = None
    """While it is being handed over."""

    def batch(self) -> Batch:
        """A batch of the items as they were."""
        if self.encoded is None:
            batch = batch_of(self.signal, self.items)
            self.encoded = batch.encoded()
            return batch
        return Batch(self.signal, CODEC, encoded=self.encoded, count=len(self.items))


class Outlet:
    """Emits what the assembly has ready. `run` is its life; `drain` its end."""

    def __init__(
        self,
        assembly: Assembly,
        consumers: Mapping[Signal, Consumer],
        context: Context,
        capacity: int,
        journal: Journal,
    ) -> None:
        self._journal = journal
        self._assembly = assembly
        self._consumers = consumers
        self._context = context
        self._capacity = capacity
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._told: set[Signal] = set()

    @property
    def is_full(self) -> bool:
        """Whether so much waits for the pipelines that nothing more should be taken."""
        return self._bytes >= self._capacity

    def put(self, emission: Emission) -> None:
        """Have this sent; also tells `run` that there may be something new to wait for."""
        self._note(emission)
        parts: tuple[tuple[Signal, Items], ...] = (
            (Signal.TRACES, emission.spans),
            (Signal.LOGS, emission.logs),
        )
        total = len(emission.spans) + len(emission.logs)
        for signal, items in parts:
            if not items:
                continue
            if signal not in self._consumers:
                self._drop(signal, len(items), "no_pipeline")
                continue
            weight = emission.weight * len(items) // total
            self._waiting.append(_Waiting(signal, items, weight))
            self._bytes += weight
        self._settle_with_last(emission)
        self._wake.set()

    def _settle_with_last(self, emission: Emission) -> None:
        """What an emission settles is settled when its last part has been sent."""
        if not self._waiting:
            self._waiting.append(_Waiting(Signal.TRACES, [], 0))
        self._waiting[-1].settles.append(emission)

    async def run(self) -> None:
        """Emit what becomes due, until cancelled."""
        while True:
            self._wake.clear()
            try:
                self.put_due()
            except Exception:  # a fault with one trace must not keep the others from going on
                self._context.log.exception("A trace could not be made into spans.")
            await self.send()
            await self._sleep()

    def put_due(self) -> None:
        """What the assembly has ready by now."""
        emission = self._assembly.due()
        if emission:
            self.put(emission)

    async def send(self) -> None:
        """Send all that waits, in order, however often it takes."""
        wait = _FIRST_WAIT_S
        while self._waiting:
            first = self._waiting[0]
            try:
                await self._send_one(first)
            except Retryable as exc:
                await asyncio.sleep(min(exc.retry_after or wait, _LONGEST_WAIT_S))
                wait = min(wait * 2, _LONGEST_WAIT_S)
                continue
            except PipelineError as exc:
                reason = getattr(exc, "reason", "permanent")
                self._drop(first.signal, len(first.items), reason)
                self._context.log.error(
                    "The pipelines refuse spans for good.", extra={"why": reason}
                )
            except Exception:  # a fault must not end the task, or nothing would go out again
                self._drop(first.signal, len(first.items), PIPELINE_ERROR)
                self._context.log.exception("The pipelines failed to take spans.")
            wait = _FIRST_WAIT_S
            self._waiting.popleft()
            self._bytes -= first.weight
            # What was sent must not be sent again because someone is in a hurry just now.
            await asyncio.shield(self._journal.settle(first.settles))

    async def drain(self, timeout_s: float) -> None:
        """Send everything, the assembly's rest too; what is left after `timeout_s` is counted. With
        a journal only what is ready is sent: the rest is complete after the next start."""
        if self._journal.keeps:
            self.put_due()
        else:
            self.put(self._assembly.flush())
        try:
            async with asyncio.timeout(timeout_s):
                await self.send()
        except TimeoutError:
            pass
        finally:  # also when cancelled: then the host's own deadline is over
            await self._cut_short()
            for left in () if self._journal.keeps else self._waiting:
                self._drop(left.signal, len(left.items), "shutdown")
            self._waiting.clear()
            self._bytes = 0

    async def _cut_short(self) -> None:
        """What is on its way is sent by now, or not at all."""
        way = self._waiting[0].way if self._waiting else None
        if way is None:
            return
        way.cancel()
        await asyncio.wait({way}, timeout=_LAST_MOMENT_S)
        if way.done() and not way.cancelled() and way.exception() is None:
            await self._journal.settle(self._waiting.popleft().settles)

    async def _send_one(self, waiting: _Waiting) -> None:
        """Goes on when whoever waits for it is cancelled: cut short, it would be with some of the
        destinations, and come to them again."""
        way = waiting.way
        if way is None:
            way = waiting.way = asyncio.create_task(self._hand_over(waiting))
        await asyncio.wait({way})
        waiting.way = None
        way.result()

    async def _hand_over(self, waiting: _Waiting) -> None:
        signal, number = waiting.signal, len(waiting.items)
        if not number:
            return
        consumer, context = self._consumers[signal], self._context
        batch = waiting.batch()
        with consumer.admit(waiting.weight):
            acceptance = await consumer.consume(batch)
        context.telemetry.received(context.id, TRANSPORT, signal, number - acceptance.rejected)
        if acceptance.rejected:
            self._drop(signal, acceptance.rejected, "rejected")

    async def _sleep(self) -> None:
        """Until something is due or new."""
        due = self._assembly.next_due()
        wait = None if due is None else max(0.0, due - self._context.clock())
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _note(self, emission: Emission) -> None:
        log = self._context.log
        if emission.late:
            log.warning(
                "Updates came after their span was emitted; they are passed on as log records.",
                extra={"updates": emission.late},
            )
        if emission.early:
            log.warning(
                "Traces were emitted early, because more events wait than max_pending_bytes.",
                extra={"traces": emission.early},
            )

    def _drop(self, signal: Signal, number: int, reason: str) -> None:
        self._context.telemetry.dropped(self._context.id, signal, reason, number)
        if reason == "no_pipeline" and signal not in self._told:
            self._told.add(signal)
            self._context.log.warning(
                "No pipeline takes %s from this receiver; they are dropped.",
                "scores and late updates (logs)" if signal is Signal.LOGS else signal,
            )
