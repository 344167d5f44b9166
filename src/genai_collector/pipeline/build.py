"""From a checked configuration to a `Service`: pure construction, nothing is opened or started.

One instance per receiver, exporter and extension id; one queue per exporter and signal; processors
once per pipeline, except those that guard the whole process (`ProcessorFactory.shared`); connectors
once per id and route, those that hold (`ConnectorFactory.shared`) once per id, after the pipelines
that they feed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, cast

from genai_collector.component import (
    Connector,
    ConnectorFactory,
    Consumer,
    Context,
    Destination,
    Exporter,
    ExporterFactory,
    ExtensionFactory,
    Holding,
    Lifecycle,
    Processor,
    ProcessorFactory,
    Receiver,
    ReceiverFactory,
    Route,
    Storage,
    Telemetry,
)
from genai_collector.configfile.schema import CollectorConfig, Component, PipelineSpec
from genai_collector.delivery import DeadLetters, DeliveryConfig, DurableQueue, QueuedExporter
from genai_collector.delivery.dead_letters import records_name
from genai_collector.errors import ConfigError
from genai_collector.model import Signal
from genai_collector.pipeline.fanout import Fanout
from genai_collector.pipeline.heritage import Heritage, heritage, same_telemetry
from genai_collector.pipeline.observe import OwnTelemetry
from genai_collector.pipeline.pipeline import Connection, Pipeline, Room
from genai_collector.pipeline.service import Part, Parts, Service, Stopping
from genai_collector.telemetry.log import ROOT_LOGGER, component_logger
from genai_collector.telemetry.metrics import SdkTelemetry
from genai_collector.transport.http_server import HttpListeners


def build(
    config: CollectorConfig,
    telemetry: Telemetry | None = None,
    log: logging.Logger | None = None,
    *,
    before: Service | None = None,
    clock: Callable[[], float] = time.monotonic,
    wall_clock_ns: Callable[[], int] = time.time_ns,
) -> Service:
    """The service that the configuration describes.

    `telemetry`: who counts; by default what `service.telemetry` asks for, which the service then
    opens and closes. `before`: the one that runs and that this one will follow; what has not
    changed is taken from it. Raises ConfigError for what only a component itself can find out.
    """
    log = log or logging.getLogger(ROOT_LOGGER)
    common = before is not None and same_telemetry(config, before.config)
    own: AbstractAsyncContextManager[object] = nullcontext()
    if telemetry is None:
        if before is not None and common and isinstance(before.parts.own, OwnTelemetry):
            own = measured = before.parts.own
        else:
            own = measured = OwnTelemetry(config.telemetry, log)
        telemetry = measured.telemetry
    taken = heritage(config, before) if before is not None and common else Heritage()
    stopping = before.stopping if before is not None else Stopping()
    builder = _Builder(config, own, telemetry, log, clock, wall_clock_ns, taken, stopping)
    return builder.build()


class _Builder:
    def __init__(
        self,
        config: CollectorConfig,
        own: AbstractAsyncContextManager[object],
        telemetry: Telemetry,
        log: logging.Logger,
        clock: Callable[[], float],
        wall_clock_ns: Callable[[], int],
        taken: Heritage,
        stopping: Stopping,
    ) -> None:
        self._config = config
        self._telemetry = telemetry
        self._log = log
        self._clock = clock
        self._wall_clock_ns = wall_clock_ns
        self._taken = taken
        self._stopping = stopping
        self._parts = Parts(own=own, listeners=HttpListeners(telemetry), forget=dict(taken.forget))
        self._extensions: dict[str, Lifecycle] = {}
        self._exporters: dict[str, Exporter] = {}
        self._queues: dict[tuple[str, Signal], QueuedExporter] = {}
        self._shared: dict[str, Room] = {}
        self._pipelines: dict[str, Pipeline] = {}
        self._connections: dict[tuple[str, Route], Connection] = {}
        self._holding: dict[str, Holding] = {}
        self._held: dict[tuple[str, Signal], Destination] = {}

    def build(self) -> Service:
        config = self._config
        for extension_id in config.extension_order:
            self._add_extension(config.extensions[extension_id])
        for spec in config.pipelines.values():
            self._pipeline(spec)
        used = {receiver for spec in config.pipelines.values() for receiver in spec.receivers}
        for receiver in config.receivers.values():
            if receiver.id in used:
                self._add_receiver(receiver)
        return Service(config, self._parts, self._log, self._clock, self._stopping)

    def _context(self, kind: str, id: str, telemetry: Telemetry | None = None) -> Context:
        return Context(
            id=id,
            telemetry=telemetry or self._telemetry,
            log=component_logger(self._log, kind, id),
            clock=self._clock,
            wall_clock_ns=self._wall_clock_ns,
            listeners=self._parts.listeners,
            shutting_down=self._stopping,
            extensions=self._extensions,
        )

    def _view(self) -> tuple[Telemetry, Callable[[], None]]:
        """Counters for one that may end before the process does, and how to end its watches."""
        if isinstance(self._telemetry, SdkTelemetry):
            view = self._telemetry.view()
            return view, view.forget
        return self._telemetry, _nothing

    def _add_extension(self, component: Component) -> None:
        factory = cast("ExtensionFactory[Any]", component.factory)
        made = self._taken.extensions.get(component.id)
        if made is None:
            view, forget = self._view()
            context = self._context("extension", component.id, view)
            made = cast("Lifecycle", _made(component, factory.create, context))
            self._parts.forget[id(made)] = forget
        self._extensions[component.id] = made
        self._parts.extensions.append(Part("extension", component.id, made))

    def _pipeline(self, spec: PipelineSpec) -> Pipeline:
        if spec.id in self._pipelines:
            return self._pipelines[spec.id]
        config = self._config
        connectors = [
            config.connectors[name] for name in spec.exporters if name in config.connectors
        ]
        connections = [
            self._connection(connector, route)
            for connector in connectors
            if not _is_shared(connector)
            for route in self._routes(connector, spec.signal)
        ]
        exporters: list[Destination] = [
            self._queue(config.exporters[name], spec.signal)
            for name in spec.exporters
            if name not in config.connectors
        ]
        exporters += [self._hold(one, spec.signal) for one in connectors if _is_shared(one)]
        processors = [self._room(config.processors[name]) for name in spec.processors]
        made = Pipeline(spec.id, spec.signal, processors, exporters, self._log, connections)
        self._pipelines[spec.id] = made
        return made

    def _fed_by(self, id: str, signal: Signal) -> list[PipelineSpec]:
        specs = self._config.pipelines.values()
        return [spec for spec in specs if spec.signal is signal and id in spec.receivers]

    def _routes(self, component: Component, source: Signal) -> list[Route]:
        factory = cast("ConnectorFactory[Any]", component.factory)
        routes = [Route(source, target) for target in Signal]
        return [
            route
            for route in routes
            if route in factory.routes and self._fed_by(component.id, route.target)
        ]

    def _connection(self, component: Component, route: Route) -> Connection:
        key = (component.id, route)
        if key not in self._connections:
            # What it feeds is made first: the configuration has no cycles.
            fed = self._fed_by(component.id, route.target)
            targets = [self._pipeline(spec) for spec in fed]
            factory = cast("ConnectorFactory[Any]", component.factory)
            context = self._context("connector", component.id)
            consumer = self._fanout(route.target, targets, context)
            made: Connector = _made(component, factory.create, route, consumer, context)
            self._connections[key] = Connection(component.id, made, targets)
            if isinstance(made, AbstractAsyncContextManager):
                self._parts.connectors.append(Part("connector", component.id, made))
        return self._connections[key]

    def _hold(self, component: Component, signal: Signal) -> Destination:
        key = (component.id, signal)
        if component.id not in self._holding:
            context = self._context("connector", component.id)
            consumers = {
                target: self._fanout(target, [self._pipeline(spec) for spec in fed], context)
                for target in Signal
                if (fed := self._fed_by(component.id, target))
            }
            factory = cast("ConnectorFactory[Any]", component.factory)
            made: Holding = _made(component, factory.create, consumers, context)
            self._holding[component.id] = made
            self._parts.connectors.append(Part("connector", component.id, made))
        if key not in self._held:
            self._held[key] = self._holding[component.id].destination(signal)
        return self._held[key]

    def _queue(self, component: Component, signal: Signal) -> QueuedExporter:
        key = (component.id, signal)
        if key not in self._queues:
            exporter = self._exporter(component)
            made = self._taken.queues.get(key) or self._new_queue(component, signal, exporter)
            self._queues[key] = made
            self._parts.queues.append(made)
        return self._queues[key]

    def _new_queue(
        self, component: Component, signal: Signal, exporter: Exporter
    ) -> QueuedExporter:
        view, forget = self._view()
        context = self._context("exporter", component.id, view)
        made = QueuedExporter(
            component.id,
            signal,
            exporter,
            cast("DeliveryConfig", component.config),
            context,
            queue=_made(component, _durable_queue, signal, context),
            dead_letters=_made(component, _dead_letters, signal, context),
        )
        self._parts.forget[id(made)] = forget
        return made

    def _exporter(self, component: Component) -> Exporter:
        if component.id not in self._exporters:
            factory = cast("ExporterFactory[Any]", component.factory)
            made = self._taken.exporters.get(component.id)
            if made is None:
                view, forget = self._view()
                context = self._context("exporter", component.id, view)
                made = cast("Exporter", _made(component, factory.create, context))
                self._parts.forget[id(made)] = forget
            self._exporters[component.id] = made
            self._parts.exporters.append(Part("exporter", component.id, made))
        return self._exporters[component.id]

    def _room(self, component: Component) -> Room:
        factory = cast("ProcessorFactory[Any]", component.factory)
        if component.id in self._shared:
            return self._shared[component.id]
        context = self._context("processor", component.id)
        made: Processor = _made(component, factory.create, context)
        room = Room(component.id, made)
        if factory.shared:
            self._shared[component.id] = room
        if isinstance(made, AbstractAsyncContextManager):
            self._parts.processors.append(Part("processor", component.id, made))
        return room

    def _add_receiver(self, component: Component) -> None:
        factory = cast("ReceiverFactory[Any]", component.factory)
        context = self._context("receiver", component.id)
        fed = [
            self._pipelines[spec.id]
            for spec in self._config.pipelines.values()
            if component.id in spec.receivers
        ]
        consumers: dict[Signal, Consumer] = {
            signal: self._fanout(signal, [p for p in fed if p.signal is signal], context)
            for signal in Signal
            if any(p.signal is signal for p in fed)
        }
        made: Receiver = _made(component, factory.create, consumers, context)
        self._parts.receivers.append(Part("receiver", component.id, made))

    def _fanout(self, signal: Signal, pipelines: Sequence[Pipeline], context: Context) -> Fanout:
        return Fanout(signal, pipelines, self._telemetry, context.log, self._clock)


def _nothing() -> None:
    """Where nothing was watched."""


def _is_shared(component: Component) -> bool:
    return cast("ConnectorFactory[Any]", component.factory).shared


def _durable_queue(config: DeliveryConfig, signal: Signal, context: Context) -> DurableQueue | None:
    """The queue on disk, if the configuration names a storage."""
    queue = config.sending_queue
    if queue.storage is None:
        return None
    storage = context.extension(queue.storage, Storage, "sending_queue.storage")
    records = storage.records(f"exporter.{context.id}", f"queue.{signal}", queue.quota)
    return DurableQueue(records, signal)


def _dead_letters(config: DeliveryConfig, signal: Signal, context: Context) -> DeadLetters | None:
    """Where it leaves what is refused for good, if there is a storage for it."""
    wanted = config.dead_letters_storage
    if wanted is None:
        return None
    storage = context.extension(wanted, Storage, "dead_letters.storage")
    quota = config.dead_letters.max_size
    records = storage.records(f"exporter.{context.id}", records_name(signal), quota)
    return DeadLetters(records, signal, context)


def _made(component: Component, create: Callable[..., Any], *rest: object) -> Any:
    """The component; what it finds wrong with its configuration gets its place in the file."""
    try:
        return create(component.config, *rest)
    except ConfigError as exc:
        raise component.fault(exc) from exc
