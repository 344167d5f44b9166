"""One pipeline: its processors in order, then the exporters and connectors that it leads to.

Preparing is separate from admitting (see `fanout`): a receiver that feeds several pipelines runs
all their processors first and then asks all their exporters at once. A batch that is refused comes
again and is prepared again, so what processors dropped is only reported in the plan; it is counted
when the batch is taken. For the same reason a connector that keeps something is not told of a batch
when it is asked for what it makes of it, but by the plan, when the batch is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from genai_collector.component import Accepting, Connector, Destination, Processor
from genai_collector.errors import Permanent, PipelineError
from genai_collector.model import Batch, Signal

PROCESSOR_ERROR: Final = "processor_error"
CONNECTOR_ERROR: Final = "connector_error"


class Room(NamedTuple):
    """A processor under the id it has in the configuration."""

    id: str
    processor: Processor


class Passage(NamedTuple):
    """What went into a processor and what came out, in items."""

    processor: str
    incoming: int
    outgoing: int


Told: TypeAlias = Callable[[], None]
"""Tells a connector that a batch was taken."""


class Plan(NamedTuple):
    """What a pipeline wants to do with a batch. An empty batch is for nobody."""

    batch: Batch
    destinations: Sequence[Destination]
    passages: list[Passage]
    connected: Sequence[Plan] = ()
    """What the pipelines behind its connectors want to do with what these made of it."""
    on_accepted: Sequence[Told] = ()
    """Called once, when everything that was planned has been taken."""

    def all(self) -> Iterator[Plan]:
        """This plan and every one behind its connectors."""
        yield self
        for plan in self.connected:
            yield from plan.all()


class Connection(NamedTuple):
    """A connector under its id, and the pipelines that it feeds."""

    id: str
    connector: Connector
    targets: Sequence[Pipeline]


class Pipeline:
    """Processors, destinations and connectors of one `service.pipelines` entry."""

    def __init__(
        self,
        id: str,
        signal: Signal,
        processors: Sequence[Room],
        exporters: Sequence[Destination],
        log: logging.Logger,
        connections: Sequence[Connection] = (),
    ) -> None:
        self.id = id
        self.signal = signal
        self.processors = list(processors)
        self.exporters = list(exporters)
        self.connections = list(connections)
        self._log = log

    def prepare(self, batch: Batch) -> Plan:
        """Run the processors, also those behind connectors. Raises Permanent when a component has a
        fault; then nothing was taken.

        The batch is the pipeline's: give it a clone if someone else needs it too.
        """
        passages: list[Passage] = []
        for room in self.processors:
            incoming = batch.count
            if not incoming:
                break
            batch = self._run(room, batch)
            passages.append(Passage(room.id, incoming, batch.count))
        if not batch or not self.connections:
            return Plan(batch, self.exporters, passages)
        connected = [plan for each in self.connections for plan in self._connect(each, batch)]
        told = [
            partial(each.connector.accepted, batch)
            for each in self.connections
            if isinstance(each.connector, Accepting)
        ]
        return Plan(batch, self.exporters, passages, connected, told)

    def _connect(self, connection: Connection, batch: Batch) -> list[Plan]:
        try:
            made = connection.connector.connect(batch)
        except PipelineError:
            raise
        except Exception as exc:  # a fault of the connector, which must not end the receiver
            self._log.exception(
                "A connector has a fault; the batch is refused",
                extra={"connector": connection.id, "pipeline": self.id},
            )
            message = f"connector {connection.id} failed: {exc!r}"
            raise Permanent(message, reason=CONNECTOR_ERROR) from exc
        if made is None or not made:
            return []
        if made is batch and self._is_shared(connection.connector):
            made = made.clone()
        *others, last = connection.targets
        batches = [made.clone() for _ in others]
        plans = [target.prepare(own) for target, own in zip(others, batches, strict=True)]
        return [*plans, last.prepare(made)]

    def _is_shared(self, connector: Connector) -> bool:
        """Whether anyone else looks at a batch that this connector passes on as it is."""
        return bool(self.exporters) or len(self.connections) > 1 or isinstance(connector, Accepting)

    def _run(self, room: Room, batch: Batch) -> Batch:
        try:
            return room.processor.process(batch)
        except PipelineError:
            raise
        except Exception as exc:  # a fault of the processor, which must not end the receiver
            self._log.exception(
                "A processor has a fault; the batch is refused",
                extra={"processor": room.id, "pipeline": self.id},
            )
            raise Permanent(f"processor {room.id} failed: {exc!r}", reason=PROCESSOR_ERROR) from exc
