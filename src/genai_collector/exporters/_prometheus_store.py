"""The series that a scrape shows: the last value of each, cumulative, and never too many.

Deltas are added up. A point that is older than what is known changes nothing. Series that were not
heard of for a while are forgotten; when there are too many, new ones are refused (and counted).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from genai_collector.component import NO_FORM
from genai_collector.exporters._prometheus_names import (
    FamilyKind,
    family_name,
    kind_of,
    label_value,
    labels_of,
)
from genai_collector.exporters._prometheus_values import (
    HistogramValue,
    Reading,
    SummaryValue,
    cumulative,
    plus,
    read_point,
)
from genai_collector.model import (
    ExponentialHistogram,
    Histogram,
    Metric,
    Point,
    Resource,
    Sum,
    Temporality,
)
from genai_collector.telemetry.prometheus import header, label_set, number

TYPE_CONFLICT: Final = "type_conflict"
OUT_OF_ORDER: Final = "out_of_order"
SERIES_LIMIT: Final = "series_limit"
_ADDED_UP: Final[dict[int, bool]] = {Temporality.DELTA: True, Temporality.CUMULATIVE: False}
_NO_RECORDED_VALUE: Final = 1
_EXPIRY_STEP_S: Final = 1.0
_JOB: Final = ("service.namespace", "service.name")
_INSTANCE: Final = "service.instance.id"
_IDENTITY: Final = frozenset((*_JOB, _INSTANCE))


class Rules(NamedTuple):
    """How series are named and how long they live."""

    namespace: str
    const_labels: Mapping[str, str]
    suffixes: bool
    scope_labels: bool
    resource_labels: bool
    timestamps: bool
    expiration_s: float
    series_limit: int


@dataclass(slots=True)
class _Series:
    labels: str
    """As they are written, without the braces."""
    reading: Reading
    time_ns: int
    heard_s: float


@dataclass(slots=True)
class _Family:
    kind: FamilyKind
    help_text: str
    series: dict[str, _Series] = field(default_factory=dict)


class SeriesStore:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._families: dict[str, _Family] = {}
        self._targets: dict[str, _Series] = {}
        self._count = 0
        self._expired_s = float("-inf")

    def add(self, metric: Metric, now_s: float) -> Counter[str]:
        """Take a metric's points. Returns how many were not taken, by reason."""
        refused: Counter[str] = Counter()
        name = family_name(metric, self._rules.namespace, suffixes=self._rules.suffixes)
        delta = _is_delta(metric)
        if not name or delta is None:
            refused[NO_FORM] += len(metric.points)
            return refused
        kind = kind_of(metric)
        family = self._families.get(name)
        if family is not None and family.kind != kind:
            refused[TYPE_CONFLICT] += len(metric.points)
            return refused
        family = family or _Family(kind, metric.description)
        shared = self._shared_labels(metric)
        for point in metric.points:
            reason = self._add_point(family, point, shared, now_s, delta=delta)
            if reason:
                refused[reason] += 1
        if family.series:
            self._families[name] = family
            self._add_target(metric.resource, now_s)
        return refused

    def _add_point(
        self, family: _Family, point: Point, shared: dict[str, str], now_s: float, *, delta: bool
    ) -> str | None:
        labels = label_set(labels_of(point.attributes) | shared)[1:-1]
        known = family.series.get(labels)
        if point.flags & _NO_RECORDED_VALUE:
            if known is not None:
                del family.series[labels]
                self._count -= 1
            return None
        reading = read_point(point)
        if reading is None:
            return NO_FORM
        if known is None:
            if not self._has_room(now_s):
                return SERIES_LIMIT
            family.series[labels] = _Series(labels, reading, point.time_ns, now_s)
            self._count += 1
            return None
        # A delta of the same time is the same delta come again.
        if point.time_ns < known.time_ns or (delta and point.time_ns == known.time_ns > 0):
            return OUT_OF_ORDER
        known.reading = plus(known.reading, reading) if delta else reading
        known.time_ns, known.heard_s = point.time_ns, now_s
        return None

    def _shared_labels(self, metric: Metric) -> dict[str, str]:
        """Labels that all points of a metric get; they win over the points' own."""
        rules, scope = self._rules, metric.scope
        labels = labels_of(metric.resource.attributes) if rules.resource_labels else {}
        labels |= _identity(metric.resource)
        if rules.scope_labels and scope.name:
            labels["otel_scope_name"] = label_value(scope.name)
            if scope.version:
                labels["otel_scope_version"] = label_value(scope.version)
        return labels | dict(rules.const_labels)

    def _add_target(self, resource: Resource, now_s: float) -> None:
        identity = _identity(resource)
        rest = {key: resource.attributes[key] for key in resource.attributes.keys() - _IDENTITY}
        if not identity or not rest or self._rules.resource_labels:
            return
        key = label_set(identity)
        if key in self._targets or len(self._targets) < self._rules.series_limit:
            labels = label_set(labels_of(rest) | identity | dict(self._rules.const_labels))
            self._targets[key] = _Series(labels[1:-1], 1, 0, now_s)

    def _has_room(self, now_s: float) -> bool:
        if self._count >= self._rules.series_limit:
            self._expire(now_s)
        return self._count < self._rules.series_limit

    def _expire(self, now_s: float) -> None:
        if now_s - self._expired_s < _EXPIRY_STEP_S:
            return
        self._expired_s = now_s
        oldest = now_s - self._rules.expiration_s
        for family in self._families.values():
            family.series = {k: one for k, one in family.series.items() if one.heard_s >= oldest}
        self._families = {name: one for name, one in self._families.items() if one.series}
        self._targets = {k: one for k, one in self._targets.items() if one.heard_s >= oldest}
        self._count = sum(len(family.series) for family in self._families.values())

    def render(self, now_s: float) -> bytes:
        """One scrape's answer, families by name."""
        self._expire(now_s)
        lines: list[str] = []
        if self._targets:
            lines += header("target_info", "gauge", "What describes the source of metrics")
            lines += [_sample("target_info", one.labels, 1) for one in self._targets.values()]
        for name, family in sorted(self._families.items()):
            lines += header(name, family.kind, family.help_text)
            for series in family.series.values():
                time = f" {series.time_ns // 1_000_000}" if self._rules.timestamps else ""
                lines += [line + time for line in _samples(name, series)]
        # A lone surrogate in a label must not break the scrape.
        return ("\n".join(lines) + "\n").encode("utf-8", "replace") if lines else b""


def _is_delta(metric: Metric) -> bool | None:
    """Whether points are to be added up; None if nobody can tell."""
    match metric.data:
        case None:
            return None
        case Sum() | Histogram() | ExponentialHistogram():
            return _ADDED_UP.get(metric.data.temporality)
        case _:
            return False


def _identity(resource: Resource) -> dict[str, str]:
    """`job` and `instance`, as Prometheus calls service and instance."""
    parts = [label_value(resource.attributes.get(key)) for key in _JOB]
    labels = {
        "job": "/".join(part for part in parts if part) if parts[1] else "",
        "instance": label_value(resource.attributes.get(_INSTANCE)),
    }
    return {key: value for key, value in labels.items() if value}


def _samples(name: str, series: _Series) -> Iterator[str]:
    reading, labels = series.reading, series.labels
    match reading:
        case HistogramValue():
            for bound, values in cumulative(reading).items():
                yield _sample(f"{name}_bucket", _with(labels, "le", bound), values)
            if reading.total is not None:
                yield _sample(f"{name}_sum", labels, reading.total)
            yield _sample(f"{name}_count", labels, reading.count)
        case SummaryValue():
            for quantile, value in sorted(reading.quantiles.items()):
                yield _sample(name, _with(labels, "quantile", quantile), value)
            yield _sample(f"{name}_sum", labels, reading.total)
            yield _sample(f"{name}_count", labels, reading.count)
        case _:
            yield _sample(name, labels, reading)


def _with(labels: str, key: str, value: float) -> str:
    return f'{labels},{key}="{number(value)}"' if labels else f'{key}="{number(value)}"'


def _sample(name: str, labels: str, value: float) -> str:
    return f"{name}{{{labels}}} {number(value)}" if labels else f"{name} {number(value)}"
