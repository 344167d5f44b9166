"""A small collector of fakes: receivers that are fed by the test, exporters that are scripted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from genai_collector.component import (
    Config,
    Consumer,
    Context,
    Exporter,
    ExporterFactory,
    ExtensionFactory,
    Factory,
    Processor,
    ProcessorFactory,
    ReceiverFactory,
)
from genai_collector.configfile.schema import (
    CollectorConfig,
    Component,
    PipelineSpec,
    TelemetryConfig,
)
from genai_collector.delivery import DeliveryConfig
from genai_collector.model import Batch, Signal
from genai_collector.pipeline import Service, build
from tests.support.fakes import CountingTelemetry, loop_time

LOG = logging.getLogger("genai_collector.test_service")


class Plain(Config):
    """No options."""


class Alive:
    """Writes what happens to it into the journal, and fails where it is told to."""

    def __init__(self, journal: list[str], name: str, fails: BaseException | None = None) -> None:
        self.journal = journal
        self.name = name
        self.fails = fails
        self.fails_leaving: BaseException | None = None

    async def __aenter__(self) -> Self:
        if self.fails is not None:
            raise self.fails
        self.journal.append(f"+{self.name}")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.journal.append(f"-{self.name}")
        if self.fails_leaving is not None:
            raise self.fails_leaving


class FakeReceiver(Alive):
    """What the test feeds. Leaving waits for what is in flight, as a real door does."""

    consumers: Mapping[Signal, Consumer]
    context: Context
    listens: tuple[str, ...] = ()

    def __init__(self, journal: list[str], name: str, fails: BaseException | None = None) -> None:
        super().__init__(journal, name, fails)
        self.in_flight: set[asyncio.Task[int]] = set()

    def serve(self, batch: Batch) -> asyncio.Task[int]:
        """Receive in a task that leaving waits for, 5 seconds at most."""
        task = asyncio.create_task(self.receive(batch))
        self.in_flight.add(task)
        task.add_done_callback(self.in_flight.discard)
        return task

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.in_flight:
            await asyncio.wait(self.in_flight, timeout=5)
        await super().__aexit__(exc_type, exc, traceback)

    def endpoints(self) -> list[str]:
        return list(self.listens)

    async def receive(self, batch: Batch) -> int:
        """As a receiver does: count what was taken. Returns it."""
        items = batch.count
        acceptance = await self.consumers[batch.signal].consume(batch)
        taken = items - acceptance.rejected
        self.context.telemetry.received(self.context.id, "fake", batch.signal, taken)
        return taken


class FakeExtension(Alive):
    """Knows when the service is ready and when its end begins."""

    def __init__(self, journal: list[str], name: str) -> None:
        super().__init__(journal, name)
        self.begun, self.ending = asyncio.Event(), asyncio.Event()

    def ready(self) -> None:
        self.journal.append(f"{self.name} ready")
        self.begun.set()

    def not_ready(self) -> None:
        self.journal.append(f"{self.name} not ready")
        self.ending.set()


class House:
    """A configuration of fakes, and the service that is built from it."""

    def __init__(self, *, shutdown_timeout_s: float = 25.0) -> None:
        self.journal: list[str] = []
        self.telemetry = CountingTelemetry()
        self.receivers: dict[str, FakeReceiver] = {}
        self.config = CollectorConfig({}, {}, {}, {}, {}, shutdown_timeout_s=shutdown_timeout_s)
        self.made: list[str] = []
        self.extensions: dict[str, FakeExtension] = {}

    def receiver(self, id: str, fails: BaseException | None = None) -> FakeReceiver:
        fake = FakeReceiver(self.journal, id, fails)

        def create(_: Plain, consumers: Mapping[Signal, Consumer], context: Context) -> Any:
            fake.consumers, fake.context = consumers, context
            self.made.append(id)
            return fake

        self._add(self.config.receivers, id, ReceiverFactory("fake", Plain, create))
        return fake

    def processor(self, id: str, make: Callable[[], Processor], *, shared: bool = False) -> None:
        def create(_: Plain, _context: Context) -> Processor:
            self.made.append(id)
            return make()

        self._add(
            self.config.processors, id, ProcessorFactory("fake", Plain, create, shared=shared)
        )

    def exporter(self, id: str, exporter: Exporter, **delivery: Any) -> None:
        def create(_: DeliveryConfig, _context: Context) -> Exporter:
            self.made.append(id)
            return exporter

        factory = ExporterFactory("fake", DeliveryConfig, create)
        config = DeliveryConfig.model_validate(delivery)
        self.config.exporters[id] = Component(id, factory, config)

    def extension(self, id: str) -> FakeExtension:
        fake = self.extensions[id] = FakeExtension(self.journal, id)
        self._add(
            self.config.extensions, id, ExtensionFactory("fake", Plain, lambda _, _context: fake)
        )
        self.config.extension_order.append(id)
        return fake

    def pipeline(
        self, id: str, receivers: list[str], processors: list[str], exporters: list[str]
    ) -> None:
        signal = Signal(id.partition("/")[0])
        self.config.pipelines[id] = PipelineSpec(id, signal, receivers, processors, exporters)

    def build(self, clock: Callable[[], float] = loop_time) -> Service:
        return build(self.config, self.telemetry, LOG, clock=clock)

    @staticmethod
    def _add(section: dict[str, Component], id: str, factory: Factory) -> None:
        section[id] = Component(id, factory, Plain())


def own_telemetry(level: str = "normal", address: str | None = "127.0.0.1:0") -> TelemetryConfig:
    return TelemetryConfig.model_validate({"metrics": {"level": level, "address": address}})
