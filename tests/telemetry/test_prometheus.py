"""The text that Prometheus scrapes."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from genai_collector.telemetry.prometheus import render


def _provider() -> tuple[MeterProvider, InMemoryMetricReader]:
    reader = InMemoryMetricReader()
    resource = Resource({"service.name": 'a "quoted"\nname\\'})
    return MeterProvider([reader], resource, shutdown_on_exit=False), reader


def _lines(reader: InMemoryMetricReader) -> list[str]:
    return render(reader.get_metrics_data()).decode().splitlines()


def test_counter_gauge_and_resource() -> None:
    """Counters have no suffix, dots become underscores, label values are escaped."""
    provider, reader = _provider()
    meter = provider.get_meter("test")
    meter.create_counter("otelcol_seen_spans", "{spans}", "Back\\slash\nand line").add(
        3, {"receiver": 'o"t\\l\np', "otel.signal": "traces"}
    )
    meter.create_gauge("otelcol_level", description="A level").set(1.5)
    assert _lines(reader) == [
        "# HELP target_info What describes this collector",
        "# TYPE target_info gauge",
        'target_info{service_name="a \\"quoted\\"\\nname\\\\"} 1',
        "# HELP otelcol_level A level",
        "# TYPE otelcol_level gauge",
        "otelcol_level 1.5",
        "# HELP otelcol_seen_spans Back\\\\slash\\nand line",
        "# TYPE otelcol_seen_spans counter",
        'otelcol_seen_spans{otel_signal="traces",receiver="o\\"t\\\\l\\np"} 3',
    ]
    provider.shutdown()


def test_histogram_is_cumulative() -> None:
    """Buckets count everything below their bound and end with +Inf, then sum and count."""
    provider, reader = _provider()
    histogram = provider.get_meter("test").create_histogram(
        "size", explicit_bucket_boundaries_advisory=[1, 10]
    )
    for value in (0.5, 5, 7, 100):
        histogram.record(value, {"exporter": "otlp"})
    assert [line for line in _lines(reader) if line.startswith("size")] == [
        'size_bucket{exporter="otlp",le="1"} 1',
        'size_bucket{exporter="otlp",le="10"} 3',
        'size_bucket{exporter="otlp",le="+Inf"} 4',
        'size_sum{exporter="otlp"} 112.5',
        'size_count{exporter="otlp"} 4',
    ]
    provider.shutdown()


@pytest.mark.parametrize(("value", "text"), [(2**60, str(2**60)), (0.1, "0.1"), (-3, "-3")])
def test_numbers(value: float, text: str) -> None:
    """Numbers are written as the text format names them, integers exactly."""
    provider, reader = _provider()
    provider.get_meter("test").create_gauge("g").set(value)
    assert _lines(reader)[-1] == f"g {text}"
    provider.shutdown()


def test_one_family_for_a_name_in_two_scopes() -> None:
    """HELP and TYPE appear once per name, whoever records it."""
    provider, reader = _provider()
    for scope in ("one", "two"):
        provider.get_meter(scope).create_counter("n").add(1, {"scope": scope})
    lines = _lines(reader)
    assert lines.count("# TYPE n counter") == 1
    assert {'n{scope="one"} 1', 'n{scope="two"} 1'} <= set(lines)
    provider.shutdown()


def test_nothing_recorded() -> None:
    """No metrics are an empty text."""
    assert render(None) == b""
