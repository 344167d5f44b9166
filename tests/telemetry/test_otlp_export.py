"""Our own metrics, sent over OTLP by the public exporters."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from genai_collector.model import Signal
from genai_collector.telemetry.metrics import SdkTelemetry
from genai_collector.telemetry.otlp_export import Protocol, otlp_reader
from tests.support.running import Request, Sink, grpc_sink, http_sink


def _ok(_request: Request) -> web.Response:
    return web.Response(body=b"", content_type="application/x-protobuf")


def _sum(sink: Sink, name: str) -> list[int]:
    values: list[int] = []
    for request in sink.requests:
        message = ExportMetricsServiceRequest.FromString(request.body)
        for resource in message.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == name:
                        values += [int(point.as_int) for point in metric.sum.data_points]
    return values


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_exported_when_shut_down(protocol: Protocol) -> None:
    """The last export happens at shutdown, with the configured headers."""
    async with grpc_sink() if protocol == "grpc" else http_sink(_ok) as sink:
        reader = otlp_reader(
            f"http://127.0.0.1:{sink.port}", protocol, 3600.0, {"X-Key": "k"}, insecure=True
        )
        telemetry = SdkTelemetry({"service.name": "me"}, readers=[reader])
        telemetry.sent("otlp", Signal.TRACES, 42)
        await asyncio.to_thread(telemetry.shutdown)
        assert _sum(sink, "otelcol_exporter_sent_spans") == [42]
        sent_to = "MetricsService/Export" if protocol == "grpc" else "/v1/metrics"
        assert sink.requests[0].path.endswith(sent_to)
        headers = {name.lower(): value for name, value in sink.requests[0].headers.items()}
        assert headers["x-key"] == "k"
