"""The servers that the collector is measured against, and the sinks it sends to.

    python -m bench.servers bare-http|bare-grpc|sink-http|sink-grpc PORT

`bare-*` read and discard, with the defaults of their library: the least a Python server can do.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import uvloop
from aiohttp import web

LIMIT = 256 * 1024 * 1024
SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


@asynccontextmanager
async def http_server(port: int, *, status: int, body: bytes, content_type: str) -> AsyncIterator[None]:  # fmt: skip  # noqa: E501
    async def handle(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=status, body=body, content_type=content_type)

    app = web.Application(client_max_size=LIMIT)
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def grpc_server(port: int, options: list[tuple[str, Any]]) -> AsyncIterator[None]:
    async def export(_request: bytes, _context: Any) -> bytes:
        return b""

    handler = grpc.unary_unary_rpc_method_handler(export)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", LIMIT), *options])
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"Export": handler}),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(0)


def serve(kind: str, port: int) -> Any:
    """The server of this kind, as a context manager."""
    json_ok = b'{"successes":[],"errors":[]}'
    return {
        "bare-http": lambda: http_server(
            port, status=200, body=b"", content_type="application/x-protobuf"
        ),
        "sink-http": lambda: http_server(
            port, status=200, body=b"", content_type="application/x-protobuf"
        ),
        "sink-langfuse": lambda: http_server(
            port, status=207, body=json_ok, content_type="application/json"
        ),
        "bare-grpc": lambda: grpc_server(port, []),
        "sink-grpc": lambda: grpc_server(port, [("grpc.http2.lookahead_bytes", 8 * 1024 * 1024)]),
    }[kind]()


async def main(kind: str, port: int) -> None:
    async with serve(kind, port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
