"""What was acknowledged and is not yet in the pipelines, on disk.

A client has its answer before its events are spans, so they must survive a crash in between. The
events of one request are kept as one record per observation, trace or score; a record goes when all
of its events have gone into the pipelines as spans or log records. Which observations became spans
is kept beside them (the newest `remembered_ids`), so that an update which comes after a restart is
still known to be late, and what was on its way when the collector died is not sent again under
another form.

Without a storage nothing is kept, and events that wait die with the process.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple, cast

from genai_collector.component import Records, Stored
from genai_collector.delivery.reading import read_all
from genai_collector.errors import PipelineError, Retryable
from genai_collector.formats.langfuse.decode import Source
from genai_collector.formats.langfuse.ingestion import load_json
from genai_collector.formats.langfuse.merge import Object, entity_of
from genai_collector.formats.langfuse.values import JSON
from genai_collector.formats.langfuse.wire import encode_batch
from genai_collector.receivers.langfuse.assembly import Emission, Left, Weighed


class Replayed(NamedTuple):
    """A record of an earlier life."""

    source: Source
    events: list[Weighed]


class Journal:
    """Keeps events until they are settled. Without records every call does nothing."""

    def __init__(
        self,
        events: Records | None = None,
        emitted: Records | None = None,
        remembered_ids: int = 100_000,
        lost: Callable[[int], None] = lambda _items: None,
    ) -> None:
        """`lost` hears how many events are on disk and cannot be read."""
        self._lost = lost
        self._events = events
        self._emitted = emitted
        self._remembered_ids = remembered_ids
        self._open: Counter[int] = Counter()
        """Record -> its events that are not settled."""
        self._notes: deque[tuple[int, int]] = deque()
        """Records of emitted observations, oldest first, with how many they name."""
        self._noted = 0
        self._carried: set[int] = set()
        """Records of what the spans of an earlier life have told of their traces."""
        self._writing = 0
        self._written = asyncio.Event()
        self._written.set()

    @property
    def keeps(self) -> bool:
        """Whether what waits when the receiver is left is on disk."""
        return self._events is not None

    async def keep(self, source: Source, events: Sequence[Weighed]) -> list[Weighed]:
        """The events with the entries under which they are on disk. Raises Retryable when the disk
        does not take them; then none is there."""
        if self._events is None:
            return list(events)
        with self._busy():
            return await self._keep(self._events, source, events)

    @contextmanager
    def _busy(self) -> Iterator[None]:
        """`release` waits for what is inside."""
        self._writing += 1
        self._written.clear()
        try:
            yield
        finally:
            self._writing -= 1
            if not self._writing:
                self._written.set()

    async def _keep(
        self, records: Records, source: Source, events: Sequence[Weighed]
    ) -> list[Weighed]:
        groups: dict[tuple[str, str], list[Object]] = {}
        for event, *_ in events:
            about = entity_of(event)
            if about is not None:
                groups.setdefault(about, []).append(event)
        meta = json.dumps(source).encode()
        appends = [
            asyncio.ensure_future(self._append(records, group, meta)) for group in groups.values()
        ]
        try:
            entries = await self._all_or_none(appends)
        except BaseException:
            stored = [one.result() for one in appends if one.done() and not _failed(one)]
            records.remove(stored)
            for entry in stored:
                del self._open[entry]
            raise
        entries_of = {about: (entry,) for about, entry in zip(groups, entries, strict=True)}
        return [
            Weighed(event, weight, entries_of[about] if about else ())
            for event, weight, *_ in events
            for about in [entity_of(event)]
        ]

    @staticmethod
    async def _all_or_none(appends: Sequence[asyncio.Future[int]]) -> list[int]:
        """Ends when all have ended, also if it is cancelled."""
        done = await asyncio.gather(*appends, return_exceptions=True)
        failed = next((one for one in done if isinstance(one, BaseException)), None)
        if failed is not None:
            raise failed
        return [one for one in done if isinstance(one, int)]

    async def _append(self, records: Records, group: list[Object], meta: bytes) -> int:
        entry = await records.append(encode_batch(group), meta=meta, items=len(group))
        # At once, not when the others are stored too: a replay may be reading just now.
        self._open[entry] = len(group)
        return entry

    async def settle(self, emissions: Iterable[Emission]) -> None:
        """These are in the pipelines."""
        if self._events is None:
            return
        with self._busy():
            for emission in emissions:
                finished = [entry for entry in emission.entries if self._is_last(entry)]
                if emission.left:
                    await self._note(emission, finished)
                self._events.remove(finished)

    def _is_last(self, entry: int) -> bool:
        """Whether no event of the record is left after this one."""
        self._open[entry] -= 1
        if self._open[entry] > 0:
            return False
        del self._open[entry]
        return True

    async def _note(self, emission: Emission, finished: Sequence[int]) -> None:
        assert self._emitted is not None
        note = {"spans": emission.left, "finished": finished, "carried": emission.carried}
        spans = len(emission.left)
        try:
            number = await self._emitted.append(json.dumps(note).encode(), items=spans)
        except PipelineError:
            return  # a full disk: at worst something is sent twice after a crash
        self._remember(number, spans)

    def _remember(self, number: int, spans: int) -> None:
        assert self._emitted is not None
        self._notes.append((number, spans))
        self._noted += spans
        while self._noted > self._remembered_ids and len(self._notes) > 1:
            oldest, left = self._notes.popleft()
            self._noted -= left
            self._emitted.remove([oldest])

    # ---- an earlier life -----------------------------------------------------------------------

    async def acquire(self) -> None:
        """Wait until an earlier owner in this process (before a reload) has let go."""
        if self._events is not None:
            await self._events.acquire()

    async def release(self) -> None:
        """Let the next owner read, once everything that is being written is."""
        if self._events is not None:
            await self._written.wait()
            self._events.release()

    async def emitted(self) -> AsyncIterator[Left]:
        """The observations that became spans; ask for these first."""
        if self._emitted is None or self._events is None:
            return
        async for stored in read_all(self._emitted):
            try:
                note = json.loads(stored.data)
                spans = [Left(*fields) for fields in note["spans"]]
                finished, carried = [int(n) for n in note["finished"]], set(note["carried"])
            except (ValueError, KeyError, TypeError):
                await _set_aside(self._emitted, [stored.id])
                continue
            self._remember(stored.id, stored.items)
            self._events.remove(finished)
            self._carried |= carried
            for left in spans:
                yield left

    async def replay(self) -> AsyncIterator[Replayed]:
        """What was kept and not settled, in order."""
        if self._events is None:
            return
        async for stored in read_all(self._events):
            if stored.id in self._open:
                continue  # of this life: it came while we read
            try:
                found = self._read(stored)
            except (PipelineError, ValueError, KeyError, TypeError, AttributeError):
                self._lost(stored.items)
                await _set_aside(self._events, [stored.id])
                continue
            self._open[stored.id] = len(found.events)
            yield found
        self._carried.clear()

    def _read(self, stored: Stored) -> Replayed:
        """What is in a record. Raises several errors for one that is not ours."""
        batch = cast("dict[str, list[JSON]]", load_json(stored.data))["batch"]
        events = cast("list[Object]", batch)
        if not all(entity_of(event) for event in events):
            raise ValueError("these are no events")
        weight = max(1, len(stored.data) // max(1, len(events)))
        carried = stored.id in self._carried
        weighed = [Weighed(event, weight, (stored.id,), carried) for event in events]
        return Replayed(Source(*json.loads(stored.meta)), weighed)

    async def set_aside(self, events: Sequence[Weighed]) -> None:
        """These were replayed and are of no use."""
        if self._events is not None:
            self._lost(len(events))
            await _set_aside(self._events, {entry for one in events for entry in one.entries})


async def _set_aside(records: Records, ids: Iterable[int]) -> None:
    with suppress(Retryable):  # then it is there at the next start, too
        await records.set_aside(ids, "it is not a record of this version")


def _failed(append: asyncio.Future[int]) -> bool:
    return append.cancelled() or append.exception() is not None
