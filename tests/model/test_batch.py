"""A batch means the same whether it is bytes or items, and knows what it costs to ask."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genai_collector.formats import otlp
from genai_collector.model import (
    Batch,
    Compressed,
    Items,
    LogRecord,
    Metric,
    Signal,
    Span,
    count_items,
    merge,
)
from tests.support import strategies
from tests.support.builders import batch, log_batch, log_record, metric, metric_batch, spans
from tests.support.plain import plain

bounded = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class CountingCodec:
    """The real codec, counting its calls."""

    def __init__(self) -> None:
        self.decoded = 0
        self.encoded = 0

    def decode(self, signal: Signal, data: bytes, /) -> Items:
        self.decoded += 1
        return otlp.CODEC.decode(signal, data)

    def encode(self, signal: Signal, items: Items, /) -> bytes:
        self.encoded += 1
        return otlp.CODEC.encode(signal, items)


def _view(batch: Batch) -> Items:
    if batch.signal is Signal.TRACES:
        return batch.view_spans()
    return batch.view_logs() if batch.signal is Signal.LOGS else batch.view_metrics()


def _assert_merge_law(signal: Signal, groups: Sequence[Items], as_bytes: Sequence[bool]) -> None:
    decoded = merge([otlp.batch_of(signal, items) for items in groups])
    encoded = merge(
        [otlp.batch_from_protobuf(signal, otlp.encode(signal, items)) for items in groups]
    )
    mixed = merge(
        [
            otlp.batch_from_protobuf(signal, otlp.encode(signal, items))
            if stays
            else Batch(signal, otlp.CODEC, items=items, size_bytes=1)
            for items, stays in zip(groups, as_bytes, strict=True)
        ]
    )
    wanted = plain([item for items in groups for item in items])
    for merged in (decoded, encoded, mixed):
        assert plain(_view(merged)) == wanted
        assert merged.count == sum(count_items(signal, items) for items in groups)
        assert otlp.check(signal, merged.encoded()) == merged.count


flags = st.lists(st.booleans(), min_size=3, max_size=3)


@bounded
@given(st.lists(strategies.spans, min_size=3, max_size=3), flags)
def test_merge_of_spans(groups: list[list[Span]], as_bytes: list[bool]) -> None:
    """Merging encoded batches equals merging decoded ones equals merging some of each."""
    _assert_merge_law(Signal.TRACES, groups, as_bytes)


@bounded
@given(st.lists(strategies.log_records, min_size=3, max_size=3), flags)
def test_merge_of_logs(groups: list[list[LogRecord]], as_bytes: list[bool]) -> None:
    """The same for log records."""
    _assert_merge_law(Signal.LOGS, groups, as_bytes)


@bounded
@given(st.lists(strategies.metrics, min_size=3, max_size=3), flags)
def test_merge_of_metrics(groups: list[list[Metric]], as_bytes: list[bool]) -> None:
    """The same for metrics."""
    _assert_merge_law(Signal.METRICS, groups, as_bytes)


def test_merge_of_bytes_reads_nothing() -> None:
    """Encoded batches are merged by concatenation, decoding none, and one alone is itself."""
    codec = CountingCodec()
    parts = [otlp.encode(Signal.TRACES, spans(number)) for number in (1, 2)]
    batches = [
        Batch(Signal.TRACES, codec, encoded=data, count=number)
        for number, data in enumerate(parts, start=1)
    ]
    merged = merge(batches)
    assert merged.encoded() == b"".join(parts)
    assert (merged.count, merged.size_bytes) == (3, len(b"".join(parts)))
    assert merge(batches[:1]) is batches[0]
    assert (codec.decoded, codec.encoded) == (0, 0)


def test_untouched_batch_stays_its_bytes() -> None:
    """Viewing decodes once and keeps the bytes; only owning gives them up."""
    codec = CountingCodec()
    data = otlp.encode(Signal.TRACES, spans(2))
    held = Batch(Signal.TRACES, codec, encoded=data, compressed=Compressed("gzip", b"..."))
    assert (held.is_encoded, held.is_decoded, held.size_bytes) == (True, False, len(data))
    assert held.view_spans() is held.view_spans()
    assert held.count == 2
    assert held.encoded() is data
    assert held.compressed == Compressed("gzip", b"...")
    assert (codec.decoded, codec.encoded) == (1, 0)
    held.spans[0].name = "changed"
    assert not held.is_encoded
    assert held.compressed is None
    assert b"changed" in held.encoded()
    assert held.size_bytes == len(held.encoded())
    assert (codec.decoded, codec.encoded) == (1, 1)


def test_items_added_or_removed_are_counted() -> None:
    """The count follows what the owner did to the items."""
    held = batch(3, encoded=True)
    assert held.count == 3
    del held.spans[0]
    assert held.count == 2
    held.spans.clear()
    assert not held
    assert held.encoded() == b""


def test_clone_is_independent() -> None:
    """What is done to a clone is not seen by the original, bytes or items."""
    for original in (batch(2), batch(2, encoded=True)):
        clone = original.clone()
        clone.spans[0].name = "changed"
        clone.spans[1].attributes["new"] = 1
        clone.spans.pop()
        assert [span.name for span in original.view_spans()] == ["span 0", "span 1"]
        assert original.count == 2
        assert clone.count == 1


@pytest.mark.parametrize(
    ("items", "parts", "sizes"),
    [(10, 3, [4, 4, 2]), (2, 5, [1, 1]), (1, 2, [1]), (0, 2, [0]), (4, 1, [4]), (3, 0, [3])],
)
def test_split(items: int, parts: int, sizes: list[int]) -> None:
    """At most so many parts of about the same number of items, in order, nothing lost."""
    whole = batch(items, encoded=True)
    pieces = whole.split(parts)
    assert [piece.count for piece in pieces] == sizes
    assert plain([s for piece in pieces for s in piece.view_spans()]) == plain(whole.view_spans())
    assert sum(piece.size_bytes for piece in pieces) <= whole.size_bytes


def test_with_items_weighs_its_share() -> None:
    """A batch of some of the items weighs about its share of the bytes, without encoding."""
    whole = batch(10, encoded=True)
    some = whole.with_items(whole.view_spans()[:5])
    assert not some.is_encoded
    assert some.size_bytes == whole.size_bytes // 2
    assert some.count == 5


def test_other_signals() -> None:
    """Log records and metrics are reached by their own names; metrics count data points."""
    logs = log_batch(log_record(), log_record())
    assert (logs.count, len(logs.logs), len(logs.view_logs())) == (2, 2, 2)
    metrics = metric_batch(metric(), metric())
    assert (metrics.count, len(metrics.metrics), len(metrics.view_metrics())) == (2, 2, 2)
    with pytest.raises(AssertionError):
        _ = logs.spans
    with pytest.raises(AssertionError):
        metrics.view_spans()
