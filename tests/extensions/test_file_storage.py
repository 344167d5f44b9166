"""The extension: its options, its files, and two of them on one directory."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from genai_collector.component import Storage
from genai_collector.errors import ConfigError
from genai_collector.extensions.file_storage import FACTORY, FileStorage, FileStorageConfig
from genai_collector.storage import open_directory
from tests.support.fakes import CountingTelemetry, make_context

OWNER, NAME = "exporter.out", "queue.traces"


def storage(path: Path, **options: Any) -> FileStorage:
    config = FileStorageConfig.model_validate({"directory": str(path), **options})
    return FileStorage(config, make_context("file_storage"))


def test_it_is_a_storage(tmp_path: Path) -> None:
    """Others find it by what it can do, and building it touches nothing."""
    assert isinstance(storage(tmp_path / "a"), Storage)
    assert not (tmp_path / "a").exists()
    assert FACTORY.name == "file_storage"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "directory"),
        ({"directory": " "}, "expected a path"),
        ({"directory": "x", "recreate": False}, "leave this out"),
        ({"directory": "x", "quota": 5}, "greater than or equal to"),
        ({"directory": "x", "max_size": 5}, "max_size"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], message: str) -> None:
    """A directory must be said, a damaged file is always set aside, no key is ignored silently."""
    with pytest.raises(ValidationError, match=message):
        FileStorageConfig.model_validate(options)


def test_compaction_is_accepted_with_a_warning() -> None:
    """Whoever comes from otelcol hears that it has no effect."""
    config = FileStorageConfig.model_validate(
        {"directory": "x", "compaction": {"on_start": True, "directory": "/tmp"}}
    )
    assert [text for text in config.warnings() if "compaction" in text]
    assert FileStorageConfig(directory="x").warnings() == []


async def test_records_survive(tmp_path: Path) -> None:
    """What one life appends the next one reads; the quota is the storage's, or the asker's."""
    first = storage(tmp_path / "deep" / "a", quota="2MiB")
    records = first.records(OWNER, NAME)
    assert records.quota == 2 << 20
    assert first.records(OWNER, NAME, 5000).quota == 5000
    async with first:
        await records.append(b"x", items=3)
    again = storage(tmp_path / "deep" / "a")
    records = again.records(OWNER, NAME)
    async with again:
        assert (records.count, records.items) == (1, 3)


async def test_a_reload_shares_the_files(tmp_path: Path) -> None:
    """The new one starts while the old one runs, and goes on when that has gone."""
    old, new = storage(tmp_path), storage(tmp_path, fsync=False)
    async with new:
        mine = new.records(OWNER, NAME)
        async with old:
            await old.records(OWNER, NAME).append(b"x")
        await mine.append(b"y")
        assert [s.data for s in await mine.read()] == [b"x", b"y"]


async def test_what_is_asked_for_while_it_is_open(tmp_path: Path) -> None:
    """A reload that leaves the storage as it is may add an exporter: its records work at once."""
    async with storage(tmp_path) as running:
        records = running.records("exporter.new", NAME)
        assert await records.append(b"x") == 1
        assert "exporter.new" in running._watched


async def test_a_directory_in_use(tmp_path: Path) -> None:
    """What keeps it from starting names the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=str(tmp_path / "file")):
        async with storage(tmp_path / "file"):
            pass
    with pytest.raises(ConfigError, match="no such directory"):
        async with storage(tmp_path / "none", create_directory=False):
            pass


async def test_what_it_does_is_counted(tmp_path: Path) -> None:
    """Each owner's file is watched."""
    seen: dict[str, Any] = {}

    class Telemetry(CountingTelemetry):
        def watch_storage(self, owner: str, counts: Any) -> None:
            seen[owner] = counts

    made = FileStorage(
        FileStorageConfig(directory=str(tmp_path)),
        make_context("file_storage", telemetry=Telemetry()),
    )
    records = made.records(OWNER, NAME)
    async with made:
        await asyncio.gather(*(records.append(b"x") for _ in range(5)))
        assert seen[OWNER]()["syncs"] >= 1
    with open_directory(tmp_path) as outside:
        assert outside.records(OWNER, NAME).totals.count == 5
