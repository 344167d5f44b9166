"""Sending our own metrics over OTLP, with the public OpenTelemetry exporters.

They run in the SDK's own thread, so that a slow destination cannot hold up the pipelines. This is
the telemetry *of* the collector; the data that flows through it goes out by `exporters/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)

Protocol: TypeAlias = Literal["grpc", "http/protobuf"]
_TIMEOUT_S: Final = 10.0


def otlp_reader(
    endpoint: str,
    protocol: Protocol,
    interval_s: float,
    headers: Mapping[str, str],
    *,
    insecure: bool = False,
) -> MetricReader:
    """A reader that exports every `interval_s` seconds, and a last time when it is shut down.

    Over HTTP, `/v1/metrics` is added to `endpoint` unless it is already there. `insecure` and
    `http://` are gRPC without TLS.
    """
    if protocol == "grpc":
        exporter = _grpc(endpoint, headers, insecure or endpoint.startswith("http://"))
    else:
        exporter = _http(endpoint, headers)
    return PeriodicExportingMetricReader(
        exporter,
        export_interval_millis=interval_s * 1000,
        export_timeout_millis=min(_TIMEOUT_S, interval_s) * 1000,
    )


def _http(endpoint: str, headers: Mapping[str, str]) -> MetricExporter:
    # Imported when asked for: it and what it needs are memory that few collectors use.
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    url = endpoint.rstrip("/")
    if not url.endswith("/v1/metrics"):
        url += "/v1/metrics"
    return OTLPMetricExporter(endpoint=url, headers=dict(headers), timeout=_TIMEOUT_S)


def _grpc(endpoint: str, headers: Mapping[str, str], insecure: bool) -> MetricExporter:
    # Imported when asked for, like its HTTP sister.
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(
        endpoint=endpoint,
        insecure=insecure,
        headers={name.lower(): value for name, value in headers.items()},
        timeout=_TIMEOUT_S,
    )
