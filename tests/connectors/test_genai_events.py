"""Spans and events that wait for each other: order, time, memory, refusals, disk."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.component import (
    ACCEPTED,
    Acceptance,
    Consumer,
    Context,
    Destination,
    Stored,
)
from genai_collector.connectors.genai_events import GenaiEvents, GenaiEventsConfig
from genai_collector.conventions import read_observation
from genai_collector.conventions.content import event_name
from genai_collector.errors import Permanent, QueueFull, Retryable, StorageFull
from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import Attributes, Batch, LogRecord, Signal, Span
from tests.connectors.recorded import FOLDERS, recorded_batches
from tests.support.builders import log_record, span
from tests.support.fakes import CountingTelemetry, loop_time, make_context, run_virtual
from tests.support.records import MemoryRecords, MemoryStorage

DETAILS = "gen_ai.client.inference.operation.details"
CHAT: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}


class Sink:
    """A consumer that refuses as told and writes down what it takes, encoded and decoded anew."""

    def __init__(self, refuse: Iterator[Exception | None] | None = None) -> None:
        self.refuse = refuse
        self.batches: list[Batch] = []
        self.times: list[float] = []

    def admit(self, _size_bytes: int, /) -> AbstractContextManager[None]:
        return nullcontext()

    async def consume(self, batch: Batch, /) -> Acceptance:
        refusal = next(self.refuse, None) if self.refuse is not None else None
        if refusal is not None:
            # As a processor may have done before a queue refused.
            for each in batch.spans if batch.signal is Signal.TRACES else batch.logs:
                each.attributes["spoilt"] = True
            raise refusal
        self.batches.append(batch_from_protobuf(batch.signal, batch.encoded()))
        self.times.append(loop_time())
        return ACCEPTED

    @property
    def spans(self) -> list[Span]:
        return [each for batch in self.batches for each in batch.view_spans()]

    @property
    def records(self) -> list[LogRecord]:
        return [each for batch in self.batches for each in batch.view_logs()]


class World:
    """The connector between two doors and two sinks, in virtual time."""

    def __init__(
        self, storage: MemoryStorage | None = None, *, logs: bool = True, **options: Any
    ) -> None:
        self.telemetry = CountingTelemetry()
        self.traces, self.logs = Sink(), Sink()
        lent = make_context("genai_events", telemetry=self.telemetry, clock=loop_time)
        if storage is not None:
            options["storage"] = "disk"
        extensions: Any = {"disk": storage} if storage is not None else {}
        context = Context(lent.id, lent.telemetry, lent.log, clock=loop_time, extensions=extensions)
        consumers: dict[Signal, Consumer] = {Signal.TRACES: self.traces}
        if logs:
            consumers[Signal.LOGS] = self.logs
        config = GenaiEventsConfig.model_validate(options)
        self.connector = GenaiEvents(config, consumers, context)
        self.doors: dict[Signal, Destination] = {
            signal: self.connector.destination(signal) for signal in (Signal.TRACES, Signal.LOGS)
        }

    async def __aenter__(self) -> Self:
        await self.connector.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connector.__aexit__(None, None, None)

    async def send(self, *items: Span | LogRecord) -> None:
        """A batch of spans or of log records, as a pipeline gives it."""
        spans = [each for each in items if isinstance(each, Span)]
        records = [each for each in items if isinstance(each, LogRecord)]
        for batch in (batch_of(Signal.TRACES, spans), batch_of(Signal.LOGS, records)):
            if batch:
                await self.put(batch_from_protobuf(batch.signal, batch.encoded()))

    async def put(self, batch: Batch) -> None:
        door, weight = self.doors[batch.signal], max(1, batch.size_bytes)
        while not door.has_room(weight):
            await door.wait_for_room(weight)
        door.reserve(weight)
        await door.put(batch, weight)

    @property
    def used(self) -> int:
        return self.connector.room.used

    @property
    def joined(self) -> int:
        return self.telemetry.counts["dropped", "genai_events", "joined"]


def call(number: int = 0, **attributes: Any) -> Span:
    return span(CHAT | attributes, number=number)


def event(number: int = 0, name: str = "user.message", at: int = 1, text: str = "hi") -> LogRecord:
    body: Any = {"content": text}
    if name == "choice":
        body = {"index": 0, "finish_reason": "stop", "message": {"content": text}}
    made = log_record(body, event_name=f"gen_ai.{name}", span_id=call(number).span_id)
    made.time_ns = at
    return made


def answer(number: int, response: str) -> LogRecord:
    """Operation details that only the id of the response ties to its call."""
    messages: Any = [{"role": "user", "parts": [{"type": "text", "content": f"q{number}"}]}]
    attributes: Attributes = {
        "gen_ai.input.messages": messages,
        "gen_ai.output.messages": [{**messages[0], "role": "assistant"}],
        "gen_ai.response.id": response,
    }
    return log_record(None, attributes, event_name=DETAILS, trace_id=b"", span_id=b"")


def run(
    script: Callable[[World], Awaitable[None]],
    storage: MemoryStorage | None = None,
    **options: Any,
) -> World:
    """A world as it is after this, and after its end."""

    async def main() -> World:
        async with World(storage, **options) as world:
            await script(world)
        return world

    return run_virtual(main())


# ---- who waits -------------------------------------------------------------------------------


def test_a_call_waits_for_its_events() -> None:
    """The span leaves when its time is over, with the content of all events that came until then;
    nothing of them is left, and all room is given back."""

    async def script(world: World) -> None:
        await world.send(event(at=1, text="question"))
        await asyncio.sleep(3)
        await world.send(call())
        await asyncio.sleep(2)
        await world.send(event(name="choice", at=2, text="answer"))
        assert world.traces.batches == []
        await asyncio.sleep(10)
        assert world.used == 0

    world = run(script)
    (one,) = world.traces.spans
    assert "question" in str(one.attributes["gen_ai.input.messages"])
    assert "answer" in str(one.attributes["gen_ai.output.messages"])
    assert world.traces.times == [pytest.approx(9, abs=0.01)]
    assert (world.joined, world.logs.records) == (2, [])


PASSING: dict[str, Span] = {
    "no GenAI span": span({"http.method": "GET"}, name="GET"),
    "a tool": span({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"}),
    "a call with messages": span(
        CHAT
        | {
            "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"x"}]}]',
            "gen_ai.output.messages": '[{"role":"assistant","parts":[]}]',
        }
    ),
    "an embedding with input": span(
        {"gen_ai.operation.name": "embeddings", "gen_ai.input.messages": "a text"}
    ),
    "a call without ids": Span(attributes=dict(CHAT)),
}


@pytest.mark.parametrize("case", PASSING)
def test_everything_else_passes_at_once(case: str) -> None:
    """What has no events to wait for goes on as it came; log records that are no events too."""
    plain, score = log_record(), log_record(event_name="gen_ai.evaluation.result")

    async def script(world: World) -> None:
        await world.send(PASSING[case], plain, score)
        await asyncio.sleep(0.01)
        assert world.used == 0

    world = run(script)
    assert max(world.traces.times) < 0.1
    assert [one.attributes for one in world.traces.spans] == [PASSING[case].attributes]
    assert [one.event_name for one in world.logs.records] == ["", "gen_ai.evaluation.result"]


def test_a_batch_parts() -> None:
    """Of one batch, what need not wait goes on at once, and the other part later; the batch, which
    others share, is as it was."""
    other = span({"http.method": "GET"}, name="GET", number=5)
    batch = batch_from_protobuf(
        Signal.TRACES, batch_of(Signal.TRACES, [call(1), other, call(2)]).encoded()
    )
    before = batch.encoded()

    async def script(world: World) -> None:
        await world.put(batch)
        await world.send(event(1))
        await asyncio.sleep(1)
        assert [one.span_id for one in world.traces.spans] == [other.span_id]
        assert 0 < world.used < 2 * batch.size_bytes
        await asyncio.sleep(10)
        assert world.used == 0

    world = run(script)
    assert [one.span_id for one in world.traces.spans[1:]] == [call(1).span_id, call(2).span_id]
    assert batch.is_encoded
    assert batch.encoded() == before
    assert all("gen_ai.input.messages" not in one.attributes for one in batch.view_spans())


def test_events_of_a_span_that_has_gone_on_do_not_wait() -> None:
    """Whether they come before or after a span that needs none of them."""
    has = PASSING["a call with messages"]

    async def script(world: World) -> None:
        await world.send(event(text="before"))
        await world.send(has)
        await world.send(event(text="after"))
        await asyncio.sleep(0.01)

    world = run(script)
    assert len(world.logs.records) == 2
    assert world.used == 0


def test_all_calls() -> None:
    """Calls with messages wait too if that is wanted: they take what only an event says, and one
    that repeats them is left out of the logs."""
    has = PASSING["a call with messages"]
    tools: Any = [{"type": "function", "name": "f"}]
    attributes: Attributes = {
        "gen_ai.input.messages": json.loads(str(has.attributes["gen_ai.input.messages"])),
        "gen_ai.tool.definitions": tools,
    }

    async def script(world: World) -> None:
        await world.send(has, log_record(None, attributes, event_name=DETAILS))

    world = run(script, all_calls=True)
    (one,) = world.traces.spans
    assert json.loads(str(one.attributes["gen_ai.tool.definitions"])) == tools
    assert (world.joined, world.logs.records) == (1, [])


def test_events_without_a_span_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """After `max_wait` since the last of them; those that come after their span, at once and with a
    warning."""

    async def script(world: World) -> None:
        await world.send(event(1))
        await asyncio.sleep(30)
        await world.send(event(1, name="choice"), call(2))
        await asyncio.sleep(10)
        await world.send(event(2))
        await asyncio.sleep(1)
        assert [one.span_id for one in world.logs.records] == [call(2).span_id]
        await asyncio.sleep(60)
        assert world.used == 0

    world = run(script)
    assert [event_name(one) for one in world.logs.records[1:]] == [
        "gen_ai.user.message",
        "gen_ai.choice",
    ]
    assert "after their span had left" in caplog.text


def test_by_the_id_of_the_response() -> None:
    """Events without ids find the call of the same library that got that response."""

    async def script(world: World) -> None:
        calls = [call(n, **{"gen_ai.response.id": f"r{n}"}) for n in range(3)]
        await world.send(answer(2, "r2"), answer(0, "r0"), answer(7, "r7"))
        await world.send(*calls)

    world = run(script)
    said = [str(one.attributes.get("gen_ai.input.messages")) for one in world.traces.spans]
    assert ["q0" in said[0], said[1], "q2" in said[2]] == [True, "None", True]
    assert [one.attributes["gen_ai.response.id"] for one in world.logs.records] == ["r7"]


def test_without_a_logs_pipeline(caplog: pytest.LogCaptureFixture) -> None:
    """What is not joined has nowhere to go: counted, and said at the start."""

    async def script(world: World) -> None:
        await world.send(call(), event(), event(1), log_record())

    world = run(script, logs=False)
    assert world.joined == 1
    assert world.telemetry.counts["dropped", "genai_events", "no_pipeline"] == 2
    assert "No logs pipeline" in caplog.text


# ---- memory and refusals ---------------------------------------------------------------------


def test_the_oldest_leave_early(caplog: pytest.LogCaptureFixture) -> None:
    """What waits is bounded in bytes; beyond it the oldest leave, with what has come of them."""

    async def script(world: World) -> None:
        await world.send(event(0, text="x" * 500))
        for number in range(10):
            await world.send(call(number, big="x" * 1000))
            await asyncio.sleep(0.1)
            assert world.used <= 8000
        left = [one.span_id for one in world.traces.spans]
        assert left == [call(number).span_id for number in range(len(left))]
        assert 4 <= len(left) <= 8
        assert "gen_ai.input.messages" in world.traces.spans[0].attributes

    world = run(script, max_pending_bytes=16_000)
    assert len(world.traces.spans) == 10
    assert "left early" in caplog.text


def test_no_room_while_the_pipelines_refuse() -> None:
    """When all memory is used, senders are refused; it is free again when the pipelines take."""

    async def script(world: World) -> None:
        world.traces.refuse = iter([QueueFull("full")] * 3)
        door = world.doors[Signal.TRACES]
        await world.send(span({"x": "y" * 3000}, name="GET"))
        await asyncio.sleep(0.1)
        assert not door.has_room(2000)
        assert not world.doors[Signal.LOGS].has_room(2000)
        assert 1 <= door.retry_after() <= 60
        await door.wait_for_room(2000)
        assert world.used == 0

    world = run(script, max_pending_bytes=4000)
    assert len(world.traces.spans) == 1
    assert "spoilt" not in world.traces.spans[0].attributes


def test_refused_for_good() -> None:
    """Counted as dropped under the pipelines' reason; what comes next goes on."""

    async def script(world: World) -> None:
        world.traces.refuse = iter([Permanent("no", reason="bad"), ValueError("a fault")])
        for number in range(3):
            await world.send(span({"n": number}, name="GET"))
            await asyncio.sleep(0.01)
        assert world.used == 0

    world = run(script)
    assert [one.attributes["n"] for one in world.traces.spans] == [2]
    assert world.telemetry.counts["dropped", "genai_events", "bad"] == 1
    assert world.telemetry.counts["dropped", "genai_events", "pipeline_error"] == 1


def test_shutdown() -> None:
    """What waits goes on at once, joined with what is there; what the pipelines refuse until the
    end is counted; and afterwards nothing is taken."""

    async def script(world: World) -> None:
        await world.send(call(), event(), event(1))
        world.logs.refuse = iter([QueueFull("full")] * 1000)

    world = run(script)
    assert "gen_ai.input.messages" in world.traces.spans[0].attributes
    assert world.telemetry.counts["dropped", "genai_events", "shutdown"] == 1
    assert not world.doors[Signal.TRACES].has_room(1)

    async def late() -> None:
        door = world.doors[Signal.TRACES]
        door.reserve(10)
        with pytest.raises(QueueFull):
            await door.put(batch_of(Signal.TRACES, [call()]), 10)

    run_virtual(late())


# ---- disk ------------------------------------------------------------------------------------


def _records(storage: MemoryStorage) -> list[MemoryRecords]:
    return list(storage.all.values())


def test_taken_again_after_a_crash() -> None:
    """What was answered is on disk until the pipelines have it; after a crash it is joined as if
    nothing had been, and then nothing is left on disk."""
    storage = MemoryStorage()

    async def crash() -> None:
        world = World(storage)
        await world.connector.__aenter__()
        await world.send(call(1), span({"x": 1}, name="GET", number=9), event(1), event(2))
        await asyncio.sleep(0.1)
        assert len(world.traces.spans) == 1
        assert sum(each.items for each in _records(storage)) == 3
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        for each in _records(storage):
            each.release()

    run_virtual(crash())

    async def script(world: World) -> None:
        await asyncio.sleep(1)
        await world.send(event(1, name="choice"))
        await asyncio.sleep(100)
        assert world.used == 0

    world = run(script, storage)
    (one,) = world.traces.spans
    assert {"gen_ai.input.messages", "gen_ai.output.messages"} <= one.attributes.keys()
    assert [record.span_id for record in world.logs.records] == [call(2).span_id]
    assert all(each.count == 0 for each in _records(storage))


def test_what_waits_at_shutdown_waits_on_disk() -> None:
    """A clean stop sends only what is ready; the rest is joined by the next start."""
    storage = MemoryStorage()

    async def first(world: World) -> None:
        await world.send(call(1), event(1))

    async def second(world: World) -> None:
        await asyncio.sleep(10)

    before = run(first, storage)
    assert (before.traces.batches, before.telemetry.counts.total()) == ([], 0)
    after = run(second, storage)
    assert "gen_ai.input.messages" in after.traces.spans[0].attributes
    assert all(each.count == 0 for each in _records(storage))


def test_a_full_disk_refuses() -> None:
    """What cannot be stored is not taken, and gives its room back."""
    storage = MemoryStorage()

    async def script(world: World) -> None:
        for each in _records(storage):
            each.full = True
        with pytest.raises(StorageFull):
            await world.send(call())
        assert world.used == 0

    world = run(script, storage)
    assert world.traces.batches == []


def test_two_lives_side_by_side() -> None:
    """While a configuration is reloaded, the next one takes over what the one before leaves, once;
    what it has taken itself meanwhile it does not read again."""
    storage = MemoryStorage()

    async def main() -> None:
        next_one = World(storage)
        async with World(storage) as old:
            await old.send(call(1), event(1))
            await next_one.connector.__aenter__()
            await next_one.send(call(2), event(2))
        await asyncio.sleep(20)
        await next_one.connector.__aexit__(None, None, None)
        found = [*old.traces.spans, *next_one.traces.spans]
        assert Counter(one.span_id for one in found) == {call(1).span_id: 1, call(2).span_id: 1}
        assert all("gen_ai.input.messages" in one.attributes for one in found)

    run_virtual(main())
    assert all(each.count == 0 for each in _records(storage))


def test_disks_that_fail_and_records_that_are_damaged() -> None:
    """A disk that cannot be read is asked again until it works, and what cannot be read on it is
    counted; the rest goes on."""

    class Failing(MemoryRecords):
        failures = 100

        async def read(self, after: int = 0, max_bytes: int = 8 << 20) -> list[Stored]:
            self.failures -= 1
            if self.failures > 0:
                raise Retryable("the disk fails")
            return await super().read(after, max_bytes)

    storage = MemoryStorage()
    for signal in (Signal.TRACES, Signal.LOGS):
        storage.all["connector.genai_events", f"held.{signal}"] = Failing()

    async def before() -> None:
        records = storage.records("connector.genai_events", "held.traces")
        await records.append(b"\xff\xff", items=7)
        await records.append(batch_of(Signal.TRACES, [call(1)]).encoded(), items=1)

    run_virtual(before())

    async def script(world: World) -> None:
        await asyncio.sleep(1000)

    world = run(script, storage)
    assert [one.span_id for one in world.traces.spans] == [call(1).span_id]
    assert world.telemetry.counts["dropped", "genai_events", "malformed"] == 7
    assert all(each.count == 0 for each in _records(storage))


def test_what_is_stored_when_the_connector_is_left_is_for_the_next_one() -> None:
    """Its sender is told that it is safe, so the one that follows must find it."""

    class Slow(MemoryRecords):
        async def append(
            self, data: bytes, *, meta: bytes = b"", items: int = 0, compressed: bool = False
        ) -> int:
            await asyncio.sleep(2)
            return await super().append(data, meta=meta, items=items, compressed=compressed)

    storage = MemoryStorage()
    storage.all["connector.genai_events", "held.traces"] = Slow()

    async def main() -> None:
        next_one = World(storage)
        async with World(storage) as old:
            await asyncio.sleep(1)
            await next_one.connector.__aenter__()
            sending = asyncio.create_task(old.send(call(1)))
            await asyncio.sleep(1)
        await sending
        assert old.used == 0
        await asyncio.sleep(20)
        await next_one.connector.__aexit__(None, None, None)
        assert [one.span_id for one in next_one.traces.spans] == [call(1).span_id]

    run_virtual(main())


# ---- laws ------------------------------------------------------------------------------------


def _workload() -> list[Span | LogRecord]:
    """Six calls: with messages of their own, without events, and with events of both kinds."""
    items: list[Span | LogRecord] = []
    for number in range(6):
        attributes: Attributes = {"gen_ai.usage.input_tokens": number}
        if number == 0:
            attributes |= PASSING["a call with messages"].attributes
        if number >= 4:
            attributes["gen_ai.response.id"] = f"r{number}"
            items.append(answer(number, f"r{number}"))
        elif number != 1:
            items += [event(number, at=number + 1, text=f"q{number}")]
            items += [event(number, "assistant.message", number + 2, "before")]
            items += [event(number, "choice", number + 9, f"a{number}")]
        items.append(call(number, **attributes))
    return [*items, event(77), log_record(), span({"http.method": "GET"}, name="GET", number=50)]


def _texts(spans: Sequence[Span]) -> dict[bytes, str]:
    found = {one.span_id: json.dumps(one.attributes, sort_keys=True) for one in spans}
    assert len(found) == len(spans)
    return found


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_order_and_batching_do_not_matter(seed: int, cuts: list[int]) -> None:
    """Law: spans and events that come within the wait, in any order and batches, give the same
    spans with the same totals; every item goes on once, as itself or in a span, however often and
    for whatever reason the pipelines refuse, and all room is given back."""
    items = _workload()
    shuffled = items[:]
    chance = random.Random(seed)
    chance.shuffle(shuffled)
    refusals = [chance.choice([None, QueueFull("full"), None]) for _ in range(30)]

    async def plain(world: World) -> None:
        await world.send(*items)
        await asyncio.sleep(100)

    async def script(world: World) -> None:
        world.traces.refuse, world.logs.refuse = iter(refusals), iter(refusals[::-1])
        rest = shuffled
        for cut in cuts:
            await world.send(*rest[:cut])
            rest = rest[cut:]
            await asyncio.sleep(chance.random() * 4 / len(cuts))
        await world.send(*rest)
        await asyncio.sleep(100)
        assert world.used == 0

    wanted, found = run(plain), run(script)
    assert _texts(found.traces.spans) == _texts(wanted.traces.spans)
    logs = [
        Counter((event_name(one), one.span_id) for one in world.logs.records)
        for world in (wanted, found)
    ]
    assert logs[0] == logs[1]
    records = sum(isinstance(each, LogRecord) for each in items)
    assert found.joined + len(found.logs.records) == records
    assert len(found.traces.spans) == len(items) - records


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), sent=st.integers(1, 20), after_s=st.floats(0, 12))
def test_nothing_answered_is_lost_in_a_crash(seed: int, sent: int, after_s: float) -> None:
    """Law: whatever was taken before a crash at any moment, while the pipelines refuse at random,
    has gone on at least once after the next start, and then nothing is left on disk."""
    items = _workload()
    chance = random.Random(seed)
    chance.shuffle(items)
    storage = MemoryStorage()
    gone: list[Span | LogRecord] = []

    async def crash() -> int:
        world = World(storage)
        world.traces.refuse = iter([chance.choice([None, QueueFull("full")]) for _ in range(30)])
        await world.connector.__aenter__()
        for item in items[:sent]:
            await world.send(item)
            await asyncio.sleep(after_s / sent)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        gone.extend([*world.traces.spans, *world.logs.records])
        for each in _records(storage):
            each.release()
        return world.joined

    async def script(world: World) -> None:
        await asyncio.sleep(200)
        assert world.used == 0

    joined = run_virtual(crash())
    world = run(script, storage)
    gone += [*world.traces.spans, *world.logs.records]
    found = Counter(_name(one) for one in gone)
    wanted = Counter(_name(one) for one in items[:sent])
    missing = wanted - found
    assert all(kind is LogRecord for kind, *_ in missing), missing
    assert missing.total() <= joined + world.joined
    assert all(each.count == 0 for each in _records(storage))


def _name(one: Span | LogRecord) -> tuple[type, bytes, str, str]:
    if isinstance(one, Span):
        return Span, one.span_id, "", ""
    response = str(one.attributes.get("gen_ai.response.id"))
    return LogRecord, one.span_id, event_name(one), response


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("logs_first", [False, True], ids=["traces first", "logs first"])
def test_recorded_traffic(folder: str, logs_first: bool) -> None:
    """Every span of the recorded requests goes on once with its totals, every event once: joined or
    as a log record; calls whose events have content have it."""
    batches = recorded_batches(folder)
    batches.sort(key=lambda batch: (batch.signal is Signal.TRACES) == logs_first)
    sent = Counter[Signal]()

    async def script(world: World) -> None:
        for batch in batches:
            sent[batch.signal] += batch.count
            await world.put(batch)
        await asyncio.sleep(100)
        assert world.used == 0

    world = run(script)
    before = [s for each in batches if each.signal is Signal.TRACES for s in each.view_spans()]
    assert _usage(world.traces.spans) == _usage(before)
    assert len(world.traces.spans) == sent[Signal.TRACES]
    assert world.joined + len(world.logs.records) == sent[Signal.LOGS]
    assert world.joined >= 2


def _usage(spans: Sequence[Span]) -> dict[tuple[bytes, bytes], str]:
    return {
        (one.trace_id, one.span_id): repr((seen.usage, seen.cost))
        for one in spans
        for seen in [read_observation(one)]
    }
