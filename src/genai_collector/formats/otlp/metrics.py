"""Metrics of all five kinds, protobuf in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from genai_collector.formats.otlp import wire
from genai_collector.formats.otlp.envelope import read_items, write_request
from genai_collector.formats.otlp.messages import (
    BucketsMessage,
    ExemplarMessage,
    ExponentialHistogramPointMessage,
    HistogramPointMessage,
    MetricMessage,
    NumberPointMessage,
    SummaryPointMessage,
    parse_metrics,
)
from genai_collector.formats.otlp.values import AttributesField, read_attributes
from genai_collector.model import (
    Buckets,
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramPoint,
    Gauge,
    Histogram,
    HistogramPoint,
    Metric,
    MetricData,
    NumberPoint,
    Quantile,
    Resource,
    Scope,
    Sum,
    Summary,
    SummaryPoint,
)

# --- decode ---------------------------------------------------------------------------------


def decode_metrics(data: bytes) -> list[Metric]:
    return read_items(parse_metrics(data), _read_metric)


def _read_metric(message: MetricMessage, resource: Resource, scope: Scope) -> Metric:
    return Metric(
        name=message.name,
        description=message.description,
        unit=message.unit,
        data=_read_data(message),
        metadata=read_attributes(message.metadata),
        resource=resource,
        scope=scope,
    )


def _read_data(message: MetricMessage) -> MetricData | None:
    which = message.WhichOneof("data")
    if which == "gauge":
        return Gauge(points=_read_numbers(message.gauge.data_points))
    if which == "sum":
        total = message.sum
        return Sum(
            points=_read_numbers(total.data_points),
            temporality=total.aggregation_temporality,
            is_monotonic=total.is_monotonic,
        )
    if which == "histogram":
        return Histogram(
            points=[_read_histogram(point) for point in message.histogram.data_points],
            temporality=message.histogram.aggregation_temporality,
        )
    if which == "exponential_histogram":
        exponential = message.exponential_histogram
        return ExponentialHistogram(
            points=[_read_exponential(point) for point in exponential.data_points],
            temporality=exponential.aggregation_temporality,
        )
    if which == "summary":
        return Summary(points=[_read_summary(point) for point in message.summary.data_points])
    return None


def _read_number_value(message: NumberPointMessage | ExemplarMessage) -> int | float | None:
    which = message.WhichOneof("value")
    if which == "as_int":
        return message.as_int
    return message.as_double if which == "as_double" else None


def _read_exemplars(messages: Iterable[ExemplarMessage]) -> list[Exemplar]:
    return [
        Exemplar(
            time_ns=message.time_unix_nano,
            value=_read_number_value(message),
            trace_id=message.trace_id,
            span_id=message.span_id,
            filtered_attributes=read_attributes(message.filtered_attributes),
        )
        for message in messages
    ]


def _read_numbers(messages: Iterable[NumberPointMessage]) -> list[NumberPoint]:
    return [
        NumberPoint(
            attributes=read_attributes(message.attributes),
            start_ns=message.start_time_unix_nano,
            time_ns=message.time_unix_nano,
            value=_read_number_value(message),
            exemplars=_read_exemplars(message.exemplars),
            flags=message.flags,
        )
        for message in messages
    ]


def _read_histogram(message: HistogramPointMessage) -> HistogramPoint:
    has = message.HasField
    return HistogramPoint(
        attributes=read_attributes(message.attributes),
        start_ns=message.start_time_unix_nano,
        time_ns=message.time_unix_nano,
        count=message.count,
        sum=message.sum if has("sum") else None,
        bucket_counts=list(message.bucket_counts),
        explicit_bounds=list(message.explicit_bounds),
        exemplars=_read_exemplars(message.exemplars),
        flags=message.flags,
        min=message.min if has("min") else None,
        max=message.max if has("max") else None,
    )


def _read_exponential(message: ExponentialHistogramPointMessage) -> ExponentialHistogramPoint:
    has = message.HasField
    return ExponentialHistogramPoint(
        attributes=read_attributes(message.attributes),
        start_ns=message.start_time_unix_nano,
        time_ns=message.time_unix_nano,
        count=message.count,
        sum=message.sum if has("sum") else None,
        scale=message.scale,
        zero_count=message.zero_count,
        positive=_read_buckets(message.positive) if has("positive") else None,
        negative=_read_buckets(message.negative) if has("negative") else None,
        flags=message.flags,
        exemplars=_read_exemplars(message.exemplars),
        min=message.min if has("min") else None,
        max=message.max if has("max") else None,
        zero_threshold=message.zero_threshold,
    )


def _read_buckets(message: BucketsMessage) -> Buckets:
    return Buckets(offset=message.offset, bucket_counts=list(message.bucket_counts))


def _read_summary(message: SummaryPointMessage) -> SummaryPoint:
    return SummaryPoint(
        attributes=read_attributes(message.attributes),
        start_ns=message.start_time_unix_nano,
        time_ns=message.time_unix_nano,
        count=message.count,
        sum=message.sum,
        quantiles=[Quantile(quantile=q.quantile, value=q.value) for q in message.quantile_values],
        flags=message.flags,
    )


# --- encode ---------------------------------------------------------------------------------

_NAME: Final = wire.StringField("metric.name", 1)
_DESCRIPTION: Final = wire.StringField("metric.description", 2)
_UNIT: Final = wire.StringField("metric.unit", 3)
_GAUGE: Final = wire.BytesField("metric.gauge", 5)
_SUM: Final = wire.BytesField("metric.sum", 7)
_HISTOGRAM: Final = wire.BytesField("metric.histogram", 9)
_EXPONENTIAL: Final = wire.BytesField("metric.exponential_histogram", 10)
_SUMMARY: Final = wire.BytesField("metric.summary", 11)
_METADATA: Final = AttributesField(12, levels=95)

_POINT: Final = wire.BytesField("data_points", 1)
_TEMPORALITY: Final = wire.enum_field("aggregation_temporality", 2)
_MONOTONIC: Final = wire.VarintField("is_monotonic", 3, 0, 1)

# Field numbers that number, histogram and summary points share.
_START: Final = wire.Fixed64Field("point.start_ns", 2)
_TIME: Final = wire.Fixed64Field("point.time_ns", 3)
_COUNT: Final = wire.Fixed64Field("point.count", 4)
_POINT_SUM: Final = wire.DoubleField("point.sum", 5)
_ATTRIBUTES_7: Final = AttributesField(7, levels=93)
_FLAGS_8: Final = wire.uint32_field("point.flags", 8)
_FLAGS_10: Final = wire.uint32_field("point.flags", 10)

_NUMBER_VALUE: Final = wire.NumberValue(as_double=4, as_int=6)
_NUMBER_EXEMPLAR: Final = wire.BytesField("number_point.exemplars", 5)

_HISTOGRAM_BUCKETS: Final = wire.BytesField("histogram_point.bucket_counts", 6)
_HISTOGRAM_BOUNDS: Final = wire.BytesField("histogram_point.explicit_bounds", 7)
_HISTOGRAM_EXEMPLAR: Final = wire.BytesField("histogram_point.exemplars", 8)
_HISTOGRAM_ATTRIBUTES: Final = AttributesField(9, levels=93)
_HISTOGRAM_MIN: Final = wire.DoubleField("histogram_point.min", 11)
_HISTOGRAM_MAX: Final = wire.DoubleField("histogram_point.max", 12)

_EXP_ATTRIBUTES: Final = AttributesField(1, levels=93)
_EXP_SCALE: Final = wire.SintField("exponential_point.scale", 6)
_EXP_ZERO_COUNT: Final = wire.Fixed64Field("exponential_point.zero_count", 7)
_EXP_POSITIVE: Final = wire.BytesField("exponential_point.positive", 8)
_EXP_NEGATIVE: Final = wire.BytesField("exponential_point.negative", 9)
_EXP_EXEMPLAR: Final = wire.BytesField("exponential_point.exemplars", 11)
_EXP_MIN: Final = wire.DoubleField("exponential_point.min", 12)
_EXP_MAX: Final = wire.DoubleField("exponential_point.max", 13)
_EXP_ZERO_THRESHOLD: Final = wire.DoubleField("exponential_point.zero_threshold", 14)
_BUCKETS_OFFSET: Final = wire.SintField("buckets.offset", 1)
_BUCKETS_COUNTS: Final = wire.BytesField("buckets.bucket_counts", 2)

_SUMMARY_QUANTILE: Final = wire.BytesField("summary_point.quantiles", 6)
_QUANTILE: Final = wire.DoubleField("quantile.quantile", 1)
_QUANTILE_VALUE: Final = wire.DoubleField("quantile.value", 2)

_EXEMPLAR_TIME: Final = wire.Fixed64Field("exemplar.time_ns", 2)
_EXEMPLAR_VALUE: Final = wire.NumberValue(as_double=3, as_int=6)
_EXEMPLAR_SPAN_ID: Final = wire.BytesField("exemplar.span_id", 4)
_EXEMPLAR_TRACE_ID: Final = wire.BytesField("exemplar.trace_id", 5)
_EXEMPLAR_ATTRIBUTES: Final = AttributesField(7, levels=92)


def encode_metrics(metrics: list[Metric]) -> bytes:
    return write_request(metrics, _write_metric)


def _write_metric(metric: Metric) -> bytes:
    return b"".join(
        [
            _NAME.write(metric.name),
            _DESCRIPTION.write(metric.description),
            _UNIT.write(metric.unit),
            _write_data(metric.data),
            _METADATA.write(metric.metadata),
        ]
    )


def _write_data(data: MetricData | None) -> bytes:
    if data is None:
        return b""
    if isinstance(data, Gauge):
        return _GAUGE.write_present(_points([_write_number(p) for p in data.points]))
    if isinstance(data, Summary):
        return _SUMMARY.write_present(_points([_write_summary(p) for p in data.points]))
    temporality = _TEMPORALITY.write(data.temporality)
    if isinstance(data, Sum):
        body = _points([_write_number(p) for p in data.points]) + temporality
        return _SUM.write_present(body + _MONOTONIC.write(data.is_monotonic))
    if isinstance(data, Histogram):
        body = _points([_write_histogram(p) for p in data.points])
        return _HISTOGRAM.write_present(body + temporality)
    body = _points([_write_exponential(p) for p in data.points])
    return _EXPONENTIAL.write_present(body + temporality)


def _points(points: Sequence[bytes]) -> bytes:
    return b"".join([_POINT.write_present(point) for point in points])


def _exemplars(field: wire.BytesField, exemplars: Sequence[Exemplar]) -> bytes:
    return b"".join([field.write_present(_write_exemplar(each)) for each in exemplars])


def _write_exemplar(exemplar: Exemplar) -> bytes:
    return b"".join(
        [
            _EXEMPLAR_TIME.write(exemplar.time_ns),
            _EXEMPLAR_VALUE.write(exemplar.value),
            _EXEMPLAR_SPAN_ID.write(exemplar.span_id),
            _EXEMPLAR_TRACE_ID.write(exemplar.trace_id),
            _EXEMPLAR_ATTRIBUTES.write(exemplar.filtered_attributes),
        ]
    )


def _write_number(point: NumberPoint) -> bytes:
    return b"".join(
        [
            _START.write(point.start_ns),
            _TIME.write(point.time_ns),
            _NUMBER_VALUE.write(point.value),
            _exemplars(_NUMBER_EXEMPLAR, point.exemplars),
            _ATTRIBUTES_7.write(point.attributes),
            _FLAGS_8.write(point.flags),
        ]
    )


def _write_histogram(point: HistogramPoint) -> bytes:
    return b"".join(
        [
            _START.write(point.start_ns),
            _TIME.write(point.time_ns),
            _COUNT.write(point.count),
            _POINT_SUM.write_optional(point.sum),
            _HISTOGRAM_BUCKETS.write(wire.fixed64s(point.bucket_counts)),
            _HISTOGRAM_BOUNDS.write(wire.doubles(point.explicit_bounds)),
            _exemplars(_HISTOGRAM_EXEMPLAR, point.exemplars),
            _HISTOGRAM_ATTRIBUTES.write(point.attributes),
            _FLAGS_10.write(point.flags),
            _HISTOGRAM_MIN.write_optional(point.min),
            _HISTOGRAM_MAX.write_optional(point.max),
        ]
    )


def _write_exponential(point: ExponentialHistogramPoint) -> bytes:
    return b"".join(
        [
            _EXP_ATTRIBUTES.write(point.attributes),
            _START.write(point.start_ns),
            _TIME.write(point.time_ns),
            _COUNT.write(point.count),
            _POINT_SUM.write_optional(point.sum),
            _EXP_SCALE.write(point.scale),
            _EXP_ZERO_COUNT.write(point.zero_count),
            _write_buckets(_EXP_POSITIVE, point.positive),
            _write_buckets(_EXP_NEGATIVE, point.negative),
            _FLAGS_10.write(point.flags),
            _exemplars(_EXP_EXEMPLAR, point.exemplars),
            _EXP_MIN.write_optional(point.min),
            _EXP_MAX.write_optional(point.max),
            _EXP_ZERO_THRESHOLD.write(point.zero_threshold),
        ]
    )


def _write_buckets(field: wire.BytesField, buckets: Buckets | None) -> bytes:
    if buckets is None:
        return b""
    counts = _BUCKETS_COUNTS.write(wire.uint64s(buckets.bucket_counts))
    return field.write_present(_BUCKETS_OFFSET.write(buckets.offset) + counts)


def _write_summary(point: SummaryPoint) -> bytes:
    quantiles = [
        _SUMMARY_QUANTILE.write_present(
            _QUANTILE.write(q.quantile) + _QUANTILE_VALUE.write(q.value)
        )
        for q in point.quantiles
    ]
    return b"".join(
        [
            _START.write(point.start_ns),
            _TIME.write(point.time_ns),
            _COUNT.write(point.count),
            _POINT_SUM.write(point.sum),
            *quantiles,
            _ATTRIBUTES_7.write(point.attributes),
            _FLAGS_8.write(point.flags),
        ]
    )
