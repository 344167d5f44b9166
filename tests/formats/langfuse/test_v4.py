"""Spans made ready for a v4 server: what its reading of them says before and after."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.formats.langfuse import encode_spans, parse_event
from genai_collector.formats.langfuse.flat import flat_records
from genai_collector.formats.langfuse.merge import Folded, Object, fold
from genai_collector.formats.langfuse.v4 import prepare
from genai_collector.formats.otlp import batch_of
from genai_collector.model import Attributes, Event, Signal, Span, Value
from tests.formats.langfuse.making import PARENT_ID, START_NS, span, without_absent
from tests.formats.langfuse.test_golden import FILES, NOW_NS, _lines, _spans
from tests.formats.langfuse.test_laws import spans as any_spans
from tests.support.captures import shared

CHAT: Attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
BOTH_SIDES: Attributes = {"gen_ai.input.messages": "[]", "gen_ai.output.messages": "[]"}


def ready(made: Span, *others: Span) -> dict[str, Any]:
    """The flat record of the prepared span."""
    return flat_records(prepare([made, *others]))[0]


def child(attributes: Attributes, number: int = 1, **more: Any) -> Span:
    return span(attributes, parent=PARENT_ID, span_id=number.to_bytes(8, "big"), **more)


# ---- laws ---------------------------------------------------------------------------------------


def _cases() -> list[Any]:
    found = [case for name in FILES for case in _lines(name)]
    return [pytest.param(case["otlp"], id=f"{at}") for at, case in enumerate(found)]


def test_the_material_is_here() -> None:
    """Without the recordings the cases below are not even collected, which must be visible."""
    shared("golden")
    assert len(_cases()) >= 423


def _folded(made: list[Span]) -> Folded:
    return fold([one.event for one in encode_spans(made, now_ns=NOW_NS)])


def _says(value: Any) -> Any:
    """Content as Langfuse stores it: text that is JSON is what it says."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _sum(body: Object, field: str) -> int:
    details: Any = body.get(field) or {}
    return sum(int(value) for key, value in details.items() if key != "total")


@pytest.mark.parametrize("otlp", _cases())
def test_prepared_spans_say_at_least_as_much(otlp: list[Any]) -> None:
    """As batch events: the same level, sums, costs, model and content where there were any, and no
    field and no metadata is lost; and what is prepared once is prepared for good."""
    made = _spans(otlp)
    prepared = prepare(made)
    again = prepare(prepared)
    assert all(a is b for a, b in zip(prepared, again, strict=True))
    before, after = _folded(made), _folded(prepared)
    assert len(before.observations) == len(after.observations)
    for was, now in zip(
        before.observations + before.traces, after.observations + after.traces, strict=True
    ):
        for field in {*was.body} - {"metadata", "input", "output", "usageDetails", "timestamp"}:
            assert now.body[field] == was.body[field], field
        for field in ("input", "output"):
            if was.body.get(field) not in (None, "", {}, []):
                assert _says(now.body[field]) == _says(was.body[field])
        if was.body.get("usageDetails"):
            assert _sum(now.body, "usageDetails") == _sum(was.body, "usageDetails")
        if was.kind != "trace":
            metadata: Any = was.body.get("metadata") or {}
            kept: Any = now.body.get("metadata") or {}
            assert {*metadata} - {"attributes"} <= {*kept}


@settings(max_examples=120, deadline=None)
@given(st.lists(any_spans, max_size=3), st.booleans())
def test_any_spans_can_be_prepared(made: list[Span], everything: bool) -> None:
    """Whatever the spans are: they stay as they are, each gives one, which the server's schema
    accepts and Langfuse prints no wrapper of."""
    before = [copy.copy(one.attributes) for one in made]
    prepared = prepare(made, keep_unmapped=everything)
    assert [repr(one.attributes) for one in made] == [repr(one) for one in before]
    assert [(one.trace_id, one.span_id) for one in prepared] == [
        (one.trace_id, one.span_id) for one in made
    ]
    for encoded in encode_spans(prepared, now_ns=1):
        assert parse_event(encoded.event).issues == []
    assert len(flat_records(prepared, now_ns=1)) == len(flat_records(made, now_ns=1))
    for one in prepared:
        assert not any(value is None for value in one.attributes.values())


def test_nothing_to_change_is_nothing_changed() -> None:
    """The very same objects, so that the batch keeps its bytes."""
    made = [
        span({**CHAT, "user.id": "u", "gen_ai.input.messages": "a", "gen_ai.output.messages": "b"}),
        child({"user.id": "u", "http.method": "GET", "n": [1, 2], "x": float("nan")}),
    ]
    assert all(a is b for a, b in zip(made, prepare(made), strict=True))


# ---- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": {"b": [1, None]}}, '{"a":{"b":[1,null]}}'),
        ([{"role": "user", "content": "hi"}], '[{"role":"user","content":"hi"}]'),
        (b"\x00hi", "AGhp"),
        ({"k": b"\x00hi"}, '{"k":"AGhp"}'),
        (["a", None], '["a",null]'),
        ({}, "{}"),
    ],
)
def test_maps_and_bytes_become_text(value: Value, shown: str) -> None:
    """As attributes, as content, in resources, scopes and content events: never a wrapper."""
    made = span({"x": value, "input": value}, resource={"r": value})
    made.scope.attributes["s"] = value
    made.events = [Event("gen_ai.user.message", 1, {"content": value})]
    (one,) = prepare([made])
    assert one.attributes["x"] == one.resource.attributes["r"] == one.scope.attributes["s"] == shown
    assert one.events[0].attributes["content"] == shown
    assert "Value" not in json.dumps(flat_records([one]))


def test_shared_things_stay_shared() -> None:
    """One changed resource for all spans that had it, so that they are still one group."""
    first, second = span({}, resource={"r": {"a": 1}}), child({})
    second.resource = first.resource
    made = prepare([first, second])
    assert made[0].resource is made[1].resource is not first.resource


def test_attributes_without_value_are_left_out() -> None:
    """Langfuse would call the user `{}`."""
    assert "userId" in flat_records([span({"user.id": None})])[0]
    assert "userId" not in ready(span({"user.id": None}))


# ---- traces -------------------------------------------------------------------------------------

SAID: list[tuple[Attributes, str, Any]] = [
    ({"langfuse.trace.name": "t"}, "traceName", "t"),
    ({"user.id": "u"}, "userId", "u"),
    ({"langfuse.user.id": "u"}, "userId", "u"),
    ({"user.id": 7}, "userId", "7"),
    ({"session.id": "s"}, "sessionId", "s"),
    ({"gen_ai.conversation.id": "c"}, "sessionId", "c"),
    ({"langfuse.trace.tags": "a, b"}, "tags", ["a", "b"]),
    ({"langfuse.trace.public": "true"}, "public", True),
    ({"langfuse.public": False}, "public", False),
    ({"langfuse.release": "r"}, "release", "r"),
    ({"langfuse.version": "v"}, "version", "v"),
]


@pytest.mark.parametrize(("attributes", "field", "value"), SAID)
def test_what_the_root_says_its_children_say(
    attributes: Attributes, field: str, value: Any
) -> None:
    """Each field of a trace is on each record of it, wherever the root stands in the batch."""
    for at in (0, 1):
        made = [child({}, 1), child({}, 2)]
        made.insert(at, span(attributes))
        assert [record[field] for record in flat_records(prepare(made))] == [value] * 3


def test_what_a_span_says_stands() -> None:
    """Also under another name than the one that is spread, and also if it is empty."""
    said: list[Attributes] = [{"user.id": "me"}, {"langfuse.user.id": "me"}, {"user.id": ""}]
    for attributes in said:
        made = child(attributes)
        prepared = prepare([span({"user.id": "root"}), made])
        assert prepared[1] is made


def test_the_root_is_believed_first() -> None:
    """Then the first span that says it; other traces hear nothing of it."""
    other = span({})
    other.trace_id = b"\x07" * 16
    made = [child({"user.id": "a"}, 1), child({"user.id": "b"}, 2), span({"user.id": "r"}), other]
    assert prepare([*made, child({}, 3)])[-1].attributes["user.id"] == "r"
    assert prepare([*made[:2], child({}, 3)])[-1].attributes["user.id"] == "a"
    assert prepare(made)[3] is other


def test_a_conversation_of_a_part_is_not_the_traces() -> None:
    """An agent below the root may hold its own."""
    made = [child({"gen_ai.conversation.id": "c"}, 1), child({}, 2)]
    assert prepare(made)[1] is made[1]


def test_a_version_of_the_service_is_a_version() -> None:
    """A span whose service has a version keeps it."""
    made = [span({"langfuse.version": "v"}), child({}, resource={"service.version": "9"})]
    assert flat_records(prepare(made))[1]["version"] == "9"


def test_metadata_of_the_trace() -> None:
    """Key by key, values as they were, without the keys that a span has itself."""
    root = span(
        {
            "langfuse.trace.metadata": '{"whole":{"x":1},"both":"w"}',
            "langfuse.trace.metadata.both": "s",
            "langfuse.trace.metadata.mine": "root's",
            "langfuse.trace.metadata.langfuse_user_id": "u",
        }
    )
    own = child({"langfuse.observation.metadata.mine": "own"})
    record = flat_records(prepare([root, own]))[1]
    metadata: Any = record["metadata"]
    assert json.loads(metadata["whole"]) == {"x": 1}
    assert (metadata["both"], metadata["mine"], record["userId"]) == ("s", "own", "u")
    assert "langfuse_user_id" not in metadata


def test_content_of_the_trace() -> None:
    """It is its root's; a root with content of its own keeps it, and the trace's is metadata."""
    said: Attributes = {"langfuse.trace.input": "in", "langfuse.trace.output": "out"}
    record = ready(span(said))
    assert (record["input"], record["output"]) == ("in", "out")
    record = ready(span({}), child(said))
    assert (record["input"], record["output"]) == ("in", "out")
    record = ready(span({**said, "input": "mine", "output": "out"}))
    assert (record["input"], record["metadata"]["trace_input"]) == ("mine", "in")
    assert "trace_output" not in record["metadata"]
    assert ready(child(said))["metadata"]["trace_output"] == "out"


# ---- observations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"gen_ai.operation.name": "retrieval"}, "RETRIEVER"),
        ({"gen_ai.operation.name": "retrieval", "gen_ai.request.model": "m"}, "RETRIEVER"),
        ({"gen_ai.operation.name": "rerank", "gen_ai.request.model": "m"}, "RETRIEVER"),
        ({"gen_ai.operation.name": "invoke_workflow"}, "CHAIN"),
        ({"gen_ai.operation.name": "chat"}, "GENERATION"),
        ({"langfuse.observation.type": "GENERATION"}, "GENERATION"),
        ({"langfuse.observation.type": "span", "gen_ai.operation.name": "retrieval"}, "SPAN"),
        ({"http.method": "GET"}, "SPAN"),
    ],
)
def test_types(attributes: Attributes, kind: str) -> None:
    """What Langfuse has no rule for, or only guesses from a model; what is said stands."""
    assert ready(span(attributes))["type"] == kind


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        (
            {"input_tokens": 10, "output_tokens": 8, "reasoning_tokens": 3},
            {"input": 10, "output": 5, "output_reasoning_tokens": 3},
        ),
        (
            {"input_tokens": 10, "cache_write.input_tokens": 4, "output_tokens": 8},
            {"input": 6, "output": 8, "input_cache_creation": 4},
        ),
        (
            {"input_tokens": 10, "cache_read.input_tokens": 4, "output_tokens": 8, "mine": 2},
            {"input": 6, "output": 8, "input_cached_tokens": 4, "mine": 2},
        ),
        ({"input_tokens": 10, "output_tokens": 8}, {"input": 10, "output": 8}),
        (
            {"input_tokens": 10, "output_tokens": 8, "reasoning_tokens": 0},
            {"input": 10, "output": 8, "reasoning_tokens": 0},
        ),
    ],
)
def test_usage_is_exclusive_and_adds_up(usage: dict[str, int], buckets: dict[str, int]) -> None:
    """Parts under names that Langfuse would count on top are taken out; the rest is untouched."""
    made = span({**CHAT, **{f"gen_ai.usage.{name}": count for name, count in usage.items()}})
    assert ready(made)["providedUsageDetails"] == buckets


def test_usage_that_was_said_stands() -> None:
    """Langfuse's own attribute, right or wrong, even if the server can make nothing of it."""
    for said in ('{"input":1,"odd":2}', "[1]", ""):
        made = span(
            {**CHAT, "langfuse.observation.usage_details": said, "gen_ai.usage.input_tokens": 5}
        )
        assert prepare([made])[0] is made


def test_cost_given_as_text() -> None:
    """Langfuse reads numbers only."""
    made = span({**CHAT, "gen_ai.usage.cost": "0.25"})
    assert "providedCostDetails" not in flat_records([made])[0]
    assert ready(made)["providedCostDetails"] == {"total": 0.25}


def test_agents_get_no_spending() -> None:
    """They repeat what their children have said."""
    made = span(
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.request.model": "m",
            "gen_ai.usage.cost": "0.25",
            "gen_ai.usage.input_tokens": 3,
        }
    )
    assert prepare([made])[0] is made


def test_time_to_first_token() -> None:
    """Langfuse wants an instant, to the nanosecond where there is one; its own word stands."""
    key = "gen_ai.response.time_to_first_chunk"
    (made,) = prepare([span({**CHAT, key: 0.25})])
    said = made.attributes["langfuse.observation.completion_start_time"]
    assert said == "2024-04-30T14:48:50.936364Z"
    first = "langfuse.observation.completion_start_time"
    own = span({**CHAT, key: 0.25, first: '"2025-01-01T00:00:00Z"'})
    assert prepare([own])[0].attributes[first] == '"2025-01-01T00:00:00Z"'
    odd = span({**CHAT, first: "2025-01-01 10:00:00"})
    assert prepare([odd])[0].attributes[first] == "2025-01-01T10:00:00Z"


def test_prompts() -> None:
    """A version that is text is a number; the conventions' own attributes are a link too."""
    made = span({**CHAT, "langfuse.prompt.name": "p", "langfuse.prompt.version": "3"})
    record = ready(made)
    assert (record["promptName"], record["promptVersion"]) == ("p", 3)
    assert prepare([made])[0].attributes["langfuse.observation.prompt.version"] == 3
    link: Attributes = {"gen_ai.prompt.name": "p", "gen_ai.prompt.version": "4"}
    record = ready(span({**CHAT, **link}))
    assert (record["promptName"], record["promptVersion"]) == ("p", 4)
    tool = span({"gen_ai.operation.name": "execute_tool", **link})
    assert prepare([tool])[0] is tool


def test_content_from_where_langfuse_does_not_look() -> None:
    """A side that it misses is told together with the one that it has."""
    made = span(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "m",
            "input.value": "question",
            "gen_ai.output.messages": '[{"role":"assistant","parts":'
            '[{"type":"text","content":"answer"}]}]',
        }
    )
    assert "output" not in flat_records([made])[0]
    record = ready(made)
    assert record["input"] == "question"
    assert "answer" in record["output"]
    empty = '[{"role":"assistant","parts":[{"type":"text","content":""}]}]'
    for said in ("[]", empty):
        nothing = span({**CHAT, "gen_ai.input.messages": "hi", "events": said})
        assert prepare([nothing])[0] is nothing
    nothing = span({**CHAT, **BOTH_SIDES})
    assert prepare([nothing])[0] is nothing


def test_an_answer_without_words_is_no_content() -> None:
    """A message of empty parts, as a stream of tool calls leaves it in an event, says nothing."""
    event: Attributes = {"gen_ai.completion": ""}
    made = span(
        {**CHAT, "gen_ai.prompt": "q"},
        events=[("gen_ai.content.completion", event)],
        scope="openlit",
    )
    assert "langfuse.observation.output" not in prepare([made])[0].attributes


def test_exceptions() -> None:
    """What failed is the status message unless there is one, and the event is kept."""
    attributes: Attributes = {"exception.type": "E", "exception.message": "broke"}
    made = span({}, events=[("exception", attributes)], status_code=2)
    record = ready(made)
    assert (record["level"], record["statusMessage"]) == ("ERROR", "broke")
    kept = json.loads(record["metadata"]["otel"])
    assert kept == {
        "events": [
            {"name": "exception", "timeUnixNano": str(START_NS), "attributes": attributes},
        ]
    }
    made.status_message = "said"
    assert ready(made)["statusMessage"] == "said"


def test_everything_unmapped_on_demand() -> None:
    """With `keep_unmapped` nanoseconds and the like are kept as well; without, events only."""
    made = span({})
    assert prepare([made])[0] is made
    (one,) = prepare([made], keep_unmapped=True)
    kept = json.loads(str(one.attributes["langfuse.observation.metadata.otel"]))
    assert kept["startTimeUnixNano"] == str(START_NS)


def test_encoded_events_stay_encoded() -> None:
    """Reading a shared span does not change the form that it is kept in."""
    made = span({}, events=[("exception", {"exception.message": "m"})], status_code=2)
    raw = batch_of(Signal.TRACES, [made]).encoded()
    from_wire = batch_of(Signal.TRACES, [made]).clone()
    (shared_one,) = from_wire.view_spans()
    assert shared_one.encoded_events
    (one,) = prepare([shared_one])
    assert shared_one.encoded_events
    assert one is not shared_one
    assert from_wire.encoded() == raw
    assert without_absent(flat_records([one])[0]) is not None
