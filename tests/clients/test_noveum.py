"""noveum-trace, with nothing but its endpoint set (and plain HTTP allowed, which it insists on)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.far_end import Call, check_call, check_failure, check_tree
from tests.clients.support import world

pytestmark = pytest.mark.client


async def test_noveum_trace(tmp_path: Path) -> None:
    """A trace of its JSON, on the path that OTLP has too, arrives as a tree of three spans."""
    async with world(tmp_path) as here:
        await here.run(
            "noveum_trace", "noveum_calls.py", NOVEUM_ENDPOINT=here.url, NOVEUM_API_KEY="nv-1",
            NOVEUM_PROJECT="web", NOVEUM_ALLOW_INSECURE_TRANSPORT="true",
        )  # fmt: skip
    agent, one, wrong = here.spans
    assert agent.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert {one.parent_span_id, wrong.parent_span_id} == {agent.span_id}
    check_tree(here)
    cost = 42 * 0.15e-6 + 17 * 0.6e-6  # its own price list, which knows no cached tokens
    check_call(here, one, Call(cost=cost, cached=None))
    check_failure(here, wrong, "does not exist")
    assert wrong.attributes["error.type"] == "NotFoundError"
