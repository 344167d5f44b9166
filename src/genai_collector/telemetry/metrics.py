"""What we count of ourselves, through the OpenTelemetry SDK, under otelcol's names.

Implements `component.Telemetry`. Names and labels are those that otelcol's users have in their
dashboards and alerts (otelcol v0.159: `receiver`, `processor`, `exporter` helpers and the process
metrics of its service); `otelcol_dropped_items` is ours and makes the sum come out: what was
accepted is sent, dropped with a reason, or still in a queue.

Counters are exported without `_total`, as otelcol's default reader shows them.
"""

from __future__ import annotations

import asyncio
import copy
import threading
import time
from collections import Counter as Tally
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


_STORAGE: Final = {
    "commits": ("{commits}", "Number of commits to the file."),
    "syncs": ("{commits}", "Number of commits that waited for the disk."),
    "set_aside": ("{records}", "Number of records that could not be read and were set aside."),
    "failures": ("{failures}", "Number of times that the file could not be written or read."),
}
"""Counters of a storage's file: name after `otelcol_storage_` -> unit, description."""


_ALONE: Final = (
    ("processor_incoming_items", "{items}", "Number of items passed to the processor."),
    ("processor_outgoing_items", "{items}", "Number of items the processor passed on."),
    ("processor_redacted_values", "{values}", "Number of secrets replaced, by rule."),
    (
        "processor_truncated_values",
        "{values}",
        "Number of texts cut, by the limit they were over.",
    ),
    ("dropped_items", "{items}", "Number of items accepted and lost, by reason."),
    (
        "receiver_refused_requests",
        "{requests}",
        "Number of requests and connections refused at the door, by reason.",
    ),
    (
        "authenticator_refused_requests",
        "{requests}",
        "Number of requests refused because nobody knows who sent them.",
    ),
    ("config_reloads", "{reloads}", "Number of tries to use a changed configuration."),
)
"""Counters that are no matter of one signal: name after `otelcol_`, unit, description."""


class _Watch(NamedTuple):
    attributes: Mapping[str, str]
    read: Callable[[], int]


class _Watches(NamedTuple):
    """What one owner has asked to be looked at."""

    queue_sizes: list[_Watch]
    queue_capacities: list[_Watch]
    in_flight: list[_Watch]
    storages: list[tuple[str, Callable[[], Mapping[str, int]]]]


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
        self._watches = _Watches([], [], [], [])
        self._everybodys = [self._watches]
        meter = self._provider.get_meter("genai_collector")
        self._counters = _signal_counters(meter)
        (
            self._incoming, self._outgoing, self._redacted, self._truncated, self._dropped,
            self._refused_requests, self._strangers, self._reloads,
        ) = (
            meter.create_counter(f"otelcol_{name}", unit, what) for name, unit, what in _ALONE
        )  # fmt: skip
        self._reload_success = meter.create_gauge(
            "otelcol_config_last_reload_successful",
            "1",
            "Whether the last try to use a changed configuration succeeded.",
        )
        self._watch_queues(meter)
        self._watch_storages(meter)
        _watch_process(meter, clock, rss)

    def received(self, receiver: str, transport: str, signal: Signal, items: int) -> None:
        self._count("receiver_accepted", signal, items, receiver=receiver, transport=transport)

    def refused(self, receiver: str, transport: str, signal: Signal, items: int) -> None:
        self._count("receiver_refused", signal, items, receiver=receiver, transport=transport)

    def refused_request(self, endpoint: str, transport: str, reason: str) -> None:
        labels = {"endpoint": endpoint, "transport": transport, "reason": reason}
        self._refused_requests.add(1, labels)

    def unauthenticated(self, authenticator: str) -> None:
        self._strangers.add(1, {"authenticator": authenticator})

    def processed(self, processor: str, signal: Signal, incoming: int, outgoing: int) -> None:
        labels = {"processor": processor, "otel.signal": signal.value}
        self._incoming.add(incoming, labels)
        self._outgoing.add(outgoing, labels)

    def redacted(self, processor: str, signal: Signal, rule: str, values: int) -> None:
        labels = {"processor": processor, "otel.signal": signal.value, "rule": rule}
        self._redacted.add(values, labels)

    def truncated(self, processor: str, signal: Signal, rule: str, values: int) -> None:
        labels = {"processor": processor, "otel.signal": signal.value, "rule": rule}
        self._truncated.add(values, labels)

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
        self._watches.queue_sizes.append(_Watch(labels, size))
        self._watches.queue_capacities.append(_Watch(labels, lambda: capacity))

    def watch_in_flight(self, exporter: str, signal: Signal, count: Callable[[], int]) -> None:
        labels = {"exporter": exporter, "data_type": signal.value}
        self._watches.in_flight.append(_Watch(labels, count))

    def watch_storage(self, owner: str, counts: Callable[[], Mapping[str, int]]) -> None:
        self._watches.storages.append((owner, counts))

    def view(self) -> SdkTelemetry:
        """The same counters, for someone whose watches end before the process does (`forget`)."""
        view = copy.copy(self)
        view._watches = _Watches([], [], [], [])
        self._everybodys.append(view._watches)
        return view

    def forget(self) -> None:
        """Look no more at what was watched through this view."""
        self._everybodys[:] = [one for one in self._everybodys if one is not self._watches]

    def reloaded(self, *, successful: bool) -> None:
        """`otelcol_config_reloads` and `otelcol_config_last_reload_successful`."""
        self._reloads.add(1, {"result": "success" if successful else "failure"})
        self._reload_success.set(int(successful))

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
        for name, unit, description, read in (
            ("queue_size", "By", "Current weight of the queue.", self._queue_sizes),
            ("queue_capacity", "By", "Fixed capacity of the queue.", self._queue_capacities),
            ("in_flight_requests", "{requests}", "Requests now being sent.", self._in_flight),
        ):
            meter.create_observable_gauge(f"otelcol_exporter_{name}", [read], unit, description)

    def _watch_storages(self, meter: Meter) -> None:
        for what, (unit, description) in _STORAGE.items():
            meter.create_observable_counter(
                f"otelcol_storage_{what}", [self._stored(what)], unit, description
            )

    def _stored(self, what: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            # Two of one owner, while a configuration is reloaded, look at the same file.
            owners = dict(watch for one in list(self._everybodys) for watch in one.storages)
            return [Observation(counts()[what], {"owner": one}) for one, counts in owners.items()]

        return observe

    # Two queues of one name live side by side while a configuration is reloaded: what waits is the
    # sum, what there is room for is what the newer one says.

    def _queue_sizes(self, _options: CallbackOptions) -> Iterable[Observation]:
        return _sums(watch for one in list(self._everybodys) for watch in one.queue_sizes)

    def _queue_capacities(self, _options: CallbackOptions) -> Iterable[Observation]:
        watches = [watch for one in list(self._everybodys) for watch in one.queue_capacities]
        newest = {tuple(watch.attributes.items()): watch for watch in watches}
        return [Observation(watch.read(), watch.attributes) for watch in newest.values()]

    def _in_flight(self, _options: CallbackOptions) -> Iterable[Observation]:
        return _sums(watch for one in list(self._everybodys) for watch in one.in_flight)


def _signal_counters(meter: Meter) -> dict[tuple[str, Signal], Counter]:
    return {
        (what, signal): meter.create_counter(
            f"otelcol_{what}_{suffix}", unit, description.format(words)
        )
        for what, description in _PER_SIGNAL.items()
        for signal, (suffix, unit, words) in ITEM_WORDS.items()
    }


def _sums(watches: Iterable[_Watch]) -> list[Observation]:
    sums: Tally[tuple[tuple[str, str], ...]] = Tally()
    for watch in list(watches):
        sums[tuple(watch.attributes.items())] += watch.read()
    return [Observation(value, dict(labels)) for labels, value in sums.items()]


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
    meter.create_observable_gauge(
        "otelcol_process_tasks", [_tasks], "{tasks}", "Number of tasks of the event loop."
    )


def _tasks(_options: CallbackOptions) -> Iterable[Observation]:
    """Only when asked from the loop itself, as the metrics endpoint does: a reader that pushes has
    a thread of its own."""
    try:
        return [Observation(len(asyncio.all_tasks()))]
    except RuntimeError:
        return []
