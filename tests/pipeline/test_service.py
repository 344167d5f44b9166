"""A whole service: order of starting and stopping, signals, the deadline, the last lines."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import os
import signal
from collections.abc import Callable, Iterator
from typing import Final, Self

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.component import Sent
from genai_collector.configfile.schema import Component
from genai_collector.errors import ConfigError, Permanent, QueueFull, Retryable
from genai_collector.extensions.health_check import FACTORY as HEALTH_CHECK
from genai_collector.extensions.health_check import HealthCheckConfig
from genai_collector.model import Batch, Signal
from genai_collector.pipeline import Host, StartError, build
from genai_collector.pipeline.observe import resource_of
from genai_collector.pipeline.placing import weigh
from tests.pipeline.house import LOG, Alive, House, own_telemetry
from tests.pipeline.test_fanout import Each
from tests.support.fakes import (
    FakeClock,
    ScriptedExporter,
    line_batch,
    loop_time,
    names_of,
    run_virtual,
)


@pytest.fixture(autouse=True)
def _same_garbage_collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class LivingProcessor(Alive):
    def process(self, batch: Batch, /) -> Batch:
        return batch


class LivingExporter(ScriptedExporter):
    """An exporter that writes into a journal."""

    def __init__(self, journal: list[str], name: str) -> None:
        super().__init__()
        self.journal, self.name = journal, name

    async def __aenter__(self) -> Self:
        self.journal.append(f"+{self.name}")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.journal.append(f"-{self.name}")


def _house() -> House:
    house = House()
    house.extension("health")
    house.receiver("in/1")
    house.receiver("in/2")
    house.processor("p", lambda: LivingProcessor(house.journal, "p"))
    house.exporter("out", LivingExporter(house.journal, "out"))
    house.pipeline("traces", ["in/1", "in/2"], ["p"], ["out"])
    return house


STARTED = ["+health", "+out", "+p", "+in/1", "+in/2", "health ready"]
STOPPED = ["health not ready", "-in/2", "-in/1", "-p", "-out", "-health"]


async def test_order_of_starting_and_stopping() -> None:
    """Doors open last and close first; extensions are told when it is ready and when it ends."""
    house = _house()
    service = house.build()
    await service.start()
    assert house.journal == STARTED
    await service.stop()
    assert house.journal == STARTED + STOPPED


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(98, "address already in use"),
            'failed to start "in/2" receiver: OSError: .*in use',
        ),
        (ConfigError("no such key"), 'failed to start "in/2" receiver: no such key$'),
        (ZeroDivisionError("bug"), 'failed to start "in/2" receiver: ZeroDivisionError: bug'),
    ],
)
async def test_a_failed_start_stops_what_had_started(error: Exception, message: str) -> None:
    """Everything that was entered is left, in the opposite order, and the message says who."""
    house = _house()
    house.receiver("in/2", fails=error)
    service = house.build()
    with pytest.raises(StartError, match=message):
        await service.start()
    assert house.journal == [*STARTED[:-2], "-in/1", "-p", "-out", "-health"]


async def test_run_ends_with_1_when_it_cannot_start(caplog: pytest.LogCaptureFixture) -> None:
    """`run` says why and returns 1."""
    house = _house()
    house.receiver("in/1", fails=ConfigError("no such key"))
    assert await Host(house.build(), LOG).run() == 1
    assert 'Cannot start: failed to start "in/1" receiver: no such key' in caplog.messages


async def test_a_component_that_fails_to_stop_does_not_keep_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its fault is logged, everything else still closes."""
    house = _house()
    house.receivers["in/1"] = house.receiver("in/1")
    house.receivers["in/1"].fails_leaving = RuntimeError("stuck")
    service = house.build()
    await service.start()
    await service.stop()
    assert house.journal[-6:] == STOPPED
    assert "Failed to stop component" in caplog.messages


async def test_what_the_log_says(caplog: pytest.LogCaptureFixture) -> None:
    """What listens where, ready, shutdown, one line per exporter and signal, complete."""
    caplog.set_level(logging.INFO)
    house = _house()
    receiver = house.receiver("in/1")
    receiver.listens = ("grpc://127.0.0.1:4317", "https://[::1]:4318")
    service = house.build()
    await service.start()
    await receiver.receive(line_batch(["a", "b"]))
    await service.stop()
    assert [line.split(" 0.")[0] for line in caplog.messages] == [
        "Starting genai-collector",
        "Starting GRPC server",
        "Starting HTTP server",
        "Everything is ready. Begin running and processing data.",
        "Starting shutdown...",
        "Exporter finished",
        "Shutdown complete.",
    ]
    grpc, http = (vars(line) for line in caplog.records if "server" in line.message)
    assert (grpc["endpoint"], http["endpoint"], http["tls"]) == (
        "127.0.0.1:4317",
        "[::1]:4318",
        True,
    )
    assert grpc["name"].endswith("receiver.in/1")
    (last,) = [line for line in caplog.records if line.message == "Exporter finished"]
    fields = {key: vars(last)[key] for key in ("exporter", "signal", "sent", "dropped", "left")}
    assert fields == {"exporter": "out", "signal": "traces", "sent": 2, "dropped": 0, "left": 0}
    assert last.levelno == logging.INFO


@pytest.mark.parametrize(
    ("reason", "level"),
    [("not_genai", logging.INFO), ("no_form", logging.WARNING), ("refused", logging.ERROR)],
)
async def test_how_loud_the_last_line_is(
    reason: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What the configuration leaves out is no failure; what was lost is one."""
    caplog.set_level(logging.INFO)
    house = House()
    receiver = house.receiver("in")
    house.exporter("out", ScriptedExporter(lambda batch, _: Sent(batch.count - 1, {reason: 1})))
    house.pipeline("traces", ["in"], [], ["out"])
    service = house.build()
    await service.start()
    await receiver.receive(line_batch(["a", "b"]))
    await service.stop()
    (last,) = [line for line in caplog.records if line.message == "Exporter finished"]
    assert (last.levelno, vars(last)["reasons"]) == (level, f"{reason}:1")


def test_who_waits_for_room_is_told_at_shutdown() -> None:
    """when_full: block. A waiting client hears that it must come again, before the doors close."""

    async def main() -> tuple[object, float]:
        house = House(shutdown_timeout_s=10)
        receiver = house.receiver("in")
        weight = weigh(line_batch(["a"]))
        queue = {"when_full": "block", "queue_size": f"{weight}B"}
        house.exporter("hanging", EXPORTERS["hanging"](), timeout="0s", sending_queue=queue)
        house.pipeline("traces", ["in"], [], ["hanging"])
        service = house.build()
        await service.start()
        await receiver.receive(line_batch(["a"]))
        waiting = receiver.serve(line_batch(["b"]))
        await asyncio.sleep(1)
        assert not waiting.done()
        began = loop_time()
        stopping = asyncio.create_task(service.stop())
        (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
        told_after = loop_time() - began
        await stopping
        return outcome, told_after

    outcome, told_after = run_virtual(main())
    assert isinstance(outcome, QueueFull)
    assert told_after < 0.1


def test_one_deadline_for_everything(caplog: pytest.LogCaptureFixture) -> None:
    """With dead destinations shutdown ends at the deadline, and says what was lost and why."""

    async def main() -> float:
        house = House(shutdown_timeout_s=10)
        receiver = house.receiver("in")
        for name in ("dead", "hanging", "good"):
            house.exporter(name, EXPORTERS[name](), timeout="0s")
        house.pipeline("traces", ["in"], [], ["dead", "hanging", "good"])
        service = house.build()
        await service.start()
        for number in range(20):
            await receiver.receive(line_batch([f"{number}a", f"{number}b"]))
        began = loop_time()
        reports = {report.id: report for report in await service.stop()}
        for report in reports.values():
            assert report.accepted == 40 == report.sent + sum(report.dropped.values())
            assert report.left == 0
        assert reports["good"].sent == 40
        assert reports["hanging"].dropped == {"shutdown": 40}
        assert sum(reports["dead"].dropped.values()) == 40
        return loop_time() - began

    assert run_virtual(main()) <= 12.5
    lost = [line for line in caplog.records if line.message == "Exporter finished"]
    assert {vars(line)["exporter"] for line in lost} == {"dead", "hanging"}  # INFO is not captured
    assert all(line.levelno == logging.ERROR for line in lost)
    assert "shutdown:40" in [vars(line)["reasons"] for line in lost]


EXPORTERS: Final[dict[str, Callable[[], ScriptedExporter]]] = {
    "dead": lambda: ScriptedExporter(lambda _batch, _attempt: Retryable("down")),
    "hanging": lambda: ScriptedExporter(lambda _batch, _attempt: asyncio.sleep(1e6)),
    "good": ScriptedExporter,
}


async def test_nothing_is_taken_after_shutdown() -> None:
    """A receiver that still holds a request is told to come again."""
    house = _house()
    receiver = house.receiver("in/1")
    service = house.build()
    await service.start()
    assert not receiver.context.shutting_down()
    await service.stop()
    assert receiver.context.shutting_down()
    with pytest.raises(QueueFull):
        await receiver.receive(line_batch(["late"]))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops(number: signal.Signals, caplog: pytest.LogCaptureFixture) -> None:
    """SIGINT and SIGTERM end `run` cleanly with 0."""
    caplog.set_level(logging.INFO)
    house = _house()
    running = asyncio.create_task(Host(house.build(), LOG).run())
    await house.extensions["health"].begun.wait()
    os.kill(os.getpid(), number)
    assert await running == 0
    assert "Received signal from OS" in caplog.messages
    assert house.journal == STARTED + STOPPED


async def test_a_second_signal_leaves_now() -> None:
    """It does not wait for the deadline, still counts what is lost, and returns 1."""
    house = House(shutdown_timeout_s=3600)
    house.extension("health")
    receiver = house.receiver("in")
    house.exporter("out", EXPORTERS["hanging"](), timeout="0s")
    house.pipeline("traces", ["in"], [], ["out"])
    service = house.build()
    running = asyncio.create_task(Host(service, LOG).run())
    await house.extensions["health"].begun.wait()
    await receiver.receive(line_batch(["a", "b"]))
    os.kill(os.getpid(), signal.SIGTERM)
    await house.extensions["health"].ending.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(running, 10) == 1
    assert house.telemetry.counts["dropped", "out", "shutdown"] == 2
    assert house.journal[-2:] == ["-in", "-health"]


class NeverReady(Alive):
    """A component that hangs while it starts, until somebody lets it go on."""

    def __init__(self, journal: list[str], name: str) -> None:
        super().__init__(journal, name)
        self.hanging, self.go_on = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Self:
        self.journal.append("hangs")
        self.hanging.set()
        await self.go_on.wait()
        return self

    def process(self, batch: Batch, /) -> Batch:
        return batch


async def test_a_second_signal_ends_a_start_that_hangs() -> None:
    """The first waits for the start to end; the second ends it, and what had started is left."""
    house = _house()
    stuck = NeverReady(house.journal, "p")
    house.processor("p", lambda: stuck)
    running = asyncio.create_task(Host(house.build(), LOG).run())
    await stuck.hanging.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    assert await asyncio.wait_for(running, 10) == 1
    assert house.journal == ["+health", "+out", "hangs", "-out", "-health"]


async def test_cancelled_run_still_stops() -> None:
    """Whoever cancels `run` gets a collector that has shut down."""
    house = _house()
    running = asyncio.create_task(Host(house.build(), LOG).run())
    await house.extensions["health"].begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert house.journal == STARTED + STOPPED


async def test_start_and_stop_again() -> None:
    """Stopping twice does no harm."""
    house = _house()
    service = house.build()
    await service.start()
    await service.stop()
    before = list(house.journal)
    await service.stop()
    assert [line for line in house.journal if line.startswith("-")] == [
        line for line in before if line.startswith("-")
    ]


# ---- what is built ---------------------------------------------------------------------------


async def test_instances() -> None:
    """Receivers and exporters once per id, a queue per exporter and signal, processors once per
    pipeline or, if shared, once; a receiver that no pipeline names is not built."""
    house = House()
    for name in ("used", "unused"):
        house.receiver(name)
    house.processor("own", lambda: Each(lambda name: name))
    house.processor("shared", lambda: LivingProcessor(house.journal, "shared"), shared=True)
    house.exporter("out", ScriptedExporter())
    for pipeline in ("traces/1", "traces/2", "logs"):
        house.pipeline(pipeline, ["used"], ["shared", "own"], ["out"])
    service = house.build()
    assert sorted(house.made) == ["out", "own", "own", "own", "shared", "used"]
    assert [(queue.id, queue.signal) for queue in service.parts.queues] == [
        ("out", Signal.TRACES),
        ("out", Signal.LOGS),
    ]
    async with asyncio.timeout(5):
        await service.start()
        await service.stop()
    assert house.journal.count("+shared") == 1


async def test_a_receiver_gets_the_signals_that_are_taken_from_it() -> None:
    """One consumer per signal that some pipeline takes."""
    house = House()
    one, two = house.receiver("one"), house.receiver("two")
    house.exporter("out", ScriptedExporter())
    house.pipeline("traces", ["one", "two"], [], ["out"])
    house.pipeline("logs/x", ["two"], [], ["out"])
    house.build()
    assert set(one.consumers) == {Signal.TRACES}
    assert set(two.consumers) == {Signal.TRACES, Signal.LOGS}


async def test_own_metrics_and_health() -> None:
    """With a real port each: metrics of what flowed, and health through the whole life."""
    house = House()
    receiver = house.receiver("in")
    house.exporter("out", ScriptedExporter())
    house.pipeline("traces", ["in"], [], ["out"])
    health_config = HealthCheckConfig(endpoint="127.0.0.1:0")
    house.config.extensions["health_check"] = Component("health_check", HEALTH_CHECK, health_config)
    house.config.extension_order.append("health_check")
    config = dataclasses.replace(house.config, telemetry=own_telemetry())
    service = build(config, log=LOG)
    await service.start()
    await receiver.receive(line_batch(["a", "b", "c"]))
    metrics_port = service.component("telemetry", "metrics").port
    health_port = service.component("extension", "health_check").port
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{health_port}/") as response:
            assert response.status == 200
        async with session.get(f"http://127.0.0.1:{metrics_port}/metrics") as response:
            assert response.content_type == "text/plain"
            text = await response.text()
    await service.stop()
    accepted = 'otelcol_receiver_accepted_spans{receiver="in",transport="fake"} 3'
    capacity = 'otelcol_exporter_queue_capacity{data_type="traces",exporter="out"} 67108864'
    lines = text.splitlines()
    assert accepted in lines
    assert capacity in lines
    assert any(line.startswith('target_info{service_instance_id="') for line in lines)


async def test_taken_metrics_port_fails_the_start() -> None:
    """The message says that it is the metrics port."""
    first = build(dataclasses.replace(_house().config, telemetry=own_telemetry()), log=LOG)
    await first.start()
    port = first.component("telemetry", "metrics").port
    second = dataclasses.replace(
        _house().config, telemetry=own_telemetry(address=f"127.0.0.1:{port}")
    )
    with pytest.raises(StartError, match=r"in use; free it, or choose another in service\.tel"):
        await build(second, log=LOG).start()
    await first.stop()


@pytest.mark.parametrize(("level", "address"), [("none", "127.0.0.1:0"), ("normal", None)])
async def test_metrics_can_be_switched_off(level: str, address: str | None) -> None:
    """`level: none` and `address: null` listen nowhere; data still flows."""
    house = _house()
    receiver = house.receiver("in/1")
    config = dataclasses.replace(house.config, telemetry=own_telemetry(level, address))
    service = build(config, log=LOG)
    await service.start()
    assert service.component("telemetry", "metrics")._server is None
    await receiver.receive(line_batch(["a"]))
    assert [report.sent for report in await service.stop()] == [1]


def test_own_resource() -> None:
    """otelcol's three attributes; the configuration adds, replaces and, with null, removes."""
    config = own_telemetry().model_copy(
        update={"resource": {"service.name": "mine", "service.version": None, "zone": "eu"}}
    )
    resource = resource_of(config)
    assert sorted(resource) == ["service.instance.id", "service.name", "zone"]
    assert resource["service.name"] == "mine"


# ---- the equation ----------------------------------------------------------------------------

OUTCOMES = st.sampled_from(["all", "slow", "down", "refused", "hangs", "bug"])


def _scripted(outcomes: list[str]) -> ScriptedExporter:
    def script(_batch: Batch, attempt: int) -> object:
        match outcomes[(attempt - 1) % len(outcomes)]:
            case "slow":
                return asyncio.sleep(2)
            case "down":
                return Retryable("down")
            case "refused":
                return Permanent("no", reason="rejected", data_fault=True)
            case "hangs":
                return asyncio.sleep(1e6)
            case "bug":
                return ZeroDivisionError("bug")
        return None

    return ScriptedExporter(script)


@settings(max_examples=60, deadline=None)
@given(
    scripts=st.lists(st.lists(OUTCOMES, min_size=1, max_size=6), min_size=1, max_size=3),
    sizes=st.lists(st.integers(0, 6), max_size=12),
    deadline=st.sampled_from([0.0, 1.0, 25.0]),
    queue=st.sampled_from(["40B", "1MiB"]),
)
def test_accepted_is_sent_plus_dropped(
    scripts: list[list[str]], sizes: list[int], deadline: float, queue: str
) -> None:
    """Law: whatever the destinations do and however short the shutdown, for each exporter what the
    receiver had accepted was sent or is counted as dropped, and the witness agrees."""

    async def main() -> None:
        house = House(shutdown_timeout_s=deadline)
        receiver = house.receiver("in")
        house.processor("filter", lambda: Each(lambda name: None if name.endswith("0") else name))
        exporters = {f"out/{number}": _scripted(script) for number, script in enumerate(scripts)}
        for name, exporter in exporters.items():
            house.exporter(name, exporter, timeout="3s", sending_queue={"queue_size": queue})
        house.pipeline("traces", ["in"], ["filter"], list(exporters))
        service = house.build()
        await service.start()
        accepted = refused = 0
        for number, size in enumerate(sizes):
            try:
                accepted += await receiver.receive(
                    line_batch([f"{number}-{n}" for n in range(size)])
                )
            except QueueFull:
                refused += size
                await asyncio.sleep(0.5)
        await service.stop()
        counts = house.telemetry.counts
        assert counts["received", "in", "fake"] == accepted == sum(sizes) - refused
        for name, exporter in exporters.items():
            lost = sum(n for key, n in counts.items() if key[:2] == ("dropped", name))
            sent = counts["sent", name]
            assert accepted == sent + lost + counts["dropped", "filter", "filtered"]
            assert sent == len([name for batch in exporter.arrived for name in names_of(batch)])

    run_virtual(main())


async def test_clock_is_lent() -> None:
    """Components get the service's clock, never their own."""
    house = _house()
    receiver = house.receiver("in/1")
    clock = FakeClock(5.0)
    house.build(clock)
    assert receiver.context.clock() == 5.0
