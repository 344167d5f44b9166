"""Model, its parameters, first token and prompt link (sections 3.7, 3.9, 3.10)."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from genai_collector.formats.langfuse import keys
from genai_collector.formats.langfuse.reading import Reading
from genai_collector.formats.langfuse.schema_values import normal_datetime
from genai_collector.formats.langfuse.values import (
    JSON,
    PlainAttributes,
    as_object,
    first_present,
    first_truthy,
    iso_from_ms,
    js_string,
    js_text,
    parse_json,
    parse_payload,
    text,
    to_number,
    truthy,
)

_AGENT_OPERATIONS: Final = frozenset({"invoke_agent", "agent_step"})
_MODEL_KEYS: Final = (
    "langfuse.observation.model.name",
    "gen_ai.response.model",
    "ai.model.id",
    "gen_ai.request.model",
    "llm.response.model",
    "llm.model_name",
    "model",
)
_JSON_PARAMETERS: Final = ("llm.invocation_parameters", "model_config")
_AI_PARAMETERS: Final = (
    ("maxSteps", ("ai.settings.maxSteps",)),
    ("toolChoice", ("ai.prompt.toolChoice",)),
    ("maxTokens", ("gen_ai.request.max_tokens",)),
    ("finishReason", ("gen_ai.response.finish_reasons", "gen_ai.finishReason")),
    ("system", ("gen_ai.system", "ai.model.provider")),
    ("maxRetries", ("ai.settings.maxRetries",)),
    ("mode", ("ai.settings.mode",)),
    ("temperature", ("gen_ai.request.temperature",)),
    ("service_tier", ("gen_ai.request.service_tier",)),
)
_FIRST_CHUNK: Final = ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk")


def repeats_its_children(attributes: PlainAttributes) -> bool:
    """Agent spans sum up what their children spent; they get no model, usage or cost."""
    operation = attributes.get("gen_ai.operation.name")
    return isinstance(operation, str) and operation in _AGENT_OPERATIONS


def model_name(attributes: PlainAttributes) -> str | None:
    value = first_truthy(attributes, _MODEL_KEYS)
    if value is None and attributes.get("genkit:metadata:subtype") == "model":
        value = first_truthy(attributes, ("genkit:name",))
    return text(value)


def model_parameters(reading: Reading) -> dict[str, JSON]:
    """Strings and numbers as they are, everything else as JSON text; empty if none are known."""
    bits, attributes = reading.bits, reading.attributes
    explicit = None
    if bits & keys.LANGFUSE:
        explicit = _json_parameters(attributes, "langfuse.observation.model.parameters")
        if explicit is not None and not bits & keys.SCOPE_AI:
            return explicit
    if bits & keys.SCOPE_GENKIT:
        config = _genkit_config(attributes)
        if truthy(config):
            return _as_parameters(config)
    if bits & keys.SCOPE_AI:
        return {**_ai_parameters(attributes), **(explicit or {})}
    if bits & keys.PARAMETERS:
        for key in _JSON_PARAMETERS:
            found = _json_parameters(attributes, key)
            if found is not None:
                return found
    return _prefixed_parameters(reading) if bits & (keys.REQUEST | keys.INVOCATION) else {}


def _json_parameters(attributes: PlainAttributes, key: str) -> dict[str, JSON] | None:
    raw = attributes.get(key)
    if not truthy(raw):
        return None
    try:
        return _as_parameters(parse_json(js_string(raw)))
    except ValueError:
        return None


def _as_parameters(value: JSON) -> dict[str, JSON]:
    """What is no object has no names for its values and cannot be stored."""
    if isinstance(value, list):
        value = {str(at): item for at, item in enumerate(value)}
    if not isinstance(value, dict):
        return {}
    return {name: _parameter(item) for name, item in value.items()}


def _parameter(value: JSON) -> JSON:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return value
    return js_text(value)


def _genkit_config(attributes: PlainAttributes) -> JSON:
    asked = as_object(parse_payload(attributes.get("genkit:input"))) or {}
    config = asked.get("config")
    if config is None:
        answered = as_object(parse_payload(attributes.get("genkit:output"))) or {}
        config = (as_object(answered.get("request")) or {}).get("config")
    return config


def _ai_parameters(attributes: PlainAttributes) -> dict[str, JSON]:
    """The fixed set of the Vercel AI SDK, as strings."""
    parameters: dict[str, JSON] = {}
    for name, sources in _AI_PARAMETERS:
        value = first_present(attributes, sources)
        if value is not None:
            parameters[name] = js_string(value)
    provider = as_object(parse_payload(attributes.get("ai.response.providerMetadata"))) or {}
    tier = (as_object(provider.get("openai")) or {}).get("serviceTier")
    if isinstance(tier, str):
        parameters["service_tier"] = tier
    return parameters


def _prefixed_parameters(reading: Reading) -> dict[str, JSON]:
    """`gen_ai.request.*`, then `llm.invocation_parameters.*`."""
    attributes = reading.attributes
    parameters: dict[str, JSON] = {}
    for key, name in reading.plan.parameters:
        value = attributes[key]
        kind = type(value)
        is_kept = kind is str or kind is int or kind is float
        parameters[name] = value if is_kept else js_text(value)
    return parameters


def completion_start_time(reading: Reading, start_ms: int) -> str | None:
    """When the first token came: said by Langfuse's SDKs, or counted by the Vercel AI SDK.

    A date in another spelling than the server accepts is rewritten; no date at all is left out.
    """
    if reading.bits & keys.LANGFUSE:
        said = reading.attributes.get("langfuse.observation.completion_start_time")
        found = normal_datetime(said)
        if found is None and isinstance(said, str):
            found = normal_datetime(parse_payload(said))
        if found is not None:
            return found
    if reading.bits & keys.AI:
        waited = first_present(reading.attributes, _FIRST_CHUNK)
        number = to_number(waited) if truthy(waited) else math.nan
        if math.isfinite(number):
            return iso_from_ms(start_ms + math.ceil(number))
    return None


class PromptLink(NamedTuple):
    name: str
    version: int


def prompt_link(attributes: PlainAttributes) -> PromptLink | None:
    """The prompt that a generation used. The server wants both or neither, so half a link is no
    link; a version written as text is read as the number it is."""
    ai = as_object(parse_payload(attributes.get("ai.telemetry.metadata.langfusePrompt"))) or {}
    name = first_present(attributes, ("langfuse.observation.prompt.name", "langfuse.prompt.name"))
    version = first_present(
        attributes, ("langfuse.observation.prompt.version", "langfuse.prompt.version")
    )
    name = ai.get("name") if name is None else name
    number = _prompt_version(ai.get("version") if version is None else version)
    return PromptLink(text(name) or "", number) if truthy(name) and number else None


def _prompt_version(value: JSON) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.strip().isdecimal() and value.isascii():
        return int(value)
    number = value if isinstance(value, int | float) else math.nan
    return int(number) if math.isfinite(number) and number == int(number) else None
