"""The GenAI conventions' attributes of a noveum-trace span, and noveum-trace's of any other.

noveum-trace has a vocabulary of its own (`llm.*`, `tool.*`, `agent.*`) and since 1.5.18 writes
`gen_ai.*` beside it, in which messages are OpenAI's and the reply is bare text. What is missing
is added, and what has another form is brought into the conventions' form; what was there is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from genai_collector.conventions import semconv
from genai_collector.conventions.coerce import count, number, text, texts
from genai_collector.conventions.messages import to_openai_messages, to_parts_messages
from genai_collector.conventions.observation import Content, Observation
from genai_collector.formats.json_text import dumps
from genai_collector.formats.noveum.trace_fields import MIRRORS
from genai_collector.model import Attributes, Value

_Read = Callable[[Value], Value]


def _milliseconds(value: Value) -> Value:
    found = number(value)
    return None if found is None else found / 1000


def _reason(value: Value) -> Value:
    found = text(value)
    return None if found is None else [found]


def _operation(value: Value) -> Value:
    # The SDK's words for a call that streams and for one of which nobody told it more.
    found = semconv.operation(value)
    return "chat" if found in ("streaming", "unknown") else found


def _messages(role: str) -> _Read:
    def read(value: Value) -> Value:
        found = to_parts_messages(value, default_role=role) if value else None
        return dumps(list[Value](found)).decode("utf-8") if found else None

    return read


_input, _output = _messages("user"), _messages("assistant")

# In order of precedence where several say the same.
_ROWS: Final[tuple[tuple[str, str, _Read], ...]] = (
    ("llm.provider", "gen_ai.provider.name", semconv.provider),
    ("llm.operation", "gen_ai.operation.name", _operation),
    ("llm.operation_type", "gen_ai.operation.name", _operation),
    ("llm.model", "gen_ai.request.model", text),
    ("llm.response_model", "gen_ai.response.model", text),
    ("llm.request_id", "gen_ai.response.id", text),
    ("llm.finish_reason", "gen_ai.response.finish_reasons", _reason),
    ("llm.finish_reasons", "gen_ai.response.finish_reasons", texts),
    ("llm.temperature", "gen_ai.request.temperature", number),
    ("llm.top_p", "gen_ai.request.top_p", number),
    ("llm.max_tokens", "gen_ai.request.max_tokens", count),
    ("llm.input_tokens", "gen_ai.usage.input_tokens", count),
    ("llm.usage.input_tokens", "gen_ai.usage.input_tokens", count),
    ("llm.output_tokens", "gen_ai.usage.output_tokens", count),
    ("llm.usage.output_tokens", "gen_ai.usage.output_tokens", count),
    ("llm.cost.total", "gen_ai.usage.cost", number),
    ("llm.cost", "gen_ai.usage.cost", number),
    ("llm.time_to_first_token_ms", "gen_ai.response.time_to_first_chunk", _milliseconds),
    ("streaming.time_to_first_token", "gen_ai.response.time_to_first_chunk", number),
    ("llm.input.messages", "gen_ai.input.messages", _input),
    ("llm.prompts", "gen_ai.input.messages", _input),
    ("llm.output.response", "gen_ai.output.messages", _output),
    ("llm.completion", "gen_ai.output.messages", _output),
    ("tool.name", "gen_ai.tool.name", text),
    ("agent.name", "gen_ai.agent.name", text),
    ("agent.id", "gen_ai.agent.id", text),
    ("retrieval.query", "gen_ai.retrieval.query.text", text),
)
# For spans that name no operation: what they are by the attributes that they have.
_OPERATIONS: Final = (
    ("llm.model", "chat"),
    ("tool.name", "execute_tool"),
    ("agent.operation", "invoke_agent"),
    ("agent.type", "invoke_agent"),
    ("retrieval.query", "retrieval"),
)
_FORMS: Final[dict[str, _Read]] = {
    "gen_ai.operation.name": _operation,
    "gen_ai.provider.name": semconv.provider,
    "gen_ai.input.messages": _input,
    "gen_ai.output.messages": _output,
}
assert _FORMS.keys() == MIRRORS.keys()


def conventional(said: Attributes) -> tuple[Attributes, Attributes]:
    """What is missing in the attributes of a noveum-trace span, and what has another form."""
    added: Attributes = {}
    for key, name, read in _ROWS:
        if key in said and name not in said and name not in added:
            value = read(said[key])
            if value is not None:
                added[name] = value
    if "gen_ai.operation.name" not in said:
        for key, operation in _OPERATIONS:
            if key in said:
                added.setdefault("gen_ai.operation.name", operation)
    replaced: Attributes = {}
    for name, read in _FORMS.items():
        if name in said:
            value = read(said[name])
            if value is not None and value != said[name]:
                replaced[name] = value
    return added, replaced


def _reply(content: Content) -> str | None:
    """The text of the reply, as the SDK writes it."""
    said = [one.get("content") for one in to_openai_messages(content.output_messages or [])]
    return "\n".join([one for one in said if isinstance(one, str)]) or None


def noveum_words(seen: Observation) -> Attributes:
    """What noveum-trace would say of a call of a model; nothing for any other span."""
    if not seen.is_billable:
        return {}
    content = seen.read_content()
    cost, usage = seen.cost, seen.usage
    total = usage.total
    if total is None and usage.input is not None and usage.output is not None:
        total = usage.input + usage.output
    first = seen.time_to_first_chunk_s
    found: Attributes = {
        "llm.provider": seen.provider,
        "llm.operation": seen.operation,
        "llm.model": seen.model,
        "llm.temperature": seen.parameters.get("temperature"),
        "llm.top_p": seen.parameters.get("top_p"),
        "llm.max_tokens": seen.parameters.get("max_tokens"),
        "llm.request_id": seen.response_id,
        "llm.finish_reason": seen.finish_reasons[0] if seen.finish_reasons else None,
        "llm.input_tokens": usage.input,
        "llm.output_tokens": usage.output,
        "llm.total_tokens": total,
        "llm.cost.input": cost.input,
        "llm.cost.output": cost.output,
        "llm.cost.total": cost.total,
        "llm.cost.currency": None if cost.total is None else "USD",
        "llm.time_to_first_token_ms": None if first is None else first * 1000,
    }
    if content.input_messages:
        openai = to_openai_messages(content.input_messages)
        found["llm.input.messages"] = list[Value](openai)
    found["llm.output.response"] = _reply(content)
    return {key: value for key, value in found.items() if value is not None}
