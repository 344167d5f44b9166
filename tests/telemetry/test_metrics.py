"""Our counters under otelcol's names."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from genai_collector.component import Telemetry
from genai_collector.model import Signal
from genai_collector.telemetry.metrics import SdkTelemetry
from tests.support.fakes import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def telemetry(clock: FakeClock) -> Iterator[SdkTelemetry]:
    made = SdkTelemetry({"service.name": "test"}, clock=clock, rss=lambda: 123 * 4096)
    yield made
    made.shutdown()


def _samples(telemetry: SdkTelemetry) -> dict[str, float]:
    lines = telemetry.scrape().decode().splitlines()
    return {
        name: float(value)
        for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


def test_items_of_each_signal(telemetry: SdkTelemetry) -> None:
    """Each signal counts under its own word, with otelcol's labels and without _total."""
    telemetry.received("otlp", "grpc", Signal.TRACES, 2)
    telemetry.received("otlp", "grpc", Signal.TRACES, 3)
    telemetry.refused("otlp", "http", Signal.METRICS, 5)
    telemetry.sent("file", Signal.LOGS, 7)
    telemetry.send_failed("file", Signal.TRACES, 11)
    telemetry.enqueue_failed("file", Signal.TRACES, 13)
    samples = _samples(telemetry)
    assert samples['otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"}'] == 5
    assert samples['otelcol_receiver_refused_metric_points{receiver="otlp",transport="http"}'] == 5
    assert samples['otelcol_exporter_sent_log_records{exporter="file"}'] == 7
    assert samples['otelcol_exporter_send_failed_spans{exporter="file"}'] == 11
    assert samples['otelcol_exporter_enqueue_failed_spans{exporter="file"}'] == 13


def test_processors_and_drops(telemetry: SdkTelemetry) -> None:
    """What goes in and comes out of a processor, and what is lost and why."""
    telemetry.processed("filter", Signal.TRACES, 10, 4)
    telemetry.dropped("filter", Signal.TRACES, "filtered", 6)
    samples = _samples(telemetry)
    labels = '{otel_signal="traces",processor="filter"}'
    assert samples[f"otelcol_processor_incoming_items{labels}"] == 10
    assert samples[f"otelcol_processor_outgoing_items{labels}"] == 4
    dropped = 'otelcol_dropped_items{component="filter",reason="filtered",signal="traces"}'
    assert samples[dropped] == 6


def test_watched_values_are_read_at_each_scrape(telemetry: SdkTelemetry) -> None:
    """Queue size and requests in flight are what they are when someone looks."""
    size = [1]
    telemetry.watch_queue("otlp", Signal.TRACES, lambda: size[0], 100)
    telemetry.watch_in_flight("otlp", Signal.TRACES, lambda: size[0] * 2)
    labels = '{data_type="traces",exporter="otlp"}'
    assert _samples(telemetry)[f"otelcol_exporter_queue_size{labels}"] == 1
    size[0] = 9
    samples = _samples(telemetry)
    assert samples[f"otelcol_exporter_queue_size{labels}"] == 9
    assert samples[f"otelcol_exporter_queue_capacity{labels}"] == 100
    assert samples[f"otelcol_exporter_in_flight_requests{labels}"] == 18


def test_storages(telemetry: SdkTelemetry) -> None:
    """What a storage's file has done, by owner; two that look at the same file count once."""
    counts = {"commits": 3, "syncs": 2, "set_aside": 1, "failures": 0}
    telemetry.watch_storage("exporter.otlp", lambda: counts)
    telemetry.view().watch_storage("exporter.otlp", lambda: counts)
    samples = _samples(telemetry)
    for what, count in counts.items():
        assert samples[f'otelcol_storage_{what}{{owner="exporter.otlp"}}'] == count


def test_process(telemetry: SdkTelemetry, clock: FakeClock) -> None:
    """Uptime, CPU time and resident memory of the process."""
    clock.advance(60)
    samples = _samples(telemetry)
    assert samples["otelcol_process_uptime"] == 60
    assert samples["otelcol_process_memory_rss"] == 123 * 4096
    assert samples["otelcol_process_cpu_seconds"] > 0


async def test_tasks(telemetry: SdkTelemetry) -> None:
    """Tasks are counted when the loop itself asks, and left out when another thread does."""
    before = _samples(telemetry)["otelcol_process_tasks"]
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
        assert _samples(telemetry)["otelcol_process_tasks"] == before + 1
    assert "otelcol_process_tasks" not in await asyncio.to_thread(_samples, telemetry)


def test_no_name_has_a_suffix(telemetry: SdkTelemetry) -> None:
    """otelcol's default reader adds neither _total nor a unit; all names carry its prefix."""
    typed: Telemetry = telemetry
    typed.received("otlp", "http", Signal.LOGS, 1)
    names = re.findall(r"^# TYPE (\S+)", telemetry.scrape().decode(), re.MULTILINE)
    assert [name for name in names if not name.startswith("otelcol_")] == ["target_info"]
    assert not [name for name in names if name.endswith(("_total", "_ratio", "_bytes"))]


def test_refused_requests_have_a_reason() -> None:
    """What is refused at the door is counted by endpoint, transport and reason."""
    telemetry = SdkTelemetry({})
    telemetry.refused_request("localhost:4318", "http", "overload")
    telemetry.refused_request("localhost:4318", "http", "overload")
    labels = 'endpoint="localhost:4318",reason="overload",transport="http"'
    assert _samples(telemetry)[f"otelcol_receiver_refused_requests{{{labels}}}"] == 2
