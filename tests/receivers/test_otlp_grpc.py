"""OTLP over gRPC, case by case, with a real channel on a real port."""

from __future__ import annotations

import asyncio
import logging
import zlib
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from genai_collector.component import Acceptance
from genai_collector.errors import (
    ConfigError,
    DecodeError,
    Overloaded,
    Permanent,
    PipelineError,
    QueueFull,
    TooLarge,
)
from genai_collector.model import Signal
from genai_collector.receivers.otlp.config import OtlpGrpcConfig
from genai_collector.receivers.otlp.grpc import channel_options
from tests.receivers.harness import (
    METHODS,
    RecordingConsumer,
    Running,
    build,
    protobuf_request,
    receiving,
)
from tests.transport.certs import Authority

Code = grpc.StatusCode


async def call(
    running: Running,
    body: bytes,
    *,
    method: str = METHODS[Signal.TRACES],
    compression: Any = grpc.Compression.NoCompression,
    credentials: Any = None,
) -> bytes:
    """One call on a channel of its own."""
    options = [("grpc.max_send_message_length", -1)]
    if credentials is None:
        channel = grpc.aio.insecure_channel(running.grpc, options, compression)
    else:
        channel = grpc.aio.secure_channel(running.grpc, credentials, options, compression)
    async with channel:
        answer: bytes = await channel.unary_unary(method)(body)
        return answer


async def refused(running: Running, body: bytes, **how: Any) -> tuple[Any, str, float | None]:
    """Code, message and retry delay of a call that must fail; the Status agrees with the code."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(running, body, **how)
    trailers = dict(caught.value.trailing_metadata())
    delay = None
    if "grpc-status-details-bin" in trailers:
        status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
        assert status.code == caught.value.code().value[0]
        assert status.message == caught.value.details()
        for detail in status.details:
            info = error_details_pb2.RetryInfo()
            assert detail.Unpack(info)
            delay = info.retry_delay.ToNanoseconds() / 1e9
    return caught.value.code(), caught.value.details(), delay


COMPRESSIONS = [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]


@pytest.mark.parametrize("signal", Signal)
@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_accepted(signal: Signal, compression: Any) -> None:
    """Every signal and coding is taken, answered with no bytes, counted, and kept as it came."""
    request = protobuf_request(signal, 50, "hello " * 20)
    async with receiving() as running:
        assert await call(running, request, method=METHODS[signal], compression=compression) == b""
        [batch] = running.consumers[signal].batches
        assert (batch.signal, batch.count, batch.encoded()) == (signal, 50, request)
        if compression is grpc.Compression.NoCompression:
            assert batch.compressed is None
            assert running.consumers[signal].admitted == [0, len(request)]
        else:
            assert batch.compressed is not None
            assert zlib.decompress(batch.compressed.data, 47) == request
            name = "gzip" if compression is grpc.Compression.Gzip else "deflate"
            assert batch.compressed.encoding == name
            assert running.consumers[signal].admitted == [0, len(batch.compressed.data)]
        assert running.telemetry.counts == {("received", "otlp", "grpc"): 50}


async def test_empty_request_succeeds() -> None:
    """A request without items succeeds and reaches nobody."""
    async with receiving() as running:
        for compression in COMPRESSIONS:
            assert await call(running, b"", compression=compression) == b""
        assert not running.batches


RAISED: list[tuple[PipelineError, Any, float | None]] = [
    (QueueFull("full"), Code.UNAVAILABLE, 1.0),
    (QueueFull("full", retry_after=2.25), Code.UNAVAILABLE, 2.25),
    (Overloaded("memory", retry_after=0), Code.UNAVAILABLE, 0.0),
    (DecodeError("bad"), Code.INVALID_ARGUMENT, None),
    (TooLarge("big"), Code.RESOURCE_EXHAUSTED, None),
    (Permanent("no"), Code.INTERNAL, None),
    (Permanent("odd", data_fault=True), Code.INVALID_ARGUMENT, None),
]


@pytest.mark.parametrize(
    ("raised", "code", "delay"), RAISED, ids=[f"{type(r[0]).__name__}-{r[2]}" for r in RAISED]
)
async def test_pipelines_refuse(raised: PipelineError, code: Any, delay: float | None) -> None:
    """What the pipelines raise becomes a code, and RetryInfo only where trying again helps."""
    async with receiving() as running:
        running.traces.refuse = raised
        late = await refused(running, protobuf_request(Signal.TRACES))
        assert running.telemetry.counts["refused", "otlp", "grpc"] == 3
        running.traces.refuse_entry = raised
        early = await refused(running, protobuf_request(Signal.TRACES))
        assert late == early == (code, str(raised), delay)
        assert running.telemetry.counts == {("refused", "otlp", "grpc"): 3}
        assert running.telemetry.turned_away.total() == 2


async def test_malformed() -> None:
    """Bytes that are no request are INVALID_ARGUMENT, compressed or not."""
    async with receiving() as running:
        for body in (b"\xff\xff", b"\x1f\x8bnonsense", b"\x78\x9cnonsense"):
            code, message, delay = await refused(running, body)
            assert (code, delay) == (Code.INVALID_ARGUMENT, None)
            assert message
        assert not running.batches


async def test_too_large() -> None:
    """Above the limit, as sent or inside a small message, is RESOURCE_EXHAUSTED for good."""
    grpc_config = {"endpoint": "127.0.0.1:0", "max_recv_msg_size_mib": 1}
    fits = protobuf_request(Signal.TRACES, 1, "x" * 1_000_000)
    over = protobuf_request(Signal.TRACES, 1, "x" * 1_100_000)
    async with receiving({"grpc": grpc_config}) as running:
        for compression in COMPRESSIONS:
            assert await call(running, fits, compression=compression) == b""
            code, _, delay = await refused(running, over, compression=compression)
            assert (code, delay) == (Code.RESOURCE_EXHAUSTED, None)
        assert [batch.count for batch in running.batches] == [1, 1, 1]


async def test_default_limit_is_64_mib() -> None:
    """gRPC's own 4 MiB, too small for prompts, does not apply; 0 means the default."""
    body = protobuf_request(Signal.TRACES, 1, "x" * 30_000_000)
    async with receiving() as running:
        assert await call(running, body) == b""
    assert OtlpGrpcConfig(max_recv_msg_size_mib=0).max_message_bytes == 64 * 1024 * 1024


async def test_unknown_method() -> None:
    """Unknown methods, and signals that no pipeline takes, are UNIMPLEMENTED."""
    async with receiving(signals=frozenset({Signal.TRACES})) as running:
        for method in (METHODS[Signal.LOGS], METHODS[Signal.TRACES] + "All", "/x.Y/Z"):
            assert (await refused(running, b"", method=method))[0] is Code.UNIMPLEMENTED
        assert await call(running, b"") == b""


async def test_partial_success() -> None:
    """What the pipelines refuse for good is told with its number and reason, and counted."""
    async with receiving() as running:
        running.consumers[Signal.METRICS].answer = Acceptance(rejected=2, message="too old")
        body = protobuf_request(Signal.METRICS)
        answer = await call(running, body, method=METHODS[Signal.METRICS])
        partial = ExportMetricsServiceResponse.FromString(answer).partial_success
        assert (partial.rejected_data_points, partial.error_message) == (2, "too old")
        assert running.telemetry.counts == {
            ("received", "otlp", "grpc"): 1,
            ("refused", "otlp", "grpc"): 2,
        }


async def test_a_bug_is_answered_and_logged_without_content(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An exception nobody foresaw is INTERNAL; the log has its place once, and no payload."""
    async with receiving() as running:
        running.traces.refuse = ZeroDivisionError("secret prompt")
        with caplog.at_level(logging.DEBUG):
            for _ in range(2):
                code, message, _ = await refused(running, protobuf_request(Signal.TRACES))
                assert (code, message) == (Code.INTERNAL, "internal error")
    assert "secret" not in caplog.text
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert ["\n" in record.getMessage() for record in errors] == [True, False]


async def test_calls_in_parallel() -> None:
    """Many calls at once on one channel are all answered."""
    body = protobuf_request(Signal.TRACES)
    async with receiving() as running, grpc.aio.insecure_channel(running.grpc) as channel:
        export = channel.unary_unary(METHODS[Signal.TRACES])
        assert await asyncio.gather(*(export(body) for _ in range(500))) == [b""] * 500
        assert len(running.batches) == 500


def _tls(tmp_path: Path, *, mutual: bool) -> tuple[dict[str, Any], Any, Any]:
    """The server's options, a client without and one with its own certificate."""
    authority = Authority(tmp_path, "ca")
    server, client = authority.issue("server"), authority.issue("client")
    options = {"cert_file": server.cert, "key_file": server.key}
    if mutual:
        options["client_ca_file"] = authority.cert
    roots = Path(authority.cert).read_bytes()
    key, cert = Path(client.key).read_bytes(), Path(client.cert).read_bytes()
    return (
        {"grpc": {"endpoint": "127.0.0.1:0", "tls": options}},
        grpc.ssl_channel_credentials(roots),
        grpc.ssl_channel_credentials(roots, key, cert),
    )


async def test_tls(tmp_path: Path) -> None:
    """With a certificate the server speaks TLS and nothing else."""
    protocols, anonymous, _ = _tls(tmp_path, mutual=False)
    async with receiving(protocols) as running:
        assert running.receiver.endpoints()[0].startswith("grpcs://127.0.0.1:")
        body = protobuf_request(Signal.TRACES)
        assert await call(running, body, credentials=anonymous) == b""
        assert (await refused(running, body))[0] is Code.UNAVAILABLE
        assert len(running.batches) == 1


async def test_mutual_tls(tmp_path: Path) -> None:
    """With client_ca_file only clients with a certificate get in."""
    protocols, anonymous, known = _tls(tmp_path, mutual=True)
    async with receiving(protocols) as running:
        body = protobuf_request(Signal.TRACES)
        assert await call(running, body, credentials=known) == b""
        assert (await refused(running, body, credentials=anonymous))[0] is Code.UNAVAILABLE
        assert len(running.batches) == 1


async def test_localhost_is_both_loopbacks() -> None:
    """`localhost` listens on every loopback address there is, on one port."""
    async with receiving({"grpc": {"endpoint": "localhost:0"}}) as running:
        found = running.receiver.endpoints()
        assert found[0].startswith("grpc://127.0.0.1:")
        assert {url.rpartition(":")[2] for url in found} == {found[0].rpartition(":")[2]}
        for url in found:
            async with grpc.aio.insecure_channel(url.partition("://")[2]) as channel:
                assert await channel.unary_unary(METHODS[Signal.TRACES])(b"") == b""


async def test_port_taken() -> None:
    """A port that is taken is an error that names the endpoint and the option, not shared."""
    async with receiving({"grpc": {"endpoint": "127.0.0.1:0"}}) as running:
        second = build({"grpc": {"endpoint": running.grpc}}, {Signal.TRACES: RecordingConsumer()})
        message = rf"cannot listen on {running.grpc}: address already in use.*protocols\.grpc"
        with pytest.raises(ConfigError, match=message):
            async with second:
                pass


class Gated(RecordingConsumer):
    """Answers when the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()

    async def consume(self, batch: Any, /) -> Acceptance:
        self.arrived.set()
        await self.gate.wait()
        return await super().consume(batch)


async def _until_refused(export: Any) -> Any:
    while True:
        try:
            await export(b"")
        except grpc.aio.AioRpcError as exc:
            return exc.code()


async def test_leaving_lets_calls_finish() -> None:
    """A call in flight is answered while the receiver is left; a new one is refused."""
    consumer = Gated()
    protocols = {"grpc": {"endpoint": "127.0.0.1:0"}}
    receiver = build(protocols, {Signal.TRACES: consumer})
    await receiver.__aenter__()
    target = receiver.endpoints()[0].partition("://")[2]
    async with grpc.aio.insecure_channel(target) as channel:
        export = channel.unary_unary(METHODS[Signal.TRACES])
        in_flight = asyncio.ensure_future(export(protobuf_request(Signal.TRACES)))
        await consumer.arrived.wait()
        leaving = asyncio.ensure_future(receiver.__aexit__(None, None, None))
        # Either code tells an OTLP client to try again.
        assert await _until_refused(export) in {Code.UNAVAILABLE, Code.CANCELLED}
        consumer.gate.set()
        assert await in_flight == b""
        await leaving
    assert [batch.count for batch in consumer.batches] == [3]
    assert receiver.endpoints() == []


def test_options_reach_the_library() -> None:
    """Keepalive and stream limits are translated into the library's names and milliseconds."""
    config = OtlpGrpcConfig.model_validate(
        {
            "max_concurrent_streams": 7,
            "keepalive": {
                "server_parameters": {"time": "30s", "timeout": "5s", "max_connection_age": "1h"},
                "enforcement_policy": {"min_time": "10s", "permit_without_stream": True},
            },
        }
    )
    options = dict(channel_options(config))
    assert options["grpc.max_concurrent_streams"] == 7
    assert options["grpc.keepalive_time_ms"] == 30_000
    assert options["grpc.keepalive_timeout_ms"] == 5_000
    assert options["grpc.max_connection_age_ms"] == 3_600_000
    assert options["grpc.http2.min_ping_interval_without_data_ms"] == 10_000
    assert options["grpc.keepalive_permit_without_calls"] == 1
    assert options["grpc.max_receive_message_length"] == 64 * 1024 * 1024
    assert "grpc.max_connection_age_grace_ms" not in options
    unlimited = dict(channel_options(OtlpGrpcConfig(max_concurrent_streams=0)))
    assert "grpc.max_concurrent_streams" not in unlimited


async def _begun(running: Running, count: int, channel: grpc.aio.Channel) -> list[Any]:
    calls = [channel.stream_unary(METHODS[Signal.TRACES])() for _ in range(count)]
    await _held(running, count)
    return calls


async def _held(running: Running, count: int) -> None:
    """Wait until the pipeline holds so many requests."""
    async with asyncio.timeout(10):
        while True:
            if running.traces.held == count:
                return
            await asyncio.sleep(0.001)


async def test_calls_are_bounded_in_number() -> None:
    """On all connections together; more are told to come again, before their message is read."""
    config = {"endpoint": "127.0.0.1:0", "max_concurrent_requests": 2}
    async with (
        receiving({"grpc": config}) as running,
        grpc.aio.insecure_channel(running.grpc) as channel,
    ):
        calls = await _begun(running, 2, channel)
        code, message, delay = await refused(running, protobuf_request(Signal.TRACES))
        assert (code, message, delay) == (Code.UNAVAILABLE, "too many requests at once", 1.0)
        assert running.telemetry.turned_away == {("grpc", "overload"): 1}
        for one in calls:
            one.cancel()
        await _held(running, 0)
        assert await call(running, protobuf_request(Signal.TRACES)) == b""


async def test_a_message_has_its_time() -> None:
    """One that does not come is given up; so is a call that ends without one."""
    config = {"endpoint": "127.0.0.1:0", "read_timeout": "50ms"}
    async with (
        receiving({"grpc": config}) as running,
        grpc.aio.insecure_channel(running.grpc) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await channel.stream_unary(METHODS[Signal.TRACES])()
        assert late.value.code() is Code.DEADLINE_EXCEEDED
        empty = channel.stream_unary(METHODS[Signal.TRACES])()
        await empty.done_writing()
        with pytest.raises(grpc.aio.AioRpcError) as none:
            await empty
        assert none.value.code() is Code.INVALID_ARGUMENT
        assert running.telemetry.turned_away == {("grpc", "slow_body"): 1, ("grpc", "malformed"): 1}
