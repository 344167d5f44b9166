"""Langfuse's Python SDKs, the last that sends batches and the current one: only the host is set."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from genai_collector.model import Span
from tests.clients.far_end import Call, check_call, check_failure, check_tree, langfuse_of, trace_of
from tests.clients.support import ANSWER, World, world

ASKED: Final = Call(
    answer="It gathers.", cost=0.003, user="user-1", session="session-1", tags=("beta", "web")
)


async def test_langfuse_2(tmp_path: Path) -> None:
    """Pieces in batches become one span each, and leave as what Langfuse's server would show."""
    async with world(tmp_path) as here:
        await here.run("langfuse_2", "langfuse_2.py", LANGFUSE_HOST=here.url)
    names = ["OpenAI-generation"] * 2 + ["answer", "cache-miss", "failed", "retrieve"]
    assert sorted(span.name for span in here.spans) == names
    check_tree(here)
    check_pieces(here)

    well, wrong = here.named("OpenAI-generation")
    snapshot = "gpt-4o-mini-2024-07-18"
    call = Call(
        asked=snapshot, answered=snapshot, user="user-2", session="session-2", tags=("deco",)
    )
    check_call(here, well, call)
    check_failure(here, wrong, "does not exist")
    assert trace_of(here, langfuse_of(here, well)["traceId"])["output"] == ANSWER


def check_pieces(here: World) -> None:
    """The trace that the old SDKs' low-level clients make, of Python and of JavaScript."""
    (answer,) = here.named("answer")
    check_call(here, answer, ASKED)
    (failed,) = here.named("failed")
    check_failure(here, failed, "The model does not exist")
    (event,) = here.named("cache-miss")
    assert langfuse_of(here, event)["level"] == "WARNING"
    assert event.start_ns == event.end_ns

    (root,) = here.named("retrieve")
    assert {span.parent_span_id for span in (answer, failed, event)} == {root.span_id}
    assert langfuse_of(here, root)["output"] == ["document"]
    original = str(root.attributes["langfuse.trace.metadata.original_trace_id"])
    assert original.replace("-", "") == root.trace_id.hex()
    trace = trace_of(here, original)
    assert trace["input"] == {"question": "What?"}
    assert trace["output"] == {"answer": "It gathers."}
    assert trace["metadata"]["tenant"] == "acme"
    assert (trace["release"], trace["version"]) == ("r1", "v1")
    check_scores(here, original, answer)


def check_scores(here: World, trace_id: str, answer: Span) -> None:
    """The scores reached the Langfuse server behind the collector, on trace and observation."""
    helpful, tone = here.scores["helpfulness"], here.scores["tone"]
    assert (helpful["traceId"], helpful["value"], helpful["comment"]) == (trace_id, 0.9, "good")
    assert (tone["traceId"], tone["value"], tone["dataType"]) == (
        trace_id, "friendly", "CATEGORICAL",
    )  # fmt: skip
    assert tone["observationId"] == langfuse_of(here, answer)["id"]
    assert {str(record.attributes["gen_ai.evaluation.name"]) for record in here.records} == {
        "helpfulness", "tone",
    }  # fmt: skip


async def test_langfuse_5(tmp_path: Path) -> None:
    """Spans over OTLP, and scores as a list, arrive with the ids that the SDK gave them."""
    async with world(tmp_path) as here:
        await here.run("langfuse_5", "langfuse_5.py", LANGFUSE_BASE_URL=here.url)
    names = ["ask", "search", "answer", "OpenAI-generation", "OpenAI-generation"]
    assert [span.name for span in here.spans] == names
    check_tree(here)
    check_spans(here, *here.named("OpenAI-generation"))

    (tool,) = here.named("search")
    assert tool.attributes["gen_ai.operation.name"] == "execute_tool"
    assert langfuse_of(here, tool)["id"] in {body["id"] for body in here.events("tool-create")}
    assert trace_of(here, tool.trace_id.hex())["version"] == "v1"


def check_spans(here: World, well: Span, wrong: Span) -> None:
    """The trace that the current SDKs make, of Python and of JavaScript."""
    (answer,) = here.named("answer")
    check_call(here, answer, ASKED)
    snapshot = "gpt-4o-mini-2024-07-18"
    said = {"user": "user-1", "session": "session-1", "tags": ("beta", "web")}
    check_call(here, well, Call(asked=snapshot, **said))  # type: ignore[arg-type]
    check_failure(here, wrong, "does not exist")

    (agent,) = here.named("ask")
    assert agent.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert {span.parent_span_id for span in here.spans} == {b"", agent.span_id}
    assert [body["name"] for body in here.events("agent-create")] == ["ask"]
    trace = trace_of(here, agent.trace_id.hex())
    assert trace["name"] == "support"
    assert "acme" in trace["metadata"]["tenant"]
    check_scores(here, agent.trace_id.hex(), answer)
