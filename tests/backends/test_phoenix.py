"""A real backend: what `otlp_http` and `otlp_grpc` send arrives in Arize Phoenix.

Run by `make test-backends`, which installs Phoenix in an environment of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.captures import FIXTURES
from tests.support.running import collector, free_port

pytestmark = [pytest.mark.backend, pytest.mark.timeout(300)]

CONFIG = """
receivers:
  otlp: {{ protocols: {{ http: {{ endpoint: "127.0.0.1:{http}" }} }} }}
processors:
  normalize: {{}}
exporters:
  otlp_http: {{ endpoint: "http://127.0.0.1:{phoenix}" }}
  otlp_grpc: {{ endpoint: "127.0.0.1:{phoenix_grpc}", tls: {{ insecure: true }} }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces: {{ receivers: [otlp], processors: [normalize], exporters: [{exporter}] }}
"""


@asynccontextmanager
async def phoenix(directory: Path) -> AsyncIterator[tuple[int, int]]:
    """A Phoenix server with an empty store; yields its HTTP and gRPC ports."""
    binary = os.environ.get("PHOENIX_BIN", "")
    if not Path(binary).is_file():
        pytest.fail("PHOENIX_BIN does not name the phoenix command; run `make test-backends`")
    http, grpc = free_port(), free_port()
    log = (directory / "phoenix.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        binary,
        "serve",
        stdout=log,
        stderr=asyncio.subprocess.STDOUT,
        env={
            **os.environ,
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(http),
            "PHOENIX_GRPC_PORT": str(grpc),
            "PHOENIX_WORKING_DIR": str(directory),
            "PHOENIX_TELEMETRY_ENABLED": "false",
        },
    )
    try:
        await until_answers(f"http://127.0.0.1:{http}/healthz", process, directory)
        yield http, grpc
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)
        log.close()


async def until_answers(url: str, process: asyncio.subprocess.Process, directory: Path) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(300):
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            assert process.returncode is None, (directory / "phoenix.log").read_text()[-3000:]
            await asyncio.sleep(0.3)
    pytest.fail("Phoenix did not start")


async def stored_spans(port: int, wanted: int) -> list[dict[str, Any]]:
    """The spans that Phoenix has, once it has `wanted` of them."""
    url = f"http://127.0.0.1:{port}/v1/projects/default/spans"
    spans: list[dict[str, Any]] = []
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            async with session.get(url) as response:
                if response.status == 200:
                    spans = (await response.json())["data"]
                    if len(spans) >= wanted:
                        return spans
            await asyncio.sleep(0.2)
    return spans


@pytest.mark.parametrize("exporter", ["otlp_http", "otlp_grpc"])
async def test_phoenix_stores_what_we_send(exporter: str, tmp_path: Path) -> None:
    """A recorded OpenLIT request goes through the collector and is found in Phoenix."""
    body = (FIXTURES / "openlit_seed" / "traces.pb").read_bytes()
    async with phoenix(tmp_path) as (http, grpc):
        port = free_port()
        config = CONFIG.format(http=port, phoenix=http, phoenix_grpc=grpc, exporter=exporter)
        async with (
            collector(config, tmp_path) as running,
            aiohttp.ClientSession() as session,
        ):
            async with session.post(
                f"http://127.0.0.1:{port}/v1/traces",
                data=body,
                headers={"content-type": "application/x-protobuf"},
            ) as response:
                assert response.status == 200
            assert await running.stop() == 0
        (span,) = await stored_spans(http, 1)
    assert span["attributes"]["gen_ai.request.model"] == "gpt-4o"
    assert span["attributes"]["gen_ai.usage.input_tokens"] == 14
