"""The OpenTelemetry GenAI semantic conventions: today's names, and what older ones became.

Source: the registry of the GenAI conventions (main of August 2026) with the renames of September
2026, and the changelogs of v1.26 to v1.42 before they moved. Where September renamed an attribute
that v1.41 already had (`cache_creation` -> `cache_write`), the v1.41 name stays the canonical one,
because that is what backends read today, and the new name is read as an alias.

`schema_url` says nothing about the generation (shipping libraries stamp 1.37 on attributes of
2026), so nothing here looks at it: names are translated one by one.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions.coerce import text
from genai_collector.model import Value

# Canonical attribute names --------------------------------------------------------------------
GEN_AI_OPERATION_NAME: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER_NAME: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
GEN_AI_REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
GEN_AI_REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
GEN_AI_REQUEST_TOP_P: Final = "gen_ai.request.top_p"
GEN_AI_REQUEST_TOP_K: Final = "gen_ai.request.top_k"
GEN_AI_REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
GEN_AI_REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
GEN_AI_REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
GEN_AI_REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
GEN_AI_REQUEST_SEED: Final = "gen_ai.request.seed"
GEN_AI_REQUEST_STREAM: Final = "gen_ai.request.stream"
GEN_AI_REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
GEN_AI_REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
GEN_AI_RESPONSE_ID: Final = "gen_ai.response.id"
GEN_AI_RESPONSE_MODEL: Final = "gen_ai.response.model"
GEN_AI_RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
GEN_AI_USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
GEN_AI_CONVERSATION_ID: Final = "gen_ai.conversation.id"
GEN_AI_AGENT_ID: Final = "gen_ai.agent.id"
GEN_AI_AGENT_NAME: Final = "gen_ai.agent.name"
GEN_AI_WORKFLOW_NAME: Final = "gen_ai.workflow.name"
GEN_AI_TOOL_NAME: Final = "gen_ai.tool.name"
GEN_AI_TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
GEN_AI_TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
GEN_AI_TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
GEN_AI_TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
GEN_AI_DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
GEN_AI_OUTPUT_TYPE: Final = "gen_ai.output.type"
GEN_AI_RETRIEVAL_QUERY_TEXT: Final = "gen_ai.retrieval.query.text"
GEN_AI_RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"
GEN_AI_MEMORY_QUERY_TEXT: Final = "gen_ai.memory.query.text"
GEN_AI_MEMORY_RECORDS: Final = "gen_ai.memory.records"
GEN_AI_SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
GEN_AI_INPUT_MESSAGES: Final = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
GEN_AI_PROMPT_NAME: Final = "gen_ai.prompt.name"
GEN_AI_PROMPT_VERSION: Final = "gen_ai.prompt.version"
ERROR_TYPE: Final = "error.type"
ERROR_MESSAGE: Final = "error.message"
OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
OPENAI_RESPONSE_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"
# No part of the conventions yet; the names that most producers and backends share.
GEN_AI_USAGE_COST: Final = "gen_ai.usage.cost"
USER_ID: Final = "user.id"

EVENT_OPERATION_DETAILS: Final = "gen_ai.client.inference.operation.details"

# Values -----------------------------------------------------------------------------------------
PROVIDERS: Final[dict[str, str]] = {
    # Renamed by the conventions: v1.33, v1.35, v1.37.
    "vertex_ai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "xai": "x_ai",
    # Seen outside the enumeration: OpenLIT, OpenLLMetry, LiteLLM, Pydantic AI, Vercel AI SDK.
    "aws_bedrock": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "google": "gcp.gen_ai",
    "google_genai": "gcp.gen_ai",
    "vertexai": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "grok": "x_ai",
    "ibm.watson.ai": "ibm.watsonx.ai",
    "watsonx": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "gcp.vertex.agent": "gcp.vertex_ai",
    "googleai": "gcp.gemini",
    "amazon-bedrock": "aws.bedrock",
}
"""Provider values of other times and makers -> the conventions' value. Keys are lower case."""

_PROVIDER_ENUM: Final = frozenset((
    "openai", "gcp.gen_ai", "gcp.vertex_ai", "gcp.gemini", "anthropic", "cohere",
    "azure.ai.inference", "azure.ai.openai", "ibm.watsonx.ai", "aws.bedrock", "perplexity", "x_ai",
    "deepseek", "groq", "mistral_ai", "moonshot_ai",
))  # fmt: skip

OPERATIONS: Final[dict[str, str]] = {
    # LiteLLM's call types, as its older callback writes them; the async ones start with an "a".
    "completion": "chat",
    "acompletion": "chat",
    "responses": "chat",
    "aresponses": "chat",
    "anthropic_messages": "chat",
    "chat_completion": "chat",
    "atext_completion": "text_completion",
    "embedding": "embeddings",
    "aembedding": "embeddings",
    "embed": "embeddings",
    "agenerate_content": "generate_content",
    "arerank": "rerank",
    # Agent frameworks.
    "tool": "execute_tool",
    "retrieve": "retrieval",
}
"""Operation values of other makers -> the conventions' value."""

RESPONSE_FORMATS: Final[dict[str, str]] = {
    "json_object": "json", "json_schema": "json", "text": "text", "json": "json",
}  # fmt: skip
"""`gen_ai.openai.request.response_format` (v1.28-v1.30) -> `gen_ai.output.type`."""

MESSAGE_FINISH_REASONS: Final = {"tool_calls": "tool_call", "function_call": "tool_call"}
"""OpenAI's reasons -> the conventions' reasons. Only inside messages: the attribute
`gen_ai.response.finish_reasons` carries the provider's own words."""

RENAMED: Final[dict[str, str]] = {
    "gen_ai.system": GEN_AI_PROVIDER_NAME,  # v1.37
    "gen_ai.usage.prompt_tokens": GEN_AI_USAGE_INPUT_TOKENS,  # v1.27
    "gen_ai.usage.completion_tokens": GEN_AI_USAGE_OUTPUT_TOKENS,  # v1.27
    "gen_ai.usage.cache_write.input_tokens": GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,  # 2026-09
    "gen_ai.openai.request.seed": GEN_AI_REQUEST_SEED,  # v1.30
    "gen_ai.openai.request.response_format": GEN_AI_OUTPUT_TYPE,  # v1.31
    "gen_ai.openai.request.service_tier": OPENAI_REQUEST_SERVICE_TIER,  # v1.37
    "enduser.id": USER_ID,  # general conventions, deprecated there
}
"""Names that the conventions gave up themselves -> what they became."""

COPIED: Final[dict[str, str]] = {
    "gen_ai.openai.response.service_tier": OPENAI_RESPONSE_SERVICE_TIER,  # v1.37
    "gen_ai.openai.response.system_fingerprint": OPENAI_RESPONSE_SYSTEM_FINGERPRINT,  # v1.37
    "gen_ai.openai.system_fingerprint": OPENAI_RESPONSE_SYSTEM_FINGERPRINT,  # OpenLLMetry 0.40
    "az.namespace": "azure.resource_provider.namespace",  # v1.35
    "gen_ai.response.service_tier": OPENAI_RESPONSE_SERVICE_TIER,  # OpenLIT up to 1.37
    "gen_ai.response.system_fingerprint": OPENAI_RESPONSE_SYSTEM_FINGERPRINT,  # OpenLIT up to 1.37
}
"""The same for text attributes that an Observation has no field for."""


def provider(value: Value) -> str | None:
    """A provider in today's words. Unknown ones keep their spelling; `_OTHER` says nothing."""
    name = text(value)
    if name is None or name == "_OTHER":
        return None
    lower = name.lower()
    if lower in _PROVIDER_ENUM:
        return lower
    # The Vercel AI SDK adds the interface: `openai.chat`, `google.generative-ai`.
    for word in (lower, lower.partition(".")[0]):
        if word in PROVIDERS:
            return PROVIDERS[word]
    return word if word in _PROVIDER_ENUM else name


def operation(value: Value) -> str | None:
    """An operation in today's words; unknown ones stay."""
    name = text(value)
    return None if name is None else OPERATIONS.get(name, name)


def output_type(value: Value) -> str | None:
    """An output type in today's words, also from an OpenAI response format."""
    name = text(value)
    return None if name is None else RESPONSE_FORMATS.get(name, name)


def message_finish_reason(reason: str) -> str:
    """A finish reason in the words that messages use."""
    return MESSAGE_FINISH_REASONS.get(reason, reason)


def version(value: Value) -> str | int | None:
    """A prompt version: text, or the number that some producers send."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return text(value)
