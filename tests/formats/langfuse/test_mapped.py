"""Observations that were spans are those spans again, and nothing else is."""

from __future__ import annotations

from typing import Any, Final, cast

import pytest
from hypothesis import given, settings

from genai_collector.formats import langfuse
from genai_collector.formats.equal import same_resource, same_scope, same_span
from genai_collector.formats.langfuse.values import JSON
from genai_collector.model import Event, Link, Resource, Scope, Span, Value
from tests.support.strategies import spans

TRACE: Final = bytes(range(1, 17))
CHAT: Final[dict[str, Value]] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.request.temperature": 1.0,
    "gen_ai.request.max_tokens": -1,
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"a"}]}]',
    "gen_ai.output.messages": '[{"role":"assistant","parts":[{"type":"text","content":"b"}]}]',
    "langfuse.observation.metadata.tenant": "acme",
    "app.name": "shop",
    "app.key": b"key",
    "app.map": {"a": [1, None, {"b": 0.5}]},
}


def chat(**changes: Any) -> Span:
    """A call of a model with all that a span has."""
    fields: dict[str, Any] = {
        "trace_id": TRACE, "span_id": b"12345678", "name": "chat gpt-4o", "kind": 3,
        "start_ns": 1_700_000_000_123_456_789, "end_ns": 1_700_000_001_123_456_789,
        "attributes": dict(CHAT), "flags": 257, "trace_state": "a=b", "status_code": 1,
        "events": [Event("app.retry", 1_700_000_000_500_000_001, {"n": 1}, 2)],
        "links": [Link(b"t" * 16, b"s" * 8, "c=d", {"why": "x"}, 1, 1)],
        "resource": Resource({"service.name": "shop", "n": 3}, schema_url="https://a/1"),
        "scope": Scope("app", "1.0", {"x": True}, 0, "https://b/2"),
        "dropped_attributes_count": 1, "dropped_events_count": 2, "dropped_links_count": 3,
    }  # fmt: skip
    return Span(**{**fields, **changes})


def batch_of(*items: Span, keep: bool = False) -> list[Any]:
    """The valid events that the exporter sends for these spans."""
    encoded = langfuse.encode_spans(items, keep_unmapped=keep)
    return [langfuse.parse_event(one.event).event for one in encoded]


def test_whole_span() -> None:
    """With what `keep_unmapped` keeps, the span that comes back is the span, to the last field."""
    [span] = langfuse.decode_batch(batch_of(chat(), keep=True))
    assert same_span(span, chat())


def test_without_what_is_dropped() -> None:
    """Without it, all that Langfuse's mapping keeps is the same."""
    [span] = langfuse.decode_batch(batch_of(chat()))
    assert span.attributes == CHAT
    assert same_resource(span.resource, Resource({"service.name": "shop", "n": 3}))
    assert same_scope(span.scope, Scope("app", "1.0", {"x": True}))
    assert (span.kind, span.start_ns, span.events) == (3, 1_700_000_000_123_000_000, [])


def test_shared() -> None:
    """Spans of one resource and scope share them again."""
    children = [chat(span_id=bytes([n] * 8), parent_span_id=b"12345678") for n in (1, 2)]
    back = langfuse.decode_batch(batch_of(chat(), *children))
    assert len(back) == 3
    assert len({id(span.resource) for span in back}) == len({id(span.scope) for span in back}) == 1


def test_project() -> None:
    """The project that the sender's keys stand for is told beside the span's own resource."""
    [span] = langfuse.decode_batch(batch_of(chat()), project="p")
    assert span.resource.attributes == {
        "service.name": "shop", "n": 3, "langfuse.project.name": "p",
    }  # fmt: skip


def test_trace_of_spans() -> None:
    """What only the trace says is on the root, what a span said of it is on that span alone."""
    child = chat(
        span_id=b"childchi", parent_span_id=b"12345678", attributes={**CHAT, "user.id": "u"}
    )
    root = chat(
        attributes={
            **CHAT, "langfuse.trace.input": "question", "langfuse.trace.metadata.team": "t",
        }
    )  # fmt: skip
    first, second = langfuse.decode_batch(batch_of(root, child))
    assert first.attributes["langfuse.trace.input"] == "question"
    assert first.attributes["langfuse.trace.metadata.team"] == "t"
    assert second.attributes == child.attributes


def _look_alike(**metadata: JSON) -> dict[str, JSON]:
    said: dict[str, JSON] = {
        "attributes": {"color": "red"}, "resourceAttributes": {"room": "1"},
        "scope": {"name": "garden", "attributes": {}},
    }  # fmt: skip
    return {**said, **metadata}


@pytest.mark.parametrize(
    ("metadata", "body"),
    [
        (_look_alike(), {"id": "not-hex"}),
        (_look_alike(), {"model": "m"}),
        (_look_alike(), {"startTime": "2025-01-01T00:00:00.000001Z"}),
        (_look_alike(attributes={"color": 1}), {}),
        (_look_alike(attributes={"user.id": "u", "langfuse.version": "3"}), {"version": "4"}),
        (_look_alike(scope={"name": "garden"}), {}),
        (_look_alike(scope={"name": "garden", "attributes": {}, "wall": 1}), {}),
        (_look_alike(scope={"name": "langfuse-sdk", "attributes": {}}), {}),
        (_look_alike(resourceAttributes="r"), {}),
        (_look_alike(resourceAttributes={"a": 2**70}), {}),
        (_look_alike(otel={"kind": "x"}), {}),
        (_look_alike(otel={"events": [1]}), {}),
        (_look_alike(otel={"flags": 0}), {}),
        (_look_alike(otel={"flags": 2**40}), {}),
        (_look_alike(scope={"name": 1, "attributes": {}}), {}),
        (_look_alike(attributes={"key": '{"bytesValue":"!"}'}), {"model": "m"}),
    ],
)
def test_look_alikes(metadata: dict[str, JSON], body: dict[str, JSON]) -> None:
    """What only looks like a mapped span keeps its metadata as the user's own."""
    given_: dict[str, JSON] = {
        "id": "0102030405060708", "traceId": TRACE.hex(), "name": "n", "metadata": metadata,
        "startTime": "2025-01-01T00:00:00.000Z", "endTime": "2025-01-01T00:00:01.000Z", **body,
    }  # fmt: skip
    event: Any = {"id": "e", "type": "generation-create", "timestamp": given_["startTime"]}
    parsed = langfuse.parse_event({**event, "body": given_}).event
    assert parsed is not None
    [span] = langfuse.decode_batch([parsed])
    assert span.scope.name == "langfuse-sdk"
    assert "langfuse.observation.metadata.scope" in span.attributes
    [_, back] = langfuse.encode_spans([span])
    after = cast("dict[str, Any]", back.event["body"])["metadata"]
    assert {key: after[key] for key in ("attributes",)} == {"attributes": metadata["attributes"]}


def test_of_an_sdk() -> None:
    """What an SDK sends stays what it sent, even if it is the very mapping of a span."""
    [span] = langfuse.decode_batch(batch_of(chat()), {"sdk_name": "python"})
    assert span.scope.name == "langfuse-sdk"


@given(spans)
@settings(max_examples=150, deadline=None)
def test_law(items: list[Span]) -> None:
    """Whatever the spans are: reading their batch never fails, and the batch of what was found
    again has the same observations."""
    events = [one for one in batch_of(*items, keep=True) if one is not None]
    before = {one.body["id"]: one for one in langfuse.fold(events).observations}
    back = [one for one in langfuse.decode_batch(events) if one.scope.name != "langfuse-sdk"]
    again = langfuse.fold([one for one in batch_of(*back, keep=True) if one is not None])
    if len(before) == len({span.span_id for span in items if span.span_id and span.trace_id}):
        for one in again.observations:
            assert _without_content(one.body) == _without_content(before[one.body["id"]].body)


def _without_content(body: dict[str, JSON]) -> dict[str, JSON]:
    return {key: value for key, value in body.items() if key not in ("input", "output")}
