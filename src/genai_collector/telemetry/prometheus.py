"""Our own metrics as Prometheus text (exposition format 0.0.4).

As otelcol's default reader does it: dots become underscores, no `_total`, no unit suffix, no scope
labels; the resource is one `target_info` line. Counters (monotonic sums), gauges (everything else
that is one number) and explicit histograms.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

from opentelemetry.sdk.metrics.export import (
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_]")
_LABEL_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


def render(data: MetricsData | None) -> bytes:
    """One scrape's answer. A metric that several scopes record is one family."""
    families: dict[str, list[Metric]] = {}
    lines: list[str] = []
    for resource_metrics in data.resource_metrics if data is not None else ():
        labels = _labels(resource_metrics.resource.attributes)
        lines += _header("target_info", "gauge", "What describes this collector")
        lines.append(f"target_info{labels} 1")
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                families.setdefault(_name(metric.name), []).append(metric)
    for name in sorted(families):
        metrics = families[name]
        lines += _header(name, _kind(metrics[0]), metrics[0].description or "")
        for metric in metrics:
            lines += _samples(name, metric)
    return ("\n".join(lines) + "\n").encode() if lines else b""


def _header(name: str, kind: str, help_text: str) -> list[str]:
    return [f"# HELP {name} {help_text.translate(_HELP_ESCAPES)}", f"# TYPE {name} {kind}"]


def _kind(metric: Metric) -> str:
    if isinstance(metric.data, Histogram):
        return "histogram"
    return "counter" if isinstance(metric.data, Sum) and metric.data.is_monotonic else "gauge"


def _samples(name: str, metric: Metric) -> Iterator[str]:
    for point in metric.data.data_points:
        attributes = dict(point.attributes or {})
        if isinstance(point, NumberDataPoint):
            yield f"{name}{_labels(attributes)} {_number(point.value)}"
        elif isinstance(point, HistogramDataPoint):
            yield from _histogram(name, attributes, point)


def _histogram(
    name: str, attributes: Mapping[str, object], point: HistogramDataPoint
) -> Iterator[str]:
    cumulative = 0
    bounds = [*point.explicit_bounds, math.inf]
    for bound, count in zip(bounds, point.bucket_counts, strict=True):
        cumulative += count
        labels = _labels({**attributes, "le": _number(bound)})
        yield f"{name}_bucket{labels} {cumulative}"
    labels = _labels(attributes)
    yield f"{name}_sum{labels} {_number(point.sum)}"
    yield f"{name}_count{labels} {point.count}"


def _labels(attributes: Mapping[str, object]) -> str:
    pairs = [
        f'{_name(key)}="{str(value).translate(_LABEL_ESCAPES)}"'
        for key, value in sorted(attributes.items())
    ]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _name(text: str) -> str:
    name = _NOT_IN_NAMES.sub("_", text)
    return f"_{name}" if name[:1].isdigit() else name


def _number(value: float) -> str:
    return "+Inf" if value == math.inf else repr(value)  # the SDK measures finite values only
