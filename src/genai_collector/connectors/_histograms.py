"""Cumulative histograms by service and attributes, of which there are never more than a limit.

Values are added one by one; `collect` gives everything so far as OTLP metrics. What comes when a
metric already has `limit` series is added to one more, marked `otel.metric.overflow`, so that
totals stay right whatever the attributes are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import Final, NamedTuple, TypeAlias

from genai_collector.model import (
    Exemplar,
    Histogram,
    HistogramPoint,
    Metric,
    Resource,
    Scope,
    Temporality,
)

Labels: TypeAlias = "tuple[tuple[str, str | int], ...]"
"""Attributes as a key; all of one metric's labels are in the same order, and of one type each."""

OVERFLOW: Final[Labels] = (("otel.metric.overflow", True),)
_EXEMPLARS: Final = 5


class Instrument(NamedTuple):
    """What is measured, and the upper bounds of its buckets, each bound included."""

    name: str
    unit: str
    description: str
    bounds: tuple[float, ...]


class _Series:
    """All values of one point so far."""

    __slots__ = ("buckets", "count", "exemplars", "highest", "lowest", "total")

    def __init__(self, buckets: int, exemplars: int) -> None:
        self.buckets = [0] * buckets
        self.count = 0
        self.total: int | float = 0
        self.lowest = float("inf")
        self.highest = float("-inf")
        self.exemplars: deque[Exemplar] = deque(maxlen=exemplars)


class Histograms:
    """`limit`: series per metric, over all services. `exemplars`: keep the last few of each."""

    def __init__(self, scope: Scope, limit: int, *, exemplars: bool) -> None:
        self._scope = scope
        self._limit = limit
        self._exemplars = _EXEMPLARS if exemplars else 0
        self._series: dict[Instrument, dict[tuple[Labels, Labels], _Series]] = {}
        self._resources: dict[Labels, Resource] = {}

    def add(
        self,
        instrument: Instrument,
        resource: Labels,
        labels: Labels,
        value: float,
        exemplar: Exemplar | None = None,
    ) -> None:
        """Count one value. Integers stay exact, however many there are."""
        series = self._find(instrument, resource, labels)
        series.buckets[bisect_left(instrument.bounds, value)] += 1
        series.count += 1
        series.total += value
        series.lowest = min(series.lowest, value)
        series.highest = max(series.highest, value)
        if exemplar is not None:
            series.exemplars.append(exemplar)

    def _find(self, instrument: Instrument, resource: Labels, labels: Labels) -> _Series:
        known = self._series.setdefault(instrument, {})
        key = (resource, labels)
        if key not in known and len(known) >= self._limit:
            key = ((), OVERFLOW)
        if key not in known:
            known[key] = _Series(len(instrument.bounds) + 1, self._exemplars)
            self._resources.setdefault(key[0], Resource(dict(key[0])))
        return known[key]

    def collect(self, start_ns: int, now_ns: int) -> list[Metric]:
        """Everything since `start_ns`, service by service."""
        found: dict[Labels, dict[Instrument, list[HistogramPoint]]] = {}
        for instrument, known in self._series.items():
            for (resource, labels), series in known.items():
                point = _point(instrument, labels, series, start_ns, now_ns)
                found.setdefault(resource, {}).setdefault(instrument, []).append(point)
        return [
            Metric(
                name=instrument.name,
                unit=instrument.unit,
                description=instrument.description,
                data=Histogram(points=points, temporality=Temporality.CUMULATIVE),
                resource=self._resources[resource],
                scope=self._scope,
            )
            for resource, metrics in found.items()
            for instrument, points in metrics.items()
        ]

    def forget_exemplars(self) -> None:
        """They were sent."""
        for known in self._series.values():
            for series in known.values():
                series.exemplars.clear()


def _point(
    instrument: Instrument, labels: Labels, series: _Series, start_ns: int, now_ns: int
) -> HistogramPoint:
    return HistogramPoint(
        attributes=dict(labels),
        start_ns=start_ns,
        time_ns=now_ns,
        count=series.count,
        sum=float(series.total),
        bucket_counts=list(series.buckets),
        explicit_bounds=list(instrument.bounds),
        exemplars=list(series.exemplars),
        min=float(series.lowest),
        max=float(series.highest),
    )
