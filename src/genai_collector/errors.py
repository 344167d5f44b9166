"""How the collector refuses.

    CollectorError
    ├── ConfigError             the configuration cannot work; carries every fault found
    └── PipelineError           data could not be taken or delivered
        ├── Unauthenticated     the sender did not say who it is; nothing was read
        ├── Permanent           the same data will be refused every time
        │   ├── DecodeError     the payload is not what it says it is
        │   └── TooLarge        one element is over a limit
        └── Retryable           the same data may be accepted later
            ├── QueueFull       no room in a destination's queue; nothing was taken
            ├── Overloaded      memory or in-flight limit reached; nothing was read
            ├── StorageFull     no room on disk, or none in the quota; nothing was taken
            └── Partial         some went through; `remaining` is what to try again

Permanent or Retryable is decided once, where the error arises: exporters translate what their
destination answers, decoders raise `DecodeError`, and receivers turn these classes into HTTP and
gRPC status codes. Nobody else looks at a status code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from genai_collector.model import Batch


class CollectorError(Exception):
    """Base of everything the collector raises on purpose."""


class Fault(NamedTuple):
    """One thing wrong (or doubtful) in the configuration, and where. `line` 0 = no line to show."""

    file: str
    line: int
    column: int
    path: str
    """Dotted, `exporters.otlp_http.endpoint`; empty when it concerns the file as a whole."""
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(CollectorError):
    """The configuration cannot work. The message holds one line per fault."""

    def __init__(self, message: str = "", *, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message or "\n".join(map(str, faults)))
        self.faults = list(faults)


class PipelineError(CollectorError):
    """Data could not be taken or delivered."""


class Unauthenticated(PipelineError):
    """The sender did not say who it is, or nobody knows it. The message is for the sender."""


class Permanent(PipelineError):
    """The same data will be refused every time.

    `reason` is the label under which the loss is counted: short, lower_snake_case, few values.
    `data_fault` says that the data itself is to blame (a 400, a 413, an encoding failure), so that
    delivery halves the batch to find the poisoned item; it is False for a wrong key or address.
    """

    def __init__(
        self, message: str, *, reason: str = "permanent", data_fault: bool = False
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.data_fault = data_fault


class DecodeError(Permanent):
    """The payload is not what it says it is. The message names the place, never the content."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="malformed", data_fault=True)


class TooLarge(Permanent):
    """One element is over a size limit and can never be taken."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="too_large", data_fault=True)


class Retryable(PipelineError):
    """The same data may be accepted later; `retry_after` is in seconds where known."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QueueFull(Retryable):
    """No room in a destination's queue; nothing was taken."""


class Overloaded(Retryable):
    """A memory or in-flight limit is reached; nothing was read."""


class StorageFull(Retryable):
    """No room on disk, or none in the quota; nothing was taken."""


class Refused(NamedTuple):
    """Items that a destination refused for good, each of them known."""

    batch: Batch
    reason: str
    message: str
    """The destination's own words."""


class Partial(Retryable):
    """Some went through: `sent` items did, `dropped` were refused for good (reason -> items),
    `remaining` may be tried again. `refused` are the dropped items where they are known."""

    def __init__(
        self,
        message: str,
        *,
        remaining: Batch,
        sent: int,
        dropped: Mapping[str, int] | None = None,
        refused: Sequence[Refused] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.remaining = remaining
        self.sent = sent
        self.dropped = dict(dropped or {})
        self.refused = refused
