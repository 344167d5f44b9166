"""What one span adds to the metrics of model calls. Pure functions.

Names, units, buckets and attributes are those of the GenAI conventions' client metrics (August
2026); the cost is ours, because they have none yet. Only what a span says is counted: nothing is
estimated, and token counts are inclusive, as the conventions define them (cached tokens are in the
input, reasoning is in the output).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from genai_collector.connectors._histograms import Instrument, Labels
from genai_collector.conventions import Observation, semconv
from genai_collector.conventions.coerce import whole
from genai_collector.model import Span, StatusCode, Value

BILLED: Final = frozenset(("generation", "embedding"))
"""The kinds of span that are one call of a model each. Agents, chains and workflows repeat what the
calls below them used."""

_SECONDS: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
)  # fmt: skip
TOKENS: Final = Instrument(
    "gen_ai.client.token.usage",
    "{token}",
    "Number of input and output tokens used.",
    tuple([float(4**power) for power in range(14)]),
)
DURATION: Final = Instrument(
    "gen_ai.client.operation.duration", "s", "GenAI operation duration.", _SECONDS
)
FIRST_CHUNK: Final = Instrument(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "Time to receive the first chunk of a streamed response.",
    _SECONDS,
)
# A hundredth of a cent is a short call of a small model, ten dollars a long one of the largest.
COST: Final = Instrument(
    semconv.GEN_AI_USAGE_COST,
    "USD",
    "Cost of a model call in US dollars, as its producer said it.",
    (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
)
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105  the name of an attribute
_SERVER_ADDRESS: Final = "server.address"
_SERVER_PORT: Final = "server.port"
_OTHER_ERROR: Final = "_OTHER"
_LONGEST_LABEL: Final = 256


class Measure(NamedTuple):
    """One value that a call adds to a metric."""

    instrument: Instrument
    value: int | float
    own: Labels = ()
    """Attributes that only this value has."""


def is_model_call(observation: Observation) -> bool:
    """Whether a span is one call of a model. A span that only names a model (a router's, a cache's)
    is none: it states neither an operation nor what was used."""
    if observation.kind not in BILLED:
        return False
    usage, cost = observation.usage, observation.cost
    said = (observation.operation, usage.input, usage.output, usage.total, cost.total)
    return any(one is not None for one in said)


def measures(span: Span, observation: Observation) -> Iterator[Measure]:
    """What one model call adds."""
    usage = observation.usage
    for kind, tokens in (("input", usage.input), ("output", usage.output)):
        if tokens is not None:
            yield Measure(TOKENS, tokens, ((TOKEN_TYPE, kind),))
    if 0 < span.start_ns <= span.end_ns:
        yield Measure(DURATION, (span.end_ns - span.start_ns) / 1e9, _error(span, observation))
    first = observation.time_to_first_chunk_s
    if first is not None and first >= 0 and observation.parameters.get("stream") is not False:
        yield Measure(FIRST_CHUNK, first)
    cost = observation.cost.total
    if cost is not None and cost >= 0:
        yield Measure(COST, cost)


def call_labels(span: Span, observation: Observation) -> Labels:
    """The attributes that all metrics of a call share."""
    found: list[tuple[str, str | int]] = [
        (key, text)
        for key, value in (
            (semconv.GEN_AI_OPERATION_NAME, observation.operation),
            (semconv.GEN_AI_PROVIDER_NAME, observation.provider),
            (semconv.GEN_AI_REQUEST_MODEL, observation.request_model),
            (semconv.GEN_AI_RESPONSE_MODEL, observation.response_model),
            (_SERVER_ADDRESS, span.attributes.get(_SERVER_ADDRESS)),
        )
        if (text := label_text(value))
    ]
    port = whole(span.attributes.get(_SERVER_PORT))
    if port is not None and found and found[-1][0] == _SERVER_ADDRESS:
        found.append((_SERVER_PORT, port))
    return tuple(found)


def label_text(value: Value) -> str:
    """A value by which to tell calls apart; empty for what is none."""
    match value:
        case str():
            return value[:_LONGEST_LABEL]
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            return ""


def _error(span: Span, observation: Observation) -> Labels:
    if span.status_code != StatusCode.ERROR and observation.error_type is None:
        return ()
    return ((semconv.ERROR_TYPE, label_text(observation.error_type) or _OTHER_ERROR),)
