"""A file of records for a test, and what a crash leaves of one."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from genai_collector.component import Stored
from genai_collector.storage import FileRecords, Options, StorageFile
from genai_collector.storage.database import DISK, Disk

QUOTA = 1 << 30
LOG = logging.getLogger("test.storage")


class Opened:
    """A started file and its records."""

    def __init__(self, file: StorageFile, quota: int) -> None:
        self.file = file
        self.quota = quota
        self.records = FileRecords(file, "queue.traces", quota)

    def other(self, name: str) -> FileRecords:
        return FileRecords(self.file, name, self.quota)


@asynccontextmanager
async def opened(
    path: Path, *, quota: int = QUOTA, fsync: bool = True, disk: Disk = DISK
) -> AsyncIterator[Opened]:
    """The file, with its thread running; stopped at the end."""
    file = StorageFile(path, Options(fsync=fsync), LOG, disk)
    made = Opened(file, quota)
    await file.start()
    try:
        yield made
    finally:
        await file.stop()


async def all_of(records: FileRecords, max_bytes: int = 1000) -> list[Stored]:
    """Everything there is, read in several goes."""
    found: list[Stored] = []
    while got := await records.read(found[-1].id if found else 0, max_bytes):
        found += got
    return found


async def until(true: Callable[[], bool]) -> None:
    """Until a thread has done it; at most half a minute."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  the other side is a thread, not a task
            await asyncio.sleep(0.01)


def crashed(path: Path, into: Path) -> Path:
    """A copy of the file as it would be found if its process died now."""
    into.mkdir(parents=True)
    for beside in ("", "-wal"):
        there = path.with_name(path.name + beside)
        if there.exists():
            shutil.copy(there, into / there.name)
    return into / path.name


class Faulty(Disk):
    """A disk that fails, or is as good as full, when a test says so."""

    def __init__(self) -> None:
        self.fails: Callable[[str], Exception | None] = lambda _statement: None
        self.size: int | None = None
        """Bytes that all files of the directory may have together."""

    def free_bytes(self, path: Path) -> int:
        if self.size is None:
            return super().free_bytes(path)
        return self.size - sum(file.stat().st_size for file in path.parent.iterdir())

    def connect(self, path: Path, timeout_s: float) -> sqlite3.Connection:
        faulty = self

        class Connection(sqlite3.Connection):
            def execute(self, statement: str, parameters: Any = (), /) -> sqlite3.Cursor:
                error = faulty.fails(statement)
                if error is not None:
                    raise error
                return super().execute(statement, parameters)

        return sqlite3.connect(
            path,
            timeout=timeout_s,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )


def sqlite_error(code: int, name: str) -> sqlite3.OperationalError:
    """As SQLite raises it."""
    error = sqlite3.OperationalError(name)
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error
