"""What a queue on disk costs: the collector with one against the collector without.

Both run side by side on the same requests, in turn, as in `bench.__main__`: CPU a span is compared.
Commits and waits for the disk (fsync, fdatasync) are counted from outside, by `strace`, in a round
of their own, because tracing costs CPU.
"""

from __future__ import annotations

import asyncio
import gzip
import pathlib
import re
import shutil
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from bench import load, payload, processes
from bench.processes import Process

LIMIT: Final = 2.5
_CONFIG: Final = """
receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:{port}' }} }} }} }}
exporters:
  otlp_http:
    endpoint: 'http://127.0.0.1:{sink}'
    compression: {compression}
    sending_queue: {{ queue_size: 64MiB{storage} }}
{extensions}
service:
  extensions: [{extension}]
  telemetry: {{ metrics: {{ level: none }}, logs: {{ level: warn }} }}
  pipelines:
    traces: {{ receivers: [otlp], exporters: [otlp_http] }}
"""
_CALL: Final = re.compile(r"\b(fsync|fdatasync)\(\d+<([^>]*)>")

_STRACE: Final = ("strace", "-D", "-f", "-qq", "-y", "-e", "trace=fsync,fdatasync")
Settled = Callable[[Process], Awaitable[float]]


class Syncs(NamedTuple):
    """Waits for the disk in one round."""

    commits: int
    """Of the log: one per commit that must be safe."""
    others: int
    """Of the file, when the log is carried over into it."""


def config(port: int, sink: int, encoding: str | None, storage: pathlib.Path | None) -> str:
    extension = f"extensions: {{ file_storage: {{ directory: '{storage}' }} }}"
    return _CONFIG.format(
        port=port,
        sink=sink,
        compression=encoding or "none",
        storage=", storage: file_storage" if storage else "",
        extensions=extension if storage else "",
        extension="file_storage" if storage else "",
    )


class Row(NamedTuple):
    name: str
    encoding: str | None


ROWS: Final = (Row("http durable", None), Row("http durable gzip", "gzip"))


class Comparison:
    """One row, measured when called."""

    def __init__(
        self, row: Row, plain: list[bytes], count: int, directory: pathlib.Path, settled: Settled
    ) -> None:
        self._row = row
        self._bodies = [gzip.compress(body, 6) for body in plain] if row.encoding else plain
        self._count = count
        self._directory = directory
        self._settled = settled
        self._cpu: dict[str, list[float]] = {"memory": [], "disk": []}
        self._rate: dict[str, list[float]] = {"memory": [], "disk": []}

    async def __call__(self, rounds: int) -> None:
        """Memory and disk in turn; prints the row and what it took."""
        ports = {kind: processes.free_port() for kind in self._cpu}
        with (
            processes.server("sink-http", self._directory) as (_, sink),
            self._collector("memory", ports["memory"], sink) as memory,
            self._collector("disk", ports["disk"], sink) as disk,
        ):
            for port in ports.values():
                await load.http(port, self._bodies, 8, self._row.encoding)
            for _ in range(rounds):
                for kind, process in (("memory", memory), ("disk", disk)):
                    await self._measure(kind, process, ports[kind])
        self._print(await self._syncs() if await asyncio.to_thread(traceable) else None)

    def _collector(
        self, kind: str, port: int, sink: int, prefix: Sequence[str] = ()
    ) -> AbstractContextManager[Process]:
        storage = None if kind == "memory" else self._directory / f"storage-{port}"
        text = config(port, sink, self._row.encoding, storage)
        return processes.collector(text, port, self._directory, prefix)

    async def _measure(self, kind: str, process: Process, port: int) -> None:
        before, began = await self._settled(process), time.monotonic()
        await load.http(port, self._bodies, self._count, self._row.encoding)
        took = time.monotonic() - began
        spans = self._count * payload.SPANS_PER_REQUEST
        self._cpu[kind].append((await self._settled(process) - before) / spans * 1e6)
        self._rate[kind].append(spans / took)

    async def _syncs(self) -> Syncs:
        """The waits for the disk of as many requests, as the kernel saw them."""
        port = processes.free_port()
        trace = self._directory / f"trace-{port}"
        with (
            processes.server("sink-http", self._directory) as (_, sink),
            self._collector("disk", port, sink, [*_STRACE, "-o", str(trace)]) as collector,
        ):
            before = seen(trace.read_text())
            await load.http(port, self._bodies, self._count, self._row.encoding)
            await self._settled(collector)
            after = seen(trace.read_text())
        return Syncs(after.commits - before.commits, after.others - before.others)

    def _print(self, syncs: Syncs | None) -> None:
        memory, disk = (statistics.median(values) for values in self._cpu.values())
        ratio = statistics.median(b / a for a, b in zip(*self._cpu.values(), strict=True))
        verdict = "ok" if ratio <= LIMIT else "MISSED"
        print(
            f"{self._row.name:<20}{memory:>9.1f} (memory   ){disk:>9.1f}{ratio:>8.2f}"
            f"{LIMIT:>7.1f}  {verdict}"
        )
        in_memory, on_disk = (statistics.median(values) for values in self._rate.values())
        waits = "commits not counted (strace does not work here)"
        if syncs:
            waits = (
                f"{self._count} requests in {syncs.commits} commits with a wait for the disk each, "
                f"and {syncs.others} more to carry the log over"
            )
        print(f"{'':<20}{on_disk:,.0f} spans/s (in memory {in_memory:,.0f}); {waits}", flush=True)


def traceable() -> bool:
    """Whether system calls can be seen here."""
    if shutil.which(_STRACE[0]) is None:
        return False
    probe = [*_STRACE, "-o", "/dev/null", "true"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def seen(trace: str) -> Syncs:
    """The waits in a trace."""
    kinds = Counter(path.endswith("-wal") for _, path in _CALL.findall(trace))
    return Syncs(kinds[True], kinds[False])
