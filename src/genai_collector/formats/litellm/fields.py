"""The StandardLoggingPayload as tables: which member is which span attribute.

Sources: LiteLLM's documentation of the payload, and what releases 1.100 and 1.109 send. Members are
added in almost every release, so unknown ones are data like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from genai_collector.conventions import semconv as s
from genai_collector.formats.fits import is_int64, is_number, is_text
from genai_collector.model import Value

Payload: TypeAlias = "dict[str, Value]"

# What a span says about the payload that it was.
SOURCE: Final = "litellm.source"
RESIDUAL: Final = "litellm.residual"
SCOPE_NAME: Final = "litellm.generic_api"
SERVICE_NAME: Final = "litellm"

BLOCK: Final = "otel"
"""The member that holds the whole of a span that LiteLLM never saw."""


def is_flag(value: Value) -> bool:
    return isinstance(value, bool)


def is_count(value: Value) -> bool:
    """A number of tokens."""
    return is_int64(value) and isinstance(value, int) and value >= 0


OTHER_SPAN: Final = "otel_span"
"""`call_type` of a span that says nothing of what it does."""


class Row(NamedTuple):
    key: str
    holds: Callable[[Value], bool] | None
    """Which values the attribute carries as they are; None: any value, as JSON text."""
    always: bool = True
    """Whether LiteLLM always sends the member, null where there is nothing to say."""
    canonical: str = ""
    """The conventions' attribute that is the member's home instead."""
    attribute: str = ""
    """LiteLLM's own attribute, filled in below."""


# In the order in which LiteLLM writes them; `startTime` and `endTime` are the span's own.
_MEMBERS: Final = (
    Row("id", is_text),
    Row("litellm_call_id", is_text),
    Row("trace_id", is_text),
    Row("session_id", is_text),
    Row("call_type", is_text),
    Row("cache_hit", is_flag),
    Row("stream", is_flag),
    Row("status", is_text),
    Row("status_fields", None),
    Row("custom_llm_provider", is_text),
    Row("saved_cache_cost", is_number),
    Row("completionStartTime", is_number),
    Row("response_time", is_number),
    Row("model", is_text),
    Row("metadata", None),
    Row("cache_key", is_text),
    Row("cost_finalized", is_flag, always=False),
    Row("response_cost", is_number, canonical=s.GEN_AI_USAGE_COST),
    Row("cost_breakdown", None),
    Row("autorouter_savings", None),
    Row("autorouter_savings_estimate", None),
    Row("autorouter_baseline_observation", None),
    Row("total_tokens", is_count, canonical="gen_ai.usage.total_tokens"),
    Row("prompt_tokens", is_count, canonical=s.GEN_AI_USAGE_INPUT_TOKENS),
    Row("completion_tokens", is_count, canonical=s.GEN_AI_USAGE_OUTPUT_TOKENS),
    Row("request_tags", None),
    Row("request_model_access_groups", None, always=False),
    Row("end_user", is_text),
    Row("api_base", is_text),
    Row("model_group", is_text),
    Row("model_id", is_text),
    Row("requester_ip_address", is_text),
    Row("user_agent", is_text),
    Row("messages", None),
    Row("response", None),
    Row("model_parameters", None),
    Row("hidden_params", None),
    Row("model_map_information", None),
    Row("error_str", is_text),
    Row("error_information", None),
    Row("response_cost_failure_debug_info", None),
    Row("zero_cost_diagnostic", None),
    Row("guardrail_information", None),
    Row("standard_built_in_tools_params", None),
    Row("classifier_input", None, always=False),
    Row("originating_request_masked", None, always=False),
)
ROWS: Final = tuple([row._replace(attribute="litellm." + row.key) for row in _MEMBERS])
ROW_OF: Final = {row.key: row for row in ROWS}
TIMES: Final = ("startTime", "endTime")
ALWAYS: Final = (*TIMES, *(row.key for row in ROWS if row.always))
ALWAYS_SET: Final = frozenset(ALWAYS)

# A record with fewer of these is something else.
MARKS: Final = (
    "id",
    "call_type",
    "startTime",
    "endTime",
    "model",
    "messages",
    "response",
    "status",
)
MARKS_NEEDED: Final = 2
OLD_MARK: Final = "modelParameters"

# `call_type` without the `a` of asynchronous calls -> `gen_ai.operation.name`; the first of several
# is the way back. What is missing is taken as it is.
OPERATIONS: Final = {
    "completion": "chat",
    "responses": "chat",
    "anthropic_messages": "chat",
    "text_completion": "text_completion",
    "embedding": "embeddings",
    "generate_content": "generate_content",
    "generate_content_stream": "generate_content",
    "image_generation": "image",
    "image_edit": "image",
    "image_variation": "image",
    "transcription": "speech_to_text",
    "speech": "audio",
    "rerank": "rerank",
    "realtime": "realtime",
    "call_mcp_tool": "execute_tool",
}
CALL_TYPES: Final = {ours: theirs for theirs, ours in reversed(OPERATIONS.items())}

# LiteLLM's provider names to the convention's where `semconv.PROVIDERS` does not have them already.
_TO_SEMCONV: Final = {
    "azure_ai": "azure.ai.inference",
    "azure_text": "azure.ai.openai",
    "bedrock_converse": "aws.bedrock",
    "text-completion-openai": "openai",
    "vertex_ai_beta": "gcp.vertex_ai",
}
_TO_LITELLM: Final = {
    "aws.bedrock": "bedrock",
    "azure.ai.inference": "azure_ai",
    "azure.ai.openai": "azure",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "gcp.vertex_ai": "vertex_ai",
    "ibm.watsonx.ai": "watsonx",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshot",
    "x_ai": "xai",
}


def operation_of(call_type: str) -> str:
    """`gen_ai.operation.name` of a `call_type`."""
    for name in (call_type, call_type.removeprefix("_").removeprefix("a")):
        if name in OPERATIONS:
            return OPERATIONS[name]
    return call_type


def provider_to_semconv(provider: str) -> str | None:
    """`gen_ai.provider.name` for a `custom_llm_provider`."""
    return s.provider(_TO_SEMCONV.get(provider, provider))


def provider_to_litellm(provider: str) -> str:
    """LiteLLM's name for a `gen_ai.provider.name`."""
    return _TO_LITELLM.get(provider, provider)


def as_object(value: Value) -> Payload:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}
