"""OTLP/JSON of log records and metrics: what is rejected, and how much goes with it."""

from __future__ import annotations

import json
import math

import pytest

from genai_collector.formats import otlp
from genai_collector.model import (
    Histogram,
    LogRecord,
    Metric,
    NumberPoint,
    Signal,
    Sum,
    SummaryPoint,
)

TRACE = "5B8EFFF798038103D269B633813FC60C"
SPAN = "eee19b7ec3c1b174"


def test_log_record() -> None:
    """Severity by name, an empty body, and a bad record beside a good one."""
    text = json.dumps(
        {
            "resourceLogs": [
                {
                    "scopeLogs": [
                        {
                            "logRecords": [
                                {"severityNumber": "SEVERITY_NUMBER_WARN", "body": {}},
                                {"severityNumber": "WARN"},
                                {"body": {"kvlistValue": {"values": [{"key": 5}]}}},
                            ]
                        }
                    ]
                }
            ]
        }
    )
    read = otlp.decode_json(Signal.LOGS, text.encode())
    (record,) = read.items
    assert isinstance(record, LogRecord)
    assert (record.severity_number, record.body) == (13, None)
    assert read.errors == [
        "resourceLogs[0].scopeLogs[0].logRecords[1].severityNumber: unknown name of an enum value",
        (
            "resourceLogs[0].scopeLogs[0].logRecords[2].body.kvlistValue.values[0].key: "
            "expected a string, found a number"
        ),
    ]


def _metrics(*metrics: object) -> otlp.DecodedJson:
    document = {"resourceMetrics": [{"scopeMetrics": [{"metrics": list(metrics)}]}]}
    return otlp.decode_json(Signal.METRICS, json.dumps(document).encode())


def test_metric_points_are_rejected_alone() -> None:
    """A bad data point costs itself; the metric keeps its other points."""
    points = [{"asInt": "1"}, {"asInt": "x"}, {"asDouble": "NaN"}, 5, {"attributes": 1}]
    read = _metrics({"name": "m", "sum": {"dataPoints": points, "isMonotonic": True}})
    (metric,) = read.items
    assert isinstance(metric, Metric)
    assert isinstance(metric.data, Sum)
    assert repr([point.value for point in metric.data.points]) == "[1, nan]"
    assert read.rejected == 3
    where = "resourceMetrics[0].scopeMetrics[0].metrics[0].sum.dataPoints"
    assert read.errors == [
        f"{where}[1].asInt: expected an integer, found a string",
        f"{where}[3]: expected an object, found a number",
        f"{where}[4].attributes: expected an array, found a number",
    ]


def test_metrics_are_rejected_with_all_their_points() -> None:
    """A fault in the metric itself costs the metric, counted in data points, at least one."""
    read = _metrics(
        {"name": 5, "gauge": {"dataPoints": [{"asInt": 1}, {"asInt": "x"}, {}]}},
        {"name": "m", "histogram": {"dataPoints": [{}, {}], "aggregationTemporality": "DELTA"}},
        {"name": "m", "summary": {"dataPoints": 7}},
        {"name": "m", "gauge": []},
        {"name": "m", "sum": {"dataPoints": [{"flags": -1}, {}], "isMonotonic": 1}},
        {"name": "only bad points", "gauge": {"dataPoints": [{"flags": -1}]}},
        {"name": "kept"},
    )
    (kept,) = read.items
    assert isinstance(kept, Metric)
    assert (kept.name, kept.data) == ("kept", None)
    assert read.rejected == 3 + 2 + 1 + 1 + 2 + 1
    assert len(read.errors) == 6


def test_metric_numbers() -> None:
    """Counts as strings or numbers, doubles as numbers or words, absent told from zero."""
    read = _metrics(
        {
            "histogram": {
                "aggregationTemporality": "AGGREGATION_TEMPORALITY_CUMULATIVE",
                "dataPoints": [
                    {
                        "count": "3",
                        "sum": 0,
                        "bucketCounts": ["1", 2],
                        "explicitBounds": [1, "Infinity"],
                        "exemplars": [{"asInt": "7", "traceId": TRACE, "spanId": SPAN}],
                    }
                ],
            }
        },
        {"gauge": {"dataPoints": [{}]}},
        {"summary": {"dataPoints": [{"sum": 2, "quantileValues": [{"quantile": 1}]}]}},
    )
    histogram, gauge, summary = read.items
    assert isinstance(histogram, Metric)
    assert isinstance(histogram.data, Histogram)
    (point,) = histogram.data.points
    assert (histogram.data.temporality, point.count, point.sum, point.min) == (2, 3, 0.0, None)
    assert (point.bucket_counts, point.explicit_bounds) == ([1, 2], [1.0, math.inf])
    assert (point.exemplars[0].value, point.exemplars[0].span_id.hex()) == (7, SPAN)
    assert isinstance(gauge, Metric)
    assert gauge.points == [NumberPoint(value=None)]
    assert isinstance(summary, Metric)
    (total,) = summary.points
    assert isinstance(total, SummaryPoint)
    assert (total.sum, total.quantiles[0].quantile) == (2.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "point", "error"),
    [
        ("gauge", {"asDouble": "x"}, "asDouble: expected a number, found a string"),
        ("gauge", {"asInt": 1.5}, "asInt: expected an integer, found a number"),
        ("gauge", {"exemplars": [{"spanId": "1"}]}, "exemplars[0].spanId: expected 16 hex digits"),
        ("histogram", {"count": -1}, "count: out of the range of uint64"),
        ("histogram", {"bucketCounts": [0, "-1"]}, "bucketCounts[1]: out of the range of uint64"),
        (
            "histogram",
            {"explicitBounds": [None]},
            "explicitBounds[0]: expected a number, found null",
        ),
        ("histogram", {"min": []}, "min: expected a number, found an array"),
        ("exponentialHistogram", {"scale": 2**31}, "scale: out of the range of int32"),
        ("exponentialHistogram", {"positive": 1}, "positive: expected an object, found a number"),
        (
            "exponentialHistogram",
            {"negative": {"bucketCounts": [True]}},
            "negative.bucketCounts[0]: expected an integer, found a boolean",
        ),
        ("exponentialHistogram", {"zeroThreshold": {}}, "zeroThreshold: expected a number"),
        (
            "summary",
            {"quantileValues": [{"value": ""}]},
            "quantileValues[0].value: expected a number",
        ),
        ("summary", {"flags": "4294967296"}, "flags: out of the range of uint32"),
    ],
)
def test_rejected_point(kind: str, point: object, error: str) -> None:
    """What is wrong in a data point of each kind, with its path."""
    read = _metrics({"name": "m", kind: {"dataPoints": [{}, point]}})
    assert (len(read.items), read.rejected) == (1, 1)
    where = f"resourceMetrics[0].scopeMetrics[0].metrics[0].{kind}.dataPoints[1]."
    assert read.errors[0].startswith(where + error)
