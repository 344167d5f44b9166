"""Throws spoilt requests at every OTLP door for FUZZ_SECONDS (60); exits 1 on a violation.

    python -m tests.fuzz.fuzz_otlp [SEED]

A violation is an answer that is neither success nor a refusal for bad data, an answer that takes
longer than ten seconds, an accepted batch that cannot be read, or memory that keeps growing. The
bytes that did it are printed in hex, with the SEED that leads there again.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import resource
import sys
import time
from collections import Counter
from typing import Final

import aiohttp
import grpc

from genai_collector.model import Batch, Signal
from genai_collector.transport.compression import compress
from tests.fuzz.mutate import SEEDS, mutate
from tests.receivers.harness import METHODS, PATHS, Running, receiving

_PATIENCE_S: Final = 10.0
_WARM_UP: Final = 2000
_MAX_GROWTH_KIB: Final = 100 * 1024
_ENCODINGS: Final = ["", "", "", "gzip", "deflate", "zstd"]
_MEDIA: Final = ["application/x-protobuf", "application/json"]
_HTTP_ANSWERS: Final = frozenset({200, 400, 413})
_GRPC_ANSWERS: Final = frozenset({"OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"})


class Violation(Exception):
    """The receiver did what it must not."""


def _read(batch: Batch) -> None:
    copy = batch.clone()
    if batch.signal is Signal.TRACES:
        copy.view_spans()
    elif batch.signal is Signal.METRICS:
        copy.view_metrics()
    else:
        copy.view_logs()


def _resident_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Fuzzer:
    """One run with one source of randomness."""

    def __init__(
        self, running: Running, session: aiohttp.ClientSession, rng: random.Random
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._running = running
        self._session = session
        self._rng = rng
        self._channel = grpc.aio.insecure_channel(running.grpc)
        self._baseline_kib = 0

    async def close(self) -> None:
        await self._channel.close()

    async def one(self) -> None:
        """One spoilt request. Raises Violation."""
        rng = self._rng
        seed = rng.choice(SEEDS)
        body = mutate(seed.body, rng)
        encoding = rng.choice(_ENCODINGS)
        if encoding:
            body = compress(encoding, body)
            if rng.random() < 0.3:
                body = mutate(body, rng)
        # Mostly the door that the seed is meant for, where more of it is looked at.
        at_home = rng.random() < 0.8
        signal = seed.signal if at_home else rng.choice(list(Signal))
        media = _MEDIA[seed.is_json if at_home else rng.randrange(2)]
        try:
            async with asyncio.timeout(_PATIENCE_S):
                if seed.is_json or rng.random() < 0.6:
                    await self._over_http(signal, body, encoding, media)
                else:
                    await self._over_grpc(signal, body)
            self._read_accepted()
            self._check_memory()
        except TimeoutError as exc:
            raise Violation(
                f"no answer in {_PATIENCE_S} s: {signal} {encoding} {body.hex()}"
            ) from exc
        except Violation as exc:
            raise Violation(f"{exc}: {signal} {encoding} {body.hex()}") from exc

    async def _over_http(self, signal: Signal, body: bytes, encoding: str, media: str) -> None:
        headers = {"Content-Type": media, "Content-Encoding": encoding}
        url = self._running.http + PATHS[signal]
        async with self._session.post(url, data=body, headers=headers) as response:
            await response.read()
        self.counts[f"http {response.status}"] += 1
        if response.status not in _HTTP_ANSWERS:
            raise Violation(f"HTTP {response.status} to {media}")

    async def _over_grpc(self, signal: Signal, body: bytes) -> None:
        try:
            await self._channel.unary_unary(METHODS[signal])(body)
            code = "OK"
        except grpc.aio.AioRpcError as exc:
            code = exc.code().name
        self.counts[f"grpc {code}"] += 1
        if code not in _GRPC_ANSWERS:
            raise Violation(f"gRPC {code}")

    def _read_accepted(self) -> None:
        for consumer in self._running.consumers.values():
            for batch in consumer.batches:
                self.counts["batches read"] += 1
                try:
                    _read(batch)
                except Exception as exc:
                    raise Violation(f"accepted but unreadable: {exc!r}") from exc
            consumer.batches.clear()
            consumer.admitted.clear()

    def _check_memory(self) -> None:
        done = sum(self.counts.values())
        if not self._baseline_kib:
            if done >= _WARM_UP:
                gc.collect()
                self._baseline_kib = _resident_kib()
        elif _resident_kib() - self._baseline_kib > _MAX_GROWTH_KIB:
            raise Violation(f"grew by {_resident_kib() - self._baseline_kib} KiB")


async def _run(seed: int, seconds: float) -> int:
    rng = random.Random(seed)
    async with receiving() as running, aiohttp.ClientSession() as session:
        fuzzer = Fuzzer(running, session, rng)
        ends = time.monotonic() + seconds
        failed = 0
        try:
            while time.monotonic() < ends:
                await fuzzer.one()
        except Violation as exc:
            print(f"VIOLATION with seed {seed}: {exc}", file=sys.stderr)  # noqa: T201
            failed = 1
        finally:
            await fuzzer.close()
        for answer, count in sorted(fuzzer.counts.items()):
            print(f"{count:8} {answer}")  # noqa: T201
    return failed


def main() -> int:
    """The exit code: 0, or 1 after a violation."""
    logging.disable(logging.CRITICAL)
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(2**32)
    seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
    print(f"fuzzing {len(SEEDS)} seeds for {seconds:g} s, seed {seed}")  # noqa: T201
    return asyncio.run(_run(seed, seconds))


if __name__ == "__main__":
    sys.exit(main())
