"""What the door checks: every nested field is valid, and how many items there are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from genai_collector.errors import DecodeError
from genai_collector.formats import otlp
from genai_collector.formats.otlp import CODEC
from genai_collector.formats.otlp.wire import delimited
from genai_collector.model import (
    Event,
    Gauge,
    Histogram,
    HistogramPoint,
    Items,
    LogRecord,
    Metric,
    NumberPoint,
    Signal,
    Span,
    Summary,
)
from tests.support.builders import log_record, metric, spans


@pytest.mark.parametrize(
    ("signal", "items", "count"),
    [
        (Signal.TRACES, [], 0),
        (Signal.TRACES, spans(3), 3),
        (Signal.LOGS, [log_record(), LogRecord()], 2),
        (
            Signal.METRICS,
            [
                metric(Gauge(points=[NumberPoint(), NumberPoint()])),
                metric(Histogram(points=[HistogramPoint()])),
                metric(Summary()),
                Metric(name="none of the five"),
            ],
            3,
        ),
    ],
)
def test_counts(signal: Signal, items: Items, count: int) -> None:
    """Spans, log records, and data points of metrics; an empty request is fine."""
    data = otlp.encode(signal, items)
    assert otlp.check(signal, data) == count
    assert otlp.batch_from_protobuf(signal, data).count == count
    assert otlp.batch_of(signal, items).count == count


def _nested(*fields: int) -> Iterator[bytes]:
    """Malformed content at the end of a path of length-delimited fields: a cut off varint, a
    length beyond the end, wire type 7."""
    for broken in (b"\x80", b"\x0a\x05ab", b"\x0f"):
        body = broken
        for field in reversed(fields):
            body = delimited(bytes((field << 3 | 2,)), body)
        yield body


@pytest.mark.parametrize(
    "fields",
    [(), (1,), (1, 1), (1, 1, 1), (1, 2), (1, 2, 1), (1, 2, 2), (1, 2, 2, 9), (1, 2, 2, 9, 2),
     (1, 2, 2, 11), (1, 2, 2, 11, 3), (1, 2, 2, 11, 3, 2), (1, 2, 2, 13), (1, 2, 2, 15)],
)  # fmt: skip
def test_malformed_at_every_depth(fields: tuple[int, ...]) -> None:
    """Damage inside any submessage is refused at the door, also inside those that we leave
    encoded until someone reads them."""
    for data in _nested(*fields):
        for read in (otlp.check, otlp.decode, otlp.batch_from_protobuf):
            with pytest.raises(DecodeError, match="not an OTLP traces request") as caught:
                read(Signal.TRACES, data)
            assert caught.value.data_fault


def test_unchecked_damage_in_events_is_a_decode_error() -> None:
    """Whoever skips the door gets a DecodeError when events are read, as for any damage."""
    good = otlp.encode(Signal.TRACES, [Span(events=[Event("EVENT", 1)])])
    (span,) = CODEC.decode(Signal.TRACES, good.replace(b"EVENT", b"\xff\xff\xff\xff\xff"))
    assert isinstance(span, Span)
    with pytest.raises(DecodeError):
        _ = span.events


def test_truncation() -> None:
    """A request cut off anywhere is refused or, at the seam of two messages, shorter."""
    data = otlp.encode(Signal.TRACES, [Span(name="a")]) + otlp.encode(Signal.TRACES, [Span()])
    counts = []
    for size in range(len(data)):
        try:
            counts.append(otlp.check(Signal.TRACES, data[:size]))
        except DecodeError:
            continue
    assert counts == [0, 1]


def test_unknown_fields_are_tolerated() -> None:
    """Fields from the future do not hurt; they live as long as the batch stays bytes."""
    data = otlp.encode(Signal.TRACES, [Span(name="a")]) + delimited(b"\x92\x3f", b"future")
    assert otlp.check(Signal.TRACES, data) == 1
    assert otlp.batch_from_protobuf(Signal.TRACES, data).encoded() == data
    assert len(otlp.decode(Signal.TRACES, data)) == 1


def test_untouched_events_keep_what_we_do_not_know() -> None:
    """Events and links that nobody asked for are written byte for byte, unknown fields included."""
    event, link = delimited(b"\x92\x3f", b"future"), delimited(b"\x92\x3f", b"later")
    span = delimited(b"\x5a", event) + delimited(b"\x6a", link)
    data = delimited(b"\x0a", delimited(b"\x12", delimited(b"\x12", span)))
    items = otlp.decode(Signal.TRACES, data)
    assert otlp.encode(Signal.TRACES, items) == data
