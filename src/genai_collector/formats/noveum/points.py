"""Metrics as records: one per data point.

The record shows what a person searches for (name, unit, attributes, value or count and sum); the
point, its metric, scope and resource are whole in `attributes.otel.metric_json`. Its `point` and
`points` say where it stood, so that decoding puts the points of one metric together again.
A metric without points has one record, without a point.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields as dataclass_fields
from typing import Final, NamedTuple, TypeVar

from genai_collector.errors import DecodeError
from genai_collector.formats.json_text import canonical, loads
from genai_collector.formats.noveum import fields
from genai_collector.formats.noveum.fields import Record, Spelling, get_path
from genai_collector.formats.noveum.observed import ObservedWriter
from genai_collector.formats.otel_block import BlockReader, decimal, text
from genai_collector.formats.tagged import (
    pack,
    pack_attributes,
    readable,
    unpack,
    unpack_attributes,
)
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
    Point,
    Quantile,
    Sum,
    Summary,
    SummaryPoint,
    Value,
)

_KINDS: Final[dict[str, type[MetricData]]] = {
    "gauge": Gauge,
    "sum": Sum,
    "histogram": Histogram,
    "exponential_histogram": ExponentialHistogram,
    "summary": Summary,
}
_POINTS: Final[dict[str, Callable[..., Point]]] = {
    "gauge": NumberPoint,
    "sum": NumberPoint,
    "histogram": HistogramPoint,
    "exponential_histogram": ExponentialHistogramPoint,
    "summary": SummaryPoint,
}
_KIND_OF: Final = {made: kind for kind, made in _KINDS.items()}
M = TypeVar("M")
_SHOWN: Final = ("value", "count", "sum", "min", "max")
_TIMES: Final = frozenset({"time_ns", "start_ns"})


class PointRecord(NamedTuple):
    """One record and the point that it is; no point for a metric that has none."""

    metric: Metric
    point: Point | None
    record: Record


def encode_metrics(metrics: Sequence[Metric], *, spelling: Spelling = "gateway") -> list[Record]:
    """One record per data point, in order."""
    return [made.record for made in encode_points(metrics, spelling)]


def encode_points(metrics: Sequence[Metric], spelling: Spelling) -> Iterator[PointRecord]:
    """The records, each with the metric and the point it was made from."""
    writer = ObservedWriter(spelling)
    for metric in metrics:
        points: list[Point | None] = [*metric.points] or [None]
        shared = _metric_json(metric, len(metric.points))
        for at, point in enumerate(points):
            yield PointRecord(metric, point, _record(writer, metric, shared, at, point))


def _record(
    writer: ObservedWriter, metric: Metric, shared: Record, at: int, point: Point | None
) -> Record:
    packed = _pack_object(point)
    shown: Record = {"name": metric.name, "type": shared["kind"], "unit": metric.unit}
    resource = writer.blocks.resource_text(metric.resource)
    identity: Value = [metric.name, metric.unit, shared["kind"], resource, packed]
    if point is not None:
        for name in _SHOWN:
            value = getattr(point, name, None)
            if value is not None:
                shown[name] = readable(value)
        shown["attributes"] = readable(dict(point.attributes))
    whole: Record = {**shared, "point": at, "data": packed}
    attributes: Record = {
        "id": "metric_" + hashlib.sha256(canonical(identity)).hexdigest()[:16],
        "metric": shown,
        "otel": {
            "metric_json": text(whole),
            "resource_json": resource,
            "scope": writer.blocks.scope(metric.scope),
        },
    }
    time_ns = 0 if point is None else point.time_ns
    return writer.envelope(metric.resource, time_ns, fields.METRIC_NAME, attributes)


def _metric_json(metric: Metric, points: int) -> Record:
    packed: Record = {
        "name": metric.name,
        "description": metric.description,
        "unit": metric.unit,
        "metadata": pack_attributes(metric.metadata),
        "kind": None if metric.data is None else _KIND_OF[type(metric.data)],
        "points": points,
    }
    if isinstance(metric.data, Sum | Histogram | ExponentialHistogram):
        packed["temporality"] = int(metric.data.temporality)
    if isinstance(metric.data, Sum):
        packed["is_monotonic"] = metric.data.is_monotonic
    return packed


def _pack_object(item: object) -> Value:
    """A point, exemplar, bucket list or quantile, field by field."""
    if item is None:
        return None
    packed: Record = {}
    for field in dataclass_fields(item):  # type: ignore[arg-type]
        value = getattr(item, field.name)
        packed[field.name] = _pack_field(field.name, value)
    return packed


def _pack_field(name: str, value: object) -> Value:
    if name in _TIMES:
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return pack_attributes(value)
    if isinstance(value, list):
        return [_pack_field("", item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return pack(value)
    return _pack_object(value)


# The way back ---------------------------------------------------------------------------------


def decode_metrics(records: Iterable[Value]) -> list[Metric]:
    """The metrics that the records were made from. Raises DecodeError that names the record."""
    reader = BlockReader()
    metrics: list[Metric] = []
    for at, record in enumerate(records):
        try:
            _add(metrics, _read(record), record, reader)
        except (TypeError, ValueError, KeyError, DecodeError) as exc:
            raise DecodeError(f"record {at}: no metric in attributes.otel.metric_json") from exc
    return metrics


def _read(record: Value) -> Record:
    written = get_path(record, ("attributes", "otel", "metric_json"))
    if not isinstance(written, str):
        raise TypeError("not a string")
    return _object(loads(written))


def _add(metrics: list[Metric], packed: Record, record: Value, reader: BlockReader) -> None:
    kind = packed["kind"]
    point = _to_point(kind, packed["data"]) if isinstance(kind, str) else None
    if packed["point"] != 0 and metrics and point is not None:
        data = metrics[-1].data
        if data is not None and _fits(metrics[-1], packed):
            data.points.append(point)  # type: ignore[arg-type]
            return
    block = get_path(record, ("attributes", "otel"))
    assert isinstance(block, dict)
    metrics.append(
        Metric(
            name=_text(packed["name"]),
            description=_text(packed["description"]),
            unit=_text(packed["unit"]),
            metadata=unpack_attributes(packed["metadata"]),
            data=_to_data(kind, packed, point) if isinstance(kind, str) else None,
            resource=reader.resource(block["resource_json"]),
            scope=reader.scope(block["scope"]),
        )
    )


def _fits(metric: Metric, packed: Record) -> bool:
    """Whether the point before was of the same metric; records may have been lost on the way."""
    return (
        metric.name == packed["name"]
        and metric.data is not None
        and _KIND_OF[type(metric.data)] == packed["kind"]
        and len(metric.data.points) == packed["point"]
    )


def _to_data(kind: str, packed: Record, point: Point | None) -> MetricData:
    data = _KINDS[kind]()
    if isinstance(data, Sum | Histogram | ExponentialHistogram):
        data.temporality = _int(packed["temporality"])
    if isinstance(data, Sum):
        data.is_monotonic = packed["is_monotonic"] is True
    if point is not None:
        data.points.append(point)  # type: ignore[arg-type]
    return data


def _to_point(kind: str, packed: Value) -> Point | None:
    return None if packed is None else _to_object(_POINTS[kind], _object(packed))


def _to_object(made: Callable[..., M], packed: Record) -> M:
    # An unknown member is a TypeError of the call or a KeyError here: no metric of ours.
    return made(**{name: _READERS[name](value) for name, value in packed.items()})


def _object(value: Value) -> Record:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _objects(made: Callable[..., M]) -> Callable[[Value], list[M]]:
    return lambda value: [_to_object(made, _object(item)) for item in _list(value)]


def _list(value: Value) -> list[Value]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _int(value: Value) -> int:
    said = unpack(value)
    if type(said) is not int:
        raise TypeError("not an integer")
    return said


def _number(value: Value) -> int | float:
    said = unpack(value)
    if isinstance(said, bool) or not isinstance(said, int | float):
        raise TypeError("not a number")
    return said


def _maybe(read: Callable[[Value], M]) -> Callable[[Value], M | None]:
    return lambda value: None if value is None else read(value)


def _buckets(value: Value) -> Buckets:
    return _to_object(Buckets, _object(value))


def _hex(value: Value) -> bytes:
    return bytes.fromhex(_text(value))


_READERS: Final[dict[str, Callable[[Value], object]]] = {
    "attributes": unpack_attributes,
    "bucket_counts": lambda value: [_int(item) for item in _list(value)],
    "count": _int,
    "exemplars": _objects(Exemplar),
    "explicit_bounds": lambda value: [_number(item) for item in _list(value)],
    "filtered_attributes": unpack_attributes,
    "flags": _int,
    "max": _maybe(_number),
    "min": _maybe(_number),
    "negative": _maybe(_buckets),
    "offset": _int,
    "positive": _maybe(_buckets),
    "quantile": _number,
    "quantiles": _objects(Quantile),
    "scale": _int,
    "span_id": _hex,
    "start_ns": decimal,
    "sum": _maybe(_number),
    "time_ns": decimal,
    "trace_id": _hex,
    "value": _maybe(_number),
    "zero_count": _int,
    "zero_threshold": _number,
}
