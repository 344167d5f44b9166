"""A running collector with every receiver on one port, and what left it in every format.

The clients are real packages, each in an environment of its own (`make test-clients`). Their
scripts are ordinary apps that say nothing of the collector; only their environment does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from genai_collector.formats import otlp
from genai_collector.model import LogRecord, Signal, Span
from tests.support.captures import ROOT
from tests.support.running import Collector, Request, Sink, collector, free_port, http_sink, run_app

SCRIPTS = Path(__file__).with_name("scripts")
ENVIRONMENTS = ROOT / ".venvs" / "clients"
ANSWER = "A collector receives telemetry, understands it, and passes it on without losing any."
QUESTION = "What is a collector?"
KEYS = {"LANGFUSE_PUBLIC_KEY": "pk-lf-1", "LANGFUSE_SECRET_KEY": "sk-lf-1"}

CONFIG = """
receivers:
  otlp: {{ protocols: {{ http: {{ endpoint: "127.0.0.1:{port}" }} }} }}
  langfuse:
    endpoint: "127.0.0.1:{port}"
    projects: [{{ name: web, public_key: pk-lf-1, secret_key: sk-lf-1 }}]
  litellm: {{ endpoint: "127.0.0.1:{port}" }}
  noveum: {{ endpoint: "127.0.0.1:{port}", api_keys: [nv-1] }}
processors:
  normalize: {{}}
exporters:
  file/otlp: {{ path: "{directory}/otlp.jsonl", format: otlp_json }}
  file/langfuse: {{ path: "{directory}/langfuse.jsonl", format: langfuse }}
  file/noveum: {{ path: "{directory}/noveum.jsonl", format: noveum }}
  file/litellm: {{ path: "{directory}/litellm.jsonl", format: litellm }}
  langfuse:
    endpoint: "http://127.0.0.1:{langfuse}"
    public_key: pk-out
    secret_key: sk-out
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces:
      receivers: [{otlp}, langfuse, litellm, noveum]
      processors: [normalize]
      exporters: [file/otlp, file/langfuse, file/noveum, file/litellm, langfuse]
    logs:
      receivers: [{otlp}, langfuse]
      exporters: [file/otlp, langfuse]
{further}"""
EVENTS = """
    traces/in: { receivers: [otlp], exporters: [genai_events] }
    logs/in: { receivers: [otlp], exporters: [genai_events] }
connectors:
  genai_events: { wait: 20s }
"""


@dataclass
class World:
    """A running collector; its files are complete once it has stopped."""

    running: Collector
    directory: Path
    url: str
    openai: str
    langfuse_server: Sink

    async def run(self, environment: str, script: str, **variables: str) -> str:
        """Run a script of tests/clients/scripts to its end, and then stop the collector."""
        python = ENVIRONMENTS / environment / "bin" / "python"
        printed = await run_app(SCRIPTS / script, installed(python), **self.common(), **variables)
        await self.finish()
        return printed

    async def run_node(self, environment: str, **variables: str) -> str:
        """The same for the JavaScript app of this environment's name."""
        home = ENVIRONMENTS / environment
        installed(home / "node_modules")
        script = home / f"{environment}.mjs"  # packages are looked for beside the script
        script.write_bytes((SCRIPTS / script.name).read_bytes())
        printed = await run_app(script, Path("node"), **self.common(), **variables)
        await self.finish()
        return printed

    async def finish(self) -> None:
        """Stop the collector; nothing surprised it."""
        assert await self.running.stop() == 0, self.log
        assert "Traceback" not in self.log, self.log

    def common(self) -> dict[str, str]:
        return {"OPENAI_BASE_URL": self.openai, "OPENAI_API_KEY": "sk-fake", **KEYS}

    @property
    def log(self) -> str:
        return "".join(self.running.log)

    def lines(self, name: str) -> list[Any]:
        path = self.directory / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def spans(self) -> list[Span]:
        """What left as OTLP, in order of time."""
        found = [
            span
            for line in self.lines("otlp.jsonl")
            if "resourceSpans" in line
            for span in otlp.decode_json(Signal.TRACES, json.dumps(line).encode()).items
            if isinstance(span, Span)
        ]
        return sorted(found, key=lambda span: (span.start_ns, span.end_ns))

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    @property
    def records(self) -> list[LogRecord]:
        """The log records that left as OTLP."""
        return [
            record
            for line in self.lines("otlp.jsonl")
            if "resourceLogs" in line
            for record in otlp.decode_json(Signal.LOGS, json.dumps(line).encode()).items
            if isinstance(record, LogRecord)
        ]

    def events(self, *types: str) -> list[dict[str, Any]]:
        """Bodies of the Langfuse events of these types, in order of their start."""
        events = [event for line in self.lines("langfuse.jsonl") for event in line["batch"]]
        bodies = [event["body"] for event in events if event["type"] in types]
        return sorted(bodies, key=lambda body: str(body.get("startTime", "")))

    @property
    def observations(self) -> list[dict[str, Any]]:
        """Bodies of the Langfuse events that are observations."""
        events = [event for line in self.lines("langfuse.jsonl") for event in line["batch"]]
        return [event["body"] for event in events if "traceId" in event["body"]]

    @property
    def scores(self) -> dict[str, dict[str, Any]]:
        """Scores that reached the Langfuse server, by name."""
        sent = [json.loads(request.body)["batch"] for request in self.langfuse_server.requests]
        events = [event for batch in sent for event in batch if event["type"] == "score-create"]
        assert len({event["body"]["name"] for event in events}) == len(events)
        return {event["body"]["name"]: event["body"] for event in events}

    @property
    def noveum(self) -> list[dict[str, Any]]:
        """Attributes of Noveum's records of calls, in order of time."""
        records = [r for r in self.lines("noveum.jsonl") if r["name"] == "ai_gateway_request_log"]
        return [r["attributes"] for r in sorted(records, key=lambda r: str(r["timestamp"]))]

    @property
    def litellm(self) -> list[dict[str, Any]]:
        """LiteLLM payloads, in order of time."""
        return sorted(self.lines("litellm.jsonl"), key=lambda payload: float(payload["startTime"]))


@asynccontextmanager
async def world(directory: Path, *, events: bool = False) -> AsyncIterator[World]:
    """A collector that is ready for clients, a fake OpenAI server and a fake Langfuse behind it.
    `events`: what comes over OTLP waits for the content that comes as log records."""
    async with AsyncExitStack() as stack:
        openai = stack.enter_context(fake_openai())
        server = await stack.enter_async_context(http_sink(accept_langfuse))
        port = free_port()
        config = CONFIG.format(
            directory=directory,
            port=port,
            langfuse=server.port,
            otlp="genai_events" if events else "otlp",
            further=EVENTS if events else "",
        )
        running = await stack.enter_async_context(collector(config, directory))
        yield World(running, directory, f"http://127.0.0.1:{port}", openai, server)


@contextmanager
def fake_openai() -> Iterator[str]:
    """The example's OpenAI server, as a base URL for clients."""
    path = ROOT / "examples" / "openlit" / "fake_openai.py"
    spec = importlib.util.spec_from_file_location("fake_openai", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = ThreadingHTTPServer(("127.0.0.1", 0), module.Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def installed(path: Path) -> Path:
    """The path, or an explanation: in CI a missing environment must not look like a success."""
    if not path.exists():
        if os.environ.get("CLIENTS_REQUIRED"):
            pytest.fail(f"{path} is missing")
        pytest.skip(f"{path.relative_to(ROOT)} is missing: make test-clients test-clients-node")
    return path


def accept_langfuse(request: Request) -> web.Response:
    ids = [event["id"] for event in json.loads(request.body)["batch"]]
    body = {"successes": [{"id": event, "status": 201} for event in ids], "errors": []}
    return web.json_response(body, status=207)
