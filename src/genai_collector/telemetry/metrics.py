"""What we count of ourselves, through the OpenTelemetry SDK, under otelcol's names.

Implements `component.Telemetry`. Names and labels are those that otelcol's users have in their
dashboards and alerts (otelcol v0.159: `receiver`, `processor`, `exporter` helpers and the process
metrics of its service); `otelcol_dropped_items` is ours and makes the sum come out: what was
accepted is sent, dropped with a reason, or still in a queue.

Counters are exported without `_total`, as otelcol's default reader shows them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from opentelemetry.metrics import CallbackOptions, Counter, Meter, Observation
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader
from opentelemetry.sdk.resources import Resource

from genai_collector.model import Signal
from genai_collector.telemetry.memory import read_rss
from genai_collector.telemetry.prometheus import render

ITEM_WORDS: Final = {
    Signal.TRACES: ("spans", "{spans}", "spans"),
    Signal.METRICS: ("metric_points", "{datapoints}", "metric points"),
    Signal.LOGS: ("log_records", "{records}", "log records"),
}
"""Signal -> (suffix of the metric's name, unit, words)."""

_PER_SIGNAL: Final = {
    "receiver_accepted": "Number of {} successfully pushed into the pipeline.",
    "receiver_refused": "Number of {} that could not be pushed into the pipeline.",
    "exporter_sent": "Number of {} successfully sent to the destination.",
    "exporter_send_failed": "Number of {} that could not be sent, after retries ended.",
    "exporter_enqueue_failed": "Number of {} that found no room in the exporter's queue.",
}
"""One counter per signal each: name between `otelcol_` and the suffix -> description."""


class _Watch(NamedTuple):
    attributes: Mapping[str, str]
    read: Callable[[], int]


class SdkTelemetry:
    """`component.Telemetry` over a `MeterProvider` of our own (never the global one).

    `readers` are further readers, such as one that exports over OTLP. Close it with `shutdown()`.
    """

    def __init__(
        self,
        resource: Mapping[str, str | int | float | bool],
        *,
        readers: Sequence[MetricReader] = (),
        clock: Callable[[], float] = time.monotonic,
        rss: Callable[[], int] = read_rss,
    ) -> None:
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider(
            metric_readers=[self._reader, *readers],
            resource=Resource(dict(resource)),
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        self._scrape = threading.Lock()
        self._queue_sizes: list[_Watch] = []
        self._queue_capacities: list[_Watch] = []
        self._in_flight: list[_Watch] = []
        meter = self._provider.get_meter("genai_collector")
        self._counters = _signal_counters(meter)
        self._incoming = meter.create_counter(
            "otelcol_processor_incoming_items",
            "{items}",
            "Number of items passed to the processor.",
        )
        self._outgoing = meter.create_counter(
            "otelcol_processor_outgoing_items",
            "{items}",
            "Number of items the processor passed on.",
        )
        self._dropped = meter.create_counter(
            "otelcol_dropped_items", "{items}", "Number of items accepted and lost, by reason."
        )
        self._watch_queues(meter)
        _watch_process(meter, clock, rss)

    def received(self, receiver: str, transport: str, signal: Signal, items: int) -> None:
        self._count("receiver_accepted", signal, items, receiver=receiver, transport=transport)

    def refused(self, receiver: str, transport: str, signal: Signal, items: int) -> None:
        self._count("receiver_refused", signal, items, receiver=receiver, transport=transport)

    def processed(self, processor: str, signal: Signal, incoming: int, outgoing: int) -> None:
        labels = {"processor": processor, "otel.signal": signal.value}
        self._incoming.add(incoming, labels)
        self._outgoing.add(outgoing, labels)

    def sent(self, exporter: str, signal: Signal, items: int) -> None:
        self._count("exporter_sent", signal, items, exporter=exporter)

    def send_failed(self, exporter: str, signal: Signal, items: int) -> None:
        self._count("exporter_send_failed", signal, items, exporter=exporter)

    def enqueue_failed(self, exporter: str, signal: Signal, items: int) -> None:
        self._count("exporter_enqueue_failed", signal, items, exporter=exporter)

    def dropped(self, component: str, signal: Signal, reason: str, items: int) -> None:
        self._dropped.add(items, {"component": component, "signal": signal.value, "reason": reason})

    def watch_queue(
        self, exporter: str, signal: Signal, size: Callable[[], int], capacity: int
    ) -> None:
        labels = {"exporter": exporter, "data_type": signal.value}
        self._queue_sizes.append(_Watch(labels, size))
        self._queue_capacities.append(_Watch(labels, lambda: capacity))

    def watch_in_flight(self, exporter: str, signal: Signal, count: Callable[[], int]) -> None:
        self._in_flight.append(_Watch({"exporter": exporter, "data_type": signal.value}, count))

    def scrape(self) -> bytes:
        """Everything as Prometheus text, as of now."""
        with self._scrape:  # the reader keeps one result; two scrapes must not take each other's
            return render(self._reader.get_metrics_data())

    def shutdown(self) -> None:
        """Export a last time and let go. May block for a network exporter: call it in a thread."""
        self._provider.shutdown()

    def _count(self, what: str, signal: Signal, items: int, **labels: str) -> None:
        self._counters[what, signal].add(items, labels)

    def _watch_queues(self, meter: Meter) -> None:
        for name, unit, description, watches in (
            ("queue_size", "By", "Current weight of the queue.", self._queue_sizes),
            ("queue_capacity", "By", "Fixed capacity of the queue.", self._queue_capacities),
            ("in_flight_requests", "{requests}", "Requests now being sent.", self._in_flight),
        ):
            meter.create_observable_gauge(
                f"otelcol_exporter_{name}", [_observe(watches)], unit, description
            )


def _signal_counters(meter: Meter) -> dict[tuple[str, Signal], Counter]:
    return {
        (what, signal): meter.create_counter(
            f"otelcol_{what}_{suffix}", unit, description.format(words)
        )
        for what, description in _PER_SIGNAL.items()
        for signal, (suffix, unit, words) in ITEM_WORDS.items()
    }


def _observe(watches: list[_Watch]) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(watch.read(), watch.attributes) for watch in list(watches)]

    return observe


def _watch_process(meter: Meter, clock: Callable[[], float], rss: Callable[[], int]) -> None:
    started = clock()
    meter.create_observable_counter(
        "otelcol_process_uptime",
        [lambda _options: [Observation(clock() - started)]],
        "s",
        "Uptime of the process.",
    )
    meter.create_observable_counter(
        "otelcol_process_cpu_seconds",
        [lambda _options: [Observation(time.process_time())]],
        "s",
        "Total CPU user and system time.",
    )
    meter.create_observable_gauge(
        "otelcol_process_memory_rss",
        [lambda _options: [Observation(rss())]],
        "By",
        "Total physical memory (resident set size).",
    )
