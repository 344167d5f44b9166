"""Attacks with connections and headers, on bare sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from genai_collector.model import Signal
from tests.attacks.target import MIB, PROTOBUF, TRACES, Target, told
from tests.receivers.harness import protobuf_request

_PATIENCE_S: Final = 10
_HEAD: Final = f"POST {TRACES} HTTP/1.1\r\nHost: x\r\nContent-Type: {PROTOBUF}\r\n".encode()
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})")
BODY: Final = protobuf_request(Signal.TRACES)


class _Said(asyncio.Protocol):
    """Keeps what is answered, also when the connection is reset afterwards."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def answer(self) -> str:
        """Status codes, or `closed` or `silence` without one."""
        statuses = " ".join(status.decode() for status in _STATUS.findall(self.data))
        return statuses or ("closed" if self.closed.is_set() else "silence")


async def _open(target: Target) -> tuple[asyncio.Transport, _Said]:
    loop = asyncio.get_running_loop()
    return await loop.create_connection(_Said, "127.0.0.1", target.http_port)


async def say(
    target: Target, *pieces: bytes, every_s: float = 0.0, half_close: bool = False
) -> str:
    """One connection that says these things, until the other end closes it."""
    transport, said = await _open(target)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            for piece in pieces:
                if said.closed.is_set():
                    break
                transport.write(piece)
                await said.writable.wait()
                if every_s:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(said.closed.wait(), every_s)
            if half_close:
                transport.write_eof()
            await said.closed.wait()
    except TimeoutError:
        pass
    finally:
        transport.abort()
    return said.answer()


async def _many(target: Target, count: int, pieces: Iterable[bytes], every_s: float) -> str:
    said = list(pieces)
    return told(await asyncio.gather(*(say(target, *said, every_s=every_s) for _ in range(count))))


async def slow_header(target: Target, scale: int) -> str:
    return await _many(target, 20 * scale, [_HEAD, *[b"X"] * 200], 0.05)


async def slow_body(target: Target, scale: int) -> str:
    pieces = [_HEAD + b"Content-Length: 1000000\r\n\r\n", *[b"x"] * 200]
    return await _many(target, 20 * scale, pieces, 0.05)


async def idle_connections(target: Target, scale: int) -> str:
    """Three times as many connections as there may be, all silent."""
    opened = [await _open(target) for _ in range(300)]
    await asyncio.sleep(0.5)
    held = target.open_files()
    assert held < 100 + 60, held
    async with asyncio.timeout(_PATIENCE_S):
        await asyncio.gather(*(said.closed.wait() for _, said in opened))
    return told(said.answer() for _, said in opened)


async def huge_header(target: Target, scale: int) -> str:
    return await say(target, _HEAD + b"X-Big: " + b"x" * MIB + b"\r\n\r\n")


async def many_headers(target: Target, scale: int) -> str:
    return await say(target, _HEAD + b"X-Y: z\r\n" * 10_000 + b"\r\n")


async def endless_line(target: Target, scale: int) -> str:
    return await say(target, *[b"A" * MIB] * 32)


async def cut_short(target: Target, scale: int) -> str:
    """A body shorter than it says, and then a half-closed socket."""
    head = _HEAD + b"Content-Length: 1000000\r\n\r\n"
    one = say(target, head + BODY, half_close=True)
    return told(await asyncio.gather(*[one, *(say(target, head) for _ in range(5))]))


async def too_much(target: Target, scale: int) -> str:
    """More bytes than Content-Length: the rest is another request, and none."""
    half = len(BODY) // 2
    head = _HEAD + b"Content-Length: %d\r\n\r\n" % half
    return await say(target, head + BODY)


async def chunked_garbage(target: Target, scale: int) -> str:
    head = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    bodies = [
        b"zz\r\n\r\n",
        b"-5\r\nhello\r\n",
        b"5\r\nhel",
        b"f" * 40 + b"\r\n",
        b"5;" + b"x" * MIB,
    ]
    return told(await asyncio.gather(*(say(target, head + body) for body in bodies)))


async def smuggling(target: Target, scale: int) -> str:
    """Both lengths, two lengths, odd encodings of transfer, odd spaces."""
    inner = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    length = b"Content-Length: %d\r\n" % len(inner)
    chunked = b"Transfer-Encoding: chunked\r\n"
    heads = [
        length + chunked,
        chunked + length,
        length + b"Content-Length: 3\r\n",
        length + b"Transfer-Encoding: xchunked\r\n",
        length + b"Transfer-Encoding : chunked\r\n",
        length + b"Transfer-Encoding:\x0bchunked\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        chunked + b"Transfer-Encoding: identity\r\n",
    ]
    answers = [await say(target, _HEAD + head + b"\r\n" + inner) for head in heads]
    assert not any("404" in answer for answer in answers), answers
    return told(answers)


async def pipelining(target: Target, scale: int) -> str:
    """Thousands of requests on one connection, and no answer is read."""
    transport, said = await _open(target)
    transport.pause_reading()
    one = _HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    with suppress(TimeoutError):
        async with asyncio.timeout(3):
            while not said.closed.is_set():
                transport.write(one * 100)
                await said.writable.wait()
                await asyncio.sleep(0)
    transport.abort()
    return "answered, not read"


async def not_http(target: Target, scale: int) -> str:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    return told([await say(target, text) for text in (hello, preface, b"\x00" * 5000 + b"\r\n")])
