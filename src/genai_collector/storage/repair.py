"""What is done about a damaged file: it is set aside, and what can still be read is carried over.

The damaged file stays as `<name>.corrupt-<n>`, with its log, for whoever wants to look. Records
keep their ids. A tree of which a page is damaged is read from both ends, so that what lies behind
the damage is found as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from genai_collector.storage import statements as sql
from genai_collector.storage.database import DISK, Database
from genai_collector.storage.record import Corrupt, Packer, Row

_BESIDE: Final = ("-wal", "-shm")
_CARRY_BYTES: Final = 16 * 1024 * 1024
_MAX_ID: Final = (1 << 63) - 1


class Carried(NamedTuple):
    """What became of a damaged file."""

    aside: Path
    records: int
    """Read and carried over."""
    complete: bool
    """Whether no record is known to be missing."""


def set_aside(path: Path) -> Path:
    """Rename a file and its log; returns the new path."""
    number = 1
    while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
        number += 1
    for suffix in _BESIDE:
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + suffix))
    path.rename(aside)
    return aside


def carry_over(aside: Path, database: Database) -> Carried:
    """Copy every readable record of the file that was set aside into a new one."""
    carried, complete = 0, True
    try:
        with closing(DISK.connect(aside, 1.0)) as old:
            names = dict(old.execute("SELECT name, number FROM sets ORDER BY number"))
            for name, table in names.items():
                copied, whole = _carry_set(old, int(table), database, str(name))
                carried, complete = carried + copied, complete and whole
    except (sqlite3.Error, ValueError):
        complete = False
    return Carried(aside, carried, complete)


def _carry_set(
    old: sqlite3.Connection, table: int, database: Database, name: str
) -> tuple[int, bool]:
    new = database.add_set(name)
    reader = _Reader(old, table)
    carried, size = 0, 0
    database.connection.execute("BEGIN IMMEDIATE")
    try:
        for number, row in reader.rows():
            if size > _CARRY_BYTES:
                database.connection.execute("COMMIT")
                database.connection.execute("BEGIN IMMEDIATE")
                size = 0
            database.restore(new, number, row)
            carried, size = carried + 1, size + row.stored
        database.keep_last_id(new, _last_id(old, table))
        database.connection.execute("COMMIT")
    except BaseException:
        if database.connection.in_transaction:
            database.connection.execute("ROLLBACK")
        raise
    return carried, reader.complete


def _last_id(old: sqlite3.Connection, table: int) -> int:
    """Ids must not come again, also if the table was empty or its newest records are lost."""
    try:
        row = old.execute(sql.of(sql.LAST_ID, table)).fetchone()
    except sqlite3.Error:
        return 0
    return row[0] if row and isinstance(row[0], int) else 0


class _Reader:
    """Reads a damaged table, from the front until it fails and from the back until it fails."""

    def __init__(self, connection: sqlite3.Connection, table: int) -> None:
        self._connection = connection
        self._table = table
        self._packer = Packer()
        self.complete = True
        self._at_end = False

    def rows(self) -> Iterator[tuple[int, Row]]:
        last = 0
        for number in self._ids(sql.NEXT_ID, last):
            if number <= last:  # a damaged tree may lead in circles
                break
            last = number
            yield from self._row(number)
        if self._at_end:
            return
        self.complete = False
        first = _MAX_ID
        for number in self._ids(sql.PREVIOUS_ID, first):
            if not last < number < first:
                return
            first = number
            yield from self._row(number)

    def _ids(self, statement: str, at: int) -> Iterator[int]:
        self._at_end = False
        statement = sql.of(statement, self._table)
        while True:
            try:
                row = self._connection.execute(statement, (at,)).fetchone()
            except sqlite3.Error:
                return
            if row is None or type(row[0]) is not int:
                self._at_end = row is None
                return
            at = row[0]
            yield at

    def _row(self, number: int) -> Iterator[tuple[int, Row]]:
        try:
            found = self._connection.execute(sql.of(sql.ROW, self._table), (number,)).fetchone()
            row = Row(*found)
            self._packer.unpack(row)
        except (sqlite3.Error, Corrupt, TypeError):
            self.complete = False
        else:
            yield number, row
