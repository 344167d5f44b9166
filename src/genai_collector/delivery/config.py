"""What every exporter lets its user configure: timeout, queue, batching, retry.

The keys are otelcol's. Where a default differs, the docstring of the option says why.
Sizes are always bytes here: generative-AI spans carry whole prompts, so that counting requests or
items says nothing about memory.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from genai_collector.component import ByteSize, Config, Duration

_PLAUSIBLE_BYTES: Final = 64 * 1024


def _bytes_not_a_count(value: object) -> object:
    # otelcol counts requests or items in the same keys; `queue_size: 1000` must not silently
    # become a queue of one kilobyte. Whoever means it writes a unit.
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _PLAUSIBLE_BYTES:
        raise ValueError(
            f"sizes are bytes here, and {value} bytes hold next to nothing: "
            f"write 64MiB (or {value}B if you mean it)"
        )
    return value


SizeWithUnit = Annotated[ByteSize, BeforeValidator(_bytes_not_a_count)]
"""A `ByteSize` that refuses a small number without unit, which is a count carried over."""


def _only_bytes(value: object) -> object:
    if value in ("requests", "items"):
        raise ValueError(
            f"only bytes: a queue of {value} has no bound in memory when every item may hold a "
            "whole prompt; leave `sizer` out and give sizes such as 64MiB"
        )
    return value


Sizer = Annotated[Literal["bytes"], BeforeValidator(_only_bytes)]


class BatchConfig(Config):
    """How queued batches become requests."""

    flush_timeout: Duration = 0.2
    """How long a batch below `min_size` waits for company. `0s`: what is waiting is merged."""
    min_size: SizeWithUnit = 512 * 1024
    """Bytes at which a request goes at once. A received batch that alone has this size is sent
    unmerged, in the very bytes it came in where the exporter can use them."""
    max_size: SizeWithUnit = 0
    """Bytes at which a request is split, by halving; 0 = never. One item may exceed it."""
    sizer: Sizer = "bytes"
    """Accepted for compatibility; only `bytes`."""

    @model_validator(mode="after")
    def _min_below_max(self) -> BatchConfig:
        said = {"min_size", "max_size"} <= self.model_fields_set
        if said and 0 < self.max_size < self.min_size:
            raise ValueError("max_size must be at least min_size")
        return self

    @property
    def enough(self) -> int:
        """The size at which nothing more is added."""
        return min(self.min_size, self.max_size) if self.max_size else self.min_size


class QueueConfig(Config):
    """The bounded queue in front of an exporter, in memory or on disk."""

    enabled: bool = True
    """`false`: a batch is exported while its sender waits, who gets the error."""
    num_consumers: int = Field(default=4, ge=1, le=1000)
    """Requests in flight. otelcol has 10; here one event loop does all the work, so that more
    than a few only hold more bodies in memory: 4 x 1 MiB at 100 ms are already 40 MiB/s."""
    queue_size: SizeWithUnit = Field(default=64 * 1024 * 1024, gt=0)
    """Bytes of batches accepted and not yet delivered, those in flight included. With `storage`:
    bytes on disk, compressed, and by default the storage's `quota`."""
    storage: str | None = None
    """Id of an extension that keeps records, `file_storage`: accepted means on disk, and what is
    not delivered when the collector stops or dies is delivered when it starts again."""
    when_full: Literal["refuse", "block", "drop"] = "refuse"
    """`refuse`: the sender is told to come back later. `block`: it waits. `drop`: what finds no
    room here is dropped and counted (`queue_full`), and the pipeline's other exporters go on."""
    batch: BatchConfig | None = BatchConfig()
    """Merging and splitting between queue and request; `null` turns it off."""
    sizer: Sizer = "bytes"
    """Accepted for compatibility; only `bytes`."""

    @model_validator(mode="after")
    def _storage_needs_a_queue(self) -> QueueConfig:
        if self.storage is not None and not self.enabled:
            raise ValueError("storage keeps a queue: it needs enabled: true")
        return self

    @property
    def quota(self) -> int | None:
        """Bytes that the queue may have on disk; None for what the storage says."""
        return self.queue_size if "queue_size" in self.model_fields_set else None

    @model_validator(mode="before")
    @classmethod
    def _block_on_overflow(cls, data: Any) -> Any:
        # otelcol's spelling of `when_full`.
        if not isinstance(data, dict) or "block_on_overflow" not in data:
            return data
        data = dict(data)
        block = data.pop("block_on_overflow")
        if not isinstance(block, bool):
            raise ValueError("block_on_overflow: expected true or false")  # noqa: TRY004  pydantic
        means = "block" if block else "refuse"
        if data.setdefault("when_full", means) != means:
            raise ValueError("block_on_overflow and when_full contradict each other")
        return data


class RetryConfig(Config):
    """What happens after a failure that may pass: exponential backoff with full jitter."""

    enabled: bool = True
    """`false`: a batch that fails once is dropped."""
    initial_interval: Duration = Field(default=1.0, gt=0)
    """Upper bound of the first wait. Each wait is drawn between 0 and the bound."""
    multiplier: float = Field(default=1.5, ge=1)
    """By how much the bound grows with each failure."""
    max_interval: Duration = Field(default=30.0, gt=0)
    """Where the bound stops growing. A destination that asks for a longer wait gets it."""
    max_elapsed_time: Duration = 0.0
    """Give up and drop after this long; `0s` (the default) = never. otelcol gives up after 300 s
    and drops, so that an outage of six minutes loses data although the queue has room."""

    @field_validator("multiplier", mode="before")
    @classmethod
    def _whole_number(cls, value: object) -> object:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


class DeadLettersConfig(Config):
    """What becomes of what the destination refuses for good."""

    enabled: bool = True
    """`false`: it is counted and dropped."""
    storage: str | None = None
    """Id of an extension that keeps records; by default that of `sending_queue.storage`. Without
    either, nothing is kept."""
    max_size: SizeWithUnit = Field(default=256 * 1024 * 1024, gt=0)
    """Bytes on disk, compressed, for each signal. When they are used up, what is refused is counted
    and dropped."""


class DeliveryConfig(Config):
    """Base of every exporter's configuration."""

    timeout: Duration = 5.0
    """Of one attempt; `0s` = none."""
    sending_queue: QueueConfig = QueueConfig()
    """The bounded queue, its workers and their batching; `null` is `enabled: false`."""
    retry_on_failure: RetryConfig = RetryConfig()
    """Backoff after failures that may pass."""
    dead_letters: DeadLettersConfig = DeadLettersConfig()
    """What is refused for good, for `genai-collector dlq`."""

    @property
    def dead_letters_storage(self) -> str | None:
        """Id of the extension that keeps dead letters; None where they are dropped."""
        letters = self.dead_letters
        return (letters.storage or self.sending_queue.storage) if letters.enabled else None

    @field_validator("sending_queue", mode="before")
    @classmethod
    def _null_disables(cls, value: object) -> object:
        return {"enabled": False} if value is None else value
