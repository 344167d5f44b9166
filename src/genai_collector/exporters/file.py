"""file: what passes, written to files.

    exporters:
      file:
        path: ./data/{signal}.jsonl       # {signal} is traces, metrics or logs; or all in one file
        format: otlp_json
        create_directory: true
        rotation: {max_megabytes: 100, max_backups: 10}

| format     | content                                                          |
|------------|------------------------------------------------------------------|
| otlp_json  | one OTLP/JSON request per line                                   |
| otlp_proto | OTLP/protobuf requests, each behind its length in 4 bytes, big-endian |
| langfuse   | one ingestion request per line, `{"batch": [...]}`               |
| noveum     | one log record per line                                          |
| litellm    | one StandardLoggingPayload per line                              |

Compressed files are sequences of gzip members or zstd frames, which every tool reads as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, NamedTuple, Self, TypeAlias

from pydantic import BeforeValidator, Field

from genai_collector.component import NO_FORM, Config, Context, Duration, ExporterFactory, Sent
from genai_collector.delivery import DeliveryConfig, QueueConfig
from genai_collector.errors import ConfigError, Retryable
from genai_collector.exporters._otlp import items_of
from genai_collector.exporters._rotating_file import Limits, RotatingFile
from genai_collector.formats import langfuse, litellm, noveum, otlp
from genai_collector.model import Batch, Metric, Signal
from genai_collector.transport.compression import compress


def _format_name(value: object) -> object:
    # otelcol's names for the two that it has.
    return (
        {"json": "otlp_json", "proto": "otlp_proto"}.get(value, value)
        if isinstance(value, str)
        else value
    )


FormatName: TypeAlias = Literal["otlp_json", "otlp_proto", "langfuse", "noveum", "litellm"]


class RotationConfig(Config):
    """When a file is full it is renamed, with the time in its name, and a new one begun."""

    max_megabytes: int = Field(default=100, ge=1)
    """Size at which a file is full."""
    max_backups: int = Field(default=100, ge=0)
    """How many full files are kept, 0 = all."""
    max_days: int = Field(default=0, ge=0)
    """How long full files are kept, 0 = for ever."""
    localtime: bool = False
    """Local time in the names instead of UTC."""


class FileQueueConfig(QueueConfig):
    num_consumers: int = Field(default=1, ge=1, le=1000)
    """Writers; with one, the order of arrival is the order in the file."""


class FileConfig(DeliveryConfig):
    """Where to write, and what."""

    path: str = Field(min_length=1)
    """The file; `{signal}` in it gives each signal its own."""
    format: Annotated[FormatName, BeforeValidator(_format_name)] = "otlp_json"
    """What the file holds, see the table."""
    append: bool = True
    """Continue an existing file at the start; `false` empties it. (otelcol: false.)"""
    compression: Literal["none", "gzip", "zstd"] = "none"
    """Of the file's content, each write by itself."""
    create_directory: bool = False
    """Create the file's directory, and those above it, if they are missing."""
    rotation: RotationConfig | None = None
    """Off by default: one file grows without bound."""
    flush_interval: Duration = 1.0
    """Accepted for compatibility: every write goes to the operating system at once."""
    metric_scores: bool = False
    """Format langfuse: write metric exemplars that belong to a trace as numeric scores. Metrics
    have no other form there; without it they are counted as dropped."""
    timeout: Duration = 0.0
    """Of one write; `0s` = none, because a write cannot be taken back."""
    sending_queue: FileQueueConfig = FileQueueConfig()
    """The bounded queue, its workers and their batching; `null` is `enabled: false`."""

    def file_of(self, signal: Signal) -> Path:
        return Path(self.path.replace("{signal}", signal.value))


class Document(NamedTuple):
    """What is written for a batch, and how many of its items are not in it."""

    data: bytes
    without_form: int = 0


def _otlp_json(batch: Batch) -> Document:
    return Document(otlp.encode_json(batch.signal, items_of(batch)) + b"\n")


def _otlp_proto(batch: Batch) -> Document:
    data = batch.encoded()
    return Document(len(data).to_bytes(4, "big") + data)


def _langfuse(batch: Batch, metric_scores: bool) -> Document:
    match batch.signal:
        case Signal.TRACES:
            events = langfuse.encode_spans(batch.view_spans())
            without_form = batch.count - len({event.span_index for event in events})
        case Signal.METRICS if metric_scores:
            metrics = batch.view_metrics()
            events = langfuse.scores_from_metrics(metrics)
            without_form = sum(not _has_traced_exemplar(m, n) for m, n in _points(metrics))
        case _:
            return Document(b"", batch.count)
    if not events:
        return Document(b"", without_form)
    return Document(langfuse.encode_batch([e.event for e in events]) + b"\n", without_form)


def _points(metrics: list[Metric]) -> list[tuple[Metric, int]]:
    return [(metric, n) for metric in metrics for n in range(len(metric.points))]


def _has_traced_exemplar(metric: Metric, point: int) -> bool:
    exemplars = getattr(metric.points[point], "exemplars", ())
    return any(exemplar.trace_id for exemplar in exemplars)


def _noveum(batch: Batch) -> Document:
    match batch.signal:
        case Signal.TRACES:
            records = noveum.encode_spans(batch.view_spans())
        case Signal.METRICS:
            records = noveum.encode_metrics(batch.view_metrics())
        case Signal.LOGS:
            records = noveum.encode_logs(batch.view_logs())
    return Document(b"".join([noveum.dump(record) + b"\n" for record in records]))


def _litellm(batch: Batch) -> Document:
    if batch.signal is not Signal.TRACES:
        return Document(b"", batch.count)
    payloads = litellm.encode_spans(batch.view_spans())
    return Document(b"".join([litellm.dump(payload) + b"\n" for payload in payloads]))


class File:
    def __init__(self, config: FileConfig, context: Context) -> None:
        self._config = config
        self._now_ns = context.wall_clock_ns
        self._files: dict[Path, RotatingFile] = {}
        self._document = self._formats()[config.format]

    def _formats(self) -> Mapping[str, Callable[[Batch], Document]]:
        return {
            "otlp_json": _otlp_json,
            "otlp_proto": _otlp_proto,
            "langfuse": lambda batch: _langfuse(batch, self._config.metric_scores),
            "noveum": _noveum,
            "litellm": _litellm,
        }

    async def __aenter__(self) -> Self:
        paths = {self._config.file_of(signal) for signal in Signal}
        await asyncio.to_thread(self._prepare, paths)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        files, self._files = self._files, {}
        for file in files.values():
            await asyncio.to_thread(file.close)

    def _prepare(self, paths: set[Path]) -> None:
        for path in paths:
            if self._config.create_directory:
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                except OSError as exc:
                    raise ConfigError(f"cannot create {path.parent}: {exc.strerror}") from exc
            if not path.parent.is_dir():
                raise ConfigError(
                    f"there is no directory {path.parent}: create it, or set "
                    "`create_directory: true`"
                )
            if path.is_dir():
                raise ConfigError(f"{path} is a directory, not a file")
            self._files[path] = self._file(path)

    def _file(self, path: Path) -> RotatingFile:
        config, rotation = self._config, self._config.rotation
        limits = Limits()
        if rotation is not None:
            limits = Limits(
                rotation.max_megabytes * 1024 * 1024,
                rotation.max_backups,
                rotation.max_days,
                rotation.localtime,
            )
        lines = config.format != "otlp_proto" and config.compression == "none"
        return RotatingFile(
            path, append=config.append, lines=lines, limits=limits, now_ns=self._now_ns
        )

    async def export(self, batch: Batch, /) -> Sent:
        document = self._document(batch)
        if document.data:
            path = self._config.file_of(batch.signal)
            try:
                await asyncio.to_thread(self._write, path, document.data)
            except OSError as exc:
                raise Retryable(f"cannot write {path}: {exc.strerror or exc}") from exc
        if not document.without_form:
            return Sent(batch.count)
        return Sent(
            batch.count - document.without_form,
            {NO_FORM: document.without_form},
            f"{batch.signal} have no form in {self._config.format}",
        )

    def _write(self, path: Path, data: bytes) -> None:
        if self._config.compression != "none":
            data = compress(self._config.compression, data)
        self._files[path].write(data)


FACTORY = ExporterFactory("file", FileConfig, File)
