"""What the `langfuse` receiver has acknowledged outlives it, where a storage is configured."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.errors import ConfigError, Retryable
from genai_collector.formats.langfuse.decode import Source
from genai_collector.formats.langfuse.values import JSON
from genai_collector.receivers.langfuse.assembly import Assembly, Emission, Weighed
from genai_collector.receivers.langfuse.config import AssemblyConfig
from genai_collector.receivers.langfuse.journal import Journal
from genai_collector.receivers.langfuse.late import LATE_UPDATE
from tests.receivers.langfuse_harness import ALL, PROJECTS, Running, basic, made, receiving
from tests.support.fakes import FakeClock
from tests.support.records import MemoryRecords, MemoryStorage

Object = dict[str, JSON]
PATIENT = {"assembly": {"settle_time": "1h", "max_wait": "2h", "storage": "file_storage"}}
PROMPT = {"assembly": {"settle_time": "0s", "max_wait": "2h", "storage": "file_storage"}}


def event(kind: str, key: str, at: int, **body: JSON) -> Object:
    return {
        "id": f"{kind}-{key}-{at}",
        "type": kind,
        "timestamp": f"2025-01-01T00:00:{at:02d}.000Z",
        "body": {"id": key, **body},
    }


OPENED = event("generation-create", "g", 1, traceId="t", name="chat", input="question")
ENDED = event(
    "generation-update", "g", 5, traceId="t", output="answer", endTime="2025-01-01T00:00:05.000Z"
)
TRACE = event("trace-create", "t", 0, name="request", userId="u")


@asynccontextmanager
async def doomed(config: Mapping[str, Any], storage: MemoryStorage) -> AsyncIterator[Running]:
    """A receiver that ends as in a crash: it stops, and does nothing of what it does at the end."""
    receiver, consumers, telemetry = made(config, ALL, storage)
    await receiver.__aenter__()
    try:
        yield Running(receiver, consumers, telemetry, receiver.endpoints()[0])
    finally:
        assert receiver._emitting is not None
        assert receiver._own_listeners is not None
        receiver._emitting.cancel()
        await asyncio.gather(receiver._emitting, return_exceptions=True)
        await receiver._own_listeners.stop(0)
        for records in storage.all.values():  # a new process has new locks
            records._reader = asyncio.Lock()


async def send(house: Running, *events: Object) -> int:
    answer = await house.send("ingestion", {"batch": list(events)})
    return answer.status


async def test_what_waits_survives_a_crash() -> None:
    """Created before and ended after a crash: one span, with what was said on both sides."""
    storage = MemoryStorage()
    async with doomed(PATIENT, storage) as house:
        assert await send(house, TRACE, OPENED) == 207
    assert not house.spans
    async with receiving(PROMPT, storage=storage) as house:
        assert await send(house, ENDED) == 207
        await house.until(spans=1)
    (span,) = house.spans
    assert span.attributes["langfuse.observation.input"] == "question"
    assert span.attributes["langfuse.observation.output"] == "answer"
    assert span.attributes["langfuse.trace.name"] == "request"


async def test_what_became_a_span_is_not_sent_again() -> None:
    """After a crash the span that was delivered stays one span, and its update is a late one."""
    storage = MemoryStorage()
    async with doomed(PROMPT, storage) as house:
        await send(house, TRACE, OPENED, ENDED)
        await house.until(spans=1)
        events = storage.records("receiver.langfuse", "events")
        while events.count > 1:  # the trace's own event waits for more spans  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    late = event("generation-update", "g", 9, traceId="t", metadata={"a": 1})
    async with receiving(PROMPT, storage=storage) as house:
        await send(house, late)
        await house.until(logs=1)
    assert not house.spans
    assert [log.event_name for log in house.logs] == [LATE_UPDATE]


async def test_a_retry_after_the_crash_is_known() -> None:
    """A client that never heard of its success sends again; the events count once."""
    storage = MemoryStorage()
    async with doomed(PATIENT, storage) as house:
        await send(house, TRACE, OPENED, ENDED)
    async with receiving(PROMPT, storage=storage) as house:
        assert await send(house, TRACE, OPENED, ENDED) == 207
        await house.until(spans=1)
    assert len(house.spans) == 1
    assert not house.logs


async def test_leaving_keeps_what_is_not_complete() -> None:
    """A planned restart cuts no observation in two: what is open waits on disk."""
    storage = MemoryStorage()
    async with receiving(PATIENT, storage=storage) as house:
        await send(house, TRACE, OPENED)
    assert not house.spans
    async with receiving(PROMPT, storage=storage) as house:
        await send(house, ENDED)
        await house.until(spans=1)
    assert house.spans[0].attributes["langfuse.observation.input"] == "question"


async def test_a_disk_that_refuses_refuses_the_request() -> None:
    """503 and nothing taken; the same request is welcome when there is room again."""
    storage = MemoryStorage()
    async with receiving(PROMPT, storage=storage) as house:
        events = storage.records("receiver.langfuse", "events")
        events.full = True
        assert await send(house, TRACE, OPENED, ENDED) == 503
        assert not events.count
        events.full = False
        assert await send(house, TRACE, OPENED, ENDED) == 207
        await house.until(spans=1)
    assert len(house.spans) == 1


class _Slow(MemoryRecords):
    """The second append is answered late."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.go_on = asyncio.Event(), asyncio.Event()

    async def append(
        self, data: bytes, *, meta: bytes = b"", items: int = 0, compressed: bool = False
    ) -> int:
        number = await super().append(data, meta=meta, items=items, compressed=compressed)
        if number > 1:
            await self.go_on.wait()
        self.first.set()
        return number


async def test_what_comes_during_a_replay_is_not_replayed() -> None:
    """A record is of this life as soon as it is stored, not when its whole request is: replayed,
    its events would count as a repetition, and be forgotten on disk while they wait in memory."""
    records = _Slow()
    journal = Journal(records, MemoryRecords())
    source = Source("web", "python", "2.60.10")
    keeping = asyncio.create_task(journal.keep(source, [Weighed(TRACE, 1), Weighed(OPENED, 1)]))
    await records.first.wait()
    stored_so_far = [1]
    replayed = [
        entry
        async for _, kept in journal.replay()
        for one in kept
        for entry in one.entries
        if entry in stored_so_far
    ]
    records.go_on.set()
    assert [one.entries for one in await keeping] == [(1,), (2,)]
    assert replayed == []


async def test_scores_and_projects_survive() -> None:
    """A score that waits for a pipeline comes after a crash, with the project it was sent to."""
    storage = MemoryStorage()
    config = {**PROMPT, "projects": PROJECTS}
    score = event("score-create", "s", 1, traceId="t", name="good", value=1)
    async with doomed(config, storage) as house:
        for consumer in house.consumers.values():
            consumer.refuse = Retryable("not now")
        answer = await house.send("ingestion", {"batch": [score]}, headers=basic("pk-2", "sk-2"))
        assert answer.status == 207
    async with receiving(config, storage=storage) as house:
        await house.until(logs=1)
    assert house.logs[0].resource.attributes["langfuse.project.name"] == "batch"


async def test_nothing_is_left_on_disk_in_the_end() -> None:
    """When all is delivered and the trace is over, no event is kept."""
    storage = MemoryStorage()
    config = {"assembly": {**PROMPT["assembly"], "max_wait": "10ms"}}
    async with receiving(config, storage=storage) as house:
        await send(house, TRACE, OPENED, ENDED)
        await house.until(spans=1)
        events = storage.records("receiver.langfuse", "events")
        while events.count:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def test_the_storage_must_be_there() -> None:
    """An extension that is not configured is named, with the option that asks for it."""
    with pytest.raises(ConfigError, match=r"assembly\.storage"):
        made(PROMPT)


# ---- laws ------------------------------------------------------------------------------------


class Life:
    """Assembly and journal over records that outlive them; every emission is settled, or not."""

    def __init__(self, events: MemoryRecords, emitted: MemoryRecords, clock: FakeClock) -> None:
        self.journal = Journal(events, emitted)
        config = {"settle_time": "1s", "max_wait": "20s"}
        self.assembly = Assembly(AssemblyConfig.model_validate(config), clock)
        self.spans: list[bytes] = []
        self.late = 0

    async def begin(self) -> None:
        async for left in self.journal.emitted():
            self.assembly.remember_left(left)
        async for source, events in self.journal.replay():
            await self.emit(self.assembly.take(source, events))

    async def take(self, events: list[Object]) -> None:
        kept = await self.journal.keep(Source("p"), [Weighed(one, 10) for one in events])
        await self.emit(self.assembly.take(Source("p"), kept))

    async def emit(self, emission: Emission) -> None:
        self.spans += [span.span_id for span in emission.spans]
        self.late += emission.late
        await self.journal.settle([emission])


OBSERVATIONS = 6


def everything() -> list[Object]:
    found = [event("trace-create", "t", 0, name="request")]
    for number in range(OBSERVATIONS):
        key = f"g{number}"
        end = "2025-01-01T00:00:30.000Z"
        found.append(event("span-create", key, 1, traceId="t", name=key, parentObservationId="x"))
        found.append(event("span-update", key, 2, traceId="t", endTime=end, output=key))
    return found


@given(st.integers(0, 2**32), st.lists(st.sampled_from(["send", "wait", "crash"]), max_size=40))
@settings(max_examples=150, deadline=None)
def test_crashes_neither_lose_nor_double(seed: int, steps: list[str]) -> None:
    """Whatever the order of requests, pauses and crashes: every observation is one span."""

    async def live() -> tuple[Counter[bytes], int]:
        chance = random.Random(seed)
        left = everything()
        chance.shuffle(left)
        events, emitted, clock = MemoryRecords(), MemoryRecords(), FakeClock()
        life = Life(events, emitted, clock)
        spans: Counter[bytes] = Counter()
        for step in [*steps, *["send"] * len(left)]:
            if step == "send" and left:
                size = chance.randint(1, 4)
                await life.take(left[:size])
                del left[:size]
            elif step == "wait":
                clock.advance(2)
                await life.emit(life.assembly.due())
            elif step == "crash":
                spans.update(life.spans)
                life = Life(events, emitted, clock)
                await life.begin()
        clock.advance(100)
        await life.emit(life.assembly.due())
        spans.update(life.spans)
        return spans, events.count

    spans, kept = asyncio.run(live())
    observations = {f"g{number}" for number in range(OBSERVATIONS)}
    assert len(spans) == len(observations)
    assert set(spans.values()) == {1}
    assert kept == 0
