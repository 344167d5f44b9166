"""Destinations that write down what they get, and misbehave when told to.

    python -m tests.crash.sink DIRECTORY CONTROL_PORT NAME:http|grpc:PORT...

What a destination took is in DIRECTORY/NAME.arrived before it answers, one line a span, written
with one system call, so that killing the process loses nothing; what it refused for good is in
NAME.rejected. `POST /NAME/MODE` on the control port changes its manners, `GET /` counts requests.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
from aiohttp import web
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.crash import spans

_SLOW_S: Final = 0.4
_METHOD: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_PROTOBUF: Final = "application/x-protobuf"
GARBAGE: Final = b"\xff\xffthis is no answer\x00\x81"


@dataclass
class Destination:
    """One address with its manners and its books."""

    name: str
    directory: Path
    mode: str = "ok"
    requests: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._arrived = os.open(self.directory / f"{self.name}.arrived", flags, 0o644)
        self._rejected = os.open(self.directory / f"{self.name}.rejected", flags, 0o644)

    def take(self, found: list[spans.Seen]) -> None:
        os.write(self._arrived, "".join(f"{one.line}\n" for one in found).encode())

    def reject(self, found: list[spans.Seen]) -> None:
        os.write(self._rejected, "".join(f"{one.line}\n" for one in found).encode())

    def keep(self, body: bytes) -> None:
        """Keep the request itself, for tests that look inside."""
        with (self.directory / f"{self.name}.bodies").open("ab", buffering=0) as file:
            file.write(len(body).to_bytes(4, "big") + body)

    def take_most(self, found: list[spans.Seen]) -> bytes:
        """Take all but the first, and say so."""
        self.take(found[1:])
        self.reject(found[:1])
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = len(found[:1])
        answer.partial_success.error_message = "the first one displeases"
        return answer.SerializeToString()


def kept(directory: Path, name: str) -> list[bytes]:
    """The requests that a destination with the manners `keep` got."""
    data = (directory / f"{name}.bodies").read_bytes()
    bodies = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        bodies.append(data[4:end])
        data = data[end:]
    return bodies


# ---- HTTP --------------------------------------------------------------------------------------

HttpManners = Callable[[Destination, list[spans.Seen], web.Request], Awaitable[web.StreamResponse]]


def _ok(body: bytes = b"") -> web.Response:
    return web.Response(body=body, content_type=_PROTOBUF)


async def _http_ok(to: Destination, found: list[spans.Seen], _: web.Request) -> web.Response:
    to.take(found)
    return _ok()


async def _http_keep(
    to: Destination, found: list[spans.Seen], request: web.Request
) -> web.Response:
    to.keep(await request.read())
    to.take(found)
    return _ok()


async def _http_slow(to: Destination, found: list[spans.Seen], _: web.Request) -> web.Response:
    await asyncio.sleep(_SLOW_S)
    to.take(found)
    return _ok()


async def _hang(*_: object) -> Any:
    await asyncio.Event().wait()


async def _http_partial(to: Destination, found: list[spans.Seen], _: web.Request) -> web.Response:
    return _ok(to.take_most(found))


async def _http_garbage(to: Destination, found: list[spans.Seen], _: web.Request) -> web.Response:
    to.take(found)
    return _ok(GARBAGE)


async def _http_truncated(
    to: Destination, found: list[spans.Seen], request: web.Request
) -> web.StreamResponse:
    to.take(found)
    answer = web.StreamResponse(headers={"Content-Type": _PROTOBUF, "Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b"only this")
    assert request.transport is not None
    request.transport.close()
    return answer


async def _http_close(
    to: Destination, found: list[spans.Seen], request: web.Request
) -> web.Response:
    to.take(found)
    assert request.transport is not None
    request.transport.close()
    return _ok()


def _http_status(status: int, *, for_good: bool = False, **headers: str) -> HttpManners:
    async def answer(to: Destination, found: list[spans.Seen], _: web.Request) -> web.Response:
        if for_good:
            to.reject(found)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, headers=named, text="not now")

    return answer


HTTP_MANNERS: Final[dict[str, HttpManners]] = {
    "ok": _http_ok,
    "keep": _http_keep,
    "slow": _http_slow,
    "hang": _hang,
    "429": _http_status(429, Retry_After="1"),
    "500": _http_status(500, for_good=True),
    "503": _http_status(503),
    "partial": _http_partial,
    "garbage": _http_garbage,
    "truncated": _http_truncated,
    "close": _http_close,
}


async def http_destination(to: Destination, port: int) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        to.requests[to.mode] += 1
        return await HTTP_MANNERS[to.mode](to, spans.received(body), request)

    app = web.Application(client_max_size=2**28)
    app.router.add_post("/v1/traces", handle)
    await _serve(app, port)


async def _serve(app: web.Application, port: int) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()


# ---- gRPC --------------------------------------------------------------------------------------

GrpcManners = Callable[[Destination, list[spans.Seen], Any], Awaitable[bytes]]


async def _grpc_ok(to: Destination, found: list[spans.Seen], _: Any) -> bytes:
    to.take(found)
    return b""


async def _grpc_slow(to: Destination, found: list[spans.Seen], _: Any) -> bytes:
    await asyncio.sleep(_SLOW_S)
    to.take(found)
    return b""


async def _grpc_partial(to: Destination, found: list[spans.Seen], _: Any) -> bytes:
    return to.take_most(found)


async def _grpc_garbage(to: Destination, found: list[spans.Seen], _: Any) -> bytes:
    to.take(found)
    return GARBAGE


def _grpc_status(code: grpc.StatusCode, *, for_good: bool = False) -> GrpcManners:
    async def answer(to: Destination, found: list[spans.Seen], context: Any) -> bytes:
        if for_good:
            to.reject(found)
        await context.abort(code, "not now")
        return b""

    return answer


async def _grpc_exhausted(_to: Destination, _found: list[spans.Seen], context: Any) -> bytes:
    wait = RetryInfo()
    wait.retry_delay.nanos = 500_000_000
    detail = AnyMessage()
    detail.Pack(wait)
    number: int = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    status = Status(code=number, message="not now", details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "not now")
    return b""


GRPC_MANNERS: Final[dict[str, GrpcManners]] = {
    "ok": _grpc_ok,
    "slow": _grpc_slow,
    "hang": _hang,
    "unavailable": _grpc_status(grpc.StatusCode.UNAVAILABLE),
    "503": _grpc_status(grpc.StatusCode.UNAVAILABLE),
    "exhausted": _grpc_exhausted,
    "internal": _grpc_status(grpc.StatusCode.INTERNAL, for_good=True),
    "partial": _grpc_partial,
    "garbage": _grpc_garbage,
}


async def grpc_destination(to: Destination, port: int) -> Any:
    async def export(body: bytes, context: Any) -> bytes:
        to.requests[to.mode] += 1
        return await GRPC_MANNERS[to.mode](to, spans.received(body), context)

    class Everything(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: Any) -> Any:
            known = details.method == _METHOD
            return grpc.unary_unary_rpc_method_handler(export) if known else None

    # Two processes on one port would share what comes; the second one must fail instead.
    options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers((Everything(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server


# ---- the process -------------------------------------------------------------------------------


def control(destinations: dict[str, Destination]) -> web.Application:
    async def change(request: web.Request) -> web.Response:
        destinations[request.match_info["name"]].mode = request.match_info["mode"]
        return web.Response()

    async def count(_request: web.Request) -> web.Response:
        return web.json_response({name: to.requests for name, to in destinations.items()})

    app = web.Application()
    app.router.add_post("/{name}/{mode}", change)
    app.router.add_get("/", count)
    return app


async def main(directory: Path, control_port: int, addresses: list[str]) -> None:
    destinations: dict[str, Destination] = {}
    servers = []
    for address in addresses:
        name, kind, port = address.split(":")
        destinations[name] = Destination(name, directory)
        serve = http_destination if kind == "http" else grpc_destination
        servers.append(await serve(destinations[name], int(port)))
    await _serve(control(destinations), control_port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
