"""memory_limiter: refuses before anything is read."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import Any

import pytest
from pydantic import ValidationError

from genai_collector.errors import Overloaded
from genai_collector.processors.memory_limiter import (
    FACTORY,
    Limits,
    MemoryLimiter,
    MemoryLimiterConfig,
    collect_garbage,
    limits_of,
)
from tests.processors.items import span, spans
from tests.support.fakes import FakeClock, make_context

MIB = 1024 * 1024
AVAILABLE = 1000 * MIB


class Machine:
    """A process of 1000 MiB whose memory is what the test says."""

    def __init__(self, **options: Any) -> None:
        self.rss_mib = 0
        self.read = 0
        self.collected = 0
        self.frees_mib = 0
        self.clock = FakeClock()
        self.limiter = MemoryLimiter(
            MemoryLimiterConfig.model_validate(options),
            make_context("memory_limiter", clock=self.clock),
            rss=self._rss,
            available=lambda: AVAILABLE,
            collect=self._collect,
        )

    def _rss(self) -> int:
        self.read += 1
        return self.rss_mib * MIB

    def _collect(self) -> None:
        self.collected += 1
        self.rss_mib -= self.frees_mib

    def admits(self, size: int = 1) -> bool:
        try:
            with self.limiter.admit(size):
                return True
        except Overloaded:
            return False


LIMITS: list[Any] = [
    ({}, Limits(600, 750)),
    ({"limit_mib": 500}, Limits(400, 500)),
    ({"limit_mib": 500, "spike_limit_mib": 0}, Limits(500, 500)),
    ({"limit_mib": 500, "limit_percentage": 10}, Limits(400, 500)),
    ({"limit_percentage": 50, "spike_limit_percentage": 30}, Limits(200, 500)),
    ({"limit_percentage": 50, "spike_limit_mib": 900}, Limits(0, 500)),
]


@pytest.mark.parametrize(("options", "expected"), LIMITS)
def test_limits(options: dict[str, Any], expected: Limits) -> None:
    """MiB win over percent, the default is 75 %, a spike is 20 % of the limit."""
    soft, hard = limits_of(MemoryLimiterConfig.model_validate(options), AVAILABLE)
    assert (soft // MIB, hard // MIB) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"limit_mib": 100, "spike_limit_mib": 100},
        {"limit_percentage": 50, "spike_limit_percentage": 60},
        {"limit_percentage": 0},
        {"limit_percentage": 101},
        {"limit_mib": 0},
        {"in_flight_limit": 0},
    ],
)
def test_impossible_limits(options: dict[str, Any]) -> None:
    """Limits that cannot work are refused while the configuration is read."""
    with pytest.raises(ValidationError):
        MemoryLimiterConfig.model_validate(options)


def test_refuses_above_the_soft_limit_and_recovers() -> None:
    """Above limit - spike it refuses with a time to come back, below it admits again."""
    machine = Machine(limit_mib=500, check_interval="2s")
    machine.rss_mib = 400
    assert machine.admits()
    machine.rss_mib = 401
    machine.clock.advance(2)
    with pytest.raises(Overloaded, match="high memory usage") as caught:
        machine.limiter.admit(1).__enter__()
    assert caught.value.retry_after == 2
    machine.rss_mib = 300
    machine.clock.advance(2)
    assert machine.admits()


def test_memory_is_read_once_per_interval() -> None:
    """Between two readings the decision stands; an interval of 0 reads each time."""
    machine = Machine(limit_mib=500, spike_limit_mib=0, check_interval="1s")
    for _ in range(5):
        assert machine.admits()
    assert machine.read == 1
    machine.rss_mib = 900
    assert machine.admits()
    machine.clock.advance(1)
    assert not machine.admits()
    always = Machine(limit_mib=500, check_interval="0s")
    assert always.admits()
    always.rss_mib = 900
    assert not always.admits()


def test_garbage_is_collected_at_most_every_so_often() -> None:
    """Soft limit: every 10 s, hard limit: every 5 s; what it frees counts at once."""
    machine = Machine(limit_mib=500, check_interval="1s")
    machine.rss_mib = 450
    collected = []
    for _ in range(12):
        assert not machine.admits()
        collected.append(machine.collected)
        machine.clock.advance(1)
    assert collected == [1] * 10 + [2] * 2
    machine.rss_mib = 600
    machine.clock.advance(3)
    assert not machine.admits()
    assert machine.collected == 3
    machine.frees_mib = 500
    machine.clock.advance(5)
    assert machine.admits()


def test_in_flight_bytes() -> None:
    """The sum of requests being processed is bounded; a finished one gives its share back."""
    machine = Machine(in_flight_limit="10MiB")
    with ExitStack() as held:
        held.enter_context(machine.limiter.admit(6 * MIB))
        assert not machine.admits(5 * MIB)
        assert machine.admits(4 * MIB)
    assert machine.admits(5 * MIB)


def test_one_large_request_alone_is_admitted() -> None:
    """A request over the limit is not refused for ever: it gets through when it is alone."""
    machine = Machine(in_flight_limit="1MiB")
    with machine.limiter.admit(5 * MIB):
        assert not machine.admits(1)
    with pytest.raises(ZeroDivisionError), machine.limiter.admit(5 * MIB):
        _ = 1 // 0
    assert machine.admits(5 * MIB)


async def test_says_when_it_begins_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    """One line at each change and one when configured, none per request."""
    caplog.set_level(logging.INFO)
    machine = Machine(limit_mib=500, check_interval="0s")
    async with machine.limiter:
        for rss in (100, 450, 460, 470, 100, 100):
            machine.rss_mib = rss
            machine.admits()
    assert [(line.levelname, line.message.split(".")[0]) for line in caplog.records] == [
        ("INFO", "Memory limiter configured"),
        ("WARNING", "Memory usage is above soft limit"),
        ("INFO", "Memory usage back within limits"),
    ]


def test_passes_batches_through() -> None:
    """Batches that were admitted are left alone, and the real memory reading works."""
    limiter = FACTORY.create(MemoryLimiterConfig(limit_percentage=100), make_context())
    batch = spans(span())
    assert limiter.process(batch) is batch
    assert FACTORY.shared
    collect_garbage()
