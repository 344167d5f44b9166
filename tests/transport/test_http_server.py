"""Shared listeners: who may share, what is answered outside the routes, and how they stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from genai_collector.errors import ConfigError, DecodeError, TooLarge
from genai_collector.transport.http_server import (
    BodyTimeout,
    HttpListeners,
    HttpServerConfig,
    read_body,
)
from genai_collector.transport.rpc_status import Refusal, refuse
from genai_collector.transport.sockets import Endpoint, bind, parse_endpoint

ANY = "127.0.0.1:0"


async def echo(request: web.BaseRequest) -> web.Response:
    return web.Response(body=await read_body(request, 1000, 5))


def named(name: str) -> Callable[[web.BaseRequest], Coroutine[Any, Any, web.Response]]:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=name)

    return handler


def config(**options: Any) -> HttpServerConfig:
    return HttpServerConfig.model_validate({"endpoint": ANY, **options})


@asynccontextmanager
async def serving(
    settings: HttpServerConfig, handler: Any = echo, path: str = "/in"
) -> AsyncIterator[str]:
    """One listener with one POST route; its base URL."""
    listeners = HttpListeners()
    listeners.route(settings, "POST", path, handler)
    await listeners.start()
    try:
        yield listeners.describe()[0]
    finally:
        await listeners.stop(1)


async def post(url: str, **options: Any) -> tuple[int, bytes, dict[str, str]]:
    async with aiohttp.ClientSession() as session:
        method = options.pop("method", "POST")
        async with session.request(method, url, **options) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status, await response.read(), headers


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection, for what no HTTP client would send."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_receivers_share_an_endpoint() -> None:
    """Routes of several owners on one endpoint are served by one listener."""
    listeners = HttpListeners()
    listeners.route(config(), "POST", "/a", named("a"), option="receivers.one")
    listeners.route(config(), "POST", "/b", named("b"), option="receivers.two")
    listeners.route(config(), "GET", "/b", named("got"), option="receivers.two")
    await listeners.start()
    try:
        [url] = listeners.describe()
        assert [str(address) for address in listeners.addresses(ANY)] == [url[7:]]
        assert (await post(f"{url}/a"))[1] == b"a"
        assert (await post(f"{url}/b"))[1] == b"b"
        assert (await post(f"{url}/b", method="GET"))[1] == b"got"
        assert (await post(f"{url}/a", method="GET"))[2]["allow"] == "OPTIONS, POST"
        assert (await post(f"{url}/b", method="PUT"))[2]["allow"] == "GET, OPTIONS, POST"
    finally:
        await listeners.stop(1)
    assert listeners.describe() == []


@pytest.mark.parametrize(
    "options",
    [
        {"cors": {"allowed_origins": ["*"]}},
        {"max_request_body_size": 10},
        {"tls": {"cert_file": "c", "key_file": "k"}},
        {"response_headers": {"x": "y"}},
    ],
    ids=lambda options: next(iter(options)),
)
def test_different_settings_on_one_endpoint(options: dict[str, Any]) -> None:
    """Two owners of an endpoint must agree; the message names both and the option."""
    listeners = HttpListeners()
    listeners.route(config(), "POST", "/a", echo, option="receivers.one")
    message = rf"receivers\.two: .*127\.0\.0\.1:0.*receivers\.one.*{next(iter(options))}"
    with pytest.raises(ConfigError, match=message):
        listeners.route(config(**options), "POST", "/b", echo, option="receivers.two")
    listeners.route(config(endpoint="127.0.0.1:9", **options), "POST", "/b", echo)


def test_one_path_twice() -> None:
    """A path has one owner per method."""
    listeners = HttpListeners()
    listeners.route(config(), "POST", "/a", echo, option="receivers.one")
    listeners.route(config(), "PUT", "/a", echo, option="receivers.two")
    with pytest.raises(ConfigError, match=r"receivers\.two: POST /a .*receivers\.one"):
        listeners.route(config(), "POST", "/a", echo, option="receivers.two")


async def test_start_and_stop_are_repeatable() -> None:
    """Both may be called again, and a stopped listener can be started anew."""
    listeners = HttpListeners()
    listeners.route(config(), "POST", "/a", named("a"))
    for _ in range(2):
        await listeners.start()
        [first] = listeners.describe()
        await listeners.start()
        assert listeners.describe() == [first]
        assert (await post(f"{first}/a"))[0] == 200
        await listeners.stop(1)
        await listeners.stop(1)
        with pytest.raises(aiohttp.ClientConnectionError):
            await post(f"{first}/a")


async def test_localhost_is_both_loopbacks() -> None:
    """`localhost` listens on every loopback address there is, on one port."""
    async with serving(config(endpoint="localhost:0")) as url:
        assert url.startswith("http://127.0.0.1:")
        port = int(url.rpartition(":")[2])
        assert (await post(f"http://127.0.0.1:{port}/in", data=b"4"))[1] == b"4"
        if _has_ipv6():
            assert (await post(f"http://[::1]:{port}/in", data=b"6"))[1] == b"6"


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_port_taken() -> None:
    """A port that is taken is an error naming endpoint and option, and nothing stays open."""
    async with serving(config()) as url:
        taken = url.removeprefix("http://")
        listeners = HttpListeners()
        listeners.route(config(), "POST", "/a", echo, option="one.endpoint")
        listeners.route(config(endpoint=taken), "POST", "/a", echo, option="two.endpoint")
        message = rf"cannot listen on {taken}: address already in use.*two\.endpoint"
        with pytest.raises(ConfigError, match=message):
            await listeners.start()
        assert listeners.describe() == []


def test_unknown_host() -> None:
    """A name that does not exist, or an address of another machine, is said plainly."""
    with pytest.raises(ConfigError, match="no such host"):
        bind(parse_endpoint("nowhere.invalid:4318"), option="x")
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1:4318"):
        bind(parse_endpoint("192.0.2.1:4318"), option="x")


def test_every_interface() -> None:
    """An empty host listens everywhere."""
    [sock] = bind(Endpoint("", 0), option="x")
    assert sock.getsockname()[0] in ("::", "0.0.0.0")
    sock.close()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("localhost:4318", "localhost", 4318), ("[::1]:80", "::1", 80), (":4317", "", 4317)],
)
def test_endpoints(text: str, host: str, port: int) -> None:
    """host:port, brackets around IPv6, and no host at all; written back as they were."""
    endpoint = parse_endpoint(text)
    assert endpoint == (host, port)
    assert str(endpoint) == text


async def test_outside_the_routes() -> None:
    """404 and 405 carry a google.rpc.Status; our name is in Server, not aiohttp's."""
    async with serving(config(response_headers={"X-Env": "test"})) as url:
        status, body, headers = await post(f"{url}/other")
        assert (status, json.loads(body)["code"]) == (404, 5)
        assert (headers["server"], headers["x-env"]) == ("genai-collector", "test")
        status, body, headers = await post(f"{url}/in", method="DELETE")
        assert (status, json.loads(body)["code"]) == (405, 12)
        assert (await post(f"{url}/in?key=1", data=b"q"))[1] == b"q"
        assert (await post(f"{url}/%69n", data=b"q"))[1] == b"q"


async def test_not_http(caplog: pytest.LogCaptureFixture) -> None:
    """Junk is a 400 with a Status body, and leaves neither a traceback nor itself in the log."""
    with caplog.at_level(logging.DEBUG):
        async with serving(config()) as url:
            for junk in (
                b"\x16\x03\x01 secret\r\n\r\n",
                b"POST /in HTTP/1.1\r\nsecret\r\n\r\n",
                b"POST /in HTTP/1.1\r\nContent-Length: secret\r\n\r\n",
                b"POST /in HTTP/1.1\r\nHost: x\r\nX: " + b"s" * 20_000 + b"\r\n\r\n",
            ):
                async with connected(url) as (reader, writer):
                    writer.write(junk)
                    answer = await reader.read()
                    head, _, body = answer.partition(b"\r\n\r\n")
                    assert b" 400 " in head.partition(b"\r\n")[0]
                    assert b"Server: genai-collector" in head
                    assert json.loads(body)["code"] == 3
                    assert b"secret" not in answer
    ours = [record for record in caplog.records if record.name.startswith("genai_collector")]
    assert not any("secret" in record.getMessage() or record.exc_info for record in ours)
    assert not any(record.levelno >= logging.WARNING for record in caplog.records)


async def test_keep_alives_can_be_switched_off() -> None:
    """A connection then carries one request."""
    for enabled in (True, False):
        async with serving(config(keep_alives_enabled=enabled)) as url:
            headers = (await post(f"{url}/in"))[2]
            assert headers.get("connection", "keep-alive") == ("keep-alive" if enabled else "close")


async def test_connection_without_request_is_closed() -> None:
    """Who connects and dribbles a header is cut off after idle_timeout."""
    async with serving(config(idle_timeout="100ms")) as url, connected(url) as (reader, writer):
        writer.write(b"POST /in HTTP/1.1\r\nHost:")
        assert await reader.read() == b""


async def refusing(request: web.BaseRequest) -> web.Response:
    """Reads with a small limit and little patience, and says how that ended."""
    try:
        await read_body(request, 100, 0.1)
    except (TooLarge, DecodeError, BodyTimeout) as exc:
        return web.Response(status=400, text=type(exc).__name__)
    return web.Response(text="read")


@pytest.mark.parametrize(
    ("head", "body", "ended"),
    [
        ("Content-Length: 100", b"x" * 100, b"read"),
        ("Content-Length: 101", b"", b"TooLarge"),
        ("Content-Length: 100", b"x" * 50, b"BodyTimeout"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n", b"read"),
        ("Transfer-Encoding: chunked", b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n", b"TooLarge"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\n", b"BodyTimeout"),
        ("Transfer-Encoding: chunked", b"5\r\nhello\r\nnonsense\r\n", b"400 Bad Request"),
    ],
)
async def test_read_body(head: str, body: bytes, ended: bytes) -> None:
    """Bodies are bounded in size, declared or not, and in time; broken framing is a 400."""
    async with serving(config(), refusing) as url, connected(url) as (reader, writer):
        writer.write(f"POST /in HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + body)
        answer = b""
        while ended not in answer:
            piece = await reader.read(1000)
            assert piece, answer
            answer += piece


async def test_client_that_leaves(caplog: pytest.LogCaptureFixture) -> None:
    """A client that hangs up in the middle of its body ends as a ConnectionError, not as a bug:
    neither for the handler nor in the log."""
    ended = asyncio.get_running_loop().create_future()

    async def handler(request: web.BaseRequest) -> web.Response:
        try:
            await read_body(request, 1000, 5)
        except ConnectionError as exc:
            ended.set_result(type(exc))
            raise
        raise AssertionError

    async with serving(config(), handler) as url:
        async with connected(url) as (_, writer):
            writer.write(b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
            await writer.drain()
        async with asyncio.timeout(5):
            assert issubclass(await ended, ConnectionError)
    assert not [record for record in caplog.records if record.levelno > logging.DEBUG]


async def test_a_bug_in_a_handler(caplog: pytest.LogCaptureFixture) -> None:
    """It is a 500 with a Status, and one log record without its text."""

    async def handler(request: web.BaseRequest) -> web.Response:
        raise RuntimeError(request.raw_path)

    async with serving(config(), handler, "/secret") as url:
        status, body, _ = await post(f"{url}/secret")
    assert (status, json.loads(body)) == (500, {"code": 13, "message": "internal error"})
    assert "secret" not in caplog.text
    assert len(caplog.records) == 1


CORS = {
    "allowed_origins": ["https://app.example", "https://*.example.org"],
    "allowed_headers": ["X-Token"],
    "exposed_headers": ["X-Seen"],
    "max_age": 600,
}
ASK = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-any"}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example", True),
        ("https://APP.example", True),
        ("https://a.b.example.org", True),
        ("https://example.org", False),
        ("http://app.example", False),
        ("https://app.example.evil", False),
    ],
)
async def test_cors(origin: str, allowed: bool) -> None:
    """Preflights and answers of allowed origins, and only those, carry permission."""
    async with serving(config(cors=CORS)) as url:
        status, _, headers = await post(
            f"{url}/in", method="OPTIONS", headers={"Origin": origin, **ASK}
        )
        assert status == 204
        assert headers.get("access-control-allow-origin") == (origin if allowed else None)
        assert headers.get("access-control-max-age") == ("600" if allowed else None)
        assert ("X-Token" in headers.get("access-control-allow-headers", "")) == allowed
        status, _, headers = await post(f"{url}/in", data=b"x", headers={"Origin": origin})
        assert (status, headers["vary"]) == (200, "Origin")
        assert headers.get("access-control-allow-origin") == (origin if allowed else None)
        assert headers.get("access-control-allow-credentials") == ("true" if allowed else None)
        assert headers.get("access-control-expose-headers") == ("X-Seen" if allowed else None)


async def test_cors_for_everyone() -> None:
    """`*` allows every page and header, but no cookies; refusals are readable too."""
    cors = {"allowed_origins": ["*"], "allowed_headers": ["*"]}
    async with serving(config(cors=cors)) as url:
        asked = {"Origin": "http://x", **ASK}
        _, _, headers = await post(f"{url}/in", method="OPTIONS", headers=asked)
        assert headers["access-control-allow-origin"] == "*"
        assert headers["access-control-allow-headers"] == "x-any"
        assert "access-control-allow-credentials" not in headers
        status, _, headers = await post(f"{url}/in", method="PUT", headers={"Origin": "http://x"})
        assert (status, headers["access-control-allow-origin"]) == (405, "*")


async def test_no_cors_by_default() -> None:
    """Without configuration no page gets permission."""
    async with serving(config()) as url:
        asked = {"Origin": "http://x", **ASK}
        status, _, headers = await post(f"{url}/in", method="OPTIONS", headers=asked)
        assert (status, headers["allow"]) == (204, "OPTIONS, POST")
        assert not [name for name in headers if name.startswith("access-control")]


class Slow:
    """A handler that answers when told to."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.gate = asyncio.Event()

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.arrived.set()
        await self.gate.wait()
        return web.Response(text="done")


async def test_stop_lets_requests_finish() -> None:
    """What is in flight is answered; who comes meanwhile cannot connect."""
    slow = Slow()
    listeners = HttpListeners()
    listeners.route(config(), "POST", "/in", slow)
    await listeners.start()
    [url] = listeners.describe()
    in_flight = asyncio.ensure_future(post(f"{url}/in"))
    await slow.arrived.wait()
    stopping = asyncio.ensure_future(listeners.stop(10))
    await asyncio.sleep(0)
    with pytest.raises(aiohttp.ClientConnectionError):
        await post(f"{url}/in")
    assert not stopping.done()
    slow.gate.set()
    assert (await in_flight)[:2] == (200, b"done")
    await stopping


class Uploaded(Slow):
    """A handler that reads the body."""

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.arrived.set()
        return web.Response(body=await read_body(request, 1000, 5))


POST = b"POST /in HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"


async def test_stop_lets_bodies_arrive() -> None:
    """A request whose body is on its way when the end begins is read and answered, and told that
    the connection ends with it."""
    upload = Uploaded()
    listeners = HttpListeners()
    listeners.route(config(), "POST", "/in", upload)
    await listeners.start()
    async with connected(listeners.describe()[0]) as (reader, writer):
        writer.write(POST + b"he")
        await upload.arrived.wait()
        stopping = asyncio.ensure_future(listeners.stop(10))
        await asyncio.sleep(0.01)
        writer.write(b"llo")
        async with asyncio.timeout(5):
            answer = await reader.read()
            await stopping
    assert b" 200 " in answer
    assert answer.endswith(b"hello")
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("moments", range(6))
async def test_who_connects_at_the_end_hears_something(moments: int) -> None:
    """Accepted just before the end, while another request is still in flight: the connection is
    answered or closed at once, never left open and deaf."""
    slow = Slow()
    listeners = HttpListeners()
    listeners.route(config(), "POST", "/in", slow)
    await listeners.start()
    [url] = listeners.describe()
    in_flight = asyncio.ensure_future(post(f"{url}/in"))
    await slow.arrived.wait()
    async with connected(url) as (reader, writer):
        for _ in range(moments):
            await asyncio.sleep(0)
        stopping = asyncio.ensure_future(listeners.stop(10))
        answer = b""
        with contextlib.suppress(OSError):
            await asyncio.sleep(0.01)
            writer.write(POST + b"hello")
            async with asyncio.timeout(2):
                answer = await reader.read()
        assert not answer or b" 503 " in answer
        assert not stopping.done()
    slow.gate.set()
    assert (await in_flight)[0] == 200
    await stopping


async def test_idle_connections_end_with_the_beginning_of_the_end() -> None:
    """They are closed at once, not when the last request in flight has its answer: what is sent on
    them then would hang."""
    slow = Slow()
    listeners = HttpListeners()
    listeners.route(config(), "POST", "/in", slow)
    listeners.route(config(), "POST", "/fast", echo)
    await listeners.start()
    [url] = listeners.describe()
    in_flight = asyncio.ensure_future(post(f"{url}/in"))
    await slow.arrived.wait()
    async with connected(url) as (reader, writer):
        writer.write(POST.replace(b"/in", b"/fast") + b"hello")
        await reader.readuntil(b"hello")
        stopping = asyncio.ensure_future(listeners.stop(10))
        async with asyncio.timeout(2):
            assert await reader.read() == b""
        assert not stopping.done()
    slow.gate.set()
    assert (await in_flight)[0] == 200
    await stopping


async def test_stop_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    """A request that does not end is cut off when the grace is over, and that is said."""
    slow = Slow()
    listeners = HttpListeners()
    listeners.route(config(), "POST", "/in", slow)
    await listeners.start()
    [url] = listeners.describe()
    in_flight = asyncio.ensure_future(post(f"{url}/in"))
    await slow.arrived.wait()
    async with asyncio.timeout(5):
        await listeners.stop(0.05)
    with pytest.raises(aiohttp.ClientError):
        await in_flight
    assert "still running" in caplog.text


async def test_stop_with_idle_connections() -> None:
    """Connections that clients keep open do not hold up the stop."""
    listeners = HttpListeners()
    listeners.route(config(), "POST", "/in", echo)
    await listeners.start()
    [url] = listeners.describe()
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url}/in", data=b"x") as response:
            assert await response.read() == b"x"
        async with asyncio.timeout(2):
            await listeners.stop(60)


def test_on_uvloop() -> None:
    """The same on the event loop that the service runs on: serve, share a port, stop."""

    async def main() -> None:
        async with serving(config(endpoint="localhost:0")) as url:
            assert (await post(f"{url}/in", data=b"x" * 999))[1] == b"x" * 999
            with pytest.raises(ConfigError, match="already in use"):
                bind(parse_endpoint(url.removeprefix("http://")), option="x")

    uvloop.run(main())


def test_refusal_bodies() -> None:
    """JSON when the content type is neither of ours; whole seconds, at least one, in the header."""
    request = _Request({"Content-Type": "text/html"})
    answer = refuse(request, Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "later", 0.25))
    assert answer.headers["Retry-After"] == "1"
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body)["details"][0]["retryDelay"] == "0.25s"


class _Request(web.BaseRequest):
    """Only the headers of a request."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._only = headers

    @property
    def headers(self) -> Any:
        return self._only
