"""SOAK_SECONDS (600) at the highest rate this machine holds, with bursts: `make soak`.

    python -m bench.soak [SECONDS]

One collector, two paths at once: OTLP/HTTP to OTLP/HTTP with the queue in memory, and the same with
the queue on disk. Each path has a client that sends all the time and one that comes in bursts, each
request as soon as the one before was answered; refused requests come again. Resident memory, file
descriptors, threads and tasks of the collector are sampled all the time.

Fails (exit code 1) if, after a warm-up of a fifth of the time, resident memory drifts by more than
10 %, if descriptors, threads or tasks grow, or if anything acknowledged did not arrive whole.
Drift is between the medians of the first and the last third after the warm-up, both of which span
whole bursts; the peak is printed too.
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bench import processes, soak_ends
from bench.processes import Process

_WARM_UP: Final = 0.2
_MAX_DRIFT: Final = 0.10
_MAX_MORE: Final = 5
"""Descriptors, threads and tasks come and go with connections and requests in flight."""
_SAMPLE_S: Final = 0.5
_EVERY_S: Final = 10.0
_BURST_S: Final = 3.0
_DRAINS_S: Final = 60.0
_QUEUE: Final = "queue_size: 64MiB"
_CONFIG: Final = """
receivers:
  otlp/memory: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:{memory}' }} }} }}
  otlp/durable: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:{durable}' }} }} }}
exporters:
  otlp_http/memory:
    endpoint: 'http://127.0.0.1:{memory_sink}'
    compression: none
    sending_queue: {{ {queue} }}
  otlp_http/durable:
    endpoint: 'http://127.0.0.1:{durable_sink}'
    compression: none
    sending_queue: {{ {queue}, storage: file_storage }}
extensions: {{ file_storage: {{ directory: '{directory}/storage' }} }}
service:
  extensions: [file_storage]
  telemetry:
    logs: {{ level: warn }}
    metrics: {{ address: '127.0.0.1:{metrics}' }}
  pipelines:
    traces/memory: {{ receivers: [otlp/memory], exporters: [otlp_http/memory] }}
    traces/durable: {{ receivers: [otlp/durable], exporters: [otlp_http/durable] }}
"""
PATHS: Final = ("memory", "durable")
_METRIC: Final = re.compile(r"^(otelcol_\w+)(?:\{(.*)\})? ([0-9.eE+]+)$", re.MULTILINE)


class Sample(NamedTuple):
    at_s: float
    rss_mib: float
    fds: int
    threads: int
    tasks: int
    sent: int
    queued: int


class Trend(NamedTuple):
    """One value over the time after the warm-up: medians of its first and last third."""

    name: str
    first: float
    last: float
    peak: float

    @property
    def fault(self) -> str:
        more = self.last - self.first
        if self.name == "RSS MiB":
            drifted = abs(more) > _MAX_DRIFT * self.first
            return f"drifted {more / self.first:+.1%}" if drifted else ""
        return f"grew by {more:g}" if more > _MAX_MORE else ""


def look(process: Process, metrics_port: int, began: float) -> Sample:
    """The collector as it is now, by /proc and by its own metrics."""
    proc = Path(f"/proc/{process.child.pid}")
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=30) as answer:
        said: Counter[str] = Counter()
        for name, _, value in _METRIC.findall(answer.read().decode()):
            said[name] += int(float(value))
    return Sample(
        time.monotonic() - began,
        process.rss_mib(),
        len(os.listdir(proc / "fd")),  # noqa: PTH208  a Path for each is not needed
        len(os.listdir(proc / "task")),  # noqa: PTH208
        said["otelcol_process_tasks"],
        said["otelcol_exporter_sent_spans"],
        said["otelcol_exporter_queue_size"],
    )


def trends(samples: list[Sample], seconds: float) -> list[Trend]:
    """What is judged."""
    judged = [one for one in samples if one.at_s >= seconds * _WARM_UP]
    third = max(1, len(judged) // 3)
    values = {
        "RSS MiB": [one.rss_mib for one in judged],
        "descriptors": [float(one.fds) for one in judged],
        "threads": [float(one.threads) for one in judged],
        "tasks": [float(one.tasks) for one in judged],
    }
    return [
        Trend(name, statistics.median(seen[:third]), statistics.median(seen[-third:]), max(seen))
        for name, seen in values.items()
    ]


class Soak:
    """One run in one directory."""

    def __init__(self, directory: Path, seconds: float) -> None:
        self._directory = directory
        self._seconds = seconds
        self._ports = {name: processes.free_port() for name in (*PATHS, "metrics")}
        self._sinks = {name: processes.free_port() for name in PATHS}
        # Short runs get short bursts, so that each third sees several.
        self._every_s = min(_EVERY_S, seconds / 10)
        self._clients = {name: (2 * n, 2 * n + 1) for n, name in enumerate(PATHS)}
        self.samples: list[Sample] = []
        self.faults: list[str] = []

    def run(self) -> None:
        ports = list(map(str, self._sinks.values()))
        with ExitStack() as stack:
            ends = ["bench.soak_ends", "sink", str(self._directory), *ports]
            stack.enter_context(
                processes.started(ends, self._sinks["memory"], self._directory, "sink")
            )
            collector = stack.enter_context(
                processes.collector(self._config(), self._ports["durable"], self._directory)
            )
            with self._sending():
                self._watch(collector)
            self._wait_for_empty(collector)
            collector.stop()
            if collector.child.returncode:
                self.faults.append(f"the collector ended with {collector.child.returncode}")

    def _config(self) -> str:
        return _CONFIG.format(
            directory=self._directory,
            queue=_QUEUE,
            **self._ports,
            **{f"{name}_sink": port for name, port in self._sinks.items()},
        )

    @contextmanager
    def _sending(self) -> Iterator[None]:
        """The clients; at the end all are told before any is waited for."""
        running = []
        for path, (always, bursts) in self._clients.items():
            for number, connections, burst_s in (
                (always, 2, 0.0),
                (bursts, 8, _BURST_S / _EVERY_S * self._every_s),
            ):
                arguments = [number, self._ports[path], self._directory, connections, burst_s]
                running.append(
                    Process(
                        [sys.executable, "-m", "bench.soak_ends", "client"]
                        + [str(one) for one in (*arguments, self._every_s)],
                        self._directory / f"client-{number}.log",
                    )
                )
        try:
            self._wait_for_clients()
            yield
        finally:
            for one in running:
                one.child.terminate()
            for one in running:
                one.stop()

    def _wait_for_clients(self) -> None:
        names = [f"client-{number}.ready" for pair in self._clients.values() for number in pair]
        deadline = time.monotonic() + _DRAINS_S
        while not all((self._directory / name).exists() for name in names):
            if time.monotonic() > deadline:
                raise RuntimeError("the clients did not start")
            time.sleep(0.05)

    def _watch(self, collector: Process) -> None:
        began = said = time.monotonic()
        while (now := time.monotonic()) - began < self._seconds:
            self.samples.append(look(collector, self._ports["metrics"], began))
            if now - said >= self._seconds / 10:
                said = now
                self._say_how_it_goes()
            time.sleep(_SAMPLE_S)

    def _say_how_it_goes(self) -> None:
        now, before = self.samples[-1], self.samples[max(0, len(self.samples) - 20)]
        rate = (now.sent - before.sent) / max(0.001, now.at_s - before.at_s)
        print(
            f"{now.at_s:6.0f} s  {rate:8,.0f} spans/s  RSS {now.rss_mib:5.0f} MiB  "
            f"{now.fds} descriptors  {now.threads} threads  {now.tasks} tasks  "
            f"{now.queued / 2**20:.0f} MiB queued",
            flush=True,
        )

    def _wait_for_empty(self, collector: Process) -> None:
        deadline = time.monotonic() + _DRAINS_S
        while look(collector, self._ports["metrics"], 0).queued and time.monotonic() < deadline:
            time.sleep(0.1)

    # ---- the verdict -----------------------------------------------------------------------

    def judge(self) -> list[str]:
        """Print the tables; returns what is not as it must be."""
        faults = list(self.faults)
        print(f"{'after warm-up':<14}{'first third':>13}{'last third':>12}{'peak':>8}")
        for trend in trends(self.samples, self._seconds):
            print(
                f"{trend.name:<14}{trend.first:>13.0f}{trend.last:>12.0f}{trend.peak:>8.0f}  "
                f"{trend.fault or 'ok'}"
            )
            if trend.fault:
                faults.append(f"{trend.name} {trend.fault}")
        print(f"{'path':<10}{'acknowledged':>14}{'spans/s':>10}{'missing':>9}{'again':>7}  answers")
        for path in PATHS:
            faults += self._judge_path(path)
        return faults

    def _judge_path(self, path: str) -> list[str]:
        port = self._sinks[path]
        totals = [0, 0, 0]
        answers: Counter[str] = Counter()
        for number in self._clients[path]:
            found = soak_ends.missing(self._directory, number, port)
            totals = [a + b for a, b in zip(totals, found, strict=True)]
            answers.update(json.loads((self._directory / f"client-{number}.seen").read_text()))
        taken, lost, again = totals
        torn = int((self._directory / f"sink-{port}.torn").read_text())
        said = ", ".join(f"{count} x {status}" for status, count in sorted(answers.items()))
        rate = taken / self._seconds
        print(f"{path:<10}{taken:>14,}{rate:>10,.0f}{lost:>9}{again:>7}  {said}")
        faults = {
            f"{path}: {lost} acknowledged spans did not arrive": lost,
            f"{path}: {torn} requests arrived damaged": torn,
            f"{path}: nothing was acknowledged": not taken,
            f"{path}: unexpected answers": answers.keys() - {"200", "503"},
        }
        return [text for text, is_so in faults.items() if is_so]


def main(seconds: float) -> int:
    """The exit code."""
    print(
        f"{seconds:g} s on {os.cpu_count()} cores, bursts of {_BURST_S / _EVERY_S:.0%} of the time"
    )
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        soak = Soak(Path(name), seconds)
        soak.run()
        faults = soak.judge()
        for log in Path(name).glob("c*.log"):  # of the collector and the clients
            lines = log.read_text(errors="replace").splitlines()
            for line in [one for one in lines if "error" in one or "Traceback" in one][:10]:
                print(f"{log.name}: {line}")
    for fault in faults:
        print(f"FAILED: {fault}")
    if not faults:
        print("ok: nothing is lost, nothing grows")
    return 1 if faults else 0


if __name__ == "__main__":
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SOAK_SECONDS", "600")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # whoever ends this ends all of it
    sys.exit(main(float(given)))
