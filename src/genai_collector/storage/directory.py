"""A directory of files, one per owner, for this process alone.

Within a process everyone who asks for the same directory gets the same: while a configuration is
reloaded, the old and the new one use the same files. It is open while anyone has it open. Other
processes are kept out by a lock on a file in it, which the system lets go of when its holder dies.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote
from weakref import WeakValueDictionary

from genai_collector.errors import ConfigError
from genai_collector.storage.file import StorageFile
from genai_collector.storage.records import FileRecords
from genai_collector.storage.work import Options

SUFFIX: Final = ".db"
LOCK_NAME: Final = "lock"
_MAX_NAME_BYTES: Final = 200
_LOCK_PAUSE_S: Final = 0.05


class Directory:
    """The files of one directory. `open` as often as you like, `close` as often."""

    def __init__(self, path: Path, log: logging.Logger) -> None:
        self.path = path
        self._log = log
        self._options = Options()
        self._files: dict[str, StorageFile] = {}
        self._users = 0
        self._lock_fd: int | None = None
        self._changing = asyncio.Lock()

    @property
    def files(self) -> Mapping[str, StorageFile]:
        """By owner."""
        return MappingProxyType(self._files)

    def records(self, owner: str, name: str, quota: int) -> FileRecords:
        """The records of that name of an owner. Their file is opened with the directory, or when
        it is used first if that is open already."""
        return FileRecords(self._file(owner), name, quota)

    def _file(self, owner: str) -> StorageFile:
        if owner not in self._files:
            path = self.path / file_name(owner)
            self._files[owner] = StorageFile(path, self._options, self._log)
        if self._users:
            self._files[owner].begin()
        return self._files[owner]

    async def open(self, options: Options, *, create: bool, lock_timeout_s: float) -> None:
        """Lock the directory and open the files of all who have asked for records. The options of
        whoever comes last hold. Raises ConfigError."""
        async with self._changing:
            if not self._users:
                _make_directory(self.path, create)
                self._lock_fd = await _lock(self.path, lock_timeout_s)
            self._users += 1
            self._options.fsync, self._options.timeout_s = options.fsync, options.timeout_s
            try:
                for file in self._files.values():
                    await file.start()
            except BaseException:
                await self._leave()
                raise
            if self._users == 1:
                self._report_what_nobody_owns()

    def _report_what_nobody_owns(self) -> None:
        message = "There is data on disk whose owner is not in the configuration; it stays there."
        for file in sorted(self.path.glob(f"*{SUFFIX}")):
            owner = owner_of(file.name)
            if owner not in self._files:
                self._log.warning(message, extra={"owner": owner, "file": str(file)})

    async def close(self) -> None:
        """When the last one has closed: write what waits, close all files, unlock."""
        async with self._changing:
            await self._leave()

    async def _leave(self) -> None:
        self._users -= 1
        if self._users:
            return
        try:
            await asyncio.gather(*(file.stop() for file in self._files.values()))
        finally:
            if self._lock_fd is not None:
                os.close(self._lock_fd)
                self._lock_fd = None


_OPEN: WeakValueDictionary[Path, Directory] = WeakValueDictionary()


def shared_directory(path: Path, log: logging.Logger) -> Directory:
    """The one `Directory` of this process for this path."""
    path = path.expanduser().resolve()
    found = _OPEN.get(path)
    if found is None:
        found = _OPEN[path] = Directory(path, log)
    return found


def file_name(owner: str) -> str:
    """The name of an owner's file; `owner_of` is its inverse. Raises ConfigError if too long."""
    name = quote(owner, safe=" ") + SUFFIX
    if len(name) > _MAX_NAME_BYTES:
        raise ConfigError(f"the name {owner!r} is too long for a file")
    return name


def owner_of(name: str) -> str:
    return unquote(name.removesuffix(SUFFIX))


def _make_directory(path: Path, create: bool) -> None:
    if path.is_dir():
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise ConfigError(f"{path}: not readable and writable for this user")
        return
    if path.exists():
        raise ConfigError(f"{path} is not a directory")
    if not create:
        raise ConfigError(f"{path}: no such directory (create_directory: true makes it)")
    try:
        path.mkdir(mode=0o700, parents=True)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be made: {exc.strerror}") from exc


def try_lock(path: Path) -> int | None:
    """A file descriptor that holds the lock until it is closed; None if another process has it."""
    fd = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


async def _lock(path: Path, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> int:
    give_up_at = clock() + timeout_s
    while True:
        try:
            fd = try_lock(path)
        except OSError as exc:
            raise ConfigError(f"{path}: cannot be locked: {exc.strerror}") from exc
        if fd is not None:
            return fd
        if clock() >= give_up_at:
            raise ConfigError(f"{path} is in use by another collector; give each its own directory")
        await asyncio.sleep(_LOCK_PAUSE_S)
