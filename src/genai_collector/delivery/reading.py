"""Reading back what an earlier life left in a storage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from genai_collector.component import Records, Stored
from genai_collector.errors import Retryable

_PAUSE_S: Final = 1.0


async def read_all(records: Records) -> AsyncIterator[Stored]:
    """Every record, oldest first, a few in memory at a time. Where the disk fails, it is asked
    again until it works: who gave up would leave them there, unseen until the next start."""
    after = 0
    while found := await _read_on(records, after):
        for stored in found:
            after = stored.id
            yield stored


async def _read_on(records: Records, after: int) -> list[Stored]:
    while True:
        try:
            return await records.read(after)
        except Retryable:  # the storage has told
            await asyncio.sleep(_PAUSE_S)
