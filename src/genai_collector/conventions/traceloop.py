"""OpenLLMetry (Traceloop) 0.40 to 0.62: what it says beside the conventions' names.

* 0.40 flattens messages into `gen_ai.prompt.{i}` and `gen_ai.completion.{i}` (read with the
  conventions' own history) and tools into `llm.request.functions.{i}`.
* `traceloop.span.kind` marks workflows, tasks, agents and tools; their name is the entity's.
* User and session are association properties by convention only.
* Each chunk of a stream is a span event without attributes: the first one is the first token.

Source: the constants of opentelemetry-semantic-conventions-ai 0.4 and 0.5; recorded requests of
opentelemetry-instrumentation-openai 0.40.14 and 0.62.4.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import (
    count,
    flag,
    from_json,
    keep,
    number,
    text,
    texts,
    whole,
)
from genai_collector.conventions.content import fill_sides, indexed
from genai_collector.conventions.facts import elapsed, family
from genai_collector.conventions.messages import to_tool_definitions
from genai_collector.conventions.observation import Content, Observation
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

FUNCTIONS: Final = "llm.request.functions."
_PROPERTIES: Final = "traceloop.association.properties."
_CHUNKS: Final = ("gen_ai.content.completion.chunk", "llm.content.completion.chunk")
_REQUEST_TYPE: Final = "llm.request.type"
_ENTITY: Final = "traceloop.entity.name"

KINDS: Final = {"workflow": "workflow", "task": "chain", "agent": "agent", "tool": "tool"}
"""`traceloop.span.kind`."""


def _kind(value: Value) -> str | None:
    return KINDS.get(value) if isinstance(value, str) else None


_ROWS: Final = (
    Row(_REQUEST_TYPE, "operation", s.operation),
    Row("traceloop.span.kind", "kind", _kind),
    Row("traceloop.workflow.name", "workflow_name", text),
    Row("traceloop.prompt.key", "prompt_name", text),
    Row("traceloop.prompt.version", "prompt_version", s.version),
    Row("traceloop.association.properties.user_id", "user_id", text),
    Row("traceloop.association.properties.session_id", "conversation_id", text),
    Row("gen_ai.user", "user_id", text),
    Row("llm.user", "user_id", text),
    Row("gen_ai.usage.cache_read_input_tokens", "usage.cache_read", count),
    Row("gen_ai.usage.cache_creation_input_tokens", "usage.cache_creation", count),
    Row("llm.usage.total_tokens", "usage.total", count),
    Row("llm.usage.reasoning_tokens", "usage.reasoning", count),
    Row("gen_ai.is_streaming", "parameters.stream", flag),
    Row("llm.is_streaming", "parameters.stream", flag),
    Row("llm.top_k", "parameters.top_k", whole),
    Row("llm.frequency_penalty", "parameters.frequency_penalty", number),
    Row("llm.presence_penalty", "parameters.presence_penalty", number),
    Row("llm.chat.stop_sequences", "parameters.stop_sequences", texts),
    Row("gen_ai.request.max_completion_tokens", "parameters.max_tokens", count),
    Row("gen_ai.request.reasoning_effort", "parameters.reasoning.level", text),
    Row("gen_ai.response.finish_reason", "finish_reasons", texts),
    Row("gen_ai.response.stop_reason", "finish_reasons", texts),
    Row("traceloop.entity.input", "content.entity_input", keep),
    Row("traceloop.entity.output", "content.entity_output", keep),
)


def _quirks(span: Span, observation: Observation) -> None:
    attributes = span.attributes
    if (
        attributes.get(_REQUEST_TYPE) == "completion"
        and s.GEN_AI_OPERATION_NAME not in attributes
        and "litellm" not in observation.vocabularies
    ):
        observation.operation = "text_completion"
    entity = text(attributes.get(_ENTITY))
    if entity is not None:
        field = {"tool": "tool_name", "agent": "agent_name", "workflow": "workflow_name"}.get(
            observation.kind
        )
        if field is not None and getattr(observation, field) is None:
            setattr(observation, field, entity)
    if observation.time_to_first_chunk_s is None and span.has_events:
        for event in span.events:
            if event.name in _CHUNKS:
                observation.time_to_first_chunk_s = elapsed(span.start_ns, event.time_ns)
                break
    for key, value in family(attributes, _PROPERTIES):
        if key not in ("user_id", "session_id"):
            observation.metadata.setdefault(key, value)


def functions(sources: Sources, prefix: str) -> Value:
    """Tool definitions from `{prefix}{i}.name`, `.description` and `.parameters` (a JSON text)."""
    found: list[Value] = []
    for item in indexed(sources, prefix):
        if isinstance(item, dict):
            parameters = item.get("parameters")
            if isinstance(parameters, str):
                found.append({**item, "parameters": from_json(parameters) or parameters})
            else:
                found.append(item)
    return to_tool_definitions(found) if found else None


def _read_content(sources: Sources, content: Content) -> None:
    if content.tool_definitions is None:
        content.tool_definitions = functions(sources, FUNCTIONS)
    given, made = _entity(sources.take("entity_input")), _entity(sources.take("entity_output"))
    fill_sides(sources, content, given, made)


def _entity(value: Value) -> Value:
    """What the decorated function was given: its SDK wraps arguments in an object of its own."""
    parsed = from_json(value) if isinstance(value, str) else value
    if isinstance(parsed, dict) and set(parsed) == {"args", "kwargs"}:
        args, named = parsed["args"], parsed["kwargs"]
        if not args:
            return named
    return value


TRACELOOP: Final = Vocabulary(
    "traceloop",
    scopes=("traceloop.", "opentelemetry.instrumentation.openai.v1"),
    prefixes=("traceloop.", _REQUEST_TYPE, "llm.is_streaming", "gen_ai.is_streaming"),
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)
