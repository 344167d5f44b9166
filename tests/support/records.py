"""`component.Records` in memory: what a test needs of a storage, without a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Self

from genai_collector.component import Stored
from genai_collector.errors import StorageFull


class MemoryRecords:
    """Survives whoever uses it, as a file would; `full` and `failure` have appends refused."""

    def __init__(self, quota: int = 1 << 30) -> None:
        self.quota = quota
        self.full = False
        self.failure: Exception | None = None
        self.stored: dict[int, Stored] = {}
        self._next = 1
        self._reader = asyncio.Lock()

    @property
    def used(self) -> int:
        return sum(len(one.data) for one in self.stored.values())

    @property
    def count(self) -> int:
        return len(self.stored)

    @property
    def items(self) -> int:
        return sum(one.items for one in self.stored.values())

    @property
    def last_id(self) -> int:
        return self._next - 1

    async def settled(self) -> None:
        await asyncio.sleep(0)

    async def set_aside(self, ids: Iterable[int], why: str, /) -> None:
        self.remove(ids)

    async def append(
        self, data: bytes, *, meta: bytes = b"", items: int = 0, compressed: bool = False
    ) -> int:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        if self.full or self.used + len(data) > self.quota:
            raise StorageFull("the storage is full")
        number, self._next = self._next, self._next + 1
        self.stored[number] = Stored(number, data, meta, items)
        return number

    def remove(self, ids: Iterable[int], /) -> None:
        for number in ids:
            self.stored.pop(number, None)

    async def read(self, after: int = 0, max_bytes: int = 8 << 20) -> list[Stored]:
        await asyncio.sleep(0)
        found: list[Stored] = []
        size = 0
        for number, one in self.stored.items():
            if number <= after:
                continue
            size += len(one.data)
            if found and size > max_bytes:
                break
            found.append(one)
        return found

    async def acquire(self) -> None:
        await self._reader.acquire()

    def release(self) -> None:
        self._reader.release()


class MemoryStorage:
    """`component.Storage` and a lifecycle over such records, by owner and name."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str], MemoryRecords] = {}

    def records(self, owner: str, name: str, quota: int | None = None) -> MemoryRecords:
        made = MemoryRecords() if quota is None else MemoryRecords(quota)
        return self.all.setdefault((owner, name), made)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None
