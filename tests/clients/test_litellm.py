"""LiteLLM's callbacks: `langfuse` of both generations, `otel` and the generic API."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from genai_collector.model import Span
from tests.clients.far_end import Call, check_call, check_failure, litellm_of
from tests.clients.support import World, world

pytestmark = pytest.mark.client

COST: Final = 26 * 0.15e-6 + 16 * 0.075e-6 + 17 * 0.6e-6
CALL: Final = Call(cost=COST, user="user-1", session="session-1", tags=("beta", "web"))
QUIET: Final = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}


def three_calls(spans: list[Span]) -> tuple[Span, Span, Span]:
    """The plain, the streamed and the failed call, and no fourth."""
    first, second, third = (s for s in spans if "gen_ai.operation.name" in s.attributes)
    return first, second, third


def check_three(here: World, plain: Call, streamed: Call, *, in_status: bool = True) -> None:
    one, two, wrong = three_calls(here.spans)
    check_call(here, one, plain)
    assert one.attributes["gen_ai.request.temperature"] == 0.3
    check_call(here, two, streamed)
    assert two.attributes["gen_ai.request.stream"] is True
    assert litellm_of(here, two)["stream"] is True
    check_failure(here, wrong, "does not exist", in_status=in_status)


@pytest.mark.parametrize(
    ("environment", "answered"), [("litellm", None), ("litellm_langfuse_2", "gpt-4o-mini")]
)
async def test_litellm_langfuse(environment: str, answered: str | None, tmp_path: Path) -> None:
    """The `langfuse` callback: OTLP of Langfuse's SDK 4 now, batches of its SDK 2 before."""
    async with world(tmp_path) as here:
        await here.run(
            environment, "litellm_calls.py",
            LITELLM_CALLBACK="langfuse", LANGFUSE_HOST=here.url, **QUIET,
        )  # fmt: skip
    call = replace(CALL, answered=answered)
    check_three(here, call, call)
    assert {span.attributes["langfuse.trace.name"] for span in here.spans} == {"support"}


async def test_litellm_otel(tmp_path: Path) -> None:
    """The `otel` callback, which tells no session and no tags; cached tokens only in its metadata,
    the message of a failure only in an attribute."""
    async with world(tmp_path) as here:
        await here.run(
            "litellm", "litellm_calls.py", LITELLM_CALLBACK="otel",
            OTEL_EXPORTER="otlp_http", OTEL_ENDPOINT=here.url, **QUIET,
        )  # fmt: skip
    call = Call(cost=COST, user="user-1", answered="gpt-4o-mini")
    check_three(here, replace(call, answered="gpt-4o-mini-2024-07-18"), call, in_status=False)


async def test_litellm_generic(tmp_path: Path) -> None:
    """The generic API logger's payloads; written as LiteLLM's again they are what was sent."""
    async with world(tmp_path) as here:
        await here.run(
            "litellm", "litellm_calls.py", LITELLM_CALLBACK="generic_api",
            GENERIC_LOGGER_ENDPOINT=f"{here.url}/litellm", **QUIET,
        )  # fmt: skip
    streamed = replace(CALL, answered="gpt-4o-mini")
    check_three(here, replace(CALL, answered="gpt-4o-mini-2024-07-18"), streamed)
    assert {payload["call_type"] for payload in here.litellm} == {"acompletion"}
    assert all(payload["model_map_information"] is not None for payload in here.litellm[:2])
