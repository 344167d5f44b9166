"""The onion around an exporter: each layer is a function from `Send` to `Send`.

    isolate  ( retry ( counted ( timeout ( exporter ))))

A layer sees a `Delivery`, may send it several times or in parts, and raises what it cannot cure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from genai_collector.component import LEFT_OUT, Sent
from genai_collector.delivery.dead_letters import Refusal
from genai_collector.delivery.ledger import Account
from genai_collector.delivery.quiet_log import QuietLog
from genai_collector.errors import Partial, Refused, Retryable
from genai_collector.model import Batch


@dataclass(slots=True, eq=False)
class Delivery:
    """One request's worth of data on its way to one exporter.

    Exporters share batches; each delivery has its own record of what is left to be sent.
    """

    batch: Batch
    """What is still to be sent; becomes less when a part went through."""
    account: Account
    attempts: int = 0
    """Requests that this was sent in, or that a larger one was of which it is a part."""


Send: TypeAlias = Callable[[Delivery], Awaitable[None]]
"""Returns when every item of the delivery is settled, or raises `PipelineError`."""
Layer: TypeAlias = Callable[[Send], Send]
Export: TypeAlias = Callable[[Batch], Awaitable[Sent]]
"""One attempt, as an exporter makes it."""
Bury: TypeAlias = Callable[[Batch, Refusal], Awaitable[bool]]
"""Keeps what was refused for good; whether it could."""


def stack(send: Send, layers: Sequence[Layer]) -> Send:
    """The layers around `send`; written outermost first."""
    for layer in reversed(layers):
        send = layer(send)
    return send


def counted(export: Export, log: QuietLog, bury: Bury) -> Send:
    """The innermost layer: one attempt, and what became of each item is booked; what was refused
    for good is buried before that."""

    async def send(delivery: Delivery) -> None:
        total = delivery.batch.count
        delivery.attempts += 1
        try:
            answer = await export(delivery.batch)
        except Partial as exc:
            remaining = exc.remaining.count
            if remaining > total:
                raise RuntimeError(f"{remaining} items remain of {total}") from exc
            await _bury(bury, delivery, exc.dropped, exc.refused, str(exc))
            delivery.account.settle(total, exc.sent, exc.dropped, remaining)
            _log_refused(log, exc.dropped, str(exc))
            delivery.batch = exc.remaining
            if remaining:
                raise
        except asyncio.CancelledError as exc:
            # A call that was cancelled from the other side must not take the worker with it.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise Retryable("the request was cancelled") from exc
        else:
            await _bury(bury, delivery, answer.dropped, answer.refused, answer.message)
            delivery.account.settle(total, answer.items, answer.dropped, 0)
            _log_refused(log, answer.dropped, answer.message)

    return send


async def _bury(
    bury: Bury,
    delivery: Delivery,
    dropped: Mapping[str, int],
    refused: Sequence[Refused],
    message: str,
) -> None:
    """Where the destination does not say which items it refused, the whole request is kept."""
    for one in refused:
        await bury(one.batch, Refusal(one.reason, one.message, delivery.attempts, one.batch.count))
    known = {one.reason for one in refused} | LEFT_OUT
    for reason, items in dropped.items():
        if items and reason not in known:
            await bury(delivery.batch, Refusal(reason, message, delivery.attempts, items))


def _log_refused(log: QuietLog, dropped: Mapping[str, int], message: str) -> None:
    items = sum(count for reason, count in dropped.items() if reason not in LEFT_OUT)
    if items:
        log.say(logging.ERROR, "refused", f"The destination refused a part: {message}", items=items)
    elif message and not dropped:
        log.say(logging.WARNING, "remark", f"The destination remarks: {message}")
