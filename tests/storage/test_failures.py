"""Full and failing disks, damaged records, damaged files: what is told, and what is still there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import random
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.errors import ConfigError, Retryable, StorageFull
from genai_collector.storage.database import (
    APPLICATION_ID,
    RESERVE_BYTES,
    SCHEMA_VERSION,
    Bad,
    Database,
)
from tests.storage.support import Faulty, all_of, crashed, opened, sqlite_error

FULL = sqlite_error(sqlite3.SQLITE_FULL, "SQLITE_FULL")
IO_ERROR = sqlite_error(sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC")
NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("error", "told"), [(FULL, StorageFull), (NO_SPACE, StorageFull), (IO_ERROR, Retryable)]
)
@pytest.mark.parametrize("where", ["INSERT INTO records", "COMMIT", "BEGIN"])
async def test_a_failing_disk_refuses_and_recovers(
    tmp_path: Path, error: Exception, told: type[Exception], where: str
) -> None:
    """Appends are refused while the disk fails, wherever it does; nothing that was refused is
    stored, nothing that was stored is lost, and it goes on by itself when the disk works again."""
    disk = Faulty()
    async with opened(tmp_path / "a.db", disk=disk) as one:
        first = await one.records.append(b"first")
        disk.fails = lambda statement: error if statement.startswith(where) else None
        for _ in range(3):
            with pytest.raises(told) as failure:
                await one.records.append(b"refused")
            assert isinstance(failure.value, Retryable)
            assert failure.value.retry_after
        disk.fails = lambda _statement: None
        last = await one.records.append(b"last")
        assert [s.id for s in await all_of(one.records)] == [first, last]
        assert one.records.count == 2
        assert one.file.counters.failures == 3


async def test_a_commit_that_failed_after_all_leaves_nothing(tmp_path: Path) -> None:
    """When the disk says that it failed but has the record, the record is taken out again: nobody
    was told that it is there."""
    disk = Faulty()
    async with opened(tmp_path / "a.db", disk=disk) as one:
        await one.records.append(b"first")
        failed = False

        def fails(statement: str) -> Exception | None:
            nonlocal failed
            if statement != "COMMIT" or failed:
                return None
            failed = True
            # What was to be committed is, and then the error comes.
            database = one.file._keeper._database
            assert database is not None
            database.connection.execute("COMMIT")
            return IO_ERROR

        disk.fails = fails
        with pytest.raises(Retryable):
            await one.records.append(b"doubtful")
        await one.records.append(b"last")
        assert [s.data for s in await all_of(one.records)] == [b"first", b"last"]


async def test_removals_survive_a_failing_disk(tmp_path: Path) -> None:
    """What could not be removed is removed when the disk works again."""
    disk = Faulty()
    async with opened(tmp_path / "a.db", disk=disk) as one:
        ids = [await one.records.append(b"x") for _ in range(3)]
        disk.fails = lambda statement: FULL if statement == "COMMIT" else None
        one.records.remove(ids)
        with pytest.raises(StorageFull):
            await one.records.settled()
        disk.fails = lambda _statement: None
        await one.records.settled()
        assert one.records.count == 0


async def test_a_full_file_recovers(tmp_path: Path) -> None:
    """SQLite itself says that there is no room: appends are refused until something is removed."""
    noise = random.Random(1)
    async with opened(tmp_path / "a.db") as one:
        ids = [await one.records.append(noise.randbytes(200_000)) for _ in range(5)]
        database = one.file._keeper._database
        assert database is not None
        database.connection.execute(f"PRAGMA max_page_count = {database._pragma('page_count')}")
        with pytest.raises(StorageFull):
            await one.records.append(noise.randbytes(200_000))
        one.records.remove(ids[:2])
        await one.records.append(noise.randbytes(200_000))
        assert one.records.count == 4


async def test_the_last_of_the_disk_is_for_removals(tmp_path: Path) -> None:
    """On a disk of 24 MiB: appends are refused while there is still room to make room, nothing ever
    fails, and after everything was removed there is room again, as often as you like."""
    disk, noise = Faulty(), random.Random(1)
    disk.size = 24 << 20
    async with opened(tmp_path / "a.db", disk=disk) as one:
        for _ in range(3):
            ids: list[int] = []
            with contextlib.suppress(StorageFull):
                while len(ids) < 24:
                    ids.append(await one.records.append(noise.randbytes(1 << 20)))
            assert 5 <= len(ids) < 24
            assert disk.free_bytes(one.file.path) > 0
            one.records.remove(ids)
            await one.records.settled()
            assert one.records.count == 0


async def test_free_pages_help_a_disk_without_room_for_the_log(tmp_path: Path) -> None:
    """Everything was removed, but the file keeps its pages, and what is left of the disk is only
    what is kept free: pages are given back, so that appends are taken again."""
    disk, noise = Faulty(), random.Random(1)
    async with opened(tmp_path / "a.db", disk=disk) as one:
        ids = [await one.records.append(noise.randbytes(1 << 20)) for _ in range(8)]
        one.records.remove(ids)
        await one.records.settled()
        database = one.file._keeper._database
        assert database is not None
        database.checkpoint()
        disk.size = 0
        disk.size = RESERVE_BYTES - disk.free_bytes(one.file.path)
        assert database.free_pages() > 200
        assert await one.records.append(noise.randbytes(100_000)) > max(ids)
        assert one.records.count == 1


async def test_a_full_disk_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    """What is there can be read, so that it can leave; a record set that is new has to wait."""
    path, disk = tmp_path / "a.db", Faulty()
    async with opened(path) as one:
        number = await one.records.append(b"x")
    writes = ("COMMIT", "PRAGMA page_size", "PRAGMA auto_vacuum")
    disk.fails = lambda statement: FULL if statement.startswith(writes) else None
    async with opened(path, disk=disk) as one:
        letters = one.other("dead_letters")
        assert [s.id for s in await one.records.read()] == [number]
        assert await letters.read() == []
        with pytest.raises(StorageFull):
            await letters.append(b"x")
        disk.fails = lambda _statement: None
        assert await letters.append(b"x") == 1


async def test_a_dead_disk_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    """The file is opened when that is possible; until then everything is refused for now."""
    disk = Faulty()
    disk.fails = lambda _statement: IO_ERROR
    async with opened(tmp_path / "a.db", disk=disk) as one:
        with pytest.raises(Retryable):
            await one.records.append(b"x")
        disk.fails = lambda _statement: None
        assert await one.records.append(b"x") == 1


async def test_a_failing_disk_is_not_logged_with_every_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line when it begins, one when it is over."""
    disk = Faulty()
    caplog.set_level(logging.INFO)
    async with opened(tmp_path / "a.db", disk=disk) as one:
        disk.fails = lambda statement: FULL if statement == "COMMIT" else None
        for _ in range(20):
            with pytest.raises(StorageFull):
                await one.records.append(b"x")
        disk.fails = lambda _statement: None
        await one.records.append(b"x")
    messages = [record.message for record in caplog.records]
    assert messages == ["The storage fails: SQLITE_FULL", "The storage works again."]


async def test_a_corrupt_record_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged record is set aside and reported; all others are read, and later ones taken."""
    path = tmp_path / "a.db"
    async with opened(path) as one:
        ids = [await one.records.append(b"record %d " % n * 50, items=2) for n in range(6)]
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        for column, bad in (("data", ids[1]), ("meta", ids[2]), ("items", ids[4])):
            change = f"UPDATE records_1 SET {column} = ? WHERE id = ?"
            database.execute(change, (99 if column == "items" else b"damaged", bad))
    async with opened(path) as one:
        good = [ids[0], ids[3], ids[5]]
        assert [s.id for s in await all_of(one.records)] == good
        assert one.file.counters.set_aside == 3
        assert (one.records.count, one.records.items) == (3, 6)
        await one.records.append(b"next")
    with contextlib.closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name, id FROM quarantine ORDER BY id").fetchall()
    assert rows == [("queue.traces", ids[1]), ("queue.traces", ids[2]), ("queue.traces", ids[4])]
    assert "checksum" in caplog.text


async def test_the_quarantine_is_bounded(tmp_path: Path) -> None:
    """What is set aside does not fill the disk: the oldest go."""
    database = Database(tmp_path / "a.db", 1.0)
    table = database.add_set("queue")
    with contextlib.closing(database), database.transaction():
        for _ in range(7):
            row = database.pack(random.Random(1).randbytes(20 << 20), b"", 1, compressed=True)
            number = database.insert(table, row)
            database.set_aside(table, "queue", [Bad(number, "why", 1)], 0)
        assert database.quarantined() == 4


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 1000, b"SQLite format 3\0"])
async def test_a_file_that_is_none_is_set_aside(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The service starts with a new file; the old one is kept under another name, and reported.
    Nothing at all is no damage."""
    path = tmp_path / "a.db"
    path.write_bytes(content)
    async with opened(path) as one:
        await one.records.append(b"x")
        assert one.records.count == 1
    aside = tmp_path / "a.db.corrupt-1"
    assert aside.exists() == bool(content)
    if content:
        assert aside.read_bytes() == content
        errors = [r for r in caplog.records if r.levelno == logging.ERROR]
        assert [getattr(r, "set_aside_as", "") for r in errors] == [str(aside)]


async def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    """A database that is not ours is not touched."""
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE theirs (x)")
    with pytest.raises(ConfigError, match="not one of this program"):
        async with opened(path):
            pass


async def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """A file of a newer version is neither read nor changed."""
    path = tmp_path / "a.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(ConfigError, match="newer version"):
        async with opened(path):
            pass


class Filled:
    """The bytes of a closed file with records in it, of more than a page and of less."""

    def __init__(self, path: Path) -> None:
        self.content: dict[int, bytes] = {}
        asyncio.run(self._fill(path))
        self.file = path.read_bytes()

    async def _fill(self, path: Path) -> None:
        noise = random.Random(3)
        async with opened(path, fsync=False) as one:
            for _ in range(40):
                data = noise.randbytes(noise.choice([50, 3000, 90_000]))
                self.content[await one.records.append(data)] = data


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return Filled(tmp_path_factory.mktemp("filled") / "a.db")


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9), st.binary(min_size=1, max_size=40)),
        min_size=1,
        max_size=8,
    )
)
@settings(max_examples=60, deadline=None)
def test_a_file_damaged_anywhere_still_works(
    filled: Filled, damages: list[tuple[int, bytes]]
) -> None:
    """Whatever bytes of the file are overwritten: it starts, what is read is what was appended or
    is left out, and new records are taken."""

    async def check(path: Path) -> None:
        async with opened(path, fsync=False) as one:
            with contextlib.suppress(Retryable):  # found while reading: set aside, try again
                await all_of(one.records)
            found = await all_of(one.records)
            assert {s.id: s.data for s in found}.items() <= content.items()
            assert await one.records.append(b"new") not in {s.id for s in found}
            assert (await all_of(one.records))[-1].data == b"new"

    content = filled.content
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.db"
        data = bytearray(filled.file)
        # Past the header of the file, in which other numbers would make it somebody else's.
        for number, damage in damages:
            at = 100 + number % (len(data) - 200)
            data[at : at + len(damage)] = damage
        path.write_bytes(data)
        asyncio.run(check(path))


async def test_ids_do_not_come_again_in_a_file_made_anew(tmp_path: Path) -> None:
    """With everything destroyed while it runs, new records get ids that nobody has yet."""
    disk = Faulty()
    async with opened(tmp_path / "a.db", disk=disk) as one:
        known = [await one.records.append(b"x") for _ in range(5)]
        (tmp_path / "a.db-wal").unlink()
        (tmp_path / "a.db").write_bytes(b"no database " * 10_000)
        damage = sqlite_error(sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT")
        disk.fails = lambda statement: damage if statement == "COMMIT" else None
        with pytest.raises(Retryable):
            await one.records.append(b"y")
        disk.fails = lambda _statement: None
        assert await one.records.append(b"z") > known[-1]
        assert [s.data for s in await all_of(one.records)] == [b"z"]


async def test_what_a_damaged_file_still_has_is_carried_over(
    filled: Filled, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the page of one record destroyed, the others are in the new file, under their ids."""
    content = filled.content
    path = tmp_path / "a.db"
    data = bytearray(filled.file)
    page = 32 * 1024
    leaf = next(
        at
        for at in range(page, len(data), page)
        if data[at] == 0x0D and data.count(content[1][:30], at, at + page)
    )
    data[leaf : leaf + 8] = b"\xff" * 8
    path.write_bytes(data)
    async with opened(path, fsync=False) as one:
        found = {s.id: s.data for s in await all_of(one.records)}
        assert found.items() < content.items()
        assert len(found) >= len(content) // 2
        assert await one.records.append(b"new") == max(content) + 1
    assert (tmp_path / "a.db.corrupt-1").exists()
    assert "was set aside" in caplog.text


@given(st.integers(0, 10**9))
@settings(max_examples=40, deadline=None)
def test_a_torn_log_loses_only_its_end(cut: int) -> None:
    """The log cut at any byte, as by a crash of the machine: what is there is what came first."""

    async def check(directory: Path) -> None:
        async with opened(directory / "a.db", fsync=False) as one:
            data = [b"record %d " % n * 300 for n in range(12)]
            for each in data:
                await one.records.append(each)
            path = crashed(directory / "a.db", directory / "after")
        log = path.with_name("a.db-wal")
        size = log.stat().st_size
        with log.open("r+b") as file:
            file.truncate(cut % (size + 1))
        async with opened(path, fsync=False) as one:
            found = [s.data for s in await all_of(one.records)]
            assert found == data[: len(found)]
            assert len(found) == len(data) or cut % (size + 1) < size
            await one.records.append(b"new")

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(check(Path(directory)))
