"""Hypothesis strategies for everything OTLP can say: values, spans, log records, metrics.

Ids are absent or of the right length, numbers span the whole range of their field, enums are any
int32, doubles are any double. Several items share a resource or a scope, as they do on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

from genai_collector.model import (
    Attributes,
    Buckets,
    EntityRef,
    Event,
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramPoint,
    Gauge,
    Histogram,
    HistogramPoint,
    Link,
    LogRecord,
    Metric,
    MetricData,
    NumberPoint,
    Quantile,
    Resource,
    Scope,
    Span,
    Sum,
    Summary,
    SummaryPoint,
    Value,
)

T = TypeVar("T")

uint32 = st.one_of(st.just(0), st.integers(0, 2**32 - 1))
uint64 = st.one_of(st.just(0), st.integers(0, 2**64 - 1))
int64 = st.integers(-(2**63), 2**63 - 1)
int32 = st.one_of(st.integers(0, 5), st.integers(-(2**31), 2**31 - 1))
doubles = st.floats()
texts = st.one_of(st.just(""), st.text(max_size=12), st.text(max_size=4).map(lambda t: t * 50))
keys = st.one_of(
    st.sampled_from(["gen_ai.request.model", "gen_ai.usage.input_tokens", "a", "b"]),
    st.text(max_size=8),
)
trace_ids = st.one_of(st.just(b""), st.binary(min_size=16, max_size=16))
span_ids = st.one_of(st.just(b""), st.binary(min_size=8, max_size=8))

scalars: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    int64,
    # Small numbers in every type, so that 0, False, 0.0 and -0.0 meet under one key.
    st.sampled_from([0, 1, True, False, 0.0, -0.0, 1.0, "", "0", "1", b"", b"1"]),
    doubles,
    texts,
    st.binary(max_size=8),
)
values: st.SearchStrategy[Value] = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)


def attributes(max_size: int = 4) -> st.SearchStrategy[Attributes]:
    return st.dictionaries(keys, values, max_size=max_size)


entity_refs = st.builds(
    EntityRef,
    type=texts,
    id_keys=st.lists(texts, max_size=2),
    description_keys=st.lists(texts, max_size=2),
    schema_url=texts,
)
resources = st.builds(
    Resource,
    attributes=attributes(),
    dropped_attributes_count=uint32,
    entity_refs=st.lists(entity_refs, max_size=2),
    schema_url=texts,
)
scopes = st.builds(
    Scope,
    name=texts,
    version=texts,
    attributes=attributes(),
    dropped_attributes_count=uint32,
    schema_url=texts,
)
events = st.builds(
    Event,
    name=texts,
    time_ns=uint64,
    attributes=attributes(),
    dropped_attributes_count=uint32,
)
links = st.builds(
    Link,
    trace_id=trace_ids,
    span_id=span_ids,
    trace_state=texts,
    attributes=attributes(),
    dropped_attributes_count=uint32,
    flags=uint32,
)


def _span(shared: dict[str, st.SearchStrategy[object]]) -> st.SearchStrategy[Span]:
    return st.builds(
        Span,
        trace_id=trace_ids,
        span_id=span_ids,
        parent_span_id=span_ids,
        trace_state=texts,
        flags=uint32,
        name=texts,
        kind=int32,
        start_ns=uint64,
        end_ns=uint64,
        attributes=attributes(),
        events=st.lists(events, max_size=2),
        links=st.lists(links, max_size=2),
        status_code=int32,
        status_message=texts,
        dropped_attributes_count=uint32,
        dropped_events_count=uint32,
        dropped_links_count=uint32,
        **shared,
    )


def _log_record(shared: dict[str, st.SearchStrategy[object]]) -> st.SearchStrategy[LogRecord]:
    return st.builds(
        LogRecord,
        time_ns=uint64,
        observed_time_ns=uint64,
        severity_number=int32,
        severity_text=texts,
        body=values,
        attributes=attributes(),
        dropped_attributes_count=uint32,
        flags=uint32,
        trace_id=trace_ids,
        span_id=span_ids,
        event_name=texts,
        **shared,
    )


exemplars = st.builds(
    Exemplar,
    time_ns=uint64,
    value=st.one_of(st.none(), int64, doubles),
    trace_id=trace_ids,
    span_id=span_ids,
    filtered_attributes=attributes(2),
)
optional_doubles = st.one_of(st.none(), doubles)
number_points = st.builds(
    NumberPoint,
    attributes=attributes(2),
    start_ns=uint64,
    time_ns=uint64,
    value=st.one_of(st.none(), int64, doubles),
    exemplars=st.lists(exemplars, max_size=1),
    flags=uint32,
)
histogram_points = st.builds(
    HistogramPoint,
    attributes=attributes(2),
    start_ns=uint64,
    time_ns=uint64,
    count=uint64,
    sum=optional_doubles,
    bucket_counts=st.lists(uint64, max_size=3),
    explicit_bounds=st.lists(doubles, max_size=3),
    exemplars=st.lists(exemplars, max_size=1),
    flags=uint32,
    min=optional_doubles,
    max=optional_doubles,
)
buckets = st.builds(Buckets, offset=int32, bucket_counts=st.lists(uint64, max_size=3))
exponential_points = st.builds(
    ExponentialHistogramPoint,
    attributes=attributes(2),
    start_ns=uint64,
    time_ns=uint64,
    count=uint64,
    sum=optional_doubles,
    scale=int32,
    zero_count=uint64,
    positive=st.one_of(st.none(), buckets),
    negative=st.one_of(st.none(), buckets),
    flags=uint32,
    exemplars=st.lists(exemplars, max_size=1),
    min=optional_doubles,
    max=optional_doubles,
    zero_threshold=doubles,
)
summary_points = st.builds(
    SummaryPoint,
    attributes=attributes(2),
    start_ns=uint64,
    time_ns=uint64,
    count=uint64,
    sum=doubles,
    quantiles=st.lists(st.builds(Quantile, quantile=doubles, value=doubles), max_size=2),
    flags=uint32,
)
metric_data: st.SearchStrategy[MetricData] = st.one_of(
    st.builds(Gauge, points=st.lists(number_points, max_size=2)),
    st.builds(
        Sum,
        points=st.lists(number_points, max_size=2),
        temporality=int32,
        is_monotonic=st.booleans(),
    ),
    st.builds(Histogram, points=st.lists(histogram_points, max_size=2), temporality=int32),
    st.builds(
        ExponentialHistogram, points=st.lists(exponential_points, max_size=2), temporality=int32
    ),
    st.builds(Summary, points=st.lists(summary_points, max_size=2)),
)


def _metric(shared: dict[str, st.SearchStrategy[object]]) -> st.SearchStrategy[Metric]:
    return st.builds(
        Metric,
        name=texts,
        description=texts,
        unit=texts,
        data=st.one_of(st.none(), metric_data),
        metadata=attributes(2),
        **shared,
    )


def _lists_of(
    item: Callable[[dict[str, st.SearchStrategy[object]]], st.SearchStrategy[T]],
) -> st.SearchStrategy[list[T]]:
    """Up to three items over up to two resources and two scopes, in any order."""

    def over(owners: tuple[list[Resource], list[Scope]]) -> st.SearchStrategy[list[T]]:
        shared: dict[str, st.SearchStrategy[object]] = {
            "resource": st.sampled_from(owners[0]),
            "scope": st.sampled_from(owners[1]),
        }
        return st.lists(item(shared), max_size=3)

    owners = st.tuples(
        st.lists(resources, min_size=1, max_size=2), st.lists(scopes, min_size=1, max_size=2)
    )
    return owners.flatmap(over)


spans = _lists_of(_span)
log_records = _lists_of(_log_record)
metrics = _lists_of(_metric)
