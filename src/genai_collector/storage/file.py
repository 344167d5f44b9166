"""One file of records and the thread that alone touches it.

Group commit: whatever waits when the thread is free goes into one transaction, with one wait for
the disk. Removals need no such wait and go with the next commit, or alone after a moment. Reading
comes after both, so that it never finds what was removed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from genai_collector.component import Stored
from genai_collector.errors import Retryable
from genai_collector.storage.database import DISK, Bad, Disk
from genai_collector.storage.keeper import Keeper
from genai_collector.storage.work import (
    Answer,
    Append,
    Counters,
    Options,
    Read,
    RecordSet,
    Removals,
    SetAside,
    Settle,
    Work,
)

GROUP_BYTES: Final = 16 * 1024 * 1024
"""Data that goes into one commit; what is more waits for the next."""
REMOVAL_DELAY_S: Final = 0.05
"""How long removals wait for a commit to go with."""

_IDLE_S: Final = 1.0


class StorageFile:
    """An owner's records. `start` before use, `stop` after; for one event loop at a time."""

    def __init__(
        self,
        path: Path,
        options: Options,
        log: logging.Logger,
        disk: Disk = DISK,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path = path
        self.counters = Counters()
        self._sets: dict[str, RecordSet] = {}
        self._keeper = Keeper(path, options, self._sets, self.counters, log, disk, now_ns)
        self._waiting: deque[Work] = deque()
        self._removals: Removals = {}
        self._remove_at: float | None = None
        self._awake = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    # ---- in the event loop -----------------------------------------------------------------

    def record_set(self, name: str) -> RecordSet:
        """The record set of that name; made with the next commit if there is none."""
        return self._sets.setdefault(name, RecordSet(name))

    def begin(self) -> None:
        """Start the thread, which opens the file with the first thing it is asked for."""
        if self._thread is None:
            self._stopping = False
            name = f"storage {self.path.name}"
            self._thread = threading.Thread(target=self._run, name=name, daemon=True)
            self._thread.start()

    async def start(self) -> None:
        """Begin, and open the file. Raises ConfigError if it is not ours or from a newer version.
        A disk that fails or is full is no reason not to start: the file is opened when it works
        again."""
        self.begin()
        try:
            with suppress(Retryable):  # which is logged
                await self.settled()
            if self._keeper.refusal is not None:
                raise self._keeper.refusal
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Do what waits, and close the file."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self._awake:
            self._stopping = True
            self._awake.notify()
        await asyncio.to_thread(thread.join)

    async def append(
        self, into: RecordSet, data: bytes, meta: bytes, items: int, compressed: bool, quota: int
    ) -> int:
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ask(Append(into, data, meta, items, compressed, quota, answer))
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                # Cancelled when it was stored already, but before hearing of it.
                self.remove(into, [answer.result()])
            raise

    async def read(self, source: RecordSet, after: int, max_bytes: int) -> list[Stored]:
        answer: asyncio.Future[list[Stored]] = asyncio.get_running_loop().create_future()
        self._ask(Read(source, after, max_bytes, answer))
        return await answer

    async def set_aside(self, source: RecordSet, bad: list[Bad]) -> None:
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ask(SetAside(source, bad, answer))
        await answer

    async def settled(self) -> None:
        """Until everything asked for so far is done, removals too."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ask(Settle(answer))
        await answer

    def remove(self, source: RecordSet, ids: Iterable[int]) -> None:
        with self._awake:
            self._removals.setdefault(source, []).extend(ids)
            if self._remove_at is None:
                self._remove_at = time.monotonic() + REMOVAL_DELAY_S
                if not self._waiting:
                    self._awake.notify()

    def _ask(self, work: Work) -> None:
        if self._thread is None:
            raise Retryable("the storage is closed")
        with self._awake:
            self._waiting.append(work)
            self._awake.notify()

    # ---- in the file's thread --------------------------------------------------------------

    def _run(self) -> None:
        going_on = True
        while going_on:
            work, removals, going_on = self._next()
            answers, removed = self._keeper.do(work, removals)
            if not removed:
                self._put_back(removals)
            self._tell(answers)
        self._keeper.close()

    def _next(self) -> tuple[list[Work], Removals, bool]:
        """What to do next, and whether there will be more after it."""
        with self._awake:
            while not self._waiting and not self._stopping:
                patience = self._patience()
                if patience is not None and patience <= 0:
                    break
                if not self._awake.wait(patience) and self._remove_at is None:
                    break  # idle
            removals, self._removals, self._remove_at = self._removals, {}, None
            work = self._take()
            return work, removals, not self._stopping or bool(self._waiting)

    def _patience(self) -> float | None:
        if self._remove_at is not None:
            return self._remove_at - time.monotonic()
        return _IDLE_S if self._keeper.has_spare else None

    def _take(self) -> list[Work]:
        taken: list[Work] = []
        size = 0
        while self._waiting and size < GROUP_BYTES:
            work = self._waiting.popleft()
            taken.append(work)
            size += len(work.data) if isinstance(work, Append) else 0
        return taken

    def _put_back(self, removals: Removals) -> None:
        """They come with the next commit, or after a while."""
        with self._awake:
            for one, ids in removals.items():
                self._removals[one] = ids + self._removals.get(one, [])
            if self._removals and not self._stopping:
                self._remove_at = time.monotonic() + _IDLE_S

    def _tell(self, answers: list[Answer]) -> None:
        loops: dict[int, tuple[asyncio.AbstractEventLoop, list[Answer]]] = {}
        for answer in answers:
            loop = answer.to.get_loop()
            loops.setdefault(id(loop), (loop, []))[1].append(answer)
        for loop, told in loops.values():
            with suppress(RuntimeError):  # nobody waits any more: the loop is closed
                loop.call_soon_threadsafe(self._resolve, told)

    # ---- back in the event loop ------------------------------------------------------------

    def _resolve(self, answers: list[Answer]) -> None:
        for answer in answers:
            outcome = answer.outcome
            if answer.to.done():
                if answer.stored_in is not None and isinstance(outcome, int):
                    # Stored for somebody who has gone away: nobody knows of it.
                    self.remove(answer.stored_in, [outcome])
            elif isinstance(outcome, BaseException):
                answer.to.set_exception(outcome)
            else:
                answer.to.set_result(outcome)
