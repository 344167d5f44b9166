"""What a new graph takes over from the one that runs, instead of making its own.

An extension is taken over if nothing about it has changed. So is an exporter with its queues, if
besides that the same signals go to it, and no extension that lends something to others (a storage,
credentials) has changed or is gone. What is taken over does not notice the change: nothing has to
be drained, no connection ends, no count begins anew. Receivers, processors and connectors are
always made anew, since they know what they feed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from genai_collector.component import (
    ClientAuth,
    Exporter,
    Lifecycle,
    ServerAuth,
    Storage,
)
from genai_collector.configfile.schema import CollectorConfig
from genai_collector.delivery import QueuedExporter
from genai_collector.model import Signal
from genai_collector.pipeline.service import Service

_LENDERS: Final = (Storage, ServerAuth, ClientAuth)


@dataclass(frozen=True)
class Heritage:
    """What may be taken over, by id."""

    extensions: dict[str, Lifecycle] = field(default_factory=dict)
    exporters: dict[str, Exporter] = field(default_factory=dict)
    queues: dict[tuple[str, Signal], QueuedExporter] = field(default_factory=dict)
    forget: dict[int, Callable[[], None]] = field(default_factory=dict)
    """See `Parts`."""


def same_telemetry(config: CollectorConfig, before: CollectorConfig) -> bool:
    """Whether own metrics may go on as they are; the log may change."""
    new, old = config.telemetry, before.telemetry
    return (new.metrics, new.resource) == (old.metrics, old.resource)


def heritage(config: CollectorConfig, old: Service) -> Heritage:
    """What `config` has in common with the graph that runs, whose own metrics go on."""
    parts = old.parts
    extensions = {
        part.id: part.component
        for part in parts.extensions
        if part.id in config.extension_order
        and config.extensions[part.id] == old.config.extensions[part.id]
    }
    lenders = [part.id for part in parts.extensions if isinstance(part.component, _LENDERS)]
    if any(lender not in extensions for lender in lenders):
        # Whoever borrowed from it must be made anew; and who borrows is not known here.
        return Heritage({key: one for key, one in extensions.items() if key not in lenders})
    exporters = {
        part.id: cast("Exporter", part.component)
        for part in parts.exporters
        if config.exporters.get(part.id) == old.config.exporters[part.id]
        and _signals(config, part.id) == _signals(old.config, part.id)
    }
    queues = {(queue.id, queue.signal): queue for queue in parts.queues if queue.id in exporters}
    kept = [id(one) for one in (*extensions.values(), *exporters.values(), *queues.values())]
    forget = {one: parts.forget[one] for one in kept if one in parts.forget}
    return Heritage(extensions, exporters, queues, forget)


def _signals(config: CollectorConfig, exporter: str) -> set[Signal]:
    return {spec.signal for spec in config.pipelines.values() if exporter in spec.exporters}
