"""What an error of SQLite means: no room, a failing disk, or a damaged file."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Final

from genai_collector.errors import Retryable, StorageFull

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
RETRY_AFTER_S: Final = 10.0
"""When to ask a full or failing disk again."""


def _code(exc: BaseException) -> int:
    code: int = getattr(exc, "sqlite_errorcode", 0)
    return code & 0xFF


def is_damage(exc: BaseException) -> bool:
    """Whether the file is not what it should be."""
    if isinstance(exc, sqlite3.Error) and _code(exc) in _DAMAGED:
        return True
    # A table that should be there and is not: the schema is damaged.
    return isinstance(exc, sqlite3.OperationalError) and "no such table" in str(exc)


def is_no_room(exc: BaseException) -> bool:
    if isinstance(exc, OSError):
        return exc.errno in _NO_ROOM
    return isinstance(exc, sqlite3.Error) and _code(exc) == sqlite3.SQLITE_FULL


def as_retryable(exc: BaseException, path: Path) -> Retryable:
    """The error for whoever wanted something stored. Says nothing of the path: it goes to
    senders, too."""
    if isinstance(exc, Retryable):
        return exc
    if is_no_room(exc):
        return StorageFull("the disk is full", retry_after=RETRY_AFTER_S)
    name = getattr(exc, "sqlite_errorname", type(exc).__name__)
    return Retryable(f"the storage fails ({name}, {path.name})", retry_after=RETRY_AFTER_S)
