"""Messages written the way that older or other conventions keep them on a span.

`to_events` writes the conventions of v1.28 to v1.36 (one span event per message), `flattened`
writes OpenInference's indexed attributes. Both say whether what they wrote reads back as exactly
the same messages; where it does not (several answers in one message, parts that the form does not
know), the caller keeps the exact form beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from genai_collector.conventions.coerce import from_json, to_json
from genai_collector.conventions.content import messages_of_events, unflatten
from genai_collector.conventions.messages import (
    to_openai_choices,
    to_openai_messages,
    to_openai_tools,
    to_parts_messages,
)
from genai_collector.conventions.observation import Content, Message
from genai_collector.conventions.openinference import is_tool, message_of, tool_of
from genai_collector.model import Attributes, Event, Span, Value

_EVENTS_OF_ROLES: Final = {
    "system": "gen_ai.system.message",
    "user": "gen_ai.user.message",
    "assistant": "gen_ai.assistant.message",
    "tool": "gen_ai.tool.message",
}
CHOICE: Final = "gen_ai.choice"


def whole_input(content: Content) -> list[Message] | None:
    """Input messages with the instructions in front, as forms without instructions have them."""
    messages = content.input_messages or []
    if content.system_instructions:
        parts = cast("list[Value]", content.system_instructions)
        first: Message = {"role": "system", "parts": parts}
        # Some producers state the same instructions in both places.
        return messages if messages[:1] == [first] else [first, *messages]
    return content.input_messages


# One event per message ------------------------------------------------------------------------
def input_events(span: Span, messages: list[Message], provider: str | None) -> list[Event]:
    """Input messages as span events at the span's start."""
    tags: Attributes = {} if provider is None else {"gen_ai.system": provider}
    events = []
    for message in to_openai_messages(messages):
        role = message.get("role")
        name = _EVENTS_OF_ROLES.get(role if isinstance(role, str) else "", "gen_ai.user.message")
        body = dict(tags)
        if _EVENTS_OF_ROLES.get(str(role)) is None:
            body["role"] = role
        for key, value in message.items():
            if key != "role" and value is not None:
                body["id" if key == "tool_call_id" else key] = _as_text(value)
        events.append(Event(name, span.start_ns, body))
    return events


def choice_events(span: Span, messages: list[Message], provider: str | None) -> list[Event]:
    """Output messages as span events at the span's end."""
    tags: Attributes = {} if provider is None else {"gen_ai.system": provider}
    events = []
    for choice in to_openai_choices(messages):
        body = tags | {
            key: value if isinstance(value, int) else _as_text(value)
            for key, value in choice.items()
            if value is not None
        }
        events.append(Event(CHOICE, span.end_ns, body))
    return events


def read_back(events: list[Event]) -> tuple[list[Message], list[Message]]:
    """The input and output messages that these events say."""
    return messages_of_events([(event.name, event.attributes) for event in events])


def _as_text(value: Value) -> Value:
    return value if isinstance(value, str) else to_json(value)


# Indexed attributes ---------------------------------------------------------------------------
def flattened(messages: list[Message], prefix: str) -> Attributes:
    """Messages as OpenInference's attributes `{prefix}{i}.message.*`."""
    found: Attributes = {}
    for index, message in enumerate(to_openai_messages(messages)):
        for key, value in _flat_message(message):
            found[f"{prefix}{index}.message.{key}"] = value
    return found


def reads_as(flat: Attributes, prefix: str, messages: list[Message]) -> bool:
    """Whether these attributes read back as exactly these messages, finish reasons aside."""
    items = unflatten({key[len(prefix) :]: value for key, value in flat.items()})
    found = to_parts_messages([message_of(item) for item in items])
    return found == [{k: v for k, v in m.items() if k != "finish_reason"} for m in messages]


def _flat_message(message: dict[str, Value]) -> Iterator[tuple[str, Value]]:
    for key in ("role", "name", "tool_call_id", "reasoning_content"):
        value = message.get(key)
        if isinstance(value, str):
            yield key, value
    content = message.get("content")
    if isinstance(content, str):
        yield "content", content
    elif isinstance(content, list):
        for at, block in enumerate(content):
            for key, value in _flat_block(block):
                yield f"contents.{at}.message_content.{key}", value
    calls = message.get("tool_calls")
    for at, call in enumerate(calls if isinstance(calls, list) else ()):
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(call, dict) and isinstance(function, dict):
            start = f"tool_calls.{at}.tool_call."
            if isinstance(call.get("id"), str):
                yield f"{start}id", call["id"]
            yield f"{start}function.name", function.get("name")
            yield f"{start}function.arguments", function.get("arguments")


def _flat_block(block: Value) -> Iterator[tuple[str, Value]]:
    if not isinstance(block, dict):
        return
    image = block.get("image_url")
    if isinstance(image, dict) and isinstance(image.get("url"), str):
        yield "type", "image"
        yield "image.image.url", image["url"]
    elif block.get("type") == "text" and isinstance(block.get("text"), str):
        yield "type", "text"
        yield "text", block["text"]
    else:
        yield "type", "text"
        yield "text", to_json(block)


def flattened_tools(definitions: Value, prefix: str) -> Attributes | None:
    """Tool definitions as `{prefix}{i}.tool.json_schema`; None if they would read differently."""
    # As JSON has them: bytes have no other form there, so twice must not be different from once.
    text = to_json(to_openai_tools(definitions))
    tools = None if text is None else from_json(text)
    if not isinstance(tools, list) or not tools or not all(map(is_tool, tools)):
        return None
    flat: Attributes = {
        f"{prefix}{index}.tool.json_schema": to_json(tool) for index, tool in enumerate(tools)
    }
    items = unflatten({key[len(prefix) :]: value for key, value in flat.items()})
    return flat if [tool_of(item) for item in items] == tools else None
