"""What a document says was used and paid, one reader per format, each of the format's own members.

Only calls of a model are added up: agents, workflows and gateways repeat what the calls below them
have used. Tokens are inclusive, as most formats count them (`input` holds the cached ones, `output`
the reasoning); Langfuse's buckets are exclusive, so its reader adds them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from genai_collector.conventions import read_observation
from genai_collector.formats import langfuse, noveum, otlp
from genai_collector.model import Signal


class Totals(NamedTuple):
    """Tokens and US dollars of one document."""

    calls: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    total: int = 0
    cost: float = 0.0


def _sum(calls: Iterable[Totals]) -> Totals:
    found = list(calls)
    return Totals(
        sum(call.calls for call in found),
        sum(call.input for call in found),
        sum(call.output for call in found),
        sum(call.cached for call in found),
        sum(call.total for call in found),
        # Sums of floats depend on their order.
        round(sum(call.cost for call in found), 12),
    )


def of_otlp(data: bytes) -> Totals:
    """Of the spans of an OTLP/JSON request, whatever vocabulary they speak."""
    seen = [read_observation(span) for span in otlp.decode_json(Signal.TRACES, data).items]  # type: ignore[arg-type]
    return _sum(
        _call(
            one.usage.input or 0,
            one.usage.output or 0,
            one.usage.cache_read or 0,
            one.usage.total,
            one.cost.total,
        )
        for one in seen
        if one.is_billable
    )


def _call(
    tokens_in: int, tokens_out: int, cached: int, total: int | None, cost: float | None
) -> Totals:
    return Totals(
        1 if tokens_in or tokens_out or cost else 0,
        tokens_in,
        tokens_out,
        cached,
        tokens_in + tokens_out if total is None else total,
        cost or 0.0,
    )


def of_litellm(data: bytes) -> Totals:
    """Of StandardLoggingPayloads that succeeded; a failure's zeros say nothing."""
    return _sum(
        _call(
            one.get("prompt_tokens") or 0,
            one.get("completion_tokens") or 0,
            _cached(_usage(one)),
            one.get("total_tokens"),
            one.get("response_cost"),
        )
        for one in _objects(data)
    )


def _usage(payload: Mapping[str, Any]) -> Any:
    metadata, response = payload.get("metadata"), payload.get("response")
    of_metadata = metadata.get("usage_object") if isinstance(metadata, dict) else None
    return of_metadata or (response.get("usage") if isinstance(response, dict) else None)


def _cached(usage: Any) -> int:
    """Read from a cache, by OpenAI's or by Anthropic's name."""
    if not isinstance(usage, dict):
        return 0
    for details in ("prompt_tokens_details", "input_tokens_details"):
        found = usage.get(details)
        if isinstance(found, dict) and found.get("cached_tokens"):
            return int(found["cached_tokens"])
    return int(usage.get("cache_read_input_tokens") or 0)


def of_noveum(data: bytes) -> Totals:
    """Of Noveum's log records, every one of them."""
    text = data[data.index(b"[") :] if b"//" in data[:200] else data
    calls = (record["attributes"] for record in noveum.parse(text))
    return _sum(_of_record(call) for call in calls if isinstance(call, dict))


def _of_record(call: dict[str, Any]) -> Totals:
    metadata = call.get("metadata") or {}
    tokens = metadata.get("tokens") or {}
    response = call.get("response")
    usage = response.get("usage") if isinstance(response, dict) else None
    return _call(
        tokens.get("input") or 0,
        tokens.get("output") or 0,
        _cached(usage),
        tokens.get("total"),
        metadata.get("cost") if isinstance(metadata.get("cost"), int | float) else None,
    )


def of_langfuse(data: bytes) -> Totals:
    """Of the observations of a batch, merged as Langfuse merges them. Every one of them counts:
    Langfuse adds up usage wherever it stands."""
    ingestion = langfuse.parse_ingestion(data)
    bodies = (one.body for one in langfuse.fold(ingestion.events).observations)
    return _sum(_of_observation(body) for body in bodies)


def _of_observation(body: Mapping[str, Any]) -> Totals:
    buckets: dict[str, int] = body.get("usageDetails") or {}
    costs = body.get("costDetails") or {}
    tokens_in = sum(count for name, count in buckets.items() if "input" in name)
    tokens_out = sum(count for name, count in buckets.items() if "output" in name)
    cached = sum(
        count for name, count in buckets.items() if "cache" in name and "creation" not in name
    )
    total = buckets.get("total", sum(buckets.values()))
    if total < tokens_in + tokens_out:  # the producer's input was inclusive already
        tokens_in = total - tokens_out
    return _call(tokens_in, tokens_out, cached, total, costs.get("total", sum(costs.values())))


def _objects(data: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(data)
    except ValueError:
        found = [json.loads(line) for line in data.splitlines()]
    return found if isinstance(found, list) else [found]


TOTALS: Final[Mapping[str, Callable[[bytes], Totals]]] = {
    "langfuse": of_langfuse,
    "litellm": of_litellm,
    "noveum": of_noveum,
    "otlp": of_otlp,
}
