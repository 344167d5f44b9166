"""A payload from any span, by its neutral reading (`Observation`).

Every member that LiteLLM always sends is there, with the type that its documentation gives. What a
payload must say and the span does not is what LiteLLM itself writes then: 0 tokens, a cost of 0.0.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from genai_collector.conventions import read_observation
from genai_collector.conventions.messages import to_openai_tools
from genai_collector.conventions.observation import Content, Cost, Observation, Usage
from genai_collector.formats.fits import is_number
from genai_collector.formats.json_text import canonical
from genai_collector.formats.litellm import clock, fields
from genai_collector.formats.litellm.fields import Payload
from genai_collector.formats.openai_bodies import (
    PARAMETER_TO_REQUEST,
    request_messages,
    response_body,
    total_tokens,
    usage_body,
)
from genai_collector.formats.otel_block import BlockWriter
from genai_collector.formats.tagged import readable
from genai_collector.model import Span, StatusCode, Value

LLM_KINDS: Final = frozenset({"generation", "embedding"})
_KEY_INFO: Final = (
    "user_api_key_hash",
    "user_api_key_alias",
    "user_api_key_org_id",
    "user_api_key_team_id",
    "user_api_key_user_id",
    "user_api_key_team_alias",
)
_HIDDEN: Final = ("model_id", "cache_key", "api_base", "response_cost", "additional_headers")
_NO_ERROR: Final[Payload] = {
    "error_code": "",
    "error_class": "",
    "llm_provider": "",
    "traceback": "",
    "error_message": "",
}


def is_llm_call(observation: Observation) -> bool:
    """Whether LiteLLM could have made it: a call of a model."""
    return observation.kind in LLM_KINDS


class ObservedWriter:
    """Writes payloads from spans that LiteLLM never saw."""

    __slots__ = ("blocks",)

    def __init__(self) -> None:
        self.blocks = BlockWriter()

    def payload(self, span: Span, observation: Observation | None = None) -> Payload:
        """The payload of one span, with the whole span in its block."""
        seen = read_observation(span) if observation is None else observation
        if not is_llm_call(seen):
            # Agents and the like repeat what the calls below them used, and whoever adds payloads
            # up counts them all.
            seen = replace(seen, usage=Usage(), cost=Cost())
        content = seen.read_content()
        block = self.blocks.block(span)
        found: Payload = dict.fromkeys(fields.ALWAYS)
        failed = span.status_code == StatusCode.ERROR or seen.level == "ERROR"
        _put_call(found, span, seen, block)
        _put_times(found, span, seen)
        _put_numbers(found, seen)
        _put_identity(found, span, seen)
        _put_content(found, span, seen, content, failed)
        found["status"] = "failure" if failed else "success"
        found["status_fields"] = {"llm_api_status": found["status"], "guardrail_status": "not_run"}
        found["error_information"] = dict(_NO_ERROR)
        if failed:
            _put_error(found, span, seen)
        found[fields.BLOCK] = block
        return found


def _put_call(found: Payload, span: Span, seen: Observation, block: Payload) -> None:
    own = span.span_id.hex() or hashlib.sha256(canonical(block)).hexdigest()[:16]
    found["litellm_call_id"] = own
    found["id"] = seen.response_id or own
    found["trace_id"] = span.trace_id.hex() or own
    found["session_id"] = seen.conversation_id or ""
    operation = seen.operation or ("" if is_llm_call(seen) else fields.OTHER_SPAN)
    found["call_type"] = fields.CALL_TYPES.get(operation, operation)
    if seen.provider is not None:
        found["custom_llm_provider"] = fields.provider_to_litellm(seen.provider)
    found["stream"] = True if seen.parameters.get("stream") is True else None
    found["model"] = seen.request_model or seen.response_model or ""
    found["model_group"] = found["model_id"] = ""
    found["model_map_information"] = {"model_map_key": seen.model or "", "model_map_value": None}
    found["hidden_params"] = dict.fromkeys(_HIDDEN)
    found["standard_built_in_tools_params"] = {"web_search_options": None, "file_search": None}
    found["api_base"] = _api_base(span)


def _api_base(span: Span) -> str:
    host, port = span.attributes.get("server.address"), span.attributes.get("server.port")
    if not isinstance(host, str) or not host:
        return ""
    return f"{host}:{port}" if type(port) is int else host


def _put_times(found: Payload, span: Span, seen: Observation) -> None:
    end_ns = max(span.end_ns, span.start_ns)
    first = seen.time_to_first_chunk_s
    took = (end_ns - span.start_ns) / 1e9
    if first is None or not 0 <= first <= took:
        first = took
    found["startTime"] = clock.to_seconds(span.start_ns)
    found["endTime"] = clock.to_seconds(end_ns)
    found["completionStartTime"] = clock.to_seconds(span.start_ns + round(first * 1e9))
    found["response_time"] = first


def _put_numbers(found: Payload, seen: Observation) -> None:
    usage, cost = seen.usage, seen.cost
    found["prompt_tokens"] = usage.input or 0
    found["completion_tokens"] = usage.output or 0
    found["total_tokens"] = total_tokens(seen) or (usage.input or 0) + (usage.output or 0)
    found["saved_cache_cost"] = 0.0
    found["response_cost"] = cost.total if is_number(cost.total) else 0.0
    parts: Payload = {
        "total_cost": cost.total,
        "input_cost": cost.input,
        "output_cost": cost.output,
    }
    if cost.input is not None or cost.output is not None:
        found["cost_breakdown"] = {key: value for key, value in parts.items() if is_number(value)}


def _put_identity(found: Payload, span: Span, seen: Observation) -> None:
    tags = list[Value](seen.tags or ())
    said: Payload = {
        "session_id": seen.conversation_id,
        "trace_user_id": seen.user_id,
        "generation_name": span.name or None,
    }
    requester = {key: readable(value) for key, value in seen.metadata.items()}
    requester |= {key: value for key, value in said.items() if value is not None}
    metadata: Payload = dict.fromkeys(_KEY_INFO)
    metadata |= {
        "spend_logs_metadata": None,
        "requester_ip_address": None,
        "requester_metadata": requester or None,
        "applied_guardrails": [],
        "usage_object": usage_body(seen),
    }
    found["metadata"] = metadata
    found["request_tags"] = tags
    found["end_user"] = seen.user_id


def _put_content(
    found: Payload, span: Span, seen: Observation, content: Content, failed: bool
) -> None:
    if content.input_messages is not None or content.system_instructions:
        found["messages"] = request_messages(content)
    else:
        found["messages"] = _as_messages(readable(content.input))
    parameters: Payload = {}
    for key, value in seen.parameters.items():
        if value is not None:
            parameters.setdefault(PARAMETER_TO_REQUEST.get(key, key), readable(value))
    if content.tool_definitions is not None:
        parameters.setdefault("tools", readable(to_openai_tools(content.tool_definitions)))
    found["model_parameters"] = parameters
    answered = content.output_messages is not None or content.output is not None
    found["response"] = response_body(span, seen, content) if answered or not failed else {}


def _as_messages(value: Value) -> Value:
    # The member's type: a text, a list, an object, or null.
    return value if value is None or isinstance(value, str | list | dict) else str(value)


def _put_error(found: Payload, span: Span, seen: Observation) -> None:
    message = seen.status_message or span.status_message
    kind = seen.error_type or ""
    code = kind if len(kind) == 3 and kind.isascii() and kind.isdigit() else ""
    status = span.attributes.get("http.response.status_code")
    found["error_str"] = message or kind
    found["error_information"] = {
        **_NO_ERROR,
        "error_code": str(status) if type(status) is int else code,
        "error_class": "" if code else kind,
        "llm_provider": found["custom_llm_provider"] or "",
        "error_message": message or "",
    }
