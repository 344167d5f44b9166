"""The small HTTP server for metrics and health."""

from __future__ import annotations

import aiohttp
import pytest

from genai_collector.component.handover import Handover
from genai_collector.errors import ConfigError
from genai_collector.telemetry.server import PlainServer, Reply, split_endpoint


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("localhost:8888", ("127.0.0.1", 8888)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        (":8888", (None, 8888)),
        ("[::1]:8888", ("::1", 8888)),
    ],
)
def test_endpoints(endpoint: str, expected: tuple[str | None, int]) -> None:
    """host:port, an IPv6 address in brackets, and :port for every address."""
    assert split_endpoint(endpoint) == expected


@pytest.mark.parametrize(
    "endpoint", ["localhost", "localhost:", "localhost:99999", "::1:80", "a:b"]
)
def test_bad_endpoints(endpoint: str) -> None:
    """Anything else is refused with what is expected."""
    with pytest.raises(ValueError, match="expected"):
        split_endpoint(endpoint)


async def test_answers_and_restarts() -> None:
    """It answers on its paths only, and can be entered again after leaving."""
    server = PlainServer("127.0.0.1:0", {"/here": lambda: Reply(503, "text/plain", b"no")}, "x")
    for _ in range(2):
        async with server, aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{server.port}"
            async with session.get(f"{url}/here") as response:
                assert (response.status, await response.text()) == (503, "no")
            async with session.get(f"{url}/elsewhere") as response:
                assert response.status == 404


async def test_port_in_use() -> None:
    """A taken port is a ConfigError that says which option to change."""
    async with PlainServer("127.0.0.1:0", {}, "a.b") as first:
        with pytest.raises(
            ConfigError, match=r"cannot listen on .*: address already in use; .* a\.b"
        ):
            await PlainServer(f"127.0.0.1:{first.port}", {}, "a.b").__aenter__()


async def test_one_follows_another() -> None:
    """While a host lends its Handover, a second server of one address stands in line: the first
    answers until the switch, on the same connection, and whoever leaves last closes the port."""

    def server(text: str) -> PlainServer:
        reply = Reply(200, "text/plain", text.encode())
        return PlainServer("127.0.0.1:0", {"/": lambda: reply}, "x")

    handover = Handover()
    with handover.lent():
        first = await server("first").__aenter__()
        second = await server("second").__aenter__()
        failed = await server("failed").__aenter__()
    port = first.port
    assert second.port == port
    answers = []
    async with aiohttp.ClientSession() as session:

        async def ask() -> None:
            async with session.get(f"http://127.0.0.1:{port}/") as response:
                answers.append(await response.text())

        await ask()
        await failed.__aexit__(None, None, None)
        handover.switch()
        await ask()
        await first.__aexit__(None, None, None)
        await ask()
        await second.__aexit__(None, None, None)
        with pytest.raises(aiohttp.ClientConnectionError):
            await ask()
    assert answers == ["first", "second", "second"]
    assert handover.places == []
