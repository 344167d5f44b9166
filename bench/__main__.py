"""Measure what the collector costs, as CPU microseconds per span and as ratios inside one run.

    python -m bench [--rounds N] [--requests N] [--only NAME]

Each comparison runs the bare server and the collector in turn, A B A B, on the same requests (512
OpenLIT spans of 3.6 kB with unique prompts) and prints the median of each with the ratio. CPU is
the measured process's user and system time; load generator and sinks are other processes. The queue
on disk is measured against the one in memory (see `bench.durable`). After that come translations
between other formats, in this process (see `bench.conversion`).
Absolute numbers are this machine's; the ratios travel.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import os
import pathlib
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bench import conversion, durable, load, payload, processes
from bench.processes import Process
from bench.walk import walk_cpu_per_span_us
from genai_collector.formats.langfuse import events

Load = Callable[[int, list[bytes], int, str | None], Awaitable[None]]

EXAMPLE = pathlib.Path(__file__).parents[1] / "config.example.yaml"
SERVICE = """
service:
  telemetry: {{ metrics: {{ level: none }}, logs: {{ level: warn }} }}
  pipelines:
    traces: {{ receivers: [otlp], exporters: [{exporter}] }}
"""
HTTP_IN = "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:{port}' }} }} }} }}\n"
GRPC_IN = "receivers: {{ otlp: {{ protocols: {{ grpc: {{ endpoint: '127.0.0.1:{port}' }} }} }} }}\n"
OUT = {
    "otlp_http": """
exporters:
  otlp_http: {{ endpoint: 'http://127.0.0.1:{sink}', compression: {compression} }}
""",
    "otlp_grpc": """
exporters:
  otlp_grpc:
    endpoint: '127.0.0.1:{sink}'
    tls: {{ insecure: true }}
    compression: {compression}
""",
    "langfuse": """
exporters:
  langfuse: {{ endpoint: 'http://127.0.0.1:{sink}', public_key: pk, secret_key: sk }}
""",
}


@dataclass(frozen=True)
class Case:
    """One comparison. `limit` is the ratio to the baseline that we hold ourselves to."""

    name: str
    receiver: str
    send: Load
    exporter: str
    sink: str
    baseline: str
    limit: float
    encoding: str | None = None


HTTP: dict[str, Any] = {"receiver": HTTP_IN, "send": load.http}
GRPC: dict[str, Any] = {"receiver": GRPC_IN, "send": load.grpc_calls}
TO_HTTP: dict[str, Any] = {
    "exporter": "otlp_http",
    "sink": "sink-http",
    "baseline": "bare-http",
    "limit": 2.5,
}
TO_GRPC: dict[str, Any] = {
    "exporter": "otlp_grpc",
    "sink": "sink-grpc",
    "baseline": "bare-grpc",
    "limit": 3.0,
}
TO_LANGFUSE: dict[str, Any] = {
    "exporter": "langfuse",
    "sink": "sink-langfuse",
    "baseline": "walk",
    "limit": 1.2,
}

CASES = (
    Case("http -> http", **HTTP, **TO_HTTP),
    Case("http -> http gzip", **HTTP, **TO_HTTP, encoding="gzip"),
    Case("grpc -> grpc", **GRPC, **TO_GRPC),
    Case("grpc -> grpc gzip", **GRPC, **TO_GRPC, encoding="gzip"),
    Case("http -> langfuse", **HTTP, **TO_LANGFUSE),
)


async def settled(process: Process, *, patience_s: float = 20.0) -> float:
    """The process's CPU time once it stands still: what it accepted has been sent."""
    last, still = process.cpu_s(), 0
    deadline = time.monotonic() + patience_s
    while still < 4 and time.monotonic() < deadline:
        await asyncio.sleep(0.15)
        now = process.cpu_s()
        still = still + 1 if now - last < 0.011 else 0
        last = now
    return last


async def cpu_per_span_us(
    process: Process, case: Case, port: int, bodies: list[bytes], count: int
) -> float:
    """Microseconds of the process's CPU per span, everything from socket to socket."""
    before = await settled(process)
    await case.send(port, bodies, count, case.encoding)
    after = await settled(process)
    return (after - before) / (count * payload.SPANS_PER_REQUEST) * 1e6


def collector_config(case: Case, port: int, sink: int) -> str:
    compression = case.encoding or "none"
    text = case.receiver + OUT[case.exporter] + SERVICE
    return text.format(port=port, sink=sink, compression=compression, exporter=case.exporter)


async def compare(
    case: Case, plain: list[bytes], rounds: int, count: int, directory: pathlib.Path
) -> None:
    """Baseline and collector in turn; prints one row."""
    bodies = plain
    if case.encoding and case.send is load.http:
        bodies = [gzip.compress(body, 6) for body in plain]
    port = processes.free_port()
    base: list[float] = []
    ours: list[float] = []
    bare_kind = "bare-http" if case.baseline == "walk" else case.baseline
    with (
        processes.server(bare_kind, directory) as (bare, bare_port),
        processes.server(case.sink, directory) as (_, sink_port),
        processes.collector(collector_config(case, port, sink_port), port, directory) as collector,
    ):
        for process, at in ((bare, bare_port), (collector, port)):
            await cpu_per_span_us(process, case, at, bodies, 8)
        for _ in range(rounds):
            if case.baseline == "walk":
                base.append(walk_cpu_per_span_us(plain))
            else:
                base.append(await cpu_per_span_us(bare, case, bare_port, bodies, count))
            ours.append(await cpu_per_span_us(collector, case, port, bodies, count))
    ratio = statistics.median(a / b for a, b in zip(ours, base, strict=True))
    verdict = "ok" if ratio <= case.limit else "MISSED"
    print(
        f"{case.name:<20}{statistics.median(base):>9.1f} ({case.baseline:<9})"
        f"{statistics.median(ours):>9.1f}{ratio:>8.2f}{case.limit:>7.1f}  {verdict}",
        flush=True,
    )


async def idle_memory(example: str, directory: pathlib.Path) -> None:
    """Resident memory of a collector on the example configuration, doing nothing."""
    port, health = processes.free_port(), processes.free_port()
    for before, after in (
        ("localhost:4317", f"127.0.0.1:{processes.free_port()}"),
        ("localhost:4318", f"127.0.0.1:{port}"),
        ("localhost:8888", f"127.0.0.1:{processes.free_port()}"),
        ("localhost:13133", f"127.0.0.1:{health}"),
        ("./data/", f"{directory}/data/"),
    ):
        example = example.replace(f": {before}", f": {after}").replace(f'"{before}"', f'"{after}"')
    with processes.collector(example, port, directory) as collector:
        await settled(collector)
        await asyncio.sleep(2)
        print(f"idle RSS on config.example.yaml: {collector.rss_mib():.0f} MiB (limit 120)")


async def dead_destination(plain: list[bytes], directory: pathlib.Path) -> None:
    """A destination that is not there, a 64 MiB queue: memory and what clients are told."""
    case = CASES[0]
    port = processes.free_port()
    with processes.collector(
        collector_config(case, port, processes.free_port()), port, directory
    ) as collector:
        idle = collector.rss_mib()
        seen = await load.until_refused(port, plain, 50)
        first = collector.rss_mib()
        seen = {k: seen[k] + v for k, v in (await load.until_refused(port, plain, 200)).items()}
        print(
            f"dead destination, 64 MiB queue: idle {idle:.0f} MiB, full {first:.0f} MiB, after "
            f"200 more refusals {collector.rss_mib():.0f} MiB; {seen['accepted']} accepted, "
            f"{seen['refused']} refused with 503, {seen['with_retry_after']} of them with "
            f"Retry-After, {seen['other']} other"
        )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds of each comparison")
    parser.add_argument("--requests", type=int, default=40, help="requests of 512 spans a round")
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    args = parser.parse_args()
    plain = payload.requests(12)
    size = len(plain[0]) / payload.SPANS_PER_REQUEST
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {size:.0f} bytes a span, "
        f"modules {'interpreted' if events.__file__.endswith('.py') else 'compiled'}"
    )
    print(f"{'CPU us per span':<20}{'baseline':>21}{'ours':>9}{'ratio':>8}{'limit':>7}")
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        for case in CASES:
            if args.only in case.name:
                await compare(case, plain, args.rounds, args.requests, directory)
        for row in durable.ROWS:
            if args.only in row.name:
                await durable.Comparison(row, plain, args.requests, directory, settled)(args.rounds)
        conversion.run(args.only, args.rounds)
        if not args.only or args.only in "memory":
            await idle_memory(EXAMPLE.read_text(), directory)
            await dead_destination(plain, directory)


if __name__ == "__main__":
    asyncio.run(main())
