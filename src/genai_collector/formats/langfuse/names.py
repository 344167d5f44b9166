"""Names, levels, environments and the other short strings (sections 3.4 to 3.6)."""

from __future__ import annotations

from typing import Final

from genai_collector.formats.langfuse import keys
from genai_collector.formats.langfuse.reading import Reading
from genai_collector.formats.langfuse.schema_values import normal_environment
from genai_collector.formats.langfuse.values import (
    JSON,
    PlainAttributes,
    as_object,
    first_truthy,
    js_string,
    parse_json,
    parse_payload,
    says_true,
    text,
    truthy,
)

LEVELS: Final = {
    "DEBUG": "DEBUG",
    "TRACE": "DEBUG",
    "VERBOSE": "DEBUG",
    "DEFAULT": "DEFAULT",
    "INFO": "DEFAULT",
    "LOG": "DEFAULT",
    "NOTICE": "DEFAULT",
    "OK": "DEFAULT",
    "SUCCESS": "DEFAULT",
    "WARNING": "WARNING",
    "WARN": "WARNING",
    "ERROR": "ERROR",
    "FATAL": "ERROR",
    "CRITICAL": "ERROR",
}
_LIVEKIT_DEBUG: Final = frozenset(
    {
        "user_speaking",
        "eou_detection",
        "llm_request_run",
        "tts_node",
        "tts_request",
        "tts_request_run",
        "tts_stream_adapter",
        "agent_speaking",
        "drain_agent_activity",
        "on_exit",
        "on_enter",
        "llm_fallback_adapter",
        "tts_fallback_adapter",
        "start_agent_activity",
    }
)
_JUDGE: Final = "langfuse-llm-as-a-judge"
_STATUS_ERROR: Final = 2


def observation_name(reading: Reading, span_name: str) -> str:
    """3.4: a tool is called by its name, other spans by what their framework shows."""
    if not reading.bits & keys.NAMES:
        return span_name
    attributes = reading.attributes
    tool = attributes.get("gen_ai.tool.name")
    if truthy(tool):
        return text(tool) or ""
    if "genkit:name" in attributes:
        return text(attributes["genkit:name"]) or ""
    message = attributes.get("logfire.msg")
    if truthy(message):
        return text(message) or ""
    if "ai.toolCall.name" in attributes:
        return text(attributes["ai.toolCall.name"]) or ""
    if "ai.operationId" in attributes:
        function = attributes.get("ai.telemetry.functionId")
        prefix = f"{js_string(function)}:" if truthy(function) else ""
        return prefix + js_string(attributes["ai.operationId"])
    return span_name


def level(reading: Reading, status_code: int, span_name: str) -> str:
    """3.5: what the producer said, else ERROR for an error status."""
    if reading.bits & keys.LANGFUSE:
        said = reading.attributes.get("langfuse.observation.level")
        if isinstance(said, str):
            known = LEVELS.get(said.strip().upper())
            if known is not None:
                return known
    if status_code == _STATUS_ERROR:
        return "ERROR"
    if reading.bits & keys.SCOPE_LIVEKIT and span_name in _LIVEKIT_DEBUG:
        return "DEBUG"
    return "DEFAULT"


def environment(reading: Reading, resource: Reading) -> str:
    """3.6: key by key, the span before its resource."""
    attributes, shared = reading.attributes, resource.attributes
    if (reading.bits | resource.bits) & keys.ENVIRONMENT:
        for key in keys.ENVIRONMENT_KEYS:
            value = attributes.get(key) or shared.get(key)
            if value:
                return normal_environment(value)
    if reading.bits & keys.OPENROUTER and _is_failed_judge(attributes, shared):
        return normal_environment(_JUDGE)
    return "default"


def _is_failed_judge(attributes: PlainAttributes, shared: PlainAttributes) -> bool:
    """A failed evaluator call broadcast by OpenRouter, which only echoes the request."""
    if shared.get("service.name") != "openrouter":
        return False
    if attributes.get("openrouter.source") != "openrouter":
        return False
    completion = as_object(parse_payload(attributes.get("gen_ai.completion")))
    if completion is None or completion.get("completion", "") is not None:
        return False
    request = as_object(completion.get("rawRequest")) or {}
    trace = as_object(request.get("trace")) or {}
    return trace.get("environment") == _JUDGE


def version(reading: Reading, resource: PlainAttributes) -> str | None:
    """`langfuse.version`, else the service's."""
    said = reading.attributes.get("langfuse.version") if reading.bits & keys.LANGFUSE else None
    return text(said if said is not None else resource.get("service.version"))


def release(reading: Reading, resource: PlainAttributes) -> str | None:
    """`langfuse.release` of the span, else of the resource."""
    said = reading.attributes.get("langfuse.release") if reading.bits & keys.LANGFUSE else None
    return text(said if said is not None else resource.get("langfuse.release"))


def user_id(attributes: PlainAttributes) -> str | None:
    return text(first_truthy(attributes, keys.USER_KEYS))


def session_id(attributes: PlainAttributes) -> str | None:
    return text(first_truthy(attributes, keys.SESSION_KEYS))


def public(attributes: PlainAttributes) -> bool | None:
    """True only for true and "true"; None when nobody said."""
    value = attributes.get("langfuse.trace.public")
    if value is None:
        value = attributes.get("langfuse.public")
    return None if value is None else says_true(value)


def tags(attributes: PlainAttributes) -> list[JSON]:
    """A list, a JSON list, a comma-separated text or one word."""
    value = first_truthy(attributes, keys.TAG_KEYS)
    if isinstance(value, list):
        return [js_string(tag) for tag in value]
    if not isinstance(value, str):
        return []
    if value.strip().startswith("["):
        try:
            parsed = parse_json(value)
        except ValueError:
            parsed = None
        if isinstance(parsed, list):
            return ["null" if tag is None else js_string(tag) for tag in parsed]
    if "," in value:
        return [tag.strip() for tag in value.split(",")]
    return [value]
