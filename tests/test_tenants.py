"""Tenants never cross: whose credential it is decides where the data goes and whose name it has."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
from typer.testing import CliRunner

from genai_collector.cli import app
from genai_collector.formats import otlp
from genai_collector.model import Signal, Span
from tests.support.running import collector, free_port

CONFIG = """
extensions:
  bearertokenauth/a: {{ token: token-of-a }}
  basicauth/b: {{ htpasswd: {{ inline: "b:secret-of-b" }} }}
receivers:
  otlp/a:
    protocols:
      http: {{ endpoint: "127.0.0.1:{a}", auth: {{ authenticator: bearertokenauth/a }} }}
  otlp/b:
    protocols:
      http: {{ endpoint: "127.0.0.1:{b}", auth: {{ authenticator: basicauth/b }} }}
  langfuse:
    endpoint: "127.0.0.1:{langfuse}"
    projects:
      - {{ name: c, public_key: pk-c, secret_key: sk-c }}
      - {{ name: d, public_key: pk-d, secret_key: sk-d }}
processors:
  resource/a: {{ attributes: [{{ key: tenant, value: a, action: upsert }}] }}
  resource/b: {{ attributes: [{{ key: tenant, value: b, action: upsert }}] }}
exporters:
  file/a: {{ path: "{directory}/a.jsonl", format: otlp_json }}
  file/b: {{ path: "{directory}/b.jsonl", format: otlp_json }}
  file/langfuse: {{ path: "{directory}/langfuse.jsonl", format: otlp_json }}
service:
  extensions: [bearertokenauth/a, basicauth/b]
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces/a: {{ receivers: [otlp/a], processors: [resource/a], exporters: [file/a] }}
    traces/b: {{ receivers: [otlp/b], processors: [resource/b], exporters: [file/b] }}
    traces/langfuse: {{ receivers: [langfuse], exporters: [file/langfuse] }}
"""


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


CREDENTIALS = {
    "a": "Bearer token-of-a",
    "b": _basic("b", "secret-of-b"),
    "c": _basic("pk-c", "sk-c"),
    "d": _basic("pk-d", "sk-d"),
}
CROSSED = {
    "a's token as b's password": _basic("b", "token-of-a"),
    "b's password as a's token": "Bearer secret-of-b",
    "b's credentials as a token": CREDENTIALS["b"].replace("Basic", "Bearer"),
    "a's token as basic": CREDENTIALS["a"].replace("Bearer", "Basic"),
    "c's key with d's secret": _basic("pk-c", "sk-d"),
    "d's key with c's secret": _basic("pk-d", "sk-c"),
    "c's secret alone": _basic("", "sk-c"),
    "c's key as bearer": "Bearer sk-c",
}


def _span(name: str) -> bytes:
    span = Span(trace_id=b"t" * 16, span_id=name.encode().ljust(8, b"_")[:8], name=name)
    span.start_ns, span.end_ns = 1, 2
    return otlp.encode(Signal.TRACES, [span])


async def _send(url: str, name: str, authorization: str) -> int:
    headers = {"Content-Type": "application/x-protobuf", "Authorization": authorization}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=_span(name), headers=headers) as response,
    ):
        return response.status


def _found(path: Path) -> set[tuple[str, str, str]]:
    """Of every span: its name, its tenant, its project."""
    found = set()
    for line in path.read_text().splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            values: Mapping[str, str] = {
                pair["key"]: pair["value"]["stringValue"]
                for pair in resource["resource"].get("attributes", [])
            }
            for scope in resource["scopeSpans"]:
                found |= {
                    (
                        span["name"],
                        values.get("tenant", ""),
                        values.get("langfuse.project.name", ""),
                    )
                    for span in scope["spans"]
                }
    return found


async def test_tenants_never_cross(tmp_path: Path) -> None:
    """Every credential at every door: only its own opens, and behind it everything is marked and
    delivered as its tenant's; no pairing of parts of two credentials opens any."""
    ports: dict[str, Any] = {name: free_port() for name in ("a", "b", "langfuse")}
    urls = {
        "a": f"http://127.0.0.1:{ports['a']}/v1/traces",
        "b": f"http://127.0.0.1:{ports['b']}/v1/traces",
        "langfuse": f"http://127.0.0.1:{ports['langfuse']}/api/public/otel/v1/traces",
    }
    opens = {("a", "a"), ("b", "b"), ("langfuse", "c"), ("langfuse", "d")}
    async with collector(CONFIG.format(**ports, directory=tmp_path), tmp_path):
        for _ in range(3):  # remembered logins are as separate as checked ones
            for (door, url), (who, value) in itertools.product(urls.items(), CREDENTIALS.items()):
                status = await _send(url, f"{who}-{door[0]}", value)
                assert (status == 200) == ((door, who) in opens), (door, who, status)
                assert status in (200, 401)
            for url, (what, value) in itertools.product(urls.values(), CROSSED.items()):
                assert await _send(url, "crossed", value) in (401, 403), (url, what)
    assert _found(tmp_path / "a.jsonl") == {("a-a", "a", "")}
    assert _found(tmp_path / "b.jsonl") == {("b-b", "b", "")}
    assert _found(tmp_path / "langfuse.jsonl") == {("c-l", "", "c"), ("d-l", "", "d")}


def test_validate_names_the_authenticator(tmp_path: Path) -> None:
    """One that is not there, not started, or of the wrong kind is a fault at the component's line;
    an open door is a warning that names the option, and one with keys is none."""
    head = (
        "extensions:\n  basicauth: {htpasswd: {inline: 'a:b'}}\n"
        "receivers:\n  otlp: {protocols: {http: {endpoint: '0.0.0.0:1'%s}}}\n"
        "exporters:\n  otlp_http: {endpoint: 'http://127.0.0.1:9'%s}\n"
        "service:\n  extensions: [%s]\n"
        "  pipelines: {traces: {receivers: [otlp], exporters: [otlp_http]}}\n"
    )
    named = ", auth: {authenticator: basicauth}"
    path = tmp_path / "config.yaml"
    for fills, code, said in (
        ((named, "", "basicauth"), 0, "ok: 1 pipeline, 0 warnings"),
        (("", "", "basicauth"), 0, "listens on 0.0.0.0 without authentication"),
        (("", "", "basicauth"), 0, "set auth.authenticator or tls.client_ca_file"),
        ((named, "", ""), 1, "config.yaml:4:"),
        ((named, "", ""), 1, "there is no extension 'basicauth' that runs"),
        (("", named, "basicauth"), 1, "config.yaml:6:"),
        (("", named, "basicauth"), 1, "'basicauth' has nothing to say to a destination"),
    ):
        path.write_text(head % fills)
        result = CliRunner().invoke(app, ["validate", "-c", str(path)])
        assert (result.exit_code, said in result.output) == (code, True), result.output
