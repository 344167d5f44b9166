"""genai_events: what models were asked and answered, from log records onto the spans of the calls.

    connectors:
      genai_events:

    service:
      pipelines:
        traces/in: {receivers: [otlp], exporters: [genai_events]}
        logs/in:   {receivers: [otlp], exporters: [genai_events]}
        traces:    {receivers: [genai_events], processors: [normalize], exporters: [langfuse]}
        logs:      {receivers: [genai_events], exporters: [otlp_http]}

The GenAI conventions let an instrumentation send content as events, which OTLP carries as log
records, apart from the spans and at another time. Spans of calls that lack their content wait a
little for it, events wait for their span; then the span goes on with the content of all its events.
Everything else passes at once. What a span says itself is never overwritten. With a `storage`, what
waits is on disk before its sender is answered, and stays there until the pipelines have it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Literal, NamedTuple, Self

from pydantic import Field

from genai_collector.component import (
    ByteSize,
    Config,
    ConnectorFactory,
    Consumer,
    Context,
    Duration,
    Records,
    Route,
    Storage,
    Stored,
)
from genai_collector.connectors._event_waiting import (
    Arrival,
    Emission,
    Sight,
    Waiting,
    see_record,
    see_span,
)
from genai_collector.delivery import MemoryQueue, Outbox, QuietLog
from genai_collector.delivery.rate import DrainRate
from genai_collector.delivery.reading import read_all
from genai_collector.errors import QueueFull, Retryable
from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import Batch, Items, Signal

GRACE_S: Final = 3.0
"""Time that what is ready gets to enter the pipelines when the connector is left."""
JOINED: Final = "joined"
"""Reason under which events are counted that went on as part of their span."""
NO_PIPELINE: Final = "no_pipeline"
MALFORMED: Final = "malformed"


class GenaiEventsConfig(Config):
    """How long spans and events wait for each other."""

    wait: Duration = Field(default=6.0, ge=0)
    """How long the span of a call without content waits for its events. SDKs send spans and log
    records independently, each every five seconds."""
    max_wait: Duration = Field(default=60.0, ge=0)
    """How long the events of a call wait for its span, which ends after them, since the last one
    came. Then they go on as log records."""
    all_calls: bool = False
    """Let calls wait that have their messages, too: they take what only their events say (OpenLIT's
    tool definitions), and events that repeat what the span says are left out of the logs."""
    max_pending_bytes: ByteSize = Field(default=64 << 20, gt=0)
    """Bytes of OTLP that may be here. When half of it waits, the oldest leave early; when all of it
    is used because the pipelines refuse, senders are told to come again."""
    storage: str = ""
    """An extension such as `file_storage`: what is taken is on disk before its sender is answered.
    What waits at shutdown then stays there for the next start."""


class _Part(NamedTuple):
    """Of a batch: what waits, or what goes on at once. Its items are no one else's."""

    batch: Batch
    sights: list[Sight]
    waits: bool
    weight: int


class GenaiEvents:
    """Takes what its doors are given; gives it, joined, to the consumers."""

    def __init__(
        self, config: GenaiEventsConfig, consumers: Mapping[Signal, Consumer], context: Context
    ) -> None:
        self._config = config
        self._context = context
        self._waiting = Waiting(config.wait, config.max_wait, config.max_pending_bytes // 2)
        self._outboxes = {
            signal: Outbox(signal, consumer, context) for signal, consumer in consumers.items()
        }
        self._log = QuietLog(context.log, context.id, Signal.LOGS, context.clock)
        self.rate = DrainRate(context.clock)
        self.room = MemoryQueue(config.max_pending_bytes)
        self.is_durable = bool(config.storage)
        self._records = self._open_records()
        self._life = uuid.uuid4().hex.encode()
        """Marks the records of this instance, which it need not read again."""
        self._reading: list[Records] = []
        self._storing = 0
        self._all_stored = asyncio.Event()
        self._all_stored.set()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def _open_records(self) -> dict[Signal, Records]:
        if not self._config.storage:
            return {}
        storage = self._context.extension(self._config.storage, Storage, "storage")
        owner = f"connector.{self._context.id}"
        return {
            signal: storage.records(owner, f"held.{signal}")
            for signal in (Signal.TRACES, Signal.LOGS)
        }

    def destination(self, signal: Signal, /) -> Door:
        """Where the pipelines of this signal lead to."""
        return Door(self._context.id, signal, self)

    # ---- life ----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if Signal.LOGS not in self._outboxes:
            self._context.log.warning(
                "No logs pipeline receives from this connector: events whose span does not come, "
                "and log records that are no such events, are dropped."
            )
        for outbox in self._outboxes.values():
            outbox.start()
        self._tasks = [asyncio.create_task(self._run(), name=self._context.id)]
        if self._records:
            self._tasks.append(asyncio.create_task(self._replay(), name=f"{self._context.id} disk"))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.room.close()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # With a storage, what waits goes on waiting there.
        now = self._context.clock()
        self._send(self._waiting.due(now) if self._records else self._waiting.flush())
        outboxes = self._outboxes.values()
        try:
            await asyncio.gather(*(outbox.close(GRACE_S) for outbox in outboxes))
        finally:  # also when the host's own deadline is over
            for outbox in outboxes:
                outbox.abandon(lost=not self._records)
            reading, self._reading = self._reading, []
            await self._all_stored.wait()  # or the next one would not find it
            for records in reading:
                records.release()

    async def _run(self) -> None:
        """Let go what has waited long enough."""
        while True:
            self._wake.clear()
            self._send(self._waiting.due(self._context.clock()))
            due = self._waiting.next_due()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(
                    None if due is None else max(0.0, due - self._context.clock())
                ):
                    await self._wake.wait()

    # ---- taking --------------------------------------------------------------------------------

    async def take(self, batch: Batch, weight: int) -> None:
        """Keep what waits, send the rest. Uses up a reservation of `weight`, also if it raises."""
        parts: list[_Part] = []
        stored: list[int] = []
        try:
            if self.room.closed:
                raise QueueFull("the collector is stopping")
            parts = self._sort(batch, weight) if batch else []
            if self._records:
                await self._store(parts, stored)
        except BaseException:
            if stored:
                self._records[batch.signal].remove(stored)
            self.room.unreserve(weight)
            raise
        if not parts or (stored and self.room.closed):  # closed meanwhile: it waits on disk
            self.room.unreserve(weight)
            return
        for part, record in zip(parts, stored or [0] * len(parts), strict=True):
            self._keep(part, Arrival(part.weight, part.batch.count, batch.signal, record))

    async def _store(self, parts: Sequence[_Part], stored: list[int]) -> None:
        """Adds the records to `stored`, also those before one that fails."""
        self._storing += 1
        self._all_stored.clear()
        try:
            for batch in [part.batch for part in parts]:
                records = self._records[batch.signal]
                data = batch.encoded()
                stored.append(await records.append(data, meta=self._life, items=batch.count))
        finally:
            self._storing -= 1
            if not self._storing:
                self._all_stored.set()

    def _sort(self, batch: Batch, weight: int) -> list[_Part]:
        """The batch in at most two parts, whose weights add up. Reads the batch only."""
        if batch.signal is Signal.TRACES:
            sights = [see_span(s, all_calls=self._config.all_calls) for s in batch.view_spans()]
        else:
            sights = [see_record(record) for record in batch.view_logs()]
        own = batch.clone()
        waiting = [at for at, sight in enumerate(sights) if sight.waits]
        if len(waiting) in (0, len(sights)):
            return [_Part(own, sights, bool(waiting), weight)]
        passing = [at for at, sight in enumerate(sights) if not sight.waits]
        heavy = weight * len(waiting) // len(sights)
        return [
            _Part(_some(own, at), [sights[i] for i in at], waits, share)
            for at, waits, share in ((passing, False, weight - heavy), (waiting, True, heavy))
        ]

    def _keep(self, part: _Part, arrival: Arrival) -> None:
        batch = part.batch
        if part.waits:
            self._hold(part, arrival)
        else:
            if batch.signal is Signal.TRACES:
                self._send(self._waiting.pass_by(part.sights))
            self._put(batch, [arrival] * batch.count)
        self._wake.set()

    def _hold(self, part: _Part, arrival: Arrival) -> None:
        now = self._context.clock()
        if part.batch.signal is Signal.TRACES:
            for span, sight in zip(part.batch.spans, part.sights, strict=True):
                self._waiting.add_span(span, sight.keys, arrival, now)
            return
        gone = Emission()
        for record, sight in zip(part.batch.logs, part.sights, strict=True):
            gone.add(self._waiting.add_record(record, sight.keys, arrival, now))
        self._send(gone)

    # ---- giving --------------------------------------------------------------------------------

    def _send(self, emission: Emission) -> None:
        context = self._context
        if emission.spans:
            self._put(batch_of(Signal.TRACES, emission.spans), emission.spans_of)
        if emission.records:
            self._put(batch_of(Signal.LOGS, emission.records), emission.records_of)
        if emission.joined:
            context.telemetry.dropped(context.id, Signal.LOGS, JOINED, emission.joined)
        if emission.late:
            message = "Events came after their span had left; a longer `wait` would join them."
            self._log.say(logging.WARNING, "late", message, events=emission.late)
        if emission.early:
            message = "Spans and events left early: half of max_pending_bytes waits."
            self._log.say(logging.WARNING, "early", message, items=emission.early)
        for fault in emission.faults:
            message = "The events of a span could not be joined; they go on as log records."
            self._log.say(logging.ERROR, "fault", message, exc_info=fault)

    def _put(self, batch: Batch, arrivals: Sequence[Arrival]) -> None:
        """Send it; then what came in as these arrivals has gone on by so many items."""
        settled = partial(self._settle, arrivals)
        outbox = self._outboxes.get(batch.signal)
        if outbox is not None:
            outbox.put(batch, settled)
            return
        context = self._context
        context.telemetry.dropped(context.id, batch.signal, NO_PIPELINE, batch.count)
        settled()

    def _settle(self, arrivals: Sequence[Arrival]) -> None:
        for arrival in arrivals:
            arrival.items -= 1
            if not arrival.items:
                self.room.unreserve(arrival.weight)
                self.rate.add(arrival.weight)
                if arrival.record:
                    self._records[arrival.signal].remove([arrival.record])

    # ---- disk ----------------------------------------------------------------------------------

    async def _replay(self) -> None:
        """Take again what an earlier life left on disk."""
        for records in self._records.values():
            await records.acquire()
            self._reading.append(records)
        found = 0
        for signal, records in self._records.items():
            with contextlib.suppress(QueueFull):  # the collector stops: the rest stays there
                async for stored in read_all(records):
                    found += await self._take_again(signal, records, stored)
        if found:
            message = "What waited before the start was found on disk and is taken again."
            self._context.log.info(message, extra={"items": found})

    async def _take_again(self, signal: Signal, records: Records, stored: Stored) -> int:
        if stored.meta == self._life:
            return 0
        weight = min(max(1, len(stored.data)), self.room.capacity)
        try:
            batch = batch_from_protobuf(signal, stored.data)
            parts = self._sort(batch, weight)
        except Exception as exc:  # whatever is wrong with it: those that follow must go on
            self._context.telemetry.dropped(self._context.id, signal, MALFORMED, stored.items)
            self._log.say(logging.ERROR, MALFORMED, f"A record on disk cannot be read: {exc}")
            with contextlib.suppress(Retryable):  # then it is there at the next start, too
                await records.set_aside([stored.id], "it cannot be read")
            return 0
        await self.room.wait_for_room(weight)
        self.room.reserve(weight)
        arrival = Arrival(weight, batch.count, signal, stored.id)
        for part in parts:
            self._keep(part, arrival)
        return batch.count


class Door:
    """A `Destination`: where the pipelines of one signal lead to."""

    when_full: Literal["refuse", "block"] = "refuse"

    def __init__(self, id: str, signal: Signal, owner: GenaiEvents) -> None:
        self.id = id
        self.signal = signal
        self._owner = owner
        self.may_fail = owner.is_durable

    @property
    def capacity(self) -> int:
        return self._owner.room.capacity

    def has_room(self, weight: int, /) -> bool:
        return self._owner.room.has_room(weight)

    def reserve(self, weight: int, /) -> None:
        self._owner.room.reserve(weight)

    def unreserve(self, weight: int, /) -> None:
        self._owner.room.unreserve(weight)

    async def put(self, batch: Batch, weight: int, /) -> None:
        await self._owner.take(batch, weight)

    async def wait_for_room(self, weight: int, /) -> None:
        await self._owner.room.wait_for_room(weight)

    def retry_after(self) -> float:
        return self._owner.rate.wait_for(self._owner.room.used // 2)


def _some(own: Batch, at: Sequence[int]) -> Batch:
    """A batch of these items of a batch that is ours."""
    items: Items
    if own.signal is Signal.TRACES:
        spans = own.view_spans()
        items = [spans[i] for i in at]
    else:
        records = own.view_logs()
        items = [records[i] for i in at]
    return own.with_items(items)


FACTORY: Final = ConnectorFactory(
    "genai_events",
    GenaiEventsConfig,
    GenaiEvents,
    frozenset(
        {
            Route(Signal.TRACES, Signal.TRACES),
            Route(Signal.LOGS, Signal.TRACES),
            Route(Signal.LOGS, Signal.LOGS),
        }
    ),
    shared=True,
)
