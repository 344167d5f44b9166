"""The HTTP client against small real servers on loopback."""

from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from genai_collector.errors import Permanent, Retryable
from genai_collector.transport.compression import decompress
from genai_collector.transport.http_client import (
    MAX_RESPONSE_BYTES,
    HttpClient,
    HttpClientConfig,
    Response,
    compress_body,
    host_of,
)
from genai_collector.transport.tls import ClientTLS
from tests.transport.certs import Authority

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on a free port; yields its URL. Bodies arrive as they were sent."""
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    scheme = "https" if tls else "http"
    try:
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), headers={"X-Method": request.method})


async def post(url: str, body: bytes = b"", **config: Any) -> Response:
    async with HttpClient(HttpClientConfig(**config)) as client:
        return await client.post(url, body, {})


async def test_a_post_carries_body_and_headers() -> None:
    """Configured headers go along; those of the request win; names are found in any case."""
    seen: dict[str, str] = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(request.headers)
        return await echo(request)

    config = HttpClientConfig(
        headers={"Authorization": SecretStr("Bearer s3cret"), "content-type": SecretStr("x/y")}
    )
    async with server(handler) as url, HttpClient(config) as client:
        answer = await client.post(f"{url}/v1/traces", b"body", {"Content-Type": "a/b"})
    assert (answer.status, answer.body, answer.headers["x-method"]) == (200, b"body", "POST")
    assert seen["Authorization"] == "Bearer s3cret"
    assert seen["Content-Type"] == "a/b"
    assert seen["User-Agent"].startswith("genai-collector/")


@pytest.mark.parametrize("size", [0, 1, 300_000, 5_000_000])
async def test_a_body_of_any_size_arrives_whole(size: int) -> None:
    """With its length in the header, not chunked, and without the library's warning."""
    lengths: list[int | None] = []

    body = (bytes(range(256)) * (size // 256 + 1))[:size]

    async def whole(request: web.Request) -> web.Response:
        lengths.append(request.content_length)
        return web.Response(text="whole" if await request.read() == body else "broken")

    async with server(whole) as url:
        assert (await post(url, body)).body == b"whole"
    assert lengths == [size]


async def test_redirects_and_cookies_are_ignored() -> None:
    """A post with a key must not wander to another host, and no state is kept."""
    cookies: list[str | None] = []

    async def handler(request: web.Request) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(status=307, headers={"Location": "/b", "Set-Cookie": "a=b"})

    async with server(handler) as url, HttpClient(HttpClientConfig()) as client:
        for _ in range(2):
            assert (await client.post(f"{url}/a", b"", {})).status == 307
    assert cookies == [None, None]


async def test_connections_are_reused() -> None:
    """One connection serves requests that follow each other."""
    peers: set[object] = set()

    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response()

    async with server(handler) as url, HttpClient(HttpClientConfig()) as client:
        for _ in range(5):
            await client.post(url, b"x", {})
    assert len(peers) == 1


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip-bomb"])
async def test_an_endless_answer_is_cut(compressed: bool) -> None:
    """No more than 4 MiB of an answer are kept, also if little came over the wire."""

    async def handler(_request: web.Request) -> web.Response:
        body = bytes(3 * MAX_RESPONSE_BYTES)
        if not compressed:
            return web.Response(body=body)
        return web.Response(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})

    async with server(handler) as url:
        answer = await post(url)
    assert answer.truncated
    assert len(answer.body) == MAX_RESPONSE_BYTES


async def test_a_compressed_answer_is_read() -> None:
    """Answers are decompressed."""

    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b"hello"), headers={"Content-Encoding": "gzip"})

    async with server(handler) as url:
        assert (await post(url)).body == b"hello"


async def test_nobody_listening_is_retryable() -> None:
    """Connection refused; the message has host and port, and nothing secret."""
    async with server(echo) as url:
        gone = url
    with pytest.raises(Retryable) as caught:
        await post(f"{gone}/secret-path?key=secret")
    assert gone.removeprefix("http://") in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_connection_that_breaks_is_retryable() -> None:
    """No answer, and half an answer."""

    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def half(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return answer

    for handler in (hang_up, half):
        async with server(handler) as url:
            with pytest.raises(Retryable):
                await post(url)


async def test_a_name_that_does_not_exist_is_retryable() -> None:
    """Names may come back."""
    with pytest.raises(Retryable, match=r"nowhere\.invalid"):
        await post("http://nowhere.invalid:1")


async def test_a_cancelled_post_leaves_nothing_behind() -> None:
    """A timeout of delivery cancels; the client stays usable."""
    release = asyncio.Event()

    async def slow_first(request: web.Request) -> web.Response:
        if request.path == "/slow":
            await release.wait()
        return web.Response()

    async with server(slow_first) as url, HttpClient(HttpClientConfig()) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.post(f"{url}/slow", b"", {})
        assert (await client.post(f"{url}/fast", b"", {})).status == 200
        release.set()


async def test_tls_is_verified(tmp_path: Path) -> None:
    """The server's authority must be trusted, unless verification is switched off."""
    authority = Authority(tmp_path, "ca")
    pair = authority.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    async with server(echo, context) as url:
        trusting = ClientTLS(ca_file=authority.cert)
        assert (await post(url, b"x", tls=trusting)).body == b"x"
        assert (await post(url, b"x", tls=ClientTLS(insecure_skip_verify=True))).body == b"x"
        with pytest.raises(Retryable, match="TLS failed"):
            await post(url, b"x")
        wrong_name = ClientTLS(ca_file=authority.cert, server_name_override="elsewhere")
        with pytest.raises(Retryable, match="TLS failed"):
            await post(url, b"x", tls=wrong_name)


async def test_a_proxy_is_used_when_asked_for() -> None:
    """The whole URL goes to the proxy; the environment's proxy never does."""
    seen: list[str] = []

    async def proxy(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.Response(status=204)

    async with server(proxy) as url:
        answer = await post("http://destination.invalid/v1/traces", proxy_url=url)
    assert answer.status == 204
    assert seen == ["http://destination.invalid/v1/traces"]


@pytest.mark.parametrize("size", [10, 300_000], ids=["small", "large"])
@pytest.mark.parametrize("compression", ["gzip", "deflate", "zstd"])
async def test_bodies_are_compressed(compression: str, size: int) -> None:
    """Each coding can be undone; the header names it."""
    body, headers = await compress_body(b"a" * size, compression)
    assert headers == {"Content-Encoding": compression}
    assert decompress(compression, body, 1_000_000) == b"a" * size


async def test_no_compression_leaves_the_body_alone() -> None:
    """And sets no header."""
    body = b"abc"
    assert await compress_body(body, "none") == (body, {})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@host:4318/path?key=1", "host:4318"),
        ("http://host", "host"),
        ("http://[::1]:80/", "::1:80"),
    ],
)
def test_only_the_host_is_shown(url: str, shown: str) -> None:
    """What error messages say of a URL."""
    assert host_of(url) == shown


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"endpoint": "host:4318"}, "expected a URL"),
        ({"endpoint": "ftp://host"}, "expected a URL"),
        ({"endpoint": "http://host:port"}, "expected a URL"),
        ({"compression": "snappy"}, "'gzip', 'zstd', 'deflate' or 'none'"),
        ({"compression": "gzip", "compression_params": {"level": 12}}, "levels 0 to 9"),
        ({"headers": {"x y": "s3cret"}}, "'x y' is no name for a header"),
        ({"headers": {"": "s3cret"}}, "'' is no name for a header"),
        ({"headers": {"x": "s3cret\n"}}, "value of x has a line break"),
    ],
)
def test_what_cannot_work_is_refused(config: dict[str, Any], message: str) -> None:
    """Before any socket is opened."""
    with pytest.raises(ValidationError, match=message):
        HttpClientConfig.model_validate(config)


def test_secrets_are_not_printed() -> None:
    """Neither by repr nor by dump."""
    config = HttpClientConfig.model_validate({"headers": {"a": "s3cret"}, "compression": "zlib"})
    assert "s3cret" not in repr(config)
    assert "s3cret" not in str(config.model_dump())
    assert config.compression == "deflate"


async def test_an_impossible_url_is_permanent() -> None:
    """A fault of the configuration is not tried for ever."""
    with pytest.raises(Permanent):
        await post("http://")


@pytest.mark.parametrize("written", ["as it is", "in JSON", "in an address"])
async def test_an_echo_of_the_address_is_blotted(written: str) -> None:
    """A destination that repeats the password or the key in our URL, or the credentials made of
    them, in whatever form it writes them: nothing of them is in the answer."""
    forms: dict[str, Callable[[str], str]] = {
        "as it is": str,
        "in JSON": lambda word: word.replace("/", r"\/"),
        "in an address": lambda word: quote(word, safe=""),
    }

    async def handler(request: web.Request) -> web.Response:
        said = [request.headers["Authorization"], request.query["key"], "pass/word?"]
        return web.Response(status=401, text=" ".join(map(forms[written], said)))

    async with server(handler) as url:
        address = url.replace("://", "://user:pass%2Fword%3F@")
        answer = await post(f"{address}/v1/traces?key=qu/ery-secret")
    said = unquote(answer.body.decode()).replace("\\", "")
    assert not [word for word in ("dXNlcjpwYXNz", "ery-secret", "pass/word") if word in said]
