"""The whole way: a real OpenLIT app, only its endpoint set, and every exporter checked.

The app is examples/openlit: chat, streamed chat, tool call, embedding and a call that fails, made
by the real OpenAI client against a fake OpenAI server. The collector is the real command.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from genai_collector.formats import otlp
from genai_collector.model import LogRecord, Metric, Signal, Span
from tests.support.captures import FIXTURES, ROOT
from tests.support.running import (
    Collector,
    Request,
    Sink,
    collector,
    free_port,
    grpc_sink,
    http_sink,
    run_app,
)

APP = ROOT / "examples" / "openlit" / "app.py"
PYTHON = ROOT / ".venvs" / "openlit" / "bin" / "python"
ANSWER = "A collector receives telemetry, understands it, and passes it on without losing any."

CONFIG = """
receivers:
  otlp:
    protocols:
      grpc: {{ endpoint: "127.0.0.1:{grpc}" }}
      http: {{ endpoint: "127.0.0.1:{http}" }}
processors:
  memory_limiter: {{}}
  normalize: {{}}
exporters:
  debug: {{}}
  otlp_http: {{ endpoint: "http://127.0.0.1:{otlp_http}", compression: gzip }}
  otlp_grpc: {{ endpoint: "127.0.0.1:{otlp_grpc}", tls: {{ insecure: true }} }}
  langfuse:
    endpoint: http://127.0.0.1:{langfuse}
    public_key: pk-test
    secret_key: sk-test
  noveum: {{ endpoint: "http://127.0.0.1:{noveum}/v1/logs/noveum", api_key: nv-test }}
  file/json: {{ path: "{directory}/out.jsonl", format: otlp_json }}
  file/proto: {{ path: "{directory}/{{signal}}.pb", format: otlp_proto }}
  file/langfuse: {{ path: "{directory}/langfuse.jsonl", format: langfuse }}
  file/noveum: {{ path: "{directory}/noveum.jsonl", format: noveum }}
extensions:
  health_check: {{ endpoint: "127.0.0.1:{health}" }}
service:
  extensions: [health_check]
  telemetry: {{ metrics: {{ address: "127.0.0.1:{metrics}" }} }}
  pipelines:
    traces:
      receivers: [otlp]
      processors: [memory_limiter, normalize]
      exporters: [debug, otlp_http, otlp_grpc, langfuse, noveum, file/json, file/proto,
                  file/langfuse, file/noveum]
    metrics:
      receivers: [otlp]
      processors: [memory_limiter]
      exporters: [debug, otlp_http, otlp_grpc, file/json, file/proto, file/noveum]
    logs:
      receivers: [otlp]
      processors: [memory_limiter]
      exporters: [debug, otlp_http, otlp_grpc, file/json, file/proto, file/noveum]
"""


@dataclass
class World:
    """A running collector with a sink behind every network exporter."""

    running: Collector
    directory: Path
    http: int
    grpc: int
    metrics: int
    otlp_http: Sink
    otlp_grpc: Sink
    langfuse: Sink
    noveum: Sink

    def lines(self, name: str) -> list[Any]:
        return [json.loads(line) for line in (self.directory / name).read_text().splitlines()]


def accept(_request: Request) -> web.Response:
    return web.Response(status=200, content_type="application/x-protobuf")


def accept_langfuse(request: Request) -> web.Response:
    """207 with one success per event, as the real server answers."""
    ids = [event["id"] for event in json.loads(request.body)["batch"]]
    body = {"successes": [{"id": event, "status": 201} for event in ids], "errors": []}
    return web.json_response(body, status=207)


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        sinks = {
            "otlp_http": await stack.enter_async_context(http_sink(accept)),
            "otlp_grpc": await stack.enter_async_context(grpc_sink()),
            "langfuse": await stack.enter_async_context(http_sink(accept_langfuse)),
            "noveum": await stack.enter_async_context(http_sink(lambda _: web.json_response({}))),
        }
        ports = {name: free_port() for name in ("http", "grpc", "metrics", "health")}
        config = CONFIG.format(
            directory=directory, **ports, **{name: sink.port for name, sink in sinks.items()}
        )
        running = await stack.enter_async_context(collector(config, directory))
        yield World(running, directory, ports["http"], ports["grpc"], ports["metrics"], **sinks)


def spans_in(bodies: list[bytes]) -> list[Span]:
    return [
        span
        for body in bodies
        for span in otlp.batch_from_protobuf(Signal.TRACES, body).view_spans()
    ]


def metrics_in(bodies: list[bytes]) -> list[Metric]:
    batches = [otlp.batch_from_protobuf(Signal.METRICS, body) for body in bodies]
    return [metric for batch in batches for metric in batch.view_metrics()]


def logs_in(bodies: list[bytes]) -> list[LogRecord]:
    batches = [otlp.batch_from_protobuf(Signal.LOGS, body) for body in bodies]
    return [record for batch in batches for record in batch.view_logs()]


def genai(spans: list[Span]) -> list[Span]:
    """The five calls, in order."""
    calls = [span for span in spans if "gen_ai.operation.name" in span.attributes]
    return sorted(calls, key=lambda span: span.start_ns)


def summary(span: Span) -> dict[str, Any]:
    keys = {
        "operation": "gen_ai.operation.name",
        "provider": "gen_ai.provider.name",
        "asked": "gen_ai.request.model",
        "answered": "gen_ai.response.model",
        "input": "gen_ai.usage.input_tokens",
        "cached": "gen_ai.usage.cache_read.input_tokens",
        "output": "gen_ai.usage.output_tokens",
        "cost": "gen_ai.usage.cost",
        "stream": "gen_ai.request.stream",
    }
    return {name: span.attributes.get(key) for name, key in keys.items()}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_openlit_app_arrives_everywhere(protocol: str, tmp_path: Path) -> None:
    """What the real SDK sends leaves through every exporter, field by field."""
    async with world(tmp_path) as here:
        port = here.grpc if protocol == "grpc" else here.http
        printed = await run_app(
            APP,
            PYTHON,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
            **({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"} if protocol == "grpc" else {}),
        )
        assert "error" in printed
        assert await here.running.stop() == 0
    check_otlp(here)
    check_langfuse(here)
    check_noveum(here)
    check_log(here)


def check_otlp(here: World) -> None:
    method = "/opentelemetry.proto.collector.{0}.v1.{1}Service/Export"
    over_http = spans_in(here.otlp_http.bodies("/v1/traces"))
    over_grpc = spans_in(here.otlp_grpc.bodies(method.format("trace", "Trace")))
    assert {s.span_id for s in over_http} == {s.span_id for s in over_grpc}
    assert len(over_http) == 10  # five calls, each with the HTTP request below it

    calls = genai(over_http)
    price = 42 * 0.00015 / 1000
    assert [summary(span)["operation"] for span in calls] == [
        "chat", "chat", "chat", "embeddings", "chat",
    ]  # fmt: skip
    first = summary(calls[0])
    assert first.pop("cost") > price * 0.5
    assert first == {
        "operation": "chat", "provider": "openai", "asked": "gpt-4o-mini",
        "answered": "gpt-4o-mini-2024-07-18", "input": 42, "cached": 16, "output": 17,
        "stream": False,
    }  # fmt: skip
    assert summary(calls[1])["stream"] is True
    assert summary(calls[3])["asked"] == "text-embedding-3-small"
    assert calls[4].status_code == 2
    assert calls[4].attributes["error.type"] == "NotFoundError"

    for sink_bodies in (
        here.otlp_http.bodies("/v1/metrics"),
        here.otlp_grpc.bodies(method.format("metrics", "Metrics")),
    ):
        names = {metric.name for metric in metrics_in(sink_bodies)}
        assert {"gen_ai.client.token.usage", "gen_ai.client.operation.duration"} <= names
    for sink_bodies in (
        here.otlp_http.bodies("/v1/logs"),
        here.otlp_grpc.bodies(method.format("logs", "Logs")),
    ):
        events = {record.event_name for record in logs_in(sink_bodies)}
        assert "gen_ai.client.inference.operation.details" in events

    written = here.lines("out.jsonl")
    from_json = [
        span
        for line in written
        if "resourceSpans" in line
        for span in otlp.decode_json(Signal.TRACES, json.dumps(line).encode()).items
    ]
    assert {s.span_id for s in from_json if isinstance(s, Span)} == {s.span_id for s in over_http}
    assert any("resourceMetrics" in line for line in written)
    assert any("resourceLogs" in line for line in written)
    assert (here.directory / "traces.pb").stat().st_size > 5_000


def check_langfuse(here: World) -> None:
    request = here.langfuse.requests[0]
    key = base64.b64encode(b"pk-test:sk-test").decode()
    assert request.path == "/api/public/ingestion"
    assert request.headers["Authorization"] == f"Basic {key}"

    events = [e for body in here.langfuse.requests for e in json.loads(body.body)["batch"]]
    assert len({event["id"] for event in events}) == len(events)
    bodies = [e["body"] for e in events if e["type"] == "generation-create"]
    chats = sorted(bodies, key=lambda body: str(body["startTime"]))
    assert len(chats) == 4

    chat = chats[0]
    assert chat["name"] == "chat gpt-4o-mini"
    assert chat["model"] == "gpt-4o-mini-2024-07-18"
    assert chat["usageDetails"]["input"] == 26  # Langfuse's buckets exclude the 16 cached ones
    assert chat["usageDetails"]["input_cached_tokens"] == 16
    assert chat["usageDetails"]["output"] == 17
    assert chat["costDetails"]["total"] > 0
    assert chat["level"] == "DEFAULT"
    assert str(chat["modelParameters"]["temperature"]) == "0.3"
    assert "What is a collector?" in json.dumps(chat["input"])
    assert ANSWER in json.dumps(chat["output"])
    assert "get_weather" in json.dumps(chats[2]["output"])
    assert chats[3]["level"] == "ERROR"
    assert "does not exist" in chats[3]["statusMessage"]

    embeddings = [e["body"] for e in events if e["type"] == "embedding-create"]
    assert [body["model"] for body in embeddings] == ["text-embedding-3-small"]
    assert embeddings[0]["usageDetails"]["input"] == 8
    traces = {e["body"]["id"] for e in events if e["type"] == "trace-create"}
    assert {body["traceId"] for body in chats} <= traces

    in_file = [event for line in here.lines("langfuse.jsonl") for event in line["batch"]]
    assert {event["id"] for event in in_file} == {event["id"] for event in events}


def check_noveum(here: World) -> None:
    assert here.noveum.requests[0].headers["Authorization"] == "Bearer nv-test"
    records = [record for request in here.noveum.requests for record in json.loads(request.body)]
    calls = sorted(
        (r for r in records if r["name"] == "ai_gateway_request_log"), key=lambda r: r["timestamp"]
    )
    assert len(calls) == 5
    attributes = calls[0]["attributes"]
    assert attributes["provider"] == "openai"
    assert attributes["model"] == "gpt-4o-mini-2024-07-18"
    assert attributes["request"]["model"] == "gpt-4o-mini"
    assert {"role": "user", "content": "What is a collector?"} in attributes["request"]["messages"]
    assert attributes["response"]["choices"][0]["message"]["content"] == ANSWER
    assert attributes["metadata"]["tokens"] == {"input": 42, "output": 17, "total": 59}
    assert attributes["metadata"]["cost"] > 0
    assert calls[0]["resource"]["service.name"] == "openlit-example"
    failed = [r for r in calls if r["attributes"]["metadata"]["status"] == "error"]
    assert len(failed) == 1
    in_file = {line["attributes"]["id"] for line in here.lines("noveum.jsonl") if line["name"] == "ai_gateway_request_log"}  # fmt: skip  # noqa: E501
    assert in_file == {r["attributes"]["id"] for r in calls}


def check_log(here: World) -> None:
    """One readable line per call, and the closing lines name every exporter."""
    text = "".join(here.running.log)
    assert text.count("gpt-4o-mini-2024-07-18") >= 3
    for exporter in ("otlp_http", "otlp_grpc", "langfuse", "noveum", "file/json"):
        assert any(exporter in line and "sent" in line for line in here.running.log[-30:]), text
    assert "Traceback" not in text


async def test_seed_dump_arrives(tmp_path: Path) -> None:
    """The OpenLIT 1.34 span and metrics that the project began with come out converted."""
    import aiohttp  # only this test is itself a client

    seed = FIXTURES / "openlit_seed"
    async with world(tmp_path) as here, aiohttp.ClientSession() as session:
        for signal in ("traces", "metrics"):
            async with session.post(
                f"http://127.0.0.1:{here.http}/v1/{signal}",
                data=(seed / f"{signal}.pb").read_bytes(),
                headers={"content-type": "application/x-protobuf"},
            ) as response:
                assert response.status == 200, await response.text()
        assert await here.running.stop() == 0
    (span,) = genai(spans_in(here.otlp_http.bodies("/v1/traces")))
    assert span.attributes["gen_ai.provider.name"] == "openai"
    assert span.attributes["gen_ai.usage.input_tokens"] == 14
    assert span.attributes["gen_ai.usage.output_tokens"] == 356
    assert "What is LLM Observability?" in str(span.attributes["gen_ai.input.messages"])
    names = {metric.name for metric in metrics_in(here.otlp_http.bodies("/v1/metrics"))}
    assert {"gen_ai.client.token.usage", "gen_ai.usage.cost", "gen_ai.total.requests"} <= names

    events = [e for line in here.lines("langfuse.jsonl") for e in line["batch"]]
    (generation,) = [e["body"] for e in events if e["type"] == "generation-create"]
    assert generation["model"] == "gpt-4o-2024-08-06"
    assert generation["usageDetails"] == {"input": 14, "output": 356, "total": 370}
    (record,) = [r for r in here.lines("noveum.jsonl") if r["name"] == "ai_gateway_request_log"]
    assert record["attributes"]["metadata"]["tokens"] == {"input": 14, "output": 356, "total": 370}
    points = [r for r in here.lines("noveum.jsonl") if r["name"] == "otel_metric"]
    assert len(points) >= 5
