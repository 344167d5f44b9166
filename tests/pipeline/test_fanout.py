"""Admission: all or nothing, over all queues of all pipelines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.component import ACCEPTED, Processor
from genai_collector.errors import DecodeError, Overloaded, Permanent, QueueFull, StorageFull
from genai_collector.model import Batch, Signal
from genai_collector.pipeline.fanout import Fanout
from genai_collector.pipeline.pipeline import Pipeline, Room
from tests.support.fakes import (
    CountingTelemetry,
    FakeClock,
    LineCodec,
    line_batch,
    names_of,
    run_virtual,
)

LOG = logging.getLogger("test.fanout")


class FakeQueue:
    """A destination that only keeps what it is given; `used` is what it was told to reserve."""

    signal = Signal.TRACES

    def __init__(
        self,
        id: str = "q",
        capacity: int = 100,
        when_full: Literal["refuse", "block", "drop"] = "refuse",
        used: int = 0,
        retry_after_s: float = 1.0,
    ) -> None:
        self.id = id
        self.capacity = capacity
        self.when_full = when_full
        self.used = used
        self.batches: list[Batch] = []
        self.fails: Exception | None = None
        self.may_fail = False
        self._retry_after_s = retry_after_s
        self._room = asyncio.Event()

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in names_of(batch)]

    def has_room(self, weight: int, /) -> bool:
        return self.used + weight <= self.capacity

    def reserve(self, weight: int, /) -> None:
        assert self.has_room(weight), "reserved without asking"
        self.used += weight

    def unreserve(self, weight: int, /) -> None:
        self.used -= weight

    async def put(self, batch: Batch, weight: int, /) -> None:
        if self.fails is not None:
            self.used -= weight
            raise self.fails
        self.batches.append(batch)

    async def wait_for_room(self, weight: int, /) -> None:
        while not self.has_room(weight):
            self._room.clear()
            await self._room.wait()

    def retry_after(self) -> float:
        return self._retry_after_s

    def make_room(self, used: int = 0) -> None:
        self.used = used
        self._room.set()


class Each:
    """A processor that does with each span name what it is told; None drops the span."""

    def __init__(self, change: Callable[[str], str | None]) -> None:
        self._change = change

    def process(self, batch: Batch, /) -> Batch:
        spans = batch.spans
        for span in spans:
            span.name = self._change(span.name) or ""
        return batch.with_items([span for span in spans if span.name])


def _pipeline(
    id: str, queues: Sequence[FakeQueue], *processors: Processor, prefix: str = "p"
) -> Pipeline:
    rooms = [Room(f"{prefix}{number}", made) for number, made in enumerate(processors)]
    return Pipeline(id, Signal.TRACES, rooms, queues, LOG)


def _fanout(*pipelines: Pipeline, telemetry: CountingTelemetry | None = None) -> Fanout:
    return Fanout(Signal.TRACES, pipelines, telemetry or CountingTelemetry(), LOG, FakeClock())


async def test_every_exporter_gets_the_batch() -> None:
    """One batch, shared, in every queue; the very bytes that came."""
    queues = [FakeQueue("a"), FakeQueue("b")]
    batch = line_batch(["one", "two"])
    assert await _fanout(_pipeline("traces", queues)).consume(batch) is ACCEPTED
    assert [queue.batches for queue in queues] == [[batch], [batch]]
    assert batch.is_encoded
    assert [queue.used for queue in queues] == [8, 8]


async def test_one_full_queue_refuses_for_all() -> None:
    """With one of two queues full nothing is taken anywhere, so that a retry makes no copy."""
    telemetry = CountingTelemetry()
    room, full = FakeQueue("room"), FakeQueue("full", used=95, retry_after_s=7)
    fanout = _fanout(_pipeline("traces", [room, full]), telemetry=telemetry)
    with pytest.raises(QueueFull, match="full") as caught:
        await fanout.consume(line_batch(["one", "two"]))
    assert caught.value.retry_after == 7
    assert (room.batches, room.used, full.batches, full.used) == ([], 0, [], 95)
    assert telemetry.counts == {("enqueue_failed", "full"): 2}
    full.make_room()
    await fanout.consume(line_batch(["one", "two"]))
    assert room.names == full.names == ["one", "two"]


async def test_where_it_would_rather_drop_the_others_go_on() -> None:
    """A full queue that drops holds nobody up; what it misses is counted as its loss."""
    telemetry = CountingTelemetry()
    room, full = FakeQueue("room"), FakeQueue("full", used=95, when_full="drop")
    fanout = _fanout(_pipeline("traces", [full, room]), telemetry=telemetry)
    with fanout.admit(50):
        assert await fanout.consume(line_batch(["one", "two"])) is ACCEPTED
    assert (room.names, full.names, full.used) == (["one", "two"], [], 95)
    assert telemetry.counts == {
        ("enqueue_failed", "full"): 2,
        ("dropped", "full", "queue_full"): 2,
    }
    full.make_room()
    await fanout.consume(line_batch(["three"]))
    assert (room.names, full.names) == (["one", "two", "three"], ["three"])


async def test_dropping_is_not_for_a_batch_that_is_refused() -> None:
    """When another queue refuses, nothing is taken and nothing dropped: the batch comes again."""
    telemetry = CountingTelemetry()
    drops = FakeQueue("drops", used=99, when_full="drop")
    refuses = FakeQueue("refuses", used=99)
    fanout = _fanout(_pipeline("traces", [drops, refuses]), telemetry=telemetry)
    with pytest.raises(QueueFull, match="refuses"):
        await fanout.consume(line_batch(["one"]))
    assert telemetry.counts == {("enqueue_failed", "refuses"): 1}


async def test_a_disk_that_fails_holds_nobody_up_who_would_rather_drop() -> None:
    """A queue on disk that cannot take a batch after all loses it alone."""
    telemetry = CountingTelemetry()
    disk, room = FakeQueue("disk", when_full="drop"), FakeQueue("room")
    disk.fails = StorageFull("full")
    await _fanout(_pipeline("traces", [disk, room]), telemetry=telemetry).consume(line_batch("ab"))
    assert room.names == ["a", "b"]
    assert disk.used == 0
    assert telemetry.counts[("dropped", "disk", "queue_full")] == 2


async def test_all_or_nothing_over_pipelines() -> None:
    """All pipelines' queues are asked before any is filled; processors count only then."""
    telemetry = CountingTelemetry()
    first, second = FakeQueue("first"), FakeQueue("second", used=100)
    third = FakeQueue("third", used=100, retry_after_s=9)
    drop = Each(lambda name: None if name == "bad" else name)
    fanout = _fanout(
        _pipeline("traces/1", [first], drop),
        _pipeline("traces/2", [second, third]),
        telemetry=telemetry,
    )
    with pytest.raises(QueueFull, match="second, third") as caught:
        await fanout.consume(line_batch(["good", "bad"]))
    assert caught.value.retry_after == 9
    assert first.batches == []
    assert not [key for key in telemetry.counts if key[0] in ("dropped", "incoming")]
    second.make_room()
    third.make_room()
    await fanout.consume(line_batch(["good", "bad"]))
    assert (first.names, second.names) == (["good"], ["good", "bad"])
    assert telemetry.counts["dropped", "p0", "filtered"] == 1
    assert telemetry.counts["incoming", "p0"] == 2
    assert telemetry.counts["outgoing", "p0"] == 1


async def test_pipelines_do_not_see_each_others_changes() -> None:
    """Each pipeline works on its own copy; only the last has the original."""
    queues = [FakeQueue(str(number)) for number in range(3)]
    fanout = _fanout(
        _pipeline("traces/0", queues[:1], Each(lambda name: f"{name}0")),
        _pipeline("traces/1", queues[1:2]),
        _pipeline("traces/2", queues[2:], Each(lambda name: f"{name}2")),
    )
    await fanout.consume(line_batch(["a", "b"]))
    assert [queue.names for queue in queues] == [["a0", "b0"], ["a", "b"], ["a2", "b2"]]


async def test_copies_of_bytes_are_not_decoded() -> None:
    """Two pipelines that read nothing decode nothing."""
    codec = LineCodec()
    queues = [FakeQueue("a"), FakeQueue("b")]
    fanout = _fanout(*(_pipeline(f"traces/{queue.id}", [queue]) for queue in queues))
    await fanout.consume(line_batch(["x"], codec))
    assert codec.decodes == 0


async def test_the_same_exporter_in_two_pipelines() -> None:
    """Its queue must have room for both batches at once."""
    queue = FakeQueue(capacity=15)
    pipelines = [_pipeline(f"traces/{number}", [queue]) for number in range(2)]
    queue.used = 4
    with pytest.raises(QueueFull):
        await _fanout(*pipelines).consume(line_batch(["12345"]))
    assert queue.batches == []
    queue.used = 3
    await _fanout(*pipelines).consume(line_batch(["12345"]))
    assert (queue.names, queue.used) == (["12345", "12345"], 15)


async def test_emptied_batches_are_accepted() -> None:
    """A batch of which nothing is left needs no room and is counted as dropped."""
    telemetry = CountingTelemetry()
    full = FakeQueue(used=100)
    never = Each(lambda _name: pytest.fail("an empty batch was processed"))
    fanout = _fanout(_pipeline("traces", [full], Each(lambda _: None), never), telemetry=telemetry)
    assert await fanout.consume(line_batch(["a", "b"])) is ACCEPTED
    assert telemetry.counts["dropped", "p0", "filtered"] == 2
    assert await fanout.consume(line_batch([])) is ACCEPTED


async def test_a_faulty_processor_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is logged with its traceback and refuses the batch; nothing was taken."""
    queue = FakeQueue()
    fanout = _fanout(_pipeline("traces", [queue], Each(lambda name: name[99])))
    with pytest.raises(Permanent, match="processor p0 failed: IndexError") as caught:
        await fanout.consume(line_batch(["a"]))
    assert caught.value.reason == "processor_error"
    assert queue.batches == []
    assert caplog.records[-1].exc_info


async def test_a_processor_that_refuses_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    """The log says why, once in a while; what the sender did wrong only the sender is told."""
    raised: list[Permanent] = [
        Permanent("mine.py:3: KeyError", reason="processor_error", data_fault=True),
        DecodeError("malformed"),
    ]

    def refuse(_name: str) -> str:
        raise raised[0]

    fanout = _fanout(_pipeline("traces", [FakeQueue()], Each(refuse)))
    for _ in range(2):
        with pytest.raises(Permanent, match=r"mine\.py"):
            await fanout.consume(line_batch(["a"]))
    del raised[0]
    with pytest.raises(DecodeError):
        await fanout.consume(line_batch(["a"]))
    [record] = caplog.records
    assert (record.levelname, record.__dict__["reason"]) == ("ERROR", "processor_error")
    assert "mine.py:3: KeyError" in record.getMessage()


async def test_blocking_waits_then_asks_all_again() -> None:
    """`block` waits for room; a refusing queue that filled up meanwhile still refuses for all."""
    slow, other = FakeQueue("slow", when_full="block", used=100), FakeQueue("other")
    fanout = _fanout(_pipeline("traces", [slow, other]))
    task = asyncio.create_task(fanout.consume(line_batch(["a"])))
    await asyncio.sleep(0)
    assert not task.done()
    other.used = 100
    slow.make_room()
    with pytest.raises(QueueFull, match="other"):
        await task
    assert slow.used == 0
    other.make_room()
    await fanout.consume(line_batch(["a"]))
    assert slow.names == other.names == ["a"]


async def test_a_queue_that_fails_gives_back_the_rest() -> None:
    """When a destination cannot take what was reserved, the ones after it are released."""
    queues = [FakeQueue("a"), FakeQueue("b"), FakeQueue("c")]
    queues[1].fails = QueueFull("disk is full")
    with pytest.raises(QueueFull, match="disk"):
        await _fanout(_pipeline("traces", queues)).consume(line_batch(["abc"]))
    assert [queue.used for queue in queues] == [4, 0, 0]
    assert queues[2].batches == []


def test_batches_larger_than_a_queue_go_in_parts() -> None:
    """Parts that fit go one after the other, in order; the last ones wait for room."""

    async def main() -> None:
        small, large = FakeQueue("small", capacity=10), FakeQueue("large", capacity=1000)
        fanout = _fanout(_pipeline("traces", [small, large]))
        names = [f"span{number}" for number in range(6)]  # 6 bytes each: one per part
        task = asyncio.create_task(fanout.consume(line_batch(names)))
        for _ in range(50):
            await asyncio.sleep(0.1)
            small.make_room()
        assert await task is ACCEPTED
        assert small.names == names
        assert large.names == names
        assert len(large.batches) == 1

    run_virtual(main())


def test_the_rest_of_a_split_batch_does_not_wait_for_ever() -> None:
    """Where the first part was taken and no room comes, the client is told to come again."""

    async def main() -> None:
        small = FakeQueue("small", capacity=10)
        telemetry = CountingTelemetry()
        fanout = _fanout(_pipeline("traces", [small]), telemetry=telemetry)
        with pytest.raises(QueueFull):
            await fanout.consume(line_batch(["span1", "span2"]))
        assert small.names == ["span1"]
        assert telemetry.counts["enqueue_failed", "small"] == 1

    run_virtual(main())


async def test_items_larger_than_every_queue_are_rejected() -> None:
    """The client is told how many; the others go on."""
    telemetry = CountingTelemetry()
    queues = [FakeQueue("a", capacity=20), FakeQueue("b", capacity=20)]
    fanout = _fanout(_pipeline("traces", queues), telemetry=telemetry)
    acceptance = await fanout.consume(line_batch(["ok", "x" * 30, "fine"]))
    assert acceptance.rejected == 1
    assert "larger than the queue" in acceptance.message
    assert queues[0].names == queues[1].names == ["ok", "fine"]
    assert not [key for key in telemetry.counts if key[0] == "dropped"]
    assert telemetry.counts["enqueue_failed", "a"] == 1


async def test_items_larger_than_one_queue_are_dropped_there() -> None:
    """What another exporter took is not rejected; it is counted as lost where it could not go."""
    telemetry = CountingTelemetry()
    small, large = FakeQueue("small", capacity=20), FakeQueue("large", capacity=100)
    fanout = _fanout(_pipeline("traces", [small, large]), telemetry=telemetry)
    assert await fanout.consume(line_batch(["ok", "x" * 30])) is ACCEPTED
    assert (small.names, large.names) == (["ok"], ["ok", "x" * 30])
    assert telemetry.counts["dropped", "small", "too_large"] == 1


class FakeGate:
    """A processor that admits, and remembers for how long."""

    def __init__(self) -> None:
        self.held = 0
        self.asked: list[int] = []
        self.refuses = False

    def process(self, batch: Batch, /) -> Batch:
        return batch

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]:
        return self._admitted(size_bytes)

    @contextmanager
    def _admitted(self, size_bytes: int) -> Generator[None]:
        self.asked.append(size_bytes)
        if self.refuses:
            raise Overloaded("no memory", retry_after=3.0)
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1


def test_gates_are_asked_once_and_held() -> None:
    """Each gate of all pipelines once, also if shared; given back when the request is done."""
    shared, own = FakeGate(), FakeGate()
    fanout = _fanout(
        _pipeline("traces/1", [FakeQueue()], shared),
        _pipeline("traces/2", [FakeQueue()], shared, own),
    )
    with fanout.admit(70):
        assert (shared.held, own.held) == (1, 1)
    assert (shared.held, own.held, shared.asked) == (0, 0, [70])
    own.refuses = True
    with pytest.raises(Overloaded, match="no memory"), fanout.admit(5):
        pytest.fail("admitted")
    assert shared.held == 0


def test_full_queues_refuse_before_anything_is_read(caplog: pytest.LogCaptureFixture) -> None:
    """A refusing queue without room for a request of this size refuses it at the door, which the
    log says; a blocking one does not, and a request larger than the queue is let through when the
    queue is empty."""
    queue = FakeQueue(used=90)
    fanout = _fanout(_pipeline("traces", [queue]))
    with pytest.raises(QueueFull), fanout.admit(11):
        pytest.fail("admitted")
    with fanout.admit(10):
        pass
    queue.used = 100
    with pytest.raises(QueueFull), fanout.admit(0):
        pytest.fail("admitted")
    [record] = caplog.records  # the second refusal comes within ten seconds
    assert (record.levelname, record.__dict__["exporter"]) == ("WARNING", "q")
    queue.used = 0
    with fanout.admit(5000):
        pass
    blocking = FakeQueue(when_full="block", used=100)
    with _fanout(_pipeline("traces", [blocking])).admit(11):
        pass


_NAMES = st.lists(st.text(alphabet="abc", min_size=1, max_size=30), max_size=8)


async def test_those_that_may_fail_are_asked_first() -> None:
    """A queue in memory does not have what a disk refuses and its sender sends again, wherever it
    stands in the configuration."""
    memory, disk, direct = FakeQueue("memory"), FakeQueue("disk"), FakeQueue("direct")
    disk.may_fail = direct.may_fail = True
    fanout = _fanout(_pipeline("one", [memory, disk]), _pipeline("two", [direct]))
    disk.fails = StorageFull("the disk is full")
    with pytest.raises(StorageFull):
        await fanout.consume(line_batch(["a"]))
    assert memory.names == direct.names == []
    assert memory.used == disk.used == direct.used == 0
    disk.fails = None
    assert await fanout.consume(line_batch(["a"])) is ACCEPTED
    assert memory.names == disk.names == direct.names == ["a"]


@settings(max_examples=150, deadline=None)
@given(
    names=_NAMES,
    capacities=st.lists(st.integers(1, 60), min_size=1, max_size=3),
    used=st.lists(st.integers(0, 60), min_size=3, max_size=3),
)
def test_whatever_happens_the_books_are_right(
    names: list[str], capacities: list[int], used: list[int]
) -> None:
    """Law: refused = nothing taken; accepted = each queue has every item but the too large ones,
    which are counted, and what no queue took is what the client is told."""

    async def main() -> None:
        telemetry = CountingTelemetry()
        queues = [
            FakeQueue(f"q{number}", capacity, used=min(capacity, used[number]))
            for number, capacity in enumerate(capacities)
        ]
        fanout = _fanout(_pipeline("traces", queues), telemetry=telemetry)
        task = asyncio.create_task(fanout.consume(line_batch(names)))
        for _ in range(len(names) + 2):
            await asyncio.sleep(0.01)
            if any(queue.batches for queue in queues):
                for queue in queues:
                    queue.make_room()
        try:
            acceptance = await task
        except QueueFull:
            assert not any(queue.batches for queue in queues)
            return
        for queue in queues:
            fits = [name for name in names if len(name) + 1 <= queue.capacity]
            assert queue.names == fits
            lost = telemetry.counts["dropped", queue.id, "too_large"]
            assert len(names) == len(fits) + lost + acceptance.rejected

    run_virtual(main())
