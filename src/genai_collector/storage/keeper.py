"""What a file's thread does: commit, read, and what follows when that fails.

A failure is told to those whose work it was, and the next attempt opens the file anew. Whether a
commit that failed is in the file or not is unknown; nobody was told that it is, so it is taken out
when the file is open again. A file that turns out to be damaged is set aside, and what can be read
is carried over.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from genai_collector.component import Stored
from genai_collector.errors import CollectorError, ConfigError, Retryable, StorageFull
from genai_collector.storage.database import PAGE_BYTES, Bad, Database, Disk
from genai_collector.storage.failures import (
    RETRY_AFTER_S,
    as_retryable,
    is_damage,
    is_no_room,
)
from genai_collector.storage.record import Row
from genai_collector.storage.repair import carry_over, set_aside
from genai_collector.storage.work import (
    Answer,
    Append,
    Counters,
    Options,
    Read,
    RecordSet,
    Removals,
    SetAside,
    Work,
)

SPARE_BYTES: Final = 32 * 1024 * 1024
"""Free space that a file keeps for what comes next; more is given back when it is idle."""

_GIVEN_BACK_PAGES: Final = 256
_GIVEN_BACK_WHEN_FULL_PAGES: Final = 32
"""Few enough that what this writes to the log has room in what is kept free for removals."""
_OPENINGS: Final = 3
_SAY_EVERY_S: Final = 10.0
_NAMED_IDS: Final = 10


class Keeper:
    """Lives in one thread; only `counters` and the sums of the sets are read by others."""

    def __init__(
        self,
        path: Path,
        options: Options,
        sets: dict[str, RecordSet],
        counters: Counters,
        log: logging.Logger,
        disk: Disk,
        now_ns: Callable[[], int],
    ) -> None:
        self._path = path
        self._options = options
        self._sets = sets
        self._counters = counters
        self._log = log
        self._disk = disk
        self._now_ns = now_ns
        self._database: Database | None = None
        self._seen_changes = 0
        self._doubtful: list[tuple[RecordSet, int]] = []
        self._failing = False
        self._said_at: float | None = None
        self.has_spare = False
        """Whether there may be space to give back."""
        self.refusal: ConfigError | None = None
        """Why the file cannot be used, if that is not a matter of time."""

    def do(self, work: Sequence[Work], removals: Removals) -> tuple[list[Answer], bool]:
        """The answers, in order of asking, and whether the removals are in the file."""
        answers: list[Answer] = []
        removed = False
        try:
            database = self._opened()
            answers += self._write(database, work, removals)
            removed = True
            for one in work:
                if not isinstance(one, Append):
                    answers.append(self._answer(database, one))
            if not work and not removals and self.has_spare:
                self._give_back(database)
        except Exception as exc:  # the thread must live on: whoever waits is told
            told = self._failed(exc)
            answered = {id(answer.to) for answer in answers}
            answers += [Answer(one.answer, told) for one in work if id(one.answer) not in answered]
        else:
            if not any(isinstance(answer.outcome, Exception) for answer in answers):
                self._works_again()
        return answers, removed

    def close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error, OSError):
                database.close()

    # ---- opening ---------------------------------------------------------------------------

    def _opened(self) -> Database:
        database = self._database or self._open()
        changes = database.changes_by_others()
        if changes != self._seen_changes:  # the command line has removed something
            self._seen_changes = changes
            self._count(database)
        for one in list(self._sets.values()):
            if not one.table:
                self._add_set(database, one)
        return database

    def _add_set(self, database: Database, one: RecordSet) -> None:
        try:
            table = database.add_set(one.name)
        except sqlite3.Error as exc:
            if not is_no_room(exc):
                raise
            return  # those that are there already can be read, and so make room
        self._enter(database, one, table)

    def _open(self) -> Database:
        for _ in range(_OPENINGS):
            try:
                self._database = self._opened_anew()
            except sqlite3.Error as exc:
                if not is_damage(exc):
                    raise
                self._repair(exc)
            else:
                return self._database
        raise Retryable("the file is damaged and cannot be made anew")

    def _opened_anew(self) -> Database:
        database = Database(self._path, self._options.timeout_s, self._disk)
        try:
            self._take_out_doubtful(database)
            self._count(database)
            self._seen_changes = database.changes_by_others()
            self.has_spare = database.free_pages() > 0
        except BaseException:
            database.close()
            raise
        return database

    def _count(self, database: Database) -> None:
        """Also what nobody has asked for yet: damage shows now."""
        tables = database.sets()
        for one in list(self._sets.values()):
            one.table = tables.get(one.name, 0)
        for name, table in tables.items():
            if name in self._sets:
                self._enter(database, self._sets[name], table)
            else:
                database.totals(table)

    @staticmethod
    def _enter(database: Database, one: RecordSet, table: int) -> None:
        totals = database.totals(table)
        if totals.last_id < one.last_id:
            # A file made anew: ids that are known here must not come again.
            database.keep_last_id(table, one.last_id)
        one.table = table
        one.set(totals)

    def _take_out_doubtful(self, database: Database) -> None:
        if self._doubtful:
            tables = database.sets()
            with database.transaction():
                for into, number in self._doubtful:
                    if into.name in tables:
                        database.delete(tables[into.name], [number])
            self._doubtful = []

    # ---- writing ---------------------------------------------------------------------------

    def _write(self, database: Database, work: Sequence[Work], removals: Removals) -> list[Answer]:
        """One commit for all, if there is anything to commit."""
        appends = [
            (one, database.pack(one.data, one.meta, one.items, one.compressed))
            for one in work
            if isinstance(one, Append) and not one.answer.cancelled()
        ]
        refused = self._refused(database, appends)
        if refused:
            appends = []
        if not appends and not removals:
            return refused
        wait = self._options.fsync and bool(appends)
        database.wait_for_disk(wait)
        with database.transaction():
            gone = [
                (one, database.delete(one.table, ids)) for one, ids in removals.items() if one.table
            ]
            room = {one: -totals.used for one, totals in gone}
            answers = [self._insert(database, one, row, room) for one, row in appends]
        self._doubtful = []
        self._counters.commits += 1
        self._counters.syncs += wait
        for one, totals in gone:
            one.subtract(totals)
            self.has_spare = True
        for (append, row), answer in zip(appends, answers, strict=True):
            if isinstance(answer.outcome, int):
                append.into.add(answer.outcome, row.items, row.stored)
        return refused + answers

    def _refused(self, database: Database, appends: list[tuple[Append, Row]]) -> list[Answer]:
        """Answers to all, if the disk is nearly full. The last of it is for removals, which make
        room in the file itself."""
        coming = sum(row.stored for _, row in appends)
        if not coming or self._has_room(database, coming):
            return []
        full = StorageFull("the disk is full", retry_after=RETRY_AFTER_S)
        self._counters.failures += 1
        self._say(full)
        return [Answer(append.answer, full) for append, _ in appends]

    @staticmethod
    def _has_room(database: Database, coming: int) -> bool:
        """Whether the disk has room for so much, if need be after the log was carried over and
        some free pages of the file were given back: they are of no use if the log cannot grow."""
        if database.lacking_bytes(coming) <= 0:
            return True
        database.checkpoint()
        if database.lacking_bytes(coming) <= 0:
            return True
        if not database.free_pages():
            return False
        database.give_back(_GIVEN_BACK_WHEN_FULL_PAGES)
        database.checkpoint()
        return database.lacking_bytes(coming) <= 0

    def _insert(
        self, database: Database, append: Append, row: Row, added: dict[RecordSet, int]
    ) -> Answer:
        into = append.into
        if not into.table:
            return Answer(append.answer, StorageFull("the disk is full", retry_after=RETRY_AFTER_S))
        if into.used + added.get(into, 0) + row.stored > append.quota:
            return Answer(append.answer, StorageFull(f"{into.name}: the quota on disk is used up"))
        added[into] = added.get(into, 0) + row.stored
        number = database.insert(into.table, row)
        self._doubtful.append((into, number))
        return Answer(append.answer, number, into)

    def _give_back(self, database: Database) -> None:
        spare = SPARE_BYTES // PAGE_BYTES
        free = database.free_pages()
        if free > spare:
            free = database.give_back(min(_GIVEN_BACK_PAGES, free - spare))
            if free <= spare:
                database.checkpoint()  # only now does the file become shorter
        self.has_spare = free > spare

    # ---- reading ---------------------------------------------------------------------------

    def _answer(self, database: Database, work: Work) -> Answer:
        if isinstance(work, Read):
            return Answer(work.answer, self._read(database, work))
        if isinstance(work, SetAside):
            self._set_aside(database, work.source, work.bad)
        return Answer(work.answer, None)

    def _read(self, database: Database, work: Read) -> list[Stored]:
        after = work.after
        while work.source.table:
            found = database.read(work.source.table, after, work.max_bytes)
            if found.bad:
                self._set_aside(database, work.source, found.bad)
            if found.good or not found.bad:
                return found.good
            after = found.bad[-1].id
        return []

    def _set_aside(self, database: Database, source: RecordSet, bad: list[Bad]) -> None:
        database.wait_for_disk(False)
        with database.transaction():
            gone = database.set_aside(source.table, source.name, bad, self._now_ns())
        source.subtract(gone)
        self._counters.commits += 1
        self._counters.set_aside += gone.count
        self._log.error(
            "Records on disk cannot be read and were set aside: %s",
            bad[0].why,
            extra={
                "file": str(self._path),
                "records": source.name,
                "count": gone.count,
                "items": gone.items,
                "ids": ",".join(str(one.id) for one in bad[:_NAMED_IDS]),
            },
        )

    # ---- when something fails --------------------------------------------------------------

    def _failed(self, exc: Exception) -> Exception:
        """What to tell those who wait."""
        self._counters.failures += 1
        database = self._database
        if is_no_room(exc) and database is not None:
            self._doubtful = []  # SQLite rolls these back; the file stays open
            with suppress(sqlite3.Error, OSError):
                database.checkpoint()
        else:
            self.close()
        if is_damage(exc) and database is not None:
            try:
                self._repair(exc)
            except Exception as worse:
                exc = worse
        self._say(exc)
        self.refusal = exc if isinstance(exc, ConfigError) else None
        return as_retryable(exc, self._path)

    def _say(self, exc: Exception) -> None:
        """Not more often than anybody can read: a full disk fails with every request."""
        self._failing = True
        now = time.monotonic()
        if self._said_at is not None and now - self._said_at < _SAY_EVERY_S:
            return
        self._said_at = now
        expected = isinstance(exc, CollectorError | sqlite3.Error | OSError)
        where = {"file": str(self._path), "failures": self._counters.failures}
        self._log.error(
            "The storage fails: %s", exc, exc_info=None if expected else exc, extra=where
        )

    def _works_again(self) -> None:
        self.refusal = None
        if self._failing:
            self._failing, self._said_at = False, None
            self._log.info("The storage works again.", extra={"file": str(self._path)})

    def _repair(self, why: Exception) -> None:
        """Set the file aside, make a new one, carry over what can be read."""
        self.close()
        aside = set_aside(self._path)
        database = Database(self._path, self._options.timeout_s, self._disk)
        try:
            carried = carry_over(aside, database)
        finally:
            database.close()
        self._log.error(
            "A file of the storage is damaged and was set aside; what could be read was carried "
            "over into a new one: %s",
            why,
            extra={
                "file": str(self._path),
                "set_aside_as": str(aside),
                "records": carried.records,
                "complete": carried.complete,
            },
        )
