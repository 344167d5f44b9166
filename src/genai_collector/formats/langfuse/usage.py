"""Token usage and cost (section 3.8), as the buckets that Langfuse stores.

Langfuse's buckets are exclusive while most producers count inclusively: cached tokens are taken out
of `input`, reasoning and audio out of `output`.
"""

from __future__ import annotations

from typing import Final, cast

from genai_collector.conventions.observation import Observation
from genai_collector.formats.langfuse import keys
from genai_collector.formats.langfuse.reading import Reading
from genai_collector.formats.langfuse.schema_values import counts, normal_costs, normal_usage
from genai_collector.formats.langfuse.usage_ai import usage_of_ai_sdk
from genai_collector.formats.langfuse.usage_roles import (
    CACHE_READ,
    INPUT,
    OUTPUT,
    TOTAL,
)
from genai_collector.formats.langfuse.values import (
    JSON,
    PlainAttributes,
    as_object,
    parse_json,
    parse_payload,
    to_number,
    truthy,
)

_COST_KEYS: Final = ("gen_ai.usage.cost", "llm.cost.total")


def usage_details(reading: Reading) -> dict[str, JSON]:
    """The stored buckets; empty when the span says nothing of usage."""
    bits = reading.bits
    if bits & keys.LANGFUSE:
        said = _said_as_json(reading.attributes, "langfuse.observation.usage_details")
        if said is not None:
            return normal_usage(said)
    if bits & keys.SCOPE_GENKIT:
        found = _from_genkit(reading.attributes)
        if found is not None:
            return normal_usage(found)
    if bits & keys.SCOPE_AI:
        found = usage_of_ai_sdk(reading.attributes)
        if found is not None:
            return normal_usage(found)
    if bits & keys.USAGE:
        buckets = _generic(reading)
    elif bits & keys.SCOPE_VERTEX:
        buckets = {}
    else:
        return {}
    if bits & keys.SCOPE_VERTEX:
        _add_cached_of_vertex(buckets, reading.attributes)
    return counts(buckets)


def cost_details(reading: Reading) -> dict[str, JSON]:
    """The stored costs; empty when the span says nothing of cost."""
    attributes = reading.attributes
    if reading.bits & keys.LANGFUSE:
        said = _said_as_json(attributes, "langfuse.observation.cost_details")
        if said is not None:
            return normal_costs(said)
    if reading.bits & keys.COST:
        for key in _COST_KEYS:
            value = attributes.get(key)
            if value is not None and value != "":
                is_number = type(value) is float or type(value) is int
                return {"total": value} if is_number and value >= 0 else {}  # type: ignore[operator]
    return {}


def stated_costs(observation: Observation) -> dict[str, JSON]:
    """The cost as any convention states it, for where Langfuse itself finds none."""
    cost = observation.cost
    return {
        name: value
        for name, value in (("input", cost.input), ("output", cost.output), ("total", cost.total))
        if value is not None and value >= 0
    }


def _said_as_json(attributes: PlainAttributes, key: str) -> dict[str, JSON] | None:
    """The attribute's JSON object: {} if it is something else, None if absent or no JSON."""
    raw = attributes.get(key)
    if not truthy(raw):
        return None
    if not isinstance(raw, str):
        return {}
    try:
        parsed = parse_json(raw)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else {}


def _generic(reading: Reading) -> dict[str, JSON]:
    """`gen_ai.usage.*` and `llm.token_count.*`, whatever they are called."""
    attributes = reading.attributes
    found: dict[str, int | float] = {}
    ranks: dict[str, int] = {}
    repeats = reading.plan.usage_repeats
    for key, bucket, rank in reading.plan.usage:
        value = attributes[key]
        number = value if type(value) is int else to_number(value)
        if number != number:  # noqa: PLR0124  # NaN
            continue
        if not repeats:
            found[bucket] = number
        # The same suffix may come with both prefixes: the later one wins, as it would in an object.
        elif rank <= ranks.get(bucket, rank):
            found[bucket] = number
            ranks[bucket] = rank
    for bucket, parts in reading.plan.subtracted:
        rest = found.get(bucket)
        if rest is not None:
            for part in parts:
                rest -= found.get(part, 0)
            found[bucket] = max(rest, 0)
    return cast("dict[str, JSON]", found)


def _from_genkit(attributes: PlainAttributes) -> dict[str, JSON] | None:
    output = as_object(parse_payload(attributes.get("genkit:output"))) or {}
    usage = output.get("usage")
    if not truthy(usage):
        return None
    if not isinstance(usage, dict):
        return {}
    thoughts = usage.get("thoughtsTokens")
    buckets: dict[str, JSON] = {}
    for bucket, name in ((INPUT, "inputTokens"), (TOTAL, "totalTokens")):
        if truthy(usage.get(name)):
            buckets[bucket] = usage[name]
    spent = usage.get("outputTokens")
    if truthy(spent):
        buckets[OUTPUT] = max(to_number(spent) - to_number(thoughts), 0)
    if truthy(thoughts):
        buckets["output_reasoning"] = thoughts
    return buckets


def _add_cached_of_vertex(buckets: dict[str, JSON], attributes: PlainAttributes) -> None:
    """Google's ADK tells of cached tokens only inside its response blob."""
    if "gcp.vertex.agent.llm_response" not in attributes or CACHE_READ in buckets:
        return
    response = as_object(parse_payload(attributes["gcp.vertex.agent.llm_response"])) or {}
    metadata = as_object(response.get("usage_metadata")) or {}
    cached = metadata.get("cached_content_token_count")
    if isinstance(cached, bool) or not isinstance(cached, int | float) or cached <= 0:
        return
    buckets[CACHE_READ] = cached
    if INPUT in buckets:
        buckets[INPUT] = max(to_number(buckets[INPUT]) - cached, 0)
