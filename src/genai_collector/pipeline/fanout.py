"""What a receiver or connector sends to: all pipelines that take its signal, as one `Consumer`.

All or nothing: the processors of all pipelines run first, those behind connectors too, then all
queues are asked, then all are filled, with no `await` between asking and reserving. So a client
that is refused and comes again does not leave a second copy with the destinations that had room.
There are two exceptions, both documented (docs/architecture.md): a batch larger than a queue goes
in several rounds, and of two destinations that may fail (their queues are on disk, or they have
none) the second one may fail after the first one has taken the batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final, NamedTuple, cast

from genai_collector.component import ACCEPTED, Acceptance, Destination, Gate, Telemetry
from genai_collector.delivery import QuietLog
from genai_collector.errors import DecodeError, Permanent, QueueFull, Retryable
from genai_collector.model import Batch, Signal
from genai_collector.pipeline.pipeline import CONNECTOR_ERROR, Pipeline, Plan
from genai_collector.pipeline.placing import Placement, Placing, place

FILTERED: Final = "filtered"
"""Reason under which items that a processor dropped are counted."""
TOO_LARGE: Final = "too_large"
QUEUE_FULL: Final = "queue_full"
"""Reason under which items are counted that found no room where `when_full` is `drop`."""

_TURNED_AWAY: Final = "A sending queue is full, senders are told to come again"

_REST_PATIENCE_S: Final = 30.0
"""How long the rest of a batch waits for room when its first part is already taken."""


class _Need(NamedTuple):
    """What one destination must have room for, all at once."""

    destination: Destination
    weight: int
    items: int


class Fanout:
    """A `Consumer` over one or several pipelines of one signal."""

    def __init__(
        self,
        signal: Signal,
        pipelines: Sequence[Pipeline],
        telemetry: Telemetry,
        log: logging.Logger,
        clock: Callable[[], float],
    ) -> None:
        assert pipelines
        self._signal = signal
        self._pipelines = list(pipelines)
        self._telemetry = telemetry
        self._log = QuietLog(log, "fanout", signal, clock)
        self._gates = gates_of(pipelines)
        self._refusing = _distinct(
            exporter
            for pipeline in _reached(pipelines)
            for exporter in pipeline.exporters
            if exporter.when_full == "refuse"
        )

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]:
        return self._admitted(size_bytes)

    @contextmanager
    def _admitted(self, size_bytes: int) -> Generator[None]:
        for destination in self._refusing:
            # Processors may make it smaller; but a queue without this much room is all but full.
            if not destination.has_room(max(1, min(size_bytes, destination.capacity))):
                self._log.say(
                    logging.WARNING, destination.id, _TURNED_AWAY, exporter=destination.id
                )
                raise _queue_full([destination])
        with ExitStack() as stack:
            for gate in self._gates:
                stack.enter_context(gate.admit(size_bytes))
            yield

    async def consume(self, batch: Batch, /) -> Acceptance:
        plans = self._prepare(batch)
        placing = place(plans)
        left_out: list[Placement] = []
        for number, placements in enumerate(placing.rounds):
            full = await self._reserve(_needs(placements), partly_taken=number > 0)
            left_out += [one for one in placements if id(one.destination) in full]
            left_out += await _put([one for one in placements if id(one.destination) not in full])
        self._count(plans, placing)
        self._count_left_out(left_out)
        self._tell(plans)
        if not placing.rejected:
            return ACCEPTED
        message = f"{placing.rejected} items are larger than the queue of every exporter"
        return Acceptance(placing.rejected, message)

    def _prepare(self, batch: Batch) -> list[Plan]:
        # Clones are made before anyone may change the batch; the last pipeline gets the original.
        batches = [batch.clone() for _ in self._pipelines[1:]] + [batch]
        try:
            return [
                plan
                for pipeline, own in zip(self._pipelines, batches, strict=True)
                for plan in pipeline.prepare(own).all()
            ]
        except DecodeError:
            raise  # the sender's fault, and the sender is told
        except Permanent as exc:
            if exc.data_fault:  # otherwise its traceback is in the log
                message = f"A processor refused a batch for good: {exc}"
                self._log.say(logging.ERROR, exc.reason, message, reason=exc.reason)
            raise

    async def _reserve(self, needs: list[_Need], *, partly_taken: bool) -> set[int]:
        """Room in all queues, or none, but for those that would rather drop: returns which of these
        (by `id`) have none. Refuses only while nothing was taken yet."""
        while full := [need for need in needs if not _drops(need) and not _has_room(need)]:
            refusing = [need for need in full if need.destination.when_full == "refuse"]
            if refusing and not partly_taken:
                self._refuse(refusing)
            await self._wait_for_room(full[0], patient=not refusing)
        without = {id(need.destination) for need in needs if not _has_room(need)}
        for need in needs:
            if id(need.destination) not in without:
                need.destination.reserve(need.weight)
        return without

    async def _wait_for_room(self, need: _Need, *, patient: bool) -> None:
        try:
            async with asyncio.timeout(None if patient else _REST_PATIENCE_S):
                await need.destination.wait_for_room(need.weight)
        except TimeoutError as exc:
            self._count_full(need)
            raise _queue_full([need.destination]) from exc

    def _refuse(self, needs: list[_Need]) -> None:
        for need in needs:
            self._count_full(need)
        raise _queue_full([need.destination for need in needs])

    def _count_full(self, need: _Need) -> None:
        destination = need.destination
        self._telemetry.enqueue_failed(destination.id, destination.signal, need.items)

    def _tell(self, plans: list[Plan]) -> None:
        for told in [told for plan in plans for told in plan.on_accepted]:
            try:
                told()
            except Exception as exc:  # the batch is taken: its sender must not send it again
                message = "A connector failed to take note of a batch that was accepted"
                self._log.say(logging.ERROR, CONNECTOR_ERROR, message, exc_info=exc)

    def _count(self, plans: list[Plan], placing: Placing) -> None:
        """Counted once, when everything was taken: a refused batch comes again."""
        for plan in plans:
            signal = plan.batch.signal
            for processor, incoming, outgoing in plan.passages:
                self._telemetry.processed(processor, signal, incoming, outgoing)
                if outgoing < incoming:
                    self._telemetry.dropped(processor, signal, FILTERED, incoming - outgoing)
        for destination, items in placing.too_heavy:
            signal = destination.signal
            self._telemetry.enqueue_failed(destination.id, signal, items)
            # What nobody took was not accepted, and the client is told; the rest is a loss here.
            lost = items - placing.rejected if signal is self._signal else items
            if lost:
                self._telemetry.dropped(destination.id, signal, TOO_LARGE, lost)
            self._log.say(
                logging.ERROR,
                destination.id,
                "Items are larger than the whole queue of an exporter and cannot go there",
                exporter=destination.id,
                items=items,
                queue_bytes=destination.capacity,
            )

    def _count_left_out(self, placements: Iterable[Placement]) -> None:
        for destination, batch, _ in placements:
            signal, items = destination.signal, batch.count
            self._telemetry.enqueue_failed(destination.id, signal, items)
            self._telemetry.dropped(destination.id, signal, QUEUE_FULL, items)
            message = "A sending queue is full, and what finds no room in it is dropped"
            self._log.say(
                logging.ERROR, destination.id, message, exporter=destination.id, items=items
            )


def gates_of(pipelines: Iterable[Pipeline]) -> list[Gate]:
    """Every processor that decides about admission, once, however many pipelines share it."""
    found = [
        cast("Gate", room.processor)
        for pipeline in _reached(pipelines)
        for room in pipeline.processors
        if callable(getattr(room.processor, "admit", None))
    ]
    return list({id(gate): gate for gate in found}.values())


def _reached(pipelines: Iterable[Pipeline]) -> Iterator[Pipeline]:
    """These pipelines and those that connectors feed with the same signal. What is made of it for
    another signal has another size, and mostly another time: it says nothing at the door."""
    for pipeline in pipelines:
        yield pipeline
        yield from _reached(
            target
            for connection in pipeline.connections
            for target in connection.targets
            if target.signal is pipeline.signal
        )


def _distinct(destinations: Iterable[Destination]) -> list[Destination]:
    return list({id(destination): destination for destination in destinations}.values())


def _needs(placements: list[Placement]) -> list[_Need]:
    needs: dict[int, _Need] = {}
    for destination, batch, weight in placements:
        known = needs.get(id(destination), _Need(destination, 0, 0))
        needs[id(destination)] = _Need(
            destination, known.weight + weight, known.items + batch.count
        )
    return list(needs.values())


def _has_room(need: _Need) -> bool:
    return need.destination.has_room(need.weight)


def _drops(need: _Need) -> bool:
    return need.destination.when_full == "drop"


async def _put(placements: list[Placement]) -> list[Placement]:
    """Fill what was reserved. When one fails, what was not put is given back; but where it would
    rather drop, the others go on: returns what was left out. Those that may fail are asked first:
    then the others do not have what the sender of a refused batch sends again."""
    placements = sorted(placements, key=lambda one: not _may_fail(one.destination))
    left_out: list[Placement] = []
    for number, placement in enumerate(placements):
        try:
            await placement.destination.put(placement.batch, placement.weight)
        except BaseException as exc:
            if isinstance(exc, Retryable) and placement.destination.when_full == "drop":
                left_out.append(placement)
                continue
            _give_back(placements[number + 1 :])
            raise
    return left_out


def _give_back(placements: Iterable[Placement]) -> None:
    for destination, _, weight in placements:
        destination.unreserve(weight)


def _may_fail(destination: Destination) -> bool:
    return bool(getattr(destination, "may_fail", False))


def _queue_full(destinations: list[Destination]) -> QueueFull:
    names = ", ".join(destination.id for destination in destinations)
    return QueueFull(
        f"the sending queue is full: {names}",
        retry_after=max(destination.retry_after() for destination in destinations),
    )
