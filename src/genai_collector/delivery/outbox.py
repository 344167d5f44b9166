"""From a component that keeps what it took into the pipelines: in order, and again if they refuse.

A receiver that assembles, or a connector that holds, has answered for its data long before these go
on, so a refusal cannot be handed back to whoever sent them. What the pipelines refuse for now stays
here and is tried again; its weight is the component's to bound, which takes nothing more while too
much waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from genai_collector.component import Consumer, Context
from genai_collector.delivery.quiet_log import QuietLog
from genai_collector.errors import PipelineError, Retryable
from genai_collector.formats.otlp import CODEC
from genai_collector.model import Batch, Signal

FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 5.0
REJECTED: Final = "rejected"
SHUTDOWN: Final = "shutdown"
PIPELINE_ERROR: Final = "pipeline_error"


@dataclass(slots=True)
class _Parcel:
    batch: Batch
    settled: Callable[[], None]
    items: int
    encoded: bytes | None = None
    """Set by the first try: a refused batch may have been changed by then."""

    def again(self) -> Batch:
        """A batch of the items as they were."""
        if self.encoded is None:
            self.encoded = self.batch.encoded()
            return self.batch
        return Batch(self.batch.signal, CODEC, encoded=self.encoded, count=self.items)


class Outbox:
    """Sends what is put into it to one consumer, in a task of its own from `start` to `close`."""

    def __init__(self, signal: Signal, consumer: Consumer, context: Context) -> None:
        self._signal = signal
        self._consumer = consumer
        self._context = context
        self._log = QuietLog(context.log, context.id, signal, context.clock)
        self._parcels: deque[_Parcel] = deque()
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run(), name=f"{self._context.id} {self._signal}")

    def put(self, batch: Batch, settled: Callable[[], None]) -> None:
        """Have this sent; it is the outbox's now. `settled` is called once: when it was taken, or
        refused for good (which is counted as dropped)."""
        self._parcels.append(_Parcel(batch, settled, batch.count))
        self._wake.set()

    async def close(self, timeout_s: float) -> None:
        """Send what is left, with short pauses, for at most this time."""
        self._closing.set()
        self._wake.set()
        if self._task is None:
            return
        task, self._task = self._task, None
        try:
            # It is not cancelled before: a batch on its way would be there twice or by halves.
            await asyncio.wait({task}, timeout=timeout_s)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def abandon(self, *, lost: bool) -> int:
        """Forget what was not taken; returns how many items. `lost` counts them as dropped."""
        left = sum(parcel.items for parcel in self._parcels)
        self._parcels.clear()
        if lost and left:
            self._drop(left, SHUTDOWN, "The collector stopped before the pipelines took these.")
        return left

    async def _run(self) -> None:
        wait = FIRST_WAIT_S
        while True:
            while self._parcels:
                wait = await self._send_first(wait)
            if self._closing.is_set():
                return
            self._wake.clear()
            await self._wake.wait()

    async def _send_first(self, wait: float) -> float:
        """One try of the oldest; returns how long to wait after the next refusal."""
        parcel = self._parcels[0]
        try:
            with self._consumer.admit(parcel.batch.size_bytes):
                acceptance = await self._consumer.consume(parcel.again())
        except Retryable as exc:
            await self._pause(min(exc.retry_after or wait, LONGEST_WAIT_S))
            return min(wait * 2, LONGEST_WAIT_S)
        except PipelineError as exc:
            reason = getattr(exc, "reason", "permanent")
            self._drop(parcel.items, reason, f"The pipelines refuse for good: {exc}")
        except Exception as exc:  # a fault must not end the task, or nothing would go out again
            message = "The pipelines failed to take a batch"
            self._drop(parcel.items, PIPELINE_ERROR, message, exc)
        else:
            if acceptance.rejected:
                self._drop(acceptance.rejected, REJECTED, acceptance.message)
        self._parcels.popleft()
        parcel.settled()
        return FIRST_WAIT_S

    async def _pause(self, seconds: float) -> None:
        if self._closing.is_set():
            await asyncio.sleep(FIRST_WAIT_S)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass

    def _drop(
        self, items: int, reason: str, message: str, exc: BaseException | None = None
    ) -> None:
        self._context.telemetry.dropped(self._context.id, self._signal, reason, items)
        self._log.say(logging.ERROR, reason, message, exc_info=exc, reason=reason, items=items)
