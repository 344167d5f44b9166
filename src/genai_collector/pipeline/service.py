"""The running collector: what starts and stops when, signals, and the last lines.

Start: own metrics, extensions, exporters, their queues, processors, connectors, receivers, HTTP
listeners.
Stop, under one deadline: extensions say "not ready", receivers refuse new work and finish what is
in flight, connectors give what they still hold, retrying stops, queues drain; what is left at the
deadline is counted as dropped. Then everything closes in the opposite order of starting. A second
signal is a deadline of now.

Every task is owned here or by the component that made it, and is awaited.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from genai_collector import __version__
from genai_collector.component import LEFT_OUT, NO_FORM
from genai_collector.delivery import DeliveryReport, QueuedExporter
from genai_collector.errors import CollectorError
from genai_collector.telemetry.log import component_logger
from genai_collector.transport.http_server import HttpListeners

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_DOORS_SHARE: Final = 0.4
"""How much of the time to shut down the receivers may use to finish what is in flight."""
_CONNECTORS_SHARE: Final = 0.25
"""How much of the time then left a connector may use to give what it still holds."""
_CLOSE_S: Final = 1.0
"""How long one component may take to close after the deadline."""
_MOMENT_S: Final = 0.1
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MALLOPT: Final = (
    (_M_TRIM_THRESHOLD, 64 << 20),
    (_M_TOP_PAD, 16 << 20),
    (_M_MMAP_THRESHOLD, 32 << 20),
)
_GC_THRESHOLDS: Final = (50_000, 20, 50)


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
    """Whether shutdown has begun; lent to every component as `Context.shutting_down`."""

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

    def house(self) -> Iterator[Part]:
        """Everything but the doors in."""
        yield Part("telemetry", "metrics", self.own)
        yield from self.extensions
        yield from self.exporters
        for queue in self.queues:
            yield Part("exporter", queue.id, queue)
        yield from self.processors


class Service:
    """A built collector. `run` is all that a command needs; `start` and `stop` are its halves."""

    def __init__(
        self,
        parts: Parts,
        log: logging.Logger,
        clock: Callable[[], float],
        shutdown_timeout_s: float,
        stopping: Stopping,
    ) -> None:
        self.parts = parts
        self._log = log
        self._clock = clock
        self._shutdown_timeout_s = shutdown_timeout_s
        self._stopping = stopping
        self._entered_house: list[Part] = []
        self._entered_connectors: list[Part] = []
        self._entered_doors: list[Part] = []
        self._stop_asked = asyncio.Event()
        self._leave_now = asyncio.Event()
        self._deadline = 0.0

    def component(self, kind: str, id: str) -> Any:
        """The first component of this kind and id that has a life."""
        everything = [*self.parts.house(), *self.parts.connectors, *self.parts.receivers]
        return next(p.component for p in everything if (p.kind, p.id) == (kind, id))

    async def run(self) -> int:
        """From start to a signal (or `ask_to_stop`) to the last line. Returns the exit code."""
        with self._signals():
            try:
                if await self._until(self.start(), None):
                    _tune_garbage_collector()
                    _tune_allocator()
                    await self._stop_asked.wait()
            except StartError as exc:
                self._log.error("Cannot start: %s", exc)
                return 1
            finally:
                if self._entered_house:  # also when whoever runs us is cancelled
                    await self.stop()
        return 1 if self._leave_now.is_set() else 0

    def ask_to_stop(self) -> None:
        """What the first signal does."""
        self._stop_asked.set()

    def leave_now(self) -> None:
        """What the second signal does: the deadline has come."""
        self._stop_asked.set()
        self._leave_now.set()

    # ---- starting --------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything, receivers last. Raises StartError; then nothing runs any more."""
        about = {"version": __version__, "num_cpu": os.cpu_count()}
        self._log.info("Starting genai-collector %s", __version__, extra=about)
        try:
            for part in self.parts.house():
                await self._enter(part, self._entered_house)
            for part in self.parts.connectors:
                await self._enter(part, self._entered_connectors)
            for part in self.parts.receivers:
                await self._enter(part, self._entered_doors)
            await self._open_listeners()
        except BaseException:
            await self._unwind()
            raise
        self._say_what_listens()
        self._tell_extensions("ready")
        self._log.info("Everything is ready. Begin running and processing data.")

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
        self._stopping.begun = True
        self._deadline = self._clock() + _CLOSE_S
        await self._close_doors()
        await self._leave(self._entered_connectors)
        await self._leave(self._entered_house)

    def _tell_extensions(self, what: str) -> None:
        """Call the optional `ready` or `not_ready` of every extension."""
        for part in self.parts.extensions:
            tell = getattr(part.component, what, None)
            if tell is not None:
                tell()

    # ---- stopping --------------------------------------------------------------------------

    async def stop(self) -> list[DeliveryReport]:
        """Stop everything until the deadline; returns (and logs) what became of the data."""
        self._log.info("Starting shutdown...", extra={"timeout": f"{self._shutdown_timeout_s:g}s"})
        self._stopping.begun = True
        self._deadline = self._clock() + self._shutdown_timeout_s
        self._tell_extensions("not_ready")
        for queue in self.parts.queues:
            queue.refuse_waiting()
        await self._close_doors()
        # While the queues still take something; but they need time to drain too.
        await self._leave(self._entered_connectors, _CONNECTORS_SHARE)
        for queue in self.parts.queues:
            queue.stop_retrying()
        await asyncio.gather(*(self._drain(queue) for queue in self.parts.queues))
        reports = [queue.report() for queue in self.parts.queues]
        await self._leave(self._entered_house)
        for report in reports:
            self._say_goodbye(report)
        self._log.info("Shutdown complete.")
        return reports

    async def _close_doors(self) -> None:
        """All at once: a door that is slow to close must not leave another one open."""
        grace = max(0.0, self._deadline - self._clock()) * _DOORS_SHARE
        doors = [part.component.__aexit__(None, None, None) for part in self._entered_doors[::-1]]
        names = [str(part) for part in self._entered_doors[::-1]]
        self._entered_doors.clear()
        closing = zip(
            ["HTTP listeners", *names], [self.parts.listeners.stop(grace), *doors], strict=True
        )
        await asyncio.gather(*(self._close(name, work, grace) for name, work in closing))

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
        WARN when its format had no place for something."""
        reasons = ",".join(f"{reason}:{items}" for reason, items in sorted(report.dropped.items()))
        fields = {
            "exporter": report.id,
            "signal": report.signal.value,
            "accepted": report.accepted,
            "sent": report.sent,
            "dropped": sum(report.dropped.values()),
            **({"reasons": reasons} if reasons else {}),
            "left": report.left,
        }
        level = logging.WARNING if NO_FORM in report.dropped else logging.INFO
        if report.dropped.keys() - LEFT_OUT:
            level = logging.ERROR
        self._log.log(level, "Exporter finished", extra=fields)

    # ---- signals ---------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _on_signal(self, number: signal.Signals) -> None:
        fields = {"signal": number.name}
        if not self._stop_asked.is_set():
            self._log.info("Received signal from OS", extra=fields)
            self.ask_to_stop()
        else:
            self._log.warning("Received another signal from OS, leaving now", extra=fields)
            self.leave_now()


def _reason(exc: BaseException) -> str:
    """What an operator reads; the class too where the text alone says little."""
    text = str(exc)
    if isinstance(exc, CollectorError) and text:
        return text
    return f"{type(exc).__name__}: {text}" if text else type(exc).__name__


def _tune_allocator() -> None:
    """Keep the memory of one request for the next one.

    glibc gives the top of the heap back after each large request and takes it again for the next:
    measured as about 1,000 page faults a request of 1.6 MB. Where there is no glibc, nothing is
    tuned.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _MALLOPT:
            mallopt(parameter, value)


def _tune_garbage_collector() -> None:
    """For a server that makes many short-lived containers: what exists now is never garbage, and
    the youngest generation is looked at less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
