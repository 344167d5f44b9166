"""Connections that begin in the very moment in which a listener ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from genai_collector.transport.acceptor import Acceptor


class Hello(asyncio.Protocol):
    """Says something to whoever comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"hello")
        transport.close()


@asynccontextmanager
async def accepting(
    context: Callable[[], ssl.SSLContext] | None = None,
) -> AsyncIterator[tuple[Acceptor, socket.socket]]:
    """An acceptor, and a client that has connected but that it has not looked at yet."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    acceptor = Acceptor(Hello, lambda _beginning: True, context)
    acceptor.start([listening])
    with socket.create_connection(listening.getsockname()) as client:
        client.setblocking(False)
        yield acceptor, client
    await acceptor.close()


@pytest.mark.parametrize("moments", range(1, 5))
async def test_what_was_accepted_begins(moments: int) -> None:
    """Accepted, and the end comes before its first step or in the middle of it: it is served."""
    async with accepting() as (acceptor, client):
        while not acceptor._beginning:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for _ in range(moments - 1):
            await asyncio.sleep(0)
        await acceptor.close()
        async with asyncio.timeout(5):
            assert await asyncio.get_running_loop().sock_recv(client, 100) == b"hello"


async def test_who_does_not_shake_hands_is_closed() -> None:
    """A client that says nothing to a TLS listener holds up the end for half a second at most."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with accepting(lambda: context) as (acceptor, client):
        while not acceptor._beginning:  # noqa: ASYNC110
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await acceptor.close()
            assert await asyncio.get_running_loop().sock_recv(client, 100) == b""
        assert not acceptor._beginning


async def test_an_end_that_is_cancelled_closes_what_was_beginning() -> None:
    """Also what had not come to its first step: nothing is left to the garbage collector."""
    async with accepting() as (acceptor, client):
        while not acceptor._beginning:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for task in acceptor._beginning:
            task.cancel()
        await acceptor.close()
        async with asyncio.timeout(5):
            assert await asyncio.get_running_loop().sock_recv(client, 100) == b""
