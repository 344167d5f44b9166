"""Secrets are planted wherever one may stand, and looked for in everything that is said: the log,
own metrics, the health check, answers to clients, and what the command line prints."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.formats import otlp
from genai_collector.model import Signal, Span
from genai_collector.transport.authentication import without_secrets
from tests.receivers.harness import METHODS
from tests.support.running import Request, collector, free_port, http_sink

_CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
_SPAN = Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="chat m", start_ns=1, end_ns=2)
_SPAN.attributes.update(_CALL)
BODY = otlp.encode(Signal.TRACES, [_SPAN])
PROTOBUF = {"Content-Type": "application/x-protobuf"}
MARK = "plAnTed"
"""Is part of every secret here, and of nothing else."""
BCRYPT = "$2b$04$qabGEYSOXeRE8sf9G5nQkOTfOptO7M2USrE5yBQqXQSzJoS9cLIYa"

CONFIG = """
extensions:
  health_check: {{ endpoint: "127.0.0.1:{health}" }}
  basicauth/in:
    htpasswd: {{ inline: "anna:plAnTed-inline\\nbert:{bcrypt}" }}
  basicauth/file:
    htpasswd: {{ file: "{directory}/users" }}
  basicauth/out:
    client_auth: {{ username: collector, password: plAnTed-password }}
  bearertokenauth/in: {{ tokens: [plAnTed-token-1, plAnTed-token-2] }}
  bearertokenauth/out: {{ filename: "{directory}/token" }}
receivers:
  otlp:
    protocols:
      http: {{ endpoint: "127.0.0.1:{http}", auth: {{ authenticator: bearertokenauth/in }} }}
      grpc: {{ endpoint: "127.0.0.1:{grpc}", auth: {{ authenticator: basicauth/in }} }}
  litellm:
    endpoint: "127.0.0.1:{litellm}"
    auth: {{ authenticator: basicauth/file }}
  langfuse:
    endpoint: "127.0.0.1:{langfuse}"
    projects:
      - {{ name: web, public_key: pk, secret_key: plAnTed-project }}
  noveum:
    endpoint: "127.0.0.1:{noveum}"
    api_keys: [plAnTed-noveum]
    auth: {{ authenticator: bearertokenauth/out }}
exporters:
  otlp_http:
    endpoint: "http://127.0.0.1:{sink}"
    auth: {{ authenticator: bearertokenauth/out }}
    headers: {{ X-Api-Key: plAnTed-header }}
  otlp_http/static:
    endpoint: "http://127.0.0.1:{sink}"
    headers: {{ Authorization: "Bearer plAnTed-static" }}
  noveum: {{ endpoint: "http://127.0.0.1:{sink}/noveum", api_key: plAnTed-out }}
  langfuse:
    endpoint: "http://127.0.0.1:{sink}"
    public_key: pk
    secret_key: plAnTed-secret
  litellm:
    endpoint: "http://127.0.0.1:{sink}/litellm"
    auth: {{ authenticator: basicauth/out }}
service:
  shutdown_timeout: 5s
  extensions: [health_check, basicauth/in, basicauth/file, basicauth/out, bearertokenauth/in,
               bearertokenauth/out]
  telemetry:
    logs: {{ level: debug }}
    metrics: {{ address: "127.0.0.1:{metrics}" }}
  pipelines:
    traces:
      receivers: [otlp, litellm, langfuse, noveum]
      exporters: [otlp_http, otlp_http/static, noveum, langfuse, litellm]
"""


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


GUESSES = [
    "Bearer plAnTed-guess",
    "Bearer plAnTed-token-1 ",
    _basic("anna", "plAnTed-guess"),
    _basic("plAnTed-guess", "x"),
    "plAnTed-guess",
    "Bearer plAnTed-guess" + "x" * 4000,
    "Bearer plAnTed-ünd",
]


def _echo(request: Request) -> web.Response:
    """A destination that repeats every header to those it does not know."""
    said = json.dumps({"message": "unknown: " + " ".join(request.headers.values())})
    return web.Response(status=401, text=said, content_type="application/json")


async def _post(url: str, authorization: str, headers: Mapping[str, str] = PROTOBUF) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            url, data=BODY, headers={**headers, "Authorization": authorization}
        ) as response,
    ):
        answer = await response.read()
        return f"{response.status} {dict(response.headers)} {answer!r}"


async def _get(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


async def _call(port: int, authorization: str) -> str:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            metadata = (("authorization", authorization),)
            answer = await channel.unary_unary(METHODS[Signal.TRACES])(BODY, metadata=metadata)
        except grpc.aio.AioRpcError as exc:
            return f"{exc.code()} {exc.details()} {exc.trailing_metadata()}"
        return repr(answer)


async def _command(*arguments: str, directory: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "genai_collector", *arguments),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    return output.decode(errors="replace")


def _leaks(text: str) -> list[str]:
    """The places where a secret shows, as it is or in base64."""
    words = [MARK, BCRYPT[-12:]]
    words += [_basic("collector", "plAnTed-password")[6:], _basic("pk", "plAnTed-secret")[6:]]
    return [text[max(0, at - 80) : at + 80] for word in words if (at := text.find(word)) >= 0]


def _saw_both(log: list[str], directory: Path) -> bool:
    """Whether both files were looked at again."""
    names = {str(directory / name) for name in ("users", "token")}
    return all(any(name in line for line in log) for name in names)


@pytest.mark.timeout(60)
async def test_nothing_says_a_secret(tmp_path: Path) -> None:
    """A collector with a secret in every option, clients with wrong ones, and destinations that
    repeat what they were sent: none of it is anywhere in what is said."""
    ports: dict[str, Any] = {
        name: free_port()
        for name in ("health", "http", "grpc", "litellm", "langfuse", "noveum", "metrics")
    }
    (tmp_path / "users").write_text("anna:plAnTed-in-file\n")
    (tmp_path / "token").write_text("plAnTed-rotated-0\n")
    heard: dict[str, str] = {}
    async with http_sink(_echo) as sink:
        text = CONFIG.format(**ports, sink=sink.port, directory=tmp_path, bcrypt=BCRYPT)
        config = tmp_path / "config.yaml"
        config.write_text(text)
        async with collector(text, tmp_path) as running:
            ways = {
                "http": "/v1/traces", "litellm": "/litellm", "langfuse": "/api/public/ingestion",
                "noveum": "/v1/logs/noveum",
            }  # fmt: skip
            for guess in GUESSES:
                for name, path in ways.items():
                    url = f"http://127.0.0.1:{ports[name]}{path}"
                    heard[f"{name} {guess}"] = await _post(url, guess)
                if guess.isascii():
                    heard[f"grpc {guess}"] = await _call(ports["grpc"], guess)
            url = f"http://127.0.0.1:{ports['http']}/v1/traces"
            told = await _post(url, "Bearer plAnTed-token-2")
            assert told.startswith("200 "), "".join(running.log)
            for content in ("plAnTed bad\x01\n", "plAnTed-rotated-1\n"):
                (tmp_path / "token").write_text(content)
                (tmp_path / "users").write_text(f"anna:$9${content}")
                before = len(running.log)
                while not _saw_both(running.log[before:], tmp_path):
                    await _post(f"http://127.0.0.1:{ports['litellm']}/litellm", GUESSES[2])
                    await _post(f"http://127.0.0.1:{ports['noveum']}/", GUESSES[0])
            while not {"/v1/traces", "/noveum", "/litellm"} <= {r.path for r in sink.requests}:
                await _get(f"http://127.0.0.1:{ports['health']}/")
            heard["metrics"] = await _get(f"http://127.0.0.1:{ports['metrics']}/metrics")
            heard["health"] = await _get(f"http://127.0.0.1:{ports['health']}/")
        heard["log"] = "".join(running.log)
    for command in ("print-config", "validate"):
        heard[command] = await _command(command, "-c", str(config), directory=tmp_path)
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace("anna:plAnTed-inline", "anna;plAnTed-inline").replace(
        "[plAnTed-token-1, plAnTed-token-2]", "[plAnTed-token-1, 'plAnTed\\n', 7]").replace(
        "username: collector, password", "username: collector, passwort"))  # fmt: skip
    heard["faults"] = await _command("validate", "-c", str(broken), directory=tmp_path)

    assert "otelcol_authenticator_refused_requests" in heard["metrics"]
    assert "answered 401: unknown: " in heard["log"]
    assert "cannot be used" in heard["log"]
    assert "basicauth/in" in heard["print-config"]
    assert heard["validate"].startswith("ok") or "\nok" in heard["validate"]
    assert "line 1: expected name:hash" in heard["faults"]
    assert heard["faults"].count("broken.yaml:") >= 3
    assert {name: found for name, said in heard.items() if (found := _leaks(said))} == {}


_WORDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=6, max_size=40)


@settings(max_examples=150, deadline=None)
@given(_WORDS, st.text(max_size=60), st.sampled_from(["", "Bearer ", "Basic "]))
def test_an_echo_has_no_secret(secret: str, around: str, scheme: str) -> None:
    """Whatever a destination says around it, what we sent is not in it, and its length stays."""
    value = _basic("user", secret) if scheme == "Basic " else scheme + secret
    said = f"{around}{value}{around}{secret}{around}".encode()
    left = without_secrets(said, [value])
    assert len(left) == len(said)
    assert value.partition(" ")[2].encode() not in left or scheme == ""
    assert secret.encode() not in left or set(secret) == {"*"}
