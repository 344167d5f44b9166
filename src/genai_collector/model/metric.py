"""Metrics, in every shape that OTLP has.

Optional numbers are `None` when absent, because OTLP tells "no minimum" from "minimum 0".
A number point's value is an `int` where the wire said `as_int`, a `float` for `as_double`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from genai_collector.model.resource import Resource, Scope
from genai_collector.model.value import Attributes


class Temporality(IntEnum):
    UNSPECIFIED = 0
    DELTA = 1
    CUMULATIVE = 2


@dataclass(slots=True, kw_only=True)
class Exemplar:
    time_ns: int = 0
    value: int | float | None = None
    trace_id: bytes = b""
    span_id: bytes = b""
    filtered_attributes: Attributes = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class NumberPoint:
    attributes: Attributes = field(default_factory=dict)
    start_ns: int = 0
    time_ns: int = 0
    value: int | float | None = None
    exemplars: list[Exemplar] = field(default_factory=list)
    flags: int = 0


@dataclass(slots=True, kw_only=True)
class HistogramPoint:
    attributes: Attributes = field(default_factory=dict)
    start_ns: int = 0
    time_ns: int = 0
    count: int = 0
    sum: float | None = None
    bucket_counts: list[int] = field(default_factory=list)
    explicit_bounds: list[float] = field(default_factory=list)
    exemplars: list[Exemplar] = field(default_factory=list)
    flags: int = 0
    min: float | None = None
    max: float | None = None


@dataclass(slots=True, kw_only=True)
class Buckets:
    offset: int = 0
    bucket_counts: list[int] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class ExponentialHistogramPoint:
    attributes: Attributes = field(default_factory=dict)
    start_ns: int = 0
    time_ns: int = 0
    count: int = 0
    sum: float | None = None
    scale: int = 0
    zero_count: int = 0
    positive: Buckets | None = None
    negative: Buckets | None = None
    flags: int = 0
    exemplars: list[Exemplar] = field(default_factory=list)
    min: float | None = None
    max: float | None = None
    zero_threshold: float = 0.0


@dataclass(slots=True, kw_only=True)
class Quantile:
    quantile: float = 0.0
    value: float = 0.0


@dataclass(slots=True, kw_only=True)
class SummaryPoint:
    attributes: Attributes = field(default_factory=dict)
    start_ns: int = 0
    time_ns: int = 0
    count: int = 0
    sum: float = 0.0
    quantiles: list[Quantile] = field(default_factory=list)
    flags: int = 0


@dataclass(slots=True, kw_only=True)
class Gauge:
    points: list[NumberPoint] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Sum:
    points: list[NumberPoint] = field(default_factory=list)
    temporality: int = 0
    is_monotonic: bool = False


@dataclass(slots=True, kw_only=True)
class Histogram:
    points: list[HistogramPoint] = field(default_factory=list)
    temporality: int = 0


@dataclass(slots=True, kw_only=True)
class ExponentialHistogram:
    points: list[ExponentialHistogramPoint] = field(default_factory=list)
    temporality: int = 0


@dataclass(slots=True, kw_only=True)
class Summary:
    points: list[SummaryPoint] = field(default_factory=list)


MetricData: TypeAlias = Gauge | Sum | Histogram | ExponentialHistogram | Summary
Point: TypeAlias = NumberPoint | HistogramPoint | ExponentialHistogramPoint | SummaryPoint


class Metric:
    """One metric with its data points. `data` is `None` where the wire had none of the five."""

    __slots__ = ("data", "description", "metadata", "name", "resource", "scope", "unit")

    def __init__(
        self,
        *,
        name: str = "",
        description: str = "",
        unit: str = "",
        data: MetricData | None = None,
        metadata: Attributes | None = None,
        resource: Resource | None = None,
        scope: Scope | None = None,
    ) -> None:
        self.name = name
        self.description = description
        self.unit = unit
        self.data = data
        self.metadata: Attributes = {} if metadata is None else metadata
        self.resource = Resource() if resource is None else resource
        self.scope = Scope() if scope is None else scope

    @property
    def points(self) -> list[Point]:
        """The data points, whatever the kind."""
        return [] if self.data is None else list(self.data.points)
