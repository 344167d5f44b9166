"""Sending dead letters again, without a running collector: one exporter, letter by letter.

A letter that is delivered whole is forgotten; what is refused again stays, with what was said. The
exporter is built as a collector would build it, but without its queue: the answer to each letter is
what decides.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, cast

from genai_collector.component import (
    LEFT_OUT,
    ClientAuth,
    Context,
    ExporterFactory,
    ExtensionFactory,
    Lifecycle,
    NoTelemetry,
)
from genai_collector.configfile.schema import CollectorConfig, Component
from genai_collector.delivery import DeliveryConfig, QueuedExporter, RetryConfig
from genai_collector.delivery.dead_letters import open_letter, read_letter
from genai_collector.errors import ConfigError, PipelineError
from genai_collector.model import Batch, Signal
from genai_collector.storage import OfflineRecords
from genai_collector.telemetry.log import component_logger


class Outcome(NamedTuple):
    """What became of one letter."""

    id: int
    items: int
    error: str
    """Empty: delivered, and forgotten here."""


async def replay(
    config: CollectorConfig,
    exporter: str,
    letters: Sequence[tuple[OfflineRecords, Signal, Iterable[int]]],
    log: logging.Logger,
    *,
    patience_s: float = 30.0,
) -> AsyncIterator[Outcome]:
    """Send letters through an exporter, oldest first. Raises ConfigError if it cannot be built.

    `patience_s`: how long a destination that says "later" is asked again for each letter.
    """
    async with AsyncExitStack() as stack:
        sender = _Sender(config, exporter, log, stack, patience_s)
        for records, signal, ids in letters:
            for number in ids:
                stored = records.get(number)
                if stored is None:
                    continue
                items = read_letter(stored).items
                error = await sender.send(open_letter(stored, signal))
                if not error:
                    records.remove([number])
                yield Outcome(number, items, error)


class _Sender:
    """One exporter with a queue for each signal that is sent."""

    def __init__(
        self,
        config: CollectorConfig,
        exporter: str,
        log: logging.Logger,
        stack: AsyncExitStack,
        patience_s: float,
    ) -> None:
        if exporter not in config.exporters:
            known = ", ".join(config.exporters)
            raise ConfigError(f"there is no exporter {exporter!r}; there is {known}")
        component = config.exporters[exporter]
        self._stack = stack
        self._extensions = _credentials(config, log)
        self._context = Context(
            exporter,
            NoTelemetry(),
            component_logger(log, "exporter", exporter),
            extensions=self._extensions,
        )
        self._config = _direct(component, patience_s)
        factory = cast("ExporterFactory[Any]", component.factory)
        self._exporter = factory.create(self._config, self._context)
        self._queues: dict[Signal, QueuedExporter] = {}
        self._entered = False

    async def send(self, batch: Batch) -> str:
        """Why it was not delivered, if it was not."""
        queue = await self._queue(batch.signal)
        before = dict(queue.report().dropped)
        queue.reserve(batch.size_bytes)
        try:
            await queue.put(batch, batch.size_bytes)
        except PipelineError as exc:
            return str(exc)
        refused = {
            reason: items - before.get(reason, 0)
            for reason, items in queue.report().dropped.items()
            if reason not in LEFT_OUT and items > before.get(reason, 0)
        }
        told = ", ".join(f"{items} {reason}" for reason, items in sorted(refused.items()))
        return f"refused again: {told}" if told else ""

    async def _queue(self, signal: Signal) -> QueuedExporter:
        if not self._entered:
            self._entered = True
            for extension in self._extensions.values():
                await self._stack.enter_async_context(extension)
            await self._stack.enter_async_context(self._exporter)
        if signal not in self._queues:
            made = QueuedExporter(
                self._context.id, signal, self._exporter, self._config, self._context
            )
            self._queues[signal] = await self._stack.enter_async_context(made)
        return self._queues[signal]


def _credentials(config: CollectorConfig, log: logging.Logger) -> dict[str, Lifecycle]:
    """The extensions that an exporter may need to speak to its destination; nothing that opens a
    port or a directory."""
    made: dict[str, Lifecycle] = {}
    for name in config.extension_order:
        component = config.extensions[name]
        factory = cast("ExtensionFactory[Any]", component.factory)
        context = Context(name, NoTelemetry(), component_logger(log, "extension", name))
        extension = factory.create(component.config, context)
        if isinstance(extension, ClientAuth):
            made[name] = extension
    return made


def _direct(component: Component, patience_s: float) -> DeliveryConfig:
    """The exporter's configuration with no queue, and a bounded patience."""
    config = cast("DeliveryConfig", component.config)
    queue = type(config.sending_queue)
    update = {
        "sending_queue": queue(enabled=False),
        "retry_on_failure": RetryConfig(enabled=patience_s > 0, max_elapsed_time=patience_s),
    }
    return config.model_copy(update=update)
