"""Sending prepared requests, bounded in count, and checking that each was taken."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import grpc

CONCURRENCY = 4
_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


async def http(port: int, bodies: list[bytes], count: int, encoding: str | None) -> None:
    """Post `count` requests, cycling over the bodies; a refusal is waited out, as an SDK would."""
    headers = {"content-type": "application/x-protobuf"}
    if encoding:
        headers["content-encoding"] = encoding
    numbers = iter(range(count))

    async def worker(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            while True:
                url = f"http://127.0.0.1:{port}/v1/traces"
                async with session.post(
                    url, data=bodies[number % len(bodies)], headers=headers
                ) as response:
                    await response.read()
                    if response.status == 200:
                        break
                    if response.status != 503:
                        raise RuntimeError(f"unexpected status {response.status}")
                await asyncio.sleep(0.05)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session) for _ in range(CONCURRENCY)))


async def grpc_calls(port: int, bodies: list[bytes], count: int, encoding: str | None) -> None:
    """The same over gRPC."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
    ]
    compression = grpc.Compression.Gzip if encoding else grpc.Compression.NoCompression
    numbers = iter(range(count))

    async def worker() -> None:
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{port}", options=options, compression=compression
        ) as channel:
            export = channel.unary_unary(_METHOD)
            for number in numbers:
                while True:
                    try:
                        await export(bodies[number % len(bodies)])
                        break
                    except grpc.aio.AioRpcError as error:
                        if error.code() is not grpc.StatusCode.UNAVAILABLE:
                            raise
                    await asyncio.sleep(0.05)

    await asyncio.gather(*(worker() for _ in range(CONCURRENCY)))


async def until_refused(port: int, bodies: list[bytes], more: int) -> dict[str, Any]:
    """Post until the first 503, then `more` times: how often it was refused, and how politely."""
    seen = {"accepted": 0, "refused": 0, "with_retry_after": 0, "other": 0}
    deadline = time.monotonic() + 60
    async with aiohttp.ClientSession() as session:
        number = left = 0
        while time.monotonic() < deadline and (seen["refused"] == 0 or left < more):
            async with session.post(
                f"http://127.0.0.1:{port}/v1/traces",
                data=bodies[number % len(bodies)],
                headers={"content-type": "application/x-protobuf"},
            ) as response:
                await response.read()
                if response.status == 200:
                    seen["accepted"] += 1
                elif response.status == 503:
                    seen["refused"] += 1
                    seen["with_retry_after"] += "Retry-After" in response.headers
                else:
                    seen["other"] += 1
            number += 1
            left += seen["refused"] > 0
    return seen
