"""`component.Records` over a record set of a file."""

from __future__ import annotations

from collections.abc import Iterable

from genai_collector.component import Stored
from genai_collector.storage.database import Bad
from genai_collector.storage.file import StorageFile


class FileRecords:
    """Implements `component.Records`. All that are made for the same name are the same records;
    each has its own quota for what is appended through it."""

    def __init__(self, file: StorageFile, name: str, quota: int) -> None:
        self._file = file
        self._set = file.record_set(name)
        self._quota = quota

    @property
    def quota(self) -> int:
        return self._quota

    @property
    def used(self) -> int:
        return self._set.used

    @property
    def count(self) -> int:
        return self._set.count

    @property
    def items(self) -> int:
        return self._set.items

    @property
    def last_id(self) -> int:
        return self._set.last_id

    async def append(
        self, data: bytes, *, meta: bytes = b"", items: int = 0, compressed: bool = False
    ) -> int:
        return await self._file.append(self._set, data, meta, items, compressed, self._quota)

    def remove(self, ids: Iterable[int], /) -> None:
        self._file.remove(self._set, ids)

    async def settled(self) -> None:
        await self._file.settled()

    async def set_aside(self, ids: Iterable[int], why: str, /) -> None:
        await self._file.set_aside(self._set, [Bad(number, why, 0) for number in ids])

    async def read(self, after: int = 0, max_bytes: int = 8 << 20) -> list[Stored]:
        return await self._file.read(self._set, after, max_bytes)

    async def acquire(self) -> None:
        await self._set.turn.acquire()

    def release(self) -> None:
        self._set.turn.release()
