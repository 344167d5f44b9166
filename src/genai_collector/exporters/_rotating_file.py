"""A file that grows by whole writes, and steps aside when it is full.

Synchronous; called in threads, one write at a time. A write that fails half-way is taken back, so
that a reader never meets a torn line in the middle of a file.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import FileIO
from pathlib import Path
from typing import Final

_STAMP: Final = "%Y-%m-%dT%H-%M-%S.%f"
_STAMP_LENGTH: Final = len("2026-01-31T23-59-59.123")


@dataclass(frozen=True, slots=True)
class Limits:
    """When a file steps aside and how many are kept; 0 = no limit."""

    max_bytes: int = 0
    max_backups: int = 0
    max_days: int = 0
    localtime: bool = False


class RotatingFile:
    """Appends to `path`; a full file becomes `name-2026-01-31T23-59-59.123.suffix`."""

    def __init__(
        self,
        path: Path,
        *,
        append: bool,
        lines: bool,
        limits: Limits,
        now_ns: Callable[[], int],
    ) -> None:
        self._path = path
        self._append = append
        self._lines = lines
        self._limits = limits
        self._now_ns = now_ns
        self._file: FileIO | None = None
        self._size = 0
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """All of it, or nothing and an OSError."""
        with self._lock:
            file = self._current()
            limit = self._limits.max_bytes
            if limit and self._size and self._size + len(data) > limit:
                self._rotate()
                file = self._current()
            try:
                _write_all(file, data)
            except OSError:
                with suppress(OSError):
                    file.truncate(self._size)
                self._close()
                raise
            self._size += len(data)

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    def _current(self) -> FileIO:
        if self._file is not None and self._was_moved(self._file):
            self._close()
        if self._file is None:
            self._file = self._open()
        return self._file

    def _was_moved(self, file: FileIO) -> bool:
        # Somebody else may rotate too, or clean up: then a new file is begun.
        try:
            there = os.stat(self._path)  # noqa: PTH116  Path.stat is the same, only slower
        except FileNotFoundError:
            return True
        return not os.path.samestat(there, os.fstat(file.fileno()))

    def _open(self) -> FileIO:
        file = FileIO(self._path, "ab" if self._append else "wb")
        self._append = True  # only a start truncates
        self._size = os.fstat(file.fileno()).st_size
        if self._lines and self._size and _last_byte(self._path) != b"\n":
            # What was torn by a crash stays a line of its own.
            _write_all(file, b"\n")
            self._size += 1
        return file

    def _rotate(self) -> None:
        self._close()
        self._path.rename(self._backup_name())
        self._prune()

    def _now(self) -> datetime:
        now = datetime.fromtimestamp(self._now_ns() // 1_000_000 / 1000, tz=UTC)
        return now.astimezone() if self._limits.localtime else now

    def _backup_name(self) -> Path:
        now = self._now()
        while True:
            stamp = now.strftime(_STAMP)[:_STAMP_LENGTH]
            name = self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")
            if not name.exists():
                return name
            now += timedelta(milliseconds=1)

    def _backups(self) -> list[tuple[datetime, Path]]:
        """Oldest first; only files whose names are ours."""
        stem, suffix = f"{self._path.stem}-", self._path.suffix
        found = []
        for path in self._path.parent.iterdir():
            if not (path.name.startswith(stem) and path.name.endswith(suffix)):
                continue
            stamp = path.name[len(stem) : len(path.name) - len(suffix)]
            with suppress(ValueError):
                at = datetime.strptime(stamp, _STAMP)  # noqa: DTZ007  the zone is in `localtime`
                found.append((at, path))
        return sorted(found)

    def _prune(self) -> None:
        backups = self._backups()
        limits = self._limits
        if limits.max_days:
            oldest = self._now().replace(tzinfo=None) - timedelta(days=limits.max_days)
            surplus = [path for at, path in backups if at < oldest]
        else:
            surplus = []
        if limits.max_backups:
            surplus += [path for _, path in backups[: -limits.max_backups]]
        for path in surplus:
            path.unlink(missing_ok=True)


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        # A full disk may take a part first and refuse the rest.
        view = view[file.write(view) or 0 :]


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1)
