"""debug: what passes, on the console.

    exporters:
      debug:
        verbosity: normal

| verbosity | shows                                                                     |
|-----------|---------------------------------------------------------------------------|
| basic     | one line per batch: how much of what                                      |
| normal    | one line per GenAI call: time, operation, provider/model, tokens, cost, latency, time to first token, outcome, the beginning of prompt and answer; one line per other span, metric or log record |
| detailed  | every field and attribute                                                 |
"""  # noqa: E501  a table

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from pydantic import Field

from genai_collector.component import Context, ExporterFactory, Sent
from genai_collector.delivery import BatchConfig, DeliveryConfig, QueueConfig
from genai_collector.errors import Permanent, Retryable
from genai_collector.exporters._debug_details import details
from genai_collector.exporters._debug_lines import log_line, metric_line, span_line
from genai_collector.model import Batch, Signal

_MAX_WAITING: Final = 64
_LAST_WORDS_S: Final = 2.0
_UNITS: Final = {
    Signal.TRACES: "spans",
    Signal.METRICS: "data points",
    Signal.LOGS: "log records",
}


class DebugQueueConfig(QueueConfig):
    num_consumers: int = Field(default=1, ge=1, le=1000)
    """Writers; with one, the order of arrival is the order on the console."""
    batch: BatchConfig | None = None
    """Off: what arrives is shown at once, as it arrived."""


class DebugConfig(DeliveryConfig):
    """How much to show."""

    verbosity: Literal["basic", "normal", "detailed"] = "normal"
    """See the table. (otelcol's default is basic.)"""
    content: bool = True
    """Show the first words of prompts, answers and log bodies in `normal`."""
    sampling_initial: int = Field(default=2, ge=0)
    """Batches per second that are shown in any case."""
    sampling_thereafter: int = Field(default=1, ge=0)
    """Of the others in that second every n-th is shown; 1 = all, 0 = none."""
    output: Literal["stdout", "stderr"] = "stdout"
    """Where to."""
    sending_queue: DebugQueueConfig = DebugQueueConfig()
    """The bounded queue, its workers and their batching; `null` is `enabled: false`."""


class Stream(Protocol):
    def write(self, text: str, /) -> object: ...

    def flush(self) -> object: ...


class BoundedWriter:
    """Writes to a stream in a thread of its own: a console that nobody reads must hold up neither
    the event loop nor the end of the program."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._waiting: queue.Queue[str | None] = queue.Queue(_MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="debug exporter", daemon=True)
        self._broken = ""

    def start(self) -> None:
        self._thread.start()

    def write(self, text: str) -> None:
        """Hand over. Raises Retryable if the stream does not keep up, Permanent if it is gone."""
        if self._broken:
            raise Permanent(f"cannot write to the console: {self._broken}", reason="console_closed")
        try:
            self._waiting.put_nowait(text)
        except queue.Full as exc:
            raise Retryable("the console does not keep up") from exc

    def stop(self) -> None:
        """Wait a moment for what was handed over; then leave it."""
        try:
            self._waiting.put(None, timeout=_LAST_WORDS_S)
        except queue.Full:
            return
        self._thread.join(_LAST_WORDS_S)

    def _run(self) -> None:
        while (text := self._waiting.get()) is not None:
            try:
                self._stream.write(text)
                self._stream.flush()
            except (OSError, ValueError) as exc:  # ValueError: the stream was closed
                self._broken = str(exc) or type(exc).__name__


class Sampler:
    """Which batches of a second are shown."""

    def __init__(self, initial: int, thereafter: int, clock: Callable[[], float]) -> None:
        self._initial = initial
        self._thereafter = thereafter
        self._clock = clock
        self._second = -1
        self._seen = 0

    def shows(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._seen = second, 0
        self._seen += 1
        later = self._seen - self._initial
        return later <= 0 or (self._thereafter > 0 and later % self._thereafter == 0)


class Debug:
    def __init__(self, config: DebugConfig, context: Context, stream: Stream | None = None) -> None:
        self._config = config
        self._sampler = Sampler(config.sampling_initial, config.sampling_thereafter, context.clock)
        self._stream = stream
        self._writer: BoundedWriter | None = None

    async def __aenter__(self) -> Self:
        # Looked up now: whoever redirects standard output has done so by now.
        self._writer = BoundedWriter(self._stream or getattr(sys, self._config.output))
        self._writer.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            await asyncio.to_thread(self._writer.stop)
            self._writer = None

    async def export(self, batch: Batch, /) -> Sent:
        assert self._writer is not None, "enter the exporter first"
        if batch and self._sampler.shows():
            lines = "\n".join(self._lines(batch))
            # A lone surrogate in a prompt must not break the stream.
            self._writer.write(lines.encode("utf-8", "replace").decode() + "\n")
        return Sent(batch.count)

    def _lines(self, batch: Batch) -> Iterable[str]:
        match self._config.verbosity:
            case "basic":
                size = f"{batch.size_bytes / 1000:.1f} kB"
                return [f"{batch.signal}: {batch.count} {_UNITS[batch.signal]}, {size}"]
            case "detailed":
                return details(batch)
            case _:
                return self._normal(batch)

    def _normal(self, batch: Batch) -> Iterable[str]:
        content = self._config.content
        match batch.signal:
            case Signal.TRACES:
                return [span_line(span, content=content) for span in batch.view_spans()]
            case Signal.METRICS:
                return [metric_line(metric) for metric in batch.view_metrics()]
            case Signal.LOGS:
                return [log_line(record, content=content) for record in batch.view_logs()]


FACTORY = ExporterFactory("debug", DebugConfig, Debug)
