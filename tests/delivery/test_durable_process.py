"""The real command with a queue on disk: what it answered 200 for outlives it."""

from __future__ import annotations

import signal
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from genai_collector.formats import otlp
from genai_collector.model import Signal, Span
from tests.support.running import Request, Sink, collector, free_port, http_sink

CONFIG = """
receivers:
  otlp:
    protocols: {{ http: {{ endpoint: "127.0.0.1:{http}" }} }}
exporters:
  otlp_http:
    endpoint: http://127.0.0.1:{sink}
    sending_queue: {{ storage: file_storage }}
extensions:
  file_storage: {{ directory: "{directory}/storage" }}
service:
  extensions: [file_storage]
  shutdown_timeout: 5s
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces: {{ receivers: [otlp], exporters: [otlp_http] }}
"""


def _spans(sink: Sink) -> set[str]:
    return {
        span.name
        for body in sink.bodies("/v1/traces")
        for span in otlp.decode(Signal.TRACES, body)
        if isinstance(span, Span)
    }


async def _send(port: int, name: str) -> int:
    body = otlp.encode(
        Signal.TRACES, [Span(name=name, trace_id=bytes(15) + b"\1", span_id=b"12345678")]
    )
    headers = {"content-type": "application/x-protobuf"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}/v1/traces", data=body, headers=headers) as answer,
    ):
        return answer.status


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_the_next_life_delivers(tmp_path: Path, end: signal.Signals) -> None:
    """A destination that is away while spans come; the collector ends, in order or killed; the next
    one delivers every span that was answered with 200, and says how many it found."""
    up = False

    def answer(_request: Request) -> web.Response:
        return web.Response(status=200 if up else 503)

    async with http_sink(answer) as sink:
        port = free_port()
        config = CONFIG.format(http=port, sink=sink.port, directory=tmp_path)
        async with collector(config, tmp_path) as first:
            sent = {f"span {n}" for n in range(20)}
            assert {await _send(port, name) for name in sent} == {200}
            await first.stop(end)
            log = "".join(first.log)
            if end is signal.SIGTERM:
                assert "Items stay on disk for the next start." in log
                assert "dropped=0 left=20" in log
        up = True
        sink.requests.clear()
        async with collector(config, tmp_path) as second:
            assert await _send(port, "late") == 200
            for _ in range(200):
                if _spans(sink) >= sent | {"late"}:
                    break
                assert await _send(port, "late") == 200
            assert _spans(sink) == sent | {"late"}
            await second.stop()
            assert "Items from before are on disk" in "".join(second.log)
            assert "items=20" in "".join(second.log)
