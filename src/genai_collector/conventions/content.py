"""Reading content where the OpenTelemetry conventions have put it, generation by generation.

See `generations` for the list of places. Each function here fills only what is still unknown, so
that the order in which they are called is the precedence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import from_json, whole
from genai_collector.conventions.messages import (
    to_instructions,
    to_parts_messages,
    to_tool_definitions,
)
from genai_collector.conventions.observation import Content, Message
from genai_collector.conventions.vocabulary import Sources
from genai_collector.model import Attributes, LogRecord, Value

MESSAGE_EVENTS: Final = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "assistant",
}
"""Per-message events -> the role they imply."""
CONTENT_PROMPT: Final = "gen_ai.content.prompt"
CONTENT_COMPLETION: Final = "gen_ai.content.completion"

_BLOCK_KEYS: Final = frozenset(("type", "text", "toolUse", "toolResult", "functionCall", "image"))
_EVENT_TAGS: Final = frozenset(("gen_ai.system", "gen_ai.provider.name", "event.name"))
_DEEPEST: Final = 8


Take: TypeAlias = Callable[[str], Value]
"""Gives the raw value of a content field, and notes that it was used."""


# v1.37 and later ------------------------------------------------------------------------------
def read_today(sources: Sources, content: Content) -> None:
    """Content attributes, then the operation details event, then the per-message events."""
    fill(content, sources.take)
    for field in ("input", "query"):
        if content.input is None:
            content.input = structured(sources.take(field))
    for field in ("output", "documents"):
        if content.output is None:
            content.output = structured(sources.take(field))
    if is_complete(content) or not sources.span.has_events:
        return
    for event in sources.span.events:
        if event.name == s.EVENT_OPERATION_DETAILS:
            fill(content, _details(event.attributes))
            sources.consumed_events.add(event.name)
    _read_message_events(sources, content)


def fill(content: Content, take: Take) -> None:
    """Messages, instructions and definitions where still unknown.

    What cannot be read as messages (a JSON text cut short, say) is kept as plain input or output.
    """
    if content.input_messages is None:
        fill_input(content, take("input_messages"))
    if content.output_messages is None:
        fill_output(content, take("output_messages"))
    if content.system_instructions is None:
        content.system_instructions = to_instructions(take("system_instructions"))
    if content.tool_definitions is None:
        content.tool_definitions = to_tool_definitions(take("tool_definitions"))


def fill_input(content: Content, value: Value) -> None:
    """The value as input messages, or as plain input if it is no messages."""
    content.input_messages = to_parts_messages(value)
    if content.input_messages is None and content.input is None:
        content.input = value


def fill_output(content: Content, value: Value) -> None:
    """The value as output messages, or as plain output if it is no messages."""
    content.output_messages = to_parts_messages(value, default_role="assistant")
    if content.output_messages is None and content.output is None:
        content.output = value


def is_complete(content: Content) -> bool:
    """Whether no older place needs to be looked at."""
    return content.input_messages is not None and content.output_messages is not None


def _details(attributes: Attributes) -> Take:
    return {
        "input_messages": attributes.get(s.GEN_AI_INPUT_MESSAGES),
        "output_messages": attributes.get(s.GEN_AI_OUTPUT_MESSAGES),
        "system_instructions": attributes.get(s.GEN_AI_SYSTEM_INSTRUCTIONS),
        "tool_definitions": attributes.get(s.GEN_AI_TOOL_DEFINITIONS),
    }.get


def structured(value: Value) -> Value:
    """What a JSON text of an object or array says; anything else as it is."""
    if isinstance(value, str):
        parsed = from_json(value)
        return value if parsed is None else parsed
    return value


# Older generations ----------------------------------------------------------------------------
def read_older(sources: Sources, content: Content) -> None:
    """Indexed attributes, then per-message events, then content events and attributes."""
    if is_complete(content):
        return
    _read_indexed(sources, content)
    _read_message_events(sources, content)
    if not is_complete(content) and sources.span.has_events:
        _read_content_events(sources, content)
    if content.input_messages is None and content.input is None:
        fill_input(content, sources.take("old_input"))
    if content.output_messages is None and content.output is None:
        fill_output(content, sources.take("old_output"))
        sources.finish(content.output_messages)


def _read_message_events(sources: Sources, content: Content) -> None:
    if is_complete(content) or not sources.span.has_events:
        return
    found = [(e.name, e.attributes) for e in sources.span.events if e.name in MESSAGE_EVENTS]
    if found:
        given, made = messages_of_events(found)
        _accept(sources, content, given, made, {name for name, _ in found})


def _accept(
    sources: Sources,
    content: Content,
    given: list[Message],
    made: list[Message],
    events: Iterable[str],
) -> None:
    if content.input_messages is None and given:
        content.input_messages = given
        sources.consumed_events.update(name for name in events if name != "gen_ai.choice")
    if content.output_messages is None and made:
        content.output_messages = sources.finish(made)
        sources.consumed_events.update({"gen_ai.choice"}.intersection(events))


def _read_indexed(sources: Sources, content: Content) -> None:
    if content.input_messages is None:
        content.input_messages = _indexed(sources, "gen_ai.prompt.", "user")
    if content.output_messages is None:
        content.output_messages = _indexed(sources, "gen_ai.completion.", "assistant")
        sources.finish(content.output_messages)


def _indexed(sources: Sources, prefix: str, role: str) -> list[Message] | None:
    attributes = sources.span.attributes
    keys = [key for key in attributes if key.startswith(prefix)]
    items = unflatten({key[len(prefix) :]: attributes[key] for key in keys}) if keys else []
    messages = to_parts_messages([_with_blocks(item) for item in items], default_role=role)
    if not messages:
        return None
    sources.consumed.update(key for key in keys if _is_index(key[len(prefix) :].split(".")[0]))
    return messages


def unflatten(attributes: Attributes) -> list[Value]:
    """The list that attributes `{i}.a.{j}.b` were flattened from; empty if there are none.

    Where a key is both a value and a prefix of others, the first one stays.
    """
    tree: dict[str, Value] = {}
    for key, value in attributes.items():
        path = key.split(".", _DEEPEST)
        if not _is_index(path[0]) or len(path) == 1:
            continue
        node = tree
        for step in path[:-1]:
            inner = node.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            node = inner
        else:
            node.setdefault(path[-1], value)
    nested = _listed(tree)
    return nested if isinstance(nested, list) else []


def _is_index(step: str) -> bool:
    return len(step) <= 6 and step.isascii() and step.isdecimal()


def _listed(node: Value) -> Value:
    if not isinstance(node, dict):
        return node
    if node and all(_is_index(step) for step in node):
        return [_listed(node[step]) for step in sorted(node, key=int)]
    return {step: _listed(value) for step, value in node.items()}


def messages_of_events(
    events: Iterable[tuple[str, Value]],
) -> tuple[list[Message], list[Message]]:
    """Input and output messages from per-message events `(name, body)`, in order.

    The body of a span event is its attributes; some libraries put the whole body as JSON under
    `gen_ai.event.content`. Choices are ordered by their index. Bodies without content (content
    capture is off) are messages without parts.
    """
    given: list[Message] = []
    choices: list[tuple[int, Message]] = []
    for name, body in events:
        message = _event_message(name, body)
        if message is None:
            continue
        if name == "gen_ai.choice":
            index = whole(body.get("index")) if isinstance(body, dict) else None
            choices.append((len(choices) if index is None else index, message))
        else:
            given.append(message)
    choices.sort(key=lambda choice: choice[0])
    return given, [message for _, message in choices]


def _event_message(name: str, raw: Value) -> Message | None:
    role = MESSAGE_EVENTS[name]
    body = _event_body(raw)
    message = body.get("message")
    if isinstance(message, str):
        parsed = from_json(message)
        message = parsed if isinstance(parsed, dict) else {"content": message}
    if isinstance(message, dict):
        body = {**body, "message": _with_blocks(message)}
    else:
        body = {"role": role, **body}
    found = to_parts_messages(_with_blocks(body), default_role=role)
    return found[0] if found else None


def _event_body(raw: Value) -> dict[str, Value]:
    if isinstance(raw, dict):
        inner = raw.get("gen_ai.event.content")
        if not isinstance(inner, str):
            return {key: value for key, value in raw.items() if key not in _EVENT_TAGS}
        raw = inner
    if isinstance(raw, str):
        parsed = from_json(raw)
        return parsed if isinstance(parsed, dict) else {"content": raw}
    return {}


def _with_blocks(body: Value) -> Value:
    """The same with its `content` parsed, if that is the JSON text of content blocks."""
    if isinstance(body, dict) and isinstance(body.get("content"), str):
        blocks = from_json(str(body["content"]))
        if (
            isinstance(blocks, list)
            and blocks
            and all(
                isinstance(block, dict) and not _BLOCK_KEYS.isdisjoint(block) for block in blocks
            )
        ):
            return {**body, "content": blocks}
    return body


def _read_content_events(sources: Sources, content: Content) -> None:
    given: list[Message] | None = []
    made: list[Message] | None = []
    for event in sources.span.events:
        if event.name == CONTENT_PROMPT:
            found = to_parts_messages(event.attributes.get("gen_ai.prompt"))
            given = None if found is None or given is None else given + found
        elif event.name == CONTENT_COMPLETION:
            completion = event.attributes.get("gen_ai.completion")
            found = to_parts_messages(completion, default_role="assistant")
            made = None if found is None or made is None else made + found
    if content.input_messages is None and given:
        content.input_messages = given
        sources.consumed_events.add(CONTENT_PROMPT)
    if content.output_messages is None and made:
        content.output_messages = sources.finish(made)
        sources.consumed_events.add(CONTENT_COMPLETION)


# Log records ------------------------------------------------------------------------------------
def read_log_content(records: Iterable[LogRecord]) -> Content:
    """The content that the GenAI events of ONE call carry, in whatever generation they are.

    The caller brings the records of a call together (by span id, or by `gen_ai.response.id` where
    a producer leaves the ids out).
    """
    content = Content()
    events: list[tuple[str, Value]] = []
    for record in records:
        name = event_name(record)
        if name == s.EVENT_OPERATION_DETAILS:
            fill(content, _details(record.attributes))
        elif name in MESSAGE_EVENTS:
            events.append((name, record.body))
    given, made = messages_of_events(events)
    if content.input_messages is None and given:
        content.input_messages = given
    if content.output_messages is None and made:
        content.output_messages = made
    return content


def event_name(record: LogRecord) -> str:
    """The name of an event, also from the attribute that older SDKs put it in; empty if none."""
    name: Value = record.event_name
    for key in ("event.name", "event_name"):
        name = name or record.attributes.get(key)
    return name if isinstance(name, str) else ""


# For every vocabulary ---------------------------------------------------------------------------
MESSAGE_KINDS: Final = frozenset(("generation", "embedding", "agent"))


def fill_sides(sources: Sources, content: Content, given: Value, made: Value) -> None:
    """What went in and came out of a span, in whatever form: messages for calls and agents, the
    value that the text says for everything else. A request body brings its tools along."""
    talks = sources.kind in MESSAGE_KINDS
    if given is not None and content.input_messages is None and content.input is None:
        body = structured(given)
        if talks:
            fill_request(content, body)
        if content.input_messages is None:
            content.input = body
    if made is not None and content.output_messages is None and content.output is None:
        body = structured(made)
        if talks and sources.kind != "embedding":
            content.output_messages = sources.finish(
                to_parts_messages(body, default_role="assistant")
            )
        if content.output_messages is None:
            content.output = body


def fill_request(content: Content, body: Value) -> None:
    """Messages, instructions and tools from a request body, or from its messages alone."""
    if content.input_messages is None:
        content.input_messages = to_parts_messages(body)
    if isinstance(body, dict):
        for key in ("instructions", "system", "systemInstruction", "system_instruction"):
            if content.system_instructions is None and body.get(key):
                content.system_instructions = to_instructions(body[key])
        if content.tool_definitions is None and isinstance(body.get("tools"), list):
            content.tool_definitions = to_tool_definitions(body["tools"])


def indexed(sources: Sources, prefix: str) -> list[Value]:
    """The list that was flattened into attributes `{prefix}{i}...`, noted as consumed."""
    attributes = sources.span.attributes
    flat = {key[len(prefix) :]: v for key, v in attributes.items() if key.startswith(prefix)}
    found = unflatten(flat) if flat else []
    if found:
        sources.consumed.update(prefix + key for key in flat if _is_index(key.partition(".")[0]))
    return found
