"""Every vocabulary beside OpenLIT and the conventions: recorded where recordings exist."""

from __future__ import annotations

from typing import Any

import pytest

from genai_collector.conventions import VOCABULARIES, Observation, read_observation
from genai_collector.conventions.messages import parts_of, text_of
from genai_collector.model import Event, Scope, Span, Value
from tests.conventions.loading import captured_spans, recorded_spans

CAPITAL = "What is the capital of France?"
WEATHER = {"type": "tool_call", "name": "get_weather",
           "arguments": {"city": "Paris", "unit": "celsius"}}  # fmt: skip

RECORDED: dict[str, dict[str, Any]] = {
    "openinference/chat_params": {
        "kind": "generation", "operation": "chat", "provider": "openai", "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06", "user_id": "user-123", "finish_reasons": ["stop"],
        "output_type": "json", "usage": (42, 17, 59, 16, None, 0),
        "parameters": {
            "service_tier": "flex", "frequency_penalty": 0.1, "max_tokens": 256, "choice.count": 2,
            "presence_penalty": 0.2, "seed": 7, "stop_sequences": ["\n\n", "END"],
            "temperature": 0.2, "top_p": 0.9,
        },
        "vocabularies": ("openinference",),
    },
    "openinference/stream_tools": {
        "finish_reasons": ["tool_calls"], "time_to_first_chunk_s": 0.086957646,
        "parameters": {"stream": True, "stream_options": '{"include_usage":true}'},
    },
    "openinference/error_429": {
        "level": "ERROR", "error_type": "openai.RateLimitError", "request_model": "gpt-ratelimit",
        "response_model": None, "usage": (None, None, None, None, None, None),
    },
    "litellm/langfuse": {
        "kind": "generation", "request_model": "gpt-4o-mini", "usage": (42, 17, 59, 16, 0, None),
        "cost": 1.53e-05, "level": "DEFAULT",
        "response_id": "chatcmpl-Fake000000000000000000000601",
        # Not a stream: the "completion start" there is the end.
        "time_to_first_chunk_s": None, "vocabularies": ("langfuse",),
    },
    "litellm/langfuse_error": {
        "level": "ERROR", "usage": (None, None, None, None, None, None),
        "status_message": "litellm.ContextWindowExceededError: litellm.BadRequestError: "
        "ContextWindowExceededError: OpenAIException - This model's maximum context length is "
        "128000 tokens.",
    },
    "litellm/langfuse_otel": {
        "operation": "chat", "provider": "openai", "request_model": "gpt-4o-mini",
        "response_model": "gpt-4o-mini-2024-07-18", "usage": (42, 17, 59, 16, None, None),
        "cost": 1.53e-05, "parameters": {"stream": False},
    },
    "litellm/v1_tools": {
        "operation": "chat", "finish_reasons": ["tool_calls"], "cost": 1.53e-05,
        "usage": (42, 17, 59, 16, None, 0), "parameters": {"stream": False},
        "vocabularies": ("traceloop", "litellm", "semconv"),
    },
    "litellm/v2_tools": {
        "operation": "chat", "finish_reasons": ["tool_calls"], "cost": 1.53e-05,
        "usage": (42, 17, 59, 16, None, None), "tool_name": None,
    },
    "openllmetry_0_62/stream_tools": {
        "operation": "chat", "finish_reasons": ["tool_call"], "parameters": {"stream": True},
        "time_to_first_chunk_s": 0.086771716, "usage": (42, 17, 59, 16, None, None),
    },
    "pydantic_ai/agent_tools": {
        "operation": "chat", "cost": 1.53e-05, "agent_name": "geo",
        "usage": (42, 17, None, 16, None, 0), "finish_reasons": ["tool_call"],
    },
}  # fmt: skip


def usage(observation: Observation) -> tuple[int | None, ...]:
    said = observation.usage
    return (said.input, said.output, said.total, said.cache_read, said.cache_creation,
            said.reasoning)  # fmt: skip


def check(observation: Observation, wanted: dict[str, Any]) -> None:
    for field, value in wanted.items():
        found: Any = getattr(observation, field)
        if field == "usage":
            found = usage(observation)
        elif field == "cost":
            found = observation.cost.total
        assert found == value, field


@pytest.mark.parametrize("case", RECORDED)
def test_recorded_facts(case: str) -> None:
    """The first span of each recorded request says these facts."""
    check(read_observation(recorded_spans(case)[0]), RECORDED[case])


@pytest.mark.parametrize(
    ("case", "calls"),
    [("openinference/stream_tools", 2), ("litellm/v1_tools", 2), ("litellm/v2_tools", 2),
     ("openllmetry_0_62/stream_tools", 2), ("pydantic_ai/agent_tools", 2)],
)  # fmt: skip
def test_recorded_tool_calls(case: str, calls: int) -> None:
    """Calls and tools, wherever the producer put them."""
    content = read_observation(recorded_spans(case)[0]).read_content()
    assert content.output_messages is not None
    found = [p for p in parts_of(content.output_messages[0]) if p["type"] == "tool_call"]
    assert len(found) == calls
    assert WEATHER.items() <= found[0].items()
    assert isinstance(content.tool_definitions, list)
    tool: Any = content.tool_definitions[0]
    assert (tool["type"], tool["name"]) == ("function", "get_weather")
    assert tool["parameters"]["properties"].keys() == {"city", "unit"}


@pytest.mark.parametrize("case", ["openinference/error_429", "litellm/langfuse",
                                  "litellm/langfuse_otel"])  # fmt: skip
def test_recorded_input(case: str) -> None:
    """The question, from indexed attributes, a request body or the trace's input."""
    content = read_observation(recorded_spans(case)[0]).read_content()
    assert content.input_messages is not None
    assert [text_of(m) for m in content.input_messages] == [CAPITAL]


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ("{'prompt_tokens': 9, 'prompt_tokens_details': {'cached_tokens': 4}}", (4, None, None)),
        ("{'completion_tokens_details': {'reasoning_tokens': 2, 'x': None}}", (None, None, 2)),
        (
            "{'prompt_tokens': 9, 'cache_creation_input_tokens': 3, 'cache_read_input_tokens': 1}",
            (1, 3, None),
        ),
        ('{"prompt_tokens_details": {"cached_tokens": 4}}', (4, None, None)),
        ("{'prompt_tokens_details': {'cached_tokens': -4}, 'cost': 1.0}", (None, None, None)),
        ("{'a': __import__('os').getpid()}", (None, None, None)),
        ("{" + "'a': 1, " * 4000 + "}", (None, None, None)),
        ("{" * 3000, (None, None, None)),
        ("{}", (None, None, None)),
    ],
)
def test_litellm_usage_object(said: str, parts: tuple[int | None, ...]) -> None:
    """Cached tokens and reasoning from the repr of LiteLLM's usage, beside counts that stay what
    they are; what is no literal, or absurdly long, says nothing."""
    attributes: dict[str, Value] = {
        "litellm.call_type": "completion", "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 5,
        "metadata.usage_object": said,
    }  # fmt: skip
    seen = read_observation(Span(attributes=attributes))
    assert usage(seen) == (9, 5, None, *parts)
    assert seen.usage.details == {}
    stated = {**attributes, "gen_ai.usage.cache_read.input_tokens": 2}
    assert read_observation(Span(attributes=stated)).usage.cache_read == 2


def test_error_message() -> None:
    """The message of a failure that only an attribute tells, before that of an exception event."""
    span = Span(
        status_code=2,
        attributes={"gen_ai.request.model": "m", "error.message": "too many"},
        events=[Event("exception", 1, {"exception.message": "429", "exception.type": "E"})],
    )
    seen = read_observation(span)
    assert (seen.status_message, seen.error_type) == ("too many", "E")
    span.status_message = "told"
    assert read_observation(span).status_message == "told"
    span.status_code, span.status_message = 1, ""
    assert read_observation(span).status_message is None


def test_langfuse_sdk() -> None:
    """Types, levels, prompt, user, session, tags and metadata of a recorded Python 5 session."""
    seen = {span.name: read_observation(span) for span in recorded_spans("langfuse_sdk/python_5")}
    assert {name: o.kind for name, o in seen.items()} == {
        "cache-miss": "span", "retrieve": "span", "llm": "generation", "llm-failed": "generation",
        "raises": "span", "llm-prompted": "generation", "my-agent": "agent", "my-tool": "tool",
        "my-chain": "chain", "my-retriever": "retriever", "my-evaluator": "evaluator",
        "my-embedding": "embedding", "my-guardrail": "guardrail", "chat-request": "span",
    }  # fmt: skip
    assert {(o.user_id, o.conversation_id, tuple(o.tags or ())) for o in seen.values()} == {
        ("user-42", "sess-7", ("prod", "beta"))
    }
    check(seen["llm"], {
        "usage": (120, 30, 150, 64, None, None), "cost": 0.003, "request_model": "gpt-4o-mini",
        "parameters": {"temperature": 0.3, "max_tokens": 256, "stop_sequences": ["\n"],
                       "stream": True},
        "time_to_first_chunk_s": 0.000730487,
    })  # fmt: skip
    prompted = seen["llm-prompted"]
    assert (prompted.prompt_name, prompted.prompt_version) == ("greeting", 3)
    assert seen["cache-miss"].level == "WARNING"
    assert seen["chat-request"].metadata == {"tenant": "acme", "nested": {"a": 1}}
    content = seen["my-tool"].read_content()
    assert (content.input, content.output) == ({"i": "tool"}, {"o": "tool"})


def test_langfuse_openai_wrapper() -> None:
    """Usage in OpenAI's shape, tools in the request, user and session as metadata."""
    first, streamed, tools, failed = [
        read_observation(span) for span in recorded_spans("langfuse_sdk/python_3_openai")
    ]
    assert (first.user_id, first.conversation_id, first.tags) == ("u-o", "sess-o", ["o"])
    assert usage(first) == (120, 30, 150, 64, None, 10)
    assert usage(streamed) == (9, 2, 11, None, None, None)
    # max_tokens is "Infinity" there: not set.
    assert "max_tokens" not in streamed.parameters
    definitions: Any = tools.read_content().tool_definitions
    assert [tool["name"] for tool in definitions] == ["get_weather"]
    assert failed.level == "ERROR"


@pytest.mark.parametrize("case", ["pydantic_ai/agent_tools", "pydantic_ai/agent_tools_format_2"])
def test_agents_repeat_usage(case: str) -> None:
    """What is billable adds up to what the agent says that its calls have used."""
    seen = [read_observation(span) for span in recorded_spans(case)]
    (agent,) = [o for o in seen if o.kind == "agent"]
    calls = [o.usage for o in seen if o.is_billable]
    assert (sum(u.input or 0 for u in calls), sum(u.output or 0 for u in calls)) == (84, 34)
    assert (agent.usage.input, agent.usage.output, agent.operation) == (84, 34, "invoke_agent")
    assert [o.tool_name for o in seen if o.kind == "tool"] == ["get_weather", "get_weather"]
    content = agent.read_content()
    assert content.output_messages is not None
    assert text_of(content.output_messages[-1]).startswith("Paris is the capital")


def test_litellm_raw_spans_are_no_calls() -> None:
    """The provider's own request and response beside a call are a plain span."""
    kinds = {
        span.name == "raw_gen_ai_request": read_observation(span).is_billable
        for span in captured_spans("litellm_otel")
    }
    assert kinds == {False: True, True: False}


def test_litellm_proxy_is_counted_once() -> None:
    """Of a proxied call's spans, servers and steps included, only the call itself is billable."""
    for span in captured_spans("litellm_otel_proxy"):
        observation = read_observation(span)
        if observation.is_billable:
            assert span.name == "litellm_request" or span.name.startswith(
                ("chat ", "embeddings ", "ask-")
            ), span.name


@pytest.mark.parametrize("vocabulary", VOCABULARIES, ids=lambda v: v.name)
def test_recognition(vocabulary: Any) -> None:
    """Each is recognised by its scope alone and by each of its keys alone, unless it must ask."""
    for scope in vocabulary.scopes:
        name = scope + "x" if scope[-1] in ".-" else scope
        found = read_observation(Span(scope=Scope(name))).vocabularies
        assert vocabulary.name in found
    for prefix in vocabulary.prefixes if vocabulary.name != "openlit" else ():
        assert vocabulary.name in read_observation(Span(attributes={prefix: "x"})).vocabularies
    other = Span(attributes={"http.method": "GET", "telemetry.sdk.name": "opentelemetry"})
    assert read_observation(other).vocabularies == ()
