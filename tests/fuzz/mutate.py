"""What to throw at the doors: real requests as seeds, and ways to spoil them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Final, NamedTuple

from genai_collector.formats.otlp import decode, encode_json
from genai_collector.model import Signal
from tests.receivers.harness import captures, protobuf_request
from tests.support.captures import FIXTURES, SHARED

_MAX_SEED_BYTES: Final = 20_000
_SEEDS_PER_SIGNAL: Final = 4


class Seed(NamedTuple):
    """A valid request."""

    name: str
    signal: Signal
    body: bytes
    is_json: bool = False


def _both(name: str, signal: Signal, body: bytes) -> list[Seed]:
    document = encode_json(signal, decode(signal, body))
    return [Seed(name, signal, body), Seed(f"{name}.json", signal, document, is_json=True)]


def _recorded() -> list[Seed]:
    folders = (SHARED / "captures" / "openlit", FIXTURES / "otlp")
    found = [pair for folder in folders if folder.is_dir() for pair in captures(folder)]
    seeds: list[Seed] = []
    for signal in Signal:
        bodies = [(path.stem, path.read_bytes()) for kind, path in found if kind is signal]
        fitting = [(name, body) for name, body in bodies if 0 < len(body) <= _MAX_SEED_BYTES]
        for name, body in fitting[:: max(1, len(fitting) // _SEEDS_PER_SIGNAL)]:
            seeds += _both(name, signal, body)
    return seeds


def _made() -> list[Seed]:
    return [
        seed
        for signal in Signal
        for seed in _both(f"made.{signal}", signal, protobuf_request(signal))
    ]


SEEDS: Final = _made() + _recorded()

_WORDS: Final = [
    b"\xff" * 10, b"\x00", b"\x80" * 9 + b"\x01", b"null", b"-1", b"1e999", b"NaN", b"\"", b"{",
    b"]", b"18446744073709551616", b"\\ud800", b"\xed\xa0\x80", b"true", b"[[[[", b"{}", b"\"\"",
]  # fmt: skip


def _flip(body: bytearray, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)


def _overwrite(body: bytearray, rng: random.Random) -> None:
    body[rng.randrange(len(body))] = rng.randrange(256)


def _cut(body: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(body))
    del body[at : at + rng.randint(1, len(body))]


def _double(body: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(body))
    end = rng.randint(start, len(body))
    body[start:start] = body[start:end]


def _insert(body: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(body))
    body[at:at] = rng.choice(_WORDS)


def _splice(body: bytearray, rng: random.Random) -> None:
    other = rng.choice(SEEDS).body
    body[rng.randrange(len(body)) :] = other[rng.randrange(len(other)) :]


def _swap_json_value(body: bytearray, rng: random.Random) -> None:
    """Puts a value of another type somewhere into a JSON document."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        _flip(body, rng)
        return
    node = document
    while isinstance(node, dict | list) and node:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = rng.choice(keys)
        if rng.random() < 0.2 or not isinstance(node[key], dict | list):
            node[key] = rng.choice([None, True, -1, 1.5, "", "x", [], {}, [None], {"x": 1}, 2**70])
            break
        node = node[key]
    body[:] = json.dumps(document).encode()


_WAYS: Final[list[Callable[[bytearray, random.Random], None]]] = [
    _flip, _overwrite, _cut, _double, _insert, _splice, _swap_json_value,
]  # fmt: skip


def mutate(seed: bytes, rng: random.Random) -> bytes:
    """The seed, spoilt in one to four ways; never more than a few times its size."""
    body = bytearray(seed)
    for _ in range(rng.choice([1, 1, 2, 4])):
        if body:
            rng.choice(_WAYS)(body, rng)
    return bytes(body[: 4 * _MAX_SEED_BYTES])
