"""otlp_grpc against real gRPC servers on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from pydantic import ValidationError

from genai_collector.component import Sent
from genai_collector.delivery import QueuedExporter
from genai_collector.errors import Permanent, Retryable
from genai_collector.exporters.otlp_grpc import FACTORY, OtlpGrpc, OtlpGrpcConfig, _target
from genai_collector.formats import otlp
from genai_collector.model import Batch, Gauge, LogRecord, Metric, NumberPoint, Signal, Span
from tests.support.fakes import make_context
from tests.transport.certs import Authority

Answer = Callable[[str, bytes, Any], Awaitable[bytes]]


class _Service(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def service(self, details: Any) -> Any:
        async def call(body: bytes, context: Any) -> bytes:
            return await self._answer(details.method, body, context)

        return grpc.unary_unary_rpc_method_handler(call)


@asynccontextmanager
async def server(
    answer: Answer, credentials: grpc.ServerCredentials | None = None
) -> AsyncIterator[int]:
    """A gRPC server that hands every call to `answer`; yields its port."""
    running = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    running.add_generic_rpc_handlers((_Service(answer),))
    if credentials is None:
        port = running.add_insecure_port("127.0.0.1:0")
    else:
        port = running.add_secure_port("127.0.0.1:0", credentials)
    await running.start()
    try:
        yield port
    finally:
        await running.stop(0)


def batch_for(signal: Signal) -> Batch:
    match signal:
        case Signal.TRACES:
            return otlp.batch_of(signal, [Span(name="a", trace_id=b"t" * 16), Span(name="b")])
        case Signal.METRICS:
            points = [NumberPoint(value=1), NumberPoint(value=2)]
            return otlp.batch_of(signal, [Metric(name="m", data=Gauge(points=points))])
        case Signal.LOGS:
            return otlp.batch_of(signal, [LogRecord(body="x"), LogRecord(body="y")])


def exporter(**config: Any) -> OtlpGrpc:
    return OtlpGrpc(OtlpGrpcConfig.model_validate(config), make_context())


async def export(answer: Answer, signal: Signal = Signal.TRACES, **config: Any) -> Sent:
    async with (
        server(answer) as port,
        exporter(endpoint=f"http://127.0.0.1:{port}", **config) as out,
    ):
        return await out.export(batch_for(signal))


@pytest.mark.parametrize("compression", ["gzip", "none"])
@pytest.mark.parametrize(
    ("signal", "method"),
    [
        (Signal.TRACES, "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
        (Signal.METRICS, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"),
        (Signal.LOGS, "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
    ],
)
async def test_each_signal_calls_its_service(signal: Signal, method: str, compression: str) -> None:
    """The bytes of the batch, the headers as metadata in lower case."""
    calls: list[tuple[str, bytes]] = []
    metadata: dict[str, Any] = {}

    async def answer(called: str, body: bytes, context: Any) -> bytes:
        calls.append((called, body))
        metadata.update(context.invocation_metadata())
        return b""

    sent = await export(answer, signal, compression=compression, headers={"X-Key": "s3cret"})
    assert sent == Sent(2)
    assert calls == [(method, batch_for(signal).encoded())]
    assert metadata["x-key"] == "s3cret"
    assert metadata["user-agent"].startswith("genai-collector/")


async def test_partial_success_is_no_success() -> None:
    """What the destination rejected is dropped, with its words."""

    async def answer(*_: object) -> bytes:
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = 1
        response.partial_success.error_message = "odd"
        return response.SerializeToString()

    assert await export(answer) == Sent(1, {"partial_success": 1}, "odd")


async def test_an_unreadable_answer_is_a_success() -> None:
    """The status said so."""

    async def answer(*_: object) -> bytes:
        return b"\xff\xff"

    assert await export(answer) == Sent(2)


async def test_errors_are_translated() -> None:
    """INVALID_ARGUMENT is the data's fault; UNAVAILABLE passes, after the RetryInfo's delay."""

    async def invalid(_method: str, _body: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "span 1 has no id")
        return b""

    async def throttled(_method: str, _body: bytes, context: Any) -> bytes:
        packed = AnyMessage()
        packed.Pack(RetryInfo(retry_delay=Duration(seconds=7)))
        details = Status(code=8, details=[packed]).SerializeToString()
        await context.abort(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", (("grpc-status-details-bin", details),)
        )
        return b""

    with pytest.raises(Permanent, match="INVALID_ARGUMENT: span 1 has no id") as permanent:
        await export(invalid)
    assert permanent.value.data_fault
    with pytest.raises(Retryable) as retryable:
        await export(throttled)
    assert retryable.value.retry_after == 7


async def test_nobody_listening_is_retryable() -> None:
    """Also the second time, when the channel knows already."""

    async def answer(*_: object) -> bytes:
        return b""

    async with server(answer) as port:
        pass
    async with exporter(endpoint=f"http://127.0.0.1:{port}") as out:
        for _ in range(2):
            with pytest.raises(Retryable, match="UNAVAILABLE"):
                await out.export(batch_for(Signal.TRACES))


async def test_no_answer_in_time_is_retryable() -> None:
    """The server is told the deadline too."""
    release = asyncio.Event()
    deadlines: list[float] = []

    async def answer(_method: str, _body: bytes, context: Any) -> bytes:
        deadlines.append(context.time_remaining())
        await release.wait()
        return b""

    with pytest.raises(Retryable, match="DEADLINE_EXCEEDED"):
        await export(answer, timeout="100ms")
    assert 0 < deadlines[0] <= 0.1


async def test_a_request_may_be_larger_than_grpcs_default() -> None:
    """16 MiB go out in one message, whatever the receiving side then thinks of it."""
    sizes: list[int] = []

    async def answer(_method: str, body: bytes, _context: Any) -> bytes:
        sizes.append(len(body))
        return b""

    data = otlp.encode(Signal.LOGS, [LogRecord(body="x" * 2**24)])
    async with (
        server(answer) as port,
        exporter(endpoint=f"http://127.0.0.1:{port}", compression="none") as out,
    ):
        assert await out.export(otlp.batch_from_protobuf(Signal.LOGS, data)) == Sent(1)
    assert sizes == [len(data)]


@pytest.mark.parametrize("size", [10, 500_000], ids=["small", "large"])
async def test_a_cancelled_call_ends(size: int) -> None:
    """The server is told that nobody waits any more, and the exporter stays usable."""
    waits, left = asyncio.Event(), asyncio.Event()

    async def answer(_method: str, body: bytes, _context: Any) -> bytes:
        if b"quick" in body:
            return b""
        waits.set()
        try:
            await asyncio.sleep(60)
        finally:
            left.set()
        return b""

    async with (
        server(answer) as port,
        exporter(endpoint=f"http://127.0.0.1:{port}", timeout="0s") as out,
    ):
        slow = otlp.batch_of(Signal.LOGS, [LogRecord(body="x" * size)])
        export = asyncio.create_task(out.export(slow))
        await waits.wait()
        export.cancel()
        with pytest.raises(asyncio.CancelledError):
            await export
        await asyncio.wait_for(left.wait(), 10)
        quick = otlp.batch_of(Signal.LOGS, [LogRecord(body="quick")])
        assert await out.export(quick) == Sent(1)


async def test_compressing_a_large_request_does_not_hold_up_the_loop() -> None:
    """While 8 MB of text are compressed by gRPC the loop keeps turning."""

    async def answer(*_: object) -> bytes:
        return b""

    text = "".join(map(str, range(1_300_000)))
    batch = otlp.batch_of(Signal.LOGS, [LogRecord(body=text)])
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    async with (
        server(answer) as port,
        exporter(endpoint=f"http://127.0.0.1:{port}", timeout="60s") as out,
    ):
        turning = asyncio.create_task(turn())
        assert await out.export(batch) == Sent(1)
        turning.cancel()
    assert turns >= 10


async def test_tls_is_the_default_and_is_verified(tmp_path: Path) -> None:
    """host:port means TLS; https:// too; an unknown authority is refused, retryably."""
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("localhost")
    key, cert = Path(pair.key).read_bytes(), Path(pair.cert).read_bytes()
    credentials = grpc.ssl_server_credentials([(key, cert)])

    async def answer(*_: object) -> bytes:
        return b""

    async with server(answer, credentials) as port:
        for endpoint in (f"localhost:{port}", f"https://localhost:{port}"):
            async with exporter(endpoint=endpoint, tls={"ca_file": authority.cert}) as out:
                assert await out.export(batch_for(Signal.TRACES)) == Sent(2)
        async with exporter(endpoint=f"localhost:{port}") as out:
            with pytest.raises(Retryable):
                await out.export(batch_for(Signal.TRACES))


async def test_insecure_is_plaintext() -> None:
    """tls.insecure with host:port, as otelcol has it."""

    async def answer(*_: object) -> bytes:
        return b""

    async with (
        server(answer) as port,
        exporter(endpoint=f"127.0.0.1:{port}", tls={"insecure": True}) as out,
    ):
        assert await out.export(batch_for(Signal.TRACES)) == Sent(2)


async def test_a_poisoned_span_is_isolated_over_a_real_connection() -> None:
    """Through queue and halving: only the bad one of eight is lost."""

    async def answer(_method: str, body: bytes, context: Any) -> bytes:
        if b"poison" in body:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "poison")
        return b""

    async with server(answer) as port:
        config = OtlpGrpcConfig.model_validate({"endpoint": f"http://127.0.0.1:{port}"})
        context = make_context()
        async with (
            OtlpGrpc(config, context) as out,
            QueuedExporter("otlp", Signal.TRACES, out, config, context) as queued,
        ):
            names = ["a", "b", "c", "poison", "e", "f", "g", "h"]
            batch = otlp.batch_of(Signal.TRACES, [Span(name=name) for name in names])
            queued.reserve(batch.size_bytes)
            await queued.put(batch, batch.size_bytes)
            await queued.drain(context.clock() + 20)
    assert queued.report().sent == 7
    assert queued.report().dropped == {"bad_request": 1}


@pytest.mark.parametrize(
    ("endpoint", "target", "secure"),
    [
        ("backend:4317", "backend:4317", None),
        ("[::1]:4317", "[::1]:4317", None),
        ("http://backend:4317", "backend:4317", False),
        ("https://backend:4317/", "backend:4317", True),
        ("https://backend", "backend:443", True),
        ("http://[::1]:4317", "[::1]:4317", False),
        ("dns:///backend:4317", "dns:///backend:4317", None),
    ],
)
def test_endpoints_in_every_spelling(endpoint: str, target: str, secure: bool | None) -> None:
    """The scheme decides about TLS where there is one."""
    assert _target(endpoint) == (target, secure)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "Field required"),
        ({"endpoint": "backend"}, "expected host:port"),
        ({"endpoint": "http://backend:4317/v1/traces"}, "without a path"),
        ({"endpoint": "backend:port"}, "ort"),
        ({"endpoint": "b:1", "compression": "zstd"}, "gRPC in Python has no zstd"),
        ({"endpoint": "b:1", "compression": "lz4"}, "'gzip' or 'none'"),
        ({"endpoint": "b:1", "headers": {"a b": "c"}}, "no name for a header"),
    ],
)
def test_what_cannot_work_is_refused(config: dict[str, Any], message: str) -> None:
    """In words that say what to write instead."""
    with pytest.raises(ValidationError, match=message):
        OtlpGrpcConfig.model_validate(config)


def test_the_defaults() -> None:
    """gzip; requests no larger than what gRPC servers accept; otelcol's alias."""
    config = OtlpGrpcConfig(endpoint="b:1")
    assert config.compression == "gzip"
    assert config.sending_queue.batch is not None
    assert config.sending_queue.batch.max_size == 4 * 1024 * 1024
    assert FACTORY.aliases == ("otlp",)


async def test_an_echo_in_a_partial_success_is_blotted() -> None:
    """A destination that repeats our key in the words of a partial success does not make us say
    it."""

    async def answer(_method: str, _body: bytes, context: Any) -> bytes:
        said = dict(context.invocation_metadata())["x-api-key"]
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = 1
        response.partial_success.error_message = f"{said} is over its quota"
        return response.SerializeToString()

    sent = await export(answer, headers={"X-Api-Key": "planted-key"})
    assert sent.message.endswith(" is over its quota")
    assert "planted" not in sent.message
