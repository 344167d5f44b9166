"""Request and response bodies in OpenAI's shape, as gateways keep them.

What is made here is for people and backends to read; a body that must come back to the letter is
kept as it was, beside this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from genai_collector.conventions.messages import (
    parts_of,
    to_openai_choices,
    to_openai_messages,
    to_openai_tools,
)
from genai_collector.conventions.observation import Content, Observation
from genai_collector.formats.fits import is_number, is_text
from genai_collector.formats.tagged import readable
from genai_collector.model import Attributes, Span, Value

Body: TypeAlias = "dict[str, Value]"

_DOUBLES: Final = frozenset({"temperature", "top_p", "frequency_penalty", "presence_penalty"})

# Request body members to `gen_ai.request.*`, for both directions; the first name that maps to an
# attribute is the one written.
REQUEST_PARAMETERS: Final = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "stop": "stop_sequences",
    "n": "choice.count",
    "stream": "stream",
}
PARAMETER_TO_REQUEST: Final = {ours: name for name, ours in reversed(REQUEST_PARAMETERS.items())}


def read_parameters(request: Body) -> Attributes:
    """`gen_ai.request.*` of a request body; one choice, the default, is not said."""
    found: Attributes = {}
    for name, key, read in _PARAMETERS:
        if name in request:
            fact = read(request[name])
            if fact is not None and (name != "n" or fact != 1):
                found[key] = fact
    return found


def _number(value: Value) -> Value:
    return value if is_number(value) else None


def _double(value: Value) -> Value:
    return float(value) if isinstance(value, int | float) and is_number(value) else None


def _texts(value: Value) -> Value:
    listed: Value = [value] if isinstance(value, str) else value
    return listed if isinstance(listed, list) and listed and all(map(is_text, listed)) else None


def _flag(value: Value) -> Value:
    return value if isinstance(value, bool) else None


_PARAMETER_READERS: Final[dict[str, Callable[[Value], Value]]] = {
    **dict.fromkeys(_DOUBLES, _double),
    "stop_sequences": _texts,
    "stream": _flag,
}
_PARAMETERS: Final = tuple([
    (name, "gen_ai.request." + ours, _PARAMETER_READERS.get(ours, _number))
    for name, ours in REQUEST_PARAMETERS.items()
])  # fmt: skip


def total_tokens(seen: Observation) -> int | None:
    usage = seen.usage
    if usage.total is not None:
        return usage.total
    if usage.input is None or (usage.output is None and seen.kind != "embedding"):
        return None
    return usage.input + (usage.output or 0)


def request_body(seen: Observation, content: Content) -> Body:
    """The call as OpenAI's request body would have said it."""
    body: Body = {}
    if seen.request_model is not None:
        body["model"] = seen.request_model
    if seen.kind == "embedding":
        _put(body, "input", _embedding_input(content))
    elif content.input_messages is not None or content.system_instructions:
        body["messages"] = request_messages(content)
    else:
        _put(body, "input", content.input)
    for key, value in seen.parameters.items():
        if value is not None:
            plain = value if type(value) is int or type(value) is str else readable(value)
            body.setdefault(PARAMETER_TO_REQUEST.get(key, key), plain)
    _put(body, "tools", to_openai_tools(content.tool_definitions))
    return body


def _put(body: Body, key: str, value: Value) -> None:
    if value is not None:
        body.setdefault(key, readable(value))


def request_messages(content: Content) -> Value:
    messages = content.input_messages or []
    instructions = content.system_instructions
    if instructions and not any(m.get("role") in {"system", "developer"} for m in messages):
        messages = [{"role": "system", "parts": list(instructions)}, *messages]
    return readable(list(to_openai_messages(messages)))


def _embedding_input(content: Content) -> Value:
    if content.input_messages is None:
        return content.input
    texts: list[Value] = [
        part.get("content")
        for message in content.input_messages
        for part in parts_of(message)
        if part.get("type") == "text"
    ]
    return texts[0] if len(texts) == 1 else texts


def response_body(span: Span, seen: Observation, content: Content) -> Body:
    """The answer as OpenAI's response body would have said it."""
    body: Body = {}
    if seen.response_id is not None:
        body["id"] = seen.response_id
    if seen.response_model is not None:
        body["model"] = seen.response_model
    if choices := _choices(seen, content):
        body["choices"] = choices
    elif content.output is not None:
        body["output"] = readable(content.output)
    if usage := usage_body(seen):
        body["usage"] = usage
    for name in ("system_fingerprint", "service_tier"):
        said = span.attributes.get("openai.response." + name)
        if isinstance(said, str):
            body[name] = said
    return body


def _choices(seen: Observation, content: Content) -> list[Value]:
    reasons = seen.finish_reasons or []
    if content.output_messages is None:
        silent: Body = {"role": "assistant", "content": None}
        return [
            {"index": at, "message": dict(silent), "finish_reason": reason}
            for at, reason in enumerate(reasons)
        ]
    choices = to_openai_choices(content.output_messages)
    for choice, reason in zip(choices, reasons, strict=False):
        if choice["finish_reason"] is None:
            choice["finish_reason"] = reason
    return [readable(choice) for choice in choices]


def usage_body(seen: Observation) -> Body:
    said = seen.usage
    usage: Body = {}
    for name, count in (
        ("prompt_tokens", said.input),
        ("completion_tokens", said.output),
        ("total_tokens", total_tokens(seen)),
        ("cache_creation_input_tokens", said.cache_creation or None),
    ):
        if count is not None:
            usage[name] = count
    if said.cache_read is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": said.cache_read}
    if said.reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": said.reasoning}
    return usage
