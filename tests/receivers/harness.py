"""A running receiver with a pipeline behind it that only remembers, and the requests to send."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from genai_collector.component import ACCEPTED, Acceptance, Context
from genai_collector.model import Batch, Signal
from genai_collector.receivers.otlp import OtlpConfig, OtlpReceiver
from genai_collector.transport.http_server import HttpListeners
from tests.support.fakes import CountingTelemetry

PATHS: Final = {
    Signal.TRACES: "/v1/traces",
    Signal.METRICS: "/v1/metrics",
    Signal.LOGS: "/v1/logs",
}
METHODS: Final = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
EXAMPLES: Final = {
    Signal.TRACES: "trace.json",
    Signal.METRICS: "metrics.json",
    Signal.LOGS: "logs.json",
}
ANY_PORT: Final = {
    "grpc": {"endpoint": "127.0.0.1:0"},
    "http": {"endpoint": "127.0.0.1:0"},
}


def protobuf_request(signal: Signal, items: int = 3, text: str = "hello") -> bytes:
    """A request of so many spans, log records or data points."""
    request: Message
    if signal is Signal.TRACES:
        request = traces = ExportTraceServiceRequest()
        scope_spans = traces.resource_spans.add().scope_spans.add()
        for at in range(items):
            span = scope_spans.spans.add(trace_id=bytes([1] * 16), span_id=bytes([1] * 8))
            span.name = f"span {at}"
            span.attributes.add(key="gen_ai.prompt").value.string_value = text
    elif signal is Signal.METRICS:
        request = metrics = ExportMetricsServiceRequest()
        metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="tokens")
        for at in range(items):
            metric.gauge.data_points.add(as_int=at)
    else:
        request = logs = ExportLogsServiceRequest()
        records = logs.resource_logs.add().scope_logs.add().log_records
        for _ in range(items):
            records.add().body.string_value = text
    return request.SerializeToString()


class RecordingConsumer:
    """Takes everything, unless told what to raise or to answer; remembers what it saw."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.admitted: list[int] = []
        self.held = 0
        self.refuse_entry: Exception | None = None
        self.refuse: Exception | None = None
        self.answer: Acceptance = ACCEPTED

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]:
        return self._hold(size_bytes)

    @contextmanager
    def _hold(self, size_bytes: int) -> Iterator[None]:
        if self.refuse_entry is not None:
            raise self.refuse_entry
        self.admitted.append(size_bytes)
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    async def consume(self, batch: Batch, /) -> Acceptance:
        assert self.held
        if self.refuse is not None:
            raise self.refuse
        self.batches.append(batch)
        return self.answer


@dataclass
class Running:
    """A receiver between enter and exit."""

    receiver: OtlpReceiver
    consumers: Mapping[Signal, RecordingConsumer]
    telemetry: CountingTelemetry
    grpc: str
    """host:port, empty if closed."""
    http: str
    """Base URL, empty if closed."""

    def url(self, signal: Signal) -> str:
        return self.http + PATHS[signal]

    @property
    def traces(self) -> RecordingConsumer:
        return self.consumers[Signal.TRACES]

    @property
    def batches(self) -> list[Batch]:
        return [batch for consumer in self.consumers.values() for batch in consumer.batches]


def build(
    protocols: Mapping[str, Any],
    consumers: Mapping[Signal, RecordingConsumer],
    telemetry: CountingTelemetry | None = None,
    listeners: HttpListeners | None = None,
    id: str = "otlp",
) -> OtlpReceiver:
    """The receiver as the host would make it from this configuration."""
    config = OtlpConfig.model_validate({"protocols": protocols})
    telemetry = telemetry or CountingTelemetry()
    log = logging.getLogger("genai_collector.test")
    return OtlpReceiver(config, consumers, Context(id, telemetry, log, listeners=listeners))


@asynccontextmanager
async def receiving(
    protocols: Mapping[str, Any] = ANY_PORT, signals: frozenset[Signal] = frozenset(Signal)
) -> AsyncIterator[Running]:
    """A receiver on free ports of the loopback."""
    consumers = {signal: RecordingConsumer() for signal in Signal if signal in signals}
    telemetry = CountingTelemetry()
    async with build(protocols, consumers, telemetry) as receiver:
        found = receiver.endpoints()
        grpc = next((url.partition("://")[2] for url in found if url.startswith("grpc")), "")
        http = next((url for url in found if url.startswith("http")), "")
        yield Running(receiver, consumers, telemetry, grpc, http)
    assert not any(consumer.held for consumer in consumers.values())


def captures(folder: Path) -> list[tuple[Signal, Path]]:
    """The recorded protobuf requests in a folder of captures."""
    return [(Signal(path.suffixes[0][1:]), path) for path in sorted(folder.glob("*.pb"))]
