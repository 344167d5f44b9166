"""What a payload says in the conventions' words, for everybody who does not know LiteLLM.

A view is never what a member is rebuilt from, so a member that cannot be read here costs nothing:
it is simply not shown.
"""

from __future__ import annotations

import re
from typing import Final, cast

from genai_collector.conventions import semconv as s
from genai_collector.conventions.messages import to_parts_messages, to_tool_definitions
from genai_collector.errors import DecodeError
from genai_collector.formats.fits import is_number, is_text
from genai_collector.formats.json_text import dumps
from genai_collector.formats.litellm import fields
from genai_collector.formats.litellm.fields import Payload, as_object, is_count
from genai_collector.formats.openai_bodies import read_parameters
from genai_collector.model import Attributes, Span, StatusCode, Value

_OTHER: Final = "_OTHER"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Where the parts of a usage object are, in OpenAI's two APIs and in LiteLLM's own words.
_USAGE: Final = (
    (s.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, (
        ("prompt_tokens_details", "cached_tokens"), ("input_tokens_details", "cached_tokens"),
        ("cache_read_input_tokens",))),
    (s.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS, (
        ("prompt_tokens_details", "cache_creation_tokens"), ("cache_creation_input_tokens",))),
    (s.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"))),
)  # fmt: skip
_PARTS_OF_USAGE: Final = frozenset([place[0] for _, places in _USAGE for place in places])
# Under the names of LiteLLM's own OpenTelemetry callback.
_COSTS: Final = {
    "input_cost": "gen_ai.cost.input_cost",
    "output_cost": "gen_ai.cost.output_cost",
    "cache_read_cost": "gen_ai.cost.cache_read_cost",
    "cache_creation_cost": "gen_ai.cost.cache_creation_cost",
    "reasoning_cost": "gen_ai.cost.reasoning_cost",
    "tool_usage_cost": "gen_ai.cost.tool_usage_cost",
    "original_cost": "gen_ai.cost.original_cost",
    "discount_amount": "gen_ai.cost.discount_amount",
    "margin_total_amount": "gen_ai.cost.margin_total_amount",
}


def fill_views(span: Span, payload: Payload) -> None:
    """Everything but the homes: name, status message and `gen_ai.*`."""
    found = span.attributes
    metadata = as_object(payload.get("metadata"))
    requester = as_object(metadata.get("requester_metadata"))
    parameters = as_object(payload.get("model_parameters"))
    response = as_object(payload.get("response"))
    _fill_call(found, payload, response)
    if payload.get("stream") is True:
        found[s.GEN_AI_REQUEST_STREAM] = True
        _fill_first_chunk(found, payload)
    found.update(read_parameters(parameters))
    _fill_usage(found, payload, metadata, response)
    _fill_identity(found, payload, metadata, requester, parameters)
    _fill_content(found, payload, parameters, response)
    if span.status_code == StatusCode.ERROR:
        _fill_error(span, payload)
    name = requester.get("generation_name")
    words = [found.get(s.GEN_AI_OPERATION_NAME), found.get(s.GEN_AI_REQUEST_MODEL)]
    said = " ".join([word for word in words if isinstance(word, str)])
    span.name = name if isinstance(name, str) and name and is_text(name) else said


def _put_text(found: Attributes, key: str, *values: Value) -> None:
    """The first of the values that is a text with something in it."""
    for value in values:
        if isinstance(value, str) and value and is_text(value):
            found[key] = value
            return


def _put_json(found: Attributes, key: str, value: Value) -> None:
    if not value:
        return
    try:
        found[key] = dumps(value).decode("utf-8")
    except DecodeError:  # arguments in a text may be nested deeper than JSON can be written
        return


def _fill_call(found: Attributes, payload: Payload, response: Payload) -> None:
    call_type, provider = payload.get("call_type"), payload.get("custom_llm_provider")
    if isinstance(call_type, str):
        _put_text(found, s.GEN_AI_OPERATION_NAME, fields.operation_of(call_type))
    model = payload.get("model")
    if isinstance(provider, str) and provider:
        _put_text(found, s.GEN_AI_PROVIDER_NAME, fields.provider_to_semconv(provider))
        if isinstance(model, str):
            # The proxy writes `provider/model` where the SDK writes `model`.
            model = model.removeprefix(provider + "/")
    _put_text(found, s.GEN_AI_REQUEST_MODEL, model)
    _put_text(found, s.GEN_AI_RESPONSE_MODEL, response.get("model"))
    # The payload's own id is the call's where there was no response, or none with an id.
    own = payload.get("id")
    if payload.get("status") != "success" or own == payload.get("litellm_call_id"):
        own = None
    _put_text(found, s.GEN_AI_RESPONSE_ID, response.get("id"), own)
    if found.get(s.GEN_AI_PROVIDER_NAME) in ("openai", "azure.ai.openai"):
        fingerprint = response.get("system_fingerprint")
        _put_text(found, s.OPENAI_RESPONSE_SYSTEM_FINGERPRINT, fingerprint)
        _put_text(found, s.OPENAI_RESPONSE_SERVICE_TIER, response.get("service_tier"))


def _fill_first_chunk(found: Attributes, payload: Payload) -> None:
    start, first = payload.get("startTime"), payload.get("completionStartTime")
    if isinstance(start, float) and isinstance(first, float) and is_number(first - start):
        waited = round(first - start, 6)
        if waited >= 0:
            found[s.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] = waited


def _fill_usage(found: Attributes, payload: Payload, metadata: Payload, response: Payload) -> None:
    usage = as_object(metadata.get("usage_object")) or as_object(response.get("usage"))
    if not _PARTS_OF_USAGE.isdisjoint(usage):
        _fill_parts(found, usage)
    breakdown = as_object(payload.get("cost_breakdown"))
    for name, key in _COSTS.items():
        if name in breakdown:
            cost = breakdown[name]
            if isinstance(cost, int | float) and is_number(cost):
                found[key] = float(cost)


def _fill_parts(found: Attributes, usage: Payload) -> None:
    for key, places in _USAGE:
        for *above, name in places:
            node = as_object(usage.get(above[0])) if above else usage
            if is_count(node.get(name)):
                found[key] = node[name]
                break


def _fill_identity(
    found: Attributes,
    payload: Payload,
    metadata: Payload,
    requester: Payload,
    parameters: Payload,
) -> None:
    _put_text(
        found, s.USER_ID, requester.get("trace_user_id"), payload.get("end_user"),
        parameters.get("user"), metadata.get("user_api_key_user_id"),
    )  # fmt: skip
    trace = payload.get("trace_id")
    if isinstance(trace, str) and _UUID.fullmatch(trace):
        trace = None  # LiteLLM's own, one per call: no session that anybody named
    _put_text(
        found, s.GEN_AI_CONVERSATION_ID, requester.get("session_id"),
        payload.get("session_id"), trace,
    )  # fmt: skip
    tags = payload.get("request_tags")
    if isinstance(tags, list) and tags and all(map(is_text, tags)):
        found["langfuse.trace.tags"] = tags
    _put_text(found, "langfuse.trace.name", requester.get("trace_name"))


def _fill_content(
    found: Attributes, payload: Payload, parameters: Payload, response: Payload
) -> None:
    messages = payload.get("messages")
    _put_messages(found, s.GEN_AI_INPUT_MESSAGES, messages, "user")
    instructions = parameters.get("instructions")
    if isinstance(instructions, str) and instructions:
        parts: Value = [{"type": "text", "content": instructions}]
        _put_json(found, s.GEN_AI_SYSTEM_INSTRUCTIONS, parts)
    if isinstance(parameters.get("tools"), list):
        definitions = to_tool_definitions(parameters["tools"])
        _put_json(found, s.GEN_AI_TOOL_DEFINITIONS, definitions)
    answer = payload.get("response")
    choices = response.get("choices")
    if isinstance(choices, list):
        answer = [_completed(choice) for choice in choices]
        reasons = [as_object(choice).get("finish_reason") for choice in choices]
    else:
        reasons = [response.get("status")]
    reasons = [reason for reason in reasons if is_text(reason) and reason]
    if reasons:
        found[s.GEN_AI_RESPONSE_FINISH_REASONS] = reasons
    _put_messages(found, s.GEN_AI_OUTPUT_MESSAGES, answer, "assistant")


def _completed(choice: Value) -> Value:
    """A choice of the older completions API as one of the newer."""
    if isinstance(choice, dict) and "message" not in choice and isinstance(choice.get("text"), str):
        return {**choice, "message": {"role": "assistant", "content": choice["text"]}}
    return choice


def _put_messages(found: Attributes, key: str, value: Value, role: str) -> None:
    if value:
        _put_json(found, key, cast("Value", to_parts_messages(value, default_role=role)))


def _fill_error(span: Span, payload: Payload) -> None:
    said = as_object(payload.get("error_information"))
    for message in (payload.get("error_str"), said.get("error_message")):
        if isinstance(message, str) and message and is_text(message):
            span.status_message = message
            break
    span.attributes[s.ERROR_TYPE] = _OTHER
    _put_text(span.attributes, s.ERROR_TYPE, said.get("error_class"), said.get("error_code"))
