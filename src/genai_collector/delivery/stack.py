"""The onion around an exporter: each layer is a function from `Send` to `Send`.

    isolate  ( retry ( timeout ( counted ( exporter ))))

A layer sees a `Delivery`, may send it several times or in parts, and raises what it cannot cure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from genai_collector.component import LEFT_OUT, Exporter
from genai_collector.delivery.ledger import Account
from genai_collector.delivery.quiet_log import QuietLog
from genai_collector.errors import Partial, Retryable
from genai_collector.model import Batch


@dataclass(slots=True, eq=False)
class Delivery:
    """One request's worth of data on its way to one exporter.

    Exporters share batches; each delivery has its own record of what is left to be sent.
    """

    batch: Batch
    """What is still to be sent; becomes less when a part went through."""
    account: Account


Send: TypeAlias = Callable[[Delivery], Awaitable[None]]
"""Returns when every item of the delivery is settled, or raises `PipelineError`."""
Layer: TypeAlias = Callable[[Send], Send]


def stack(send: Send, layers: Sequence[Layer]) -> Send:
    """The layers around `send`; written outermost first."""
    for layer in reversed(layers):
        send = layer(send)
    return send


def counted(exporter: Exporter, log: QuietLog) -> Send:
    """The innermost: one attempt, and what became of each item is booked."""

    async def send(delivery: Delivery) -> None:
        total = delivery.batch.count
        try:
            answer = await exporter.export(delivery.batch)
        except Partial as exc:
            remaining = exc.remaining.count
            if remaining > total:
                raise RuntimeError(f"{remaining} items remain of {total}") from exc
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
            delivery.account.settle(total, answer.items, answer.dropped, 0)
            _log_refused(log, answer.dropped, answer.message)

    return send


def _log_refused(log: QuietLog, dropped: Mapping[str, int], message: str) -> None:
    items = sum(count for reason, count in dropped.items() if reason not in LEFT_OUT)
    if items:
        log.say(logging.ERROR, "refused", f"The destination refused a part: {message}", items=items)
    elif message and not dropped:
        log.say(logging.WARNING, "remark", f"The destination remarks: {message}")
