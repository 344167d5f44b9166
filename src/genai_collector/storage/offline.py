"""The files of a directory for whoever is not the collector, also while it runs.

SQLite lets several processes use a file; each statement waits a while for the others. What is
removed here is gone for a running collector with its next commit. What is appended here it finds
when it starts.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from genai_collector.component import Stored
from genai_collector.errors import ConfigError
from genai_collector.storage.database import Database, Totals
from genai_collector.storage.directory import SUFFIX, file_name, owner_of, try_lock
from genai_collector.storage.failures import as_retryable
from genai_collector.storage.record import Corrupt

_TIMEOUT_S: Final = 5.0
_READ_BYTES: Final = 4 * 1024 * 1024


class OfflineRecords:
    """One record set. Raises Retryable when the file fails or is held by others for too long."""

    def __init__(self, database: Database, owner: str, name: str, table: int) -> None:
        self.owner = owner
        self.name = name
        self._database = database
        self._table = table

    @property
    def totals(self) -> Totals:
        """How many records and items, and their bytes as stored."""
        with _translated(self._database.path):
            return self._database.totals(self._table)

    def __iter__(self) -> Iterator[Stored]:
        """Every record that can be read, oldest first; a few megabytes in memory at a time."""
        after = 0
        while True:
            with _translated(self._database.path):
                found = self._database.read(self._table, after, _READ_BYTES)
            if not found.good and not found.bad:
                return
            yield from found.good
            after = max([one.id for one in found.good] + [one.id for one in found.bad])

    def get(self, id: int) -> Stored | None:
        """One record; None if there is none that can be read."""
        with _translated(self._database.path):
            try:
                return self._database.get(self._table, id)
            except Corrupt:
                return None

    def remove(self, ids: Iterable[int]) -> int:
        """Forget records; returns how many were there. On disk when it returns."""
        with _translated(self._database.path):
            self._database.wait_for_disk(True)
            with self._database.transaction():
                return self._database.delete(self._table, ids).count

    def append(
        self, data: bytes, *, meta: bytes = b"", items: int = 0, compressed: bool = False
    ) -> int:
        """Store a record, whatever the quota; returns its id. On disk when it returns."""
        with _translated(self._database.path):
            row = self._database.pack(data, meta, items, compressed)
            self._database.wait_for_disk(True)
            with self._database.transaction():
                return self._database.insert(self._table, row)


class OfflineDirectory:
    """What `open_directory` gives. A context manager; leaving closes the files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open: dict[str, Database] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        for database in self._open.values():
            database.close()
        self._open.clear()

    @property
    def in_use(self) -> bool:
        """Whether a collector has the directory open now."""
        fd = try_lock(self.path)
        if fd is None:
            return True
        os.close(fd)
        return False

    def owners(self) -> list[str]:
        """Whose files there are, sorted."""
        return sorted(owner_of(file.name) for file in self.path.glob(f"*{SUFFIX}"))

    def names(self, owner: str) -> list[str]:
        """The names of an owner's record sets."""
        database = self._database(owner)
        with _translated(self.path):
            return list(database.sets())

    def records(self, owner: str, name: str, *, create: bool = False) -> OfflineRecords:
        """Raises ConfigError if there are none of that name, unless they are to be made."""
        database = self._database(owner, create=create)
        with _translated(self.path):
            table = database.add_set(name) if create else database.sets().get(name)
        if table is None:
            raise ConfigError(f"{self.path}: {owner} has no {name}")
        return OfflineRecords(database, owner, name, table)

    def quarantined(self, owner: str) -> int:
        """How many records of an owner could not be read and were set aside."""
        database = self._database(owner)
        with _translated(self.path):
            return database.quarantined()

    def _database(self, owner: str, *, create: bool = False) -> Database:
        if owner not in self._open:
            path = self.path / file_name(owner)
            if not create and not path.exists():
                raise ConfigError(f"{self.path}: there is no file of {owner}")
            with _translated(path):
                self._open[owner] = Database(path, _TIMEOUT_S)
        return self._open[owner]


def open_directory(path: str | Path) -> OfflineDirectory:
    """The storage in a directory. Raises ConfigError if there is none."""
    found = Path(path).expanduser().resolve()
    if not found.is_dir():
        raise ConfigError(f"{found}: no such directory")
    return OfflineDirectory(found)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as exc:
        raise as_retryable(exc, path) from exc
