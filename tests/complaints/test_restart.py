"""What an operator sees around a restart with a destination that is away: the real command, real
files, own metrics and the last lines."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import aiohttp
from aiohttp import web

from genai_collector.formats.otlp import CODEC
from genai_collector.model import Signal
from tests.support.builders import batch
from tests.support.running import Collector, Request, collector, free_port, http_sink

CONFIG = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
exporters:
  otlp_http:
    endpoint: http://127.0.0.1:{sink}
    sending_queue: {{storage: file_storage}}
    retry_on_failure: {{initial_interval: 20ms, max_interval: 50ms}}
extensions:
  file_storage: {{directory: {directory}}}
service:
  extensions: [file_storage]
  shutdown_timeout: 2s
  telemetry: {{metrics: {{address: "127.0.0.1:{metrics}"}}}}
  pipelines:
    traces: {{receivers: [otlp], exporters: [otlp_http]}}
"""
FINISHED = re.compile(
    r"Exporter finished.*accepted=(\d+)\s+sent=(\d+)\s+dropped=(\d+)\s+left=(\d+)"
)


class Destination:
    """Says "later" until it is back."""

    def __init__(self) -> None:
        self.back = False
        self.spans: list[bytes] = []

    def answer(self, request: Request) -> web.Response:
        if not self.back:
            return web.Response(status=503)
        self.spans += [one.span_id for one in CODEC.decode(Signal.TRACES, request.body)]  # type: ignore[union-attr]
        return web.Response()


async def _metric(client: aiohttp.ClientSession, port: int, name: str) -> float:
    async with client.get(f"http://127.0.0.1:{port}/metrics") as response:
        text = await response.text()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))


def _last_words(running: Collector) -> tuple[int, ...]:
    found = FINISHED.search("".join(running.log))
    assert found, "".join(running.log)
    return tuple(map(int, found.groups()))


async def test_the_queue_is_as_long_after_a_restart(tmp_path: Path) -> None:
    """otelcol_exporter_queue_size is the bytes on disk before and after a restart, and 0 when all
    is delivered; the last line of each life says what was accepted, sent, dropped and left."""
    destination = Destination()
    ports = {"port": free_port(), "metrics": free_port()}
    async with http_sink(destination.answer) as sink, aiohttp.ClientSession() as client:
        config = CONFIG.format(**ports, sink=sink.port, directory=tmp_path / "storage")
        async with collector(config, tmp_path) as first:
            body, kind = batch(20).encoded(), {"Content-Type": "application/x-protobuf"}
            url = f"http://127.0.0.1:{ports['port']}/v1/traces"
            async with client.post(url, data=body, headers=kind) as response:
                assert response.status == 200
            before = await _metric(client, ports["metrics"], "otelcol_exporter_queue_size{")
            capacity = await _metric(client, ports["metrics"], "otelcol_exporter_queue_capacity{")
            assert 0 < before < capacity
            assert await first.stop() == 0
        assert _last_words(first) == (20, 0, 0, 20)
        assert not sink.requests or not destination.spans

        async with collector(config, tmp_path) as second:
            after = await _metric(client, ports["metrics"], "otelcol_exporter_queue_size{")
            assert after == before
            destination.back = True
            while await _metric(client, ports["metrics"], "otelcol_exporter_queue_size{"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # another process
            assert await second.stop() == 0
    assert _last_words(second) == (20, 20, 0, 0)
    assert len(destination.spans) == len(set(destination.spans)) == 20
