"""Files that may be replaced while the collector runs: keys, certificates, lists of users.

There is no watcher: whoever uses the file asks, and at most once a second a `stat` answers. It
follows links, so that a swapped link (as Kubernetes mounts secrets) is a change, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

MAX_BYTES: Final = 4 * 1024 * 1024
"""A larger file is refused: it is none of those."""
CHECK_EVERY_S: Final = 1.0


class _Stamp(NamedTuple):
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class WatchedFile:
    """One file. `path` may be shown; what is in it not."""

    def __init__(
        self,
        path: str,
        clock: Callable[[], float] = time.monotonic,
        *,
        every_s: float = CHECK_EVERY_S,
    ) -> None:
        self.path = path
        self._clock = clock
        self._every_s = every_s
        self._check_at = float("-inf")
        self._stamp: _Stamp | OSError | None = None
        self._content: bytes | None = None
        self._settled = False

    def due(self) -> bool:
        """Whether the next `read_if_changed` looks at the file; without I/O."""
        return self._clock() >= self._check_at

    def read_if_changed(self) -> bytes | None:
        """The content if it is another than last time (the first time: if there is any file), None
        if not or if it is not time to look yet. Blocks for a `stat`, and a read after a change.

        Raises OSError when it has become unreadable: once, not at every look until that changes.
        """
        if not self.due():
            return None
        self._check_at = self._clock() + self._every_s
        try:
            return self._look()
        except OSError as exc:
            known, self._stamp = self._stamp, exc
            if isinstance(known, OSError) and known.errno == exc.errno:
                return None
            raise

    def _look(self) -> bytes | None:
        found = Path(self.path).stat()
        stamp = _Stamp(
            found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        )
        if stamp == self._stamp and self._settled:
            return None
        # Read once more at the next look: a second write within one tick of the file system's
        # clock, or while we read, leaves no other trace.
        self._settled = stamp == self._stamp
        content = _read(self.path)
        self._stamp = stamp
        if content == self._content:
            return None
        self._content = content
        return content


def _read(path: str) -> bytes:
    with Path(path).open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(0, f"is larger than {MAX_BYTES} bytes")
    return content
