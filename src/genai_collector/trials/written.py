"""Items as people write them in YAML, and how they are shown to people.

Short names and plain values: ids are hexadecimal, kinds and states are words, a resource is its
attributes. What is not written has a default that never changes, so that a trial gives the same
every time; what is empty is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from genai_collector.configfile.wording import suggest
from genai_collector.model import (
    Batch,
    Event,
    Gauge,
    Items,
    LogRecord,
    Metric,
    NumberPoint,
    Resource,
    Scope,
    Signal,
    Span,
    SpanKind,
    StatusCode,
)
from genai_collector.model.metric import Point

Written: TypeAlias = "dict[str, Any]"

START_NS: Final = 1_750_000_000_000_000_000
"""When everything begins that does not say when."""
_SECOND: Final = 1_000_000_000
_TRACE: Final = (1).to_bytes(16, "big")
_KINDS: Final = {kind.name.lower(): int(kind) for kind in SpanKind}
_STATUSES: Final = {status.name.lower(): int(status) for status in StatusCode}

_COMMON: Final = ("attributes", "resource", "scope")
FIELDS: Final[Mapping[Signal, tuple[str, ...]]] = {
    Signal.TRACES: (
        "name", "kind", "status", "status_message", "trace_id", "span_id", "parent_span_id",
        "start_ns", "end_ns", "events", *_COMMON,
    ),
    Signal.LOGS: (
        "body", "event_name", "severity_number", "severity_text", "trace_id", "span_id", "time_ns",
        *_COMMON,
    ),
    Signal.METRICS: ("name", "description", "unit", "type", "points", "resource", "scope"),
}  # fmt: skip
"""What may be written of an item."""


class WrittenError(ValueError):
    """What is written is no item; `path` leads to it from the list of items."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


def check_fields(signal: Signal, written: Sequence[Mapping[str, Any]]) -> None:
    """Raises WrittenError for the first field that items of this signal do not have."""
    for at, item in enumerate(written):
        for name in item:
            if name not in FIELDS[signal]:
                hint = suggest(name, FIELDS[signal])
                raise WrittenError((at, name), f"unknown field of {signal}{hint}")


def read_items(signal: Signal, written: Sequence[Mapping[str, Any]]) -> Items:
    """The items. Raises WrittenError."""
    check_fields(signal, written)
    read = _READERS[signal]
    items: list[Any] = []
    for at, item in enumerate(written):
        try:
            items.append(read(item, at))
        except (TypeError, ValueError, AttributeError) as error:
            raise WrittenError((at,), f"cannot be read: {error}") from error
    return cast("Items", items)


def show_items(batch: Batch) -> list[Written]:
    """The items of a batch, as they would be written."""
    match batch.signal:
        case Signal.TRACES:
            shown = [_show_span(span) for span in batch.view_spans()]
        case Signal.LOGS:
            shown = [_show_log(record) for record in batch.view_logs()]
        case Signal.METRICS:
            shown = [_show_metric(metric) for metric in batch.view_metrics()]
    return [{name: value for name, value in one.items() if _is_there(value)} for one in shown]


def as_id(value: object) -> str:
    """An id as it is shown; one that has only digits is a number to YAML."""
    return str(value).lower()


# ---- reading ---------------------------------------------------------------------------------


def _read_span(item: Mapping[str, Any], at: int) -> Span:
    start = item.get("start_ns", START_NS)
    return Span(
        trace_id=_id(item, "trace_id", _TRACE),
        span_id=_id(item, "span_id", (at + 1).to_bytes(8, "big")),
        parent_span_id=_id(item, "parent_span_id", b""),
        name=_text(item, "name"),
        kind=_word(item, "kind", _KINDS, "internal"),
        start_ns=start,
        end_ns=item.get("end_ns", start + _SECOND),
        attributes=_mapping(item, "attributes"),
        events=[_read_event(event, start) for event in item.get("events", ())],
        status_code=_word(item, "status", _STATUSES, "unset"),
        status_message=_text(item, "status_message"),
        resource=Resource(_mapping(item, "resource")),
        scope=_scope(item),
    )


def _read_event(event: Mapping[str, Any], start: int) -> Event:
    return Event(_text(event, "name"), event.get("time_ns", start), _mapping(event, "attributes"))


def _read_log(item: Mapping[str, Any], _at: int) -> LogRecord:
    time_ns = item.get("time_ns", START_NS)
    return LogRecord(
        time_ns=time_ns,
        observed_time_ns=time_ns,
        severity_number=item.get("severity_number", 0),
        severity_text=_text(item, "severity_text"),
        body=item.get("body"),
        attributes=_mapping(item, "attributes"),
        trace_id=_id(item, "trace_id", b""),
        span_id=_id(item, "span_id", b""),
        event_name=_text(item, "event_name"),
        resource=Resource(_mapping(item, "resource")),
        scope=_scope(item),
    )


def _read_metric(item: Mapping[str, Any], _at: int) -> Metric:
    kind = item.get("type", "gauge")
    if kind != "gauge":
        raise ValueError(f"a metric of type {kind!r} is read from a file only, not written here")
    points = [
        NumberPoint(
            time_ns=START_NS, value=one.get("value"), attributes=_mapping(one, "attributes")
        )
        for one in item.get("points", ())
    ]
    return Metric(
        name=_text(item, "name"),
        description=_text(item, "description"),
        unit=_text(item, "unit"),
        data=Gauge(points=points),
        resource=Resource(_mapping(item, "resource")),
        scope=_scope(item),
    )


_READERS: Final[Mapping[Signal, Callable[[Mapping[str, Any], int], Any]]] = {
    Signal.TRACES: _read_span,
    Signal.LOGS: _read_log,
    Signal.METRICS: _read_metric,
}


def _id(item: Mapping[str, Any], name: str, default: bytes) -> bytes:
    return bytes.fromhex(as_id(item[name])) if name in item else default


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name, "")
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected text")
    return value


def _word(item: Mapping[str, Any], name: str, words: Mapping[str, int], default: str) -> int:
    word = item.get(name, default)
    if word not in words:
        raise ValueError(f"{name}: expected one of {', '.join(words)}")
    return words[word]


def _mapping(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = item.get(name, {})
    if not isinstance(value, dict):
        raise TypeError(f"{name}: expected a mapping")
    return dict(value)


def _scope(item: Mapping[str, Any]) -> Scope:
    scope = _mapping(item, "scope")
    return Scope(_text(scope, "name"), _text(scope, "version"), _mapping(scope, "attributes"))


# ---- showing ---------------------------------------------------------------------------------


def _show_span(span: Span) -> Written:
    return {
        "name": span.name,
        "kind": _name(_KINDS, span.kind),
        "status": _name(_STATUSES, span.status_code),
        "status_message": span.status_message,
        "trace_id": span.trace_id.hex(),
        "span_id": span.span_id.hex(),
        "parent_span_id": span.parent_span_id.hex(),
        "start_ns": span.start_ns,
        "end_ns": span.end_ns,
        "attributes": _show(span.attributes),
        "events": [_show_event(event) for event in span.read_events()],
        "resource": _show(span.resource.attributes),
        "scope": _show_scope(span.scope),
    }


def _show_event(event: Event) -> Written:
    return {"name": event.name, "time_ns": event.time_ns, "attributes": _show(event.attributes)}


def _show_log(record: LogRecord) -> Written:
    return {
        "body": _show(record.body),
        "event_name": record.event_name,
        "severity_number": record.severity_number or None,
        "severity_text": record.severity_text,
        "trace_id": record.trace_id.hex(),
        "span_id": record.span_id.hex(),
        "time_ns": record.time_ns,
        "attributes": _show(record.attributes),
        "resource": _show(record.resource.attributes),
        "scope": _show_scope(record.scope),
    }


def _show_metric(metric: Metric) -> Written:
    return {
        "name": metric.name,
        "description": metric.description,
        "unit": metric.unit,
        "type": type(metric.data).__name__.lower() if metric.data is not None else "",
        "points": [_show_point(point) for point in metric.points],
        "resource": _show(metric.resource.attributes),
        "scope": _show_scope(metric.scope),
    }


def _show_point(point: Point) -> Written:
    shown: Written = {"attributes": _show(point.attributes)}
    if isinstance(point, NumberPoint):
        shown["value"] = point.value
    else:
        shown |= {"count": point.count, "sum": point.sum}
    return shown


def _show_scope(scope: Scope) -> Written:
    shown = {
        "name": scope.name, "version": scope.version, "attributes": _show(scope.attributes)
    }  # fmt: skip
    return {name: value for name, value in shown.items() if value}


def _show(value: Any) -> Any:
    """A value as YAML can say it."""
    if isinstance(value, dict):
        return {key: _show(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_show(one) for one in value]
    return f"bytes:{value.hex()}" if isinstance(value, bytes) else value


def _name(words: Mapping[str, int], number: int) -> str | int:
    return next((word for word, known in words.items() if known == number), number)


def _is_there(value: object) -> bool:
    return value is not None and value not in ("", {}, [])
