"""Odd ways to a door: whatever the shape of a request, only its own credential opens."""

from __future__ import annotations

import asyncio
import re

import pytest
from pydantic import ValidationError

from genai_collector.transport.http_server import HttpServerConfig
from tests.receivers.auth_harness import BODY, Running, otlp

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
RIGHT = "Authorization: Bearer right\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"


def request(
    headers: str = "",
    method: str = "POST",
    target: str = "/v1/traces",
    version: str = "1.1",
    body: bytes = BODY,
) -> bytes:
    head = (
        f"{method} {target} HTTP/{version}\r\nHost: h\r\n{headers}"
        f"Content-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def chunked(headers: str = "", trailers: str = "") -> bytes:
    head = (
        f"POST /v1/traces HTTP/1.1\r\nHost: h\r\n{headers}Content-Type: application/x-protobuf\r\n"
    )
    body = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    return f"{head}{CHUNKED}\r\n".encode() + body + f"{trailers}\r\n".encode()


async def said(running: Running, *pieces: bytes, at_once: int = 1) -> list[int]:
    """The answers on one connection, until it ends or the requests do, `at_once` in each piece; a
    piece is sent when the one before was answered."""
    host, port = running.http.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    heard = b""
    for number, piece in enumerate(pieces, 1):
        writer.write(piece)
        while len(_STATUS.findall(heard)) < number * at_once and (some := await reader.read(65536)):
            heard += some
    writer.close()
    return [int(status) for status in _STATUS.findall(heard)]


async def test_each_request_for_itself() -> None:
    """A credential opens for the request that carries it, and for none before or behind it on the
    same connection, pipelined or not."""
    known, stranger = request(RIGHT), request()
    async with otlp() as running:
        assert await said(running, known, stranger, known, stranger) == [200, 401, 200, 401]
        pipelined = known + stranger + stranger + known
        assert await said(running, pipelined, at_once=4) == [200, 401, 401, 200]
        assert await said(running, chunked(RIGHT), stranger, chunked(), known) == [
            200, 401, 401, 200,
        ]  # fmt: skip


TRAILERS = "X-A: 1\r\nAuthorization: Bearer right\r\n"


async def test_trailers_are_no_headers() -> None:
    """What stands behind a chunked body is neither its own request's credential nor the next
    one's, in whatever pieces it comes; the connection may end instead."""
    async with otlp() as running:
        for first, status in ((chunked(RIGHT, TRAILERS), 200), (chunked("", TRAILERS), 401)):
            assert await said(running, first, request(), request(RIGHT)) == [status, 401, 200]
            assert await said(running, first, chunked(), chunked()) == [status, 401, 401]
            assert await said(running, first + request(), at_once=2) == [status]
            for cut in (1, 25, 60):
                start, rest = request()[:cut], request()[cut:]
                assert await said(running, first + start, rest) == [status]


TARGETS = (
    "//v1/traces", "/v1/traces/", "/v1%2ftraces", "/%76%31/traces", "/x/../v1/traces",
    "/v1/traces?x=1", "http://127.0.0.1/v1/traces", "http://u:right@h/v1/traces", "/", "*",
)  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
async def test_targets(target: str) -> None:
    """However a path is written, with whatever method: strangers get 401, or 400 where the
    two do not go together."""
    async with otlp() as running:
        for method in ("POST", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "CONNECT"):
            answers = await said(running, request("", method, target, body=b""))
            assert answers in ([401], [400], [401, 400])
        assert running.taken == 0


UPGRADE = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


async def test_versions_and_upgrades() -> None:
    """Old HTTP and an upgrade to another protocol are no way around; nobody is upgraded."""
    async with otlp() as running:
        assert await said(running, request(version="1.0")) == [401]
        assert await said(running, request(UPGRADE)) == [401]
        assert await said(running, request(RIGHT + UPGRADE), request()) == [200, 401]
        assert await said(running, b"GET /v1/traces\r\n\r\n") in ([], [400])
        for prior in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50),):
            assert await said(running, prior) in ([], [400])
        assert running.taken == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "1\r\nX-B: 2"), ("X-A", "1\n"), ("X A", "1"), ("X-A:", "1"), ("content-length", "0")],
)
def test_response_headers_are_headers(name: str, value: str) -> None:
    """What would be two headers, or would lie about an answer's end, is a fault at the start."""
    with pytest.raises(ValidationError):
        HttpServerConfig(response_headers={name: value})
    assert HttpServerConfig(response_headers={"X-A": "a b\té"}).response_headers == {
        "X-A": "a b\té"
    }
