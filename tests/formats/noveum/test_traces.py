"""noveum-trace's payloads and spans: exact both ways, and readable by everybody else."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genai_collector.conventions import read_observation
from genai_collector.errors import DecodeError
from genai_collector.formats import noveum, otlp
from genai_collector.formats.equal import same_span
from genai_collector.formats.noveum import Trace
from genai_collector.formats.residual import same
from genai_collector.model import Event, Link, Resource, Scope, Signal, Span, StatusCode, Value
from tests.formats.noveum.material import JSON_VALUES, SPANS, changed
from tests.support.captures import FIXTURES

MANY: Final = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
FILES: Final = ("trace_v1.5.10", "trace_v1.5.28", "trace_v1.5.28_statuses")


def load(name: str) -> Any:
    """One recorded body."""
    return json.loads((FIXTURES / "noveum" / f"{name}.json").read_bytes())


def over_the_wire(spans: list[Span]) -> list[Span]:
    """The spans as another collector would get them from us over OTLP."""
    found = otlp.decode(Signal.TRACES, otlp.encode(Signal.TRACES, spans))
    return [span for span in found if isinstance(span, Span)]


def spans_of(name: str) -> dict[str, Span]:
    return {span.name: span for span in noveum.decode_payload(load(name))}


def application_span(**changes: object) -> Span:
    """A call of a model that came over OTLP."""
    fields: dict[str, object] = {
        "trace_id": bytes([1] * 16),
        "span_id": bytes([2] * 8),
        "name": "chat gpt-4o",
        "kind": 3,
        "start_ns": 1_741_190_600_123_456_789,
        "end_ns": 1_741_190_601_123_456_799,
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.conversation.id": "c1",
        },
        "resource": Resource({"service.name": "shop", "deployment.environment.name": "prod"}),
        "scope": Scope("opentelemetry.instrumentation.openai", "2.0"),
    }
    return Span(**(fields | changes))  # type: ignore[arg-type]


def one_trace(spans: list[Span]) -> Any:
    [trace] = noveum.encode_traces(spans)
    return trace


@pytest.mark.parametrize("name", FILES)
def test_recorded_payloads_are_exact(name: str) -> None:
    """Each recorded body comes back the same, over OTLP and through JSON bytes."""
    payload = load(name)
    again = noveum.encode_payload(over_the_wire(noveum.decode_payload(payload)))
    assert same(again, payload)
    assert json.loads(noveum.dump(again)) == payload


def test_residuals_are_small() -> None:
    """Only a span that ends before it begins says something that has no other home."""
    residuals = {
        span.name: json.loads(str(span.attributes["noveum.span.residual"]))
        for name in FILES
        for span in noveum.decode_payload(load(name))
        if "noveum.span.residual" in span.attributes
    }
    assert {name: [path for path, _ in found] for name, found in residuals.items()} == {
        "left.open": [["duration_ms"], ["end_time"]]
    }
    assert not any(
        "noveum.trace.residual" in span.attributes
        for name in FILES
        for span in noveum.decode_payload(load(name))
    )


def test_ids_follow_the_sdk() -> None:
    """A trace's UUID loses its dashes, a span's is cut to 16 digits as the SDK's `otel` block says;
    the whole is kept."""
    trace = load("trace_v1.5.28")["traces"][0]
    for said, span in zip(trace["spans"], noveum.decode_trace(trace), strict=True):
        assert span.trace_id.hex() == said["otel"]["trace_id"]
        assert span.span_id.hex() == said["otel"]["span_id"]
        assert (span.parent_span_id.hex() or None) == said["otel"]["parent_span_id"]
        assert span.attributes["noveum.span_id"] == said["span_id"]


def test_a_call_is_read_like_any_other() -> None:
    """The neutral reading has model, usage, cost, user, session and messages in parts; `llm.*`
    stays beside it."""
    span = next(
        span
        for span in noveum.decode_payload(load("trace_v1.5.28"))
        if span.attributes.get("llm.request_id")
    )
    seen = read_observation(span)
    content = seen.read_content()
    assert (seen.kind, seen.provider, seen.request_model) == (
        "generation", "openai", "gpt-4o-2024-08-06",
    )  # fmt: skip
    assert (seen.usage.input, seen.usage.output, seen.cost.total) == (48, 865, 0.00877)
    assert (seen.user_id, seen.conversation_id, seen.response_id) == (
        "user_456", "thread_31", "chatcmpl-123",
    )  # fmt: skip
    assert content.output_messages == [
        {"role": "assistant", "parts": [{"type": "text", "content": "30 days."}]}
    ]
    assert content.input_messages is not None
    assert [message["role"] for message in content.input_messages] == ["system", "user"]
    assert span.attributes["llm.output.response"] == "30 days."


def test_a_decorated_call_is_read_too() -> None:
    """The words of 1.5.10, which wrote no `gen_ai.*`, are understood."""
    seen = read_observation(spans_of("trace_v1.5.10")["call_llm"])
    assert (seen.operation, seen.provider, seen.request_model) == ("chat", "openai", "gpt-4o")
    assert (seen.usage.input, seen.usage.output, seen.cost.total) == (1, 43, 0.000865)
    content = seen.read_content()
    assert content.input_messages is not None
    assert content.output_messages is not None
    operations = {
        span.name: span.attributes.get("gen_ai.operation.name")
        for span in spans_of("trace_v1.5.10").values()
    }
    assert operations["tool:tool:tool"] == "execute_tool"
    assert operations["agent:planner-1:agent"] == "invoke_agent"
    assert operations["retrieval:search:retrieve"] == "retrieval"


@pytest.mark.parametrize("word", ["streaming", "unknown", "completion"])
def test_the_sdks_words_for_a_chat(word: str) -> None:
    """The SDK's own operations are a chat for everybody else, and its own again on the way back."""
    said: dict[str, Value] = {
        "llm.model": "m",
        "llm.operation": word,
        "gen_ai.operation.name": word,
        "gen_ai.request.model": "m",
    }
    trace: Any = {"trace_id": "t", "spans": [{"span_id": "s", "attributes": said}]}
    [span] = noveum.decode_trace(trace)
    assert read_observation(span).kind == "generation"
    assert span.attributes["gen_ai.operation.name"] == "chat"
    assert same(one_trace(over_the_wire([span])), trace)


def test_statuses() -> None:
    """Timeout and cancelled are errors that keep their name; a negative duration is none."""
    spans = spans_of("trace_v1.5.28_statuses")
    timeout, cancelled = spans["llm.timeout"], spans["tool.cancelled"]
    assert (timeout.status_code, timeout.attributes["noveum.status"]) == (2, "timeout")
    assert (cancelled.status_code, cancelled.attributes["noveum.status"]) == (2, "cancelled")
    assert timeout.status_message == "deadline exceeded"
    assert spans["left.open"].end_ns == spans["left.open"].start_ns


def test_the_trace_is_on_its_root() -> None:
    """Trace-level attributes, metadata, tags and events are on one span, the root."""
    spans = noveum.decode_trace(load("trace_v1.5.28")["traces"][0])
    [root] = [span for span in spans if "noveum.trace.name" in span.attributes]
    assert root.name == "agent.plan"
    assert root.attributes["noveum.trace.name"] == "support-request"
    assert root.attributes["noveum.trace.attributes.custom.tier"] == "gold"
    assert root.attributes["noveum.trace.metadata.tags.team"] == "billing"
    assert root.attributes["noveum.trace.metadata.request_id"] == "req-abc-1"
    assert [event.name for event in root.events] == ["noveum.trace.client.connected"]
    assert all(span.attributes["session.id"] == "thread_31" for span in spans)
    assert root.resource.attributes["service.name"] == "capture-project"


def test_an_exception_is_an_event() -> None:
    """The SDK's own event gets the stack trace; a block without an event gets one."""
    span = spans_of("trace_v1.5.10")["bad_llm"]
    [event] = span.events
    assert "ValueError" in str(event.attributes["exception.stacktrace"])
    assert span.attributes["error.type"] == "ValueError"
    bare: Trace = {
        "trace_id": "t",
        "spans": [{"span_id": "s", "events": [], "exception": {"type": "E", "message": "m"}}],
    }
    [made] = noveum.decode_trace(bare)
    assert [event.name for event in made.events] == ["exception"]
    assert same(one_trace([made]), bare)


def test_a_trace_without_spans_is_kept() -> None:
    """What is said of a trace alone becomes one span and comes back alone."""
    trace = {**load("trace_v1.5.28")["traces"][0], "spans": [], "span_count": 0}
    [span] = noveum.decode_trace(trace)
    assert span.name == "support-request"
    assert same(one_trace(over_the_wire([span])), trace)


def test_no_traces_are_refused() -> None:
    """The place of what is no trace is named."""
    payloads: list[tuple[Value, str]] = [
        ({"traces": [{"spans": []}, 7]}, "trace 1: not an object"),
        ({"traces": [{"spans": [{}, 7]}]}, "trace 0: span 1: not an object"),
        ({"traces": [{"name": "x"}]}, "trace 0: not a trace: it has no list of spans"),
        ({"a": 1}, "no traces"),
    ]
    for payload, message in payloads:
        with pytest.raises(DecodeError, match=message):
            noveum.decode_payload(payload)


MEMBERS: Final = (
    "trace_id", "name", "start_time", "end_time", "duration_ms", "status", "status_message",
    "span_count", "attributes", "metadata", "events", "sdk", "project", "schema_version", "otel",
    "otlp", "x",
)  # fmt: skip
SPAN_MEMBERS: Final = (
    "span_id", "trace_id", "parent_span_id", "name", "start_time", "end_time", "duration_ms",
    "status", "status_message", "attributes", "events", "links", "exception", "otel", "otlp", "x",
)  # fmt: skip


@MANY
@given(
    name=st.sampled_from(FILES),
    span=st.integers(0, 2),
    trace_changes=st.dictionaries(st.sampled_from(MEMBERS), JSON_VALUES, max_size=3),
    span_changes=st.dictionaries(st.sampled_from(SPAN_MEMBERS), JSON_VALUES, max_size=3),
)
def test_odd_traces_are_exact(
    name: str, span: int, trace_changes: Trace, span_changes: Trace
) -> None:
    """Whatever a member holds, one trace comes back the same over OTLP."""
    trace = load(name)["traces"][0]
    spans = [dict(one) for one in trace["spans"]]
    spans[span % len(spans)].update(span_changes)
    odd: Any = {**trace, **trace_changes, "spans": spans}
    ids = {one.trace_id for one in noveum.decode_trace(odd)}
    assert len(ids) == 1
    assert same(one_trace(over_the_wire(noveum.decode_trace(odd))), odd)


def test_a_span_in_noveums_words() -> None:
    """A call from an application has Noveum's form and words; the trace says whose it is."""
    failed = application_span(
        span_id=bytes([3] * 8),
        parent_span_id=bytes([2] * 8),
        name="",
        status_code=StatusCode.ERROR,
        status_message="no",
        attributes={},
        events=[Event("exception", 5, {"exception.type": "E", "exception.message": "m"})],
        links=[Link(bytes([7] * 16), bytes([8] * 8), attributes={"a": 1})],
    )
    trace = one_trace([application_span(), failed])
    assert trace["trace_id"] == "01010101-0101-0101-0101-010101010101"
    assert (trace["name"], trace["project"], trace["environment"]) == (
        "chat gpt-4o",
        "shop",
        "prod",
    )
    assert (trace["status"], trace["span_count"], trace["error_count"]) == ("ok", 2, 1)
    assert trace["metadata"]["session_id"] == "c1"
    call, other = trace["spans"]
    assert call["start_time"] == "2025-03-05T16:03:20.123456789+00:00"
    assert call["attributes"]["llm.total_tokens"] == 15
    assert call["attributes"]["gen_ai.usage.input_tokens"] == 10
    assert (other["name"], other["status"]) == ("span", "error")
    assert other["exception"] == {"type": "E", "message": "m"}
    assert other["links"][0]["span_id"] == "08" * 8
    assert other["otel"]["status"] == {"code": "ERROR", "message": "no"}


@MANY
@given(SPANS)
def test_any_span_is_exact(span: Span) -> None:
    """Span -> trace -> JSON -> span is exact in every field, ids of any length included."""
    [text] = [noveum.dump(trace) for trace in noveum.encode_traces([span])]
    [again] = noveum.decode_trace(noveum.parse(text)[0])
    assert same_span(again, span)


def test_changed_spans_keep_the_change() -> None:
    """Somebody who changes a member is believed, and nothing that he sent is lost."""
    trace = one_trace([application_span()])
    edited = changed(trace, ("name",), "renamed")
    [span] = noveum.decode_trace(edited)
    assert span.attributes["noveum.trace.name"] == "renamed"
    spans: Value = [{**trace["spans"][0], "status": "timeout"}]
    edited = {**trace, "spans": spans}
    [span] = noveum.decode_trace(edited)
    assert span.status_code == StatusCode.ERROR
    assert same(noveum.encode_traces(over_the_wire([span]))[0]["spans"], spans)


def test_parts_link_to_their_trace() -> None:
    """A part goes under its own id and names the trace that it is a part of; back in the
    collector it is the same span of the same trace."""
    span = application_span(parent_span_id=bytes([9] * 8))
    part: Any = noveum.TraceEncoder().encode([span], bytes([5] * 16))
    assert part["trace_id"] == "05050505-0505-0505-0505-050505050505"
    owner = "01010101-0101-0101-0101-010101010101"
    assert part["attributes"] == {"noveum.continues_trace_id": owner}
    [said] = part["spans"]
    assert said["trace_id"] == part["trace_id"]
    assert said["links"] == [
        {
            "trace_id": "01" * 16,
            "span_id": "09" * 8,
            "attributes": {"noveum.continues_trace_id": owner},
        }
    ]
    [again] = noveum.decode_trace(part)
    assert same_span(again, span)


def test_losses() -> None:
    """What has no member is named; a span that was Noveum's loses nothing."""
    span = application_span(trace_state="a=b", flags=1, dropped_events_count=2)
    assert [one.field for one in noveum.trace_loss([span])] == [
        "trace_state", "flags", "dropped_events_count",
    ]  # fmt: skip
    assert noveum.trace_loss(noveum.decode_payload(load("trace_v1.5.28"))) == []


@pytest.mark.parametrize(
    ("body", "ours"),
    [
        (b'{"traces":[]}', True),
        (b'{"trace_id":"a","spans":[]}', True),
        (b'{"timestamp":1,"attributes":{}}', True),
        (b'[{"timestamp":1,"attributes":{}}]', True),
        (b'{"traces":[{"name":"\\"resourceSpans\\""}]}', True),
        (b'{"resourceSpans":[]}', False),
        (b'{"resourceSpans":[{"traces":[]}],"traces":[]}', False),
        (b'{"resource_spans":[]}', False),
        (b"{}", False),
        (b"[]", False),
        (b"not JSON", False),
    ],
)
def test_told_apart_from_otlp(body: bytes, ours: bool) -> None:
    """By what stands at the top, whatever the content quotes."""
    assert noveum.is_noveum(body) is ours
