"""Pydantic AI and Logfire, beside the conventions' names that they write.

* The agent's span repeats what its calls have used, under `gen_ai.aggregated_usage.*` or (older)
  under the conventions' own names: it is an agent, and no call.
* Data format 2 names its spans "agent run" and "running tool"; the former states no operation.
* Cost is `operation.cost`. Details of usage repeat the cached and the reasoning tokens.
* Older events are one JSON list in `events` or `all_messages_events`.

Source: recorded requests of pydantic-ai-slim 2.68 (data formats 2, 5 and 6), and its release notes
for the older names.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions.coerce import count, keep, number, text
from genai_collector.conventions.content import (
    MESSAGE_EVENTS,
    fill_sides,
    messages_of_events,
    structured,
)
from genai_collector.conventions.messages import to_parts_messages
from genai_collector.conventions.observation import Content, Message, Observation
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

_AGENT_MARKS: Final = ("final_result", "pydantic_ai.all_messages", "all_messages_events")

_ROWS: Final = (
    Row("operation.cost", "cost.total", number),
    Row("agent_name", "agent_name", text),
    Row("model_name", "request_model", text),
    Row("gen_ai.aggregated_usage.input_tokens", "usage.input", count),
    Row("gen_ai.aggregated_usage.output_tokens", "usage.output", count),
    Row("gen_ai.aggregated_usage.cache_read.input_tokens", "usage.cache_read", count),
    Row("gen_ai.aggregated_usage.cache_creation.input_tokens", "usage.cache_creation", count),
    Row("gen_ai.aggregated_usage.details.reasoning_tokens", "usage.reasoning", count),
    Row("gen_ai.usage.details.cache_read_tokens", "usage.cache_read", count),
    Row("gen_ai.usage.details.cache_write_tokens", "usage.cache_creation", count),
    Row("gen_ai.usage.details.reasoning_tokens", "usage.reasoning", count),
    Row("tool_arguments", "content.tool_arguments", keep),
    Row("tool_response", "content.tool_response", keep),
    Row("final_result", "content.final_result", keep),
    Row("pydantic_ai.all_messages", "content.all_messages", keep),
    Row("all_messages_events", "content.all_events", keep),
    Row("events", "content.logfire_events", keep),
)


def _quirks(span: Span, observation: Observation) -> None:
    if observation.operation is None and (
        span.name == "agent run" or any(mark in span.attributes for mark in _AGENT_MARKS)
    ):
        observation.kind = "agent"


def _read_content(sources: Sources, content: Content) -> None:
    fill_sides(sources, content, sources.take("tool_arguments"), sources.take("tool_response"))
    if content.input_messages is None:
        _fill_all(content, to_parts_messages(structured(sources.take("all_messages"))))
    for field in ("all_events", "logfire_events"):
        if content.input_messages is None:
            given, made = _of_events(structured(sources.take(field)))
            _fill_all(content, [*given, *made])
    fill_sides(sources, content, None, sources.take("final_result"))


def _fill_all(content: Content, messages: list[Message] | None) -> None:
    """One list holds the whole conversation: what the model said last is the output."""
    if not messages:
        return
    last = messages[-1]
    if last.get("role") == "assistant" and content.output_messages is None:
        content.output_messages = [last]
        messages = messages[:-1]
    content.input_messages = messages or None


def _of_events(events: Value) -> tuple[list[Message], list[Message]]:
    if not isinstance(events, list):
        return [], []
    named: list[tuple[str, Value]] = []
    for event in events:
        name = event.get("event.name") if isinstance(event, dict) else None
        if isinstance(event, dict) and isinstance(name, str) and name in MESSAGE_EVENTS:
            body = {key: value for key, value in event.items() if key != "gen_ai.message.index"}
            named.append((name, body))
    return messages_of_events(named)


PYDANTIC_AI: Final = Vocabulary(
    "pydantic_ai",
    scopes=("pydantic-ai",),
    prefixes=("pydantic_ai.", "all_messages_events", "gen_ai.aggregated_usage."),
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)
