"""Laws of the codec, for whatever OTLP can say."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genai_collector.formats import otlp
from genai_collector.formats.otlp import CODEC
from genai_collector.model import Items, LogRecord, Metric, Signal, Span, count_items
from tests.formats.otlp.public import parse
from tests.support import strategies
from tests.support.plain import plain

bounded = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _assert_laws(signal: Signal, items: Items) -> None:
    before = plain(items)
    data = otlp.encode(signal, items)
    assert otlp.check(signal, data) == count_items(signal, items)
    decoded = otlp.decode(signal, data)
    assert plain(otlp.decode_json(signal, otlp.encode_json(signal, items)).items) == before
    assert plain(decoded) == before
    assert CODEC.encode(signal, decoded) == data
    assert plain(items) == before


@bounded
@given(strategies.spans)
def test_spans(spans: list[Span]) -> None:
    """decode(encode(x)) == x in protobuf and in JSON, items are counted right, encoding again
    gives the same bytes, and encoding changes nothing."""
    _assert_laws(Signal.TRACES, spans)


@bounded
@given(strategies.log_records)
def test_log_records(records: list[LogRecord]) -> None:
    """The same for log records."""
    _assert_laws(Signal.LOGS, records)


@bounded
@given(strategies.metrics)
def test_metrics(metrics: list[Metric]) -> None:
    """The same for metrics of all five kinds and of none."""
    _assert_laws(Signal.METRICS, metrics)


@bounded
@given(strategies.spans)
def test_untouched_events_are_not_reencoded(spans: list[Span]) -> None:
    """A span whose events and links were never asked for writes the bytes they came in, and one
    whose events were read writes events that mean the same."""
    data = otlp.encode(Signal.TRACES, spans)
    decoded = CODEC.decode(Signal.TRACES, data)
    raw = [(s.encoded_events, s.encoded_links) for s in decoded if isinstance(s, Span)]
    again = CODEC.decode(Signal.TRACES, CODEC.encode(Signal.TRACES, decoded))
    assert [(s.encoded_events, s.encoded_links) for s in again if isinstance(s, Span)] == raw
    for span in decoded:
        assert isinstance(span, Span)
        assert plain(span.read_events()) == plain(span.events)
        assert plain(span.read_links()) == plain(span.links)
        assert span.encoded_events is None or span.encoded_events == []
    assert parse(Signal.TRACES, CODEC.encode(Signal.TRACES, decoded)) == parse(Signal.TRACES, data)


@bounded
@given(st.lists(strategies.attributes(), max_size=4))
def test_memos_never_mix_values(many: list[dict[str, object]]) -> None:
    """However often attributes repeat, and whatever other values their keys had before, each comes
    back with its own value and type."""
    spans = [Span(attributes=each) for each in many * 2]  # type: ignore[arg-type]
    decoded = otlp.decode(Signal.TRACES, otlp.encode(Signal.TRACES, spans))
    assert plain([item.attributes for item in decoded]) == plain(many * 2)  # type: ignore[union-attr]
