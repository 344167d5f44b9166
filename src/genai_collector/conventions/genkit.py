"""Genkit (Firebase): one span per action, input and output as JSON texts of Genkit's own types.

The model is the action's name with its plugin: `googleai/gemini-2.5-flash`.

Source: Genkit's telemetry attributes as Langfuse's server reads them, and Genkit's documented
request and response types. Not recorded here.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import keep, text, texts
from genai_collector.conventions.content import fill_request, fill_sides, structured
from genai_collector.conventions.facts import fill_parameters, fill_usage, json_object
from genai_collector.conventions.messages import to_parts_messages
from genai_collector.conventions.observation import Content, Observation
from genai_collector.conventions.vocabulary import Row, Sources, Vocabulary
from genai_collector.model import Span, Value

_NAME: Final = "genkit:name"
KINDS: Final = {
    "model": "generation", "background-model": "generation", "embedder": "embedding",
    "tool": "tool", "tool.v2": "tool", "retriever": "retriever", "reranker": "reranker",
    "evaluator": "evaluator", "flow": "workflow", "prompt": "chain", "util": "chain",
}  # fmt: skip
"""`genkit:metadata:subtype`."""


def _kind(value: Value) -> str | None:
    return KINDS.get(value) if isinstance(value, str) else None


_ROWS: Final = (
    Row("genkit:metadata:subtype", "kind", _kind),
    Row("genkit:sessionId", "conversation_id", text),
    Row("genkit:input", "content.genkit_input", keep),
    Row("genkit:output", "content.genkit_output", keep),
)


def _quirks(span: Span, observation: Observation) -> None:
    name = text(span.attributes.get(_NAME))
    if name is not None:
        _fill_name(observation, name)
    if observation.kind != "generation":
        return
    given = json_object(span.attributes.get("genkit:input"))
    fill_parameters(observation, json_object(given.get("config")))
    made = json_object(span.attributes.get("genkit:output"))
    usage = json_object(made.get("usage"))
    if usage:
        # Input contains what was cached, and output the thoughts.
        fill_usage(observation.usage, _inclusive(usage))
    if observation.finish_reasons is None:
        reasons = texts(made.get("finishReason"))
        observation.finish_reasons = None if reasons is None else [str(r) for r in reasons]


def _fill_name(observation: Observation, name: str) -> None:
    if observation.kind in ("generation", "embedding"):
        plugin, _, model = name.partition("/")
        if observation.request_model is None:
            observation.request_model = model or name
        if observation.provider is None and model:
            observation.provider = s.provider(plugin)
        return
    field = {"tool": "tool_name", "workflow": "workflow_name"}.get(observation.kind)
    if field is not None and getattr(observation, field) is None:
        setattr(observation, field, name)


def _inclusive(usage: dict[str, Value]) -> dict[str, Value]:
    counts: dict[str, Value] = {
        "prompt_tokens": usage.get("inputTokens"),
        "completion_tokens": usage.get("outputTokens"),
        "total_tokens": usage.get("totalTokens"),
        "prompt_tokens_details": {"cached_tokens": usage.get("cachedContentTokens")},
        "completion_tokens_details": {"reasoning_tokens": usage.get("thoughtsTokens")},
    }
    return counts


def _read_content(sources: Sources, content: Content) -> None:
    given, made = (
        structured(sources.take("genkit_input")),
        structured(sources.take("genkit_output")),
    )
    if sources.kind == "generation" and isinstance(given, dict):
        fill_request(content, given)
        if isinstance(made, dict) and content.output_messages is None:
            found = to_parts_messages(made.get("message", made), default_role="assistant")
            content.output_messages = sources.finish(found)
    fill_sides(sources, content, given if content.input_messages is None else None, None)
    fill_sides(sources, content, None, made if content.output_messages is None else None)


GENKIT: Final = Vocabulary(
    "genkit",
    scopes=("genkit-tracer",),
    prefixes=("genkit:",),
    rows=_ROWS,
    content=_read_content,
    quirks=_quirks,
)
