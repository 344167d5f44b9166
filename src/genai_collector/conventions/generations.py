"""Every generation of the OpenTelemetry GenAI conventions, as two vocabularies.

`SEMCONV` is what the conventions say today (v1.37 and later); `SEMCONV_OLD` is what they gave up:
the token names of v1.26, `gen_ai.system`, `gen_ai.openai.*`, and three older homes of content:

    <= v1.27    span events gen_ai.content.prompt {gen_ai.prompt}, gen_ai.content.completion
                {gen_ai.completion}, or those two as span attributes
    (library)   flattened attributes gen_ai.prompt.{i}.role, .content, .tool_calls.{j}.name ...
    v1.28-1.36  one event per message: gen_ai.system.message ... gen_ai.choice, as log records, or
                as span events by some libraries (body = the event's attributes)
    >= v1.37    gen_ai.input.messages, gen_ai.output.messages, gen_ai.system_instructions, on the
                span or on one event gen_ai.client.inference.operation.details

Sources: the conventions' changelogs and deprecation notes; for the indexed attributes the constants
of OpenLLMetry before 0.5; for event bodies the recorded output of the official instrumentations.
"""

from __future__ import annotations

from typing import Final

from genai_collector.conventions import content as contents
from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import count, flag, keep, number, text, texts, whole
from genai_collector.conventions.vocabulary import Row, Vocabulary

_NUMERIC_UNSET: Final = ("", "None")

_CANONICAL: Final = (
    Row(s.GEN_AI_OPERATION_NAME, "operation", s.operation),
    Row(s.GEN_AI_PROVIDER_NAME, "provider", s.provider),
    Row(s.GEN_AI_REQUEST_MODEL, "request_model", text),
    Row(s.GEN_AI_RESPONSE_MODEL, "response_model", text),
    Row(s.GEN_AI_RESPONSE_ID, "response_id", text),
    Row(s.GEN_AI_RESPONSE_FINISH_REASONS, "finish_reasons", texts, ("", "[]", [])),
    Row(s.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, "time_to_first_chunk_s", number),
    Row(s.GEN_AI_OUTPUT_TYPE, "output_type", text),
    Row(s.GEN_AI_CONVERSATION_ID, "conversation_id", text),
    Row(s.GEN_AI_AGENT_NAME, "agent_name", text),
    Row(s.GEN_AI_AGENT_ID, "agent_id", text),
    Row(s.GEN_AI_WORKFLOW_NAME, "workflow_name", text),
    Row(s.GEN_AI_TOOL_NAME, "tool_name", text),
    Row(s.GEN_AI_TOOL_CALL_ID, "tool_call_id", text),
    Row(s.GEN_AI_PROMPT_NAME, "prompt_name", text),
    Row(s.GEN_AI_PROMPT_VERSION, "prompt_version", s.version),
    Row(s.ERROR_TYPE, "error_type", text),
    Row(s.USER_ID, "user_id", text),
    # Request parameters. A negative limit is how several producers say "none".
    Row(s.GEN_AI_REQUEST_TEMPERATURE, "parameters.temperature", number, _NUMERIC_UNSET),
    Row(s.GEN_AI_REQUEST_TOP_P, "parameters.top_p", number, _NUMERIC_UNSET),
    Row(s.GEN_AI_REQUEST_TOP_K, "parameters.top_k", whole, _NUMERIC_UNSET),
    Row(s.GEN_AI_REQUEST_MAX_TOKENS, "parameters.max_tokens", count, (*_NUMERIC_UNSET, -1, "-1")),
    Row(s.GEN_AI_REQUEST_FREQUENCY_PENALTY, "parameters.frequency_penalty", number, _NUMERIC_UNSET),
    Row(s.GEN_AI_REQUEST_PRESENCE_PENALTY, "parameters.presence_penalty", number, _NUMERIC_UNSET),
    Row(s.GEN_AI_REQUEST_SEED, "parameters.seed", whole, _NUMERIC_UNSET),
    Row(s.GEN_AI_REQUEST_STOP_SEQUENCES, "parameters.stop_sequences", texts, ("", "[]", [])),
    Row(s.GEN_AI_REQUEST_ENCODING_FORMATS, "parameters.encoding_formats", texts, ("", "[]", [])),
    Row(s.GEN_AI_REQUEST_CHOICE_COUNT, "parameters.choice.count", count, _NUMERIC_UNSET),
    Row(s.GEN_AI_REQUEST_STREAM, "parameters.stream", flag),
    Row(s.GEN_AI_REQUEST_REASONING_LEVEL, "parameters.reasoning.level", text),
    Row(s.GEN_AI_REQUEST_PREVIOUS_RESPONSE_ID, "parameters.previous_response.id", text),
    Row(s.OPENAI_REQUEST_SERVICE_TIER, "parameters.service_tier", text),
    # Usage and cost.
    Row(s.GEN_AI_USAGE_INPUT_TOKENS, "usage.input", count),
    Row(s.GEN_AI_USAGE_OUTPUT_TOKENS, "usage.output", count),
    Row(s.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, "usage.cache_read", count),
    Row(s.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS, "usage.cache_creation", count),
    Row(s.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, "usage.reasoning", count),
    Row(s.GEN_AI_USAGE_COST, "cost.total", number),
    # Content.
    Row(s.GEN_AI_INPUT_MESSAGES, "content.input_messages", keep),
    Row(s.GEN_AI_OUTPUT_MESSAGES, "content.output_messages", keep),
    Row(s.GEN_AI_SYSTEM_INSTRUCTIONS, "content.system_instructions", keep),
    Row(s.GEN_AI_TOOL_DEFINITIONS, "content.tool_definitions", keep),
    Row(s.GEN_AI_TOOL_CALL_ARGUMENTS, "content.input", keep),
    Row(s.GEN_AI_TOOL_CALL_RESULT, "content.output", keep),
    Row(s.GEN_AI_RETRIEVAL_QUERY_TEXT, "content.query", keep),
    Row(s.GEN_AI_RETRIEVAL_DOCUMENTS, "content.documents", keep),
    Row(s.GEN_AI_MEMORY_QUERY_TEXT, "content.query", keep),
    Row(s.GEN_AI_MEMORY_RECORDS, "content.documents", keep),
)

_DEPRECATED: Final = (
    Row("gen_ai.system", "provider", s.provider),
    Row("gen_ai.usage.prompt_tokens", "usage.input", count),
    Row("gen_ai.usage.completion_tokens", "usage.output", count),
    Row("gen_ai.usage.cache_write.input_tokens", "usage.cache_creation", count),
    Row("gen_ai.openai.request.seed", "parameters.seed", whole, _NUMERIC_UNSET),
    Row("gen_ai.openai.request.response_format", "output_type", s.output_type),
    Row("gen_ai.openai.request.service_tier", "parameters.service_tier", text),
    Row("enduser.id", "user_id", text),
    # Written by agent frameworks as span attributes before the conventions had an attribute.
    Row("gen_ai.client.operation.time_to_first_chunk", "time_to_first_chunk_s", number),
    Row("session.id", "conversation_id", text),
    Row("gen_ai.prompt", "content.old_input", keep),
    Row("gen_ai.completion", "content.old_output", keep),
)

SEMCONV: Final = Vocabulary(
    "semconv", prefixes=("gen_ai.",), rows=_CANONICAL, content=contents.read_today
)

SEMCONV_OLD: Final = Vocabulary("semconv_old", rows=_DEPRECATED, content=contents.read_older)
"""Never recognised by itself: its marks are SEMCONV's, and it is read on every recognised span. It
is a vocabulary of its own for its place in the precedence."""
