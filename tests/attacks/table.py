"""The table of attacks, and what runs it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from tests.attacks import bodies, calls, connections
from tests.attacks.target import MAX_IN_FLIGHT_MIB, Target, good_client, parts, told


class Attack(NamedTuple):
    """What is sent, and the worst that may come of it."""

    name: str
    run: Callable[[Target, int], Awaitable[str]]
    """Attacks, harder with a greater scale; says what was answered."""
    answers: frozenset[str]
    """Each of the answers is one of these."""
    max_growth_mib: int = 80
    max_s: float = 8.0
    others_wait: bool = False
    """Whether good clients may be told 503 meanwhile."""
    long: bool = False
    """Too long for the short form."""


def _of(*answers: str) -> frozenset[str]:
    return frozenset(answers)


ATTACKS: Final = (
    Attack("header dribbled on many connections", connections.slow_header, _of("closed")),
    Attack("body dribbled on many connections", connections.slow_body, _of("408")),
    Attack("300 silent connections, 100 allowed", connections.idle_connections, _of("closed")),
    Attack("1 MiB header", connections.huge_header, _of("400", "closed")),
    Attack("10 000 headers", connections.many_headers, _of("400", "closed")),
    Attack("request line of 32 MiB", connections.endless_line, _of("400", "closed")),
    Attack(
        "shorter than Content-Length, half-closed",
        connections.cut_short, _of("408", "closed"), long=True,
    ),
    Attack("longer than Content-Length", connections.too_much, _of("400 400", "400")),
    Attack("broken chunks", connections.chunked_garbage, _of("400", "408", "closed")),
    Attack("request smuggling, 9 shapes", connections.smuggling, _of("400", "400 400")),
    Attack("pipelining, answers not read", connections.pipelining,
        _of("answered", "not read"), others_wait=True, long=True),
    Attack("TLS, HTTP/2 and zeros to HTTP", connections.not_http, _of("400", "closed")),
    Attack("endless chunked body", bodies.endless_body, _of("413", "closed"), 200),
    Attack(
        f"12 bodies of 40 MiB at once, {MAX_IN_FLIGHT_MIB} MiB allowed",
        bodies.many_large_bodies,
        _of("400", "408", "413", "503", "closed"),
        2 * MAX_IN_FLIGHT_MIB + 60,
        25,
        others_wait=True,
        long=True,
    ),
    Attack(
        "256 MiB in a bomb: gzip, deflate, zstd; 4 routes",
        bodies.bombs, _of("413", "503"), 450, 12, others_wait=True,
    ),
    Attack("two Content-Encoding lines", bodies.two_codings, _of("415")),
    Attack("JSON 100 000 deep, 7 routes", bodies.deep_json, _of("400")),
    Attack("values 800 deep, 6 routes", bodies.deep_values, _of("200", "202", "207", "400"), 60),
    Attack("30 million empty messages", bodies.tiny_items, _of("413"), 300, 15),
    Attack("5 million empty objects, 7 routes", bodies.tiny_json, _of("413"), 120, 12),
    Attack("one value of 60 MiB", bodies.giant_value, _of("200"), 400),
    Attack("100 000 attributes of one name", bodies.same_key, _of("200"), 200),
    Attack("protobuf 5000 deep", bodies.deep_protobuf, _of("400")),
    Attack("gRPC: 256 KiB of metadata", calls.huge_metadata, _of("RESOURCE_EXHAUSTED")),
    Attack(
        "gRPC: 500 calls without a message, 64 allowed",
        calls.many_streams, _of("DEADLINE_EXCEEDED", "UNAVAILABLE"),
    ),
    Attack(
        "gRPC: thousands of calls cancelled at once",
        calls.reset_flood, _of("CANCELLED", "UNAVAILABLE"),
    ),
    Attack(
        "gRPC: 50 messages of 30 MiB at once",
        calls.many_messages,
        _of("OK", "UNAVAILABLE", "DEADLINE_EXCEEDED"), 2000, 25, others_wait=True, long=True,
    ),
    Attack("gRPC: 30 million empty messages", calls.tiny_items, _of("RESOURCE_EXHAUSTED"), 350, 15),
    Attack(
        "gRPC: 300 silent connections, 100 allowed",
        calls.silent_connections,
        _of("OK meanwhile", "UNAVAILABLE meanwhile", "OK afterwards"),
        max_s=15,
    ),
)  # fmt: skip


class Outcome(NamedTuple):
    """What one attack did."""

    attack: Attack
    answer: str
    growth_mib: float
    seconds: float
    served: int
    unserved: str
    slowest_s: float

    def faults(self) -> list[str]:
        """What was worse than it may be."""
        attack = self.attack
        known = parts(self.answer).keys() <= attack.answers
        checks = {
            f"answered {self.answer}": known,
            f"grew by {self.growth_mib:.0f} MiB": self.growth_mib <= attack.max_growth_mib,
            f"took {self.seconds:.1f} s": self.seconds <= attack.max_s,
            f"not served: {self.unserved}": not self.unserved or attack.others_wait,
            "nobody was served": self.served > 0,
        }
        return [f"{attack.name}: {fault}" for fault, holds in checks.items() if not holds]

    def row(self) -> str:
        others = f"{self.served}, slowest {self.slowest_s * 1000:.0f} ms"
        if self.unserved:
            others += f", not served: {self.unserved}"
        return (
            f"| {self.attack.name} | {self.answer} | {max(0, self.growth_mib):.0f} MiB "
            f"| {self.seconds:.1f} s | {others} |"
        )


HEADER: Final = (
    "| Sent | Answered | Memory | Time | Others served meanwhile |\n|---|---|---|---|---|"
)


async def run(target: Target, attack: Attack, scale: int) -> Outcome:
    """One attack, with somebody else being served meanwhile."""
    target.forget_peak()
    before = target.memory_mib("VmRSS")
    async with good_client(target) as client:
        began = time.monotonic()
        answer = await attack.run(target, scale)
        seconds = time.monotonic() - began
    growth = target.memory_mib("VmHWM") - before
    served = client.answers.pop("200", 0)
    unserved = told(client.answers.elements())
    return Outcome(attack, answer, growth, seconds, served, unserved, client.slowest_s)
