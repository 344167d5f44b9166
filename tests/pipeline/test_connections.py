"""Pipelines that feed pipelines: admission, ownership, counting, order of life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.component import (
    ACCEPTED,
    SAME_SIGNAL,
    ConnectorFactory,
    Consumer,
    Context,
    Route,
)
from genai_collector.configfile.schema import Component
from genai_collector.connectors.forward import FACTORY as FORWARD
from genai_collector.connectors.forward import ForwardConfig
from genai_collector.errors import Overloaded, Permanent, QueueFull
from genai_collector.formats.otlp import batch_of
from genai_collector.model import Batch, Signal
from genai_collector.pipeline.fanout import Fanout
from genai_collector.pipeline.pipeline import Connection, Pipeline, Room
from tests.pipeline.house import LOG, House, Plain
from tests.pipeline.test_fanout import Each, FakeGate, FakeQueue
from tests.support.builders import batch, metric, metric_batch
from tests.support.fakes import (
    CountingTelemetry,
    FakeClock,
    ScriptedExporter,
    line_batch,
    names_of,
)


class Pass:
    """Passes on what it is given, or what `make` makes of it."""

    def __init__(self, make: Callable[[Batch], Batch | None] = lambda batch: batch) -> None:
        self._make = make
        self.asked = 0

    def connect(self, batch: Batch, /) -> Batch | None:
        self.asked += 1
        return self._make(batch)


class Note(Pass):
    """Remembers what it was told is accepted."""

    def __init__(self, make: Callable[[Batch], Batch | None] = lambda batch: batch) -> None:
        super().__init__(make)
        self.told: list[list[str]] = []

    def accepted(self, batch: Batch, /) -> None:
        self.told.append(names_of(batch))


NO_BATCHES: dict[str, Batch] = {}


class MetricsQueue(FakeQueue):
    signal = Signal.METRICS


def _pipeline(
    id: str,
    queues: list[FakeQueue],
    *connections: Connection,
    processors: list[Any] | None = None,
) -> Pipeline:
    rooms = [Room(f"p{number}", made) for number, made in enumerate(processors or [])]
    signal = Signal(id.partition("/")[0])
    return Pipeline(id, signal, rooms, queues, LOG, connections)


def _fanout(*pipelines: Pipeline, telemetry: CountingTelemetry | None = None) -> Fanout:
    signal = pipelines[0].signal
    return Fanout(signal, pipelines, telemetry or CountingTelemetry(), LOG, FakeClock())


# ---- admission -------------------------------------------------------------------------------


async def test_all_or_nothing_behind_connectors() -> None:
    """A full queue behind two connectors refuses for everybody; then all get it once."""
    telemetry = CountingTelemetry()
    near, middle, far = FakeQueue("near"), FakeQueue("middle"), FakeQueue("far", used=95)
    last = _pipeline("traces/3", [far])
    second = _pipeline("traces/2", [middle], Connection("b", Pass(), [last]))
    first = _pipeline("traces/1", [near], Connection("a", Pass(), [second]))
    fanout = _fanout(first, telemetry=telemetry)

    with pytest.raises(QueueFull, match="far"):
        await fanout.consume(line_batch(["one", "two"]))
    assert [queue.batches for queue in (near, middle, far)] == [[], [], []]
    assert (near.used, middle.used) == (0, 0)
    assert telemetry.counts == {("enqueue_failed", "far"): 2}
    far.make_room()
    assert await fanout.consume(line_batch(["one", "two"])) is ACCEPTED
    assert near.names == middle.names == far.names == ["one", "two"]


async def test_accepted_is_told_once_and_only_then() -> None:
    """However often a batch is refused, a connector is told of it once: when everything is taken.
    It is told what its pipeline made of it, not what came in."""
    note, queue = Note(lambda _: None), FakeQueue(used=100)
    other = FakeQueue("other")
    drop = Each(lambda name: None if name == "bad" else name)
    target = _pipeline("traces/2", [other])
    fanout = _fanout(
        _pipeline("traces/1", [queue], Connection("note", note, [target]), processors=[drop])
    )

    for _ in range(3):
        with pytest.raises(QueueFull):
            await fanout.consume(line_batch(["good", "bad"]))
    assert (note.asked, note.told) == (3, [])
    queue.make_room()
    await fanout.consume(line_batch(["good", "bad"]))
    assert (note.asked, note.told) == (4, [["good"]])


async def test_not_told_when_a_destination_fails_late() -> None:
    """A queue that fails after the question refuses the batch: it will come again."""
    note, queue = Note(), FakeQueue()
    queue.fails = QueueFull("disk is full")
    fanout = _fanout(
        _pipeline("traces", [queue], Connection("note", note, [_pipeline("traces/2", [])]))
    )

    with pytest.raises(QueueFull):
        await fanout.consume(line_batch(["a"]))
    assert note.told == []


async def test_an_emptied_batch_reaches_no_connector() -> None:
    """Nothing is left to be connected, or to be told of."""
    note = Note()
    target = _pipeline("traces/2", [FakeQueue()])
    drop = Each(lambda _: None)
    fanout = _fanout(
        _pipeline("traces/1", [], Connection("note", note, [target]), processors=[drop])
    )

    await fanout.consume(line_batch(["a"]))
    assert (note.asked, note.told) == (0, [])


async def test_at_the_door() -> None:
    """Queues and gates behind connectors of the same signal are asked before a request is read;
    those of another signal are not."""
    full, gate = FakeQueue("full", used=100), FakeGate()
    behind = _pipeline("traces/2", [full], processors=[gate])
    metrics = _pipeline("metrics", [MetricsQueue("points", used=100)], processors=[FakeGate()])
    fanout = _fanout(
        _pipeline(
            "traces/1", [], Connection("a", Pass(), [behind]), Connection("b", Pass(), [metrics])
        )
    )

    with pytest.raises(QueueFull, match="full"), fanout.admit(5):
        pytest.fail("admitted")
    full.make_room()
    with fanout.admit(5):
        assert gate.asked == [5]
    gate.refuses = True
    with pytest.raises(Overloaded), fanout.admit(5):
        pytest.fail("admitted")


@settings(max_examples=150, deadline=None)
@given(used=st.lists(st.integers(0, 60), min_size=4, max_size=4), tries=st.integers(1, 3))
def test_everything_is_taken_and_told_once_or_not_at_all(used: list[int], tries: int) -> None:
    """Law: over two pipelines and a connector between each of them and two more, either every queue
    has the batch once and every connector is told once, or nobody has anything; however often it
    is sent until it is taken."""

    async def main() -> None:
        queues = [FakeQueue(f"q{number}", used=each) for number, each in enumerate(used)]
        notes = [Note(), Note()]
        behind = [_pipeline(f"traces/{n}", [queues[n]]) for n in (2, 3)]
        pipelines = [
            _pipeline(f"traces/{n}", [queues[n]], Connection(f"c{n}", notes[n], behind))
            for n in (0, 1)
        ]
        fanout = _fanout(*pipelines)
        taken = 0
        for number in range(tries):
            if number:
                for queue in queues:
                    queue.make_room()
            try:
                await fanout.consume(line_batch(["x" * 29]))
                taken += 1
                break
            except QueueFull:
                assert not any(queue.batches for queue in queues)
        # Those behind are fed from two sides.
        assert [len(queue.batches) for queue in queues] == [taken, taken, 2 * taken, 2 * taken]
        assert [len(note.told) for note in notes] == [taken, taken]
        refused = any(u + w > 100 for u, w in zip(used, (30, 30, 60, 60), strict=True))
        assert taken == (0 if refused and tries == 1 else 1)

    asyncio.run(main())


# ---- ownership -------------------------------------------------------------------------------

SHARED = {
    "an exporter beside it": 1,
    "nobody beside it": 0,
}


@pytest.mark.parametrize("exporters", SHARED.values(), ids=SHARED)
async def test_changes_behind_a_connector_are_not_seen_before_it(exporters: int) -> None:
    """Each pipeline that is fed works on a batch of its own."""
    queues = [FakeQueue("beside") for _ in range(exporters)]
    targets, found = [], []
    for name in "xyz":
        found.append(FakeQueue(name))
        processor = Each(lambda text, name=name: text + name)  # type: ignore[misc]
        targets.append(_pipeline(f"traces/{name}", [found[-1]], processors=[processor]))
    fanout = _fanout(_pipeline("traces", queues, Connection("forward", Pass(), targets)))

    await fanout.consume(line_batch(["a"]))
    assert [queue.names for queue in found] == [["ax"], ["ay"], ["az"]]
    assert [queue.names for queue in queues] == [["a"]] * exporters


async def test_what_is_told_was_not_changed_behind() -> None:
    """A connector that passes a batch on and is told of it is told what it passed on."""
    note, queue = Note(), FakeQueue()
    target = _pipeline("traces/2", [queue], processors=[Each(str.upper)])

    await _fanout(_pipeline("traces/1", [], Connection("note", note, [target]))).consume(
        line_batch(["a"])
    )
    assert (note.told, queue.names) == ([["a"]], ["A"])


async def test_bytes_stay_bytes() -> None:
    """Forwarding decodes nothing: the exporter behind it gets the bytes that came."""
    queue = FakeQueue(capacity=10_000)
    target = _pipeline("traces/2", [queue])
    given = batch(3, encoded=True)

    await _fanout(_pipeline("traces/1", [], Connection("f", Pass(), [target]))).consume(given)
    (arrived,) = queue.batches
    assert arrived is given
    assert not arrived.is_decoded


# ---- other signals ---------------------------------------------------------------------------


def _points(_batch: Batch) -> Batch:
    return metric_batch(metric(), metric())


async def test_another_signal() -> None:
    """What a connector makes is counted under its own signal; it is admitted with the rest."""
    signals: list[Signal] = []

    class Counting(CountingTelemetry):
        def processed(self, processor: str, signal: Signal, incoming: int, outgoing: int) -> None:
            signals.append(signal)

    telemetry = Counting()
    points, spans = MetricsQueue("points", capacity=10_000, used=9_999), FakeQueue("spans")

    class Same:
        def process(self, batch: Batch, /) -> Batch:
            return batch

    metrics = _pipeline("metrics", [points], processors=[Same()])
    connection = Connection("made", Pass(_points), [metrics])
    fanout = _fanout(
        _pipeline("traces", [spans], connection, processors=[Same()]), telemetry=telemetry
    )
    with pytest.raises(QueueFull, match="points"):
        await fanout.consume(line_batch(["a"]))
    assert (spans.batches, signals) == ([], [])
    points.make_room()
    await fanout.consume(line_batch(["a"]))
    assert [batch.count for batch in points.batches] == [2]
    assert signals == [Signal.TRACES, Signal.METRICS]


async def test_too_large_is_told_by_signal() -> None:
    """Spans that no queue can hold are rejected, whatever else a connector made of them; points
    that no queue can hold are lost there, and the client, who sent spans, is not told."""
    telemetry = CountingTelemetry()
    spans, points = FakeQueue("spans", capacity=20), MetricsQueue("points", capacity=2)
    connection = Connection("made", Pass(_points), [_pipeline("metrics", [points])])
    fanout = _fanout(_pipeline("traces", [spans], connection), telemetry=telemetry)

    acceptance = await fanout.consume(line_batch(["ok", "x" * 30]))
    assert acceptance.rejected == 1
    assert spans.names == ["ok"]
    assert telemetry.counts["dropped", "points", "too_large"] == 2
    assert ("dropped", "spans", "too_large") not in telemetry.counts


# ---- faults ----------------------------------------------------------------------------------


async def test_a_faulty_connector_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in `connect` is logged with its traceback and refuses the batch; nothing was taken."""
    queue = FakeQueue()
    broken = Pass(lambda _batch: NO_BATCHES["any"])
    target = _pipeline("traces/2", [])
    fanout = _fanout(_pipeline("traces/1", [queue], Connection("broken", broken, [target])))

    with pytest.raises(Permanent, match="connector broken failed: KeyError") as caught:
        await fanout.consume(line_batch(["a"]))
    assert caught.value.reason == "connector_error"
    assert queue.batches == []
    assert caplog.records[-1].exc_info


async def test_a_fault_after_acceptance_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What was taken is taken: its sender must not send it again. The others are told all the
    same."""

    class Broken(Note):
        def accepted(self, batch: Batch, /) -> None:
            raise ZeroDivisionError

    note, target = Note(), _pipeline("traces/2", [])
    connections = [Connection("a", Broken(), [target]), Connection("b", note, [target])]
    fanout = _fanout(_pipeline("traces/1", [], *connections))

    assert await fanout.consume(line_batch(["a"])) is ACCEPTED
    assert note.told == [["a"]]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


# ---- the whole house -------------------------------------------------------------------------


class Emitter:
    """A connector with a life: emits one batch of points when it is left."""

    def __init__(self, route: Route, consumer: Consumer, context: Context, house: House) -> None:
        self.route, self._consumer, self._context, self._house = route, consumer, context, house

    def connect(self, _batch: Batch, /) -> Batch | None:
        return None

    async def __aenter__(self) -> Self:
        self._house.journal.append(f"+{self._context.id}")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._house.journal.append(f"-{self._context.id}")
        await self._consumer.consume(metric_batch(metric()))


def _emitter(house: House, id: str, routes: frozenset[Route]) -> list[Emitter]:
    made: list[Emitter] = []

    def create(_: Plain, route: Route, consumer: Consumer, context: Context) -> Emitter:
        made.append(Emitter(route, consumer, context, house))
        return made[-1]

    factory = ConnectorFactory("fake", Plain, create, routes)
    house.config.connectors[id] = Component(id, factory, Plain())
    return made


TRACES_TO_METRICS = Route(Signal.TRACES, Signal.METRICS)


async def test_life() -> None:
    """Connectors start after exporters and before receivers; they are left when the receivers are
    closed and while the queues still take what they give last."""
    house = House()
    house.receiver("in")
    sink = ScriptedExporter()
    house.exporter("out", sink)
    (made,) = (_emitter(house, "made", frozenset({TRACES_TO_METRICS})),)
    house.pipeline("traces", ["in"], [], ["made"])
    house.pipeline("metrics", ["made"], [], ["out"])
    service = house.build()

    await service.start()
    assert house.journal == ["+made", "+in"]
    assert [emitter.route for emitter in made] == [TRACES_TO_METRICS]
    (report,) = await service.stop()
    assert house.journal == ["+made", "+in", "-in", "-made"]
    assert (report.accepted, report.sent, report.left) == (1, 1, 0)
    assert sink.left == 1


async def test_one_instance_per_route() -> None:
    """Two pipelines that feed a connector share its instance; each pair of signals has its own, and
    routes that no pipeline uses have none."""
    house = House()
    house.receiver("in")
    house.exporter("out", ScriptedExporter())
    routes = {Route(source, target) for source in Signal for target in Signal}
    made = _emitter(house, "made", frozenset(routes))
    house.pipeline("traces/1", ["in"], [], ["made"])
    house.pipeline("traces/2", ["in"], [], ["made"])
    house.pipeline("logs", ["in"], [], ["made"])
    house.pipeline("metrics", ["made"], [], ["out"])
    house.build()

    assert [str(emitter.route) for emitter in made] == ["traces to metrics", "logs to metrics"]


async def test_chains_stop_at_their_beginning() -> None:
    """A connector that feeds another one is left first, so that nothing is given to one that has
    gone; the order in the file does not matter."""
    house = House()
    house.receiver("in")
    house.exporter("out", ScriptedExporter())
    metrics = frozenset({Route(Signal.METRICS, Signal.METRICS)})
    _emitter(house, "late", metrics)
    _emitter(house, "early", frozenset({TRACES_TO_METRICS}))
    house.pipeline("traces", ["in"], [], ["early"])
    house.pipeline("metrics/2", ["late"], [], ["out"])
    house.pipeline("metrics/1", ["early"], [], ["late", "out"])
    service = house.build()

    await service.start()
    await service.stop()
    assert house.journal == ["+late", "+early", "+in", "-in", "-early", "-late"]


async def test_forward_in_a_whole_service() -> None:
    """The built-in one: one pipeline in, two out, each item counted once per exporter."""
    house = House()
    receiver = house.receiver("in")
    sinks = {name: ScriptedExporter() for name in ("all", "some")}
    for name, sink in sinks.items():
        house.exporter(name, sink)
    house.processor("drop", lambda: Each(lambda name: None if name == "span 1" else name))
    house.config.connectors["forward"] = Component("forward", FORWARD, ForwardConfig())
    house.pipeline("traces/in", ["in"], [], ["forward"])
    house.pipeline("traces/all", ["forward"], [], ["all"])
    house.pipeline("traces/some", ["forward"], ["drop"], ["some"])
    assert FORWARD.routes == SAME_SIGNAL
    service = house.build()

    await service.start()
    assert await receiver.receive(batch(3, encoded=True)) == 3
    await receiver.receive(batch_of(Signal.TRACES, []))
    reports = {report.id: report for report in await service.stop()}
    assert sinks["all"].names == ["span 0", "span 1", "span 2"]
    assert sinks["some"].names == ["span 0", "span 2"]
    assert (reports["all"].sent, reports["some"].sent) == (3, 2)
    assert house.telemetry.counts["dropped", "drop", "filtered"] == 1
