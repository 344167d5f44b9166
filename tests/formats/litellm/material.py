"""What the tests of LiteLLM's format work on: recorded payloads, and strategies for odd ones."""

from __future__ import annotations

import copy
from typing import Final

from hypothesis import strategies as st

from genai_collector.formats import litellm, otlp
from genai_collector.formats.litellm import Payload
from genai_collector.model import Signal, Span, Value
from tests.formats.noveum.material import JSON_VALUES, SPANS, VALUES, mutations
from tests.support.captures import FIXTURES

FILES: Final = sorted(
    path.name for path in (FIXTURES / "litellm").iterdir() if path.suffix != ".md"
)


def raw(name: str) -> bytes:
    """The recorded body of that file."""
    return (FIXTURES / "litellm" / name).read_bytes()


def load(name: str) -> list[Payload]:
    """The payloads of a recorded body."""
    return litellm.parse(raw(name))


def one(name: str) -> Payload:
    """The only payload of `name`.json, the caller's own."""
    [payload] = load(f"{name}.json")
    return payload


PAYLOADS: Final = [payload for name in FILES for payload in load(name)]
IDS: Final = [f"{name}-{at}" for name in FILES for at in range(len(load(name)))]


def _recorded(at: int) -> Payload:
    # Without the price list: it is most of a payload, and mutations would mostly hit it.
    payload = copy.deepcopy(PAYLOADS[at])
    payload["model_map_information"] = {"model_map_key": "m", "model_map_value": {"mode": None}}
    return payload


PAYLOAD: Final = st.integers(0, len(PAYLOADS) - 1).map(_recorded)
MUTATED: Final = mutations(PAYLOAD)
"""Wrong types, missing and unknown members, at any depth."""

_MARKED: Final = st.dictionaries(
    st.sampled_from(
        ["litellm.source", "litellm.residual", "litellm.model", "litellm.messages", "litellm.id",
         "litellm.total_tokens", "gen_ai.usage.cost", "langfuse.trace.tags"]
    ),
    st.one_of(
        st.sampled_from(
            ["payload", "changed", '[[["model"],"x"]]', '[[["otel"]]]', "[[[],5]]", "null", "{}",
             '[[["otel"],{"source":"payload"}]]', 7, 1.5]
        ),
        VALUES,
    ),
    max_size=3,
)  # fmt: skip


def _with(span: Span, attributes: dict[str, Value]) -> Span:
    span.attributes = {**span.attributes, **attributes}
    return span


ANY_SPANS: Final = st.builds(_with, SPANS, _MARKED)
"""Every OTLP field, whatever the span claims about itself."""
OBJECTS: Final = st.dictionaries(
    st.one_of(
        st.sampled_from(
            ["id", "call_type", "startTime", "endTime", "model", "messages", "response", "status",
             "otel", "metadata", "stream", "cost_finalized", "request_tags", "model_parameters",
             "classifier_input", "completionStartTime", "prompt_tokens", "custom_llm_provider"]
        ),
        st.text(max_size=5),
    ),
    JSON_VALUES,
    max_size=12,
).map(lambda found: {"model": "m", "call_type": "completion", **found})  # fmt: skip
"""Any object that can pass for a payload."""


def over_the_wire(spans: list[Span]) -> list[Span]:
    """The spans as another collector would get them from us over OTLP."""
    found = otlp.decode(Signal.TRACES, otlp.encode(Signal.TRACES, spans))
    return [span for span in found if isinstance(span, Span)]


def spans_of(payload: Value) -> Span:
    """The span of one payload."""
    [span] = litellm.decode_payloads([payload])
    return span


def and_back(payload: Value) -> Payload:
    """The payload after a journey over OTLP."""
    [again] = litellm.encode_spans(over_the_wire([spans_of(payload)]))
    return again
