"""Small builders of items and batches: everything has a default, a test names what matters."""

from __future__ import annotations

from collections.abc import Sequence

from genai_collector.formats import otlp
from genai_collector.model import (
    Attributes,
    Batch,
    Event,
    Gauge,
    LogRecord,
    Metric,
    MetricData,
    NumberPoint,
    Resource,
    Scope,
    Signal,
    Span,
    SpanKind,
    Value,
)

START_NS = 1_750_000_000_000_000_000
TRACE_ID = bytes.fromhex("5b8efff798038103d269b633813fc60c")
SPAN_ID = bytes.fromhex("eee19b7ec3c1b174")

RESOURCE = Resource({"service.name": "test-app"})
"""Shared by everything built here unless a test gives another one."""
SCOPE = Scope("openlit.otel.tracing", "1.45.0")


def span(
    attributes: Attributes | None = None,
    *,
    name: str = "chat gpt-4o-mini",
    number: int = 0,
    events: Sequence[Event] = (),
    start_ns: int = START_NS,
    duration_ns: int = 1_500_000_000,
    status_code: int = 0,
    status_message: str = "",
    parent_span_id: bytes = b"",
    resource: Resource = RESOURCE,
    scope: Scope = SCOPE,
) -> Span:
    """A client span; `number` makes its span id differ from its neighbours'."""
    return Span(
        trace_id=TRACE_ID,
        span_id=(int.from_bytes(SPAN_ID, "big") + number).to_bytes(8, "big"),
        parent_span_id=parent_span_id,
        name=name,
        kind=SpanKind.CLIENT,
        start_ns=start_ns,
        end_ns=start_ns + duration_ns,
        attributes={} if attributes is None else attributes,
        events=list(events),
        status_code=status_code,
        status_message=status_message,
        resource=resource,
        scope=scope,
    )


def spans(count: int) -> list[Span]:
    """Spans that differ in span id and name."""
    return [span({"n": number}, name=f"span {number}", number=number) for number in range(count)]


def log_record(
    body: Value = "hello",
    attributes: Attributes | None = None,
    *,
    event_name: str = "",
    trace_id: bytes = TRACE_ID,
    span_id: bytes = SPAN_ID,
    resource: Resource = RESOURCE,
    scope: Scope = SCOPE,
) -> LogRecord:
    """A log record of severity INFO inside the span that `span()` makes."""
    return LogRecord(
        time_ns=START_NS,
        observed_time_ns=START_NS,
        severity_number=9,
        severity_text="INFO",
        body=body,
        attributes={} if attributes is None else attributes,
        event_name=event_name,
        trace_id=trace_id,
        span_id=span_id,
        resource=resource,
        scope=scope,
    )


def metric(
    data: MetricData | None = None,
    *,
    name: str = "gen_ai.client.token.usage",
    unit: str = "{token}",
    resource: Resource = RESOURCE,
    scope: Scope = SCOPE,
) -> Metric:
    """A metric; a gauge with one integer point unless told."""
    if data is None:
        data = Gauge(points=[NumberPoint(time_ns=START_NS, value=42)])
    return Metric(name=name, unit=unit, data=data, resource=resource, scope=scope)


def batch(*items: Span | int, encoded: bool = False) -> Batch:
    """A batch of spans: those given, or `batch(3)` for three; `encoded` leaves only the bytes."""
    built: list[Span] = []
    for item in items:
        built += spans(item) if isinstance(item, int) else [item]
    made = otlp.batch_of(Signal.TRACES, built)
    return otlp.batch_from_protobuf(Signal.TRACES, made.encoded()) if encoded else made


def log_batch(*records: LogRecord) -> Batch:
    return otlp.batch_of(Signal.LOGS, list(records))


def metric_batch(*metrics: Metric) -> Batch:
    return otlp.batch_of(Signal.METRICS, list(metrics))
