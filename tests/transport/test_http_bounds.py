"""What bounds connections and bodies of a listener, in number, time and bytes; all is counted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from genai_collector.component import NoTelemetry
from genai_collector.errors import Overloaded
from genai_collector.receivers._http import refusal_of
from genai_collector.transport.http_body import BodyBudget, Share, hold
from genai_collector.transport.http_server import HttpListeners, HttpServerConfig, read_body
from genai_collector.transport.rpc_status import refuse
from tests.support.fakes import CountingTelemetry

PATIENCE_S = 10
REQUEST = b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"


async def echo(request: web.BaseRequest) -> web.Response:
    try:
        return web.Response(body=await read_body(request, 10_000, 5))
    except Overloaded as exc:
        return refuse(request, refusal_of(exc))


@asynccontextmanager
async def serving(
    handler: Any = echo, telemetry: NoTelemetry | None = None, **options: Any
) -> AsyncIterator[int]:
    """One listener; its port."""
    listeners = HttpListeners(telemetry)
    settings = HttpServerConfig.model_validate({"endpoint": "127.0.0.1:0", **options})
    listeners.route(settings, "POST", "/in", handler)
    await listeners.start()
    try:
        yield listeners.addresses("127.0.0.1:0")[0].port
    finally:
        await listeners.stop(1)


class Client:
    """A bare connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self) -> bool:
        """Whether a request is answered."""
        try:
            self.writer.write(REQUEST)
            head = await self.reader.readuntil(b"\r\n\r\n")
            return head.startswith(b"HTTP/1.1 200") and await self.reader.readexactly(1) == b"x"
        except (OSError, asyncio.IncompleteReadError):
            return False

    async def ended(self) -> bytes:
        """What comes until the other end closes."""
        async with asyncio.timeout(PATIENCE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield client
    finally:
        client.writer.transport.abort()


async def test_an_idle_connection_makes_room() -> None:
    """Over the limit, one that never brought anything goes first, then the one idle the longest;
    those that work stay, and the new one is served."""
    telemetry = CountingTelemetry()
    async with (
        serving(telemetry=telemetry, max_connections=3) as port,
        connected(port) as old,
        connected(port) as silent,
        connected(port) as recent,
    ):
        assert await old.ask()
        assert await recent.ask()
        async with connected(port) as new:
            assert await new.ask()
            assert await silent.ended() == b""
            async with connected(port) as newer:
                assert await newer.ask()
                assert await old.ended() == b""
                assert await recent.ask()
                assert await new.ask()
        assert telemetry.turned_away["http", "connections"] == 2


async def test_nobody_at_work_makes_room() -> None:
    """If every connection is at work the new one is closed at once."""
    arrived, gate = asyncio.Semaphore(0), asyncio.Event()

    async def slow(_request: web.BaseRequest) -> web.Response:
        arrived.release()
        await gate.wait()
        return web.Response(text="x")

    async with (
        serving(slow, max_connections=2) as port,
        connected(port) as one,
        connected(port) as two,
    ):
        asking = [asyncio.create_task(client.ask()) for client in (one, two)]
        for _ in asking:
            await arrived.acquire()
        async with connected(port) as third:
            assert await third.ended() == b""
        gate.set()
        assert await asyncio.gather(*asking) == [True, True]


async def test_a_header_has_its_time() -> None:
    """From the first byte of a header; those who wait without a byte have `idle_timeout`."""
    telemetry = CountingTelemetry()
    async with (
        serving(telemetry=telemetry, read_header_timeout="50ms") as port,
        connected(port) as idle,
        connected(port) as slow,
    ):
        assert await slow.ask()
        slow.writer.write(b"POST /in HT")
        assert await slow.ended() == b""
        assert await idle.ask()
        assert telemetry.turned_away == {("http", "slow_header"): 1}


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_answers_must_be_read(run: Any) -> None:
    """Who leaves an answer unread is cut off after `write_timeout`."""
    telemetry = CountingTelemetry()

    async def large(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=bytes(50_000_000))

    async def main() -> None:
        async with serving(large, telemetry, write_timeout="50ms") as port:
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(REQUEST)
                async with asyncio.timeout(PATIENCE_S):
                    while True:
                        if telemetry.turned_away:
                            break
                        await asyncio.sleep(0.01)
        assert telemetry.turned_away == {("http", "slow_reader"): 1}

    run(main())


async def test_bodies_share_a_budget() -> None:
    """Bodies of unknown length count as they grow; who does not fit is told to come again, and what
    was held is free afterwards."""
    telemetry = CountingTelemetry()
    gate, sent = asyncio.Event(), asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        yield b"x" * 900
        sent.set()
        await gate.wait()
        yield b"x"

    async def chunks(size: int) -> AsyncIterator[bytes]:
        yield b"x" * size

    async with (
        serving(telemetry=telemetry, max_in_flight_body_size=1000) as port,
        aiohttp.ClientSession() as session,
    ):
        url = f"http://127.0.0.1:{port}/in"

        async def post(data: Any) -> tuple[int, str | None]:
            async with session.post(url, data=data) as response:
                await response.read()
                return response.status, response.headers.get("Retry-After")

        first = asyncio.create_task(post(held()))
        await sent.wait()
        async with asyncio.timeout(PATIENCE_S):
            while (await post(chunks(200)))[0] == 200:  # until the first one's bytes are there
                pass
        assert await post(chunks(200)) == (503, "1")
        assert await post(chunks(100)) == (200, None)
        gate.set()
        assert await first == (200, None)
        assert await post(chunks(1000)) == (200, None)
        assert await post(chunks(9000)) == (200, None)
    assert telemetry.turned_away["http", "overload"] >= 1


def test_a_budget_is_given_back() -> None:
    """One request alone may exceed it, two may not; closing gives everything back."""
    budget = BodyBudget(100)
    one, two = Share(budget), Share(budget)
    one.grow(50)
    two.grow(50)
    with pytest.raises(Overloaded):
        two.grow(1)
    one.close()
    two.grow(500)
    with pytest.raises(Overloaded):
        one.grow(1)
    two.close()
    two.close()
    assert budget.held == 0
    hold(10**12)  # outside of a request nothing is counted


@pytest.mark.parametrize(
    ("options", "sent", "status"),
    [
        ({"max_header_field_size": 1024}, b"X: " + b"y" * 2000, b"400"),
        ({"max_header_field_size": "64KiB"}, b"X: " + b"y" * 2000, b"200"),
        ({}, b"\r\n".join([b"X: y"] * 99), b"400"),
        ({}, b"\r\n".join([b"X: y"] * 90), b"200"),
    ],
)
async def test_headers_are_bounded(options: dict[str, Any], sent: bytes, status: bytes) -> None:
    """In size each, and in number."""
    async with serving(**options) as port, connected(port) as client:
        client.writer.write(
            b"POST /in HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + sent
            + b"\r\nContent-Length: 1\r\n\r\nx"
        )
        assert (await client.ended()).split(b" ")[1] == status
