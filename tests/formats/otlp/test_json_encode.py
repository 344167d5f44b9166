"""The one canonical way in which we write OTLP/JSON."""

from __future__ import annotations

import math

import pytest

from genai_collector.formats import otlp
from genai_collector.model import (
    Buckets,
    EntityRef,
    Event,
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramPoint,
    Gauge,
    Histogram,
    HistogramPoint,
    Items,
    Link,
    LogRecord,
    Metric,
    NumberPoint,
    Quantile,
    Resource,
    Scope,
    Signal,
    Span,
    SpanKind,
    Sum,
    Summary,
    SummaryPoint,
)
from tests.support.builders import SPAN_ID, TRACE_ID

IDS = b'"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"'
RESOURCE = Resource({"r": "x"}, 1, [EntityRef("host", ["h"], [], "urn:e")], "urn:r")
SCOPE = Scope("lib", "1", {"s": True}, 2, "urn:s")


def _span(**fields: object) -> bytes:
    text = otlp.encode_json(Signal.TRACES, [Span(**fields)])  # type: ignore[arg-type]
    head, tail = b'{"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[', b"]}]}]}"
    assert text.startswith(head)
    assert text.endswith(tail)
    return text[len(head) : -len(tail)]


def test_whole_span() -> None:
    """Field names, order, ids in lower-case hex, 64-bit numbers as strings, enums as numbers."""
    span = Span(
        trace_id=TRACE_ID, span_id=SPAN_ID, trace_state="a=b", parent_span_id=b"\x01" * 8,
        flags=257, name="chat", kind=SpanKind.CLIENT, start_ns=1, end_ns=2**64 - 1,
        attributes={"a": 1}, dropped_attributes_count=1,
        events=[Event("e", 3, {"b": 1.5}, 4)], dropped_events_count=5,
        links=[Link(TRACE_ID, SPAN_ID, "c=d", {"l": b"\xff"}, 6, 7)], dropped_links_count=8,
        status_code=2, status_message="no", resource=RESOURCE, scope=SCOPE,
    )  # fmt: skip
    assert otlp.encode_json(Signal.TRACES, [span]) == (
        b'{"resourceSpans":[{"resource":{"attributes":[{"key":"r","value":{"stringValue":"x"}}],'
        b'"droppedAttributesCount":1,"entityRefs":[{"schemaUrl":"urn:e","type":"host",'
        b'"idKeys":["h"]}]},"scopeSpans":[{"scope":{"name":"lib","version":"1","attributes":'
        b'[{"key":"s","value":{"boolValue":true}}],"droppedAttributesCount":2},"spans":[{'
        + IDS
        + b',"traceState":"a=b","parentSpanId":"0101010101010101","flags":257,"name":"chat",'
        b'"kind":3,"startTimeUnixNano":"1","endTimeUnixNano":"18446744073709551615",'
        b'"attributes":[{"key":"a","value":{"intValue":"1"}}],"droppedAttributesCount":1,'
        b'"events":[{"timeUnixNano":"3","name":"e","attributes":[{"key":"b","value":'
        b'{"doubleValue":1.5}}],"droppedAttributesCount":4}],"droppedEventsCount":5,'
        b'"links":[{' + IDS + b',"traceState":"c=d","attributes":[{"key":"l","value":'
        b'{"bytesValue":"/w=="}}],"droppedAttributesCount":6,"flags":7}],"droppedLinksCount":8,'
        b'"status":{"message":"no","code":2}}],"schemaUrl":"urn:s"}],"schemaUrl":"urn:r"}]}'
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({}, b"{}"),
        ({"name": "é\n"}, '{"name":"é\\n"}'.encode()),
        ({"attributes": {"k": None}}, b'{"attributes":[{"key":"k","value":{}}]}'),
        ({"attributes": {"k": ""}}, b'{"attributes":[{"key":"k","value":{"stringValue":""}}]}'),
        ({"attributes": {"k": 0}}, b'{"attributes":[{"key":"k","value":{"intValue":"0"}}]}'),
        ({"attributes": {"": False}}, b'{"attributes":[{"key":"","value":{"boolValue":false}}]}'),
        ({"attributes": {"k": []}}, b'{"attributes":[{"key":"k","value":{"arrayValue":{}}}]}'),
        ({"attributes": {"k": {}}}, b'{"attributes":[{"key":"k","value":{"kvlistValue":{}}}]}'),
        (
            {"attributes": {"k": [None, -0.0, math.nan, math.inf, -math.inf]}},
            (
                b'{"attributes":[{"key":"k","value":{"arrayValue":{"values":[{},{"doubleValue":-0.0},'
                b'{"doubleValue":"NaN"},{"doubleValue":"Infinity"},{"doubleValue":"-Infinity"}]}}}]}'
            ),
        ),
        (
            {"attributes": {"k": {"a": b""}}},
            (
                b'{"attributes":[{"key":"k","value":{"kvlistValue":{"values":[{"key":"a","value":'
                b'{"bytesValue":""}}]}}}]}'
            ),
        ),
    ],
)
def test_span_fields(fields: dict[str, object], text: bytes) -> None:
    """Defaults of fields are left out; values are never, since their presence is their type."""
    assert _span(**fields) == text


def _points(*metrics: Metric) -> bytes:
    text = otlp.encode_json(Signal.METRICS, list(metrics))
    head, tail = (
        b'{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[',
        b"]}]}]}",
    )
    assert text.startswith(head)
    return text[len(head) : -len(tail)]


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (Metric(name="m", description="d", unit="1"), b'{"name":"m","description":"d","unit":"1"}'),
        (Metric(metadata={"a": 1}), b'{"metadata":[{"key":"a","value":{"intValue":"1"}}]}'),
        (Metric(data=Gauge()), b'{"gauge":{}}'),
        (
            Metric(data=Gauge(points=[NumberPoint(value=v) for v in (0, 0.0, None)])),
            b'{"gauge":{"dataPoints":[{"asInt":"0"},{"asDouble":0.0},{}]}}',
        ),
        (
            Metric(data=Sum(points=[NumberPoint(start_ns=1, time_ns=2, flags=1)], temporality=2)),
            (b'{"sum":{"dataPoints":[{"startTimeUnixNano":"1","timeUnixNano":"2","flags":1}],'
            b'"aggregationTemporality":2}}'),
        ),
        (Metric(data=Sum(is_monotonic=True)), b'{"sum":{"isMonotonic":true}}'),
        (
            Metric(
                data=Histogram(
                    points=[
                        HistogramPoint(
                            count=3, sum=0.0, bucket_counts=[0, 3], explicit_bounds=[math.inf],
                            exemplars=[Exemplar(time_ns=1, value=1.5, trace_id=TRACE_ID)],
                            min=-0.0,
                        )
                    ]
                )
            ),
            (b'{"histogram":{"dataPoints":[{"count":"3","sum":0.0,"bucketCounts":["0","3"],'
            b'"explicitBounds":["Infinity"],"exemplars":[{"timeUnixNano":"1","asDouble":1.5,'
            b'"traceId":"5b8efff798038103d269b633813fc60c"}],"min":-0.0}]}}'),
        ),
        (
            Metric(
                data=ExponentialHistogram(
                    points=[
                        ExponentialHistogramPoint(
                            scale=-1, zero_count=1, positive=Buckets(offset=-2, bucket_counts=[4]),
                            negative=Buckets(), zero_threshold=-0.0,
                        )
                    ]
                )
            ),
            (b'{"exponentialHistogram":{"dataPoints":[{"scale":-1,"zeroCount":"1",'
            b'"zeroThreshold":-0.0,"positive":{"offset":-2,"bucketCounts":["4"]},"negative":{}}]}}'),
        ),
        (
            Metric(
                data=Summary(
                    points=[SummaryPoint(count=1, quantiles=[Quantile(quantile=0.5), Quantile()])]
                )
            ),
            b'{"summary":{"dataPoints":[{"count":"1","quantileValues":[{"quantile":0.5},{}]}]}}',
        ),
    ],
)  # fmt: skip
def test_metric(metric: Metric, text: bytes) -> None:
    """Each kind of metric; presence of optional numbers and of buckets is kept."""
    assert _points(metric) == text


def test_log_record() -> None:
    """A log record with all its fields, and one with none."""
    record = LogRecord(
        time_ns=1, observed_time_ns=2, severity_number=9, severity_text="INFO", body={"k": "v"},
        attributes={"a": 1}, dropped_attributes_count=3, flags=1, trace_id=TRACE_ID,
        span_id=SPAN_ID, event_name="gen_ai.choice",
    )  # fmt: skip
    bare = LogRecord(resource=record.resource, scope=record.scope)
    assert otlp.encode_json(Signal.LOGS, [record, bare]) == (
        b'{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":['
        b'{"timeUnixNano":"1","observedTimeUnixNano":"2","severityNumber":9,"severityText":"INFO",'
        b'"body":{"kvlistValue":{"values":[{"key":"k","value":{"stringValue":"v"}}]}},'
        b'"attributes":[{"key":"a","value":{"intValue":"1"}}],"droppedAttributesCount":3,'
        b'"flags":1,' + IDS + b',"eventName":"gen_ai.choice"},{}]}]}]}'
    )


@pytest.mark.parametrize(
    ("signal", "text"),
    [
        (Signal.TRACES, b'{"resourceSpans":[]}'),
        (Signal.METRICS, b'{"resourceMetrics":[]}'),
        (Signal.LOGS, b'{"resourceLogs":[]}'),
    ],
)
def test_nothing(signal: Signal, text: bytes) -> None:
    """No items are a request all the same."""
    nothing: Items = []
    assert otlp.encode_json(signal, nothing) == text
    assert otlp.encode(signal, nothing) == b""


def test_groups_follow_the_order_of_items() -> None:
    """Neighbours that share resource and scope share a group; equal but different objects do not,
    and the order of the items is kept even where that means a second group."""
    one, two = Resource({"n": 1}), Resource({"n": 1})
    scope = Scope("s")
    spans = [
        Span(name=name, resource=resource, scope=scope)
        for name, resource in [("a", one), ("b", one), ("c", two), ("d", one)]
    ]
    decoded = otlp.decode(Signal.TRACES, otlp.encode(Signal.TRACES, spans))
    assert [getattr(span, "name", None) for span in decoded] == ["a", "b", "c", "d"]
    assert [span.resource is decoded[0].resource for span in decoded] == [True, True, False, False]
    assert otlp.encode_json(Signal.TRACES, spans).count(b'"resource":') == 3


def test_writing_leaves_events_encoded() -> None:
    """Exporters share a batch: writing JSON decodes events without taking them from the span."""
    data = otlp.encode(
        Signal.TRACES, [Span(events=[Event("e", 1)], links=[Link(TRACE_ID, SPAN_ID)])]
    )
    (span,) = otlp.decode(Signal.TRACES, data)
    assert isinstance(span, Span)
    assert b'"name":"e"' in otlp.encode_json(Signal.TRACES, [span])
    assert span.encoded_events is not None
    assert span.encoded_links is not None
