"""The whole way of a number: spans in over OTLP, scraped by Prometheus, and sent at shutdown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp

from genai_collector import __version__
from genai_collector.formats import otlp
from genai_collector.model import Attributes, Histogram, Metric, Signal, Span
from tests.support.builders import span
from tests.support.running import collector, free_port

CONFIG = """
receivers:
  otlp:
    protocols:
      http: {{ endpoint: "127.0.0.1:{http}" }}
processors:
  stitch: {{}}
connectors:
  forward:
  genai_metrics: {{ flush_interval: {interval}, dimensions: [user.id] }}
exporters:
  file: {{ path: "{directory}/{{signal}}.jsonl" }}
  prometheus: {{ endpoint: "127.0.0.1:{prometheus}", namespace: llm }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces/in: {{ receivers: [otlp], processors: [stitch], exporters: [forward] }}
    traces/out: {{ receivers: [forward], exporters: [file, genai_metrics] }}
    metrics: {{ receivers: [genai_metrics], exporters: [prometheus, file] }}
"""

CALL: Attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 42,
    "gen_ai.usage.output_tokens": 17,
    "gen_ai.usage.cost": 0.002,
}
LABELS = (
    'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o-mini"'
)


def _agent_run() -> list[Span]:
    """An agent that says who asks and repeats the tokens of its two calls."""
    agent = {
        **CALL,
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.usage.input_tokens": 84,
        "gen_ai.usage.output_tokens": 34,
        "gen_ai.usage.cost": 0.004,
        "user.id": "ada",
    }
    return [span(dict(CALL), number=1), span(dict(CALL), number=2), span(agent, number=3)]


async def _send(session: aiohttp.ClientSession, port: int) -> None:
    body = otlp.encode(Signal.TRACES, _agent_run())
    headers = {"Content-Type": "application/x-protobuf"}
    url = f"http://127.0.0.1:{port}/v1/traces"
    async with session.post(url, data=body, headers=headers) as answer:
        assert answer.status == 200


async def _scraped(session: aiohttp.ClientSession, port: int, wanted: str) -> list[str]:
    """Scrape until a line is there."""
    async with asyncio.timeout(20):
        while True:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            if wanted in lines:
                return lines
            await asyncio.sleep(0.05)


def _line(name: str, own: str, value: str) -> str:
    """A sample of the calls, with the labels that they all have."""
    own = f"{own}," if own else ""
    scope = f'otel_scope_name="genai_collector.genai_metrics",otel_scope_version="{__version__}"'
    return f'{name}{{{LABELS},{own}job="test-app",{scope},user_id="ada"}} {value}'


async def test_scraped(tmp_path: Path) -> None:
    """Two runs of an agent with two calls each: four calls are counted, by the user whom only the
    agent's span names; what the agent repeats is not."""
    ports = {"http": free_port(), "prometheus": free_port()}
    config = CONFIG.format(directory=tmp_path, interval="100ms", **ports)
    async with collector(config, tmp_path) as running, aiohttp.ClientSession() as session:
        for _ in range(2):
            await _send(session, ports["http"])
        wanted = [
            _line("llm_gen_ai_client_token_usage_sum", 'gen_ai_token_type="input"', "168.0"),
            _line("llm_gen_ai_client_token_usage_sum", 'gen_ai_token_type="output"', "68.0"),
            _line("llm_gen_ai_client_operation_duration_seconds_count", "", "4"),
            _line("llm_gen_ai_usage_cost_USD_sum", "", "0.008"),
        ]
        lines = await _scraped(session, ports["prometheus"], wanted[0])
        assert [line for line in wanted if line not in lines] == []
        assert "# TYPE llm_gen_ai_client_token_usage histogram" in lines
        assert await running.stop() == 0


async def test_sent_at_shutdown(tmp_path: Path) -> None:
    """What was counted since the last flush is sent when the collector stops, before the queues
    drain: it is in the file, with the spans that it was made of."""
    ports = {"http": free_port(), "prometheus": free_port()}
    config = CONFIG.format(directory=tmp_path, interval="1h", **ports)
    async with collector(config, tmp_path) as running, aiohttp.ClientSession() as session:
        await _send(session, ports["http"])
        assert await running.stop() == 0

    (metrics,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    decoded = otlp.decode_json(Signal.METRICS, metrics.encode()).items
    sums = {
        (metric.name, point.attributes.get("gen_ai.token.type")): point.sum
        for metric in decoded
        if isinstance(metric, Metric) and isinstance(metric.data, Histogram)
        for point in metric.data.points
    }
    assert sums["gen_ai.client.token.usage", "input"] == 84
    assert sums["gen_ai.client.token.usage", "output"] == 34
    (traces,) = (tmp_path / "traces.jsonl").read_text().splitlines()
    spans = otlp.decode_json(Signal.TRACES, traces.encode()).items
    assert [one.attributes["user.id"] for one in spans if isinstance(one, Span)] == ["ada"] * 3
