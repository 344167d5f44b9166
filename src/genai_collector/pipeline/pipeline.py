"""One pipeline: its processors in order, then the exporters that its batches are for.

Preparing is separate from admitting (see `fanout`): a receiver that feeds several pipelines runs
all their processors first and then asks all their exporters at once. A batch that is refused comes
again and is prepared again, so what processors dropped is only reported in the plan; it is counted
when the batch is taken.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol

from genai_collector.component import Processor
from genai_collector.errors import Permanent, PipelineError
from genai_collector.model import Batch, Signal

PROCESSOR_ERROR: Final = "processor_error"


class Destination(Protocol):
    """What a pipeline needs of an exporter with its queue; `delivery.QueuedExporter` is one."""

    @property
    def id(self) -> str: ...
    @property
    def signal(self) -> Signal: ...
    @property
    def when_full(self) -> Literal["refuse", "block"]: ...
    @property
    def capacity(self) -> int: ...
    def has_room(self, weight: int, /) -> bool: ...
    def reserve(self, weight: int, /) -> None: ...
    def unreserve(self, weight: int, /) -> None: ...
    async def put(self, batch: Batch, weight: int, /) -> None: ...
    async def wait_for_room(self, weight: int, /) -> None: ...
    def retry_after(self) -> float: ...


class Room(NamedTuple):
    """A processor under the id it has in the configuration."""

    id: str
    processor: Processor


class Passage(NamedTuple):
    """What went into a processor and what came out, in items."""

    processor: str
    incoming: int
    outgoing: int


class Plan(NamedTuple):
    """What a pipeline wants to do with a batch. An empty batch is for nobody."""

    batch: Batch
    destinations: Sequence[Destination]
    passages: list[Passage]


class Pipeline:
    """Processors and destinations of one `service.pipelines` entry."""

    def __init__(
        self,
        id: str,
        signal: Signal,
        processors: Sequence[Room],
        exporters: Sequence[Destination],
        log: logging.Logger,
    ) -> None:
        self.id = id
        self.signal = signal
        self.processors = list(processors)
        self.exporters = list(exporters)
        self._log = log

    def prepare(self, batch: Batch) -> Plan:
        """Run the processors. Raises Permanent when one has a fault; then nothing was taken.

        The batch is the pipeline's: give it a clone if someone else needs it too.
        """
        passages: list[Passage] = []
        for room in self.processors:
            incoming = batch.count
            if not incoming:
                break
            batch = self._run(room, batch)
            passages.append(Passage(room.id, incoming, batch.count))
        return Plan(batch, self.exporters, passages)

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
