"""Finding the poisoned item instead of losing its batch.

When a destination refuses the data itself (400, 413, an encoding failure), the batch is halved and
the halves are sent; what is refused again is halved again. One bad item in n costs about 2 log2(n)
requests. Two bounds keep a destination that refuses everything from being flooded: a number of
halvings, and giving up when eight eighths have failed and nothing went through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from genai_collector.delivery.stack import Delivery, Layer, Send
from genai_collector.errors import Permanent
from genai_collector.model import Batch

MAX_SPLITS: Final = 64
HOPELESS_AFTER_LEVELS: Final = 3

GiveUp: TypeAlias = Callable[[Delivery, Exception], Awaitable[None]]


def with_isolation(give_up: GiveUp, max_splits: int = MAX_SPLITS) -> Layer:
    """`give_up(delivery, error)` counts a part that is lost. Raises only what is no fault of the
    data, or of a batch that cannot be halved."""

    def layer(send: Send) -> Send:
        async def isolated(delivery: Delivery) -> None:
            try:
                await send(delivery)
            except Permanent as exc:
                halves = _halves(delivery.batch) if exc.data_fault else []
                if not halves:
                    raise
                await _Search(send, give_up, max_splits - 1).run(delivery, halves)

        return isolated

    return layer


def _halves(batch: Batch) -> list[Batch]:
    pieces = batch.split(2)
    return pieces if len(pieces) > 1 else []


class _Search:
    """Level by level through the halves of one refused delivery."""

    def __init__(self, send: Send, give_up: GiveUp, splits: int) -> None:
        self._send = send
        self._give_up = give_up
        self._splits = splits
        self._some_went = False

    async def run(self, delivery: Delivery, pieces: list[Batch]) -> None:
        level = 1
        while pieces:
            suspects: list[Batch] = []
            refused: list[tuple[Delivery, Permanent]] = []
            for piece in pieces:
                part = Delivery(piece, delivery.account, delivery.attempts)
                error = await self._try(part)
                if error is not None:
                    refused.append((part, error))
            hopeless = level >= HOPELESS_AFTER_LEVELS and not self._some_went
            for part, error in refused:
                # Too large is the one refusal that halving is sure to cure in the end.
                curable = error.reason == "too_large" or not hopeless
                halves = _halves(part.batch) if curable and self._splits > 0 else []
                if halves:
                    self._splits -= 1
                    suspects += halves
                else:
                    await self._give_up(part, error)
            pieces, level = suspects, level + 1

    async def _try(self, part: Delivery) -> Permanent | None:
        """None if settled, whichever way; the error if the data was refused."""
        try:
            await self._send(part)
        except Permanent as exc:
            if exc.data_fault:
                return exc
            await self._give_up(part, exc)
        except Exception as exc:  # a bug must not cost the other halves
            await self._give_up(part, exc)
        else:
            self._some_went = True
        return None
