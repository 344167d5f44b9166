"""Attacks over gRPC."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from genai_collector.model import Signal
from tests.attacks.bodies import field, span
from tests.attacks.connections import BODY
from tests.attacks.target import MIB, Target, told
from tests.receivers.harness import METHODS, protobuf_request

_METHOD = METHODS[Signal.TRACES]


async def _code(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as exc:
        return str(exc.code().name)
    except asyncio.CancelledError:
        return "CANCELLED"
    return "OK"


def _channel(target: Target) -> grpc.aio.Channel:
    """A connection of its own."""
    return grpc.aio.insecure_channel(
        target.grpc,
        options=[("grpc.use_local_subchannel_pool", 1), ("grpc.max_metadata_size", 16 * MIB)],
    )


async def huge_metadata(target: Target, scale: int) -> str:
    async with _channel(target) as channel:
        metadata = (("x-big", "x" * 256 * 1024),)
        return await _code(channel.unary_unary(_METHOD)(BODY, metadata=metadata, timeout=10))


async def many_streams(target: Target, scale: int) -> str:
    """Calls that are begun, and no message follows."""
    async with _channel(target) as channel:
        begun = [channel.stream_unary(_METHOD)(timeout=20) for _ in range(500)]
        return told(await asyncio.gather(*map(_code, begun)))


async def reset_flood(target: Target, scale: int) -> str:
    """Calls that are cancelled as soon as they are begun."""
    codes: list[str] = []
    async with _channel(target) as channel:
        for _ in range(20 * scale):
            begun = [channel.stream_unary(_METHOD)() for _ in range(100)]
            await asyncio.gather(*(call.wait_for_connection() for call in begun[:1]))
            for call in begun:
                call.cancel()
            codes += await asyncio.gather(*map(_code, begun))
    return told(codes)


async def many_messages(target: Target, scale: int) -> str:
    """Fifty messages of thirty MiB at once."""
    body = protobuf_request(Signal.TRACES, 1, "x" * (30 * MIB))
    async with _channel(target) as channel:
        begun = [channel.unary_unary(_METHOD)(body, timeout=20) for _ in range(50)]
        return told(await asyncio.gather(*map(_code, begun)))


async def tiny_items(target: Target, scale: int) -> str:
    async with _channel(target) as channel:
        bodies = [field(1, field(2, b"\x12\x00" * (30 * MIB))), span(b"\x4a\x00" * (30 * MIB))]
        calls = [channel.unary_unary(_METHOD)(body, timeout=30) for body in bodies]
        return told([await _code(call) for call in calls])


async def silent_connections(target: Target, scale: int) -> str:
    """Three times as many connections as there may be, which do not speak HTTP/2."""
    opened = [await asyncio.open_connection("127.0.0.1", target.grpc_port) for _ in range(300)]
    await asyncio.sleep(0.5)
    held = target.open_files()
    assert held < 100 + 60, held
    async with _channel(target) as channel:
        meanwhile = await _code(channel.unary_unary(_METHOD)(BODY, timeout=5))
    for _, writer in opened:
        writer.close()
    async with _channel(target) as channel:
        after = await _code(channel.unary_unary(_METHOD)(BODY, timeout=10, wait_for_ready=True))
    return f"{meanwhile} meanwhile, {after} afterwards"
