"""One attempt's deadline."""

from __future__ import annotations

import asyncio

from genai_collector.delivery.stack import Delivery, Layer, Send
from genai_collector.errors import Retryable


def with_timeout(seconds: float) -> Layer:
    """An attempt that takes longer is cancelled and may be tried again; 0 = no limit."""

    def layer(send: Send) -> Send:
        if seconds <= 0:
            return send

        async def timed(delivery: Delivery) -> None:
            try:
                async with asyncio.timeout(seconds):
                    await send(delivery)
            except TimeoutError as exc:
                raise Retryable(f"no answer within {seconds:g} s") from exc

        return timed

    return layer
