"""Which events a request gives: traces in full, updated or merely announced; ids and times."""

from __future__ import annotations

import json

from genai_collector.formats.langfuse import encode_batch, encode_spans, loss
from genai_collector.model import Attributes, Event, Link, Scope, Span
from tests.formats.langfuse.making import (
    PARENT_ID,
    SPAN_ID,
    START_NS,
    TRACE_ID,
    body_of,
    events_of,
    observation,
    span,
)

OTHER_ID = b"\x01" * 8


def kinds(*spans: Span, seen: set[str] | None = None) -> list[str]:
    """The types of the events, in order."""
    return [str(one.event["type"]) for one in encode_spans(spans, seen_traces=seen or ())]


def test_a_root_describes_its_trace() -> None:
    """A span without a parent, or marked as root, gives a full trace, seen or not."""
    assert kinds(span(), seen={TRACE_ID.hex()}) == ["trace-create", "span-create"]
    for flag in (True, "true"):
        made = span({"langfuse.internal.as_root": flag}, parent=PARENT_ID)
        assert body_of(events_of(made)[0])["name"] == "span-name"
    for other in (1, 1.0, "True", False):
        made = span({"langfuse.internal.as_root": other}, parent=PARENT_ID)
        assert "name" not in body_of(events_of(made)[0])


def test_a_child_announces_an_unseen_trace_once() -> None:
    """Id, time and environment, for the first span of the trace only."""
    child = span(parent=PARENT_ID)
    first, _, _ = events_of(child, span(parent=PARENT_ID, span_id=OTHER_ID))
    assert body_of(first).keys() == {"id", "timestamp", "environment"}
    assert kinds(child, seen={TRACE_ID.hex()}) == ["span-create"]


def test_an_announcement_yields_to_a_description() -> None:
    """Within one request the full trace replaces the bare one."""
    assert kinds(span(parent=PARENT_ID), span(span_id=OTHER_ID)) == [
        "span-create",
        "trace-create",
        "span-create",
    ]


def test_a_child_updates_its_trace() -> None:
    """Trace attributes on a child change the trace, without the child's own name and content."""
    attributes: Attributes = {
        "user.id": "u",
        "input": "mine",
        "langfuse.trace.output": "O",
        "langfuse.observation.metadata.a": 1,
        "langfuse.trace.metadata.t": 2,
    }
    body = body_of(events_of(span(attributes, parent=PARENT_ID))[0])
    assert (body["userId"], body["output"]) == ("u", "O")
    assert not body.keys() & {"name", "input"}
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    assert metadata.keys() == {"t", "resourceAttributes", "scope"}


def test_a_conversation_id_is_no_update() -> None:
    """It sets the session of a root span only."""
    made: Attributes = {"gen_ai.conversation.id": "c"}
    assert body_of(events_of(span(made, parent=PARENT_ID))[0]).keys() == {
        "id", "timestamp", "environment",
    }  # fmt: skip
    assert body_of(events_of(span(made))[0])["sessionId"] == "c"


def test_the_same_span_gives_the_same_ids() -> None:
    """Ids and times depend on the span's ids and times alone, so a retry replaces, not adds."""
    first, second = events_of(span()), events_of(span({"a": "b"}, name="other"))
    assert [(e["id"], e["timestamp"]) for e in first] == [(e["id"], e["timestamp"]) for e in second]
    ids = [event["id"] for event in events_of(span(), span(span_id=OTHER_ID))]
    assert len(set(ids)) == len(ids) == 4


def test_spans_without_ids_give_nothing() -> None:
    """The server would refuse them; they are reported as lost."""
    made = Span(name="x", start_ns=START_NS)
    assert encode_spans([made]) == []
    assert [one.field for one in loss([made])] == ["span"]


def test_time_of_a_span_without_time() -> None:
    """Only such a span takes the time that the caller lends."""
    made = span(start_ns=0, end_ns=0)
    body = body_of(encode_spans([made], now_ns=1_000_000_000)[0].event)
    assert body["timestamp"] == "1970-01-01T00:00:01.000Z"


def test_index_names_the_span() -> None:
    """Each event knows which span it came from."""
    encoded = encode_spans([Span(), span(), span(parent=PARENT_ID, span_id=OTHER_ID)])
    assert [one.span_index for one in encoded] == [1, 1, 2]


def rich_span() -> Span:
    """A span with everything that Langfuse drops."""
    return Span(
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
        name="s",
        kind=3,
        flags=1,
        trace_state="a=b",
        start_ns=START_NS,
        end_ns=START_NS + 1,
        status_code=1,
        events=[Event("exception", START_NS, {"m": "e"}), Event("gen_ai.choice", 0, {"a": 1})],
        links=[Link(b"\x02" * 16, b"\x03" * 8, attributes={"l": 1})],
        dropped_events_count=2,
        scope=Scope("x", schema_url="u"),
    )


def test_loss_names_what_is_dropped() -> None:
    """Every field without a home is named, content events are not."""
    assert [one.field for one in loss([rich_span()])] == [
        "kind",
        "flags",
        "traceState",
        "statusCode",
        "nanoseconds",
        "events[exception]",
        "links",
        "droppedEventsCount",
        "scopeSchemaUrl",
    ]
    plain = span(start_ns=START_NS // 1_000_000 * 1_000_000, end_ns=0)
    assert loss([plain]) == []


def test_kept_on_demand() -> None:
    """What is dropped is kept in the metadata if that is asked for."""
    encoded = encode_spans([rich_span()], keep_unmapped=True)
    for one in encoded:
        metadata = body_of(one.event)["metadata"]
        assert isinstance(metadata, dict)
        kept = metadata["otel"]
        assert isinstance(kept, dict)
        assert kept["links"] == [{"traceId": "02" * 16, "spanId": "03" * 8, "attributes": {"l": 1}}]
        assert kept["startTimeUnixNano"] == str(START_NS)
    metadata = observation(rich_span())[1]["metadata"]
    assert isinstance(metadata, dict)
    assert "otel" not in metadata


def test_batch_is_one_line_of_json() -> None:
    """Also for what orjson refuses: lone surrogates and huge integers."""
    events = events_of(span({"input": "\ud800", "n": 10**30}))
    body = encode_batch(events)
    assert b"\n" not in body
    assert json.loads(body) == {"batch": events}
    assert encode_batch([]) == b'{"batch":[]}'
