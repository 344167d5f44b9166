"""Running the real command and real clients: the collector as a process, sinks that record."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from aiohttp import web

from tests.support.captures import ROOT

READY = "Everything is ready"


_GIVEN: set[int] = set()


def free_port() -> int:
    """A port that was free a moment ago, and another one each time."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _GIVEN:
            _GIVEN.add(port)
            return port


@dataclass
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Sink:
    """A destination that records what it is sent. `answer` makes the reply from a request."""

    requests: list[Request] = field(default_factory=list)
    port: int = 0

    def bodies(self, path: str) -> list[bytes]:
        return [request.body for request in self.requests if request.path == path]


@asynccontextmanager
async def http_sink(answer: Callable[[Request], web.Response]) -> AsyncIterator[Sink]:
    """An HTTP server on a free loopback port; bodies arrive decompressed."""
    sink = Sink()

    async def handle(request: web.Request) -> web.Response:
        received = Request(request.path, dict(request.headers), await request.read())
        sink.requests.append(received)
        return answer(received)

    app = web.Application(client_max_size=2**28)
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    sink.port = runner.addresses[0][1]
    try:
        yield sink
    finally:
        await runner.cleanup()


@asynccontextmanager
async def grpc_sink() -> AsyncIterator[Sink]:
    """An OTLP/gRPC server on a free loopback port; `path` is the full method name."""
    sink = Sink()

    class Everything(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            async def export(body: bytes, context: Any) -> bytes:
                sink.requests.append(
                    Request(details.method, dict(details.invocation_metadata), body)
                )
                return b""

            return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((Everything(),))
    sink.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield sink
    finally:
        await server.stop(0)


@dataclass
class Collector:
    """A running `genai-collector run`. `log` grows while it runs."""

    process: asyncio.subprocess.Process
    log: list[str]

    async def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, as Ctrl-C or Kubernetes would, and return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(sig)
        return await asyncio.wait_for(self.process.wait(), 40)


@asynccontextmanager
async def collector(config: str, directory: Path, **environment: str) -> AsyncIterator[Collector]:
    """Start the command on this configuration and wait until it says that it is ready."""
    path = directory / "collector.yaml"
    path.write_text(config)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "genai_collector", "run", "--config", str(path)),
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONWARNINGS": "error", "PYTHONUNBUFFERED": "1", **environment},
    )
    running = Collector(process, [])
    ready = asyncio.Event()

    async def read() -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            running.log.append(line.decode(errors="replace"))
            if READY in running.log[-1]:
                ready.set()
        ready.set()

    reader = asyncio.create_task(read())
    try:
        await asyncio.wait_for(ready.wait(), 30)
        assert any(READY in line for line in running.log), "".join(running.log)
        yield running
    finally:
        if process.returncode is None:
            await running.stop()
        await reader


async def run_app(script: Path, python: Path, **environment: str) -> str:
    """Run a client app in its own environment to its end and return what it printed."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "PYTHON"))}
    process = await asyncio.create_subprocess_exec(
        str(python),
        str(script),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**clean, **environment},
    )
    output, _ = await asyncio.wait_for(process.communicate(), 90)
    text = output.decode(errors="replace")
    assert process.returncode == 0, text
    return text
