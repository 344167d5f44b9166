"""One graph follows another: what starts and stops when, what is taken over, what keeps the old."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import os
import re
import signal
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genai_collector.configfile.schema import CollectorConfig, Component, Loaded
from genai_collector.errors import ConfigError, Fault, Retryable
from genai_collector.model import Signal
from genai_collector.pipeline import Host, Service, build
from genai_collector.processors.python import FACTORY as PYTHON
from genai_collector.processors.python import PythonConfig
from genai_collector.telemetry.metrics import SdkTelemetry
from tests.pipeline.house import LOG, FakeReceiver, House, own_telemetry
from tests.pipeline.test_service import LivingExporter, NeverReady
from tests.support.fakes import ScriptedExporter, line_batch, loop_time, run_virtual


@pytest.fixture(autouse=True)
def _same_garbage_collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Street:
    """A host, and the configurations that follow each other in it."""

    def __init__(self, first: House) -> None:
        self.first = first
        self.next: Callable[[], CollectorConfig] = lambda: first.config
        self.loads = 0
        self.host = Host(
            self._build(first.config),
            LOG,
            load=self._load,
            successor=self._build,
            in_thread=_at_once,
        )
        self.running: asyncio.Task[int] | None = None

    def _build(self, config: CollectorConfig, before: Service | None = None) -> Service:
        return build(config, self.first.telemetry, LOG, before=before, clock=loop_time)

    def _load(self) -> Loaded:
        self.loads += 1
        return Loaded(self.next(), [])

    async def open(self) -> None:
        self.running = asyncio.create_task(self.host.run())
        await self.first.extensions["health"].begun.wait()
        self.first.journal.clear()

    async def close(self) -> int:
        self.host.ask_to_stop()
        assert self.running is not None
        return await self.running


async def _at_once(load: Callable[[], Loaded]) -> Loaded:
    return load()


class Home(House):
    """A receiver, an exporter and an extension, with the journal of another house if given."""

    def __init__(self, exporter: ScriptedExporter | None = None, near: House | None = None) -> None:
        super().__init__(shutdown_timeout_s=25)
        if near is not None:
            self.journal, self.telemetry = near.journal, near.telemetry
        self.extension("health")
        self.door: FakeReceiver = self.receiver("in")
        self.out = exporter or LivingExporter(self.journal, "out")
        self.exporter("out", self.out)
        self.pipeline("traces", ["in"], [], ["out"])

    def but(self, **changed: Any) -> CollectorConfig:
        """The same configuration with something else in it."""
        return dataclasses.replace(self.config, **changed)


async def _all_retired(street: Street) -> None:
    while street.host._retiring:
        await asyncio.wait(street.host._retiring)


async def test_the_old_one_serves_until_the_new_one_runs() -> None:
    """All of the new graph has started before anything of the old one is left; nobody hears of an
    end."""
    old, street = (home := Home()), Street(home)
    await street.open()
    new = Home(near=old)
    street.next = lambda: new.config
    assert await street.host.reload()
    assert old.journal == ["+health", "+out", "+in", "health ready"]
    assert await new.door.receive(line_batch(["a"])) == 1
    await _all_retired(street)
    assert old.journal[4:] == ["-in", "-out", "-health"]
    assert not new.door.context.shutting_down()
    assert await street.close() == 0
    assert new.door.context.shutting_down()
    assert new.out.names == ["a"]


async def test_what_has_not_changed_is_taken_over() -> None:
    """An extension and an exporter that are the same do not notice; doors are always made anew."""
    home = Home()
    street = Street(home)
    await street.open()
    queue = street.host.service.parts.queues[0]
    home.receiver("more")
    pipelines = {**home.config.pipelines}
    pipelines["traces"] = dataclasses.replace(pipelines["traces"], receivers=["in", "more"])
    street.next = lambda: home.but(pipelines=pipelines, receivers={**home.config.receivers})
    assert await street.host.reload()
    await _all_retired(street)
    assert home.journal == ["+in", "+more", "health ready", "-in"]
    assert street.host.service.parts.queues == [queue]
    assert await home.door.receive(line_batch(["a"])) == 1
    home.journal.clear()
    assert await street.close() == 0
    assert home.journal == ["health not ready", "-more", "-in", "-out", "-health"]
    assert home.out.names == ["a"]


def test_an_outage_outlives_a_reload() -> None:
    """What waits for a destination that is down stays in the queue of an exporter that has not
    changed, however long it takes."""

    async def main() -> list[str]:
        down = True
        exporter = ScriptedExporter(lambda *_: Retryable("down") if down else None)
        home = Home(exporter)
        street = Street(home)
        await street.open()
        await home.door.receive(line_batch(["a", "b"]))
        home.receiver("more")
        pipelines = {**home.config.pipelines}
        pipelines["traces"] = dataclasses.replace(pipelines["traces"], receivers=["in", "more"])
        street.next = lambda: home.but(pipelines=pipelines)
        assert await street.host.reload()
        await asyncio.sleep(3600)
        down = False
        await asyncio.sleep(60)
        assert await street.close() == 0
        return exporter.names

    assert run_virtual(main()) == ["a", "b"]


@pytest.mark.parametrize(("outage_s", "sent"), [(15, ["a", "b"]), (60, [])])
def test_an_exporter_that_changed_delivers_what_it_has(outage_s: float, sent: list[str]) -> None:
    """The old queue goes on trying in the background until the old deadline, then it is lost and
    counted; the new one takes what is new at once."""

    async def main() -> tuple[list[str], list[str], int]:
        down = True
        old = Home(ScriptedExporter(lambda *_: Retryable("down") if down else None))
        street = Street(old)
        await street.open()
        await old.door.receive(line_batch(["a", "b"]))
        new = Home(ScriptedExporter(), near=old)
        street.next = lambda: new.config
        assert await street.host.reload()
        await new.door.receive(line_batch(["c"]))
        await asyncio.sleep(outage_s)
        down = False
        await _all_retired(street)
        assert await street.close() == 0
        return old.out.names, new.out.names, old.telemetry.counts["dropped", "out", "shutdown"]

    assert run_virtual(main()) == (sent, ["c"], 2 - len(sent))


FAULT = Fault("collector.yaml", 12, 5, "exporters.out", "no such key")


def _faulty(_home: Home) -> CollectorConfig:
    raise ConfigError(faults=[FAULT, FAULT._replace(line=14)])


def _not_made(home: Home) -> CollectorConfig:
    def create(*_: object) -> Any:
        raise ConfigError("cannot be made")

    factory: Any = dataclasses.replace(home.config.receivers["in"].factory, create=create)  # type: ignore[arg-type]
    config = home.config.receivers["in"].config
    return home.but(receivers={"in": Component("in", factory, config, FAULT)})


def _not_started(home: Home) -> CollectorConfig:
    other = Home(near=home)
    other.receiver("in", fails=OSError(98, "address already in use"))
    return other.config


def _bug(_home: Home) -> CollectorConfig:
    raise ZeroDivisionError("a bug")


REFUSALS: dict[str, tuple[Callable[[Home], CollectorConfig], list[str], list[str]]] = {
    "load": (_faulty, ["no such key", "no such key", "keeps running: 2 faults"], []),
    "build": (_not_made, ["cannot be made", "keeps running: .*cannot be made"], []),
    "start": (
        _not_started,
        ['keeps running: failed to start "in" receiver: .*in use'],
        ["+health", "+out", "-out", "-health"],
    ),
    "bug": (_bug, ["Reloading failed; the configuration before keeps running"], []),
}


@pytest.mark.parametrize(("refused", "messages", "journal"), REFUSALS.values(), ids=REFUSALS)
async def test_a_bad_one_leaves_everything_as_it_was(
    refused: Callable[[Home], CollectorConfig],
    messages: list[str],
    journal: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever is wrong with the new one: the log says what and where, and the old one serves."""
    home = Home()
    street = Street(home)
    await street.open()
    serving = street.host.service
    street.next = lambda: refused(home)
    assert not await street.host.reload()
    assert street.host.service is serving
    assert home.journal == journal
    assert await home.door.receive(line_batch(["a"])) == 1
    assert not home.door.context.shutting_down()
    for message, expected in zip(caplog.messages, messages, strict=True):
        assert re.search(expected, message)
    places = [vars(record)["at"] for record in caplog.records if "at" in vars(record)]
    assert places == ["collector.yaml:12:5", "collector.yaml:14:5"][: len(places)]
    assert len(places) == len(messages) - 1
    assert await street.close() == 0


async def test_a_bad_one_leaves_alone_what_it_would_have_taken_over() -> None:
    """A new graph that shares exporters with the running one and cannot start: the queues go on
    taking, trying and delivering."""
    home = Home()
    street = Street(home)
    await street.open()
    home.receiver("bad", fails=OSError(98, "address already in use"))
    pipelines = {**home.config.pipelines}
    pipelines["traces"] = dataclasses.replace(pipelines["traces"], receivers=["in", "bad"])
    street.next = lambda: home.but(pipelines=pipelines)
    assert not await street.host.reload()
    (queue,) = street.host.service.parts.queues
    assert not queue._queue.closed
    assert not queue._patience.ended.is_set()
    assert await home.door.receive(line_batch(["a"])) == 1
    assert await street.close() == 0
    assert home.out.names == ["a"]


async def test_no_change_is_no_reload(caplog: pytest.LogCaptureFixture) -> None:
    """The same configuration again starts nothing."""
    caplog.set_level(logging.INFO)
    home = Home()
    street = Street(home)
    await street.open()
    serving = street.host.service
    assert await street.host.reload()
    assert street.host.service is serving
    assert home.journal == []
    assert "The configuration has not changed." in caplog.messages
    assert await street.close() == 0


async def test_changed_code_is_a_change(tmp_path: Path) -> None:
    """A Python processor whose file has another content is another configuration."""
    file = tmp_path / "rooms.py"
    file.write_text("def room(batch): return batch\n")
    home = Home()
    config = PythonConfig.model_validate({"path": str(file), "function": "room"})
    home.config.processors["python"] = Component("python", PYTHON, config)
    home.pipeline("traces", ["in"], ["python"], ["out"])
    street = Street(home)
    await street.open()
    file.write_text("def room(batch): return None\n")
    assert await street.host.reload()
    assert home.journal[0] == "+in"
    assert await home.door.receive(line_batch(["a"])) == 1
    assert await street.close() == 0
    assert home.out.names == []


async def test_asking_often_is_asking_once_more() -> None:
    """What is asked for during a reload is done after it, once, with the newest configuration."""
    home = Home()
    stuck = NeverReady(home.journal, "p")
    street = Street(home)
    await street.open()
    slow = Home(near=home)
    slow.processor("p", lambda: stuck)
    slow.pipeline("traces", ["in"], ["p"], ["out"])
    street.next = lambda: slow.config
    street.host.ask_to_reload()
    await stuck.hanging.wait()
    last = Home(near=home)
    street.next = lambda: last.config
    for _ in range(5):
        street.host.ask_to_reload()
    assert street.loads == 1
    stuck.go_on.set()
    await last.extensions["health"].begun.wait()
    await _all_retired(street)
    assert street.loads == 2
    assert await last.door.receive(line_batch(["a"])) == 1
    assert await street.close() == 0


async def test_an_end_during_a_reload_ends_everything() -> None:
    """SIGTERM while the new graph starts: that is left again, the old one stops, the code is 0."""
    home = Home()
    stuck = NeverReady(home.journal, "p")
    street = Street(home)
    await street.open()
    slow = Home(near=home)
    slow.processor("p", lambda: stuck)
    slow.pipeline("traces", ["in"], ["p"], ["out"])
    street.next = lambda: slow.config
    os.kill(os.getpid(), signal.SIGHUP)
    await stuck.hanging.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    assert street.running is not None
    assert await asyncio.wait_for(street.running, 10) == 0
    new_left = ["-out", "-health"]
    assert home.journal == [
        *("+health", "+out", "hangs", *new_left),
        *("health not ready", "-in", "-out", "-health"),
    ]


def test_an_end_does_not_wait_for_an_old_one_longer_than_it_must() -> None:
    """While an old graph still tries, the end gives it one last try; all is counted, code 0."""

    async def main() -> float:
        old = Home(ScriptedExporter(lambda *_: Retryable("down")))
        street = Street(old)
        await street.open()
        await old.door.receive(line_batch(["a", "b"]))
        new = Home(ScriptedExporter(), near=old)
        street.next = lambda: new.config
        assert await street.host.reload()
        await asyncio.sleep(1)
        began = loop_time()
        assert await street.close() == 0
        assert old.telemetry.counts["dropped", "out", "shutdown"] == 2
        return loop_time() - began

    assert run_virtual(main()) < 5


def test_what_an_old_one_uses_is_there_until_it_has_ended() -> None:
    """The end comes while an old graph still sends: an extension that it shares with the new one (a
    storage, where it strikes out what was delivered) is left after it."""

    journal: list[str] = []

    async def slowly() -> None:
        await asyncio.sleep(1)
        journal.append("arrived")

    async def main() -> None:
        home = Home(ScriptedExporter(lambda *_: slowly()))
        home.journal = home.extensions["health"].journal = journal
        street = Street(home)
        await street.open()
        await home.door.receive(line_batch(["a"]))
        await asyncio.sleep(0.5)
        config = dataclasses.replace(Home().config, extensions=home.config.extensions)
        street.next = lambda: config
        assert await street.host.reload()
        assert await street.close() == 0

    run_virtual(main())
    assert journal.index("arrived") < journal.index("-health")


def test_a_few_old_ones_at_a_time() -> None:
    """A reload waits when three old graphs are still delivering, so that memory is bounded."""

    async def main() -> list[float]:
        home = Home(ScriptedExporter(lambda *_: Retryable("down")))
        street = Street(home)
        await street.open()
        took, serving = [], home
        for _ in range(5):
            await serving.door.receive(line_batch(["a"]))
            following = Home(ScriptedExporter(lambda *_: Retryable("down")), near=home)
            street.next = lambda following=following: following.config  # type: ignore[misc]
            began = loop_time()
            assert await street.host.reload()
            assert len(street.host._retiring) <= 3
            took.append(loop_time() - began)
            serving = following
        await street.close()
        return took

    first, second, third, fourth, _ = run_virtual(main())
    assert max(first, second, third) < 1
    assert 15 < fourth < 30


async def test_counters_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """Own metrics are the same ones after a reload; what left is looked at no more; the log's level
    follows the configuration; success and failure are counted."""
    caplog.set_level(logging.INFO)
    home = Home(ScriptedExporter())
    config = home.but(telemetry=own_telemetry())
    other = Home(ScriptedExporter())
    changed = other.but(telemetry=own_telemetry())
    loads: list[Callable[[], CollectorConfig]] = [lambda: changed, lambda: _faulty(home)]
    host = Host(
        build(config, log=LOG, clock=loop_time), LOG, load=lambda: Loaded(loads.pop(0)(), [])
    )
    running = asyncio.create_task(host.run())
    await home.extensions["health"].begun.wait()
    await home.door.receive(line_batch(["a", "b"]))
    port = host.service.component("telemetry", "metrics").port
    own = host.service.parts.own
    assert await host.reload()
    assert host.service.parts.own is own
    assert host.service.component("telemetry", "metrics").port == port
    await other.door.receive(line_batch(["c"]))
    while host._retiring:
        await asyncio.wait(host._retiring)
    assert not await host.reload()
    sdk: Any = own
    lines = sdk._sdk.scrape().decode().splitlines()
    assert 'otelcol_receiver_accepted_spans{receiver="in",transport="fake"} 3' in lines
    assert 'otelcol_config_reloads{result="success"} 1' in lines
    assert 'otelcol_config_reloads{result="failure"} 1' in lines
    assert "otelcol_config_last_reload_successful 0" in lines
    assert len([line for line in lines if line.startswith("otelcol_exporter_queue_size{")]) == 1
    assert len(sdk._sdk._everybodys) <= 4
    host.ask_to_stop()
    assert await running == 0


def test_two_queues_of_one_name_are_shown_together() -> None:
    """While an old queue drains, its size is added; the capacity is that of the newer one."""
    sdk = SdkTelemetry({})
    old, new = sdk.view(), sdk.view()
    old.watch_queue("out", Signal.TRACES, lambda: 5, 100)
    new.watch_queue("out", Signal.TRACES, lambda: 2, 200)
    labels = 'data_type="traces",exporter="out"'
    both = sdk.scrape().decode().splitlines()
    assert f"otelcol_exporter_queue_size{{{labels}}} 7" in both
    assert f"otelcol_exporter_queue_capacity{{{labels}}} 200" in both
    old.forget()
    assert f"otelcol_exporter_queue_size{{{labels}}} 2" in sdk.scrape().decode().splitlines()
    new.received("in", "grpc", Signal.TRACES, 1)
    accepted = 'otelcol_receiver_accepted_spans{receiver="in",transport="grpc"} 1'
    assert accepted in sdk.scrape().decode().splitlines()
    sdk.shutdown()


async def test_an_old_graph_is_forgotten() -> None:
    """When it has finished, nothing holds it: memory does not grow with the number of reloads."""
    home = Home()
    config = home.but(telemetry=own_telemetry())
    other = Home()
    loaded = Loaded(other.but(telemetry=own_telemetry()), [])
    host = Host(build(config, log=LOG, clock=loop_time), LOG, load=lambda: loaded)
    running = asyncio.create_task(host.run())
    await home.extensions["health"].begun.wait()
    queue = weakref.ref(host.service.parts.queues[0])
    old = weakref.ref(host.service)
    assert await host.reload()
    while host._retiring:
        del home.door.consumers, home.door.context  # what the test itself holds of it
        await asyncio.wait(host._retiring)
    for _ in range(5):  # its end is noticed, then it is let go
        await asyncio.sleep(0)
    assert old() is None
    assert queue() is None
    host.ask_to_stop()
    assert await running == 0
