"""Between queue and request: small batches are merged, over-large ones are split.

One worker at a time collects, so that traffic is not spread thin over workers that all wait for
more. What is being collected is kept here, not in a local variable: a cancelled worker leaves it
for whoever comes next, or for the final count.
"""

from __future__ import annotations

import asyncio

from genai_collector.delivery.config import BatchConfig
from genai_collector.delivery.queue import DeliveryQueue, Queued
from genai_collector.model import Batch, merge


class Batching:
    """Hands each worker what it sends next."""

    def __init__(self, queue: DeliveryQueue, config: BatchConfig | None) -> None:
        self._queue = queue
        self._config = config
        self._collecting = asyncio.Lock()
        self.held: list[Queued] = []

    async def next(self) -> list[Queued] | None:
        """At least one queued batch, to be sent together; None: closed and empty."""
        async with self._collecting:
            while not self.held:
                if not await self._queue.wait():
                    return None
                self._hold_one()
            if self._config is not None and not self._enough(self._config):
                await self._collect(self._config)
            taken, self.held = self.held, []
            return taken

    def take_held(self) -> list[Queued]:
        """What a cancelled worker left half collected."""
        held, self.held = self.held, []
        return held

    def _hold_one(self) -> None:
        queued = self._queue.poll()
        if queued is not None:
            self.held.append(queued)

    def _size(self) -> int:
        return sum(queued.batch.size_bytes for queued in self.held)

    def _enough(self, config: BatchConfig) -> bool:
        return self._size() >= config.enough

    async def _collect(self, config: BatchConfig) -> None:
        try:
            async with asyncio.timeout(config.flush_timeout):
                while not self._enough(config):
                    if not await self._queue.wait() or not self._fits(config):
                        return
                    self._hold_one()
        except TimeoutError:
            pass

    def _fits(self, config: BatchConfig) -> bool:
        # One that is large enough alone goes alone: merging would cost it its compressed form.
        following = self._queue.peek()
        if following is None:
            return True
        size = following.batch.size_bytes
        return size < config.enough and (
            not config.max_size or self._size() + size <= config.max_size
        )


def pieces(batches: list[Batch], config: BatchConfig | None) -> list[Batch]:
    """What to send for these batches: merged, then split where too large."""
    try:
        return split(merge(batches), config.max_size if config else 0)
    except Exception:
        # One that cannot be read must not cost the others: the exporter will meet the same fault
        # in it alone, and it is counted there.
        return batches


def split(batch: Batch, max_size: int) -> list[Batch]:
    """Pieces of at most `max_size` encoded bytes, by halving; a single item may be larger.

    The size of a piece is measured, not estimated by its share of items: one prompt may be a
    thousand times as long as the next. This encodes, which only over-large batches pay for.
    """
    if not max_size or batch.size_bytes <= max_size:
        return [batch]
    return _halved(batch, max_size)


def _halved(batch: Batch, max_size: int) -> list[Batch]:
    if len(batch.encoded()) <= max_size:
        return [batch]
    halves = batch.split(2)
    if len(halves) < 2:
        return halves
    return [piece for half in halves for piece in _halved(half, max_size)]
