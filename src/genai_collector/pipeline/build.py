"""From a checked configuration to a `Service`: pure construction, nothing is opened or started.

One instance per receiver, exporter and extension id; one queue per exporter and signal; processors
once per pipeline, except those that guard the whole process (`ProcessorFactory.shared`); connectors
once per id and route, after the pipelines that they feed.
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
    Exporter,
    ExporterFactory,
    ExtensionFactory,
    Lifecycle,
    Processor,
    ProcessorFactory,
    Receiver,
    ReceiverFactory,
    Route,
    Telemetry,
)
from genai_collector.configfile.schema import CollectorConfig, Component, PipelineSpec
from genai_collector.delivery import DeliveryConfig, QueuedExporter
from genai_collector.errors import ConfigError
from genai_collector.model import Signal
from genai_collector.pipeline.fanout import Fanout
from genai_collector.pipeline.observe import OwnTelemetry
from genai_collector.pipeline.pipeline import Connection, Pipeline, Room
from genai_collector.pipeline.service import Part, Parts, Service, Stopping
from genai_collector.telemetry.log import ROOT_LOGGER, component_logger
from genai_collector.transport.http_server import HttpListeners


def build(
    config: CollectorConfig,
    telemetry: Telemetry | None = None,
    log: logging.Logger | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    wall_clock_ns: Callable[[], int] = time.time_ns,
) -> Service:
    """The service that the configuration describes.

    `telemetry`: who counts; by default what `service.telemetry` asks for, which the service then
    opens and closes. Raises ConfigError for what only a component itself can find out.
    """
    log = log or logging.getLogger(ROOT_LOGGER)
    own: AbstractAsyncContextManager[object] = nullcontext()
    if telemetry is None:
        own = measured = OwnTelemetry(config.telemetry, log)
        telemetry = measured.telemetry
    builder = _Builder(config, own, telemetry, log, clock, wall_clock_ns)
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
    ) -> None:
        self._config = config
        self._telemetry = telemetry
        self._log = log
        self._clock = clock
        self._wall_clock_ns = wall_clock_ns
        self._stopping = Stopping()
        self._parts = Parts(own=own, listeners=HttpListeners())
        self._extensions: dict[str, Lifecycle] = {}
        self._exporters: dict[str, Exporter] = {}
        self._queues: dict[tuple[str, Signal], QueuedExporter] = {}
        self._shared: dict[str, Room] = {}
        self._pipelines: dict[str, Pipeline] = {}
        self._connections: dict[tuple[str, Route], Connection] = {}

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
        return Service(
            self._parts, self._log, self._clock, config.shutdown_timeout_s, self._stopping
        )

    def _context(self, kind: str, id: str) -> Context:
        return Context(
            id=id,
            telemetry=self._telemetry,
            log=component_logger(self._log, kind, id),
            clock=self._clock,
            wall_clock_ns=self._wall_clock_ns,
            listeners=self._parts.listeners,
            shutting_down=self._stopping,
            extensions=self._extensions,
        )

    def _add_extension(self, component: Component) -> None:
        factory = cast("ExtensionFactory[Any]", component.factory)
        made: Lifecycle = _made(component, factory.create, self._context("extension", component.id))
        self._extensions[component.id] = made
        self._parts.extensions.append(Part("extension", component.id, made))

    def _pipeline(self, spec: PipelineSpec) -> Pipeline:
        if spec.id in self._pipelines:
            return self._pipelines[spec.id]
        config = self._config
        connections = [
            self._connection(config.connectors[name], route)
            for name in spec.exporters
            if name in config.connectors
            for route in self._routes(config.connectors[name], spec.signal)
        ]
        exporters = [
            self._queue(config.exporters[name], spec.signal)
            for name in spec.exporters
            if name not in config.connectors
        ]
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

    def _queue(self, component: Component, signal: Signal) -> QueuedExporter:
        key = (component.id, signal)
        if key not in self._queues:
            self._queues[key] = QueuedExporter(
                component.id,
                signal,
                self._exporter(component),
                cast("DeliveryConfig", component.config),
                self._context("exporter", component.id),
            )
            self._parts.queues.append(self._queues[key])
        return self._queues[key]

    def _exporter(self, component: Component) -> Exporter:
        if component.id not in self._exporters:
            factory = cast("ExporterFactory[Any]", component.factory)
            context = self._context("exporter", component.id)
            made: Exporter = _made(component, factory.create, context)
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


def _made(component: Component, create: Callable[..., Any], *rest: object) -> Any:
    """The component; what it finds wrong with its configuration gets its place in the file."""
    try:
        return create(component.config, *rest)
    except ConfigError as exc:
        raise component.fault(exc) from exc
