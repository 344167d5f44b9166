"""What Langfuse's own SDKs (Python 3 to 5, JS 5) and LiteLLM's Langfuse callbacks say on spans.

* `usage_details` is Langfuse's exclusive buckets or OpenAI's usage object: `facts.fill_usage`.
* `completion_start_time` is ISO 8601, usually in JSON's quotes; it becomes seconds since the start.
* Level and error may be told by attributes alone, with the span's own status unset.
* User, session and tags may also come as metadata of the observation or the trace.

Source: recorded requests of Python 3.15, 4.18 and 5.0, JS 5 and LiteLLM 1.109.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import from_json, keep, text, texts
from genai_collector.conventions.content import fill_sides
from genai_collector.conventions.facts import (
    family,
    fill_cost,
    fill_parameters,
    fill_usage,
    json_object,
    seconds_between,
    unquoted,
)
from genai_collector.conventions.observation import Content, Observation
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

USAGE_DETAILS: Final = "langfuse.observation.usage_details"
COST_DETAILS: Final = "langfuse.observation.cost_details"
PARAMETERS: Final = "langfuse.observation.model.parameters"
COMPLETION_START: Final = "langfuse.observation.completion_start_time"
_METADATA: Final = ("langfuse.observation.metadata.", "langfuse.metadata.")
_MICROSECOND: Final = 1000
_TRACE_FACTS: Final = frozenset(("langfuse_user_id", "langfuse_session_id", "langfuse_tags"))

KINDS: Final = {
    "generation": "generation", "embedding": "embedding", "agent": "agent", "tool": "tool",
    "chain": "chain", "retriever": "retriever", "guardrail": "guardrail",
    "evaluator": "evaluator",
}  # fmt: skip
"""`langfuse.observation.type`; `span` and `event` say nothing of generative AI."""

LEVELS: Final = {
    "debug": "DEBUG", "trace": "DEBUG", "verbose": "DEBUG",
    "default": "DEFAULT", "info": "DEFAULT", "log": "DEFAULT", "notice": "DEFAULT",
    "ok": "DEFAULT", "success": "DEFAULT",
    "warning": "WARNING", "warn": "WARNING",
    "error": "ERROR", "fatal": "ERROR", "critical": "ERROR",
}  # fmt: skip
"""Levels as Langfuse's server reads them, whatever their case."""


def _kind(value: Value) -> str | None:
    return KINDS.get(value) if isinstance(value, str) else None


def _level(value: Value) -> str | None:
    return LEVELS.get(value.lower()) if isinstance(value, str) else None


def _plain_text(value: Value) -> str | None:
    return text(unquoted(value))


def tags(value: Value) -> list[Value] | None:
    """Tags from a list, a JSON list, or a text with commas."""
    if isinstance(value, str) and value[:1] != "[":
        return [tag for part in value.split(",") if (tag := part.strip())] or None
    return texts(value)


_ROWS: Final = (
    Row("langfuse.observation.type", "kind", _kind),
    Row("langfuse.observation.level", "level", _level),
    Row("langfuse.observation.status_message", "status_message", text),
    Row("langfuse.observation.model.name", "request_model", text),
    Row("langfuse.observation.prompt.name", "prompt_name", text),
    Row("langfuse.prompt.name", "prompt_name", text),
    Row("langfuse.observation.prompt.version", "prompt_version", s.version),
    Row("langfuse.prompt.version", "prompt_version", s.version),
    Row("langfuse.user.id", "user_id", text),
    Row("langfuse.observation.metadata.langfuse_user_id", "user_id", _plain_text),
    Row("langfuse.trace.metadata.langfuse_user_id", "user_id", _plain_text),
    Row("langfuse.session.id", "conversation_id", text),
    Row("langfuse.observation.metadata.langfuse_session_id", "conversation_id", _plain_text),
    Row("langfuse.trace.metadata.langfuse_session_id", "conversation_id", _plain_text),
    Row("langfuse.trace.tags", "tags", tags),
    Row("langfuse.tags", "tags", tags),
    Row("langfuse.observation.metadata.langfuse_tags", "tags", tags),
    Row("langfuse.trace.metadata.langfuse_tags", "tags", tags),
    Row("langfuse.observation.input", "content.langfuse_input", keep),
    Row("langfuse.observation.output", "content.langfuse_output", keep),
    Row("langfuse.trace.input", "content.langfuse_trace_input", keep),
)


def _quirks(span: Span, observation: Observation) -> None:
    attributes = span.attributes
    fill_parameters(observation, json_object(attributes.get(PARAMETERS)))
    fill_usage(observation.usage, json_object(attributes.get(USAGE_DETAILS)))
    fill_cost(observation.cost, json_object(attributes.get(COST_DETAILS)))
    if observation.time_to_first_chunk_s is None and COMPLETION_START in attributes:
        found = seconds_between(span.start_ns, attributes[COMPLETION_START])
        # LiteLLM states the end of a call that was not streamed.
        if found is not None and span.start_ns + found * 1e9 < span.end_ns - _MICROSECOND:
            observation.time_to_first_chunk_s = found
    if observation.response_id is None:
        observation.response_id = _plain_text(attributes.get(f"{_METADATA[0]}response_id"))
    metadata = json_object(attributes.get("langfuse.observation.metadata"))
    metadata |= {
        key: _parsed(value)
        for key, value in family(attributes, *_METADATA)
        if key not in _TRACE_FACTS
    }
    for key, value in metadata.items():
        observation.metadata.setdefault(key, value)


def _parsed(value: Value) -> Value:
    """Metadata as it was before the SDK made text of it, where that can be told."""
    if not isinstance(value, str):
        return value
    parsed = from_json(value)
    return unquoted(value) if parsed is None else parsed


def _read_content(sources: Sources, content: Content) -> None:
    given, made = sources.take("langfuse_input"), sources.take("langfuse_output")
    if given is None and sources.kind == "generation" and sources.span.scope.name == "litellm":
        # LiteLLM's older callback tells the call's input only on the trace.
        given = sources.take("langfuse_trace_input")
    fill_sides(sources, content, given, made)


LANGFUSE: Final = Vocabulary(
    "langfuse",
    scopes=("langfuse-sdk",),
    prefixes=("langfuse.",),
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)
