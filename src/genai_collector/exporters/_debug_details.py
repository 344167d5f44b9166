"""Everything that is in a batch, laid out as the OpenTelemetry Collector's debug exporter does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from itertools import groupby
from typing import Final, TypeVar

from genai_collector.exporters._debug_lines import printable
from genai_collector.model import (
    Attributes,
    Batch,
    Exemplar,
    LogRecord,
    Metric,
    Point,
    Signal,
    Span,
    Value,
)

ItemT = TypeVar("ItemT", Span, Metric, LogRecord)

_LONGEST: Final = 4096
_KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
_STATUS: Final = ("Unset", "Ok", "Error")


def details(batch: Batch) -> Iterator[str]:
    """The lines of a batch."""
    match batch.signal:
        case Signal.TRACES:
            yield from _grouped("Span", batch.view_spans(), _span)
        case Signal.METRICS:
            yield from _grouped("Metric", batch.view_metrics(), _metric)
        case Signal.LOGS:
            yield from _grouped("LogRecord", batch.view_logs(), _log)


def _grouped(
    title: str, items: Sequence[ItemT], lines: Callable[[ItemT], Iterator[str]]
) -> Iterator[str]:
    """Consecutive items that share a resource and a scope stand under one heading."""
    for n, (_, group) in enumerate(
        groupby(items, lambda item: (id(item.resource), id(item.scope)))
    ):
        members = list(group)
        resource, scope = members[0].resource, members[0].scope
        yield f"Resource #{n}"
        yield from _attributes("Resource attributes", resource.attributes)
        yield f"InstrumentationScope {printable(scope.name)} {printable(scope.version)}".rstrip()
        yield from _attributes("Scope attributes", scope.attributes)
        for m, item in enumerate(members):
            yield f"{title} #{m}"
            yield from lines(item)


def _row(name: str, value: object) -> str:
    return f"    {name:<15}: {value}"


def _text(value: Value) -> str:
    """`Str(...)`, `Int(...)` as otelcol shows a value's type."""
    names = {str: "Str", bool: "Bool", int: "Int", float: "Double", bytes: "Bytes", list: "Slice",
        dict: "Map"}  # fmt: skip
    if value is None:
        return "Empty()"
    shown = value.hex() if isinstance(value, bytes) else str(value)
    return f"{names[type(value)]}({printable(shown, _LONGEST)})"


def _attributes(title: str, attributes: Attributes, indent: str = "") -> Iterator[str]:
    if attributes:
        yield f"{indent}{title}:"
        for key, value in attributes.items():
            yield f"{indent}     -> {printable(key, 256)}: {_text(value)}"


def _span(span: Span) -> Iterator[str]:
    yield _row("Trace ID", span.trace_id.hex())
    yield _row("Parent ID", span.parent_span_id.hex())
    yield _row("ID", span.span_id.hex())
    yield _row("Name", printable(span.name, _LONGEST))
    yield _row("Kind", _name_of(_KINDS, span.kind))
    if span.trace_state:
        yield _row("TraceState", printable(span.trace_state, _LONGEST))
    yield _row("Start time", _time(span.start_ns))
    yield _row("End time", _time(span.end_ns))
    yield _row("Status code", _name_of(_STATUS, span.status_code))
    yield _row("Status message", printable(span.status_message, _LONGEST))
    yield from _attributes("Attributes", span.attributes)
    for n, event in enumerate(span.events):
        yield f"SpanEvent #{n}"
        yield _row("Name", printable(event.name, _LONGEST))
        yield _row("Timestamp", _time(event.time_ns))
        yield from _attributes("Attributes", event.attributes, "    ")
    for n, link in enumerate(span.links):
        yield f"SpanLink #{n}"
        yield _row("Trace ID", link.trace_id.hex())
        yield _row("ID", link.span_id.hex())
        yield from _attributes("Attributes", link.attributes, "    ")


def _metric(metric: Metric) -> Iterator[str]:
    yield _row("Name", printable(metric.name, _LONGEST))
    yield _row("Description", printable(metric.description, _LONGEST))
    yield _row("Unit", printable(metric.unit))
    data = metric.data
    yield _row("DataType", "Empty" if data is None else type(data).__name__)
    for field in fields(data) if data is not None else ():
        if field.name != "points":
            yield _row(field.name, getattr(data, field.name))
    for n, point in enumerate(metric.points):
        yield f"DataPoint #{n}"
        yield from _point(point)


def _point(point: Point | Exemplar) -> Iterator[str]:
    """Every field that is set, under its own name."""
    for field in fields(point):
        value = getattr(point, field.name)
        if field.name.endswith("attributes"):
            yield from _attributes("Attributes", value, "    ")
        elif field.name == "exemplars":
            for n, exemplar in enumerate(value):
                yield f"    Exemplar #{n}"
                yield from _point(exemplar)
        elif field.name.endswith("_ns"):
            yield _row(field.name[:-3], _time(value))
        elif value not in (None, b"", []):
            shown = value.hex() if isinstance(value, bytes) else value
            yield _row(field.name, printable(str(shown), _LONGEST))


def _log(record: LogRecord) -> Iterator[str]:
    yield _row("ObservedTime", _time(record.observed_time_ns))
    yield _row("Timestamp", _time(record.time_ns))
    yield _row("SeverityText", printable(record.severity_text))
    yield _row("SeverityNumber", record.severity_number)
    if record.event_name:
        yield _row("EventName", printable(record.event_name, _LONGEST))
    yield _row("Body", _text(record.body))
    yield from _attributes("Attributes", record.attributes)
    yield _row("Trace ID", record.trace_id.hex())
    yield _row("Span ID", record.span_id.hex())
    yield _row("Flags", record.flags)


def _name_of(names: Sequence[str], number: int) -> str:
    return names[number] if 0 <= number < len(names) else str(number)


def _time(ns: int) -> str:
    """`2026-01-31 14:03:59.123456789 +0000 UTC`, every nanosecond of it."""
    try:
        at = datetime.fromtimestamp(ns // 1_000_000_000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return str(ns)
    return f"{at:%Y-%m-%d %H:%M:%S}.{ns % 1_000_000_000:09d} +0000 UTC"
