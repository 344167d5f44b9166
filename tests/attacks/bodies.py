"""Attacks with what is in the bodies, on every route that takes them."""

from __future__ import annotations

import asyncio
import io
import zlib
from collections.abc import AsyncIterator

import aiohttp
import zstandard

from genai_collector.model import Signal
from tests.attacks.connections import say
from tests.attacks.target import (
    INGESTION,
    JSON,
    JSON_ROUTES,
    LANGFUSE_TRACES,
    LITELLM,
    MIB,
    NOVEUM_LOGS,
    PROTOBUF,
    SCORES,
    TRACES,
    Target,
    told,
)
from tests.receivers.harness import protobuf_request


async def post(
    target: Target, path: str, body: bytes | AsyncIterator[bytes], **headers: str
) -> str:
    """The status, or what happened to the connection."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    data = io.BytesIO(body) if isinstance(body, bytes) else body
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30)) as session,
            session.post(target.url(path), data=data, headers=sent) as response,
        ):
            await response.read()
            return str(response.status)
    except (aiohttp.ClientError, OSError) as exc:
        return "closed" if not isinstance(exc, TimeoutError) else "silence"


async def _everywhere(target: Target, body: bytes, **headers: str) -> str:
    answers = [await post(target, path, body, Content_Type=JSON, **headers) for path in JSON_ROUTES]
    return told(answers)


async def _endless(mebibytes: int) -> AsyncIterator[bytes]:
    for _ in range(mebibytes):
        yield bytes(MIB)


async def endless_body(target: Target, scale: int) -> str:
    return await post(target, TRACES, _endless(1000), Content_Type=PROTOBUF)


async def many_large_bodies(target: Target, scale: int) -> str:
    """Forty MiB each, of unknown length, twelve at once."""
    bodies = [_endless(40) for _ in range(12)]
    return told(
        await asyncio.gather(*(post(target, TRACES, one, Content_Type=PROTOBUF) for one in bodies))
    )


def _bomb(encoding: str, mebibytes: int) -> bytes:
    piece = bytes(MIB)
    writer = (
        zstandard.ZstdCompressor(level=3).compressobj()
        if encoding == "zstd"
        else zlib.compressobj(1, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    )
    return b"".join(writer.compress(piece) for _ in range(mebibytes)) + writer.flush()


async def bombs(target: Target, scale: int) -> str:
    """A quarter GiB under each coding, four at once on every route."""
    answers: list[str] = []
    for encoding in ("gzip", "deflate", "zstd"):
        bomb = await asyncio.to_thread(_bomb, encoding, 256)
        answers += await asyncio.gather(
            *(
                post(target, path, bomb, Content_Type=JSON, Content_Encoding=encoding)
                for path in (TRACES, INGESTION, LITELLM, NOVEUM_LOGS)
            )
        )
    return told(answers)


async def two_codings(target: Target, scale: int) -> str:
    head = f"POST {TRACES} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {PROTOBUF}\r\n"
    codings = "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n"
    return await say(target, f"{head}{codings}Content-Length: 2\r\n\r\nxx".encode())


async def deep_json(target: Target, scale: int) -> str:
    levels = 100_000
    return told(
        [
            await _everywhere(target, b"[" * levels + b"]" * levels),
            await _everywhere(target, b'{"a":' * levels + b"1" + b"}" * levels),
        ]
    )


def _deep_value(levels: int) -> bytes:
    """An OTLP attribute of lists in lists."""
    nested = b'{"arrayValue":{"values":[' * levels + b"]}}" * levels
    attribute = b'{"key":"k","value":' + nested + b"}"
    return b'{"resourceSpans":[{"resource":{"attributes":[' + attribute + b"]}}]}"


async def deep_values(target: Target, scale: int) -> str:
    """Nesting that the JSON parser still takes, in what each format keeps as it is."""
    deep = b"[" * 800 + b"]" * 800
    event = (
        b'{"id":"1","type":"trace-create","timestamp":"2025-01-01T00:00:00Z","body":'
        b'{"id":"t","input":' + deep + b"}}"
    )
    return told(
        [
            await post(target, TRACES, _deep_value(400), Content_Type=JSON),
            await post(target, LANGFUSE_TRACES, _deep_value(400), Content_Type=JSON),
            await post(target, INGESTION, b'{"batch":[' + event + b"]}", Content_Type=JSON),
            await post(target, SCORES, b'{"metadata":' + deep + b"}", Content_Type=JSON),
            await post(target, LITELLM, b'{"id":"1","messages":' + deep + b"}", Content_Type=JSON),
            await post(
                target, NOVEUM_LOGS, b'{"id":"1","request":' + deep + b"}", Content_Type=JSON
            ),
        ]
    )


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def span(content: bytes) -> bytes:
    """A traces request of one span with this in it."""
    return field(1, field(2, field(2, content)))


async def tiny_items(target: Target, scale: int) -> str:
    """As many empty items as fit into a body, and into a small one."""
    size = 60 * MIB
    return told(
        [
            await post(target, TRACES, body, Content_Type=media)
            for media, body in (
                (PROTOBUF, field(1, field(2, b"\x12\x00" * (size // 2)))),
                (PROTOBUF, span(b"\x4a\x00" * (size // 2))),
                (PROTOBUF, b"\x0a\x00" * (size // 2)),
                (JSON, b'{"resourceSpans":[' + b"{}," * (size // 3) + b"{}]}"),
            )
        ]
    )


async def tiny_json(target: Target, scale: int) -> str:
    """A list of millions of empty objects on every route."""
    return await _everywhere(target, b"[" + b"{}," * (16 * MIB // 3) + b"{}]")


async def giant_value(target: Target, scale: int) -> str:
    body = protobuf_request(Signal.TRACES, 1, "x" * (60 * MIB))
    return await post(target, TRACES, body, Content_Type=PROTOBUF)


async def same_key(target: Target, scale: int) -> str:
    """A hundred thousand attributes of one name, and as many with a name of their own."""
    value = field(2, field(1, b"v"))
    same = b"".join(field(9, field(1, b"key") + value) for _ in range(100_000))
    other = b"".join(field(9, field(1, b"key%d" % at) + value) for at in range(100_000))
    ids = field(1, b"1" * 16) + field(2, b"2" * 8)
    return told(
        [
            await post(target, TRACES, span(ids + one), Content_Type=PROTOBUF)
            for one in (same, other)
        ]
    )


async def deep_protobuf(target: Target, scale: int) -> str:
    value = b"\x0a\x01x"
    for _ in range(5000):
        value = field(5, field(1, value))
    return await post(target, TRACES, span(field(9, field(2, value))), Content_Type=PROTOBUF)
