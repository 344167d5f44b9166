"""Every generation of the OpenTelemetry GenAI conventions, recorded where a recording exists."""

from __future__ import annotations

from typing import Any

import pytest

from genai_collector.conventions import Content, read_log_content, read_observation
from genai_collector.conventions.coerce import to_json
from genai_collector.conventions.content import unflatten
from genai_collector.model import Event, LogRecord, Span, Value
from tests.conventions.loading import all_cases, recorded, recorded_logs, recorded_spans
from tests.conventions.schema import faults, schema

USER = {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
SYSTEM = {"role": "system", "parts": [{"type": "text", "content": "Be terse."}]}
CALL = {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}
ASKS = {"role": "assistant", "parts": [CALL]}
ANSWER = {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "18"}]}
SAYS = {"role": "assistant", "parts": [{"type": "text", "content": "yo"}], "finish_reason": "stop"}
OPENAI_CALLS: Value = [
    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
]
OPENAI_INPUT: Value = [
    {"role": "system", "content": "Be terse."},
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": None, "tool_calls": OPENAI_CALLS},
    {"role": "tool", "tool_call_id": "c1", "content": "18"},
]
INPUT: Any = [SYSTEM, USER, ASKS, ANSWER]
OUTPUT: Any = [SAYS]
BASE: dict[str, Value] = {"gen_ai.system": "openai", "gen_ai.response.finish_reasons": ["stop"]}


def _events(*events: tuple[str, dict[str, Value]]) -> list[Event]:
    return [Event(name, 0, attributes) for name, attributes in events]


GENERATIONS: dict[str, Span] = {
    "<=1.27 content events, JSON": Span(
        attributes={**BASE},
        events=_events(
            ("gen_ai.content.prompt", {"gen_ai.prompt": to_json(OPENAI_INPUT)}),
            ("gen_ai.content.completion",
             {"gen_ai.completion": '[{"role": "assistant", "content": "yo"}]'}),
        ),
    ),
    "<=1.27 content events, Python repr": Span(
        attributes={**BASE},
        events=_events(
            ("gen_ai.content.prompt", {"gen_ai.prompt": repr(OPENAI_INPUT)}),
            ("gen_ai.content.completion", {"gen_ai.completion": "yo"}),
        ),
    ),
    "<=1.27 as span attributes": Span(
        attributes={**BASE, "gen_ai.prompt": to_json(OPENAI_INPUT), "gen_ai.completion": "yo"}
    ),
    "indexed attributes": Span(
        attributes={
            **BASE,
            "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be terse.",
            "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "hi",
            "gen_ai.prompt.2.role": "assistant", "gen_ai.prompt.2.tool_calls.0.id": "c1",
            "gen_ai.prompt.2.tool_calls.0.name": "f",
            "gen_ai.prompt.2.tool_calls.0.arguments": '{"a": 1}',
            "gen_ai.prompt.3.role": "tool", "gen_ai.prompt.3.content": "18",
            "gen_ai.prompt.3.tool_call_id": "c1",
            "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "yo",
            "gen_ai.completion.0.finish_reason": "stop",
        }
    ),
    "1.28-1.36 span events": Span(
        attributes={**BASE},
        events=_events(
            ("gen_ai.system.message", {"gen_ai.system": "openai", "content": "Be terse."}),
            ("gen_ai.user.message", {"content": "hi"}),
            ("gen_ai.assistant.message", {"tool_calls": to_json(OPENAI_CALLS)}),
            ("gen_ai.tool.message", {"id": "c1", "content": "18"}),
            ("gen_ai.choice",
             {"index": 0, "finish_reason": "stop", "message": '{"content": "yo"}'}),
        ),
    ),
    "1.28-1.36 span events, body as JSON": Span(
        attributes={**BASE},
        events=_events(
            ("gen_ai.system.message", {"gen_ai.event.content": '{"content": "Be terse."}'}),
            ("gen_ai.user.message", {"gen_ai.event.content": '{"role": "user", "content": "hi"}'}),
            ("gen_ai.assistant.message",
             {"gen_ai.event.content": to_json({"tool_calls": OPENAI_CALLS})}),
            ("gen_ai.tool.message", {"gen_ai.event.content": '{"id": "c1", "content": "18"}'}),
            ("gen_ai.choice", {
                "gen_ai.event.content":
                    '{"index": 0, "finish_reason": "stop", "message": {"content": "yo"}}',
            }),
        ),
    ),
    "1.28-1.36 span events, content blocks": Span(
        attributes={**BASE},
        events=_events(
            ("gen_ai.system.message", {"content": '[{"text": "Be terse."}]'}),
            ("gen_ai.user.message", {"content": '[{"text": "hi"}]'}),
            ("gen_ai.assistant.message", {
                "content": '[{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}}]',
            }),
            ("gen_ai.tool.message", {"id": "c1", "content": "18"}),
            ("gen_ai.choice", {"finish_reason": "stop", "message": '[{"text": "yo"}]'}),
        ),
    ),
    ">=1.37 details event": Span(
        attributes={**BASE},
        events=_events(
            ("gen_ai.client.inference.operation.details",
             {"gen_ai.input.messages": INPUT, "gen_ai.output.messages": OUTPUT}),
        ),
    ),
    ">=1.37 attributes, JSON": Span(
        attributes={**BASE, "gen_ai.input.messages": to_json(INPUT),
                    "gen_ai.output.messages": to_json(OUTPUT)},
    ),
    ">=1.37 attributes, structured": Span(
        attributes={**BASE, "gen_ai.input.messages": INPUT, "gen_ai.output.messages": OUTPUT},
    ),
    ">=1.37 attributes, OpenAI's shape": Span(
        attributes={
            **BASE, "gen_ai.input.messages": to_json(OPENAI_INPUT),
            "gen_ai.output.messages":
                '[{"finish_reason": "stop", "message": {"role": "assistant", "content": "yo"}}]',
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("generation", GENERATIONS)
def test_one_conversation(generation: str) -> None:
    """The same conversation reads the same in every generation, and is valid by the schemas."""
    content = read_observation(GENERATIONS[generation]).read_content()
    assert content.input_messages == INPUT
    assert _reasoned(content) == OUTPUT
    assert faults(content.input_messages, schema("gen-ai-input-messages")) == []
    assert faults(_reasoned(content), schema("gen-ai-output-messages")) == []


def _reasoned(content: Content) -> Any:
    """Shipped libraries leave the reason out of the message; from 2026-09 on they may."""
    return [{**SAYS, **m} for m in content.output_messages or []]


FACTS: dict[str, dict[str, Any]] = {
    "semconv/v1_28_chat": {
        "provider": "openai", "request_model": "gpt-4o-mini", "finish_reasons": ["stop"],
        "parameters": {"service_tier": "default"},
    },
    "semconv/v1_28_stream": {"operation": "chat", "parameters": {}},
    "semconv/v1_30_tools": {"finish_reasons": ["tool_calls"]},
    "semconv/genai_tools": {"provider": "openai", "kind": "generation"},
    "semconv/genai_responses_stream": {
        "time_to_first_chunk_s": 0.08858250700041026, "parameters": {"stream": True},
        "finish_reasons": ["stop"],
    },
    "openllmetry_0_40/chat_params": {
        "provider": "openai", "request_model": "gpt-4o",
        "parameters": {
            "max_tokens": 256, "temperature": 0.2, "top_p": 0.9, "frequency_penalty": 0.1,
            "presence_penalty": 0.2, "stream": False,
        },
        "user_id": "user-123",
    },
}  # fmt: skip


@pytest.mark.parametrize("case", FACTS)
def test_recorded_facts(case: str) -> None:
    """Recorded spans of each generation say the same facts under today's names."""
    observation = read_observation(recorded(case))
    for field, wanted in FACTS[case].items():
        assert getattr(observation, field) == wanted, field
    assert (observation.usage.input, observation.usage.output) == (42, 17)


def test_recorded_mix() -> None:
    """One recorded batch has chats, a stream, an embedding and a failure."""
    read = [read_observation(span) for span in recorded_spans("semconv/genai_mixed")]
    assert [o.kind for o in read].count("embedding") == 1
    (failed,) = [o for o in read if o.level == "ERROR"]
    assert failed.error_type == "openai.RateLimitError"
    assert failed.usage.input is None


WEATHER_CALLS = [
    {"type": "tool_call", "id": "call_VSPygqKTWdrhaFErNvMV18Yl", "name": "get_weather",
     "arguments": {"city": "Paris", "unit": "celsius"}},
    {"type": "tool_call", "id": "call_9QyqcDCTaTbZZMFCGw7KTzWc", "name": "get_weather",
     "arguments": {"city": "Zürich", "unit": "celsius"}},
]  # fmt: skip


@pytest.mark.parametrize("case", ["semconv/v1_30_tools_log", "semconv/v1_37_tools_log"])
def test_recorded_logs(case: str) -> None:
    """Log records of both generations of events give the calls that the model made."""
    content = read_log_content(recorded_logs(case))
    assert content.output_messages is not None
    assert content.output_messages[0]["parts"] == WEATHER_CALLS
    assert content.output_messages[0]["finish_reason"] == "tool_call"
    assert content.input_messages == [
        {"role": "user", "parts": [{"type": "text", "content": "Weather in Paris and Zürich?"}]}
    ]


def test_recorded_logs_with_names_in_attributes() -> None:
    """SDKs of 2025 put an event's name into the attribute `event.name`."""
    content = read_log_content(recorded_logs("semconv/v1_28_tool_result_log"))
    roles = [m["role"] for m in content.input_messages or []]
    assert roles == ["user", "assistant", "tool"]
    assert [m["finish_reason"] for m in content.output_messages or []] == ["stop"]


@pytest.mark.parametrize("case", ["semconv/v1_37_stream_tools", "semconv/genai_tools"])
def test_recorded_attributes(case: str) -> None:
    """Span attributes of v1.37 and later give the same calls; definitions are structured."""
    content = read_observation(recorded(case)).read_content()
    assert content.output_messages is not None
    assert content.output_messages[0]["parts"] == WEATHER_CALLS
    if case == "semconv/genai_tools":
        assert isinstance(content.tool_definitions, list)
        assert faults(content.tool_definitions, schema("gen-ai-tool-definitions")) == []


@pytest.mark.parametrize("case", all_cases())
def test_recorded_content_is_valid(case: str) -> None:
    """Whatever is recorded, the messages read from it are valid by the official schemas."""
    for span in recorded_spans(case):
        content = read_observation(span).read_content()
        assert faults(content.input_messages or [], schema("gen-ai-input-messages")) == []
        assert faults(content.output_messages or [], schema("2026-09/gen-ai-output-messages")) == []
        assert faults(content.system_instructions or [], schema("gen-ai-system-instructions")) == []


def test_content_off() -> None:
    """Events without content still say who spoke; a span without content says nothing."""
    off = [LogRecord(event_name="gen_ai.user.message"),
           LogRecord(event_name="gen_ai.choice",
                     body={"index": 0, "finish_reason": "stop", "message": {}})]  # fmt: skip
    content = read_log_content(off)
    assert content.input_messages == [{"role": "user", "parts": []}]
    assert content.output_messages == [{"role": "assistant", "parts": [], "finish_reason": "stop"}]
    assert read_observation(recorded("semconv/v1_28_chat")).read_content() == Content()


def test_choices_are_ordered() -> None:
    """Choices come in the order of their index, not of their arrival."""
    records = [
        LogRecord(event_name="gen_ai.choice", body={"index": i, "message": {"content": str(i)}})
        for i in (1, 0)
    ]
    content = read_log_content(records)
    assert [m["parts"] for m in content.output_messages or []] == [
        [{"type": "text", "content": "0"}],
        [{"type": "text", "content": "1"}],
    ]


@pytest.mark.parametrize("cut", ['[{"role": "user", "parts": [{"type": "text", "cont', "[", "{"])
def test_cut_short(cut: str) -> None:
    """JSON that an SDK's length limit cut short is kept as text."""
    content = read_observation(Span(attributes={"gen_ai.input.messages": cut})).read_content()
    assert content.input_messages is None
    assert content.input == cut


@pytest.mark.parametrize(
    ("attributes", "wanted"),
    [
        ({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.arguments": '{"a": 1}',
          "gen_ai.tool.call.result": "18 C"}, ({"a": 1}, "18 C")),
        ({"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.query.text": "q",
          "gen_ai.retrieval.documents": '[{"id": "1"}]'}, ("q", [{"id": "1"}])),
        ({"gen_ai.operation.name": "search_memory", "gen_ai.memory.query.text": "q"}, ("q", None)),
    ],
)  # fmt: skip
def test_plain_content(attributes: dict[str, Value], wanted: Any) -> None:
    """Tools, retrievals and memories have input and output that are no messages."""
    content = read_observation(Span(attributes=attributes)).read_content()
    assert (content.input, content.output) == wanted


@pytest.mark.parametrize(
    ("flat", "nested"),
    [
        ({"0.a": 1, "1.a": 2}, [{"a": 1}, {"a": 2}]),
        ({"10.a": 1, "2.a": 2}, [{"a": 2}, {"a": 1}]),
        ({"0.a.0.b": 1, "0.a.1.b": 2}, [{"a": [{"b": 1}, {"b": 2}]}]),
        ({"0.a": 1, "0.a.b": 2}, [{"a": 1}]),
        ({"name": "x", "variable.0": 1, "0": 3}, []),
        ({"²": 1, "0" * 5000 + ".a": 1}, []),
        (
            {"0." + "a." * 2000: 1},
            [{"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a." * 1993: 1}}}}}}}}],
        ),
    ],
)
def test_unflatten(flat: dict[str, Value], nested: Value) -> None:
    """Indexed keys become a list by index; what does not fit is left out."""
    assert unflatten(flat) == nested
