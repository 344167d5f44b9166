"""Records on this machine's disk, for whoever must not lose them: queues, dead letters, journals.

    extensions:
      file_storage:
        directory: /var/lib/genai-collector
    exporters:
      otlp_http:
        sending_queue:
          storage: file_storage
    service:
      extensions: [file_storage]

One SQLite file per owner (docs/durability.md). The keys are otelcol's where it has them; where a
default differs, the docstring of the option says why.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import Field, field_validator

from genai_collector.component import ByteSize, Config, Context, Duration, ExtensionFactory
from genai_collector.storage import FileRecords, Options, shared_directory


class FileStorageConfig(Config):
    """Where, and how carefully."""

    directory: str
    """Where the files are; each collector needs its own. otelcol has a default that exists on no
    machine (`/var/lib/otelcol/file_storage`); here it must be said."""
    create_directory: bool = True
    """Make it, readable for this user only, if it is not there. otelcol: false."""
    fsync: bool = True
    """Whether "accepted" means that the disk has it. Without, a crash of the collector still loses
    nothing, but a crash of the machine loses what came last. otelcol: false."""
    quota: ByteSize = Field(default=1 << 30, ge=1 << 20)
    """Bytes, compressed, that each queue, journal or dead-letter store may have that does not say
    so itself. Who needs more is refused, and its sender is told to come again."""
    timeout: Duration = 1.0
    """How long to wait for a directory that another process has locked, or for a file that the
    command line is using."""
    compaction: dict[str, Any] | None = None
    """Accepted for compatibility, without effect: free space is used again, and given back to the
    disk when there is much of it."""
    recreate: bool = True
    """Accepted for compatibility; only `true`: a damaged file is always set aside and made anew
    from what can be read of it."""

    @field_validator("recreate")
    @classmethod
    def _always(cls, recreate: bool) -> bool:
        if not recreate:
            raise ValueError("a damaged file is always set aside, and kept: leave this out")
        return recreate

    @field_validator("directory")
    @classmethod
    def _said(cls, directory: str) -> str:
        if not directory.strip() or "\0" in directory:
            raise ValueError("expected a path")
        return directory

    def warnings(self) -> list[str]:
        found = [] if (cannot := _cannot_be_used(self.directory)) is None else [cannot]
        if self.compaction is not None:
            found += ["compaction has no effect here: space is used again and given back by itself"]
        return found


def _cannot_be_used(directory: str) -> str | None:
    """Why not, as far as that can be told without making it."""
    path = Path(directory).expanduser().resolve()
    if not os.path.lexists(path):
        path = next(parent for parent in path.parents if os.path.lexists(parent))
    if not path.is_dir():
        return f"{path} is no directory on this machine"
    if not os.access(path, os.W_OK | os.X_OK):
        return f"this user cannot write to {path} on this machine"
    return None


class FileStorage:
    """A `component.Storage`. Two of the same directory, as while a configuration is reloaded, share
    the files."""

    def __init__(self, config: FileStorageConfig, context: Context) -> None:
        self._config = config
        self._telemetry = context.telemetry
        self._watched: set[str] = set()
        self._entered = False
        self._directory = shared_directory(Path(config.directory), context.log)

    def records(self, owner: str, name: str, quota: int | None = None) -> FileRecords:
        found = self._directory.records(owner, name, self._config.quota if quota is None else quota)
        if self._entered:  # by what a changed configuration has added
            self._watch()
        return found

    def _watch(self) -> None:
        for owner, file in self._directory.files.items():
            if owner not in self._watched:
                self._watched.add(owner)
                self._telemetry.watch_storage(owner, file.counters.as_dict)

    async def __aenter__(self) -> Self:
        config = self._config
        options = Options(config.fsync, config.timeout)
        await self._directory.open(
            options, create=config.create_directory, lock_timeout_s=config.timeout
        )
        self._entered = True
        self._watch()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered = False
        await self._directory.close()


FACTORY = ExtensionFactory("file_storage", FileStorageConfig, FileStorage)
