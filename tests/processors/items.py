"""Small batches for the tests of processors."""

from __future__ import annotations

from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import (
    Attributes,
    Batch,
    Gauge,
    LogRecord,
    Metric,
    NumberPoint,
    Resource,
    Scope,
    Signal,
    Span,
)


def received(batch: Batch) -> Batch:
    """The batch as a receiver makes it: bytes that nobody has read."""
    return batch_from_protobuf(batch.signal, batch.encoded())


def span(name: str = "chat", **attributes: object) -> Span:
    """A span; `gen_ai__system` becomes `gen_ai.system`."""
    return Span(
        trace_id=b"\x01" * 16,
        span_id=b"\x02" * 8,
        name=name,
        attributes=_attributes(attributes),
        resource=Resource({"service.name": "shop"}),
        scope=Scope("openlit", "1.0"),
    )


def spans(*items: Span) -> Batch:
    return received(batch_of(Signal.TRACES, list(items)))


def record(body: str = "hello", severity: int = 9, **attributes: object) -> LogRecord:
    return LogRecord(
        body=body,
        severity_number=severity,
        severity_text="INFO",
        attributes=_attributes(attributes),
        resource=Resource({"service.name": "shop"}),
    )


def logs(*items: LogRecord) -> Batch:
    return received(batch_of(Signal.LOGS, list(items)))


def metric(name: str, *points: Attributes) -> Metric:
    """A gauge with one point per set of attributes, valued 0, 1, 2 ..."""
    made = [NumberPoint(attributes=dict(own), value=at) for at, own in enumerate(points)]
    return Metric(name=name, data=Gauge(points=made), resource=Resource({"service.name": "shop"}))


def metrics(*items: Metric) -> Batch:
    return received(batch_of(Signal.METRICS, list(items)))


def _attributes(given: dict[str, object]) -> Attributes:
    made: Attributes = {}
    for key, value in given.items():
        assert value is None or isinstance(value, str | bool | int | float | bytes | list | dict)
        made[key.replace("__", ".")] = value
    return made
