"""What one series says: a number, a histogram or a summary. Pure functions.

Prometheus knows classic histograms only. An exponential histogram is given the bounds 2^-30 to
2^50: every scale's buckets are cut at powers of two, so that nothing is estimated, and the bounds
stay the same whatever the scale does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeAlias

from genai_collector.model import (
    Buckets,
    ExponentialHistogramPoint,
    HistogramPoint,
    NumberPoint,
    Point,
    SummaryPoint,
)

_LOWEST_POWER: Final = -30
_HIGHEST_POWER: Final = 50
_LOWEST_SCALE: Final = -10
"""Below this one bucket is wider than a float."""


@dataclass(slots=True)
class HistogramValue:
    """`buckets`: upper bound -> values in this bucket alone; those above all bounds are only in
    `count`. `bounds`: the producer's bounds, or None where they are powers of two."""

    count: int
    total: float | None
    buckets: dict[float, int]
    bounds: tuple[float, ...] | None = None


@dataclass(slots=True)
class SummaryValue:
    count: int
    total: float
    quantiles: dict[float, float] = field(default_factory=dict)


Reading: TypeAlias = int | float | HistogramValue | SummaryValue


def read_point(point: Point) -> Reading | None:
    """What a point says, or None if it contradicts itself or says nothing."""
    match point:
        case NumberPoint():
            return point.value
        case HistogramPoint():
            return _read_histogram(point)
        case ExponentialHistogramPoint():
            return _read_exponential(point)
        case SummaryPoint():
            quantiles = {each.quantile: each.value for each in point.quantiles}
            return SummaryValue(point.count, point.sum, quantiles)


def _read_histogram(point: HistogramPoint) -> HistogramValue | None:
    bounds, counts = point.explicit_bounds, point.bucket_counts
    if not counts:
        return HistogramValue(point.count, point.sum, {}, ())
    ordered = all(low < high for low, high in pairwise(bounds))
    if len(counts) != len(bounds) + 1 or not ordered or sum(counts) != point.count:
        return None
    return HistogramValue(
        point.count, point.sum, dict(zip(bounds, counts, strict=False)), tuple(bounds)
    )


def _read_exponential(point: ExponentialHistogramPoint) -> HistogramValue | None:
    if point.scale < _LOWEST_SCALE:
        return None
    positive, negative = point.positive or Buckets(), point.negative or Buckets()
    count = point.zero_count + sum(positive.bucket_counts) + sum(negative.bucket_counts)
    if count != point.count:
        return None
    buckets: dict[float, int] = {}
    if point.zero_count:
        _add(buckets, _above(point.zero_threshold), point.zero_count)
    for at, values in enumerate(positive.bucket_counts):
        power = _power(positive.offset + at + 1, point.scale, up=True)
        if values and power <= _HIGHEST_POWER:
            _add(buckets, 2.0 ** max(power, _LOWEST_POWER), values)
    for at, values in enumerate(negative.bucket_counts):
        power = _power(negative.offset + at, point.scale, up=False)
        if values:
            high = -(2.0 ** min(power, _HIGHEST_POWER)) if power >= _LOWEST_POWER else 0.0
            _add(buckets, high, values)
    return HistogramValue(point.count, point.sum, buckets)


def _power(index: int, scale: int, *, up: bool) -> int:
    """The power of two at a bucket's boundary, or the next one up or down."""
    if scale <= 0:
        return index << -scale
    return -(-index >> scale) if up else index >> scale


def _above(threshold: float) -> float:
    if not 0 < threshold < math.inf:
        return 0.0
    return 2.0 ** min(max(math.ceil(math.log2(threshold)), _LOWEST_POWER), _HIGHEST_POWER)


def _add(buckets: dict[float, int], bound: float, values: int) -> None:
    buckets[bound] = buckets.get(bound, 0) + values


def plus(known: Reading | None, more: Reading) -> Reading:
    """The total after a delta. A histogram whose bounds have changed begins anew."""
    match known, more:
        case int() | float(), int() | float():
            return known + more
        case HistogramValue(), HistogramValue() if known.bounds == more.bounds:
            total = None if known.total is None or more.total is None else known.total + more.total
            buckets = dict(known.buckets)
            for bound, values in more.buckets.items():
                _add(buckets, bound, values)
            return HistogramValue(known.count + more.count, total, buckets, known.bounds)
        case _:
            return more


def cumulative(value: HistogramValue) -> Mapping[float, int]:
    """Bound -> how many values are not above it, with +Inf last."""
    running = 0
    found: dict[float, int] = {}
    for bound in sorted(value.buckets):
        running += value.buckets[bound]
        found[bound] = running
    return found | {math.inf: value.count}
