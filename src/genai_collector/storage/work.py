"""What a file's thread is asked to do, and what is known of a file without asking it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from genai_collector.component import Stored
from genai_collector.storage.database import Bad, Totals


@dataclass(slots=True)
class Options:
    """How carefully."""

    fsync: bool = True
    """Whether an append returns only when the disk has it."""
    timeout_s: float = 1.0
    """How long another process (the command line) may hold the file."""


@dataclass(slots=True)
class Counters:
    """What a file has done since the process began."""

    commits: int = 0
    syncs: int = 0
    """Commits that waited for the disk."""
    set_aside: int = 0
    """Records that could not be read."""
    failures: int = 0
    """Times that the file could not be written or read."""

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(slots=True, eq=False)
class RecordSet:
    """The sums of one record set, as of the last commit."""

    name: str
    table: int = 0
    """0: not in the file yet."""
    count: int = 0
    items: int = 0
    used: int = 0
    last_id: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Whose turn it is to read."""

    def set(self, totals: Totals) -> None:
        self.count, self.items, self.used = totals.count, totals.items, totals.used
        self.last_id = max(self.last_id, totals.last_id)

    def add(self, number: int, items: int, stored: int) -> None:
        self.count += 1
        self.items += items
        self.used += stored
        self.last_id = number

    def subtract(self, gone: Totals) -> None:
        self.count -= gone.count
        self.items -= gone.items
        self.used -= gone.used


@dataclass(slots=True, eq=False)
class Append:
    into: RecordSet
    data: bytes
    meta: bytes
    items: int
    compressed: bool
    quota: int
    answer: asyncio.Future[int]


@dataclass(slots=True, eq=False)
class Read:
    source: RecordSet
    after: int
    max_bytes: int
    answer: asyncio.Future[list[Stored]]


@dataclass(slots=True, eq=False)
class SetAside:
    source: RecordSet
    bad: list[Bad]
    answer: asyncio.Future[None]


@dataclass(slots=True, eq=False)
class Settle:
    """Open the file, if it is not open; commit what waits."""

    answer: asyncio.Future[None]


Work: TypeAlias = Append | Read | SetAside | Settle
Removals: TypeAlias = dict[RecordSet, list[int]]


@dataclass(slots=True, eq=False)
class Answer:
    """What became of some work."""

    to: asyncio.Future[Any]
    outcome: object
    """An exception if it failed."""
    stored_in: RecordSet | None = None
    """Of an append."""
