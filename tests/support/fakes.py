"""Fakes that are handed in where the real thing would need a network, a clock or another format."""

from __future__ import annotations

import asyncio
import logging
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

from genai_collector.component import Context, NoTelemetry, Sent
from genai_collector.model import Batch, Items, Signal, Span
from genai_collector.transport.http_client import Response

T = TypeVar("T")


class LineCodec:
    """The simplest codec there is: one line per span, its name. Lines concatenate, as OTLP does."""

    def __init__(self) -> None:
        self.decodes = 0

    def decode(self, signal: Signal, data: bytes, /) -> Items:
        self.decodes += 1
        return [Span(name=line) for line in data.decode().splitlines()]

    def encode(self, signal: Signal, items: Items, /) -> bytes:
        return "".join(f"{item.name}\n" for item in items if isinstance(item, Span)).encode()


def line_batch(names: Iterable[str], codec: LineCodec | None = None) -> Batch:
    """A batch of spans with these names, as bytes, as a receiver makes it."""
    names = list(names)
    data = "".join(f"{name}\n" for name in names).encode()
    return Batch(Signal.TRACES, codec or LineCodec(), encoded=data, count=len(names))


def names_of(batch: Batch) -> list[str]:
    return [span.name for span in batch.view_spans()]


class FakeClock:
    """A clock that moves only when told to, or when someone sleeps by it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def now_ns(self) -> int:
        return int(self.now * 1e9)

    def advance(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class CountingTelemetry(NoTelemetry):
    """Remembers what it was told: `counts["sent", id]`, `counts["dropped", id, reason]` ..."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.turned_away: Counter[tuple[str, str]] = Counter()
        """Refused requests, by transport and reason."""
        self.queues: dict[tuple[str, Signal], tuple[Callable[[], int], int]] = {}
        self.in_flight: dict[tuple[str, Signal], Callable[[], int]] = {}

    def received(self, receiver: str, transport: str, signal: Signal, items: int) -> None:
        self.counts["received", receiver, transport] += items

    def refused_request(self, endpoint: str, transport: str, reason: str) -> None:
        self.turned_away[transport, reason] += 1

    def refused(self, receiver: str, transport: str, signal: Signal, items: int) -> None:
        self.counts["refused", receiver, transport] += items

    def unauthenticated(self, authenticator: str) -> None:
        self.counts["unauthenticated", authenticator] += 1

    def processed(self, processor: str, signal: Signal, incoming: int, outgoing: int) -> None:
        self.counts["incoming", processor] += incoming
        self.counts["outgoing", processor] += outgoing

    def redacted(self, processor: str, signal: Signal, rule: str, values: int) -> None:
        self.counts["redacted", processor, rule] += values

    def truncated(self, processor: str, signal: Signal, rule: str, values: int) -> None:
        self.counts["truncated", processor, rule] += values

    def sent(self, exporter: str, signal: Signal, items: int) -> None:
        self.counts["sent", exporter] += items

    def send_failed(self, exporter: str, signal: Signal, items: int) -> None:
        self.counts["send_failed", exporter] += items

    def enqueue_failed(self, exporter: str, signal: Signal, items: int) -> None:
        self.counts["enqueue_failed", exporter] += items

    def dropped(self, component: str, signal: Signal, reason: str, items: int) -> None:
        self.counts["dropped", component, reason] += items

    def watch_queue(
        self, exporter: str, signal: Signal, size: Callable[[], int], capacity: int
    ) -> None:
        self.queues[exporter, signal] = (size, capacity)

    def watch_in_flight(self, exporter: str, signal: Signal, count: Callable[[], int]) -> None:
        self.in_flight[exporter, signal] = count


def make_context(
    id: str = "test",
    *,
    telemetry: NoTelemetry | None = None,
    clock: Callable[[], float] | None = None,
    wall_clock_ns: Callable[[], int] | None = None,
) -> Context:
    """What a host lends, with fakes where given."""
    log = logging.getLogger(f"test.{id}")
    context = Context(id, telemetry or NoTelemetry(), log)
    return Context(
        id,
        context.telemetry,
        log,
        clock=clock or context.clock,
        wall_clock_ns=wall_clock_ns or context.wall_clock_ns,
    )


class Lifetime:
    """An async context manager that remembers being entered and left."""

    def __init__(self) -> None:
        self.entered = 0
        self.left = 0

    async def __aenter__(self) -> Self:
        self.entered += 1
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.left += 1


class ScriptedExporter(Lifetime):
    """Does with each batch what `script(batch, attempt)` says, and remembers what arrived.

    The script returns a `Sent`, an exception to raise, a coroutine of either, or None: all arrived.
    Without a script everything arrives.
    """

    def __init__(self, script: Callable[[Batch, int], object] | None = None) -> None:
        super().__init__()
        self._script = script
        self.attempts: list[Batch] = []
        self.arrived: list[Batch] = []

    @property
    def names(self) -> list[str]:
        """Names of all spans that arrived, in order."""
        return [name for batch in self.arrived for name in names_of(batch)]

    async def export(self, batch: Batch, /) -> Sent:
        self.attempts.append(batch)
        outcome = self._script(batch, len(self.attempts)) if self._script else None
        if asyncio.iscoroutine(outcome):
            outcome = await outcome
        if isinstance(outcome, BaseException):
            raise outcome
        self.arrived.append(batch)
        return outcome if isinstance(outcome, Sent) else Sent(batch.count)


class FakeTransport(Lifetime):
    """Answers posts from a list (the last one again and again) and remembers the requests."""

    def __init__(self, *answers: Response | Exception) -> None:
        super().__init__()
        self._answers = list(answers) or [Response(200)]
        self.requests: list[tuple[str, bytes, dict[str, str]]] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
        self.requests.append((url, body, dict(headers)))
        answer = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class _ImpatientSelector(selectors.DefaultSelector):
    """Never waits: where a loop would wait for a timer, time jumps to it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("deadlock: nothing to run, and no timer will change that")
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes at once: no test waits for a sleep or a timeout.

    Only for code without threads and sockets.
    """

    def __init__(self) -> None:
        self._impatient = _ImpatientSelector()
        super().__init__(self._impatient)

    def time(self) -> float:
        # A little more than the timer's own time, or rounding could make the loop spin.
        return self._impatient.now + 1e-9


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end in virtual time. A deadlock raises RuntimeError instead of hanging."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def loop_time() -> float:
    """The running loop's time: the clock to inject inside `run_virtual`."""
    return asyncio.get_running_loop().time()
