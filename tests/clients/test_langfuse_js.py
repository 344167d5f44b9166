"""Langfuse's JavaScript SDKs, the last with batches and the current one; only the host is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.far_end import check_tree
from tests.clients.support import world
from tests.clients.test_langfuse import check_pieces, check_spans

pytestmark = pytest.mark.node_client


async def test_langfuse_js_3(tmp_path: Path) -> None:
    """Pieces in batches become one span each, as from Python."""
    async with world(tmp_path) as here:
        await here.run_node("langfuse_js_3", LANGFUSE_BASEURL=here.url)
    names = ["answer", "cache-miss", "failed", "retrieve"]
    assert sorted(span.name for span in here.spans) == names
    check_tree(here)
    check_pieces(here)


async def test_langfuse_js_5(tmp_path: Path) -> None:
    """Spans over OTLP/JSON and scores in a batch arrive with the ids that the SDK gave them."""
    async with world(tmp_path) as here:
        await here.run_node("langfuse_js_5", LANGFUSE_BASE_URL=here.url)
    assert [span.name for span in here.spans] == ["ask", "answer", "OpenAI.chat", "OpenAI.chat"]
    check_tree(here)
    check_spans(here, *here.named("OpenAI.chat"))
