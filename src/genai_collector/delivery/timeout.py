"""One attempt's deadline."""

from __future__ import annotations

import asyncio

from genai_collector.component import Sent
from genai_collector.delivery.stack import Export
from genai_collector.errors import Retryable
from genai_collector.model import Batch


def with_timeout(export: Export, seconds: float) -> Export:
    """An attempt that takes longer is cancelled and may be tried again; 0 = no limit. Only the
    destination's time counts: what follows its answer (keeping what it refused) is no reason to
    ask it again."""
    if seconds <= 0:
        return export

    async def timed(batch: Batch, /) -> Sent:
        try:
            async with asyncio.timeout(seconds):
                return await export(batch)
        except TimeoutError as exc:
            raise Retryable(f"no answer within {seconds:g} s") from exc

    return timed
