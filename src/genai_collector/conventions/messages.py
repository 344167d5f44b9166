"""Every shape of chat messages found in the wild, to the conventions' messages and back.

The conventions' shape is `{"role", "parts": [...], "finish_reason"?, "name"?}`. What arrives under
the same attribute may also be OpenAI's `{"role", "content", "tool_calls"}`, a choice with a message
inside, items of the Responses API, Gemini's contents, LangChain's typed messages, a whole request
or response body around any of these, a list of texts, or plain text: sniffed, never assumed.

All functions are total: what is no list of messages gives None, and the caller keeps the original.
"""

from __future__ import annotations

from typing import Final, cast

from genai_collector.conventions.coerce import from_json, literal, to_json
from genai_collector.conventions.observation import Message, Part
from genai_collector.conventions.parts import (
    text_part,
    to_part,
    to_parts,
    tool_call_part,
    tool_response_part,
)
from genai_collector.conventions.semconv import message_finish_reason
from genai_collector.model import Value

_ROLES: Final = {"human": "user", "ai": "assistant", "model": "assistant", "function": "tool"}
_SPEAKERS: Final = ("user", "assistant", "system")
_WRAPPERS: Final = ("messages", "choices", "contents", "candidates", "output", "input")
_ITEMS: Final = {
    "function_call": "assistant", "function_call_output": "tool", "reasoning": "assistant",
    "tool_use": "assistant", "tool_result": "user",
}  # fmt: skip
"""Responses API items that are a message of their own -> its role."""
_READ_KEYS: Final = frozenset((
    "role", "parts", "content", "tool_calls", "function_call", "tool_call_id", "reasoning_content",
    "message", "type", "index", "finish_reason", "finishReason", "logprobs",
))  # fmt: skip
_CALL_KEYS: Final = frozenset(("id", "type", "name", "arguments", "args", "index"))


def to_parts_messages(value: Value, *, default_role: str = "user") -> list[Message] | None:
    """Messages in the conventions' shape from any shape known, parsed or as JSON text.

    Plain text is one message of `default_role`. None: these are no messages (a damaged JSON text,
    a number, an unknown structure), and the original should be kept. Messages that already have
    the shape come back equal.
    """
    if isinstance(value, str):
        parsed = literal(value)
        if parsed is None:
            if not value or value.lstrip()[:1] in ("[", "{"):
                return None
            return [_text_message(value, default_role)]
        value = parsed
    if isinstance(value, dict):
        return _from_dict(value, default_role)
    if not isinstance(value, list):
        return None
    messages: list[Message] = []
    for item in value:
        message = _message(item, default_role)
        if message is None:
            return None
        messages.append(message)
    return messages


def to_instructions(value: Value) -> list[Part] | None:
    """Parts of `gen_ai.system_instructions`, from parts, messages or plain text."""
    if isinstance(value, str):
        parsed = from_json(value)
        if parsed is None:
            damaged = not value or value.lstrip()[:1] in ("[", "{")
            return None if damaged else [text_part(value)]
        value = parsed
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list) and value and _is_message(value[0]):
        messages = to_parts_messages(value)
        return None if messages is None else [part for m in messages for part in parts_of(m)]
    return to_parts(value) if isinstance(value, list) else None


def to_tool_definitions(value: Value) -> Value:
    """Definitions as `[{"type": "function", "name", "description"?, "parameters"?}, ...]`.

    Also from OpenAI's nested form and from JSON text; what is neither comes back as it is.
    """
    parsed = from_json(value) if isinstance(value, str) else value
    if not isinstance(parsed, list):
        return value
    return [_tool_definition(item) for item in parsed]


def to_openai_messages(messages: list[Message]) -> list[dict[str, Value]]:
    """Messages as OpenAI's Chat Completions take them.

    Text becomes `content`, calls become `tool_calls` (arguments as JSON text), each tool response
    becomes a message of role `tool`, media become content blocks. A part with no OpenAI form stays
    in `content` as it is. `finish_reason` is no part of a message: see `to_openai_choices`.
    """
    return [out for message in messages for out in _to_openai(message)]


def to_openai_choices(messages: list[Message]) -> list[dict[str, Value]]:
    """Output messages as the `choices` of an OpenAI response."""
    choices: list[dict[str, Value]] = []
    for index, message in enumerate(messages):
        reason = message.get("finish_reason")
        if reason == "tool_call":
            reason = "tool_calls"
        inner: dict[str, Value] = {}
        for out in _to_openai(message):
            inner = inner or out
        choices.append({"index": index, "message": inner, "finish_reason": reason})
    return choices


def to_openai_tools(definitions: Value) -> Value:
    """Tool definitions in OpenAI's nested form; what is no list of them comes back as it is."""
    if not isinstance(definitions, list):
        return definitions
    tools: list[Value] = []
    for item in definitions:
        if isinstance(item, dict) and item.get("type") == "function" and "function" not in item:
            inner = {key: value for key, value in item.items() if key != "type"}
            tools.append({"type": "function", "function": inner})
        else:
            tools.append(item)
    return tools


def parts_of(message: Message) -> list[Part]:
    """The parts of a message in the conventions' shape."""
    parts = message.get("parts")
    return [p for p in parts if isinstance(p, dict)] if isinstance(parts, list) else []


def text_of(message: Message) -> str:
    """The text of a message, its text parts joined by line feeds; empty if it has none."""
    texts = [part.get("content") for part in parts_of(message) if part.get("type") == "text"]
    return "\n".join([text for text in texts if isinstance(text, str)])


# Into the conventions' shape ------------------------------------------------------------------
def _text_message(text: str, role: str) -> Message:
    return {"role": role, "parts": [text_part(text)]}


def _is_message(raw: Value) -> bool:
    return isinstance(raw, dict) and (
        isinstance(raw.get("role"), str)
        or isinstance(raw.get("parts"), list)
        or isinstance(raw.get("message"), dict)
    )


def _from_dict(raw: dict[str, Value], default_role: str) -> list[Message] | None:
    if not _is_message(raw):
        for key in _WRAPPERS:
            inner = raw.get(key)
            if isinstance(inner, list):
                return to_parts_messages(inner, default_role=default_role)
    message = _message(raw, default_role)
    return None if message is None else [message]


def _message(raw: Value, default_role: str) -> Message | None:
    if isinstance(raw, str):
        return _text_message(raw, default_role)
    if not isinstance(raw, dict):
        return None
    role, content = raw.get("role"), raw.get("content")
    # Most messages by far are a role and a text, and say nothing with their other members.
    if (
        role in _SPEAKERS
        and isinstance(content, str)
        and (len(raw) == 2 or list(raw.values()).count(None) == len(raw) - 2)
    ):
        return {"role": role, "parts": [text_part(content)]}
    if isinstance(raw.get("parts"), list):
        return _from_parts(raw, default_role)
    inner = raw.get("message")
    if isinstance(inner, dict):
        return _from_choice(raw, inner, default_role)
    kind = raw.get("type")
    if isinstance(kind, str) and kind in _ITEMS and "role" not in raw:
        return {"role": _ITEMS[kind], "parts": [to_part(raw)]}
    if kind in ("human", "ai", "system", "tool") and "role" not in raw and "content" in raw:
        return _from_content(raw, _role(kind, default_role))
    if isinstance(raw.get("role"), str) or "content" in raw or "tool_calls" in raw:
        # Gemini's candidate: {"content": {"role", "parts"}, "finishReason"}.
        inner = raw.get("content")
        if isinstance(inner, dict) and isinstance(inner.get("parts"), list):
            return _from_choice(raw, inner, "assistant")
        return _from_content(raw, _role(raw.get("role"), default_role))
    return None


def _role(value: Value, default: str) -> str:
    return _ROLES.get(value, value) if isinstance(value, str) and value else default


def _from_parts(raw: dict[str, Value], default_role: str) -> Message | None:
    parts = to_parts(raw["parts"])
    if parts is None:
        return None
    message: Message = {**raw, "role": _role(raw.get("role"), default_role)}
    message["parts"] = cast("list[Value]", parts)
    if isinstance(raw.get("finish_reason"), str):
        message["finish_reason"] = _finish_reason(raw)
    return message


def _from_choice(
    raw: dict[str, Value], inner: dict[str, Value], default_role: str
) -> Message | None:
    # Some writers put the calls beside the message instead of inside.
    if "tool_calls" in raw and "tool_calls" not in inner:
        inner = {**inner, "tool_calls": raw["tool_calls"]}
    message = _message({"role": default_role, **inner}, default_role)
    reason = _finish_reason(raw)
    if message is not None and reason is not None:
        message["finish_reason"] = reason
    return message


def _finish_reason(raw: dict[str, Value]) -> str | None:
    reason = raw.get("finish_reason", raw.get("finishReason"))
    return message_finish_reason(reason) if isinstance(reason, str) else None


def _from_content(raw: dict[str, Value], role: str) -> Message | None:
    content = raw.get("content")
    parts: list[Part] | None
    if role == "tool" and not _is_blocks(content):
        parts = [tool_response_part(raw.get("tool_call_id", raw.get("id")), content)]
    else:
        parts = to_parts(content)
    if parts is None:
        return None
    if isinstance(raw.get("reasoning_content"), str):
        parts.insert(0, {"type": "reasoning", "content": raw["reasoning_content"]})
    calls = raw.get("tool_calls")
    if isinstance(calls, str):
        calls = literal(calls)
    if isinstance(calls, list):
        parts += [_call(call) for call in calls if isinstance(call, dict)]
    if isinstance(raw.get("function_call"), dict):
        parts.append(to_part({"type": "function", "function": raw["function_call"]}))
    message: Message = {"role": role, "parts": cast("list[Value]", parts)}
    reason = _finish_reason(raw)
    if reason is not None:
        message["finish_reason"] = reason
    # What has no place in a part stays on the message (`name`, `refusal`, `annotations` ...).
    message |= {key: value for key, value in raw.items()
                if key not in _READ_KEYS and value not in (None, [])}  # fmt: skip
    if role == "tool":
        message.pop("id", None)
    return message


def _is_blocks(content: Value) -> bool:
    """Content blocks that already say what they answer (Anthropic, Vercel)."""
    return isinstance(content, list) and any(
        isinstance(item, dict) and item.get("type") in ("tool_result", "tool-result")
        for item in content
    )


def _call(raw: dict[str, Value]) -> Part:
    if raw.get("type") in (None, "function") and isinstance(raw.get("function"), dict):
        return to_part({**raw, "type": "function"})
    # LangChain and flattened attributes have the function's fields on the call itself.
    part = tool_call_part(raw.get("id"), raw.get("name"), raw.get("arguments", raw.get("args")))
    return part | {key: value for key, value in raw.items() if key not in _CALL_KEYS}


def _tool_definition(raw: Value) -> Value:
    if isinstance(raw, str):
        raw = from_json(raw) or raw
    if not isinstance(raw, dict):
        return raw
    function = raw.get("function")
    if isinstance(function, dict):
        return {"type": "function", **function}
    return raw if "type" in raw or "name" not in raw else {"type": "function", **raw}


# Into OpenAI's shape --------------------------------------------------------------------------
def _to_openai(message: Message) -> list[dict[str, Value]]:
    blocks: list[Value] = []
    calls: list[Value] = []
    answers: list[dict[str, Value]] = []
    reasoning: list[str] = []
    for part in parts_of(message):
        match part.get("type"):
            case "tool_call":
                calls.append(_openai_call(part))
            case "tool_call_response":
                answers.append(_openai_answer(part))
            case "reasoning":
                reasoning.append(_said(part, "content"))
            case _:
                blocks.append(_openai_block(part))
    if answers and not blocks and not calls:
        return answers
    out: dict[str, Value] = {"role": message.get("role"), "content": _openai_content(blocks)}
    if isinstance(message.get("name"), str):
        out["name"] = message["name"]
    if reasoning:
        out["reasoning_content"] = "\n".join(reasoning)
    if calls:
        out["tool_calls"] = calls
    return [*answers, out]


def _openai_content(blocks: list[Value]) -> Value:
    if not blocks:
        return None
    if len(blocks) == 1 and isinstance(blocks[0], dict) and blocks[0].get("type") == "text":
        return blocks[0].get("text")
    return blocks


def _openai_call(part: Part) -> Value:
    arguments = part.get("arguments")
    if not isinstance(arguments, str):
        arguments = "{}" if arguments is None else to_json(arguments)
    function: Value = {"name": part.get("name"), "arguments": arguments}
    return {"id": part.get("id"), "type": "function", "function": function}


def _openai_answer(part: Part) -> dict[str, Value]:
    response = part.get("response")
    content = response if isinstance(response, str) else to_json(response)
    return {"role": "tool", "tool_call_id": part.get("id"), "content": content}


def _openai_block(part: Part) -> Value:
    kind, modality = part.get("type"), part.get("modality")
    if kind == "text":
        return {"type": "text", "text": part.get("content")}
    if kind == "uri" and modality == "image":
        return {"type": "image_url", "image_url": {"url": part.get("uri")}}
    if kind == "blob" and modality == "image":
        url = f"data:{_said(part, 'mime_type')};base64,{_said(part, 'content')}"
        return {"type": "image_url", "image_url": {"url": url}}
    if kind == "blob" and modality == "audio":
        kind = _said(part, "mime_type").partition("/")[2]
        audio: Value = {"data": part.get("content"), "format": kind}
        return {"type": "input_audio", "input_audio": audio}
    if kind == "file":
        return {"type": "file", "file": {"file_id": part.get("file_id")}}
    return part


def _said(part: Part, key: str) -> str:
    value = part.get(key)
    return value if isinstance(value, str) else ""
