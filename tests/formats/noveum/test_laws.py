"""The two laws: record -> span -> record and span -> record -> span are exact."""

from __future__ import annotations

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genai_collector.errors import DecodeError
from genai_collector.formats import noveum, otlp
from genai_collector.formats.equal import same_span
from genai_collector.formats.noveum import Record, Spelling
from genai_collector.formats.residual import same
from genai_collector.model import Resource, Signal, Span, Value
from tests.formats.noveum.material import (
    IDS,
    JSON_VALUES,
    RECORD,
    RECORDS,
    SPANS,
    VALUES,
    mutations,
)
from tests.support.captures import shared

MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON_OBJECTS: st.SearchStrategy[Record] = st.fixed_dictionaries(
    {},
    optional={
        "timestamp": JSON_VALUES,
        "name": JSON_VALUES,
        "resource": JSON_VALUES,
        "attributes": st.fixed_dictionaries(
            {}, optional={"metadata": JSON_VALUES, "otel": JSON_VALUES, "request": JSON_VALUES}
        ),
        "x": JSON_VALUES,
    },
)
SPAN_CAPTURES = ["openlit", "openlit_1_34", "otel_openai_v2", "traceloop", "pydantic_ai"]


def over_the_wire(spans: list[Span]) -> list[Span]:
    """The spans as another collector would get them from us over OTLP."""
    found = otlp.decode(Signal.TRACES, otlp.encode(Signal.TRACES, spans))
    assert all(isinstance(span, Span) for span in found)
    return [span for span in found if isinstance(span, Span)]


def back_to_record(record: Value) -> Record:
    [again] = noveum.encode_spans(over_the_wire(noveum.decode_records([record])))
    return again


@pytest.mark.parametrize("record", RECORDS, ids=IDS)
def test_recorded_records_are_exact(record: Record) -> None:
    """Each recorded record comes back the same, over OTLP and through JSON bytes."""
    again = back_to_record(record)
    assert same(again, record)
    assert noveum.parse(noveum.dump(again)) == [record]


@pytest.mark.parametrize("record", RECORDS, ids=IDS)
def test_decoding_is_deterministic(record: Record) -> None:
    """The same record twice, its keys in another order, is the same span: no new call."""
    shuffled = {key: record[key] for key in reversed(record)}
    [first] = noveum.decode_records([record])
    [second] = noveum.decode_records([copy.deepcopy(shuffled)])
    assert same_span(first, second)
    assert len(first.trace_id) == 16
    assert len(first.span_id) == 8


def test_ids_differ_between_records() -> None:
    """The gateway's ids are short, so the time tells records of one id apart."""
    record = RECORDS[0]
    later = {**record, "timestamp": "2025-03-05T16:03:20.124Z"}
    first, second = noveum.decode_records([record, later])
    assert first.trace_id != second.trace_id
    assert first.span_id != second.span_id


@given(mutations(RECORD))
@MANY
def test_mutated_records_are_exact(record: Record) -> None:
    """Wrong types, missing and unknown keys, odd numbers: exact, and nothing raises."""
    again = back_to_record(record)
    assert same(again, record)
    [parsed] = noveum.parse(noveum.dump(again))
    assert same(parsed, record)


@given(st.data())
@MANY
def test_any_object_is_exact(data: st.DataObject) -> None:
    """Any JSON object at all survives as a span."""
    record = data.draw(mutations(st.just(data.draw(JSON_OBJECTS))))
    assert same(back_to_record(record), record)


@given(st.lists(SPANS, max_size=3), st.sampled_from(["gateway", "seed"]))
@MANY
def test_any_span_is_exact(spans: list[Span], spelling: Spelling) -> None:
    """Every OTLP field survives a record's JSON bytes, whatever the span claims about itself."""
    records = noveum.encode_spans(spans, spelling=spelling)
    arrived = noveum.parse(b"[" + b",".join(map(noveum.dump, records)) + b"]")
    again = noveum.decode_records(arrived)
    assert len(again) == len(spans)
    assert all(map(same_span, again, spans))


@given(st.data(), st.sampled_from(["gateway", "seed"]))
@MANY
def test_changed_records_of_spans_are_exact(data: st.DataObject, spelling: Spelling) -> None:
    """A record that was made from a span and changed by somebody keeps its changes."""
    [made] = noveum.encode_spans([data.draw(SPANS)], spelling=spelling)
    record = data.draw(mutations(st.just(made)))
    try:
        spans = noveum.decode_records([record])
    except DecodeError:
        pytest.fail("a JSON object is always a record")
    [again] = noveum.encode_spans(spans, spelling=spelling)
    assert same(again, record)
    [span] = noveum.decode_records([again])
    assert same_span(span, spans[0])


@given(RECORD, st.text(max_size=5), VALUES)
@MANY
def test_changed_spans_of_records_are_exact(record: Record, key: str, value: Value) -> None:
    """A span that was a record keeps what a processor did to it, beside the record's members."""
    [span] = noveum.decode_records([record])
    span.attributes[key] = value
    span.name = "renamed"
    span.resource = Resource({**span.resource.attributes, "team": value})
    [made] = noveum.encode_spans([span])
    [arrived] = noveum.parse(noveum.dump(made))
    [again] = noveum.decode_records([arrived])
    assert same_span(again, span)
    assert made["attributes"]["id"] == record["attributes"]["id"]  # type: ignore[index,call-overload]


@pytest.mark.parametrize("folder", SPAN_CAPTURES)
@pytest.mark.parametrize("spelling", ["gateway", "seed"])
def test_captured_spans_are_exact(folder: str, spelling: Spelling) -> None:
    """Spans recorded from real libraries come back the same."""
    files = sorted(shared(f"captures/{folder}").glob("*.traces.pb"))
    assert files
    for file in files:
        spans = [s for s in otlp.decode(Signal.TRACES, file.read_bytes()) if isinstance(s, Span)]
        records = noveum.encode_spans(spans, spelling=spelling)
        again = noveum.decode_records([noveum.parse(noveum.dump(record))[0] for record in records])
        assert all(map(same_span, again, spans)), file.name


@pytest.mark.parametrize(
    "record",
    [None, 5, "x", [], {"a": {1, 2}}, {"a": b"bytes"}, {"attributes": {"request": object()}}],
    ids=repr,
)
def test_what_is_no_record_is_refused(record: Value) -> None:
    """What JSON cannot say raises DecodeError and nothing else, with the record's place."""
    with pytest.raises(DecodeError, match="record 1: "):
        noveum.decode_records([RECORDS[0], record])


def test_deep_nesting_is_refused() -> None:
    """Nesting is bounded, on both sides of the bound without any other error."""
    for levels in (150, 190, 199, 200, 250, 900, 5000):
        deep: Value = "end"
        for _ in range(levels):
            deep = [deep]
        record: Record = {"attributes": {"request": deep}}
        if levels <= 190:
            assert same(back_to_record(record), record)
        elif levels >= 200:
            with pytest.raises(DecodeError, match="nested deeper"):
                noveum.decode_records([record])
