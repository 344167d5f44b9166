"""What a payload says as a span: each row of docs/litellm.md, on recorded payloads."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from genai_collector.conventions import read_observation
from genai_collector.formats import litellm
from genai_collector.formats.litellm import Payload, clock
from genai_collector.model import Span, SpanKind, StatusCode, Value
from tests.formats.litellm.material import IDS, PAYLOADS, load, one, spans_of


def said(name: str) -> dict[str, Value]:
    return spans_of(one(name)).attributes


def parsed(attributes: dict[str, Value], key: str) -> Any:
    text = attributes[key]
    assert isinstance(text, str)
    return json.loads(text)


def changed(name: str, **members: Value) -> Span:
    return spans_of({**one(name), **members})


def with_metadata(name: str, **members: Value) -> Payload:
    payload = one(name)
    metadata = payload["metadata"]
    assert isinstance(metadata, dict)
    return {**payload, "metadata": {**metadata, **members}}


def test_a_call() -> None:
    """Operation, provider, both models, response id, tokens, cost, messages."""
    span = spans_of(one("chat"))
    assert span.name == "chat gpt-4o-mini"
    assert span.kind == SpanKind.CLIENT
    assert span.status_code == StatusCode.UNSET
    expected = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.response.id": "chatcmpl-Fake000000000000000000000460",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 42,
        "gen_ai.usage.output_tokens": 17,
        "gen_ai.usage.total_tokens": 59,
        "gen_ai.usage.cache_read.input_tokens": 16,
        "gen_ai.usage.reasoning.output_tokens": 0,
        "gen_ai.usage.cost": 1.53e-05,
        "gen_ai.cost.input_cost": 5.1e-06,
        "gen_ai.cost.output_cost": 1.0199999999999999e-05,
        "gen_ai.cost.cache_read_cost": 1.2e-06,
        "openai.response.service_tier": "default",
    }
    assert {key: span.attributes.get(key) for key in expected} == expected
    assert parsed(span.attributes, "gen_ai.input.messages") == [
        {"role": "user", "parts": [{"type": "text", "content": "What is the capital of France?"}]}
    ]
    [answer] = parsed(span.attributes, "gen_ai.output.messages")
    assert answer["role"] == "assistant"
    assert answer["finish_reason"] == "stop"
    assert "gen_ai.conversation.id" not in span.attributes
    assert "gen_ai.response.time_to_first_chunk" not in span.attributes


def test_tools() -> None:
    """Definitions come from the parameters, calls from the response."""
    found = said("tools")
    assert parsed(found, "gen_ai.tool.definitions")[0]["name"] == "get_weather"
    [answer] = parsed(found, "gen_ai.output.messages")
    calls = [part for part in answer["parts"] if part["type"] == "tool_call"]
    assert len(calls) == 2
    assert all(isinstance(call["arguments"], dict) and call["id"] for call in calls)
    assert found["gen_ai.response.finish_reasons"] == ["tool_calls"]


def test_tool_results() -> None:
    """The conversation that is sent back has the calls and their answers."""
    messages = parsed(said("tool_result"), "gen_ai.input.messages")
    kinds = [part["type"] for message in messages for part in message["parts"]]
    assert "tool_call" in kinds
    assert "tool_call_response" in kinds


def test_media() -> None:
    """Images become parts, by address and inline."""
    [message] = parsed(said("multimodal"), "gen_ai.input.messages")
    assert [part["type"] for part in message["parts"]] == ["text", "uri", "blob"]


def test_streams() -> None:
    """Only a stream has a time to its first chunk: from the start to completionStartTime."""
    payload = one("stream_metadata")
    found = spans_of(payload).attributes
    start, first = payload["startTime"], payload["completionStartTime"]
    assert isinstance(start, float)
    assert isinstance(first, float)
    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.response.time_to_first_chunk"] == pytest.approx(first - start, abs=1e-6)
    backwards = changed("stream_metadata", completionStartTime=start - 1).attributes
    assert "gen_ai.response.time_to_first_chunk" not in backwards


def test_embeddings() -> None:
    """An embedding has no response id and no output messages; its operation is the convention's."""
    found = said("embedding")
    assert found["gen_ai.operation.name"] == "embeddings"
    assert "gen_ai.response.id" not in found
    assert "gen_ai.output.messages" not in found
    assert read_observation(spans_of(one("embedding"))).kind == "embedding"


def test_responses() -> None:
    """The Responses API: instructions are the system's, `output` items the answer."""
    found = said("responses")
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.response.finish_reasons"] == ["completed"]
    assert parsed(found, "gen_ai.output.messages")


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("error_429", "RateLimitError"),
        ("error_429_1.100.5", "RateLimitError"),
        ("error_connection", "InternalServerError"),
        ("proxy_error_429", "RateLimitError"),
        ("proxy_no_model", "ProxyModelNotFoundError"),
    ],
)
def test_failures(name: str, error: str) -> None:
    """A failure is an error with LiteLLM's class and text; its zeros say nothing of tokens."""
    span = spans_of(one(name))
    assert span.status_code == StatusCode.ERROR
    assert span.status_message == one(name)["error_str"]
    assert span.attributes["error.type"] == error
    assert "gen_ai.usage.input_tokens" not in span.attributes
    assert "gen_ai.usage.cost" not in span.attributes
    assert "gen_ai.response.id" not in span.attributes


def test_a_failure_that_cost_something() -> None:
    """Tokens and cost of a failure count when they are not zero."""
    span = changed("error_429", prompt_tokens=7, response_cost=0.5)
    assert span.attributes["gen_ai.usage.input_tokens"] == 7
    assert span.attributes["gen_ai.usage.cost"] == 0.5


def test_an_error_without_information() -> None:
    """A bare failure is an error all the same."""
    span = changed("chat", status="failure", error_information=None)
    assert span.status_code == StatusCode.ERROR
    assert span.attributes["error.type"] == "_OTHER"


def test_proxy_metadata() -> None:
    """User, session, tags and name come from the caller's metadata where the proxy keeps it."""
    span = spans_of(one("proxy_metadata"))
    assert span.name == "ask"
    assert span.attributes["user.id"] == "user-123"
    assert span.attributes["gen_ai.conversation.id"] == "hdr-sess"
    assert span.attributes["langfuse.trace.tags"] == [
        "prod", "team-a", "User-Agent: curl", "User-Agent: curl/7.88.1",
    ]  # fmt: skip
    assert span.attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert span.attributes["litellm.model"] == "openai/gpt-4o-mini"


def test_whose_user_it_is() -> None:
    """The caller's word, then the end user, then the parameter, then the key's owner."""
    places = ["trace_user_id", "end_user", "user", "user_api_key_user_id"]
    for first in range(len(places)):
        given = places[first:]
        payload = with_metadata(
            "chat",
            requester_metadata={"trace_user_id": "trace_user_id"} if first == 0 else None,
            user_api_key_user_id="user_api_key_user_id",
        )
        payload["end_user"] = "end_user" if "end_user" in given else None
        payload["model_parameters"] = {"user": "user"} if "user" in given else {}
        assert spans_of(payload).attributes["user.id"] == places[first]


def test_whose_session_it_is() -> None:
    """The caller's, the payload's, a trace id that somebody named; never a generated one."""
    uuid = "8f14e45f-ceea-467f-a0e6-5b1f0c3f7b2a"
    metadata = with_metadata("chat", requester_metadata={"session_id": "a"})
    for payload, expected in (
        ({**metadata, "session_id": "b", "trace_id": "c"}, "a"),
        ({**one("chat"), "session_id": "b", "trace_id": "c"}, "b"),
        ({**one("chat"), "session_id": "", "trace_id": "c"}, "c"),
        ({**one("chat"), "session_id": "", "trace_id": uuid}, None),
    ):
        assert spans_of(payload).attributes.get("gen_ai.conversation.id") == expected


def test_ids() -> None:
    """Ids are those of the call and its trace: hex as it is, anything else by SHA-256, so that the
    attempts of a router share a trace and nothing else."""
    span = changed("chat", trace_id="sess-42", litellm_call_id="call")
    assert span.trace_id == hashlib.sha256(b"sess-42").digest()[:16]
    assert span.span_id == hashlib.sha256(b"call").digest()[:8]
    assert changed("chat", trace_id="0af7651916cd43dd8448eb211c80319c").trace_id.hex() == (
        "0af7651916cd43dd8448eb211c80319c"
    )
    old = {key: value for key, value in one("chat").items() if key != "litellm_call_id"}
    identity = str(old["id"]).encode()
    assert spans_of(old).span_id == hashlib.sha256(identity).digest()[:8]
    attempts = litellm.decode_payloads(load("router_retries.json"))
    assert len({span.trace_id for span in attempts}) == 1
    assert len({span.span_id for span in attempts}) == 3


@pytest.mark.parametrize("payload", PAYLOADS, ids=IDS)
def test_times(payload: Payload) -> None:
    """Times are the clock's microseconds, and come back as the same floats."""
    span = spans_of(payload)
    assert span.start_ns % 1000 == 0
    assert clock.to_seconds(span.start_ns) == payload["startTime"]
    assert clock.to_seconds(span.end_ns) == payload["endTime"]
    assert "startTime" not in str(span.attributes.get("litellm.residual"))


@pytest.mark.parametrize(
    ("seconds", "ns"),
    [
        (1795228070.714633, 1795228070714633000),
        (0.0, 0),
        (1795228070, 1795228070 * 10**9),
        (0.123456789, 123456789),
        (-1.0, None),
        (1e300, None),
        (float("nan"), None),
        (float("inf"), None),
        ("1795228070", None),
        (True, None),
        (None, None),
    ],
)
def test_seconds(seconds: Value, ns: int | None) -> None:
    """A float is the microsecond that it was made from; what is no time is None."""
    assert clock.to_ns(seconds) == ns


def test_a_recorded_payload_leaves_little_over() -> None:
    """What LiteLLM sends today has a home: the residual is only what its releases differ in."""
    for payload, name in zip(PAYLOADS, IDS, strict=True):
        residual = json.loads(str(spans_of(payload).attributes.get("litellm.residual", "[]")))
        assert len(residual) <= (4 if "1.100.5" in name else 0), (name, residual)


@pytest.mark.parametrize(
    ("call_type", "operation"),
    [
        ("completion", "chat"), ("acompletion", "chat"), ("aresponses", "chat"),
        ("anthropic_messages", "chat"), ("atext_completion", "text_completion"),
        ("aembedding", "embeddings"), ("agenerate_content", "generate_content"),
        ("aimage_generation", "image"), ("atranscription", "speech_to_text"),
        ("arerank", "rerank"), ("_arealtime", "realtime"), ("acreate_batch", "acreate_batch"),
    ],
)  # fmt: skip
def test_operations(call_type: str, operation: str) -> None:
    """Call types in the convention's words, asynchronous or not; unknown ones as they are."""
    assert changed("chat", call_type=call_type).attributes["gen_ai.operation.name"] == operation


def test_older_completions() -> None:
    """A text completion's answer is a message, too."""
    response: Value = {"choices": [{"text": "Paris", "finish_reason": "length"}]}
    found = changed("chat", call_type="text_completion", response=response).attributes
    [answer] = parsed(found, "gen_ai.output.messages")
    assert answer["parts"] == [{"type": "text", "content": "Paris"}]
    assert answer["finish_reason"] == "length"
