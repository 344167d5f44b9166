"""Every shape of messages becomes the conventions' shape, valid by their own schemas."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.conventions.coerce import to_json
from genai_collector.conventions.messages import (
    parts_of,
    to_instructions,
    to_openai_choices,
    to_openai_messages,
    to_openai_tools,
    to_parts_messages,
    to_tool_definitions,
)
from genai_collector.conventions.observation import Message, Part
from genai_collector.model import Value
from tests.conventions.loading import values
from tests.conventions.schema import faults, schema

TEXT: Part = {"type": "text", "content": "hi"}
CALL: Part = {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}
ANSWER: Part = {"type": "tool_call_response", "id": "c1", "response": "18 C"}
PNG: Part = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBO"}

SHAPES: dict[str, tuple[Any, Any]] = {
    "conventions": (
        [{"role": "user", "parts": [TEXT]}],
        [{"role": "user", "parts": [TEXT]}],
    ),
    "conventions, null name": (
        [{"role": "user", "parts": [TEXT], "name": None}],
        [{"role": "user", "parts": [TEXT], "name": None}],
    ),
    "a text and nothing beside it": (
        [{"message": {"role": "assistant", "content": "hi", "tool_calls": None, "name": None},
          "finish_reason": "stop"}],
        [{"role": "assistant", "parts": [TEXT], "finish_reason": "stop"}],
    ),
    "a text and a name": (
        [{"role": "user", "content": "hi", "name": "n", "tool_calls": None}],
        [{"role": "user", "parts": [TEXT], "name": "n"}],
    ),
    "arguments as json text": (
        [{"role": "assistant", "parts": [{**CALL, "arguments": '{"a": 1}'}]}],
        [{"role": "assistant", "parts": [CALL]}],
    ),
    "result for response": (
        [{"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "result": "18 C"}]}],
        [{"role": "tool", "parts": [ANSWER]}],
    ),
    "json text": ('[{"role": "user", "content": "hi"}]', [{"role": "user", "parts": [TEXT]}]),
    "python repr": ("[{'role': 'user', 'content': 'hi'}]", [{"role": "user", "parts": [TEXT]}]),
    "plain text": ("hi", [{"role": "user", "parts": [TEXT]}]),
    "list of texts": (["hi", "hi"], [{"role": "user", "parts": [TEXT]}] * 2),
    "one message": ({"role": "user", "content": "hi"}, [{"role": "user", "parts": [TEXT]}]),
    "request body": (
        {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
        [{"role": "user", "parts": [TEXT]}],
    ),
    "openai calls": (
        [{
            "role": "assistant", "content": None, "refusal": None,
            "tool_calls": [{"id": "c1", "type": "function",
                            "function": {"name": "f", "arguments": '{"a": 1}'}}],
        }],
        [{"role": "assistant", "parts": [CALL]}],
    ),
    "openai answer": (
        [{"role": "tool", "tool_call_id": "c1", "content": "18 C"}],
        [{"role": "tool", "parts": [ANSWER]}],
    ),
    "openai legacy call": (
        [{"role": "assistant", "function_call": {"name": "f", "arguments": '{"a": 1}'}}],
        [{"role": "assistant",
          "parts": [{"type": "tool_call", "name": "f", "arguments": {"a": 1}}]}],
    ),
    "openai choice": (
        [{"index": 0, "finish_reason": "tool_calls", "message": {"content": "hi"}}],
        [{"role": "user", "parts": [TEXT], "finish_reason": "tool_call"}],
    ),
    "calls beside the message": (
        [{"message": {"role": "assistant"}, "finish_reason": "stop",
          "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": '{"a": 1}'}}]}],
        [{"role": "assistant", "parts": [CALL], "finish_reason": "stop"}],
    ),
    "openai blocks": (
        [{"role": "user", "content": [
            {"type": "text", "text": "hi"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
            {"type": "image_url", "image_url": {"url": "gs://b/x.png", "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"type": "file", "file": {"file_id": "f1"}},
        ]}],
        [{"role": "user", "parts": [
            TEXT, PNG,
            {"type": "uri", "modality": "image", "uri": "gs://b/x.png", "detail": "low"},
            {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "AA=="},
            {"type": "file", "modality": "document", "file_id": "f1"},
        ]}],
    ),
    "responses items": (
        [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "so"}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
            {"type": "function_call_output", "call_id": "c1", "output": "18 C"},
        ],
        [
            {"role": "user", "parts": [TEXT]},
            {"role": "assistant", "parts": [{"type": "reasoning", "content": "so"}]},
            {"role": "assistant", "parts": [CALL]},
            {"role": "tool", "parts": [ANSWER]},
        ],
    ),
    "anthropic": (
        [
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "so", "signature": "x"},
                {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "18 C"},
                {"type": "image",
                 "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
            ]},
        ],
        [
            {"role": "assistant",
             "parts": [{"type": "reasoning", "content": "so", "signature": "x"}, CALL]},
            {"role": "user", "parts": [ANSWER, PNG]},
        ],
    ),
    "gemini": (
        {"contents": [
            {"role": "model",
             "parts": [{"text": "hi"}, {"functionCall": {"name": "f", "args": {}}}]},
            {"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}]},
        ]},
        [
            {"role": "assistant",
             "parts": [TEXT, {"type": "tool_call", "name": "f", "arguments": {}}]},
            {"role": "user", "parts": [PNG]},
        ],
    ),
    "vercel": (
        [{"role": "assistant", "content": [
            {"type": "tool-call", "toolCallId": "c1", "toolName": "f", "args": {"a": 1}}]}],
        [{"role": "assistant", "parts": [CALL]}],
    ),
    "bedrock": (
        [{"role": "assistant",
          "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}}]}],
        [{"role": "assistant", "parts": [CALL]}],
    ),
    "langchain": (
        [{"type": "human", "content": "hi"}, {"type": "ai", "content": "hi"}],
        [{"role": "user", "parts": [TEXT]}, {"role": "assistant", "parts": [TEXT]}],
    ),
    "unknown part": (
        [{"role": "user", "parts": [{"type": "hologram", "x": 1}]}],
        [{"role": "user", "parts": [{"type": "hologram", "x": 1}]}],
    ),
    "content off": ([], []),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape: str) -> None:
    """Each known shape gives exactly these messages, and they are valid input messages."""
    given_, wanted = SHAPES[shape]
    found = to_parts_messages(given_)
    assert found == wanted
    assert faults(found, schema("gen-ai-input-messages")) == []


@pytest.mark.parametrize("value", [None, "", 7, '[{"role": "user", "par', "{", [1], {"a": 1}, b"x"])
def test_no_messages(value: Value) -> None:
    """What is no list of messages, or was cut short, is left to the caller."""
    assert to_parts_messages(value) is None


def test_default_role() -> None:
    """Plain output text is the assistant's."""
    assert to_parts_messages("hi", default_role="assistant") == [
        {"role": "assistant", "parts": [TEXT]}
    ]


@given(values())
@settings(max_examples=200, deadline=None)
def test_total_and_stable(value: Value) -> None:
    """Any value gives messages that come back unchanged, or none; never an error."""
    found = to_parts_messages(value)
    to_instructions(value)
    to_tool_definitions(value)
    if found is not None:
        for message in found:
            assert isinstance(message["role"], str)
            assert all(isinstance(part["type"], str) for part in parts_of(message))
        again = to_parts_messages(list(found))
        assert again is not None
        assert to_json(list(again)) == to_json(list(found))
        to_openai_choices(found)


_PARTS = st.one_of(
    st.builds(lambda t: {"type": "text", "content": t}, st.text()),
    st.just(PNG),
    st.builds(
        lambda i, a: {"type": "tool_call", "id": i, "name": "f", "arguments": {"a": a}},
        st.text(min_size=1), st.integers(-(2**60), 2**60),
    ),
)  # fmt: skip


@given(
    st.lists(
        st.one_of(
            st.builds(
                lambda parts: {
                    "role": "assistant",
                    "parts": sorted(parts, key=lambda p: p["type"] == "tool_call"),
                },
                st.lists(_PARTS, max_size=4),
            ),
            st.builds(
                lambda text: {"role": "tool", "parts": [{**ANSWER, "response": text}]}, st.text()
            ),
        ),
        max_size=4,
    )
)
@settings(max_examples=150, deadline=None)
def test_openai_and_back(messages: list[Any]) -> None:
    """Text, images, calls and answers survive the way through OpenAI's shape."""
    assert to_parts_messages([*to_openai_messages(messages)]) == messages


def test_openai_shapes() -> None:
    """A response of several answers becomes one tool message each; choices carry the reason."""
    both: Message = {
        "role": "tool",
        "parts": [ANSWER, {**ANSWER, "id": "c2", "response": {"t": 1}}],
    }
    assert to_openai_messages([both]) == [
        {"role": "tool", "tool_call_id": "c1", "content": "18 C"},
        {"role": "tool", "tool_call_id": "c2", "content": '{"t":1}'},
    ]
    reasoned: Message = {
        "role": "assistant",
        "parts": [{"type": "reasoning", "content": "so"}, TEXT, CALL],
        "finish_reason": "tool_call",
    }
    assert to_openai_choices([reasoned]) == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "hi",
                "reasoning_content": "so",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"a":1}'},
                    }
                ],
            },
            "finish_reason": "tool_calls",
        }
    ]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("Be terse.", [{"type": "text", "content": "Be terse."}]),
        ('[{"type": "text", "content": "a"}]', [{"type": "text", "content": "a"}]),
        ([{"type": "text", "text": "a"}], [{"type": "text", "content": "a"}]),
        ('[{"role": "system", "content": "a"}]', [{"type": "text", "content": "a"}]),
        ('[{"type": "te', None),
        (None, None),
    ],
)
def test_instructions(value: Value, wanted: Value) -> None:
    """System instructions are parts, from parts, messages or text."""
    assert to_instructions(value) == wanted


def test_tool_definitions() -> None:
    """OpenAI's nested definitions and the conventions' flat ones are one, both ways."""
    nested: Value = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    flat: Value = [{"type": "function", "name": "f", "parameters": {}}]
    assert to_tool_definitions(to_json(nested)) == flat
    assert to_tool_definitions(flat) == flat
    assert to_openai_tools(flat) == nested
    assert to_tool_definitions("search, browse") == "search, browse"
    assert faults(flat, schema("gen-ai-tool-definitions")) == []
