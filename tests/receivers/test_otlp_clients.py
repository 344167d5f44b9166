"""The clients people have: the OpenTelemetry SDK's own exporters, and the recorded traffic."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from genai_collector.formats.otlp import check
from genai_collector.model import Signal
from tests.receivers.harness import METHODS, PATHS, Running, captures, receiving
from tests.support.captures import shared
from tests.transport.certs import Authority


def _trace(exporter: Any) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("chat gpt-4o") as span:
        span.set_attribute("gen_ai.request.model", "gpt-4o")
    provider.shutdown()


def _measure(exporter: Any) -> None:
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    provider.get_meter("test").create_counter("tokens").add(7, {"gen_ai.token.type": "input"})
    provider.shutdown()


def _names(running: Running) -> list[str]:
    [batch] = running.traces.batches
    return [span.name for span in batch.view_spans()]


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip,
                                         Compression.Deflate])  # fmt: skip
async def test_sdk_over_http(compression: Compression) -> None:
    """The SDK's HTTP exporters deliver spans and metrics under each of their codings."""
    async with receiving() as running:
        spans = HttpSpans(running.url(Signal.TRACES), compression=compression)
        metrics = HttpMetrics(running.url(Signal.METRICS), compression=compression)
        await asyncio.to_thread(_trace, spans)
        await asyncio.to_thread(_measure, metrics)
        assert _names(running) == ["chat gpt-4o"]
        [batch] = running.consumers[Signal.METRICS].batches
        assert [metric.name for metric in batch.view_metrics()] == ["tokens"]


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_sdk_over_grpc(compression: Any) -> None:
    """The SDK's gRPC exporters deliver spans and metrics, compressed and not."""
    async with receiving() as running:
        endpoint = f"http://{running.grpc}"
        await asyncio.to_thread(_trace, GrpcSpans(endpoint, True, compression=compression))
        await asyncio.to_thread(_measure, GrpcMetrics(endpoint, True, compression=compression))
        assert _names(running) == ["chat gpt-4o"]
        [batch] = running.consumers[Signal.METRICS].batches
        assert [metric.name for metric in batch.view_metrics()] == ["tokens"]


async def test_sdk_logs_with_nothing_to_say() -> None:
    """The SDK's log exporters call both doors; an empty batch of theirs succeeds."""
    async with receiving() as running:
        for exporter in (HttpLogs(running.url(Signal.LOGS)), GrpcLogs(running.grpc, insecure=True)):
            result = await asyncio.to_thread(exporter.export, [])
            assert result.name == "SUCCESS"
            await asyncio.to_thread(exporter.shutdown)


async def test_sdk_over_https_with_client_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's HTTP exporter gets through mTLS with the options it has for it."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # would overrule the option
        monkeypatch.delenv(name, raising=False)
    authority = Authority(tmp_path, "ca")
    server, client = authority.issue("server"), authority.issue("client")
    tls = {"cert_file": server.cert, "key_file": server.key, "client_ca_file": authority.cert}
    async with receiving({"http": {"endpoint": "127.0.0.1:0", "tls": tls}}) as running:
        assert running.http.startswith("https://127.0.0.1:")
        exporter = HttpSpans(
            running.url(Signal.TRACES),
            certificate_file=authority.cert,
            client_key_file=client.key,
            client_certificate_file=client.cert,
        )
        await asyncio.to_thread(_trace, exporter)
        assert _names(running) == ["chat gpt-4o"]
        with pytest.raises(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session:
                await session.post(running.url(Signal.TRACES), ssl=False)


FOLDERS = ["openlit", "openlit_1_34", "traceloop", "openinference", "otel_openai_v2", "pydantic_ai"]


@pytest.mark.parametrize("folder", FOLDERS)
async def test_recorded_traffic(folder: str) -> None:
    """Everything that real SDKs sent is taken over both protocols, byte for byte."""
    recorded = captures(shared(f"captures/{folder}"))[:40]
    assert recorded
    async with (
        receiving() as running,
        aiohttp.ClientSession() as session,
        grpc.aio.insecure_channel(running.grpc) as channel,
    ):
        for signal, path in recorded:
            body = path.read_bytes()
            headers = {"Content-Type": "application/x-protobuf"}
            url = running.http + PATHS[signal]
            async with session.post(url, data=body, headers=headers) as response:
                assert response.status == 200
            assert await channel.unary_unary(METHODS[signal])(body) == b""
            expected = [body, body] if check(signal, body) else []
            assert [batch.encoded() for batch in running.batches] == expected
            for consumer in running.consumers.values():
                consumer.batches.clear()


async def test_curl(tmp_path: Path) -> None:
    """The specification's example posted with curl succeeds."""
    example = shared("schemas/otlp_examples/trace.json")
    async with receiving() as running:
        curl = await asyncio.create_subprocess_exec(
            "curl", "-sS", "-X", "POST", "-H", "Content-Type: application/json",
            "-d", f"@{example}", "-w", " %{http_code}", running.url(Signal.TRACES),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await curl.communicate()
        assert output == b"{} 200"
        assert _names(running) == ["I'm a server span"]
