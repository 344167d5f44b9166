"""Throws spoilt requests at every route of a real collector for FUZZ_SECONDS (60); exits 1 on a
violation.

    python -m tests.fuzz.fuzz_routes [SEED]

A violation is an answer of 500 or none within ten seconds, a collector that ends or logs a bug, or
memory that keeps growing. The bytes that did it are printed in hex, with the SEED.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

import aiohttp

from genai_collector.transport.compression import compress
from tests.attacks.target import Target, target
from tests.fuzz.decoders import DECODERS
from tests.fuzz.mutate import mutate

_PATIENCE_S: Final = 10.0
_WARM_UP: Final = 1000
_MAX_GROWTH_MIB: Final = 100
_ENCODINGS: Final = ["", "", "", "gzip", "deflate", "zstd"]
_ANSWERS: Final = frozenset({200, 201, 202, 207, 400, 413, 415, 422, 503})


class Violation(Exception):
    """The collector did what it must not."""


async def _one(session: aiohttp.ClientSession, one: Target, rng: random.Random) -> str:
    decoder = rng.choice(DECODERS)
    body = mutate(rng.choice(decoder.seeds), rng)
    encoding = rng.choice(_ENCODINGS)
    if encoding:
        body = compress(encoding, body)
        if rng.random() < 0.3:
            body = mutate(body, rng)
    headers = {"Content-Type": decoder.media, "Content-Encoding": encoding}
    url = one.url(decoder.path)
    try:
        async with session.post(url, data=body, headers=headers) as response:
            await response.read()
    except (aiohttp.ClientError, TimeoutError) as exc:
        raise Violation(f"{decoder.name}: {type(exc).__name__}: {encoding} {body.hex()}") from exc
    if response.status not in _ANSWERS:
        raise Violation(f"{decoder.name}: {response.status}: {encoding} {body.hex()}")
    return f"{decoder.name} {response.status}"


async def fuzz(seed: int, seconds: float) -> Counter[str]:
    """Count of each answer. Raises Violation."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    baseline = 0.0
    timeout = aiohttp.ClientTimeout(_PATIENCE_S)
    with tempfile.TemporaryDirectory() as directory:
        async with (
            target(Path(directory)) as one,
            aiohttp.ClientSession(timeout=timeout) as session,
        ):
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                counts[await _one(session, one, rng)] += 1
                if counts.total() == _WARM_UP:
                    baseline = one.memory_mib("VmRSS")
            grown = one.memory_mib("VmRSS") - baseline if baseline else 0
    if grown > _MAX_GROWTH_MIB:
        raise Violation(f"grew by {grown:.0f} MiB")
    if any("bug in the collector" in line for line in one.process.log):
        raise Violation("".join(one.process.log)[-4000:])
    return counts


def main() -> int:
    """The exit code: 0, or 1 after a violation."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(2**32)
    seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
    print(f"fuzzing {len(DECODERS)} routes for {seconds:g} s, seed {seed}")  # noqa: T201
    try:
        counts = asyncio.run(fuzz(seed, seconds))
    except Violation as exc:
        print(f"VIOLATION with seed {seed}: {exc}", file=sys.stderr)  # noqa: T201
        return 1
    for answer, count in sorted(counts.items()):
        print(f"{count:8} {answer}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
