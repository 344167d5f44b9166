"""The process around the graphs: signals, and a new graph when the configuration has changed.

Reloading: load and check the new configuration, build its graph, start it beside the one that
runs, and, when all of it runs, switch in one step. Until then any fault leaves everything as it
was, and the log says what and where. The old graph then finishes what it has taken, in the
background. What is asked for while a reload is under way is done after it, once.

The first SIGINT or SIGTERM is the beginning of the end, under one deadline; a second one is a
deadline of now. SIGHUP asks for a reload.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from genai_collector.component.handover import Handover
from genai_collector.configfile.schema import CollectorConfig, Loaded
from genai_collector.delivery import DeliveryReport
from genai_collector.errors import ConfigError, Fault
from genai_collector.pipeline.build import build
from genai_collector.pipeline.service import Service, StartError
from genai_collector.pipeline.tuning import tune_allocator, tune_garbage_collector
from genai_collector.pipeline.watch import content_of
from genai_collector.telemetry.log import configure

_END: Final = (signal.SIGINT, signal.SIGTERM)
_RETIRING_AT_ONCE: Final = 3
"""How many old graphs may still be delivering; a further reload waits for one of them."""
_LAST_MOMENT_S: Final = 2.0
_ORPHANED: Final = (
    "Nothing delivers what is left on disk of an exporter that was renamed, removed or given "
    "another directory; put it back to deliver that."
)


class Host:
    """Runs a service, and those that follow it.

    `load` reads the configuration again (in a thread; raises ConfigError); without it there is no
    reloading. `changed` returns when the files have changed; without it only SIGHUP asks.
    """

    def __init__(
        self,
        service: Service,
        log: logging.Logger,
        *,
        load: Callable[[], Loaded] | None = None,
        changed: Callable[[], Awaitable[None]] | None = None,
        successor: Callable[[CollectorConfig, Service], Service] | None = None,
        in_thread: Callable[[Callable[[], Loaded]], Awaitable[Loaded]] = asyncio.to_thread,
    ) -> None:
        self.service = service
        """The one that serves."""
        self._log = log
        self._load = load
        self._changed = changed
        self._in_thread = in_thread
        self._successor = successor or (lambda config, old: build(config, log=log, before=old))
        self._handover = Handover()
        self._code = _code(service.config)
        self._retiring: dict[asyncio.Task[object], Service] = {}
        self._reload_asked = asyncio.Event()
        self._stop_asked = asyncio.Event()
        self._leave_now = False

    async def run(self) -> int:
        """From start to a signal (or `ask_to_stop`) to the last line. Returns the exit code."""
        helpers: list[asyncio.Task[None]] = []
        with self._signals(), self._handover.lent():
            try:
                if await self._start():
                    tune_garbage_collector()
                    tune_allocator()
                    helpers = self._begin_helping()
                    await self._stop_asked.wait()
            except StartError as exc:
                self._log.error("Cannot start: %s", exc)
                return 1
            finally:  # also when whoever runs us is cancelled
                await _cancel(helpers)
                await self._stop()
        return 1 if self._leave_now else 0

    def ask_to_stop(self) -> None:
        """What the first signal does."""
        self._stop_asked.set()

    def leave_now(self) -> None:
        """What the second signal does: the deadline has come."""
        self._stop_asked.set()
        self._leave_now = True
        for service in (self.service, *self._retiring.values()):
            service.leave_now()

    def ask_to_reload(self) -> None:
        """What SIGHUP does. Asking several times while a reload is under way is asking once."""
        self._reload_asked.set()

    async def _start(self) -> bool:
        """False when it was told to leave before everything had started."""
        starting = asyncio.create_task(self.service.start())
        leaving = asyncio.create_task(self.service.told_to_leave())
        try:
            await asyncio.wait({starting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                return True
            return False
        finally:
            await _cancel([starting, leaving])

    async def _stop(self) -> None:
        for service in self._retiring.values():
            service.hurry()
        if self.service.has_started:
            await self.service.stop(self._end_the_retiring)
        await self._end_the_retiring()

    async def _end_the_retiring(self) -> None:
        if self._retiring:
            # Their deadlines are older than the one that has just passed or been kept.
            await asyncio.wait(self._retiring, timeout=0 if self._leave_now else _LAST_MOMENT_S)
        for service in self._retiring.values():
            service.leave_now()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    # ---- reloading -------------------------------------------------------------------------

    def _begin_helping(self) -> list[asyncio.Task[None]]:
        helpers = [asyncio.create_task(self._reload_when_asked())]
        if self._changed is not None:
            helpers.append(asyncio.create_task(self._watch(self._changed)))
        return helpers

    async def _watch(self, changed: Callable[[], Awaitable[None]]) -> None:
        while True:
            await changed()
            self._log.info("A configuration file has changed.")
            self.ask_to_reload()

    async def _reload_when_asked(self) -> None:
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            try:
                await self.reload()
            except Exception:  # or nobody would answer the next one
                self._log.exception("Reloading failed half-way.")

    async def reload(self) -> bool:
        """Use the configuration as it is now. Returns whether it is in use."""
        if self._load is None:
            self._log.warning("There is nothing to reload the configuration from.")
            return False
        try:
            loaded = await self._in_thread(self._load)
            code = _code(loaded.config)
            if (loaded.config, code) == (self.service.config, self._code):
                self._log.info("The configuration has not changed.")
                return True
            await self._have_room_to_retire()
            new = self._successor(loaded.config, self.service)
            await new.start_beside(self.service)
        except (ConfigError, StartError) as exc:
            self._say_why_not(exc)
            self.service.count_reload(successful=False)
            return False
        except Exception:  # a bug in a new component must not end the old ones
            self._log.exception("Reloading failed; the configuration before keeps running.")
            self.service.count_reload(successful=False)
            return False
        self._code = code
        self._switch_to(new, loaded)
        return True

    async def _have_room_to_retire(self) -> None:
        while len(self._retiring) >= _RETIRING_AT_ONCE:
            self._log.info("Waiting for an earlier configuration to finish.")
            await asyncio.wait(self._retiring, return_when=asyncio.FIRST_COMPLETED)

    def _switch_to(self, new: Service, loaded: Loaded) -> None:
        """No await in here: whoever looks sees the old graph or the new one."""
        old, self.service = self.service, new
        logs = loaded.config.telemetry.logs
        if logs != old.config.telemetry.logs:
            configure(logs.level, logs.encoding)
        for warning in loaded.warnings:
            self._say(logging.WARNING, warning)
        new.follow(old)
        self._handover.switch()
        new.count_reload(successful=True)
        self._log.info("The new configuration is in use.")
        retiring = asyncio.create_task(self._retire(old))
        self._retiring[retiring] = old
        retiring.add_done_callback(self._forget)

    async def _retire(self, old: Service) -> None:
        try:
            reports = await old.retire()
        except Exception:
            self._log.exception("The configuration before did not end as it should.")
            return
        for report in reports:
            if report.left and _kept_in(self.service.config, report) != _kept_in(
                old.config, report
            ):
                self._log.warning(
                    _ORPHANED,
                    extra={
                        "exporter": report.id,
                        "signal": report.signal.value,
                        "items": report.left,
                    },
                )

    def _forget(self, retired: asyncio.Task[object]) -> None:
        self._retiring.pop(retired)
        # When nobody holds it any more, or it would be taken for something that stays.
        asyncio.get_running_loop().call_soon(tune_garbage_collector)

    def _say_why_not(self, exc: ConfigError | StartError) -> None:
        faults = exc.faults if isinstance(exc, ConfigError) else []
        for fault in faults:
            self._say(logging.ERROR, fault)
        why = f"{len(faults)} faults" if len(faults) > 1 else str(exc)
        self._log.error("The configuration before keeps running: %s", why)

    def _say(self, level: int, fault: Fault) -> None:
        path = {"path": fault.path} if fault.path else {}
        self._log.log(level, fault.message, extra={"at": place_of(fault), **path})

    # ---- signals ---------------------------------------------------------------------------

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in _END:
            loop.add_signal_handler(number, self._on_end, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        try:
            yield
        finally:
            for number in (*_END, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _on_hangup(self) -> None:
        self._log.info("Received signal from OS", extra={"signal": "SIGHUP"})
        self.ask_to_reload()

    def _on_end(self, number: signal.Signals) -> None:
        fields = {"signal": number.name}
        if not self._stop_asked.is_set():
            self._log.info("Received signal from OS", extra=fields)
            self.ask_to_stop()
        else:
            self._log.warning("Received another signal from OS, leaving now", extra=fields)
            self.leave_now()


def _code(config: CollectorConfig) -> dict[str, object]:
    return {path: content_of(path) for path in config.code()}


def place_of(fault: Fault) -> str:
    """`file:line:column`, as far as it is known."""
    return f"{fault.file}:{fault.line}:{fault.column}" if fault.line else fault.file


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _kept_in(config: CollectorConfig, of: DeliveryReport) -> str | None:
    """The directory of the queue of this exporter and signal; None where there is no such queue."""
    pipelines = config.pipelines.values()
    if not any(of.id in one.exporters and one.signal is of.signal for one in pipelines):
        return None
    queue = getattr(config.exporters[of.id].config, "sending_queue", None)
    storage = config.extensions.get(getattr(queue, "storage", None) or "")
    return getattr(storage.config, "directory", None) if storage else None
