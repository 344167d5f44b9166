"""The real command is reloaded while real clients send: over HTTP and gRPC, on connections that
stay and on new ones. What was acknowledged arrives; nobody is refused."""

from __future__ import annotations

import asyncio
import signal
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc
import pytest

from genai_collector.formats import otlp
from genai_collector.model import Signal
from tests.support.builders import span
from tests.support.running import Collector, Sink, collector, free_port, http_sink
from tests.test_end_to_end import accept

RELOADS = 24
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: "localhost:{grpc}", max_recv_msg_size_mib: {grpc_limit} }}
      http: {{ endpoint: "localhost:{http}", idle_timeout: {http_idle}s }}
processors:
  memory_limiter: {{}}
  resource: {{ attributes: [{{ key: reload, value: "{number}", action: upsert }}] }}
exporters:
  otlp_http:
    endpoint: "http://127.0.0.1:{sink}"
    compression: {compression}
    sending_queue: {{ storage: {storage} }}
extensions:
  file_storage: {{ directory: ./storage }}
  health_check: {{ endpoint: "127.0.0.1:{health}" }}
service:
  extensions: [health_check, file_storage]
  telemetry: {{ metrics: {{ address: "127.0.0.1:{metrics}" }} }}
  pipelines:
    traces: {{ receivers: [otlp], processors: [memory_limiter, resource], exporters: [otlp_http] }}
"""


RETRYABLE = {
    "http 503",
    "http ServerDisconnectedError",
    "http ClientOSError",
    "grpc UNAVAILABLE",
    "grpc CANCELLED",
    "grpc DEADLINE_EXCEEDED",  # rare: a connection that the old server had taken and never served
}
"""What a client may see when a listener itself has changed; all of it means: send again."""


@dataclass
class Sent:
    """What clients were told."""

    acknowledged: set[int] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    number: int = 0

    def request(self) -> tuple[int, bytes]:
        """A span that carries its number in its id, as an OTLP request."""
        self.number += 1
        one = span(number=self.number)
        one.span_id = struct.pack(">Q", self.number)
        return self.number, otlp.encode(Signal.TRACES, [one])


async def post(session: aiohttp.ClientSession, port: int, sent: Sent) -> None:
    number, body = sent.request()
    headers = {"Content-Type": "application/x-protobuf"}
    try:
        async with session.post(
            f"http://localhost:{port}/v1/traces", data=body, headers=headers
        ) as response:
            await response.read()
            answer = f"http {response.status}"
    except aiohttp.ClientError as exc:
        answer = f"http {type(exc).__name__}"
    sent.answers[answer] += 1
    if answer == "http 200":
        sent.acknowledged.add(number)


async def keep_posting(port: int, sent: Sent, done: asyncio.Event) -> None:
    async with aiohttp.ClientSession() as session:
        while not done.is_set():
            await post(session, port, sent)


async def keep_connecting(port: int, sent: Sent, done: asyncio.Event) -> None:
    while not done.is_set():
        async with aiohttp.ClientSession() as session:
            await post(session, port, sent)


async def call(channel: grpc.aio.Channel, sent: Sent) -> None:
    number, body = sent.request()
    try:
        await channel.unary_unary(EXPORT)(body, timeout=20)
    except grpc.aio.AioRpcError as exc:
        answer = f"grpc {exc.code().name}"
    else:
        answer = "grpc OK"
        sent.acknowledged.add(number)
    sent.answers[answer] += 1


async def keep_calling(port: int, sent: Sent, done: asyncio.Event) -> None:
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        while not done.is_set():
            await call(channel, sent)


async def keep_dialling(port: int, sent: Sent, done: asyncio.Event) -> None:
    while not done.is_set():
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"localhost:{port}", options=options) as channel:
            await call(channel, sent)


async def watch_health(port: int, seen: Counter[str], done: asyncio.Event) -> None:
    async with aiohttp.ClientSession() as session:
        while not done.is_set():
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                seen[f"health {response.status}"] += 1
            await asyncio.sleep(0.005)


async def said(running: Collector, text: str, times: int) -> None:
    """Wait until the log has said it so often."""
    async with asyncio.timeout(30):
        while sum(text in line for line in running.log) < times:
            assert running.process.returncode is None, "".join(running.log)
            await asyncio.sleep(0.01)


@dataclass
class World:
    running: Collector
    sink: Sink
    ports: dict[str, int]
    config: Path

    def write(self, number: int, **changed: object) -> None:
        self.config.write_text(config(self.sink.port, self.ports, number, **changed))

    def arrived(self) -> Counter[int]:
        return Counter(
            int.from_bytes(one.span_id, "big")
            for body in self.sink.bodies("/v1/traces")
            for one in otlp.batch_from_protobuf(Signal.TRACES, body).view_spans()
        )

    async def until_arrived(self, numbers: set[int]) -> None:
        """Wait until all of them have."""
        async with asyncio.timeout(30):
            while not numbers <= self.arrived().keys():  # noqa: ASYNC110  another process
                await asyncio.sleep(0.05)

    async def metric(self, name: str) -> dict[str, float]:
        url = f"http://127.0.0.1:{self.ports['metrics']}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            lines = (await response.text()).splitlines()
        return {
            labels: float(value)
            for labels, _, value in (line.rpartition(" ") for line in lines)
            if labels.partition("{")[0] == name
        }


def config(sink: int, ports: dict[str, int], number: int, **changed: object) -> str:
    values = {
        "grpc_limit": 64, "http_idle": 120, "compression": "none", "storage": "null", **changed
    }  # fmt: skip
    return CONFIG.format(sink=sink, number=number, **ports, **values)


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    async with http_sink(accept) as sink:
        ports = {name: free_port() for name in ("grpc", "http", "health", "metrics")}
        async with collector(config(sink.port, ports, 0), directory) as running:
            yield World(running, sink, ports, directory / "collector.yaml")


CHANGES: dict[str, Callable[[int], dict[str, object]]] = {
    "processors": lambda _: {},
    "exporters": lambda number: {"compression": ("none", "gzip")[number % 2]},
    "queues_on_disk": lambda number: {
        "compression": ("none", "gzip")[number % 2],
        "storage": "file_storage",
    },
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
async def test_nobody_notices(changes: Callable[[int], dict[str, object]], tmp_path: Path) -> None:
    """Every request is taken, all that is taken arrives, health stays 200, metrics go on."""
    sent, done = Sent(), asyncio.Event()
    async with world(tmp_path) as here:
        http, rpc = here.ports["http"], here.ports["grpc"]
        clients = [
            *(asyncio.create_task(keep_posting(http, sent, done)) for _ in range(2)),
            *(asyncio.create_task(keep_calling(rpc, sent, done)) for _ in range(2)),
            asyncio.create_task(keep_connecting(http, sent, done)),
            asyncio.create_task(keep_dialling(rpc, sent, done)),
            asyncio.create_task(watch_health(here.ports["health"], sent.answers, done)),
        ]
        for number in range(1, RELOADS + 1):
            here.write(number, **changes(number))
            here.running.process.send_signal(signal.SIGHUP)
            await said(here.running, "The new configuration is in use", number)
        done.set()
        await asyncio.gather(*clients)
        accepted = await here.metric("otelcol_receiver_accepted_spans")
        reloads = await here.metric("otelcol_config_reloads")
        # A queue on disk would keep what is waiting now for the next start.
        await here.until_arrived(sent.acknowledged)
        assert await here.running.stop() == 0
    said_all = "".join(here.running.log[-40:])
    assert set(sent.answers) == {"http 200", "grpc OK", "health 200"}, (sent.answers, said_all)
    # An old queue on disk is left as it is: what was being sent then may be sent again.
    assert here.arrived().keys() == sent.acknowledged
    if "storage" not in changes(1):
        assert set(here.arrived().values()) == {1}
    assert sum(accepted.values()) == len(sent.acknowledged) > RELOADS * 4
    assert reloads == {'otelcol_config_reloads{result="success"}': RELOADS}
    log = "".join(here.running.log)
    assert "Traceback" not in log
    assert log.count("The configuration before has finished.") == RELOADS


async def test_changed_listeners(tmp_path: Path) -> None:
    """With other settings of the listeners the connections of the old ones end. Whoever was not
    answered is told, or sees, to send again; nothing acknowledged is lost."""
    sent, done = Sent(), asyncio.Event()
    async with world(tmp_path) as here:
        http, rpc = here.ports["http"], here.ports["grpc"]
        clients = [
            *(asyncio.create_task(keep_posting(http, sent, done)) for _ in range(2)),
            *(asyncio.create_task(keep_calling(rpc, sent, done)) for _ in range(2)),
            asyncio.create_task(keep_connecting(http, sent, done)),
            asyncio.create_task(keep_dialling(rpc, sent, done)),
        ]
        for number in range(1, RELOADS // 3 + 1):
            here.write(number, grpc_limit=64 + number, http_idle=120 + number)
            here.running.process.send_signal(signal.SIGHUP)
            await said(here.running, "The new configuration is in use", number)
        done.set()
        await asyncio.gather(*clients)
        assert await here.running.stop() == 0
    assert here.arrived().keys() >= sent.acknowledged
    assert set(sent.answers) - RETRYABLE == {"http 200", "grpc OK"}
