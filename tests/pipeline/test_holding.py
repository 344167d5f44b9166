"""Connectors that hold: one instance for all their routes, admitted like a queue."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Literal

import pytest

from genai_collector.component import ConnectorFactory, Consumer, Context, Destination, Route
from genai_collector.configfile.schema import Component
from genai_collector.errors import QueueFull
from genai_collector.model import Batch, Signal
from tests.pipeline.house import Alive, House, Plain
from tests.support.builders import batch, log_batch, log_record
from tests.support.fakes import ScriptedExporter, run_virtual

ROUTES = frozenset({
    Route(Signal.TRACES, Signal.TRACES), Route(Signal.LOGS, Signal.TRACES),
    Route(Signal.LOGS, Signal.LOGS),
})  # fmt: skip


class Shelf(Alive):
    """Keeps every batch until it is left, and then gives it to the consumer of its signal."""

    def __init__(self, journal: list[str], consumers: Mapping[Signal, Consumer]) -> None:
        super().__init__(journal, "shelf")
        self.consumers = consumers
        self.kept: list[Batch] = []
        self.doors: list[Signal] = []
        self.room = 1_000_000

    def destination(self, signal: Signal, /) -> Destination:
        self.doors.append(signal)
        return Board(self, signal)

    async def __aexit__(self, *_: object) -> None:
        for kept in self.kept:
            await self.consumers[kept.signal].consume(kept)
        self.journal.append("-shelf")


class Board:
    id = "shelf"
    when_full: Literal["refuse", "block"] = "refuse"

    def __init__(self, shelf: Shelf, signal: Signal) -> None:
        self.shelf, self.signal = shelf, signal

    @property
    def capacity(self) -> int:
        return 1_000_000

    def has_room(self, weight: int, /) -> bool:
        return weight <= self.shelf.room

    def reserve(self, weight: int, /) -> None:
        self.shelf.room -= weight

    def unreserve(self, weight: int, /) -> None:
        self.shelf.room += weight

    async def put(self, batch: Batch, _weight: int, /) -> None:
        self.shelf.kept.append(batch.clone())

    async def wait_for_room(self, _weight: int, /) -> None:
        await asyncio.sleep(0)

    def retry_after(self) -> float:
        return 7.0


class Holder:
    """A house with a shelf between two pipelines in and two out."""

    def __init__(self) -> None:
        self.house = House()
        self.shelves: list[Shelf] = []
        self.receiver = self.house.receiver("in")
        self.exporters = {name: ScriptedExporter() for name in ("beside", "spans", "logs")}
        for name, exporter in self.exporters.items():
            self.house.exporter(name, exporter)
        factory = ConnectorFactory("shelf", Plain, self._create, ROUTES, shared=True)
        self.house.config.connectors["shelf"] = Component("shelf", factory, Plain())
        self.house.pipeline("logs/in", ["in"], [], ["shelf"])
        self.house.pipeline("traces/in", ["in"], [], ["beside", "shelf"])
        self.house.pipeline("traces/more", ["in"], [], ["shelf"])
        self.house.pipeline("traces", ["shelf"], [], ["spans"])
        self.house.pipeline("logs", ["shelf"], [], ["logs"])

    def _create(self, _: Plain, consumers: Mapping[Signal, Consumer], _context: Context) -> Shelf:
        self.shelves.append(Shelf(self.house.journal, consumers))
        return self.shelves[-1]


def test_one_instance_for_all_routes() -> None:
    """Built once per id with all its consumers and one door per signal, however many pipelines lead
    to it; left after the receivers and while the queues still take what it gives."""
    holder = Holder()

    async def main() -> None:
        service = holder.house.build()
        await service.start()
        (shelf,) = holder.shelves
        assert sorted(shelf.consumers) == sorted(shelf.doors) == [Signal.LOGS, Signal.TRACES]
        assert await holder.receiver.receive(batch(2)) == 2
        assert await holder.receiver.receive(log_batch(log_record())) == 1
        assert [kept.count for kept in shelf.kept] == [2, 2, 1]
        await service.stop()

    run_virtual(main())
    assert holder.house.journal[-2:] == ["-in", "-shelf"]
    counts = {name: sum(b.count for b in e.arrived) for name, e in holder.exporters.items()}
    assert counts == {"beside": 2, "spans": 4, "logs": 1}


def test_admitted_with_all_others_or_not_at_all() -> None:
    """A connector without room refuses for the exporter beside it too, at the door already."""
    holder = Holder()

    async def main() -> None:
        service = holder.house.build()
        await service.start()
        holder.shelves[0].room = 10
        with pytest.raises(QueueFull, match="shelf") as refused:
            await holder.receiver.receive(batch(2))
        assert refused.value.retry_after == 7.0
        with pytest.raises(QueueFull), holder.receiver.consumers[Signal.TRACES].admit(100):
            pytest.fail("admitted")
        await service.stop()

    run_virtual(main())
    assert holder.exporters["beside"].arrived == []
    assert holder.shelves[0].kept == []
