"""health_check: 200 while everything runs, 503 before and after."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from genai_collector.extensions.health_check import FACTORY, HealthCheck, HealthCheckConfig
from tests.support.fakes import FakeClock, make_context


def _made(clock: FakeClock, **options: Any) -> HealthCheck:
    config = HealthCheckConfig(**{"endpoint": "127.0.0.1:0", **options})
    made = FACTORY.create(config, make_context(clock=clock, wall_clock_ns=clock.now_ns))
    assert isinstance(made, HealthCheck)
    return made


async def test_through_its_life() -> None:
    """503 until ready, 200 with upSince and uptime, 503 again when shutdown begins."""
    clock = FakeClock(1_764_000_000.5)
    health = _made(clock, path="/health")
    async with health, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{health.port}/health"

        async def get() -> tuple[int, dict[str, str]]:
            async with session.get(url) as response:
                return response.status, await response.json()

        status, body = await get()
        assert (status, body["status"]) == (503, "Server not available")
        health.ready()
        clock.advance(3723.5)
        assert await get() == (
            200,
            {
                "status": "Server available",
                "upSince": "2025-11-24T16:00:00.500000Z",
                "uptime": "1h2m3.5s",
            },
        )
        health.not_ready()
        assert (await get())[0] == 503


def test_fixed_bodies() -> None:
    """`response_body` replaces the JSON."""
    health = _made(FakeClock(), response_body={"healthy": "yes", "unhealthy": "no"})
    assert health.answer()[::2] == (503, b"no")
    health.ready()
    assert health.answer()[::2] == (200, b"yes")


@pytest.mark.parametrize("options", [{"endpoint": "nowhere"}, {"path": "health"}, {"port": 1}])
def test_bad_options(options: dict[str, object]) -> None:
    """Faults are found while the configuration is read."""
    with pytest.raises(ValidationError):
        HealthCheckConfig(**options)  # type: ignore[arg-type]
