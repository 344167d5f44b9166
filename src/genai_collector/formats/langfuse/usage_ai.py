"""Token usage of the Vercel AI SDK (scope `ai`): its own attributes and what providers add.

The reference gives up on the whole reading when one part is not what it expects, and then reads the
generic attributes; `_Unexpected` is that exit.
"""

from __future__ import annotations

from typing import Final

from genai_collector.formats.langfuse.values import (
    JSON,
    NAN,
    PlainAttributes,
    js_string,
    parse_int,
    parse_json,
    to_number,
    truthy,
)

_Buckets = dict[str, JSON]

_COUNTS: Final = (
    ("input", ("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens")),
    ("output", ("gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens")),
    ("total", ("ai.usage.tokens",)),
)
_DETAILS: Final = (
    ("input_cached_tokens", "ai.usage.cachedInputTokens"),
    ("output_reasoning_tokens", "ai.usage.reasoningTokens"),
)
_OPENAI: Final = (
    ("input_cached_tokens", "cachedPromptTokens"),
    ("accepted_prediction_tokens", "acceptedPredictionTokens"),
    ("rejected_prediction_tokens", "rejectedPredictionTokens"),
    ("output_reasoning_tokens", "reasoningTokens"),
)
_ANTHROPIC: Final = (
    ("input_cache_creation", "cache_creation_input_tokens"),
    ("input_cached_tokens", "cache_read_input_tokens"),
)
_ANTHROPIC_LIFETIMES: Final = (
    ("input_cache_creation_5m", "ephemeral_5m_input_tokens"),
    ("input_cache_creation_1h", "ephemeral_1h_input_tokens"),
)
_BEDROCK: Final = (
    ("input_cache_read", "cacheReadInputTokens"),
    ("input_cache_write", "cacheWriteInputTokens"),
    ("input_cache_creation", "cacheCreationInputTokens"),
)
_IN_INPUT: Final = (
    "input_cached_tokens",
    "input_cache_creation",
    "input_cache_creation_5m",
    "input_cache_creation_1h",
    "input_cache_read",
    "input_cache_write",
)


class _Unexpected(Exception):
    """Something is not of the type that the reading relies on."""


def usage_of_ai_sdk(attributes: PlainAttributes) -> _Buckets | None:
    """The buckets before schema normalisation, or None when the generic reading shall be used."""
    try:
        return _read(attributes)
    except (_Unexpected, ValueError):
        return None


def _read(attributes: PlainAttributes) -> _Buckets:
    buckets: _Buckets = {}
    for bucket, names in _COUNTS:
        for name in names:
            if name in attributes:
                number = parse_int(js_string(attributes[name]))
                buckets[bucket] = NAN if number is None else number
                break
    for bucket, name in _DETAILS:
        if name in attributes:
            parsed = parse_json(js_string(attributes[name]))
            if parsed is None:
                raise _Unexpected
            is_number = isinstance(parsed, int | float) and not isinstance(parsed, bool)
            buckets[bucket] = parsed if is_number else _member(parsed, "intValue")
    metadata = attributes.get("ai.response.providerMetadata")
    if truthy(metadata):
        _add_provider_metadata(buckets, _object(parse_json(js_string(metadata))))
    _subtract(buckets, "input", _IN_INPUT)
    _subtract(buckets, "output", ("output_reasoning_tokens",))
    return buckets


def _add_provider_metadata(buckets: _Buckets, metadata: dict[str, JSON]) -> None:
    if "openai" in metadata:
        _fill(buckets, _OPENAI, _readable(metadata["openai"]))
    if "anthropic" in metadata:
        anthropic = _object(metadata["anthropic"])
        if "usage" in anthropic:
            _add_anthropic(buckets, _readable(anthropic["usage"]))
    if "bedrock" in metadata:
        usage = _readable(metadata["bedrock"]).get("usage")
        if truthy(usage):
            _fill(buckets, _BEDROCK, _readable(usage))


def _add_anthropic(buckets: _Buckets, usage: dict[str, JSON]) -> None:
    _fill(buckets, _ANTHROPIC, usage)
    lifetimes = usage.get("cache_creation")
    if not isinstance(lifetimes, dict | list):
        return
    numbers: _Buckets = {
        name: value
        for name, value in _readable(lifetimes).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    _fill(buckets, _ANTHROPIC_LIFETIMES, numbers)
    _subtract(buckets, "input_cache_creation", [name for name, _ in _ANTHROPIC_LIFETIMES])


def _fill(buckets: _Buckets, names: tuple[tuple[str, str], ...], source: dict[str, JSON]) -> None:
    for bucket, name in names:
        if buckets.get(bucket) is None and source.get(name) is not None:
            buckets[bucket] = source[name]


def _subtract(buckets: _Buckets, bucket: str, parts: tuple[str, ...] | list[str]) -> None:
    rest = to_number(buckets.get(bucket))
    for part in parts:
        rest -= to_number(buckets.get(part))
    buckets[bucket] = rest if rest != rest else max(rest, 0)  # noqa: PLR0124  # NaN stays


def _object(value: JSON) -> dict[str, JSON]:
    """Where the reference asks `"x" in value`, which fails for anything but an object."""
    if isinstance(value, list):
        return {}
    if not isinstance(value, dict):
        raise _Unexpected
    return value


def _readable(value: JSON) -> dict[str, JSON]:
    """Where the reference reads `value.x`, which fails for null only."""
    if value is None:
        raise _Unexpected
    return value if isinstance(value, dict) else {}


def _member(value: JSON, name: str) -> JSON:
    return value.get(name) if isinstance(value, dict) else None
