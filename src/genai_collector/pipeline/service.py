"""One graph of components: what starts and stops when, and the last lines.

Start: own metrics, extensions, exporters, their queues, processors, connectors, receivers, HTTP
listeners.
Stop, under one deadline: extensions say "not ready", receivers refuse new work and finish what is
in flight, connectors give what they still hold, retrying stops, queues drain; what is left at the
deadline is counted as dropped. Then everything closes in the opposite order of starting.

A graph may follow another one that runs (`host`): it starts beside it, takes over what both have
in common, and the old one retires: it finishes what it has taken, with the same deadline.

Every task is owned here or by the component that made it, and is awaited.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from genai_collector import __version__
from genai_collector.component import LEFT_OUT, NO_FORM
from genai_collector.configfile.schema import CollectorConfig
from genai_collector.delivery import DeliveryReport, QueuedExporter
from genai_collector.errors import CollectorError
from genai_collector.pipeline.observe import OwnTelemetry
from genai_collector.telemetry.log import component_logger
from genai_collector.transport.http_server import HttpListeners

_DOORS_SHARE: Final = 0.4
"""How much of the time to shut down the receivers may use to finish what is in flight."""
_CONNECTORS_SHARE: Final = 0.25
"""How much of the time then left a connector may use to give what it still holds."""
_CLOSE_S: Final = 1.0
"""How long one component may take to close after the deadline."""
_MOMENT_S: Final = 0.1
_LAST_TRY_SHARE: Final = 0.2
"""How much of its time a graph that retires keeps for a last try of everything."""

Others: TypeAlias = Callable[[], Awaitable[None]]


class StartError(CollectorError):
    """A component could not start. Everything that had started was stopped again."""


class Part(NamedTuple):
    """A component that has a life, and where it stands in the configuration."""

    kind: str
    id: str
    component: AbstractAsyncContextManager[Any]

    def __str__(self) -> str:
        return f'"{self.id}" {self.kind}'


@dataclass(slots=True)
class Stopping:
    """Whether shutdown has begun; lent to every component as `Context.shutting_down`. One for all
    graphs of a process: that a graph retires is no shutdown."""

    begun: bool = False

    def __call__(self) -> bool:
        return self.begun


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that was built, in the order of starting."""

    own: AbstractAsyncContextManager[object]
    extensions: list[Part] = field(default_factory=list)
    exporters: list[Part] = field(default_factory=list)
    queues: list[QueuedExporter] = field(default_factory=list)
    processors: list[Part] = field(default_factory=list)
    connectors: list[Part] = field(default_factory=list)
    """Each after those that it feeds."""
    receivers: list[Part] = field(default_factory=list)
    listeners: HttpListeners = field(default_factory=HttpListeners)
    forget: dict[int, Callable[[], None]] = field(default_factory=dict)
    """By `id()` of one of the above: what is to be called when that has been left."""

    def house(self) -> Iterator[Part]:
        """Everything but the doors in."""
        yield Part("telemetry", "metrics", self.own)
        yield from self.extensions
        yield from self.exporters
        for queue in self.queues:
            yield Part("exporter", queue.id, queue)
        yield from self.processors


class Service:
    """A built graph."""

    def __init__(
        self,
        config: CollectorConfig,
        parts: Parts,
        log: logging.Logger,
        clock: Callable[[], float],
        stopping: Stopping,
    ) -> None:
        self.config = config
        self.parts = parts
        self.stopping = stopping
        self._log = log
        self._clock = clock
        self._entered_house: list[Part] = []
        self._entered_connectors: list[Part] = []
        self._entered_doors: list[Part] = []
        self._leave_now = asyncio.Event()
        self._deadline = 0.0

    @property
    def has_started(self) -> bool:
        """Whether anything of it has to be stopped."""
        return bool(self._entered_house)

    def component(self, kind: str, id: str) -> Any:
        """The first component of this kind and id that has a life."""
        everything = [*self.parts.house(), *self.parts.connectors, *self.parts.receivers]
        return next(p.component for p in everything if (p.kind, p.id) == (kind, id))

    def leave_now(self) -> None:
        """The deadline has come."""
        self._leave_now.set()

    async def told_to_leave(self) -> None:
        """Returns when the deadline has come."""
        await self._leave_now.wait()

    def count_reload(self, *, successful: bool) -> None:
        """Count among own metrics that another configuration was to be used."""
        if isinstance(self.parts.own, OwnTelemetry):
            self.parts.own.reloaded(successful=successful)

    # ---- starting --------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything, receivers last. Raises StartError; then nothing runs any more."""
        about = {"version": __version__, "num_cpu": os.cpu_count()}
        self._log.info("Starting genai-collector %s", __version__, extra=about)
        try:
            await self._start_parts([])
        except BaseException:
            self.stopping.begun = True
            await self._unwind()
            raise
        self._say_what_listens()
        self._tell_extensions("ready")
        self._log.info("Everything is ready. Begin running and processing data.")

    async def start_beside(self, old: Service) -> None:
        """Start what the old one does not have, while that one goes on serving. Raises StartError;
        then nothing of this one runs, and the old one is as it was."""
        try:
            await self._start_parts(old._entered_house)
        except BaseException:
            await self._unwind()
            raise

    def follow(self, old: Service) -> None:
        """Own what was taken over from the old one, which has to retire now."""
        house = list(self.parts.house())
        shared = [part for part in house if part in old._entered_house]
        self._entered_house = [part for part in house if part in [*self._entered_house, *shared]]
        old._give_away(shared)
        self._say_what_listens()
        self._tell_extensions("ready")

    def _give_away(self, shared: list[Part]) -> None:
        gone = {id(part.component) for part in shared}
        self._entered_house = [part for part in self._entered_house if part not in shared]
        for parts in (self.parts.extensions, self.parts.exporters):
            parts[:] = [part for part in parts if id(part.component) not in gone]
        self.parts.queues[:] = [queue for queue in self.parts.queues if id(queue) not in gone]
        for component in gone:
            self.parts.forget.pop(component, None)

    async def _start_parts(self, running: list[Part]) -> None:
        for part in self.parts.house():
            if part not in running:
                await self._enter(part, self._entered_house)
        for part in self.parts.connectors:
            await self._enter(part, self._entered_connectors)
        for part in self.parts.receivers:
            await self._enter(part, self._entered_doors)
        await self._open_listeners()

    async def _enter(self, part: Part, entered: list[Part]) -> None:
        try:
            await part.component.__aenter__()
        except Exception as exc:
            expected = isinstance(exc, CollectorError | OSError)
            if not expected:
                self._log.exception("Failed to start component", extra={"component": str(part)})
            raise StartError(f"failed to start {part}: {_reason(exc)}") from exc
        entered.append(part)

    async def _open_listeners(self) -> None:
        try:
            await self.parts.listeners.start()
        except (CollectorError, OSError) as exc:
            raise StartError(f"failed to start the HTTP receivers: {_reason(exc)}") from exc

    def _say_what_listens(self) -> None:
        for part in self.parts.receivers:
            log = component_logger(self._log, part.kind, part.id)
            endpoints = getattr(part.component, "endpoints", list)
            for scheme, _, address in (text.partition("://") for text in endpoints()):
                kind, tls = scheme.removesuffix("s").upper(), scheme.endswith("s")
                fields = {"endpoint": address, **({"tls": True} if tls else {})}
                log.info("Starting %s server", kind, extra=fields)

    async def _unwind(self) -> None:
        """Leave what was entered; a door that was open for a moment may have taken something."""
        self._deadline = self._clock() + self.config.shutdown_timeout_s
        await self._close_doors()
        await self._leave(self._entered_connectors, _CONNECTORS_SHARE)
        reports = await self._drain_all(at_once=True)
        await self._leave(self._entered_house)
        for report in reports:
            if report.accepted:
                self._say_goodbye(report)

    def _tell_extensions(self, what: str) -> None:
        """Call the optional `ready` or `not_ready` of every extension."""
        for part in self.parts.extensions:
            tell = getattr(part.component, what, None)
            if tell is None:
                continue
            try:
                tell()
            except Exception:  # a fault of one extension must not keep anything from going on
                component = str(part)
                self._log.exception("Failed to tell component", extra={"component": component})

    # ---- stopping --------------------------------------------------------------------------

    async def stop(self, others: Others | None = None) -> list[DeliveryReport]:
        """Stop everything until the deadline; returns (and logs) what became of the data. `others`
        is awaited before anything is left that other graphs may still use: a storage, say."""
        timeout_s = self.config.shutdown_timeout_s
        self._log.info("Starting shutdown...", extra={"timeout": f"{timeout_s:g}s"})
        self.stopping.begun = True
        self._deadline = self._clock() + timeout_s
        self._tell_extensions("not_ready")
        for queue in self._queues():
            queue.refuse_waiting()
        await self._close_doors()
        reports = await self._finish(at_once=True, others=others)
        self._log.info("Shutdown complete.")
        return reports

    async def retire(self) -> list[DeliveryReport]:
        """Stop what a following graph has not taken over. It goes on delivering what it has, with
        all patience, until its deadline comes near."""
        self._deadline = self._clock() + self.config.shutdown_timeout_s
        # What is in flight may still wait for room; receivers refuse when they are left.
        await self._close("HTTP listeners", *self._closing_listeners())
        await self._close_doors()
        for queue in self._queues():
            queue.refuse_waiting()
        reports = await self._finish(at_once=False)
        self._log.info("The configuration before has finished.")
        return reports

    def hurry(self) -> None:
        """The process ends while this graph retires: everything gets its last try now."""
        for queue in self._queues():
            queue.stop_retrying()

    def _queues(self) -> list[QueuedExporter]:
        """Those that this graph has started or taken over. What a graph that could not start
        would have taken over is not its own."""
        entered = [part.component for part in self._entered_house]
        return [queue for queue in self.parts.queues if queue in entered]

    async def _finish(self, *, at_once: bool, others: Others | None = None) -> list[DeliveryReport]:
        # While the queues still take something; but they need time to drain too.
        await self._leave(self._entered_connectors, _CONNECTORS_SHARE)
        reports = await self._drain_all(at_once=at_once)
        if others is not None:
            await others()
        await self._leave(self._entered_house)
        for report in reports:
            self._say_goodbye(report)
        return reports

    async def _drain_all(self, *, at_once: bool) -> list[DeliveryReport]:
        queues = self._queues()
        left = max(0.0, self._deadline - self._clock())
        loop = asyncio.get_running_loop()
        last_try = loop.call_later(0 if at_once else left * (1 - _LAST_TRY_SHARE), self.hurry)
        if at_once:
            self.hurry()
        try:
            await asyncio.gather(*(self._drain(queue) for queue in queues))
        finally:
            last_try.cancel()
        return [queue.report() for queue in queues]

    async def _close_doors(self) -> None:
        """All at once: a door that is slow to close must not leave another one open."""
        listeners, grace = self._closing_listeners()
        doors = [part.component.__aexit__(None, None, None) for part in self._entered_doors[::-1]]
        names = [str(part) for part in self._entered_doors[::-1]]
        self._entered_doors.clear()
        closing = zip(["HTTP listeners", *names], [listeners, *doors], strict=True)
        await asyncio.gather(*(self._close(name, work, grace) for name, work in closing))

    def _closing_listeners(self) -> tuple[Awaitable[None], float]:
        grace = max(0.0, self._deadline - self._clock()) * _DOORS_SHARE
        return self.parts.listeners.stop(grace), grace

    async def _drain(self, queue: QueuedExporter) -> None:
        left = max(0.0, self._deadline - self._clock())
        # Cancelled drains count what is left; the extra time is for that, not for sending.
        await self._until(queue.drain(self._deadline), left + _CLOSE_S)

    async def _leave(self, entered: list[Part], share: float = 1.0) -> None:
        """Leave in the opposite order of entering; each may use this share of the time left."""
        while entered:
            part = entered.pop()
            left = max(0.0, self._deadline - self._clock()) * share
            await self._close(str(part), part.component.__aexit__(None, None, None), left)
            self.parts.forget.pop(id(part.component), _nothing)()

    async def _close(self, name: str, work: Awaitable[object], timeout_s: float) -> None:
        """What fails or takes too long is logged and left behind."""
        try:
            finished = await self._until(work, timeout_s + _CLOSE_S)
        except Exception:  # one component's fault must not keep the others from closing
            self._log.exception("Failed to stop component", extra={"component": name})
        else:
            if not finished:
                fields = {"component": name}
                self._log.warning("A component did not stop in time", extra=fields)

    async def _until(self, work: Awaitable[object], timeout_s: float | None) -> bool:
        """Wait until it is done, the time is over or the second signal comes, then cancel it.
        Returns whether it was done; raises what it raised."""
        task = asyncio.ensure_future(work)
        leave = asyncio.ensure_future(self._leave_now.wait())
        try:
            await asyncio.wait(
                {task, leave}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            # What only has to close and to count gets a moment, also when it is late.
            await asyncio.wait({task}, timeout=_MOMENT_S)
        finally:
            leave.cancel()
            finished = task.done()
            if not finished:
                task.cancel()
                await asyncio.wait({task}, timeout=_CLOSE_S)
        if finished:
            task.result()
        return finished

    def _say_goodbye(self, report: DeliveryReport) -> None:
        """How a destination ended: sent, dropped and why, left. ERROR when something was lost,
        WARN when its format had no place for something, or when it is kept as dead letters."""
        reasons = ",".join(f"{reason}:{items}" for reason, items in sorted(report.dropped.items()))
        fields = {
            "exporter": report.id,
            "signal": report.signal.value,
            "accepted": report.accepted,
            "sent": report.sent,
            "dropped": sum(report.dropped.values()),
            **({"reasons": reasons} if reasons else {}),
            **({"dead_letters": report.dead_letters} if report.dead_letters else {}),
            "left": report.left,
        }
        lost = sum(items for reason, items in report.dropped.items() if reason not in LEFT_OUT)
        level = logging.INFO
        if NO_FORM in report.dropped or lost:
            level = logging.WARNING
        if lost > report.dead_letters:
            level = logging.ERROR
        self._log.log(level, "Exporter finished", extra=fields)


def _reason(exc: BaseException) -> str:
    """What an operator reads; the class too where the text alone says little."""
    text = str(exc)
    if isinstance(exc, CollectorError) and text:
        return text
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _nothing() -> None:
    """Where nothing is to be forgotten."""
