"""Payloads of spans that LiteLLM never saw, and totals on every way."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from genai_collector.conventions import read_observation
from genai_collector.conventions.observation import Observation
from genai_collector.formats import langfuse, litellm, noveum, otlp
from genai_collector.formats.litellm import Payload
from genai_collector.formats.litellm.fields import ALWAYS
from genai_collector.model import Resource, Signal, Span, SpanKind, StatusCode, Value
from tests.formats.litellm.material import IDS, PAYLOADS, spans_of
from tests.support.captures import shared

START: Final = 1_700_000_000_000_000_000
MESSAGES: Final = '[{"role":"user","parts":[{"type":"text","content":"hi"}]}]'
ANSWER: Final = (
    '[{"role":"assistant","parts":[{"type":"text","content":"hello"},{"type":"tool_call","id":"c1",'
    '"name":"f","arguments":{"a":1}}],"finish_reason":"stop"}]'
)


def call(**attributes: Value) -> Span:
    """A chat as the conventions describe it, with further attributes (`__` for a dot)."""
    said: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "m-1",
        "gen_ai.response.id": "resp-1",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.input.messages": MESSAGES,
        "gen_ai.output.messages": ANSWER,
        "gen_ai.usage.input_tokens": 40,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 10,
        "gen_ai.usage.cost": 0.25,
        "gen_ai.conversation.id": "s1",
        "user.id": "u1",
        "server.address": "api.example",
        "server.port": 443,
    }
    said |= {key.replace("__", "."): value for key, value in attributes.items()}
    return Span(
        trace_id=b"\1" * 16,
        span_id=b"\2" * 8,
        name="chat m",
        kind=SpanKind.CLIENT,
        start_ns=START,
        end_ns=START + 1_500_000_000,
        attributes=said,
        resource=Resource({"service.name": "app"}),
    )


def payload_of(span: Span) -> Payload:
    [payload] = litellm.encode_spans([span])
    return payload


def test_a_call() -> None:
    """Every member that a payload always has is there, and says what the span says."""
    payload = payload_of(call())
    assert set(ALWAYS) <= payload.keys()
    expected: Payload = {
        "id": "resp-1",
        "litellm_call_id": "02" * 8,
        "trace_id": "01" * 16,
        "session_id": "s1",
        "call_type": "completion",
        "status": "success",
        "custom_llm_provider": "bedrock",
        "model": "m",
        "startTime": 1_700_000_000.0,
        "endTime": 1_700_000_001.5,
        "completionStartTime": 1_700_000_001.5,
        "response_time": 1.5,
        "prompt_tokens": 40,
        "completion_tokens": 2,
        "total_tokens": 42,
        "response_cost": 0.25,
        "end_user": "u1",
        "api_base": "api.example:443",
        "messages": [{"role": "user", "content": "hi"}],
        "model_parameters": {"temperature": 0.5, "stop": ["END"]},
        "error_str": None,
        "request_tags": [],
        "cache_hit": None,
    }
    assert {key: payload[key] for key in expected} == expected
    response: Any = payload["response"]
    assert response["usage"] == {
        "prompt_tokens": 40,
        "completion_tokens": 2,
        "total_tokens": 42,
        "prompt_tokens_details": {"cached_tokens": 10},
    }
    [choice] = response["choices"]
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}


def test_a_stream() -> None:
    """The time to the first chunk is completionStartTime and response_time."""
    payload = payload_of(call(
        gen_ai__request__stream=True, gen_ai__response__time_to_first_chunk=0.25
    ))  # fmt: skip
    assert payload["stream"] is True
    assert payload["completionStartTime"] == 1_700_000_000.25
    assert payload["response_time"] == 0.25


def test_a_failure() -> None:
    """An error is a failure with its text, class and code."""
    span = call(error__type="RateLimitError", http__response__status_code=429)
    span.status_code, span.status_message = StatusCode.ERROR, "slow down"
    del span.attributes["gen_ai.output.messages"]
    payload = payload_of(span)
    information = payload["error_information"]
    assert isinstance(information, dict)
    assert payload["status"] == "failure"
    assert payload["error_str"] == "slow down"
    assert payload["response"] == {}
    assert (information["error_class"], information["error_code"]) == ("RateLimitError", "429")
    assert information["llm_provider"] == "bedrock"


def test_unknown_numbers_are_zero() -> None:
    """The members are numbers even where the span knows none, as LiteLLM writes them."""
    span = Span(attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
    payload = payload_of(span)
    numbers = ("prompt_tokens", "completion_tokens", "total_tokens", "response_cost", "startTime")
    assert [payload[name] for name in numbers] == [0, 0, 0, 0.0, 0.0]


def test_other_spans() -> None:
    """What is no call of a model is left out, or a payload without a model."""
    span = Span(name="GET", trace_id=b"\1" * 16, span_id=b"\2" * 8)
    assert litellm.encode_spans([span], include_other_spans=False) == []
    payload = payload_of(span)
    assert payload["call_type"] == "otel_span"
    assert payload["model"] == ""


def test_what_has_no_home() -> None:
    """The report names what only the block holds, and nothing of a payload's own."""
    span = call(gen_ai__agent__name="planner", custom=1)
    fields = {loss.field for loss in litellm.loss([span])}
    assert fields == {"attributes.custom", "agent.name", "resource.service.name"}
    assert litellm.loss([spans_of(PAYLOADS[0])]) == []
    [skipped] = litellm.loss([Span(name="GET")], include_other_spans=False)
    assert skipped.field == "span"


# Totals ---------------------------------------------------------------------------------------


def totals(seen: Observation) -> tuple[Value, ...]:
    usage = seen.usage
    whole = usage.total if usage.total is not None else (usage.input or 0) + (usage.output or 0)
    return usage.input or 0, usage.output or 0, whole, usage.cache_read or 0, seen.cost.total or 0.0


def without_block(payload: Payload) -> Payload:
    return {key: value for key, value in payload.items() if key != "otel"}


@pytest.mark.parametrize("payload", PAYLOADS, ids=IDS)
def test_totals_of_payloads(payload: Payload) -> None:
    """Tokens and cost are the payload's on the span, in Noveum's record, and in Langfuse's buckets,
    which count cached tokens beside the input."""
    span = spans_of(payload)
    read, written, whole, cached, cost = totals(read_observation(span))
    assert [read, written, whole] == [
        payload["prompt_tokens"], payload["completion_tokens"], payload["total_tokens"],
    ]  # fmt: skip
    assert cost == payload["response_cost"]
    [record] = noveum.encode_spans([span])
    metadata = record["attributes"]["metadata"]  # type: ignore[index,call-overload]
    assert (metadata["tokens"]["total"] or 0, metadata.get("cost") or 0.0) == (whole, cost)  # type: ignore[index,union-attr,call-overload]
    bodies = [event.event["body"] for event in langfuse.encode_spans([span])]
    details = [body["usageDetails"] for body in bodies if body.get("usageDetails")]  # type: ignore[union-attr,index,call-overload]
    if whole:
        [buckets] = details
        counted = {key: n for key, n in buckets.items() if key != "total"}  # type: ignore[union-attr]
        assert sum(counted.values()) == whole  # type: ignore[arg-type]
        assert buckets.get("total", whole) == whole  # type: ignore[union-attr]
        assert counted["input"] == read - cached  # type: ignore[operator]
    costs = [body["costDetails"] for body in bodies if body.get("costDetails")]  # type: ignore[union-attr,index,call-overload]
    assert [details["total"] for details in costs] == ([cost] if costs else [])  # type: ignore[index,call-overload]
    assert bool(costs) == ("gen_ai.usage.cost" in span.attributes)


@pytest.mark.parametrize("folder", ["openlit", "otel_openai_v2", "traceloop"])
def test_totals_of_spans(folder: str) -> None:
    """A reader that knows nothing of the block finds the same totals in LiteLLM's own members."""
    calls = 0
    for file in sorted(shared(f"captures/{folder}").glob("*.traces.pb")):
        found = otlp.decode(Signal.TRACES, file.read_bytes())
        for span in (span for span in found if isinstance(span, Span)):
            for payload in litellm.encode_spans([span], include_other_spans=False):
                calls += 1
                wire: Payload = json.loads(litellm.dump(without_block(payload)))
                seen, again = read_observation(span), read_observation(spans_of(wire))
                assert totals(again) == totals(seen), file.name
                assert again.kind == seen.kind
                assert again.request_model == seen.request_model
    assert calls
