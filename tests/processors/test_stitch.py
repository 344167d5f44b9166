"""stitch: what one span says of its trace, on all of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import Attributes, Batch, Scope, Signal, Span, Value
from genai_collector.processors.stitch import Stitch, StitchConfig
from tests.support.builders import log_batch, log_record
from tests.support.fakes import FakeClock, make_context

ONE, TWO = b"\x01" * 16, b"\x02" * 16
ALL: Attributes = {
    "user.id": "ada",
    "session.id": "s1",
    "langfuse.trace.name": "answer",
    "langfuse.trace.tags": ["a", "b"],
}


def _stitch(clock: FakeClock | None = None, /, **options: Any) -> Stitch:
    return Stitch(StitchConfig.model_validate(options), make_context("stitch", clock=clock))


def _span(attributes: Attributes | None = None, trace_id: bytes = ONE) -> Span:
    return Span(trace_id=trace_id, span_id=b"\x07" * 8, name="work", attributes=attributes or {},
                scope=Scope("app"))  # fmt: skip


def _batch(*spans: Span) -> Batch:
    """As it is received: bytes."""
    return batch_from_protobuf(Signal.TRACES, batch_of(Signal.TRACES, list(spans)).encoded())


def _attributes(batch: Batch) -> list[Attributes]:
    return [span.attributes for span in batch.view_spans()]


def test_within_a_batch() -> None:
    """What any span says reaches those before and after it, of its own trace only."""
    batch = _batch(_span(), _span(dict(ALL)), _span({"k": 1}), _span({}, TWO))

    assert _attributes(_stitch().process(batch)) == [ALL, ALL, {"k": 1, **ALL}, {}]


def test_remembered_for_later_batches() -> None:
    """A span that comes later gets what was said before; one that came before is not changed, and
    stays the bytes it was."""
    stitch = _stitch()
    before = _batch(_span())
    assert stitch.process(before) is before
    assert before.is_encoded
    stitch.process(_batch(_span(dict(ALL))))

    assert _attributes(stitch.process(_batch(_span(), _span({}, TWO)))) == [ALL, {}]


SAID: dict[str, tuple[Attributes, Attributes]] = {
    "langfuse user": ({"langfuse.user.id": "ada"}, {"user.id": "ada"}),
    "langfuse session": ({"langfuse.session.id": "s1"}, {"session.id": "s1"}),
    "langfuse before general": (
        {"user.id": "bob", "langfuse.user.id": "ada"}, {"user.id": "ada"}),
    "conversation": ({"gen_ai.operation.name": "chat", "gen_ai.conversation.id": "c1"},
                     {"session.id": "c1"}),
    "session before conversation": (
        {"gen_ai.operation.name": "chat", "gen_ai.conversation.id": "c1", "session.id": "s1"},
        {"session.id": "s1"}),
    "older user": ({"gen_ai.operation.name": "chat", "enduser.id": "ada"}, {"user.id": "ada"}),
    "tags as text": ({"langfuse.trace.tags": '["a","b"]'}, {"langfuse.trace.tags": ["a", "b"]}),
    "other tags": ({"langfuse.tags": ["a"]}, {"langfuse.trace.tags": ["a"]}),
    "nothing readable": ({"user.id": 7, "session.id": "", "langfuse.trace.tags": {"a": 1},
                          "langfuse.trace.name": None}, {}),
    "too long": ({"user.id": "x" * 2000, "langfuse.trace.tags": ["y" * 2000]}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("said", "written"), SAID.values(), ids=SAID)
def test_what_counts_as_said(said: Attributes, written: Attributes) -> None:
    """In any understood words, under one name on the others; the span that says it keeps its own
    words."""
    own, other = _attributes(_stitch().process(_batch(_span(dict(said)), _span())))

    assert other == written
    assert {key: own[key] for key in said} == said


OWN: dict[str, Attributes] = {
    "the same keys": {"user.id": "bob", "session.id": "s2", "langfuse.trace.name": "own",
                      "langfuse.trace.tags": ["z"]},
    "other keys": {"langfuse.user.id": "bob", "langfuse.session.id": "s2", "langfuse.tags": ["z"],
                   "langfuse.trace.name": "own"},
    "unreadable": {"user.id": 7, "langfuse.session.id": 8, "langfuse.trace.name": False,
                   "langfuse.tags": {"z": 1}},
    "too long": {"user.id": "x" * 2000, "session.id": "x" * 2000, "langfuse.trace.name": "x" * 2000,
                 "langfuse.trace.tags": ["x" * 2000]},
}  # fmt: skip


@pytest.mark.parametrize("own", OWN.values(), ids=OWN)
def test_what_a_span_says_itself_stays(own: Attributes) -> None:
    """Under whatever key and in whatever form: nothing is overwritten, and nothing is added beside
    it that would contradict it."""
    stitch = _stitch()
    stitch.process(_batch(_span(dict(ALL))))
    batch = _batch(_span(dict(own)))

    assert _attributes(stitch.process(batch)) == [own]
    assert batch.is_encoded


def test_a_conversation_is_the_session_if_nobody_names_one() -> None:
    """Several conversations in a trace keep their own; a session named later is for the rest."""
    chat: Attributes = {"gen_ai.operation.name": "chat"}
    one, two = {**chat, "gen_ai.conversation.id": "c1"}, {**chat, "gen_ai.conversation.id": "c2"}
    stitch = _stitch()
    first = stitch.process(_batch(_span(dict(one)), _span(dict(two)), _span()))
    second = stitch.process(_batch(_span({"session.id": "s"}), _span(dict(two)), _span()))

    assert _attributes(first) == [one, two, {"session.id": "c1"}]
    assert _attributes(second) == [
        {"session.id": "s"}, two, {"session.id": "s"}
    ]  # fmt: skip


def test_tags_come_together() -> None:
    """In order of appearance, each once, at most 64."""
    stitch = _stitch()
    tags: list[Value] = ["b", "a"]
    stitch.process(
        _batch(_span({"langfuse.trace.tags": tags}), _span({"langfuse.tags": list("ac")}))
    )
    (found,) = _attributes(stitch.process(_batch(_span())))
    assert found == {"langfuse.trace.tags": ["b", "a", "c"]}

    many: list[Value] = [f"t{number}" for number in range(100)]
    stitch.process(_batch(_span({"langfuse.trace.tags": many}), _span()))
    (found,) = _attributes(stitch.process(_batch(_span())))
    assert found == {"langfuse.trace.tags": ["b", "a", "c", *many[:61]]}


OPTIONS = {
    "user": "user.id",
    "session": "session.id",
    "tags": "langfuse.trace.tags",
    "trace_name": "langfuse.trace.name",
}


@pytest.mark.parametrize(("option", "key"), OPTIONS.items(), ids=OPTIONS)
def test_each_can_be_left_out(option: str, key: str) -> None:
    """What is switched off is not written."""
    batch = _batch(_span(dict(ALL)), _span())
    _, other = _attributes(_stitch(None, **{option: False}).process(batch))

    assert other == {name: value for name, value in ALL.items() if name != key}


def test_memory_is_bounded() -> None:
    """The trace that was not heard of for longest makes room; within a batch all are known."""
    stitch = _stitch(max_traces=2)
    ids = [bytes([number]) * 16 for number in range(1, 4)]
    told = [_span({"user.id": f"u{number}"}, id_) for number, id_ in enumerate(ids)]
    batch = stitch.process(_batch(*told, *(_span({}, id_) for id_ in ids)))
    assert _attributes(batch)[3:] == [{"user.id": f"u{number}"} for number in range(3)]

    stitch.process(_batch(_span({}, ids[1])))
    stitch.process(_batch(_span({"user.id": "new"}, b"\x09" * 16)))
    later = stitch.process(_batch(*(_span({}, id_) for id_ in ids)))
    assert _attributes(later) == [{}, {"user.id": "u1"}, {}]


def test_traces_are_forgotten() -> None:
    """Some time after they were last heard of."""
    clock = FakeClock()
    stitch = _stitch(clock, ttl="10m")
    stitch.process(_batch(_span(dict(ALL))))
    clock.advance(500)
    assert _attributes(stitch.process(_batch(_span()))) == [ALL]
    clock.advance(500)
    assert _attributes(stitch.process(_batch(_span()))) == [ALL]
    clock.advance(601)
    assert _attributes(stitch.process(_batch(_span()))) == [{}]


def test_spans_without_a_trace() -> None:
    """They belong to nobody, and not together."""
    batch = _batch(_span(dict(ALL), b""), _span({}, b""))

    assert _attributes(_stitch().process(batch)) == [ALL, {}]


def test_other_signals_pass() -> None:
    """Log records are not looked at."""
    batch = log_batch(log_record())

    assert _stitch().process(batch) is batch


_WORDS = st.sampled_from(
    ["user.id", "langfuse.user.id", "session.id", "gen_ai.conversation.id", "langfuse.trace.name",
     "langfuse.trace.tags", "gen_ai.operation.name"]
)  # fmt: skip
_VALUES: st.SearchStrategy[Any] = st.sampled_from(["a", "b", ["a"], ["b", "c"], 7, "", None])
_SPANS = st.lists(
    st.tuples(st.sampled_from([ONE, TWO]), st.dictionaries(_WORDS, _VALUES, max_size=3)), max_size=6
)


@settings(max_examples=200, deadline=None)
@given(batches=st.lists(_SPANS, min_size=1, max_size=4))
def test_only_adds_and_repeats_itself(batches: list[list[tuple[bytes, Attributes]]]) -> None:
    """Laws: nothing that a span says is changed; of a refused batch that comes again at once the
    same comes out; doing it twice is doing it once; nothing crosses from trace to trace."""
    stitch = _stitch()
    for given_spans in batches:

        def received(spans: list[tuple[bytes, Attributes]] = given_spans) -> Batch:
            return _batch(*(_span(dict(said), trace_id) for trace_id, said in spans))

        first, again = stitch.process(received()), stitch.process(received())
        assert first.encoded() == again.encoded()
        for (_, said), found in zip(given_spans, _attributes(first), strict=True):
            kept = {key: value for key, value in found.items() if said.get(key) not in (None, "")}
            assert kept == {key: value for key, value in said.items() if value not in (None, "")}
        repeated = stitch.process(batch_from_protobuf(Signal.TRACES, first.encoded()))
        assert repeated.encoded() == first.encoded()
