"""One destination that does not answer, beside one that does."""

from __future__ import annotations

import asyncio
from typing import Self

from genai_collector.component import Sent
from genai_collector.errors import Retryable
from genai_collector.model import Batch
from tests.pipeline.house import House
from tests.support.fakes import line_batch, names_of, run_virtual


class Sink:
    """Takes everything, at once."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def export(self, batch: Batch, /) -> Sent:
        self.names += names_of(batch)
        return Sent(batch.count)


class Hanging(Sink):
    """Never answers."""

    async def export(self, batch: Batch, /) -> Sent:
        await asyncio.Event().wait()
        return await super().export(batch)


class Refusing(Sink):
    """Always says "later"."""

    async def export(self, batch: Batch, /) -> Sent:
        raise Retryable("later")


def test_the_others_do_not_notice() -> None:
    """While the queues of dead destinations have room, everything reaches the living one, in
    order, once, and no sender waits."""

    async def run() -> None:
        house = House(shutdown_timeout_s=5)
        living, receiver = Sink(), house.receiver("in")
        house.exporter("hangs", Hanging())
        house.exporter("refuses", Refusing())
        house.exporter("lives", living)
        house.pipeline("traces", ["in"], [], ["hangs", "refuses"])
        house.pipeline("traces/2", ["in"], [], ["lives"])
        sent = [f"span {number}" for number in range(200)]
        service = house.build()
        await service.start()
        began = asyncio.get_running_loop().time()
        for name in sent:
            await receiver.receive(line_batch([name]))
        assert asyncio.get_running_loop().time() == began  # virtual: nobody waited
        await asyncio.sleep(1)
        assert living.names == sent
        await service.stop()
        assert living.names == sent
        for dead in ("hangs", "refuses"):
            assert house.telemetry.counts["dropped", dead, "shutdown"] == len(sent)

    run_virtual(run())
