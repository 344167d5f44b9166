"""memory_limiter: refuse requests before they are read when memory runs short. Put it first.

    processors:
      memory_limiter:
        check_interval: 1s
        limit_percentage: 75
        spike_limit_percentage: 20
        in_flight_limit: 256MiB

Keys are otelcol's; what is measured is not. otelcol looks at its heap after the payload was
decoded. Here it is the resident memory of the process, asked when a request is at the door and
nothing of it was read, and the sum of the requests now being processed (`in_flight_limit`).

Above the soft limit (limit - spike) requests are refused, so that the client comes again: 503 with
Retry-After, or UNAVAILABLE. Above either limit garbage is collected, and freed memory given back
to the system, at most every `min_gc_interval_*`. One limiter serves all pipelines that name it.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import math
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Annotated, Final, NamedTuple, Self

from pydantic import Field, model_validator

from genai_collector.component import ByteSize, Config, Context, Duration, ProcessorFactory
from genai_collector.errors import Overloaded
from genai_collector.model import Batch
from genai_collector.telemetry.memory import memory_available, read_rss

_MIB: Final = 1024 * 1024
_Percentage = Annotated[int, Field(gt=0, le=100)]


class MemoryLimiterConfig(Config):
    """When to refuse."""

    check_interval: Duration = 1.0
    """How long one reading of the memory is good for; `0s` = none: each request reads."""
    limit_mib: Annotated[int, Field(gt=0)] | None = None
    """Hard limit in MiB; wins over `limit_percentage`."""
    limit_percentage: _Percentage | None = None
    """Hard limit in percent of what the process may have (its control group's limit, or the
    machine's memory). Without either limit: 75."""
    spike_limit_mib: Annotated[int, Field(ge=0)] | None = None
    """How far below the hard limit refusing begins. Default: 20 % of the hard limit."""
    spike_limit_percentage: Annotated[int, Field(ge=0, le=100)] | None = None
    """The same in percent of what the process may have."""
    in_flight_limit: Annotated[ByteSize, Field(gt=0)] | None = None
    """Greatest sum of the sizes of requests being processed. One request alone may exceed it.
    Default: no limit."""
    min_gc_interval_when_soft_limited: Duration = 10.0
    """Collect garbage at most this often above the soft limit."""
    min_gc_interval_when_hard_limited: Duration = 5.0
    """Collect garbage at most this often above the hard limit (otelcol: `0s`)."""

    @model_validator(mode="after")
    def _spike_below_limit(self) -> Self:
        pairs = (
            (self.limit_mib, self.spike_limit_mib),
            (self.limit_percentage, self.spike_limit_percentage),
        )
        for limit, spike in pairs:
            if limit is not None and spike is not None and spike >= limit:
                raise ValueError("the spike limit must be smaller than the limit")
        return self


class Limits(NamedTuple):
    soft: int
    hard: int


def limits_of(config: MemoryLimiterConfig, available: int) -> Limits:
    """Both limits in bytes, where the process may have `available` bytes."""
    percentage = config.limit_percentage or 75
    hard = config.limit_mib * _MIB if config.limit_mib else available * percentage // 100
    if config.spike_limit_mib is not None:
        spike = config.spike_limit_mib * _MIB
    elif config.spike_limit_percentage is not None:
        spike = available * config.spike_limit_percentage // 100
    else:
        spike = hard // 5
    return Limits(max(hard - spike, 0), hard)


def collect_garbage() -> None:
    """Free what nobody holds and give it back to the system (where the C library can)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class MemoryLimiter:
    """A `Gate`. Batches pass through; requests are refused in `admit`."""

    def __init__(
        self,
        config: MemoryLimiterConfig,
        context: Context,
        *,
        rss: Callable[[], int] = read_rss,
        available: Callable[[], int] = memory_available,
        collect: Callable[[], None] = collect_garbage,
    ) -> None:
        self._config = config
        self._clock = context.clock
        self._log = context.log
        self._read_rss = rss
        self._available = available
        self._collect = collect
        self._limits: Limits | None = None
        self._rss = 0
        self._checked_at = -math.inf
        self._collected_at = -math.inf
        self._refusing = False
        self._in_flight = 0
        self._retry_after = max(1.0, config.check_interval)

    async def __aenter__(self) -> Self:
        soft, hard = self._known_limits()
        self._log.info(
            "Memory limiter configured",
            extra={
                "limit_mib": hard // _MIB,
                "spike_limit_mib": (hard - soft) // _MIB,
                "check_interval": f"{self._config.check_interval:g}s",
            },
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def process(self, batch: Batch, /) -> Batch:
        return batch

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]:
        return self._admitted(size_bytes)

    @contextmanager
    def _admitted(self, size_bytes: int) -> Generator[None]:
        self._check_memory()
        self._check_in_flight(size_bytes)
        self._in_flight += size_bytes
        try:
            yield
        finally:
            self._in_flight -= size_bytes

    def _check_in_flight(self, size_bytes: int) -> None:
        limit = self._config.in_flight_limit
        if limit is not None and self._in_flight and self._in_flight + size_bytes > limit:
            message = "data refused: too many bytes of requests are being processed"
            raise Overloaded(message, retry_after=1.0)

    def _check_memory(self) -> None:
        limits = self._known_limits()
        if self._clock() - self._checked_at >= self._config.check_interval:
            self._measure()
            if self._rss > limits.soft and self._collect_if_due(self._rss > limits.hard):
                self._measure()
            self._say(limits)
        if self._refusing:
            message = "data refused due to high memory usage"
            raise Overloaded(message, retry_after=self._retry_after)

    def _known_limits(self) -> Limits:
        if self._limits is None:
            self._limits = limits_of(self._config, self._available())
        return self._limits

    def _measure(self) -> None:
        self._rss = self._read_rss()
        self._checked_at = self._clock()

    def _collect_if_due(self, above_hard: bool) -> bool:
        config = self._config
        interval = (
            config.min_gc_interval_when_hard_limited
            if above_hard
            else config.min_gc_interval_when_soft_limited
        )
        if self._clock() - self._collected_at < interval:
            return False
        self._collect()
        self._collected_at = self._clock()
        return True

    def _say(self, limits: Limits) -> None:
        """Decide, and log only when the decision changes."""
        refusing = self._rss > limits.soft
        if refusing is self._refusing:
            return
        self._refusing = refusing
        level, message = (
            (logging.WARNING, "Memory usage is above soft limit. Refusing data.")
            if refusing
            else (logging.INFO, "Memory usage back within limits. Resuming normal operation.")
        )
        fields = {"cur_mem_mib": self._rss // _MIB, "soft_limit_mib": limits.soft // _MIB}
        self._log.log(level, message, extra=fields)


FACTORY = ProcessorFactory("memory_limiter", MemoryLimiterConfig, MemoryLimiter, shared=True)
