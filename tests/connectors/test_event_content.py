"""What the events of one call put on its span, and which of them say more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.connectors._event_content import EVENTS, join
from genai_collector.conventions import read_observation
from genai_collector.conventions.content import event_name
from genai_collector.model import Attributes, LogRecord, Span, Value
from tests.connectors.recorded import recorded_pairs
from tests.conventions.loading import values
from tests.support.builders import span

DETAILS = "gen_ai.client.inference.operation.details"
CHAT: Attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "m",
    "gen_ai.usage.input_tokens": 3,
}


CONTENT = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
)  # fmt: skip


def says(role: str, text: str, **further: Value) -> dict[str, Value]:
    return {"role": role, "parts": [{"type": "text", "content": text}], **further}


def details(time_ns: int = 1, /, **attributes: Value) -> LogRecord:
    named: Attributes = {f"gen_ai.{key}".replace("__", "."): v for key, v in attributes.items()}
    return LogRecord(event_name=DETAILS, time_ns=time_ns, attributes=named)


def message(name: str, body: Value, time_ns: int = 1) -> LogRecord:
    tag: Attributes = {"gen_ai.system": "openai"}
    return LogRecord(event_name=f"gen_ai.{name}", time_ns=time_ns, body=body, attributes=tag)


def said_by(one: Span) -> tuple[Any, Any]:
    attributes = one.attributes
    given, made = (attributes.get(f"gen_ai.{side}.messages") for side in ("input", "output"))
    return (
        json.loads(given) if isinstance(given, str) else given,
        json.loads(made) if isinstance(made, str) else made,
    )


def test_details_fill_what_the_span_lacks() -> None:
    """Messages, instructions, tools and further attributes go on the span; nothing is left."""
    one = span(dict(CHAT))
    event = details(
        input__messages=[says("user", "hi")],
        output__messages=[says("assistant", "yo", finish_reason="stop")],
        system_instructions=[{"type": "text", "content": "be kind"}],
        tool__definitions=[{"type": "function", "name": "f"}],
        request__model="m",
        response__id="r-1",
    )
    assert join(one, [event]) == []
    assert said_by(one) == (
        [says("user", "hi")],
        [says("assistant", "yo", finish_reason="stop")],
    )
    assert json.loads(str(one.attributes["gen_ai.system_instructions"]))[0]["content"] == "be kind"
    assert json.loads(str(one.attributes["gen_ai.tool.definitions"]))[0]["name"] == "f"
    assert one.attributes["gen_ai.response.id"] == "r-1"


def test_message_events_in_order_of_time() -> None:
    """One event per message, in any order: messages by time, choices by index."""
    one = span(dict(CHAT))
    events = [
        message("choice", {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"}, 9),
        message("user.message", {"content": "hi"}, 2),
        message("choice", {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}, 9),
        message("system.message", {"content": "be kind"}, 1),
    ]
    assert join(one, events) == []
    given, made = said_by(one)
    assert given == [says("system", "be kind"), says("user", "hi")]
    assert [each["parts"][0]["content"] for each in made] == ["a", "b"]


MORE: dict[str, tuple[Attributes, LogRecord]] = {
    "another text": (
        {"gen_ai.input.messages": json.dumps([says("user", "mine")])},
        details(input__messages=[says("user", "theirs")]),
    ),
    "another message": (
        {"gen_ai.input.messages": json.dumps([says("user", "mine")])},
        message("user.message", {"content": "theirs"}),
    ),
    "tokens that the span does not count": ({}, details(usage__output_tokens=7)),
    "another model": ({}, details(request__model="n")),
    "a body": ({}, LogRecord(event_name=DETAILS, body="what is this")),
    "roles without content": ({}, message("user.message", {})),
    "another attribute of a message": (
        {},
        LogRecord(event_name="gen_ai.user.message", body={"content": "hi"}, attributes={"x": 1}),
    ),
}


@pytest.mark.parametrize("case", MORE)
def test_an_event_that_says_more_is_given_back(case: str) -> None:
    """What the span says itself stands, totals stay the span's; what it does not take goes on."""
    own, event = MORE[case]
    one = span(CHAT | own)
    assert join(one, [event]) == [event]
    assert {key: one.attributes.get(key) for key in CHAT | own} == CHAT | own
    assert "gen_ai.usage.output_tokens" not in one.attributes


REPEATED: dict[str, LogRecord] = {
    "structured instead of text": details(input__messages=[says("user", "hi")]),
    "a count of zero": details(usage__cache_read__input_tokens=0),
    "without the finish reason": details(output__messages=[says("assistant", "yo")]),
    "empty lists, capture is off": details(input__messages=[], output__messages=[]),
    "the message alone": message("user.message", {"content": "hi"}),
}


@pytest.mark.parametrize("case", REPEATED)
def test_an_event_that_repeats_is_not_given_back(case: str) -> None:
    """What the span says in its own form is neither written again nor passed on."""
    own = CHAT | {
        "gen_ai.input.messages": json.dumps([says("user", "hi")]),
        "gen_ai.output.messages": json.dumps([says("assistant", "yo", finish_reason="stop")]),
    }
    one = span(dict(own))
    assert join(one, [REPEATED[case]]) == []
    assert one.attributes == own


def test_the_last_complete_details_are_believed() -> None:
    """An SDK that tries again inside one span: the last call with both sides, not the last one;
    what the others said goes on."""
    first = details(
        1, input__messages=[says("user", "one")], output__messages=[says("assistant", "1")]
    )
    second = details(
        2, input__messages=[says("user", "two")], output__messages=[says("assistant", "2")]
    )
    failed = details(3, input__messages=[says("user", "three")])
    one = span(dict(CHAT))
    left = join(one, [failed, second, first])
    assert said_by(one) == ([says("user", "two")], [says("assistant", "2")])
    assert sorted(each.time_ns for each in left) == [1, 3]


def test_sent_twice() -> None:
    """A log record that its sender repeats after a lost answer is one message."""
    one = span(dict(CHAT))
    events = [message("user.message", {"content": "hi"}, 5) for _ in range(2)]
    assert join(one, events) == []
    assert said_by(one)[0] == [says("user", "hi")]


def test_text_that_is_no_messages() -> None:
    """Text cut short by an SDK's limit is passed on as it is, and read as plain input."""
    one = span(dict(CHAT))
    assert join(one, [details(input__messages='[{"role": "user", "par')]) == []
    assert read_observation(one).read_content().input == '[{"role": "user", "par'


def test_recorded_events() -> None:
    """Every recorded call whose span has no content, of four generations of instrumentations:
    joined, it says what its events say; its totals stay; nothing is left but events without
    content."""
    joined = 0
    for one, records in recorded_pairs():
        before = read_observation(one)
        left = join(one, records)
        after = read_observation(one)
        assert (after.usage, after.cost, after.kind) == (before.usage, before.cost, before.kind)
        content = after.read_content()
        if left:
            assert {event_name(record) for record in left} <= {
                "gen_ai.user.message", "gen_ai.choice",
            }  # fmt: skip
            assert content.input_messages is None
        elif any(_has_content(record) for record in records):
            joined += 1
            assert content.input_messages
            assert content.input_messages[-1]["parts"]
    assert joined >= 30


def _has_content(record: LogRecord) -> bool:
    return bool(record.body or record.attributes.get("gen_ai.input.messages"))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_anything_may_be_joined(data: st.DataObject) -> None:
    """Law: whatever events and spans hold, nothing raises, no attribute of the span changes its
    value (content that could not be read may be filled), nor what it counts; joining again changes
    nothing."""
    keys = st.sampled_from([*CONTENT, "gen_ai.operation.name", "gen_ai.usage.input_tokens", "x"])
    attributes = st.dictionaries(keys, values(), max_size=4)
    events = data.draw(
        st.lists(
            st.builds(
                LogRecord,
                event_name=st.sampled_from(sorted(EVENTS)),
                time_ns=st.integers(0, 3),
                body=values(),
                attributes=attributes,
            ),
            max_size=4,
        )
    )
    one = span(data.draw(attributes))
    before = dict(one.attributes)
    usage = read_observation(one).usage
    join(one, events)
    once = dict(one.attributes)
    for key, value in before.items():
        assert repr(once[key]) == repr(value) or key in CONTENT
    assert repr(read_observation(one).usage) == repr(usage)
    join(one, events)
    assert repr(one.attributes) == repr(once)
