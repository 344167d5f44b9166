"""Which kind of observation a span becomes (section 3.3): the first rule that yields one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from genai_collector.formats.langfuse import keys
from genai_collector.formats.langfuse.reading import Reading
from genai_collector.formats.langfuse.values import JSON, PlainAttributes

SPAN: Final = "span"
GENERATION: Final = "generation"

OBSERVATION_TYPES: Final = frozenset(
    {
        "span",
        "generation",
        "event",
        "embedding",
        "agent",
        "tool",
        "chain",
        "retriever",
        "guardrail",
        "evaluator",
    }
)

_LANGFUSE: Final = {name: name for name in OBSERVATION_TYPES}
_OPENINFERENCE: Final = {
    "CHAIN": "chain",
    "RETRIEVER": "retriever",
    "LLM": "generation",
    "EMBEDDING": "embedding",
    "AGENT": "agent",
    "TOOL": "tool",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluator",
}
_OPERATION: Final = {
    "chat": "generation",
    "completion": "generation",
    "text_completion": "generation",
    "generate_content": "generation",
    "generate": "generation",
    "embeddings": "embedding",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "execute_tool": "tool",
}
_GENKIT: Final = {
    "model": "generation",
    "background-model": "generation",
    "embedder": "embedding",
    "tool": "tool",
    "tool.v2": "tool",
    "retriever": "retriever",
    "evaluator": "evaluator",
}
_LIVEKIT: Final = {
    "agent_turn": "agent",
    "start_agent_activity": "agent",
    "function_tool": "tool",
}
_BY_VALUE: Final = (
    ("langfuse.observation.type", _LANGFUSE),
    ("openinference.span.kind", _OPENINFERENCE),
    ("gen_ai.operation.name", _OPERATION),
)

_AI_GENERATION: Final = (
    "ai.generateText.doGenerate",
    "ai.streamText.doStream",
    "ai.generateObject.doGenerate",
    "ai.streamObject.doStream",
)
_AI_EMBEDDING: Final = ("ai.embedMany.doEmbed", "ai.embed.doEmbed")
_AI_TOOL: Final = ("ai.toolCall",)
_AI_MODEL_KEYS: Final = (
    "langfuse.observation.model.name",
    "ai.model.id",
    "gen_ai.request.model",
    "gen_ai.response.model",
)
_MODEL_KEYS: Final = (
    "langfuse.observation.model.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "llm.model_name",
    "model",
)
_GENERATION_KEYS: Final = (
    "langfuse.observation.model.name",
    "langfuse.observation.cost_details",
    "langfuse.observation.usage_details",
    "langfuse.observation.completion_start_time",
    "langfuse.observation.model.parameters",
    "langfuse.observation.prompt.name",
    "langfuse.observation.prompt.version",
)


def observation_type(
    reading: Reading, span_name: str, scope_version: str, sdk_language: JSON
) -> str:
    """The lower-case type, `span` where no rule yields one. `sdk_language` is the resource's
    `telemetry.sdk.language`."""
    attributes = reading.attributes
    if reading.bits & keys.SCOPE_LANGFUSE and _is_old_sdk_generation(
        attributes, scope_version, sdk_language
    ):
        return GENERATION
    for key, types in _BY_VALUE:
        value = attributes.get(key)
        if type(value) is str and value in types:
            return types[value]
    for bit, rule in _RULES:
        if reading.bits & bit:
            found = rule(attributes)
            if found is not None:
                return found
    if reading.bits & keys.SCOPE_LIVEKIT and span_name in _LIVEKIT:
        return _LIVEKIT[span_name]
    return GENERATION if _has_any(attributes, _MODEL_KEYS) else SPAN


def _is_old_sdk_generation(
    attributes: PlainAttributes, scope_version: str, sdk_language: JSON
) -> bool:
    """Langfuse's Python SDK up to 3.3 called some generations spans."""
    if attributes.get("langfuse.observation.type") != SPAN or sdk_language != "python":
        return False
    major, minor = _version(scope_version)
    if major > 3 or (major == 3 and minor > 3):
        return False
    return any(key in attributes for key in _GENERATION_KEYS)


def _version(text: str) -> tuple[int, int]:
    parts = [int(part) if part.isdecimal() else 0 for part in text.split(".")]
    return (parts[0], parts[1]) if len(parts) > 1 else (parts[0], 0)


def _has_any(attributes: PlainAttributes, names: tuple[str, ...]) -> bool:
    return any(attributes.get(name) not in (None, "", []) for name in names)


def _is_ai_operation(attributes: PlainAttributes, operations: tuple[str, ...]) -> bool:
    name = attributes.get("operation.name")
    if isinstance(name, str) and name.startswith(operations):
        return True
    return attributes.get("ai.operationId") in operations


def _from_genkit(attributes: PlainAttributes) -> str | None:
    subtype = attributes.get("genkit:metadata:subtype")
    return _GENKIT.get(subtype) if isinstance(subtype, str) else None


def _from_ai_sdk(attributes: PlainAttributes) -> str | None:
    if _has_any(attributes, _AI_MODEL_KEYS):
        if _is_ai_operation(attributes, _AI_GENERATION):
            return GENERATION
        if _is_ai_operation(attributes, _AI_EMBEDDING):
            return "embedding"
    if _is_ai_operation(attributes, (*_AI_GENERATION, *_AI_EMBEDDING)):
        return None
    return "tool" if _is_ai_operation(attributes, _AI_TOOL) else None


def _from_tool(attributes: PlainAttributes) -> str | None:
    return "tool" if _has_any(attributes, ("gen_ai.tool.name", "gen_ai.tool.call.id")) else None


def _from_flue(attributes: PlainAttributes) -> str | None:
    if _has_any(attributes, ("flue.tool.name", "flue.tool.call_id")):
        return "tool"
    return "agent" if _has_any(attributes, ("flue.task.id", "flue.task.agent")) else None


_Rule = Callable[[PlainAttributes], str | None]
_RULES: Final[tuple[tuple[int, _Rule], ...]] = (
    (keys.GENKIT, _from_genkit),
    (keys.AI, _from_ai_sdk),
    (keys.TOOL, _from_tool),
    (keys.FLUE, _from_flue),
)
