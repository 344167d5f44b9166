"""Trying again: exponential backoff with full jitter, until it works or is told to stop.

The wait is drawn between 0 and a bound that grows (full jitter: many collectors that lost the same
destination do not come back together), and is never shorter than what the destination asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from genai_collector.delivery.config import RetryConfig
from genai_collector.delivery.quiet_log import QuietLog
from genai_collector.delivery.stack import Delivery, Layer, Send
from genai_collector.errors import Partial, Retryable

Sleep: TypeAlias = Callable[[float], Awaitable[object]]


@dataclass(slots=True)
class Patience:
    """What retrying needs from outside, and the way to end it."""

    clock: Callable[[], float]
    sleep: Sleep
    random: Callable[[], float]
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set at shutdown: whoever waits tries at once, one last time."""


def bounds(config: RetryConfig) -> Iterator[float]:
    """The upper bounds of the waits, for ever."""
    bound = config.initial_interval
    while True:
        yield min(bound, config.max_interval)
        bound = min(bound * config.multiplier, config.max_interval)


def with_retry(config: RetryConfig, patience: Patience, log: QuietLog) -> Layer:
    """Raises the last `Retryable` when time or patience is over; all else passes through."""

    def layer(send: Send) -> Send:
        async def retrying(delivery: Delivery) -> None:
            started = patience.clock()
            waits = bounds(config)
            while True:
                last_try = patience.ended.is_set()
                try:
                    return await send(delivery)
                except Retryable as exc:
                    if isinstance(exc, Partial) and exc.sent:
                        waits = bounds(config)  # the destination works: no reason to back off far
                    delay = max(patience.random() * next(waits), exc.retry_after or 0.0)
                    if last_try or _out_of_time(config, patience.clock() - started + delay):
                        raise
                    _say(log, delivery, exc, delay)
                await _wait(delay, patience)

        return retrying

    return layer


def _out_of_time(config: RetryConfig, elapsed: float) -> bool:
    return 0 < config.max_elapsed_time < elapsed


def _say(log: QuietLog, delivery: Delivery, exc: Retryable, delay: float) -> None:
    items = delivery.batch.count
    message = f"Sending failed and will be tried again in {delay:.1f} s: {exc}"
    log.say(logging.WARNING, "retry", message, items=items, delay_s=round(delay, 3))


async def _wait(delay: float, patience: Patience) -> None:
    """Sleep, but not past the end of patience."""
    pause = asyncio.ensure_future(patience.sleep(delay))
    ended = asyncio.ensure_future(patience.ended.wait())
    try:
        await asyncio.wait({pause, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        # Not awaited: they hold nothing, and awaiting here could swallow the worker's own
        # cancellation.
        pause.cancel()
        ended.cancel()
