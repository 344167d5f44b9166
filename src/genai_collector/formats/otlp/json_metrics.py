"""Metrics in OTLP/JSON, both directions. Mirrors `metrics`.

A fault in a data point rejects that point; a fault in the metric around it rejects the metric
with all its points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from opentelemetry.proto.metrics.v1 import metrics_pb2

from genai_collector.formats.otlp import json_fields as fields
from genai_collector.formats.otlp import wire
from genai_collector.formats.otlp.json_envelope import Names
from genai_collector.formats.otlp.json_fields import (
    INT32,
    INT64,
    UINT32,
    UINT64,
    Fault,
    JsonObject,
    T,
    compact,
)
from genai_collector.formats.otlp.json_values import read_attributes, write_attributes
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

NAMES: Final = Names("resourceMetrics", "scopeMetrics", "metrics")

_TEMPORALITIES: Final = dict(metrics_pb2.AggregationTemporality.items())


# --- read -----------------------------------------------------------------------------------


def read_metric(
    entry: JsonObject, resource: Resource, scope: Scope, faults: list[Fault]
) -> Metric | None:
    """The metric with its readable points; None if it had points and none was readable."""
    try:
        metric = Metric(
            name=fields.string(entry, "name"),
            description=fields.string(entry, "description"),
            unit=fields.string(entry, "unit"),
            metadata=read_attributes(entry, "metadata"),
            resource=resource,
            scope=scope,
        )
        metric.data = _read_data(entry, faults)
    except Fault as fault:
        faults.clear()
        fault.items = _points_in(entry)
        raise
    return None if faults and not metric.points else metric


def _points_in(entry: JsonObject) -> int:
    counted = 0
    for name in _READERS:
        data = entry.get(name)
        points = data.get("dataPoints") if isinstance(data, dict) else None
        counted += len(points) if isinstance(points, list) else 0
    return max(1, counted)


def _read_data(entry: JsonObject, faults: list[Fault]) -> MetricData | None:
    data: MetricData | None = None
    for name, read in _READERS.items():
        content = fields.child(entry, name)
        if content is not None:
            try:
                data = read(content, _Points(name, faults))
            except Fault as fault:
                raise fault.under(name) from None
    return data


class _Points(NamedTuple):
    """Reads data points one by one; a fault is noted and costs only its own point."""

    metric_kind: str
    faults: list[Fault]

    def read(self, owner: JsonObject, read: Callable[[JsonObject], T]) -> list[T]:
        points: list[T] = []
        for index, entry in enumerate(fields.array(owner, "dataPoints")):
            try:
                points.append(read(fields.to_object(entry, "")))
            except Fault as fault:
                self.faults.append(fault.under(f"{self.metric_kind}.dataPoints[{index}]"))
        return points


def _temporality(owner: JsonObject) -> int:
    return fields.enum(owner, "aggregationTemporality", _TEMPORALITIES)


def _read_gauge(owner: JsonObject, points: _Points) -> MetricData:
    return Gauge(points=points.read(owner, _read_number))


def _read_sum(owner: JsonObject, points: _Points) -> MetricData:
    return Sum(
        points=points.read(owner, _read_number),
        temporality=_temporality(owner),
        is_monotonic=fields.boolean(owner, "isMonotonic"),
    )


def _read_histogram(owner: JsonObject, points: _Points) -> MetricData:
    return Histogram(
        points=points.read(owner, _read_histogram_point), temporality=_temporality(owner)
    )


def _read_exponential(owner: JsonObject, points: _Points) -> MetricData:
    return ExponentialHistogram(
        points=points.read(owner, _read_exponential_point), temporality=_temporality(owner)
    )


def _read_summary(owner: JsonObject, points: _Points) -> MetricData:
    return Summary(points=points.read(owner, _read_summary_point))


_READERS: Final[dict[str, Callable[[JsonObject, _Points], MetricData]]] = {
    "gauge": _read_gauge,
    "sum": _read_sum,
    "histogram": _read_histogram,
    "exponentialHistogram": _read_exponential,
    "summary": _read_summary,
}


def _read_value(owner: JsonObject) -> int | float | None:
    as_int = owner.get("asInt")
    if as_int is not None:
        return fields.to_integer(as_int, "asInt", INT64)
    return fields.optional_double(owner, "asDouble")


def _read_exemplar(entry: JsonObject) -> Exemplar:
    return Exemplar(
        time_ns=fields.integer(entry, "timeUnixNano", UINT64),
        value=_read_value(entry),
        trace_id=fields.identifier(entry, "traceId", 16),
        span_id=fields.identifier(entry, "spanId", 8),
        filtered_attributes=read_attributes(entry, "filteredAttributes"),
    )


def _read_number(entry: JsonObject) -> NumberPoint:
    return NumberPoint(
        attributes=read_attributes(entry),
        start_ns=fields.integer(entry, "startTimeUnixNano", UINT64),
        time_ns=fields.integer(entry, "timeUnixNano", UINT64),
        value=_read_value(entry),
        exemplars=fields.each(entry, "exemplars", _read_exemplar),
        flags=fields.integer(entry, "flags", UINT32),
    )


def _read_histogram_point(entry: JsonObject) -> HistogramPoint:
    return HistogramPoint(
        attributes=read_attributes(entry),
        start_ns=fields.integer(entry, "startTimeUnixNano", UINT64),
        time_ns=fields.integer(entry, "timeUnixNano", UINT64),
        count=fields.integer(entry, "count", UINT64),
        sum=fields.optional_double(entry, "sum"),
        bucket_counts=fields.scalars(entry, "bucketCounts", fields.to_uint64),
        explicit_bounds=fields.scalars(entry, "explicitBounds", fields.to_double),
        exemplars=fields.each(entry, "exemplars", _read_exemplar),
        flags=fields.integer(entry, "flags", UINT32),
        min=fields.optional_double(entry, "min"),
        max=fields.optional_double(entry, "max"),
    )


def _read_exponential_point(entry: JsonObject) -> ExponentialHistogramPoint:
    return ExponentialHistogramPoint(
        attributes=read_attributes(entry),
        start_ns=fields.integer(entry, "startTimeUnixNano", UINT64),
        time_ns=fields.integer(entry, "timeUnixNano", UINT64),
        count=fields.integer(entry, "count", UINT64),
        sum=fields.optional_double(entry, "sum"),
        scale=fields.integer(entry, "scale", INT32),
        zero_count=fields.integer(entry, "zeroCount", UINT64),
        positive=_read_buckets(entry, "positive"),
        negative=_read_buckets(entry, "negative"),
        flags=fields.integer(entry, "flags", UINT32),
        exemplars=fields.each(entry, "exemplars", _read_exemplar),
        min=fields.optional_double(entry, "min"),
        max=fields.optional_double(entry, "max"),
        zero_threshold=fields.double(entry, "zeroThreshold"),
    )


def _read_buckets(owner: JsonObject, name: str) -> Buckets | None:
    buckets = fields.child(owner, name)
    if buckets is None:
        return None
    try:
        return Buckets(
            offset=fields.integer(buckets, "offset", INT32),
            bucket_counts=fields.scalars(buckets, "bucketCounts", fields.to_uint64),
        )
    except Fault as fault:
        raise fault.under(name) from None


def _read_summary_point(entry: JsonObject) -> SummaryPoint:
    return SummaryPoint(
        attributes=read_attributes(entry),
        start_ns=fields.integer(entry, "startTimeUnixNano", UINT64),
        time_ns=fields.integer(entry, "timeUnixNano", UINT64),
        count=fields.integer(entry, "count", UINT64),
        sum=fields.double(entry, "sum"),
        quantiles=fields.each(entry, "quantileValues", _read_quantile),
        flags=fields.integer(entry, "flags", UINT32),
    )


def _read_quantile(entry: JsonObject) -> Quantile:
    return Quantile(quantile=fields.double(entry, "quantile"), value=fields.double(entry, "value"))


# --- write ----------------------------------------------------------------------------------


def write_metric(metric: Metric) -> JsonObject:
    written = compact(
        {
            "name": metric.name,
            "description": metric.description,
            "unit": metric.unit,
            "metadata": write_attributes(metric.metadata),
        }
    )
    if metric.data is not None:
        name, data = _write_data(metric.data)
        written[name] = compact(data)
    return written


def _write_data(data: MetricData) -> tuple[str, JsonObject]:
    if isinstance(data, Gauge):
        return "gauge", {"dataPoints": [_write_number(p) for p in data.points]}
    if isinstance(data, Summary):
        return "summary", {"dataPoints": [_write_summary(p) for p in data.points]}
    common: JsonObject = {"aggregationTemporality": int(data.temporality)}
    if isinstance(data, Sum):
        points = [_write_number(p) for p in data.points]
        return "sum", {"dataPoints": points, **common, "isMonotonic": data.is_monotonic}
    if isinstance(data, Histogram):
        return "histogram", {"dataPoints": [_write_histogram(p) for p in data.points], **common}
    exponential = [_write_exponential(p) for p in data.points]
    return "exponentialHistogram", {"dataPoints": exponential, **common}


def _write_value(value: int | float | None) -> JsonObject:
    if value is None:
        return {}
    if isinstance(value, float):
        return {"asDouble": fields.double_json(value)}
    if not wire.INT64_MIN <= value <= wire.INT64_MAX:
        return {"asDouble": wire.nearest_double(value)}
    return {"asInt": str(int(value))}


def _write_exemplar(exemplar: Exemplar) -> JsonObject:
    return compact(
        {
            "timeUnixNano": fields.int64_text(exemplar.time_ns),
            **_write_value(exemplar.value),
            "spanId": exemplar.span_id.hex(),
            "traceId": exemplar.trace_id.hex(),
            "filteredAttributes": write_attributes(exemplar.filtered_attributes),
        }
    )


def _common(
    point: NumberPoint | HistogramPoint | ExponentialHistogramPoint | SummaryPoint,
) -> JsonObject:
    return {
        "attributes": write_attributes(point.attributes),
        "startTimeUnixNano": fields.int64_text(point.start_ns),
        "timeUnixNano": fields.int64_text(point.time_ns),
        "flags": point.flags,
    }


def _write_number(point: NumberPoint) -> JsonObject:
    return compact(
        {
            **_common(point),
            **_write_value(point.value),
            "exemplars": [_write_exemplar(each) for each in point.exemplars],
        }
    )


def _write_histogram(point: HistogramPoint) -> JsonObject:
    return compact(
        {
            **_common(point),
            "count": fields.int64_text(point.count),
            "sum": fields.optional_double_json(point.sum),
            "bucketCounts": [str(count) for count in point.bucket_counts],
            "explicitBounds": [fields.double_json(bound) for bound in point.explicit_bounds],
            "exemplars": [_write_exemplar(each) for each in point.exemplars],
            "min": fields.optional_double_json(point.min),
            "max": fields.optional_double_json(point.max),
        }
    )


def _write_exponential(point: ExponentialHistogramPoint) -> JsonObject:
    written = compact(
        {
            **_common(point),
            "count": fields.int64_text(point.count),
            "sum": fields.optional_double_json(point.sum),
            "scale": point.scale,
            "zeroCount": fields.int64_text(point.zero_count),
            "exemplars": [_write_exemplar(each) for each in point.exemplars],
            "min": fields.optional_double_json(point.min),
            "max": fields.optional_double_json(point.max),
            "zeroThreshold": fields.default_double_json(point.zero_threshold),
        }
    )
    # Written even if empty: that there are buckets says something.
    if point.positive is not None:
        written["positive"] = _write_buckets(point.positive)
    if point.negative is not None:
        written["negative"] = _write_buckets(point.negative)
    return written


def _write_buckets(buckets: Buckets) -> JsonObject:
    counts = [str(count) for count in buckets.bucket_counts]
    return compact({"offset": buckets.offset, "bucketCounts": counts})


def _write_summary(point: SummaryPoint) -> JsonObject:
    quantiles = [
        compact(
            {
                "quantile": fields.default_double_json(each.quantile),
                "value": fields.default_double_json(each.value),
            }
        )
        for each in point.quantiles
    ]
    return compact(
        {
            **_common(point),
            "count": fields.int64_text(point.count),
            "sum": fields.default_double_json(point.sum),
            "quantileValues": quantiles,
        }
    )
