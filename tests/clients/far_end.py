"""What must be said of one call of a model, and of one that failed, in every format that leaves.

OTLP counts tokens inclusively; Langfuse's buckets exclude the cached ones. Noveum and LiteLLM count
as OpenAI does: inclusively, with the cached ones named beside.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from genai_collector.model import Span
from tests.clients.support import ANSWER, QUESTION, World


@dataclass(frozen=True)
class Call:
    """A call that succeeded, as its app would tell it. None = the app's SDK does not tell."""

    asked: str = "gpt-4o-mini"
    answered: str | None = None
    input: int = 42
    cached: int | None = 16
    output: int = 17
    cost: float | None = None
    answer: str = ANSWER
    user: str | None = None
    session: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """The more exact name, which formats with a single one carry."""
        return self.answered or self.asked


def check_call(here: World, span: Span, call: Call) -> None:
    """The call left in all four formats with nothing lost."""
    check_otlp(span, call)
    check_langfuse(here, span, call)
    check_noveum(noveum_of(here, span), call)
    check_litellm(litellm_of(here, span), call)


def check_otlp(span: Span, call: Call) -> None:
    said = span.attributes
    assert said["gen_ai.operation.name"] == "chat"
    assert said["gen_ai.request.model"] == call.asked
    if call.answered:
        assert said["gen_ai.response.model"] == call.answered
    assert said["gen_ai.usage.input_tokens"] == call.input
    assert said["gen_ai.usage.output_tokens"] == call.output
    assert said.get("gen_ai.usage.cache_read.input_tokens") == call.cached
    assert said.get("gen_ai.usage.cost") == pytest.approx(call.cost)
    (asked,) = json.loads(str(said["gen_ai.input.messages"]))
    assert asked["role"] == "user"
    assert [part["content"] for part in asked["parts"]] == [QUESTION]
    (answer,) = json.loads(str(said["gen_ai.output.messages"]))
    assert answer["role"] == "assistant"
    assert [part["content"].strip() for part in answer["parts"]] == [call.answer]
    assert said.get("user.id") == call.user
    assert call.session in (said.get("session.id"), said.get("gen_ai.conversation.id"))
    assert span.status_code != 2
    assert span.end_ns >= span.start_ns


def check_langfuse(here: World, span: Span, call: Call) -> None:
    body = langfuse_of(here, span)
    assert body["model"] == call.model
    usage = body["usageDetails"]
    assert usage["input"] == call.input - (call.cached or 0)
    assert usage["output"] == call.output
    assert sum(n for name, n in usage.items() if "cache" in name) == (call.cached or 0)
    assert usage.get("total", call.input + call.output) == call.input + call.output
    assert (body.get("costDetails") or {}).get("total") == pytest.approx(call.cost)
    assert QUESTION in json.dumps(body["input"])
    assert call.answer in json.dumps(body["output"])
    assert body["level"] == "DEFAULT"

    trace = trace_of(here, body["traceId"])
    assert trace.get("userId") == call.user
    assert trace.get("sessionId") == call.session
    assert tuple(trace.get("tags", ())) == call.tags


def check_noveum(said: dict[str, Any], call: Call) -> None:
    assert said["model"] == call.model
    assert said["request"]["model"] == call.asked
    assert said["request"]["messages"] == [{"role": "user", "content": QUESTION}]
    message = said["response"]["choices"][0]["message"]
    assert (message["role"], message["content"].strip()) == ("assistant", call.answer)
    total = call.input + call.output
    tokens = {"input": call.input, "output": call.output, "total": total}
    assert said["metadata"]["tokens"] == tokens
    assert said["metadata"]["cost"] == pytest.approx(call.cost)
    assert said["metadata"]["status"] == "success"
    assert said["user_id"] == call.user
    assert said["thread_id"] == call.session


def check_litellm(said: dict[str, Any], call: Call) -> None:
    assert said["model"] == call.asked
    assert said["messages"] == [{"role": "user", "content": QUESTION}]
    message = said["response"]["choices"][0]["message"]
    assert (message["role"], message["content"].strip()) == ("assistant", call.answer)
    assert (said["prompt_tokens"], said["completion_tokens"]) == (call.input, call.output)
    assert said["total_tokens"] == call.input + call.output
    details = said["metadata"]["usage_object"].get("prompt_tokens_details") or {}
    assert details.get("cached_tokens") == call.cached
    assert said["response_cost"] == pytest.approx(call.cost or 0.0)
    assert said["status"] == "success"
    assert call.user in (said["end_user"], said["model_parameters"].get("user"))
    assert call.session in (said["session_id"] or None, said["trace_id"])
    assert tuple(said["request_tags"]) == call.tags


def check_failure(
    here: World, span: Span, message: str, model: str = "no-such-model", *, in_status: bool = True
) -> None:
    """A failed call is a failure everywhere, with its model and what went wrong, also where an SDK
    says that beside the span's status (not `in_status`)."""
    assert span.attributes["gen_ai.request.model"] == model
    assert span.status_code == 2
    told = span.status_message if in_status else span.attributes["error.message"]
    assert message in str(told)

    body = langfuse_of(here, span)
    assert (body["level"], body["model"]) == ("ERROR", model)
    assert message in body["statusMessage"]

    noveum = noveum_of(here, span)
    assert (noveum["metadata"]["status"], noveum["model"]) == ("error", model)
    assert message in json.dumps(noveum["response"])

    litellm = litellm_of(here, span)
    assert (litellm["status"], litellm["model"]) == ("failure", model)
    assert message in litellm["error_str"]


def check_tree(here: World) -> None:
    """Every span is a Langfuse observation, below the same parent and in the same trace."""
    names = {span.span_id: langfuse_id(span) for span in here.spans}
    bodies = {body["id"]: body for body in here.observations}
    for span in here.spans:
        if span.attributes.get("langfuse.internal.synthetic_root"):
            continue  # it stands for the trace itself, which a batch has as a trace
        parent = bodies[names[span.span_id]].get("parentObservationId")
        above = names[span.parent_span_id] if span.parent_span_id else None
        assert parent == above or (above or "").startswith("t-"), span.name


def langfuse_id(span: Span) -> str:
    """Ids that are no OTLP ids are restored for Langfuse."""
    original = span.attributes.get("langfuse.observation.metadata.original_id")
    return str(original or span.span_id.hex())


def langfuse_of(here: World, span: Span) -> dict[str, Any]:
    (body,) = [body for body in here.observations if body["id"] == langfuse_id(span)]
    return body


def trace_of(here: World, trace_id: str) -> dict[str, Any]:
    """What a trace's events add up to."""
    merged: dict[str, Any] = {}
    for body in here.events("trace-create"):
        if body["id"] == trace_id:
            merged |= body
    return merged


def noveum_of(here: World, span: Span) -> dict[str, Any]:
    (said,) = [r for r in here.noveum if r["otel"]["span_id"] == span.span_id.hex()]
    return said


def litellm_of(here: World, span: Span) -> dict[str, Any]:
    """By the id that LiteLLM gave the call, or the span's."""
    call = span.attributes.get("litellm.litellm_call_id", span.span_id.hex())
    (said,) = [payload for payload in here.litellm if payload["litellm_call_id"] == call]
    return said
