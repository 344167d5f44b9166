"""One SQLite file of records, synchronously: the schema and every statement there is.

Strategy: each record set is a table of its own, so that its oldest record is the first of its
table. Ids come from AUTOINCREMENT, which never gives one again, also when the table is empty. The
data is the last column, so that counting reads no data of large records. Pages are large, because
records are: a batch of 1 MB is 32 pages to write, not 256. Pages that became free are used again
first; what stays free is given back to the file system when there is nothing else to do
(`auto_vacuum=INCREMENTAL`).

Everything here raises `sqlite3.Error` as it comes; `failures.py` says what it means.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from genai_collector.component import Stored
from genai_collector.errors import ConfigError
from genai_collector.storage import statements as sql
from genai_collector.storage.record import Corrupt, Packer, Row

SCHEMA_VERSION: Final = 1
APPLICATION_ID: Final = 0x67634453
PAGE_BYTES: Final = 32 * 1024

WAL_BYTES: Final = 16 * 1024 * 1024
"""Size at which the log is carried over into the file, and to which it is cut."""
RESERVE_BYTES: Final = 4 * 1024 * 1024
"""Of the disk, that appending leaves free: removals need some, too."""
READ_RECORDS: Final = 1000
"""How many records are read at once at most, however small they are."""
QUARANTINE_RECORDS: Final = 1000
QUARANTINE_BYTES: Final = 16 * 1024 * 1024
"""Of one record that is set aside; what is longer is cut. Together at most four times that."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What a record set holds, or what of it is gone."""

    count: int = 0
    items: int = 0
    used: int = 0
    last_id: int = 0
    """Of the record appended last, also if it is gone; 0 if there never was one."""


class Bad(NamedTuple):
    """A record that cannot be read."""

    id: int
    why: str
    items: int


class Found(NamedTuple):
    good: list[Stored]
    bad: list[Bad]


class Disk:
    """What a file needs of the world; a test may have another one."""

    def connect(self, path: Path, timeout_s: float) -> sqlite3.Connection:
        """A connection that any one thread may use, outside of any transaction."""
        return sqlite3.connect(
            path, timeout=timeout_s, isolation_level=None, check_same_thread=False
        )

    def free_bytes(self, path: Path) -> int:
        """What an unprivileged process may still write to the disk of this file."""
        disk = os.statvfs(path)
        return disk.f_bavail * disk.f_frsize


DISK: Final = Disk()


class Database:
    """An open file. Not for two threads at once."""

    def __init__(self, path: Path, timeout_s: float, disk: Disk = DISK) -> None:
        """Opens the file or makes it, readable for its owner only. Raises ConfigError if it is
        somebody else's or from a newer version."""
        self.path = path
        self._packer = Packer()
        _make(path)
        self._disk = disk
        self.connection = disk.connect(path, timeout_s)
        try:
            self._prepare()
        except BaseException:
            self.connection.close()
            raise

    def _prepare(self) -> None:
        run = self.connection.execute
        version, application = self._pragma("user_version"), self._pragma("application_id")
        if version > SCHEMA_VERSION:
            raise ConfigError(
                f"{self.path} was written by a newer version (its schema is {version}, this "
                f"version knows {SCHEMA_VERSION})"
            )
        tables = run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and application != APPLICATION_ID:
            raise ConfigError(f"{self.path} is a database, but not one of this program")
        if not tables:  # otherwise these write, and a full disk must not keep anyone from reading
            run(f"PRAGMA page_size = {PAGE_BYTES}")
            run("PRAGMA auto_vacuum = INCREMENTAL")
        run("PRAGMA journal_mode = WAL").fetchone()
        run(f"PRAGMA wal_autocheckpoint = {WAL_BYTES // PAGE_BYTES}").fetchone()
        run(f"PRAGMA journal_size_limit = {WAL_BYTES}").fetchone()
        run("PRAGMA secure_delete = OFF").fetchone()
        if not tables:
            with self.transaction():
                for statement in sql.SCHEMA:
                    run(statement)
                run(f"PRAGMA application_id = {APPLICATION_ID}")
                run(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _pragma(self, name: str) -> int:
        value: int = self.connection.execute(f"PRAGMA {name}").fetchone()[0]
        return value

    def close(self) -> None:
        """May carry the log over into the file."""
        self.connection.close()

    # ---- writing ---------------------------------------------------------------------------

    def wait_for_disk(self, yes: bool) -> None:
        """Whether a commit returns only when the disk has it. Without, a crash of the process
        loses nothing, a crash of the machine the last commits."""
        self.connection.execute(f"PRAGMA synchronous = {'FULL' if yes else 'NORMAL'}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it, or nothing."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def pack(self, data: bytes, meta: bytes, items: int, compressed: bool) -> Row:
        return self._packer.pack(data, meta, items, compressed)

    def insert(self, table: int, row: Row) -> int:
        """Returns the record's id."""
        return self.connection.execute(sql.of(sql.INSERT, table), row).lastrowid or 0

    def restore(self, table: int, id: int, row: Row) -> None:
        """Put a record back under the id that it had."""
        self.connection.execute(sql.of(sql.RESTORE, table), (id, *row))

    def keep_last_id(self, table: int, last_id: int) -> None:
        """No record gets this id or a smaller one from now on."""
        run = self.connection.execute
        known = run(sql.of(sql.LAST_ID, table)).fetchone()
        if not known or known[0] < last_id:
            run(sql.of(sql.FORGET_LAST_ID, table))
            run(sql.of(sql.KEEP_LAST_ID, table), (last_id,))

    def delete(self, table: int, ids: Iterable[int]) -> Totals:
        """Returns what is gone; ids that are not there are no fault."""
        count = items = used = 0
        measure, forget = sql.of(sql.MEASURE, table), sql.of(sql.DELETE, table)
        for number in ids:
            row = self.connection.execute(measure, (number,)).fetchone()
            if row is not None:
                self.connection.execute(forget, (number,))
                count, items, used = count + 1, items + _int(row[0]), used + _int(row[1])
        return Totals(count, items, used)

    def set_aside(self, table: int, name: str, bad: Iterable[Bad], now_ns: int) -> Totals:
        """Move records into the quarantine, of which the oldest go when it is full."""
        bad = list(bad)
        statement = sql.of(sql.SET_ASIDE, table)
        for one in bad:
            columns = (name, one.why, now_ns, QUARANTINE_BYTES, one.id)
            self.connection.execute(statement, columns)
        self._bound_quarantine()
        return self.delete(table, [one.id for one in bad])

    def _bound_quarantine(self) -> None:
        kept, size = 0, 0
        rows = self.connection.execute(
            "SELECT number, length(data) FROM quarantine ORDER BY number DESC"
        ).fetchall()
        for number, length in rows:
            kept, size = kept + 1, size + _int(length)
            if kept > QUARANTINE_RECORDS or size > 4 * QUARANTINE_BYTES:
                self.connection.execute("DELETE FROM quarantine WHERE number <= ?", (number,))
                return

    def give_back(self, pages: int) -> int:
        """Give at most so many free pages back; returns how many are free then."""
        # `execute` would give back one page: the statement has a row for each, without columns.
        self.connection.executescript(f"PRAGMA incremental_vacuum({pages})")
        return self.free_pages()

    def free_pages(self) -> int:
        return self._pragma("freelist_count")

    def lacking_bytes(self, coming: int) -> int:
        """What the disk lacks of the room that so much data needs: once in the log, and with all
        of the log once more when it is carried over into the file, for which something must always
        be left, or no removal could make room any more. Not over 0: there is room."""
        log = self.path.with_name(self.path.name + "-wal")
        carried = coming + (log.stat().st_size if log.exists() else 0)
        grows = max(0, carried - self.free_pages() * PAGE_BYTES)
        return coming + grows + RESERVE_BYTES - self._disk.free_bytes(self.path)

    def checkpoint(self) -> None:
        """Carry the whole log over into the file and cut it, so that there is room on the disk."""
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # ---- reading ---------------------------------------------------------------------------

    def changes_by_others(self) -> int:
        """Another number whenever another process has changed something."""
        return self._pragma("data_version")

    def sets(self) -> dict[str, int]:
        """Names of the record sets and numbers of their tables."""
        return dict(self.connection.execute("SELECT name, number FROM sets ORDER BY number"))

    def add_set(self, name: str) -> int:
        """The number of the set's table, which is made if there is none."""
        known = self.sets()
        if name in known:
            return known[name]
        with self.transaction():
            run = self.connection.execute
            number = run("INSERT INTO sets (name) VALUES (?)", (name,)).lastrowid or 0
            run(sql.of(sql.CREATE, number))
        return number

    def totals(self, table: int) -> Totals:
        """Looks at every record, but not at the data of large ones."""
        run = self.connection.execute
        count, items, used = run(sql.of(sql.TOTALS, table)).fetchone()
        last = run(sql.of(sql.LAST_ID, table)).fetchone()
        return Totals(count, _int(items), _int(used), last[0] if last else 0)

    def row(self, table: int, id: int) -> Row | None:
        """A record as it is stored, unchecked."""
        row = self.connection.execute(sql.of(sql.ROW, table), (id,)).fetchone()
        return None if row is None else Row(*row)

    def read(self, table: int, after: int, max_bytes: int) -> Found:
        """The oldest records with a greater id: at least one, then as many as have `max_bytes`
        together. Those that cannot be read are told apart."""
        cursor = self.connection.execute(sql.of(sql.READ, table), (after,))
        good: list[Stored] = []
        bad: list[Bad] = []
        size = 0
        try:
            for number, *columns in cursor:
                row = Row(*columns)
                size += _int(row.size)
                if good and (size > max_bytes or len(good) >= READ_RECORDS):
                    break
                if len(bad) >= READ_RECORDS:
                    break
                try:
                    good.append(Stored(number, self._packer.unpack(row), row.meta, row.items))
                except Corrupt as exc:
                    bad.append(Bad(number, str(exc), _int(row.items)))
        finally:
            cursor.close()
        return Found(good, bad)

    def get(self, table: int, id: int) -> Stored | None:
        """One record. Raises Corrupt."""
        row = self.row(table, id)
        return None if row is None else Stored(id, self._packer.unpack(row), row.meta, row.items)

    def quarantined(self) -> int:
        """How many records are set aside."""
        count: int = self.connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]
        return count


def _int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _make(path: Path) -> None:
    """An empty file that only its owner may read, as those that SQLite makes beside it will be."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
