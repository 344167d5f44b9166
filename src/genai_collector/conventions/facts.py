"""Facts that come several in one value: JSON texts of parameters, usage or cost, families of keys.

Strategy: each function takes the parsed value and fills what the observation does not know yet, so
that what stands under a name of its own is always believed first. Sources: the request bodies of
OpenAI, Anthropic, Gemini and the Vercel AI SDK for parameters; Langfuse's usage buckets, and the
usage objects of OpenAI, Anthropic and Gemini, for usage.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from typing import Final

from genai_collector.conventions import semconv as s
from genai_collector.conventions.coerce import (
    count,
    flag,
    literal,
    number,
    text,
    texts,
    to_json,
    whole,
)
from genai_collector.conventions.observation import Cost, Observation, Usage
from genai_collector.conventions.vocabulary import Read
from genai_collector.model import Attributes, Value

_READERS: Final[dict[str, Read]] = {
    "temperature": number,
    "top_p": number,
    "top_k": whole,
    "max_tokens": count,
    "frequency_penalty": number,
    "presence_penalty": number,
    "seed": whole,
    "stop_sequences": texts,
    "encoding_formats": texts,
    "choice.count": count,
    "stream": flag,
    "service_tier": text,
    "reasoning.level": text,
    "previous_response.id": text,
}
PARAMETERS: Final[dict[str, str]] = {
    "topP": "top_p",
    "topK": "top_k",
    "maxTokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "maxOutputTokens": "max_tokens",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "stop": "stop_sequences",
    "stopSequences": "stop_sequences",
    "n": "choice.count",
    "candidate_count": "choice.count",
    "candidateCount": "choice.count",
    "encoding_format": "encoding_formats",
    "reasoning_effort": "reasoning.level",
    "reasoningEffort": "reasoning.level",
    "previous_response_id": "previous_response.id",
    "serviceTier": "service_tier",
}
"""Names in request bodies -> the conventions' names without `gen_ai.request.`."""
_NO_PARAMETERS: Final = frozenset((
    "model", "messages", "input", "prompt", "contents", "instructions", "system", "tools",
    "functions", "user", "response_format",
))  # fmt: skip

_INPUT: Final = ("input", "prompt_tokens", "input_tokens", "promptTokens", "inputTokens",
                 "prompt_token_count")  # fmt: skip
_OUTPUT: Final = ("output", "completion_tokens", "output_tokens", "completionTokens",
                  "outputTokens", "candidates_token_count")  # fmt: skip
_TOTAL: Final = ("total", "total_tokens", "totalTokens", "total_token_count")
_CACHE_READ: Final = ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read",
                      "cachedContentTokens", "cached_content_token_count")  # fmt: skip
_CACHE_CREATION: Final = ("input_cache_creation", "input_cache_creation_5m",
                          "input_cache_creation_1h", "cache_creation_input_tokens",
                          "input_cache_write")  # fmt: skip
_REASONING: Final = ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens",
                     "thoughtsTokens", "thoughts_token_count")  # fmt: skip
_NAMED: Final = frozenset((*_INPUT, *_OUTPUT, *_TOTAL, *_CACHE_READ, *_CACHE_CREATION, *_REASONING))
_INCLUSIVE_MARKS: Final = frozenset((
    "prompt_tokens", "completion_tokens", "promptTokens", "completionTokens",
    "input_tokens_details", "output_tokens_details",
))  # fmt: skip
"""Keys of usage objects whose input and output contain their details (OpenAI's)."""


def json_object(value: Value) -> dict[str, Value]:
    """The object that a value is, or that its text says; empty if it is none."""
    parsed = literal(value) if isinstance(value, str) else value
    return parsed if isinstance(parsed, dict) else {}


def unquoted(value: Value) -> Value:
    """A text without the quotes of JSON, if it has them; anything else as it is."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value


def family(attributes: Attributes, *prefixes: str) -> Iterator[tuple[str, Value]]:
    """The attributes of a family, their keys without the prefix; what is empty is left out."""
    for key, value in attributes.items():
        if key.startswith(prefixes) and value not in ("", None):
            for prefix in prefixes:
                if key.startswith(prefix):
                    yield key[len(prefix) :], value
                    break


def fill_parameters(observation: Observation, body: dict[str, Value]) -> None:
    """Request parameters from a body; those without a name in the conventions keep their own.

    The model, the user and the output type are taken from it too. Lists and objects that no name
    of the conventions takes become JSON text.
    """
    if observation.request_model is None:
        observation.request_model = text(body.get("model"))
    if observation.user_id is None:
        observation.user_id = text(body.get("user"))
    if observation.output_type is None:
        wanted = body.get("response_format")
        kind = wanted.get("type") if isinstance(wanted, dict) else wanted
        observation.output_type = s.output_type(kind)
    parameters = observation.parameters
    for own, value in body.items():
        name = PARAMETERS.get(own, own)
        if own in _NO_PARAMETERS or value is None or value == "" or name in parameters:
            continue
        read = _READERS.get(name)
        fact = read(value) if read is not None else _plain(value)
        if fact is not None:
            parameters[name] = fact


def _plain(value: Value) -> Value:
    return to_json(value) if isinstance(value, dict | list | bytes) else value


def fill_usage(usage: Usage, buckets: dict[str, Value]) -> None:
    """Inclusive counts from any usage object.

    Langfuse's and Anthropic's buckets are exclusive: cached tokens are beside `input`, reasoning is
    beside `output`. Producers get this wrong, so where a total is given, the reading that adds up
    to it is taken. Counts are never invented: a side that is not said stays unknown.
    """
    flat = {key: found for key, value in buckets.items() if (found := count(value)) is not None}
    nested = _nested(buckets)
    read = _first(flat, _CACHE_READ) if nested.cache_read is None else nested.cache_read
    created = [flat[key] for key in _CACHE_CREATION if key in flat]
    reasoning = _first(flat, _REASONING) if nested.reasoning is None else nested.reasoning
    given, made, total = _first(flat, _INPUT), _first(flat, _OUTPUT), _first(flat, _TOTAL)
    others = {key: value for key, value in flat.items() if key not in _NAMED}
    if _INCLUSIVE_MARKS.isdisjoint(buckets):
        cached = [read or 0, sum(created), _sum(others, "input_")]
        given, made = _inclusive(
            given, made, total, cached, [reasoning or 0, _sum(others, "output_")]
        )
    for name, value in (
        ("input", given), ("output", made), ("total", total), ("cache_read", read),
        ("cache_creation", sum(created) if created else None), ("reasoning", reasoning),
    ):  # fmt: skip
        if value is not None and getattr(usage, name) is None:
            setattr(usage, name, value)
    for key, value in others.items():
        usage.details.setdefault(key, value)


def _inclusive(
    given: int | None, made: int | None, total: int | None, cached: list[int], thought: list[int]
) -> tuple[int | None, int | None]:
    if given is None or made is None or total is None:
        return (
            None if given is None else given + sum(cached),
            None if made is None else made + sum(thought),
        )
    # Exclusive; only cache reads taken out (LiteLLM); inclusive already.
    inputs = (given + sum(cached), given + cached[0], given)
    outputs = (made + sum(thought), made)
    for pair in product(inputs, outputs):
        if sum(pair) == total:
            return pair
    return inputs[0], outputs[0]


def _nested(buckets: dict[str, Value]) -> Usage:
    found = Usage()
    for key in ("prompt_tokens_details", "input_tokens_details"):
        found.cache_read = count(json_object(buckets.get(key)).get("cached_tokens"))
        if found.cache_read is not None:
            break
    for key in ("completion_tokens_details", "output_tokens_details"):
        found.reasoning = count(json_object(buckets.get(key)).get("reasoning_tokens"))
        if found.reasoning is not None:
            break
    return found


def _first(flat: dict[str, int], names: tuple[str, ...]) -> int | None:
    return next((flat[name] for name in names if name in flat), None)


def _sum(flat: dict[str, int], prefix: str) -> int:
    return sum(value for key, value in flat.items() if key.startswith(prefix))


def fill_cost(cost: Cost, details: dict[str, Value]) -> None:
    """Dollars from an object with `total`, `input`, `output` and the producer's own buckets."""
    for key, value in details.items():
        amount = number(value)
        if amount is None or amount < 0:
            continue
        if key in ("total", "input", "output"):
            if getattr(cost, key) is None:
                setattr(cost, key, amount)
        else:
            cost.details.setdefault(key, amount)


def seconds_between(start_ns: int, time: Value) -> float | None:
    """From a span's start to a moment in ISO 8601 (also in JSON's quotes); None if it is before."""
    moment = unquoted(time)
    if not isinstance(moment, str):
        return None
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    microseconds = (then - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND
    return elapsed(start_ns, microseconds * 1000)


_MICROSECOND: Final = datetime.resolution


def elapsed(start_ns: int, then_ns: int) -> float | None:
    """Seconds from a span's start to a moment in it; None if either is unknown."""
    return (then_ns - start_ns) / 1e9 if 0 < start_ns <= then_ns else None
