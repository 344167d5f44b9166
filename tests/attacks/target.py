"""The collector under attack: all receivers open, small limits in time, and what it costs."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from genai_collector.model import Signal
from tests.receivers.harness import protobuf_request
from tests.support.running import Collector, collector, free_port

MIB: Final = 1024 * 1024
MAX_CONNECTIONS: Final = 100
MAX_IN_FLIGHT_MIB: Final = 128
MAX_GRPC_CALLS: Final = 64
HEADER_S: Final = 1
BODY_S: Final = 2
IDLE_S: Final = 3

TRACES: Final = "/v1/traces"
INGESTION: Final = "/api/public/ingestion"
SCORES: Final = "/api/public/scores"
LANGFUSE_TRACES: Final = "/api/public/otel/v1/traces"
LITELLM: Final = "/litellm"
NOVEUM_LOGS: Final = "/v1/logs/noveum"
NOVEUM_DOCUMENT: Final = "/ai-gateway-metrics/_doc"
JSON_ROUTES: Final = (
    TRACES, INGESTION, SCORES, LANGFUSE_TRACES, LITELLM, NOVEUM_LOGS, NOVEUM_DOCUMENT,
)  # fmt: skip
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_CONFIG: Final = f"""
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:{{grpc}}
        read_timeout: {BODY_S}s
        max_concurrent_requests: {MAX_GRPC_CALLS}
        max_connections: {MAX_CONNECTIONS}
      http: &http
        endpoint: 127.0.0.1:{{http}}
        read_timeout: {BODY_S}s
        read_header_timeout: {HEADER_S}s
        idle_timeout: {IDLE_S}s
        write_timeout: 1s
        max_connections: {MAX_CONNECTIONS}
        max_in_flight_body_size: {MAX_IN_FLIGHT_MIB}MiB
  langfuse: {{{{ <<: *http }}}}
  litellm: {{{{ <<: *http }}}}
  noveum: {{{{ <<: *http, elasticsearch: {{{{}}}} }}}}
processors:
  memory_limiter: {{{{ limit_mib: 2000 }}}}
exporters:
  debug: {{{{ verbosity: basic, sending_queue: {{{{ enabled: false }}}} }}}}
service:
  telemetry: {{{{ metrics: {{{{ level: none }}}} }}}}
  pipelines:
    traces: {{{{ receivers: [otlp, langfuse, litellm, noveum], processors: [memory_limiter], exporters: [debug] }}}}
    metrics: {{{{ receivers: [otlp], processors: [memory_limiter], exporters: [debug] }}}}
    logs: {{{{ receivers: [otlp], processors: [memory_limiter], exporters: [debug] }}}}
"""  # noqa: E501


@dataclass
class Target:
    """A running collector."""

    process: Collector
    http_port: int
    grpc_port: int

    def url(self, path: str = TRACES) -> str:
        return f"http://127.0.0.1:{self.http_port}{path}"

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def memory_mib(self, what: str) -> float:
        """`VmRSS` (now) or `VmHWM` (the most since `forget_peak`)."""
        status = Path(f"/proc/{self.process.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(what))
        return int(line.split()[1]) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.process.pid}/clear_refs").write_text("5")

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.process.pid}/fd").iterdir()))


@asynccontextmanager
async def target(directory: Path) -> AsyncIterator[Target]:
    """A fresh collector with every receiver."""
    http, grpc = free_port(), free_port()
    async with collector(_CONFIG.format(http=http, grpc=grpc), directory) as process:
        yield Target(process, http, grpc)


@dataclass
class GoodClient:
    """Sends a small request on a connection of its own, again and again."""

    target: Target
    answers: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0

    async def one(self) -> None:
        began = time.monotonic()
        body = protobuf_request(Signal.TRACES)
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(20)) as session,
                session.post(
                    self.target.url(), data=body, headers={"Content-Type": PROTOBUF}
                ) as response,
            ):
                await response.read()
                self.answers[str(response.status)] += 1
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            self.answers[type(exc).__name__] += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    async def run(self) -> None:
        while True:
            await self.one()
            await asyncio.sleep(0.02)


@asynccontextmanager
async def good_client(target: Target) -> AsyncIterator[GoodClient]:
    """Somebody who must be served meanwhile, and at least once afterwards."""
    client = GoodClient(target)
    running = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    await client.one()


_COUNTED: Final = re.compile(r"(.+) \((\d+)\)")


def parts(answer: str) -> Counter[str]:
    """What `told` was given."""
    counts: Counter[str] = Counter()
    for part in answer.split(", "):
        found = _COUNTED.fullmatch(part)
        counts[found[1] if found else part] += int(found[2]) if found else 1
    return counts


def told(answers: Iterable[str]) -> str:
    """`413, 503 (7)`: the different answers, most frequent last. Answers may be so already."""
    counts: Counter[str] = Counter()
    for answer in answers:
        counts += parts(answer)
    pairs = sorted(counts.items(), key=lambda pair: (pair[1], pair[0]))
    return ", ".join(name if count == 1 else f"{name} ({count})" for name, count in pairs)
