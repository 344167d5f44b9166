"""Waiting until one of some files has another content.

Asked for once a second instead of being told: that also works for what is mounted into a container
and for links that are swapped, as Kubernetes does with a ConfigMap. A change is reported when a
second has passed without another one, so that a file which is being written is rarely read halfway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

from genai_collector.configfile.reader import MAX_BYTES

_EVERY_S: Final = 1.0


class FileWatch:
    """`paths` is asked each time: what a configuration includes may change with it."""

    def __init__(
        self,
        paths: Callable[[], Iterable[str]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._paths = paths
        self._sleep = sleep
        self._known = self._look()

    async def changed(self) -> None:
        """Return when a file has changed, has come or has gone since the last return. A path that
        was not asked for before is no change."""
        before = self._known
        while True:
            await self._sleep(_EVERY_S)
            now = await asyncio.to_thread(self._look)
            settled = now == self._known
            self._known = now
            both = now.keys() & before.keys()
            if settled and any(now[path] != before[path] for path in both):
                return

    def _look(self) -> dict[str, object]:
        return {path: content_of(path) for path in sorted(set(self._paths()))}


def content_of(path: str) -> bytes | int | None:
    """What stands for a file's content; the error's number where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return sha256(file.read(MAX_BYTES + 1)).digest()
    except OSError as exc:
        return exc.errno
