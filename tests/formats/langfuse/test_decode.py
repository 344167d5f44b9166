"""Merged events to spans and scores to log records, and the way back."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.conventions import read_observation
from genai_collector.formats import ids, otlp
from genai_collector.formats.langfuse import (
    Folded,
    decode_batch,
    decode_scores,
    encode_batch,
    encode_spans,
    fold,
    loss,
    parse_event,
    parse_ingestion,
    scores_from_logs,
)
from genai_collector.formats.langfuse.instants import iso_exact, time_ns
from genai_collector.formats.langfuse.merge import Record
from genai_collector.formats.langfuse.span_attributes import usage_attributes
from genai_collector.formats.langfuse.values import JSON
from genai_collector.model import LogRecord, Signal, Span, SpanKind, StatusCode
from tests.support.captures import FIXTURES, shared

Object = dict[str, JSON]
START = "2025-01-01T00:00:01.000Z"
END = "2025-01-01T00:00:03.500Z"
ADDED = ("resourceAttributes", "scope")


def event(kind: str, **body: JSON) -> Object:
    """A valid event, as the server would store it."""
    given_: Object = {"id": f"{kind}-{body.get('id')}", "type": kind, "timestamp": START}
    parsed = parse_event({**given_, "body": body})
    assert parsed.event is not None, parsed.issues
    return parsed.event


def generation(**body: JSON) -> Object:
    return event(
        "generation-create",
        **{"id": "g", "traceId": "t", "startTime": START, "endTime": END, **body},
    )


def span_of(**body: JSON) -> Span:
    [span] = decode_batch([generation(**body)])
    return span


def test_words() -> None:
    """Every field of a generation has its attribute, in Langfuse's words."""
    span = span_of(
        name="llm", model="m", modelParameters={"temperature": "0.3", "stop": ["x"]},
        usageDetails={"input": 5, "input_cached_tokens": 2, "output": 1},
        costDetails={"total": 0.5},
        input=[{"role": "user", "content": "hi"}], output="ho", metadata={"a": 1, "b": {"c": 2}},
        level="WARNING", statusMessage="w", version="v", environment="prod", promptName="p",
        promptVersion=3, completionStartTime="2025-01-01T00:00:02.000Z",
    )  # fmt: skip
    prefix = "langfuse.observation."
    assert {
        key.removeprefix(prefix): value
        for key, value in span.attributes.items()
        if key.startswith(prefix)
    } == {
        "type": "generation", "model.name": "m", "level": "WARNING", "status_message": "w",
        "model.parameters": '{"temperature":"0.3","stop":["x"]}',
        "usage_details": '{"input":5,"input_cached_tokens":2,"output":1}',
        "cost_details": '{"total":0.5}', "input": '[{"role":"user","content":"hi"}]',
        "output": "ho", "metadata.a": 1, "metadata.b": '{"c":2}', "metadata.original_id": "g",
        "prompt.name": "p", "prompt.version": 3,
        "completion_start_time": "2025-01-01T00:00:02.000Z",
    }  # fmt: skip
    assert span.attributes["langfuse.environment"] == "prod"
    assert span.attributes["langfuse.version"] == "v"
    assert (span.name, span.kind, span.status_code) == ("llm", SpanKind.CLIENT, StatusCode.UNSET)
    assert span.end_ns - span.start_ns == 2_500_000_000


def test_conventions_beside_them() -> None:
    """Whoever knows only today's conventions finds the same facts, usage inclusive."""
    usage: Object = {"input": 5, "input_cached_tokens": 2, "output": 1, "output_reasoning": 3}
    span = span_of(
        model="m",
        modelParameters={"temperature": "0.3", "max_tokens": 9},
        usageDetails=usage,
        costDetails={"input": 0.25, "output": 0.5},
        input=[{"role": "user", "content": "hi"}],
    )
    assert json.loads(str(span.attributes["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
    ]
    seen = read_observation(span)
    assert (seen.usage.input, seen.usage.output) == (7, 4)
    assert (seen.usage.cache_read, seen.usage.reasoning) == (2, 3)
    assert seen.cost.total == 0.75
    assert seen.request_model == "m"
    assert seen.parameters["temperature"] == 0.3


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({}, (None, None)),
        ({"input": 3}, (3, None)),
        ({"input": 60, "output": 12, "total": 120, "input_cached_tokens": 40,
          "output_reasoning_tokens": 8}, (100, 20)),
        ({"input": 26, "output": 17, "total": 59, "cache_read_input_tokens": 16}, (42, 17)),
        ({"input": 120, "output": 30, "total": 150, "input_cached_tokens": 64}, (120, 30)),
        ({"input": 10, "output": 5, "cache_creation_input_tokens": 7}, (17, 5)),
        ({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}, (100, 20)),
        ({"input": -1, "output": 2}, (None, 2)),
        ({"audio_seconds": 2}, (None, None)),
    ],
)  # fmt: skip
def test_inclusive_usage(usage: Object, expected: tuple[int | None, int | None]) -> None:
    """Exclusive buckets are added up; a total says where they were inclusive already."""
    found = usage_attributes(usage)
    keys = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    assert tuple(found.get(key) for key in keys) == expected


def test_error() -> None:
    """Level ERROR is the span's status too."""
    span = span_of(level="ERROR", statusMessage="429")
    assert (span.status_code, span.status_message) == (StatusCode.ERROR, "429")


@pytest.mark.parametrize(("spending", "called"), [({}, True), ({"model": "m"}, False)])
def test_agents_keep_what_they_spent(spending: Object, called: bool) -> None:
    """An agent that was given a model or usage of its own must not lose it on the way back."""
    agent = event("agent-create", id="a", traceId="t", startTime=START, endTime=END, **spending)
    [span] = decode_batch([agent])
    assert ("gen_ai.operation.name" in span.attributes) == called
    [back] = fold([one.event for one in encode_spans([span])]).observations
    assert back.body.get("model") == spending.get("model")


def test_trace_fields_are_on_every_span() -> None:
    """Every span says what its trace is called, whose it is, and what it is tagged with."""
    trace = event(
        "trace-create", id="t", name="T", userId="u", sessionId="s", tags=["b", "a"], public=True,
        release="r", metadata={"k": "v"}, input="i",
    )  # fmt: skip
    spans = decode_batch([trace, generation(), generation(id="h", parentObservationId="g")])
    assert [span.attributes.get("langfuse.trace.input") for span in spans] == ["i", None]
    for span in spans:
        assert {
            "langfuse.trace.name": "T", "user.id": "u", "session.id": "s", "langfuse.release": "r",
            "langfuse.trace.tags": ["a", "b"], "langfuse.trace.public": True,
            "langfuse.trace.metadata.k": "v", "gen_ai.conversation.id": "s",
        }.items() <= span.attributes.items()  # fmt: skip
    assert spans[1].parent_span_id == spans[0].span_id


@pytest.mark.parametrize(
    ("content", "parents", "made"),
    [
        ({"input": "i"}, [""], False),
        ({"input": "i"}, ["x"], True),
        ({"input": "i"}, ["", ""], True),
        ({}, ["", ""], False),
        ({}, ["x"], False),
        ({}, [], True),
    ],
)
def test_made_roots(content: Object, parents: list[str], made: bool) -> None:
    """A root is made for content of the trace's own without one root, and for a lone trace."""
    trace = event("trace-create", id="t", **content)
    members = [generation(id=f"g{at}", parentObservationId=p) for at, p in enumerate(parents)]
    spans = decode_batch([trace, *members])
    assert len(spans) == len(parents) + made
    if made:
        assert spans[0].span_id == ids.span_id("t-t")
        assert not spans[0].parent_span_id
        below = [span.parent_span_id for span, p in zip(spans[1:], parents, strict=True) if not p]
        assert set(below) <= {spans[0].span_id}


@pytest.mark.parametrize("text", ["", "x", "0" * 32, "0" * 16, "A" * 32, "ü\udc80"])
def test_ids_are_ids(text: str) -> None:
    """Any text gives ids of the right length that are not all zero, always the same."""
    assert len(ids.trace_id(text)) == 16
    assert len(ids.span_id(text)) == 8
    assert any(ids.trace_id(text))
    assert any(ids.span_id(text))
    assert ids.trace_id(text) == ids.trace_id(text)


def test_ids_by_langfuses_rule() -> None:
    """Hex stays, a UUID loses its dashes as a trace id, the rest is hashed."""
    uuid = "0f8fad5b-d9cb-469f-a165-70867728950e"
    assert ids.trace_id(uuid).hex() == uuid.replace("-", "")
    assert ids.trace_id("ab" * 16).hex() == "ab" * 16
    assert ids.span_id("ab" * 8).hex() == "ab" * 8
    assert ids.trace_id("seed").hex() == "19b25856e1c150ca834cffc8b59b23ad"
    assert ids.span_id("seed").hex() == "19b25856e1c150ca"


@given(st.integers(0, 2**62))
def test_times(nanoseconds: int) -> None:
    """Every nanosecond survives being written."""
    assert time_ns(iso_exact(nanoseconds)) == nanoseconds


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00Z", 0),
        ("1970-01-01T01:00:00.5+01:00", 500_000_000),
        ("1970-01-01T00:00:00.1234567891Z", 123_456_789),
        ("0000-01-01T00:00:00Z", 0),
        ("0001-01-01T00:00:00+14:00", 0),
        ("9999-12-31T23:59:59Z", 2**63 - 1),
    ],
)
def test_odd_times(text: str, nanoseconds: int) -> None:
    """All that the schema accepts is read; what OTLP cannot hold is its limit."""
    assert time_ns(text) == nanoseconds


# ---- the way back ---------------------------------------------------------------------------


def through_otlp(data: bytes) -> tuple[Folded, Folded, list[Span]]:
    """A batch before and after it was OTLP, and the spans."""
    batch = parse_ingestion(data)
    assert not batch.refused
    spans, logs = decode_batch(batch.events, batch.metadata), decode_scores(batch.events)
    spans = cast("list[Span]", otlp.decode(Signal.TRACES, otlp.encode(Signal.TRACES, spans)))
    logs = cast("list[LogRecord]", otlp.decode(Signal.LOGS, otlp.encode(Signal.LOGS, logs)))
    back = [one.event for one in (*encode_spans(spans), *scores_from_logs(logs))]
    returned = parse_ingestion(encode_batch(back))
    assert not returned.refused
    return fold(batch.events), fold(returned.events), spans


def comparable(records: list[Record]) -> dict[str, Any]:
    """By id, with instants instead of their spelling and without what the mapping adds."""
    found: dict[str, Any] = {}
    for kind, merged in records:
        body: dict[str, Any] = dict(merged)
        for key in ("startTime", "endTime", "timestamp"):
            if key in body:
                body[key] = time_ns(body[key])
        metadata = body.pop("metadata", None) or {}
        body["metadata"] = {key: v for key, v in metadata.items() if key not in ADDED}
        found[body["id"]] = kind, body
    return found


def assert_same(data: bytes) -> list[Span]:
    before, after, spans = through_otlp(data)
    assert comparable(after.traces) == comparable(before.traces)
    assert comparable(after.observations) == comparable(before.observations)
    assert after.scores == before.scores
    assert loss(spans) == []
    return spans


@pytest.mark.parametrize(
    "path", sorted((FIXTURES / "langfuse").glob("*.json")), ids=lambda p: p.stem
)
def test_recorded_batches_come_back(path: Any) -> None:
    """Recorded batches are the same traces, observations and scores after OTLP."""
    assert assert_same(path.read_bytes())


def test_all_captures_come_back() -> None:
    """So are all the others."""
    found = [
        *shared("captures/langfuse_v2").glob("*/*ingestion.body.json"),
        *shared("captures/litellm_langfuse").glob("*.json"),
        *shared("captures/langfuse_otel").glob("*/*ingestion.body.json"),
    ]
    assert len(found) >= 24
    for path in found:
        assert_same(path.read_bytes())


def test_seed_litellm_bedrock() -> None:
    """LiteLLM's first batch: trace and generation, one root, cost and usage as they were."""
    [span] = assert_same(shared("seeds/000_271cc79c6dd8de4c.txt").read_bytes())
    assert span.attributes["gen_ai.usage.cost"] == 0.00018
    assert span.attributes["gen_ai.usage.input_tokens"] == 10
    assert span.attributes["langfuse.trace.name"] == "litellm-acompletion"
    trace_id = "litellm-test-c4c1c850-e8c9-4b16-b5a4-bff2bf9fa4f6"
    assert span.trace_id == ids.trace_id(trace_id)
    assert span.attributes["langfuse.trace.metadata.original_trace_id"] == trace_id


def test_seed_litellm_openai() -> None:
    """LiteLLM's second batch: a parent that never arrives, so the trace gets a root of its own."""
    root, call = assert_same(shared("seeds/001_c711b7dc4de78875.txt").read_bytes())
    assert root.span_id == ids.span_id("t-litellm-test-533ffb2d-a0a3-45b5-911c-7940466cdc8e")
    assert call.parent_span_id == ids.span_id("test_parent_observation_id")
    assert call.attributes["langfuse.version"] == "test_version"
    assert root.attributes["langfuse.version"] == "test_trace_version"
    assert {span.attributes["user.id"] for span in (root, call)} == {"test_user_id"}


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_LEAF = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _TEXT
_VALUE = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
).filter(lambda value: not (isinstance(value, str) and value.startswith(("{", "["))))
_CONTENT = _VALUE.filter(lambda value: isinstance(value, str | list | dict))
_COUNTS = st.dictionaries(_TEXT, st.integers(0, 2**40), max_size=3)


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": _TEXT, "input": _CONTENT, "output": _CONTENT, "usageDetails": _COUNTS,
            "metadata": st.dictionaries(_TEXT, _VALUE, max_size=4), "statusMessage": _TEXT,
            "costDetails": st.dictionaries(_TEXT, st.floats(0, 1e6), max_size=3), "model": _TEXT,
            "level": st.sampled_from(["DEBUG", "DEFAULT", "WARNING", "ERROR"]),
        },
    )
)  # fmt: skip
def test_any_generation_comes_back(body: Object) -> None:
    """Whatever a generation holds comes back (but empty texts and bare numbers: lossy.md)."""
    body = {key: value for key, value in body.items() if value not in ("", None)}
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        reserved = ("scope", "resourceAttributes", "otel")
        body["metadata"] = {k: v for k, v in metadata.items() if k and k not in reserved}
    sent = encode_batch([{**generation(), "body": {**_body(generation()), "name": "n", **body}}])
    before, after, _ = through_otlp(sent)
    assert comparable(after.observations) == comparable(before.observations)


def _body(one: Object) -> Object:
    return cast("Object", one["body"])


def test_scores() -> None:
    """A score is an evaluation result with the ids of its span, and comes back as it was."""
    bodies: list[Object] = [
        {"id": "a", "name": "n", "value": 0.5, "traceId": "t", "observationId": "o",
         "comment": "c"},
        {"name": "n", "value": "good", "dataType": "CATEGORICAL", "sessionId": "s"},
        {"id": "b", "name": "n", "value": 1, "dataType": "BOOLEAN", "datasetRunId": "r",
         "metadata": {"k": [1]}, "source": "EVAL", "configId": "x", "environment": "e"},
    ]  # fmt: skip
    events = [event("score-create", **body) for body in bodies]
    logs = decode_scores(events)
    assert [one.event for one in scores_from_logs(logs)] == events
    first, second, _ = logs
    assert {log.event_name for log in logs} == {"gen_ai.evaluation.result"}
    assert (first.trace_id, first.span_id) == (ids.trace_id("t"), ids.span_id("o"))
    assert first.attributes["gen_ai.evaluation.score.value"] == 0.5
    assert first.attributes["gen_ai.evaluation.explanation"] == "c"
    assert second.attributes["gen_ai.evaluation.score.label"] == "good"
    assert second.attributes["langfuse.score.session_id"] == "s"
    assert (second.trace_id, second.span_id) == (b"", b"")


def test_the_same_bytes_twice() -> None:
    """Decoding is deterministic."""
    data = (FIXTURES / "langfuse" / "py2_lowlevel.json").read_bytes()
    made = [
        otlp.encode(Signal.TRACES, decode_batch(parse_ingestion(data).events)) for _ in range(2)
    ]
    assert made[0] == made[1]
    assert json.loads(data)["batch"]
