"""What names mean in the filter's conditions, for each kind of thing that can be dropped.

Paths and constants are those of otelcol's OTTL contexts (`span`, `log`, `metric`, `datapoint`);
`is_genai` and `duration_ns` are ours. A path may carry its context's name (`span.name`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

from genai_collector.conventions import read_observation
from genai_collector.model import (
    ExponentialHistogram,
    Gauge,
    Histogram,
    LogRecord,
    Metric,
    Point,
    Span,
    SpanKind,
    StatusCode,
    Sum,
    Summary,
    Value,
)
from genai_collector.processors._actions import to_float, to_int, to_text
from genai_collector.processors._expression import Function, Names, equal
from genai_collector.processors._match import Subject
from genai_collector.processors._patterns import searcher

_Read: TypeAlias = Callable[[Subject], Value]
_AnyRead: TypeAlias = Callable[..., Value]
_Literals: TypeAlias = "list[str | None]"

_SEVERITIES: Final = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_METRIC_TYPES: Final = {Gauge: 1, Sum: 2, Histogram: 3, ExponentialHistogram: 4, Summary: 5}
_GENAI_PREFIX: Final = "gen_ai."


def _span(read: Callable[[Span], Value]) -> _Read:
    return lambda subject: read(cast("Span", subject.item))


def _log(read: Callable[[LogRecord], Value]) -> _Read:
    return lambda subject: read(cast("LogRecord", subject.item))


def _metric(read: Callable[[Metric], Value]) -> _Read:
    return lambda subject: read(cast("Metric", subject.item))


def _point(field: str) -> _Read:
    """A field that not every kind of data point has; nil where it is missing."""
    return lambda subject: cast("Value", getattr(subject.point, field, None))


def _number(kind: type[int | float]) -> _Read:
    def read(subject: Subject) -> Value:
        value = getattr(subject.point, "value", None)
        return value if type(value) is kind else None

    return read


def _span_is_genai(span: Span) -> bool:
    return read_observation(span).is_genai


def _log_is_genai(record: LogRecord) -> bool:
    return record.event_name.startswith(_GENAI_PREFIX) or any(
        key.startswith(_GENAI_PREFIX) for key in record.attributes
    )


def _kind_word(span: Span) -> str:
    known = span.kind in SpanKind.__members__.values()
    return SpanKind(span.kind).name.capitalize() if known else "Unspecified"


def _metric_type(metric: Metric) -> int:
    return 0 if metric.data is None else _METRIC_TYPES[type(metric.data)]


_SHARED: Final[dict[str, _Read]] = {
    "attributes": lambda s: s.attributes,
    "resource.attributes": lambda s: s.resource.attributes,
    "resource.schema_url": lambda s: s.resource.schema_url,
} | {
    f"{scope}.{field}": read
    for scope in ("scope", "instrumentation_scope")
    for field, read in {
        "attributes": lambda s: s.scope.attributes,
        "name": lambda s: s.scope.name,
        "version": lambda s: s.scope.version,
    }.items()
}

_SPAN: Final[dict[str, _Read]] = {
    "name": _span(lambda s: s.name),
    "kind": _span(lambda s: s.kind),
    "kind.string": _span(_kind_word),
    "status.code": _span(lambda s: s.status_code),
    "status.message": _span(lambda s: s.status_message),
    "trace_id": _span(lambda s: s.trace_id),
    "trace_id.string": _span(lambda s: s.trace_id.hex()),
    "span_id": _span(lambda s: s.span_id),
    "span_id.string": _span(lambda s: s.span_id.hex()),
    "parent_span_id": _span(lambda s: s.parent_span_id),
    "parent_span_id.string": _span(lambda s: s.parent_span_id.hex()),
    "trace_state": _span(lambda s: s.trace_state),
    "flags": _span(lambda s: s.flags),
    "start_time_unix_nano": _span(lambda s: s.start_ns),
    "end_time_unix_nano": _span(lambda s: s.end_ns),
    "duration_ns": _span(lambda s: s.end_ns - s.start_ns),
    "is_genai": _span(_span_is_genai),
}

_LOG: Final[dict[str, _Read]] = {
    "body": _log(lambda r: r.body),
    "body.string": _log(lambda r: to_text(r.body)),
    "severity_number": _log(lambda r: r.severity_number),
    "severity_text": _log(lambda r: r.severity_text),
    "event_name": _log(lambda r: r.event_name),
    "trace_id": _log(lambda r: r.trace_id),
    "trace_id.string": _log(lambda r: r.trace_id.hex()),
    "span_id": _log(lambda r: r.span_id),
    "span_id.string": _log(lambda r: r.span_id.hex()),
    "flags": _log(lambda r: r.flags),
    "time_unix_nano": _log(lambda r: r.time_ns),
    "observed_time_unix_nano": _log(lambda r: r.observed_time_ns),
    "is_genai": _log(_log_is_genai),
}

_METRIC: Final[dict[str, _Read]] = {
    "name": _metric(lambda m: m.name),
    "description": _metric(lambda m: m.description),
    "unit": _metric(lambda m: m.unit),
    "type": _metric(_metric_type),
    "aggregation_temporality": _metric(lambda m: getattr(m.data, "temporality", None)),
    "is_monotonic": _metric(lambda m: getattr(m.data, "is_monotonic", None)),
    "is_genai": _metric(lambda m: m.name.startswith(_GENAI_PREFIX)),
}

_POINT: Final[dict[str, _Read]] = {
    "value": _point("value"),
    "value_int": _number(int),
    "value_double": _number(float),
    "count": _point("count"),
    "sum": _point("sum"),
    "min": _point("min"),
    "max": _point("max"),
    "flags": _point("flags"),
    "start_time_unix_nano": _point("start_ns"),
    "time_unix_nano": _point("time_ns"),
    "is_genai": _METRIC["is_genai"],
} | {f"metric.{path}": read for path, read in _METRIC.items()}

_CONSTANTS: Final[dict[str, int]] = (
    {f"SPAN_KIND_{kind.name}": int(kind) for kind in SpanKind}
    | {f"STATUS_CODE_{code.name}": int(code) for code in StatusCode}
    | {
        f"SEVERITY_NUMBER_{name}{'' if step == 0 else step + 1}": at * 4 + 1 + step
        for at, name in enumerate(_SEVERITIES)
        for step in range(4)
    }
    | {"SEVERITY_NUMBER_UNSPECIFIED": 0, "METRIC_DATA_TYPE_NONE": 0}
    | {
        "METRIC_DATA_TYPE_GAUGE": 1,
        "METRIC_DATA_TYPE_SUM": 2,
        "METRIC_DATA_TYPE_HISTOGRAM": 3,
        "METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM": 4,
        "METRIC_DATA_TYPE_SUMMARY": 5,
        "AGGREGATION_TEMPORALITY_UNSPECIFIED": 0,
        "AGGREGATION_TEMPORALITY_DELTA": 1,
        "AGGREGATION_TEMPORALITY_CUMULATIVE": 2,
    }
)


def _of_one(compute: Callable[[Value], Value]) -> Function:
    """A function of one value; nil where it cannot be computed."""

    def build(readers: list[_AnyRead], _literals: _Literals) -> _AnyRead:
        read = readers[0]

        def call(subject: Subject) -> Value:
            try:
                return compute(read(subject))
            except (ValueError, OverflowError):
                return None

        return call

    return Function(1, build)


def _of_two_texts(compute: Callable[[str, str], Value]) -> Function:
    """A function of two texts; false where one is none."""

    def build(readers: list[_AnyRead], _literals: _Literals) -> _AnyRead:
        first, second = readers

        def call(subject: Subject) -> Value:
            left, right = first(subject), second(subject)
            both = isinstance(left, str) and isinstance(right, str)
            return both and compute(cast("str", left), cast("str", right))

        return call

    return Function(2, build)


def _is_match(readers: list[_AnyRead], literals: _Literals) -> _AnyRead:
    read, pattern = readers[0], literals[1]
    if pattern is None:
        raise ValueError("the pattern must be a text, written out")
    search = searcher(pattern)

    def call(subject: Subject) -> Value:
        value = read(subject)
        return value is not None and search(to_text(value)) is not None

    return call


def _has_point(readers: list[_AnyRead], literals: _Literals) -> _AnyRead:
    """HasAttrKeyOnDatapoint and HasAttrOnDatapoint, by the number of arguments."""
    key = literals[0]
    if key is None:
        raise ValueError("the key must be a text, written out")
    wanted = readers[1] if len(readers) > 1 else None

    def call(subject: Subject) -> Value:
        for point in cast("Metric", subject.item).points:
            if key in point.attributes and (
                wanted is None or equal(point.attributes[key], wanted(subject))
            ):
                return True
        return False

    return call


def _length(value: Value) -> Value:
    return len(value) if isinstance(value, str | bytes | list | dict) else None


_FUNCTIONS: Final[dict[str, Function]] = {
    "IsMatch": Function(2, _is_match),
    "HasPrefix": _of_two_texts(str.startswith),
    "HasSuffix": _of_two_texts(str.endswith),
    "IsString": _of_one(lambda v: isinstance(v, str)),
    "IsBool": _of_one(lambda v: isinstance(v, bool)),
    "IsInt": _of_one(lambda v: isinstance(v, int) and not isinstance(v, bool)),
    "IsDouble": _of_one(lambda v: isinstance(v, float)),
    "IsMap": _of_one(lambda v: isinstance(v, dict)),
    "IsList": _of_one(lambda v: isinstance(v, list)),
    "Len": _of_one(_length),
    "Int": _of_one(to_int),
    "Double": _of_one(to_float),
    "String": _of_one(lambda v: None if v is None else to_text(v)),
    "ToLowerCase": _of_one(lambda v: v.lower() if isinstance(v, str) else v),
    "ToUpperCase": _of_one(lambda v: v.upper() if isinstance(v, str) else v),
}
_ON_METRICS: Final = {
    "HasAttrKeyOnDatapoint": Function(1, _has_point),
    "HasAttrOnDatapoint": Function(2, _has_point),
}


def _names(
    prefix: str, own: dict[str, _Read], functions: Mapping[str, Function] = _FUNCTIONS
) -> Names[Subject]:
    paths = _SHARED | own
    return Names(
        paths | {f"{prefix}.{path}": read for path, read in paths.items()}, _CONSTANTS, functions
    )


SPAN: Final = _names("span", _SPAN)
LOG_RECORD: Final = _names("log", _LOG)
METRIC: Final = _names("metric", _METRIC, _FUNCTIONS | _ON_METRICS)
DATAPOINT: Final = _names("datapoint", _POINT)


def of_span(span: Span) -> Subject:
    return Subject(span, span.attributes, span.resource, span.scope)


def of_log(record: LogRecord) -> Subject:
    return Subject(record, record.attributes, record.resource, record.scope)


def of_metric(metric: Metric) -> Subject:
    return Subject(metric, {}, metric.resource, metric.scope)


def of_point(metric: Metric, point: Point) -> Subject:
    return Subject(metric, point.attributes, metric.resource, metric.scope, point)
