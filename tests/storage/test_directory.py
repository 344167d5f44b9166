"""A directory: for one process, shared within it, readable for its owner only."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from genai_collector.errors import ConfigError
from genai_collector.storage import Options, open_directory, shared_directory
from genai_collector.storage.directory import file_name, owner_of

LOG = logging.getLogger("test.storage")
OWNER = "exporter.otlp_http/backend"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_only_its_owner_may_read(tmp_path: Path) -> None:
    """The directory is made as 0700, every file in it as 0600, SQLite's own ones too."""
    directory = shared_directory(tmp_path / "a" / "storage", LOG)
    records = directory.records(OWNER, "queue.traces", 1 << 20)
    await directory.open(Options(), create=True, lock_timeout_s=0)
    await records.append(b"x")
    files = list(directory.path.iterdir())
    assert _mode(directory.path) == 0o700
    assert {_mode(file) for file in files} == {0o600}
    assert {file.suffix for file in files} == {"", ".db", ".db-wal", ".db-shm"}
    await directory.close()


async def test_two_users_share_the_files(tmp_path: Path) -> None:
    """While a configuration is reloaded, both have the same records; the files close with the
    last one."""
    first, second = shared_directory(tmp_path, LOG), shared_directory(tmp_path / ".", LOG)
    assert first is second
    old = first.records(OWNER, "queue.traces", 1 << 20)
    await first.open(Options(), create=False, lock_timeout_s=0)
    new = second.records(OWNER, "queue.traces", 1 << 20)
    other = second.records("exporter.other", "queue.traces", 1 << 20)
    await second.open(Options(), create=False, lock_timeout_s=0)
    await old.append(b"x")
    await other.append(b"z")
    assert new.count == 1
    await first.close()
    assert [s.data for s in await new.read()] == [b"x"]
    await second.close()


async def test_two_processes_do_not(tmp_path: Path) -> None:
    """Another process is told which directory is in use; when the first has gone, it may."""
    script = (
        "import asyncio, logging, sys\n"
        "from pathlib import Path\n"
        "from genai_collector.errors import ConfigError\n"
        "from genai_collector.storage import Options, shared_directory\n"
        "async def main():\n"
        "    directory = shared_directory(Path(sys.argv[1]), logging.getLogger())\n"
        "    await directory.open(Options(), create=False, lock_timeout_s=0.1)\n"
        "    await directory.close()\n"
        "try:\n"
        "    asyncio.run(main())\n"
        "except ConfigError as exc:\n"
        "    print(exc)\n"
    )

    def other_process() -> str:
        command = [sys.executable, "-c", script, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    directory = shared_directory(tmp_path, LOG)
    await directory.open(Options(), create=False, lock_timeout_s=0)
    assert f"{tmp_path} is in use by another collector" in other_process()
    await directory.close()
    assert other_process() == ""


@pytest.mark.parametrize("kind", ["missing", "a file"])
async def test_where_there_is_no_directory(tmp_path: Path, kind: str) -> None:
    """What is missing is only made when that is asked for; a file is never replaced."""
    path = tmp_path / "storage"
    if kind == "a file":
        path.write_text("mine")
    directory = shared_directory(path, LOG)
    with pytest.raises(ConfigError, match=str(path)):
        await directory.open(Options(), create=False, lock_timeout_s=0)


async def test_a_file_that_cannot_be_used_leaves_nothing_open(tmp_path: Path) -> None:
    """When one file is refused, the directory can be opened again later."""
    directory = shared_directory(tmp_path, LOG)
    directory.records(OWNER, "queue.traces", 1 << 20)
    path = tmp_path / file_name(OWNER)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE theirs (x)")
    with pytest.raises(ConfigError, match="not one of this program"):
        await directory.open(Options(), create=False, lock_timeout_s=0)
    path.unlink()
    await directory.open(Options(), create=False, lock_timeout_s=0)
    await directory.close()


async def test_what_nobody_owns_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Data of an exporter that has left the configuration is named at the start, and kept."""
    directory = shared_directory(tmp_path, LOG)
    directory.records(OWNER, "queue.traces", 1 << 20)
    (tmp_path / file_name("exporter.gone/1")).write_bytes(b"")
    await directory.open(Options(), create=False, lock_timeout_s=0)
    await directory.close()
    told = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert [getattr(r, "owner", "") for r in told] == ["exporter.gone/1"]


@pytest.mark.parametrize("owner", ["exporter.a/b", "x", "ü/..%2F\n", "a b"])
def test_owners_have_files(owner: str) -> None:
    """Whatever the name, its file is in the directory and tells the name."""
    name = file_name(owner)
    assert "/" not in name
    assert owner_of(name) == owner


def test_a_name_too_long_is_refused() -> None:
    """Better at the start than when the first record comes."""
    with pytest.raises(ConfigError, match="too long"):
        file_name("x" * 300)


async def test_looking_in_from_outside(tmp_path: Path) -> None:
    """The command line sees everything while a collector runs, may remove and add; the collector's
    sums follow."""
    directory = shared_directory(tmp_path, LOG)
    records = directory.records(OWNER, "dead_letters.traces", 1 << 20)
    directory.records(OWNER, "queue.traces", 1 << 20)
    await directory.open(Options(), create=False, lock_timeout_s=0)
    ids = [await records.append(b"letter %d" % n, meta=b"{}", items=2) for n in range(5)]
    with open_directory(tmp_path) as outside:
        assert outside.in_use
        assert outside.owners() == [OWNER]
        assert set(outside.names(OWNER)) == {"dead_letters.traces", "queue.traces"}
        letters = outside.records(OWNER, "dead_letters.traces")
        assert [s.data for s in letters] == [b"letter %d" % n for n in range(5)]
        assert (letters.totals.count, letters.totals.items) == (5, 10)
        found = letters.get(ids[2])
        assert found is not None
        assert (found.data, found.meta) == (b"letter 2", b"{}")
        assert letters.remove([*ids[:2], 999]) == 2
        assert letters.get(ids[0]) is None
        await records.settled()
        assert (records.count, records.items) == (3, 6)
        added = letters.append(b"by hand", items=1)
        assert [s.id for s in await records.read()] == [*ids[2:], added]
        with pytest.raises(ConfigError):
            outside.records(OWNER, "nothing")
        with pytest.raises(ConfigError):
            outside.names("nobody")
    await directory.close()
    with open_directory(tmp_path) as outside:
        assert not outside.in_use
        made = outside.records("exporter.new", "queue.logs", create=True)
        assert made.append(b"x") == 1
    with pytest.raises(ConfigError):
        open_directory(tmp_path / "nowhere")
