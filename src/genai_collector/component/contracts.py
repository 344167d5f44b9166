"""What a component must do. Nothing here knows how anything is done.

Data flows one way: receiver -> consumer (a pipeline: its processors, then its exporters' queues).
Every component that has a life is an async context manager: entered when the service starts
(extensions, exporters, processors, connectors, then receivers), left in the opposite order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, runtime_checkable

from genai_collector.errors import Refused
from genai_collector.model import Batch, Signal


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What became of a batch that was taken. `rejected` items were refused for good, because of
    `message`; the receiver tells its client (OTLP: partial success). The rest is accepted."""

    rejected: int = 0
    message: str = ""


ACCEPTED: Final = Acceptance()


class Consumer(Protocol):
    """Where a receiver sends what it has received."""

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]:
        """Ask for room BEFORE reading or decoding a request of this size (0 if unknown), and hold
        the context until it is answered. Raises `Overloaded` or `QueueFull` on entering."""
        ...

    async def consume(self, batch: Batch, /) -> Acceptance:
        """Take the batch. Returning means accepted; a receiver answers its client only then.
        The batch is no longer the caller's. Raises `PipelineError`: then nothing was taken."""
        ...


class Receiver(AbstractAsyncContextManager["Receiver"], Protocol):
    """A door in. Built with a Consumer per signal; listens between enter and exit.
    Leaving: refuse new work, let what is in flight finish, then close."""


class Processor(Protocol):
    """A room. Synchronous and per batch; it owns the batch and may change it in place.

    Returns the batch, changed or another; an empty one means all was dropped. Must be
    deterministic (a refused batch comes again) and must not raise for bad data: what it does not
    understand passes unchanged. It may optionally be a context manager (see `Lifecycle`).
    """

    def process(self, batch: Batch, /) -> Batch: ...


class Connector(Protocol):
    """A door between pipelines: an exporter of one, a receiver of others. Synchronous and per
    batch; it is asked before anybody has accepted the batch, and asked again if it was refused, so
    it must not count or keep anything here (see `Accepting`). Must not raise for bad data.

    It reads the batch as an exporter does: others share it, it must not be changed. It returns
    what its other pipelines get at once: the batch itself (whoever changes it gets a copy), a batch
    made of items of its own, or None for nothing. What time or memory makes of batches goes to the
    Consumer that it was built with, as a receiver does it; then it is a `Lifecycle` too: entered
    before the receivers, left after them and before the queues drain.
    """

    def connect(self, batch: Batch, /) -> Batch | None: ...


@runtime_checkable
class Accepting(Protocol):
    """A connector that keeps something of what it has seen."""

    def accepted(self, batch: Batch, /) -> None:
        """Called once for each batch given to `connect`, when every destination of all pipelines
        has taken its part. A batch that was refused is never told here. Reads only."""
        ...


class Destination(Protocol):
    """Where a pipeline leads to: an exporter with its queue (`delivery.QueuedExporter`), or a
    connector that holds. Bounded in bytes; a pipeline asks all its destinations for room and then
    reserves in all of them, with no `await` between."""

    @property
    def id(self) -> str: ...
    @property
    def signal(self) -> Signal: ...
    @property
    def when_full(self) -> Literal["refuse", "block", "drop"]:
        """Whether who sends is told to come again or waits for room, or the batch is not for this
        destination then."""
        ...

    @property
    def capacity(self) -> int:
        """Bytes. A batch that weighs more can never be taken."""
        ...

    def has_room(self, weight: int, /) -> bool: ...

    def reserve(self, weight: int, /) -> None:
        """Take room; directly after `has_room`. Cannot fail."""
        ...

    def unreserve(self, weight: int, /) -> None:
        """Give back room that was reserved and will not be `put`."""
        ...

    async def put(self, batch: Batch, weight: int, /) -> None:
        """Take a batch, which others share, into room reserved before. Returning means that it is
        as safe here as it will be. The reservation is used up, also if this raises; a destination
        with which that can happen (a disk is full) says so in an attribute, `may_fail = True`."""
        ...

    async def wait_for_room(self, weight: int, /) -> None:
        """Until `has_room`. Raises QueueFull at shutdown, TooLarge if there never will be room."""
        ...

    def retry_after(self) -> float:
        """Seconds after which a refused sender should come again."""
        ...


class Holding(AbstractAsyncContextManager[object], Protocol):
    """A connector that keeps what it was given for a while, to bring it together with what comes
    later, maybe of another signal. Built once per id with the Consumers of all signals that it
    gives (`ConnectorFactory.shared`); what it takes is admitted as an exporter's queue admits it.
    Entered before the receivers; left after them and before the queues drain."""

    def destination(self, signal: Signal, /) -> Destination:
        """Where the pipelines of this signal lead to. Called once per signal, when it is built."""
        ...


class Gate(Protocol):
    """A processor that also decides about admission, before anything is decoded."""

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]: ...


class Lifecycle(AbstractAsyncContextManager[object], Protocol):
    """For processors, connectors and extensions that hold something open."""


NO_FORM: Final = "no_form"
"""Dropped because the destination's format has no place for it."""
NOT_GENAI: Final = "not_genai"
"""Dropped because the configuration leaves spans out that are no GenAI call."""
LEFT_OUT: Final = frozenset({NO_FORM, NOT_GENAI})
"""Reasons that are nobody's failure: counted as dropped, but not as failed and not as an error."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How an export ended: `items` were taken by the destination, `dropped` were not and never
    will be (reason -> items). Together they are the batch's `count`."""

    items: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    message: str = ""
    """The destination's own words about it, for the log (OTLP: partial success)."""
    refused: Sequence[Refused] = field(default=(), compare=False)
    """The dropped items, where the destination says which: they may be kept as dead letters."""


class Exporter(AbstractAsyncContextManager["Exporter"], Protocol):
    """A door out. Queue, batching, retry, timeout and counting are `delivery`'s; the exporter
    makes one attempt. It must not change the batch, which other exporters share."""

    async def export(self, batch: Batch, /) -> Sent:
        """One attempt. Raises Permanent, Retryable or Partial, with foreign errors translated."""
        ...
