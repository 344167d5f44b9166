"""The two laws: payload -> span -> payload and span -> payload -> span are exact."""

from __future__ import annotations

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genai_collector.errors import DecodeError
from genai_collector.formats import litellm, otlp
from genai_collector.formats.equal import same_span
from genai_collector.formats.litellm import Payload
from genai_collector.formats.residual import same
from genai_collector.model import Resource, Signal, Span, Value
from tests.formats.litellm.material import (
    ANY_SPANS,
    IDS,
    MUTATED,
    OBJECTS,
    PAYLOAD,
    PAYLOADS,
    and_back,
)
from tests.formats.noveum.material import VALUES, mutations
from tests.support.captures import shared

MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SPAN_CAPTURES = ["openlit", "openlit_1_34", "otel_openai_v2", "traceloop", "litellm_otel"]


@pytest.mark.parametrize("payload", PAYLOADS, ids=IDS)
def test_recorded_payloads_are_exact(payload: Payload) -> None:
    """Each recorded payload comes back the same, over OTLP and through JSON bytes; the order of
    members is LiteLLM's own again."""
    again = and_back(payload)
    assert same(again, payload)
    assert litellm.parse(litellm.dump(again)) == [payload]


@pytest.mark.parametrize("folder", ["litellm_generic", "litellm_generic_proxy"])
def test_every_capture_is_exact(folder: str) -> None:
    """All captured bodies, of both LiteLLM releases and all three log formats."""
    files = sorted(shared(f"captures/{folder}").glob("*.generic.*"))
    assert files
    for file in files:
        for payload in litellm.parse(file.read_bytes()):
            assert same(and_back(payload), payload), file.name


@pytest.mark.parametrize("payload", PAYLOADS, ids=IDS)
def test_decoding_is_deterministic(payload: Payload) -> None:
    """The same payload twice, its keys in another order, is the same span: no new call."""
    shuffled = {key: payload[key] for key in reversed(payload)}
    [first] = litellm.decode_payloads([payload])
    [second] = litellm.decode_payloads([copy.deepcopy(shuffled)])
    assert same_span(first, second)
    assert len(first.trace_id) == 16
    assert len(first.span_id) == 8


@given(MUTATED)
@MANY
def test_mutated_payloads_are_exact(payload: Payload) -> None:
    """Wrong types, missing and unknown members, odd numbers: exact, and nothing else is raised
    than DecodeError, for what is no payload any more."""
    try:
        again = and_back(payload)
    except DecodeError:
        return
    assert same(again, payload)
    [parsed] = litellm.parse(litellm.dump(again))
    assert same(parsed, payload)


@given(OBJECTS)
@MANY
def test_any_object_is_exact(payload: Payload) -> None:
    """Any JSON object that can pass for a payload survives as a span."""
    assert same(and_back(payload), payload)


@given(st.lists(ANY_SPANS, max_size=3))
@MANY
def test_any_span_is_exact(spans: list[Span]) -> None:
    """Every OTLP field survives a payload's JSON bytes, whatever the span claims about itself."""
    payloads = litellm.encode_spans(spans)
    arrived = litellm.parse(b"\n".join(map(litellm.dump, payloads)))
    again = litellm.decode_payloads(arrived)
    assert len(again) == len(spans)
    assert all(map(same_span, again, spans))


@given(st.data())
@MANY
def test_changed_payloads_of_spans_are_exact(data: st.DataObject) -> None:
    """A payload that was made from a span and changed by somebody keeps its changes, and the span's
    identity as long as its block is there."""
    span = data.draw(ANY_SPANS)
    [made] = litellm.encode_spans([span])
    payload = data.draw(mutations(st.just(made)))
    try:
        spans = litellm.decode_payloads([payload])
    except DecodeError:
        return
    [again] = litellm.encode_spans(spans)
    assert same(again, payload)
    [decoded] = litellm.decode_payloads([again])
    assert same_span(decoded, spans[0])


def test_a_change_keeps_the_span() -> None:
    """Who enriches a payload of ours does not cut it off from its trace."""
    span = Span(trace_id=b"\1" * 16, span_id=b"\2" * 8, name="chat m")
    span.attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
    [payload] = litellm.encode_spans([span])
    payload["request_tags"] = ["added"]
    [again] = litellm.decode_payloads([payload])
    assert (again.trace_id, again.span_id, again.name) == (b"\1" * 16, b"\2" * 8, "chat m")
    assert same(litellm.encode_spans([again])[0], payload)


@given(PAYLOAD, st.text(max_size=5), VALUES)
@MANY
def test_changed_spans_of_payloads_are_exact(payload: Payload, key: str, value: Value) -> None:
    """A span that was a payload keeps what a processor did to it, beside the payload's members."""
    [span] = litellm.decode_payloads([payload])
    span.attributes[key] = value
    span.name = "renamed"
    span.resource = Resource({**span.resource.attributes, "team": value})
    [made] = litellm.encode_spans([span])
    [arrived] = litellm.parse(litellm.dump(made))
    [again] = litellm.decode_payloads([arrived])
    assert same_span(again, span)
    assert made["id"] == payload["id"]
    assert made["messages"] == payload["messages"]


@pytest.mark.parametrize("folder", SPAN_CAPTURES)
def test_captured_spans_are_exact(folder: str) -> None:
    """Spans recorded from real libraries come back the same."""
    files = sorted(shared(f"captures/{folder}").glob("*.traces.pb"))
    assert files
    for file in files:
        spans = [s for s in otlp.decode(Signal.TRACES, file.read_bytes()) if isinstance(s, Span)]
        payloads = litellm.encode_spans(spans)
        arrived = [litellm.parse(litellm.dump(payload))[0] for payload in payloads]
        assert all(map(same_span, litellm.decode_payloads(arrived), spans)), file.name


@pytest.mark.parametrize(
    "value",
    [None, 5, "x", [], {}, {"id": "1"}, {"model": "m", "id": b"bytes"}, {"id": 1, "model": {1}}],
    ids=repr,
)
def test_what_is_no_payload_is_refused(value: Value) -> None:
    """What is no payload, or no JSON, raises DecodeError and nothing else, with its place."""
    with pytest.raises(DecodeError, match="record 1: "):
        litellm.decode_payloads([PAYLOADS[0], value])


def test_deep_nesting_is_refused() -> None:
    """Nesting is bounded, on both sides of the bound without any other error."""
    for levels in (150, 190, 199, 200, 250, 900, 5000):
        deep: Value = "end"
        for _ in range(levels):
            deep = [deep]
        payload: Payload = {"id": "1", "model": "m", "response": deep, "new": deep}
        if levels <= 190:
            assert same(and_back(payload), payload)
        elif levels >= 200:
            with pytest.raises(DecodeError, match="nested deeper"):
                litellm.decode_payloads([payload])
