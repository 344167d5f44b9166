"""The attribute keys that Langfuse reads, and what each is good for.

Every key has a set of bits, and the union over a span's keys says which rules can apply at all.
So a rule that needs `genkit:*` costs one bit test on a span without
it. Sources: sections 3.3 to 3.12 of the Langfuse mapping.
"""

from __future__ import annotations

from typing import Final

# What is left out of `metadata.attributes`, because it becomes input, output or metadata.
HIDDEN: Final = 1 << 0

# Keys that are read by their prefix, in their order of appearance.
USAGE: Final = 1 << 1
REQUEST: Final = 1 << 2
INVOCATION: Final = 1 << 3
PROMPT: Final = 1 << 4
COMPLETION: Final = 1 << 5
LLM_INPUT: Final = 1 << 6
LLM_OUTPUT: Final = 1 << 7
METADATA: Final = 1 << 8
FLATTENED: Final = (PROMPT, COMPLETION, LLM_INPUT, LLM_OUTPUT)

# Groups of which one bit says "some of these are here".
LANGFUSE: Final = 1 << 9
LANGFUSE_IO: Final = 1 << 10
TRACE_METADATA: Final = 1 << 11
TRACE_UPDATE: Final = 1 << 12
IDENTITY: Final = 1 << 13
ENVIRONMENT: Final = 1 << 14
NAMES: Final = 1 << 15
AI: Final = 1 << 16
GENKIT: Final = 1 << 17
FLUE: Final = 1 << 18
TOOL: Final = 1 << 19
TOOL_DEFINITIONS: Final = 1 << 20
VERTEX: Final = 1 << 21
LOGFIRE_PROMPT: Final = 1 << 22
LIVEKIT: Final = 1 << 23
LOGFIRE_EVENTS: Final = 1 << 24
MLFLOW: Final = 1 << 25
TRACELOOP: Final = 1 << 26
OPENINFERENCE_VALUE: Final = 1 << 27
PLAIN_IO: Final = 1 << 28
PYDANTIC: Final = 1 << 29
TOOL_IO: Final = 1 << 30
GEN_AI_MESSAGES: Final = 1 << 31
PARAMETERS: Final = 1 << 32
COST: Final = 1 << 33
OPENROUTER: Final = 1 << 34
OTHER_COST: Final = 1 << 35
"""Cost under names that Langfuse does not read."""
OTHER_USAGE: Final = 1 << 36
"""Parts of input or output that Langfuse does not know as such and would add to them."""
PROMPT_LINK: Final = 1 << 37

# Not from keys: the scope's name and the span events.
SCOPE_GENKIT: Final = 1 << 40
SCOPE_AI: Final = 1 << 41
SCOPE_FLUE: Final = 1 << 42
SCOPE_PYDANTIC: Final = 1 << 43
SCOPE_VERTEX: Final = 1 << 44
SCOPE_LIVEKIT: Final = 1 << 45
SCOPE_LANGFUSE: Final = 1 << 46
DETAILS_EVENT: Final = 1 << 47
MESSAGE_EVENT: Final = 1 << 48
CONTENT_EVENT: Final = 1 << 49

SCOPES: Final = {
    "genkit-tracer": SCOPE_GENKIT,
    "ai": SCOPE_AI,
    "@flue/opentelemetry": SCOPE_FLUE,
    "pydantic-ai": SCOPE_PYDANTIC,
    "gcp.vertex.agent": SCOPE_VERTEX,
    "livekit-agents": SCOPE_LIVEKIT,
}

OBSERVATION_METADATA: Final = "langfuse.observation.metadata"
TRACE_METADATA_KEY: Final = "langfuse.trace.metadata"
COMMON_METADATA: Final = "langfuse.metadata"
AI_METADATA: Final = "ai.telemetry.metadata"

USER_KEYS: Final = (
    "langfuse.user.id",
    "user.id",
    "langfuse.observation.metadata.langfuse_user_id",
    "langfuse.trace.metadata.langfuse_user_id",
    "ai.telemetry.metadata.userId",
)
SESSION_KEYS: Final = (
    "langfuse.session.id",
    "session.id",
    "gen_ai.conversation.id",
    "langfuse.observation.metadata.langfuse_session_id",
    "langfuse.trace.metadata.langfuse_session_id",
    "ai.telemetry.metadata.sessionId",
)
TAG_KEYS: Final = (
    "langfuse.trace.tags",
    "langfuse.tags",
    "langfuse.observation.metadata.langfuse_tags",
    "langfuse.trace.metadata.langfuse_tags",
    "ai.telemetry.metadata.tags",
    "tag.tags",
)
ENVIRONMENT_KEYS: Final = (
    "langfuse.environment",
    "deployment.environment.name",
    "deployment.environment",
)
TRACE_UPDATE_KEYS: Final = (
    "langfuse.trace.name",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "langfuse.trace.metadata",
    "langfuse.trace.public",
    "langfuse.trace.tags",
    "user.id",
    "session.id",
    "langfuse.user.id",
    "langfuse.session.id",
    "langfuse.observation.metadata.langfuse_user_id",
    "langfuse.observation.metadata.langfuse_session_id",
    "langfuse.observation.metadata.langfuse_tags",
    "ai.telemetry.metadata.sessionId",
    "ai.telemetry.metadata.userId",
    "ai.telemetry.metadata.tags",
    "tag.tags",
)
"""A truthy value under one of these makes a span update its trace. `gen_ai.conversation.id` is
not among them."""

_CONTENT: Final[tuple[tuple[int, tuple[str, ...]], ...]] = (
    (
        LANGFUSE_IO,
        (
            "langfuse.trace.input",
            "langfuse.trace.output",
            "langfuse.observation.input",
            "langfuse.observation.output",
        ),
    ),
    (
        AI,
        (
            "ai.prompt.messages",
            "ai.prompt",
            "ai.toolCall.args",
            "ai.response.text",
            "ai.result.text",
            "ai.toolCall.result",
            "ai.response.object",
            "ai.result.object",
            "ai.response.toolCalls",
            "ai.result.toolCalls",
        ),
    ),
    (
        VERTEX,
        (
            "gcp.vertex.agent.llm_request",
            "gcp.vertex.agent.llm_response",
            "gcp.vertex.agent.tool_call_args",
            "gcp.vertex.agent.tool_response",
        ),
    ),
    (LOGFIRE_PROMPT, ("prompt", "all_messages_events")),
    (LOGFIRE_EVENTS, ("events",)),
    (
        LIVEKIT,
        (
            "lk.input_text",
            "lk.user_transcript",
            "lk.chat_ctx",
            "lk.user_input",
            "lk.function_tool.output",
            "lk.response.text",
        ),
    ),
    (MLFLOW, ("mlflow.spanInputs", "mlflow.spanOutputs")),
    (TRACELOOP, ("traceloop.entity.input", "traceloop.entity.output")),
    (OPENINFERENCE_VALUE, ("input.value", "output.value")),
    (PYDANTIC, ("final_result", "pydantic_ai.all_messages")),
    (PLAIN_IO, ("input", "output")),
    (
        GEN_AI_MESSAGES,
        (
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.tool.call.arguments",
            "gen_ai.tool.call.result",
            "gen_ai.system_instructions",
        ),
    ),
    (GENKIT, ("genkit:input", "genkit:output")),
    (
        FLUE,
        (
            "flue.turn.input",
            "flue.turn.output",
            "flue.tool.arguments",
            "flue.tool.result",
            "flue.task.prompt",
            "flue.task.result",
            "flue.operation.result",
            "flue.workflow.payload",
            "flue.workflow.result",
        ),
    ),
)
"""Content by the source that reads it; never repeated in `metadata.attributes`."""

_GROUPS: Final[tuple[tuple[int, tuple[str, ...]], ...]] = (
    (TRACE_UPDATE, TRACE_UPDATE_KEYS),
    (IDENTITY, (*USER_KEYS, *SESSION_KEYS, *TAG_KEYS)),
    (ENVIRONMENT, ENVIRONMENT_KEYS),
    (NAMES, ("gen_ai.tool.name", "genkit:name", "logfire.msg", "ai.toolCall.name")),
    (NAMES, ("ai.operationId",)),
    (AI, ("operation.name",)),
    (TOOL_IO, ("tool_arguments", "tool_response")),
    (TOOL_DEFINITIONS, ("ai.prompt.tools", "gen_ai.tool.definitions", "model_request_parameters")),
    (PARAMETERS, ("llm.invocation_parameters", "model_config")),
    (COST, ("gen_ai.usage.cost", "llm.cost.total")),
    (
        OTHER_COST,
        (
            "gen_ai.cost.total_cost",
            "litellm.cost.total",
            "llm.cost.completion",
            "llm.cost.prompt",
            "llm.response.cost",
            "mlflow.llm.cost",
            "operation.cost",
        ),
    ),
    (
        OTHER_USAGE,
        (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.details.reasoning_tokens",
            "gen_ai.usage.reasoning_tokens",
            "metadata.usage_object",
        ),
    ),
    (OPENROUTER, ("openrouter.source",)),
    (
        PROMPT_LINK,
        (
            "langfuse.observation.prompt.name",
            "langfuse.prompt.name",
            "ai.telemetry.metadata.langfusePrompt",
        ),
    ),
)

PARAMETER_PREFIXES: Final = (
    (REQUEST, "gen_ai.request."),
    (INVOCATION, "llm.invocation_parameters."),
)
_PREFIXES: Final = (
    ("gen_ai.usage.", USAGE),
    ("llm.token_count.", USAGE),
    *((prefix, bit) for bit, prefix in PARAMETER_PREFIXES),
    ("gen_ai.prompt", PROMPT | HIDDEN),
    ("gen_ai.completion", COMPLETION | HIDDEN),
    ("llm.input_messages", LLM_INPUT | HIDDEN),
    ("llm.output_messages", LLM_OUTPUT | HIDDEN),
    ("langfuse.trace.metadata", TRACE_METADATA | METADATA | HIDDEN),
    ("langfuse.observation.metadata", METADATA | HIDDEN),
    ("ai.telemetry.metadata", METADATA | HIDDEN),
    ("langfuse.metadata", METADATA),
    ("langfuse.", LANGFUSE),
    ("ai.", AI),
    ("genkit:", GENKIT),
    ("flue.", FLUE),
    ("gen_ai.tool.", TOOL),
    ("llm.tools.", TOOL_DEFINITIONS),
)


def _exact_bits() -> dict[str, int]:
    bits: dict[str, int] = {}
    for bit, names in _CONTENT:
        for name in names:
            bits[name] = bits.get(name, 0) | bit | HIDDEN
    for bit, names in _GROUPS:
        for name in names:
            bits[name] = bits.get(name, 0) | bit
    return bits


_EXACT: Final = _exact_bits()


def bits_of(key: str) -> int:
    """The bits of one key."""
    bits = _EXACT.get(key, 0)
    for prefix, bit in _PREFIXES:
        if key.startswith(prefix):
            bits |= bit
    return bits & ~USAGE if key == "gen_ai.usage.cost" else bits


def scope_bits(name: str) -> int:
    """The bits of an instrumentation scope's name."""
    bits = SCOPES.get(name, 0)
    return bits | SCOPE_LANGFUSE if name.startswith("langfuse-sdk") else bits
