"""OpenLIT 1.34 and 1.45, from recorded requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.conventions import Observation, read_log_content, read_observation
from genai_collector.conventions.messages import text_of
from genai_collector.conventions.openlit import joined_tool_calls, role_lines
from genai_collector.model import Event, Scope, Span, StatusCode
from tests.conventions.loading import recorded, recorded_logs, recorded_spans
from tests.conventions.schema import faults, schema

FAKED = {"seed": 0, "frequency_penalty": 0.0, "presence_penalty": 0.0, "temperature": 1.0,
         "top_p": 1.0}  # fmt: skip
OLD_FAKED = {key: value for key, value in FAKED.items() if key != "seed"}
FACTS: dict[str, dict[str, Any]] = {
    "openlit_1_45/chat_params": {
        "kind": "generation", "operation": "chat", "provider": "openai",
        "request_model": "gpt-4o", "response_model": "gpt-4o-2024-08-06",
        "parameters": {
            "stream": False, "seed": 7, "frequency_penalty": 0.1, "max_tokens": 256,
            "presence_penalty": 0.2, "stop_sequences": ["\n\n", "END"], "temperature": 0.2,
            "top_p": 0.9, "service_tier": "flex", "choice.count": 2,
        },
        "usage": (42, 17, 59, 16, 0, None), "cost": 0.000255,
        "response_id": "chatcmpl-Fake000000000000000000000004",
        "finish_reasons": ["stop"], "output_type": "text", "user_id": "user-123",
        # Not a stream: the "time to first token" there is the duration.
        "time_to_first_chunk_s": None, "level": None, "vocabularies": ("openlit", "semconv"),
    },
    "openlit_1_45/multimodal": {"parameters": {"stream": False, **FAKED}, "user_id": None},
    "openlit_1_45/stream": {
        "parameters": {"stream": True, **FAKED}, "usage": (42, 17, 59, 16, 0, None),
        "time_to_first_chunk_s": 0.07433485984802246,
    },
    "openlit_1_45/stream_without_usage": {"usage": (18, 22, 40, None, None, None)},
    "openlit_1_45/stream_tools": {
        "finish_reasons": ["tool_calls"], "tool_name": None, "tool_call_id": None,
    },
    "openlit_1_45/embeddings": {
        "kind": "embedding", "operation": "embeddings", "usage": (5, None, 5, None, None, None),
        "parameters": {"stream": False, "encoding_formats": ["float"]}, "finish_reasons": None,
        "cost": 1.0000000000000001e-07,
    },
    "openlit_1_45/error_429": {
        "kind": "generation", "level": "ERROR", "error_type": "RateLimitError",
        "request_model": "gpt-ratelimit", "response_model": None,
        "usage": (None, None, None, None, None, None), "parameters": {"stream": False},
    },
    "openlit_1_45/responses": {
        "usage": (42, 17, 59, 16, 0, 8), "finish_reasons": ["completed"],
        "parameters": {"stream": False, "temperature": 1.0, "top_p": 1.0, "max_tokens": 100},
    },
    # max_tokens is -1 here: not set.
    "openlit_1_45/responses_stream": {
        "parameters": {"stream": True, "temperature": 1.0, "top_p": 1.0},
        "time_to_first_chunk_s": 0.3113558292388916,
    },
    # Every number is a string; the seed is a string too.
    "openlit_1_34/chat_params": {
        "provider": "openai", "cost": 0.000275, "usage": (42, 17, 59, None, None, None),
        "parameters": {
            "seed": 7, "frequency_penalty": 0.1, "max_tokens": 256, "presence_penalty": 0.2,
            "stop_sequences": ["\n\n", "END"], "temperature": 0.2, "top_p": 0.9,
            "service_tier": "flex", "stream": False,
        },
        "user_id": "user-123", "time_to_first_chunk_s": None,
    },
    # "-1", "", "[]" and "" say "not set".
    "openlit_1_34/tools": {
        "parameters": {**OLD_FAKED, "service_tier": "auto", "stream": False}, "user_id": None,
        "finish_reasons": ["tool_calls"],
    },
    "openlit_1_34/stream_tools": {
        "parameters": {**OLD_FAKED, "service_tier": "auto", "stream": True},
        "time_to_first_chunk_s": 0.06078958511352539, "usage": (17, 0, 17, None, None, None),
    },
    "openlit_1_34/embeddings": {
        "kind": "embedding", "usage": (10, None, 10, None, None, None),
        "cost": 2.0000000000000002e-07,
    },
}  # fmt: skip


@pytest.mark.parametrize("case", FACTS)
def test_facts(case: str) -> None:
    """A recorded span says exactly these facts."""
    observation = read_observation(recorded(case))
    for field, wanted in FACTS[case].items():
        assert _fact(observation, field) == wanted, field


def _fact(observation: Observation, field: str) -> object:
    usage = observation.usage
    if field == "usage":
        return (usage.input, usage.output, usage.total, usage.cache_read, usage.cache_creation,
                usage.reasoning)  # fmt: skip
    return observation.cost.total if field == "cost" else getattr(observation, field)


SYSTEM = "You are a terse geography assistant."
QUESTION = "What is the capital of France?"
PARIS = "Paris is the capital of France. ¡Voilà! 🇫🇷"
WEATHER = "Weather in Paris and Zürich?"
CALLS = [
    {"type": "tool_call", "id": "call_VSPygqKTWdrhaFErNvMV18Yl", "name": "get_weather",
     "arguments": {"city": "Paris", "unit": "celsius"}},
    {"type": "tool_call", "id": "call_9QyqcDCTaTbZZMFCGw7KTzWc", "name": "get_weather",
     "arguments": {"city": "Zürich", "unit": "celsius"}},
]  # fmt: skip
CALL_MESSAGE = {"role": "assistant", "parts": CALLS, "finish_reason": "tool_call"}
CONTENT: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {
    "openlit_1_45/chat_params": (
        [("system", SYSTEM), ("user", QUESTION)], [("assistant", f"{PARIS} {PARIS}")]
    ),
    "openlit_1_45/stream": (
        [("system", SYSTEM), ("user", QUESTION)], [("assistant", PARIS + " ")]
    ),
    "openlit_1_45/embeddings": ([("user", "hello")], []),
    "openlit_1_34/chat_params": (
        [("system", SYSTEM), ("user", QUESTION)], [("assistant", PARIS), ("assistant", PARIS)]
    ),
    "openlit_1_34/embeddings": ([("user", "hello"), ("user", "wörld")], []),
    "openlit_1_34/stream_tools": ([("user", WEATHER)], [("assistant", "")]),
}  # fmt: skip


@pytest.mark.parametrize("case", CONTENT)
def test_content(case: str) -> None:
    """Messages are read from attributes (1.45) and from content events (1.34)."""
    content = read_observation(recorded(case)).read_content()
    given_, made = CONTENT[case]
    assert [(m["role"], text_of(m)) for m in content.input_messages or []] == given_
    assert [(m["role"], text_of(m)) for m in content.output_messages or []] == made


@pytest.mark.parametrize(
    "case", ["openlit_1_45/stream_tools", "openlit_1_34/tools", "openlit_1_34/tools_content_off"]
)
def test_tool_calls(case: str) -> None:
    """Calls are whole, from parts (1.45) or from a Python repr beside the word "None" (1.34)."""
    content = read_observation(recorded(case)).read_content()
    assert content.output_messages == [CALL_MESSAGE]
    assert faults(content.output_messages, schema("gen-ai-output-messages")) == []


def test_joined_tool_calls_on_the_span() -> None:
    """Without messages (content off), the calls are taken apart from their joined attributes."""
    span = recorded("openlit_1_45/stream_tools")
    for key in ("gen_ai.input.messages", "gen_ai.output.messages"):
        del span.attributes[key]
    assert read_observation(span).read_content().output_messages == [CALL_MESSAGE]


@pytest.mark.parametrize(
    ("names", "ids", "arguments", "wanted"),
    [
        ("f", None, '{"a": 1}', [("f", None, {"a": 1})]),
        ("f, g", "1, 2", '{"a": ", "}, {}', [("f", "1", {"a": ", "}), ("g", "2", {})]),
        ("f, g", "1", '{"a": 1}', [("f", None, None), ("g", None, None)]),
        ("f", "1", "not json", [("f", "1", None)]),
    ],
)
def test_joined_tool_calls(names: str, ids: str | None, arguments: str, wanted: Any) -> None:
    """Joined lists are split where they can be attributed, and left out where not."""
    calls = joined_tool_calls(names, ids, arguments)
    assert [(c["name"], c.get("id"), c.get("arguments")) for c in calls] == wanted


def test_system_instructions_and_uri() -> None:
    """Instructions are parts; an image by address is a `uri` part."""
    content = read_observation(recorded("openlit_1_45/responses")).read_content()
    assert content.system_instructions == [{"type": "text", "content": "Be terse."}]
    content = read_observation(recorded("openlit_1_45/multimodal")).read_content()
    assert content.input_messages is not None
    parts = content.input_messages[0]["parts"]
    assert isinstance(parts, list)
    assert parts[1] == {"type": "uri", "modality": "image", "uri": "https://example.com/cat.png"}


@pytest.mark.parametrize(
    ("prompt", "wanted"),
    [
        ("user: hi", [("user", "hi")]),
        ("system: a\nb\n\nuser: c\n", [("system", "a\nb\n"), ("user", "c\n")]),
        ("user: ", [("user", "")]),
        ("no role\nuser: hi", [("user", "no role"), ("user", "hi")]),
        ("just text", [("user", "just text")]),
        ("['a', 'b']", [("user", "a"), ("user", "b")]),
        ("", []),
    ],
)
def test_role_lines(prompt: str, wanted: list[tuple[str, str]]) -> None:
    """A line that starts with a role begins a message; others continue it."""
    assert [(m["role"], text_of(m)) for m in role_lines(prompt)] == wanted


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["system", "user", "assistant", "tool"]),
            st.text(st.characters(exclude_characters=":"), min_size=1),
        ),
        min_size=1,
    )
)
@settings(max_examples=100, deadline=None)
def test_role_lines_inverse(messages: list[tuple[str, str]]) -> None:
    """What OpenLIT joined comes apart again, as long as no text imitates a role line."""
    prompt = "\n".join([f"{role}: {said}" for role, said in messages])
    assert [(m["role"], text_of(m)) for m in role_lines(prompt)] == messages


def test_error_span_without_attributes() -> None:
    """1.34's error spans say operation and model by name, and the error by an exception event."""
    exception = {"exception.type": "RateLimitError", "exception.message": "429"}
    span = Span(
        name="chat gpt-4o",
        scope=Scope("openlit.otel.tracing"),
        status_code=StatusCode.ERROR,
        events=[Event("exception", 0, {**exception})],
    )
    observation = read_observation(span)
    assert (observation.kind, observation.operation) == ("generation", "chat")
    assert observation.request_model == "gpt-4o"
    assert (observation.error_type, observation.status_message) == ("RateLimitError", "429")


def test_manual_spans() -> None:
    """Manual spans have plain text as output, no operation, and a session by convention."""
    *_, step, workflow = recorded_spans("openlit_1_45/manual")
    content = read_observation(step).read_content()
    assert [text_of(m) for m in content.output_messages or []] == ["final answer"]
    observation = read_observation(workflow)
    assert (observation.kind, observation.conversation_id) == ("span", "sess-42")


def test_http_child_is_not_genai() -> None:
    """The HTTP span that OpenLIT's resource also describes is no GenAI span."""
    http = recorded_spans("openlit_1_45/stream")[0]
    assert http.resource.attributes["telemetry.sdk.name"] == "openlit"
    assert not read_observation(http).is_genai


def test_reasoning() -> None:
    """Reasoning text beside the messages becomes a part before the answer."""
    span = recorded("openlit_1_45/stream")
    span.attributes["gen_ai.content.reasoning"] = "hm"
    observation = read_observation(span)
    messages = observation.read_content().output_messages
    assert messages is not None
    parts = messages[0]["parts"]
    assert isinstance(parts, list)
    assert parts[0] == {"type": "reasoning", "content": "hm"}
    assert "gen_ai.content.reasoning" in observation.consumed


@pytest.mark.parametrize(
    ("operation", "args", "wanted"),
    [("execute_tool", '{"a": 1}', {"a": 1}), ("execute_tool", "x=1", "x=1")],
)
def test_tool_span(operation: str, args: str, wanted: object) -> None:
    """On a tool span `gen_ai.tool.args` are the arguments."""
    span = Span(
        scope=Scope("openlit.instrumentation.x"),
        attributes={"gen_ai.operation.name": operation, "gen_ai.tool.name": "f",
                    "gen_ai.tool.args": args, "gen_ai.tool.output": "18 C"},
    )  # fmt: skip
    observation = read_observation(span)
    content = observation.read_content()
    assert (observation.kind, observation.tool_name) == ("tool", "f")
    assert (content.input, content.output) == (wanted, "18 C")


@pytest.mark.parametrize("case", ["openlit_1_45/chat_params", "openlit_1_45/tool_result"])
def test_log_record_says_what_the_span_says(case: str) -> None:
    """The operation details log event holds the same messages, as structured values."""
    of_span = read_observation(recorded(case)).read_content()
    of_log = read_log_content(recorded_logs(f"{case}_log"))
    assert of_log.input_messages == of_span.input_messages
    assert of_log.output_messages == of_span.output_messages
    assert of_log.system_instructions == of_span.system_instructions
