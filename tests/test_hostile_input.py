"""Garbage at every door: a 4xx or success within a moment, never a 500, a hang or growth."""

from __future__ import annotations

import asyncio
import gc
import io
import resource
import tracemalloc
import zlib

import aiohttp
import grpc
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.model import Signal
from genai_collector.transport.compression import compress
from tests.fuzz.mutate import SEEDS, mutate
from tests.receivers.harness import METHODS, PATHS, Running, receiving

MIB = 1024 * 1024
MEDIA = {"protobuf": "application/x-protobuf", "json": "application/json"}
PATIENCE_S = 20

GRPC_ANSWERS = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


async def _post_all(running: Running, body: bytes, encoding: str) -> set[int]:
    """The body to every route, as protobuf and as JSON."""
    statuses: set[int] = set()
    async with aiohttp.ClientSession() as session:
        for path in PATHS.values():
            for media in MEDIA.values():
                headers = {"Content-Type": media}
                if encoding:
                    headers["Content-Encoding"] = encoding
                url = running.http + path
                async with session.post(url, data=io.BytesIO(body), headers=headers) as response:
                    await response.read()
                    statuses.add(response.status)
    return statuses


async def _call_all(running: Running, body: bytes) -> set[grpc.StatusCode]:
    """The body to every service."""
    codes: set[grpc.StatusCode] = set()
    async with grpc.aio.insecure_channel(running.grpc) as channel:
        for method in METHODS.values():
            try:
                await channel.unary_unary(method)(body)
                codes.add(grpc.StatusCode.OK)
            except grpc.aio.AioRpcError as exc:
                codes.add(exc.code())
    return codes


def _throw(bodies: list[tuple[bytes, str]]) -> None:
    """Every body at every door; whatever was accepted must also be readable behind it."""

    async def main() -> None:
        async with asyncio.timeout(PATIENCE_S), receiving() as running:
            for body, encoding in bodies:
                statuses = await _post_all(running, body, encoding)
                assert statuses <= {200, 400, 413}, (statuses, body[:200])
                codes = await _call_all(running, body)
                assert codes <= GRPC_ANSWERS, (codes, body[:200])
            for batch in running.batches:
                items = batch.clone()
                if batch.signal is Signal.TRACES:
                    items.view_spans()
                elif batch.signal is Signal.METRICS:
                    items.view_metrics()
                else:
                    items.view_logs()

    asyncio.run(main())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6))
def test_random_bytes(bodies: list[bytes]) -> None:
    """Bytes of any kind."""
    _throw([(body, "") for body in bodies])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_mutated_requests(data: st.DataObject) -> None:
    """Real requests with bytes flipped, cut, doubled, inserted and spliced."""
    seed = data.draw(st.sampled_from(SEEDS)).body
    randomness = data.draw(st.randoms(use_true_random=False))
    _throw([(mutate(seed, randomness), "") for _ in range(4)])


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from(["gzip", "deflate", "zstd"]))
def test_mutated_compressed_requests(data: st.DataObject, encoding: str) -> None:
    """The same under a compression that may be damaged itself."""
    seed = data.draw(st.sampled_from(SEEDS)).body
    randomness = data.draw(st.randoms(use_true_random=False))
    inside = compress(encoding, mutate(seed, randomness))
    _throw([(inside, encoding), (mutate(inside, randomness), encoding)])


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_truncated_requests(seed: object) -> None:
    """A request cut anywhere."""
    body = getattr(seed, "body", b"")
    step = max(1, len(body) // 25)
    _throw([(body[:cut], "") for cut in range(0, len(body), step)])


DEEP_JSON = {
    "arrays": b"[" * 100_000,
    "closed arrays": b"[" * 100_000 + b"]" * 100_000,
    "objects": b'{"resourceSpans":' * 20_000,
    "values": b'{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":'
    + b'{"arrayValue":{"values":[' * 2_000 + b"]}}" * 2_000 + b"}]}}]}",
    "big integer": b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":'
    + b"9" * 5_000 + b"}]}]}]}",
    "duplicate keys": b"{" + b'"resourceSpans":[],' * 10_000 + b'"resourceSpans":[]}',
    "not UTF-8": b'{"resourceSpans":"\xff\xfe"}',
    "lone surrogate": b'{"resourceSpans":[{"schemaUrl":"\\ud800"}]}',
    "wrong types": b'{"resourceSpans":[{"scopeSpans":{"spans":5}},7,null,[]]}',
}  # fmt: skip


@pytest.mark.parametrize("body", DEEP_JSON.values(), ids=DEEP_JSON)
def test_odd_json(body: bytes) -> None:
    """JSON that is deep, huge in one place or of the wrong shape."""
    _throw([(body, "")])


def _deep_protobuf(levels: int) -> bytes:
    """An AnyValue inside ArrayValues, as a log body."""
    value = b"\x0a\x01x"
    for _ in range(levels):
        for field in (b"\x0a", b"\x2a"):  # ArrayValue.values, AnyValue.array_value
            value = field + _varint(len(value)) + value
    for field in (b"\x2a", b"\x12", b"\x12", b"\x0a"):  # body, log_records, scope_logs, resource
        value = field + _varint(len(value)) + value
    return value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


@pytest.mark.parametrize("levels", [1, 40, 60, 100, 5_000])
def test_deep_protobuf(levels: int) -> None:
    """Nesting that is deeper than any parser's stack."""
    _throw([(_deep_protobuf(levels), "")])


def _bomb(encoding: str, mebibytes: int) -> bytes:
    piece = bytes(MIB)
    writer = (
        zstandard.ZstdCompressor(level=3).compressobj()
        if encoding == "zstd"
        else zlib.compressobj(6, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    )
    return b"".join(writer.compress(piece) for _ in range(mebibytes)) + writer.flush()


async def test_bombs_cost_no_more_than_the_limit() -> None:
    """A quarter GiB in a few KiB, at every door: 413, RESOURCE_EXHAUSTED, and memory stays."""
    limit = 8
    protocols = {
        "http": {"endpoint": "127.0.0.1:0", "max_request_body_size": limit * MIB},
        "grpc": {"endpoint": "127.0.0.1:0", "max_recv_msg_size_mib": limit},
    }
    bombs = {encoding: _bomb(encoding, 256) for encoding in ("gzip", "deflate", "zstd")}
    async with receiving(protocols) as running:
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        tracemalloc.start()
        try:
            for encoding, bomb in bombs.items():
                assert await _post_all(running, bomb, encoding) == {413}
                if encoding != "zstd":  # which gRPC does not know
                    assert await _call_all(running, bomb) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert peak < (limit + 12) * MIB
    assert grown < 100 * 1024  # in KiB


async def test_no_growth() -> None:
    """A thousand refused requests leave nothing behind."""
    body = mutate_to_garbage()
    async with receiving() as running, aiohttp.ClientSession() as session:
        headers = {"Content-Type": MEDIA["protobuf"]}

        async def refuse_many(count: int) -> int:
            for _ in range(count):
                url = running.url(Signal.TRACES)
                async with session.post(url, data=body, headers=headers) as response:
                    assert response.status == 400
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            before = await refuse_many(100)
            after = await refuse_many(1000)
        finally:
            tracemalloc.stop()
    assert after - before < 200_000


def mutate_to_garbage() -> bytes:
    """100 kB that start like a request and are none."""
    return b"\x0a\xff\xff\x05" + b"\xff" * 100_000
