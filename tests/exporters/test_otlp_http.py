"""otlp_http: what it sends where, and how it reads the answers."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from google.rpc.status_pb2 import Status
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pydantic import ValidationError

from genai_collector.component import Sent
from genai_collector.delivery import QueuedExporter
from genai_collector.errors import Permanent, Retryable
from genai_collector.exporters._otlp import sent_of_json, sent_of_protobuf
from genai_collector.exporters.otlp_http import FACTORY, OtlpHttp, OtlpHttpConfig
from genai_collector.formats import otlp
from genai_collector.model import (
    Batch,
    Compressed,
    Gauge,
    LogRecord,
    Metric,
    NumberPoint,
    Signal,
    Span,
)
from genai_collector.transport.compression import decompress
from genai_collector.transport.http_client import Response
from tests.support.fakes import FakeTransport, make_context

PROTOBUF = "application/x-protobuf"
BATCHES: dict[Signal, Callable[[], Batch]] = {
    Signal.TRACES: lambda: otlp.batch_of(
        Signal.TRACES, [Span(trace_id=b"t" * 16, span_id=b"s" * 8, name=n) for n in ("a", "b")]
    ),
    Signal.METRICS: lambda: otlp.batch_of(
        Signal.METRICS,
        [Metric(name="m", data=Gauge(points=[NumberPoint(value=1), NumberPoint(value=2)]))],
    ),
    Signal.LOGS: lambda: otlp.batch_of(Signal.LOGS, [LogRecord(body="x"), LogRecord(body="y")]),
}
signals = pytest.mark.parametrize("signal", list(Signal))


def exporter(transport: FakeTransport | None = None, **config: Any) -> OtlpHttp:
    config = {"endpoint": "http://backend:4318", **config}
    return OtlpHttp(OtlpHttpConfig.model_validate(config), make_context(), transport)


def spans() -> Batch:
    return BATCHES[Signal.TRACES]()


@signals
async def test_each_signal_goes_to_its_path(signal: Signal) -> None:
    """The endpoint is a base URL; /v1/<signal> is appended, with one slash."""
    transport = FakeTransport()
    batch = BATCHES[signal]()
    for base in ("http://backend:4318", "http://backend:4318/"):
        assert await exporter(transport, endpoint=base).export(batch) == Sent(2)
    for url, body, headers in transport.requests:
        assert url == f"http://backend:4318/v1/{signal}"
        assert decompress(headers["Content-Encoding"], body, 10_000) == batch.encoded()
        assert headers["Content-Type"] == PROTOBUF


@signals
async def test_a_signals_own_endpoint_is_used_as_it_is(signal: Signal) -> None:
    """Nothing is appended; what has no endpoint at all is refused for good."""
    transport = FakeTransport()
    own = {f"{signal}_endpoint": "http://other/path?x=1"}
    await exporter(transport, **own).export(BATCHES[signal]())
    assert transport.requests[0][0] == "http://other/path?x=1"
    another = next(s for s in Signal if s is not signal)
    with pytest.raises(Permanent) as caught:
        await exporter(transport, endpoint="", **own).export(BATCHES[another]())
    assert caught.value.reason == "no_endpoint"


@signals
@pytest.mark.parametrize("compression", ["gzip", "zstd", "deflate", "none"])
@pytest.mark.parametrize("encoding", ["proto", "json"])
async def test_every_encoding_can_be_read_back(
    signal: Signal, compression: str, encoding: str
) -> None:
    """The body, decompressed and decoded, is the batch."""
    transport = FakeTransport()
    batch = BATCHES[signal]()
    await exporter(transport, compression=compression, encoding=encoding).export(batch)
    [(_, body, headers)] = transport.requests
    body = decompress(headers.get("Content-Encoding", "none"), body, 100_000)
    assert ("Content-Encoding" in headers) == (compression != "none")
    if encoding == "json":
        assert headers["Content-Type"] == "application/json"
        body = otlp.encode(signal, otlp.decode_json(signal, body).items)
    assert body == batch.encoded()


@pytest.mark.parametrize(
    ("came_as", "goes_as", "untouched"),
    [
        ("gzip", "gzip", True),
        ("x-gzip", "gzip", True),
        ("zlib", "deflate", True),
        ("zstd", "zstd", True),
        ("gzip", "zstd", False),
        ("gzip", "none", False),
    ],
)
async def test_received_compressed_bytes_are_sent_on(
    came_as: str, goes_as: str, untouched: bool
) -> None:
    """The very bytes, if the compression is the same."""
    transport = FakeTransport()
    compressed = Compressed(came_as, b"as it came")
    data = spans().encoded()
    batch = otlp.batch_from_protobuf(Signal.TRACES, data, compressed)
    await exporter(transport, compression=goes_as).export(batch)
    [(_, body, headers)] = transport.requests
    assert (body == b"as it came") == untouched
    assert headers.get("Content-Encoding", "none") == goes_as


async def test_a_changed_batch_is_encoded_anew() -> None:
    """Whoever touched the spans has given up the received bytes."""
    transport = FakeTransport()
    compressed = Compressed("gzip", b"as it came")
    batch = otlp.batch_from_protobuf(Signal.TRACES, spans().encoded(), compressed)
    batch.spans[0].name = "changed"
    await exporter(transport).export(batch)
    assert b"changed" in gzip.decompress(transport.requests[0][1])


REJECTING = {
    Signal.TRACES: ExportTraceServiceResponse,
    Signal.METRICS: ExportMetricsServiceResponse,
    Signal.LOGS: ExportLogsServiceResponse,
}
FIELDS = {
    Signal.TRACES: ("rejected_spans", "rejectedSpans"),
    Signal.METRICS: ("rejected_data_points", "rejectedDataPoints"),
    Signal.LOGS: ("rejected_log_records", "rejectedLogRecords"),
}


@signals
@pytest.mark.parametrize("encoding", ["proto", "json"])
@pytest.mark.parametrize(
    ("rejected", "expected"),
    [
        (1, Sent(1, {"partial_success": 1}, "odd")),
        (0, Sent(2, {}, "odd")),
        (7, Sent(0, {"partial_success": 2}, "odd")),
        (-1, Sent(2, {}, "odd")),
    ],
)
async def test_partial_success_is_no_success(
    signal: Signal, encoding: str, rejected: int, expected: Sent
) -> None:
    """What the destination rejected is dropped, with its words; a message alone is a remark."""
    if encoding == "json":
        # int64 in JSON is a string
        partial = {FIELDS[signal][1]: str(rejected), "errorMessage": "odd"}
        body, kind = json.dumps({"partialSuccess": partial}).encode(), "application/json"
    else:
        response = REJECTING[signal]()
        setattr(response.partial_success, FIELDS[signal][0], rejected)
        response.partial_success.error_message = "odd"
        body, kind = response.SerializeToString(), PROTOBUF
    transport = FakeTransport(Response(200, {"Content-Type": kind}, body))
    assert await exporter(transport).export(BATCHES[signal]()) == expected


@given(st.sampled_from(list(Signal)), st.binary(max_size=60) | st.just(b'{"partialSuccess": 3}'))
@settings(max_examples=200, deadline=None)
def test_an_unreadable_answer_is_a_success(signal: Signal, body: bytes) -> None:
    """The status said so; whatever the body holds, the items add up."""
    for read in (sent_of_protobuf, sent_of_json):
        sent = read(signal, 2, body)
        assert sent.items + sum(sent.dropped.values()) == 2


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_may_pass_is_retryable(status: int) -> None:
    """With the time that the destination asks for."""
    transport = FakeTransport(Response(status, {"Retry-After": "9"}))
    with pytest.raises(Retryable) as caught:
        await exporter(transport).export(spans())
    assert caught.value.retry_after == 9


async def test_a_refusal_is_permanent_in_the_destinations_words() -> None:
    """The message of google.rpc.Status is in the error; the data is to blame."""
    body = Status(message="span 1 has no id").SerializeToString()
    transport = FakeTransport(Response(400, {"Content-Type": PROTOBUF}, body))
    with pytest.raises(Permanent, match=r"backend:4318 answered 400: span 1 has no id") as caught:
        await exporter(transport).export(spans())
    assert caught.value.data_fault


@asynccontextmanager
async def backend(bodies: list[bytes], *statuses: int) -> AsyncIterator[str]:
    """A server that records bodies, decompressed, and answers these statuses, then 200."""
    answers = iter(statuses)

    async def handler(request: web.Request) -> web.Response:
        body = await request.read()
        status = next(answers, 200)
        if status == 200:
            bodies.append(body)
        return web.Response(status=status, headers={"Retry-After": "0"})

    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/traces", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_over_a_real_connection() -> None:
    """Through queue, retry and aiohttp: a 503 first, then everything arrives, and is counted."""
    bodies: list[bytes] = []
    async with backend(bodies, 503) as url:
        config = OtlpHttpConfig.model_validate(
            {"endpoint": url, "retry_on_failure": {"initial_interval": "1ms"}}
        )
        context = make_context()
        async with (
            OtlpHttp(config, context) as out,
            QueuedExporter("otlp_http", Signal.TRACES, out, config, context) as queued,
        ):
            for _ in range(3):
                batch = spans()
                queued.reserve(batch.size_bytes)
                await queued.put(batch, batch.size_bytes)
            await queued.drain(context.clock() + 20)
    assert queued.report().sent == 6
    assert sum(otlp.check(Signal.TRACES, body) for body in bodies) == 6


def test_an_address_is_needed() -> None:
    """A configuration that can send nothing anywhere is refused."""
    with pytest.raises(ValidationError, match="give `endpoint`"):
        OtlpHttpConfig()


def test_the_defaults_are_otelcols() -> None:
    """gzip, protobuf, 30 seconds; requests stay below what otelcol accepts over HTTP."""
    config = OtlpHttpConfig(endpoint="http://x")
    assert (config.compression, config.encoding, config.timeout) == ("gzip", "proto", 30.0)
    assert config.sending_queue.batch is not None
    assert config.sending_queue.batch.max_size < 20 * 1024 * 1024
    assert FACTORY.aliases == ("otlphttp",)
