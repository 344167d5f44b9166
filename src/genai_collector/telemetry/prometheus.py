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
        labels = label_set(resource_metrics.resource.attributes)
        lines += header("target_info", "gauge", "What describes this collector")
        lines.append(f"target_info{labels} 1")
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                families.setdefault(sanitized(metric.name), []).append(metric)
    for name in sorted(families):
        metrics = families[name]
        lines += header(name, _kind(metrics[0]), metrics[0].description or "")
        for metric in metrics:
            lines += _samples(name, metric)
    return ("\n".join(lines) + "\n").encode() if lines else b""


def header(name: str, kind: str, help_text: str) -> list[str]:
    """The two lines above a family of samples."""
    return [f"# HELP {name} {help_text.translate(_HELP_ESCAPES)}", f"# TYPE {name} {kind}"]


def _kind(metric: Metric) -> str:
    if isinstance(metric.data, Histogram):
        return "histogram"
    return "counter" if isinstance(metric.data, Sum) and metric.data.is_monotonic else "gauge"


def _samples(name: str, metric: Metric) -> Iterator[str]:
    for point in metric.data.data_points:
        attributes = dict(point.attributes or {})
        if isinstance(point, NumberDataPoint):
            yield f"{name}{label_set(attributes)} {number(point.value)}"
        elif isinstance(point, HistogramDataPoint):
            yield from _histogram(name, attributes, point)


def _histogram(
    name: str, attributes: Mapping[str, object], point: HistogramDataPoint
) -> Iterator[str]:
    cumulative = 0
    bounds = [*point.explicit_bounds, math.inf]
    for bound, count in zip(bounds, point.bucket_counts, strict=True):
        cumulative += count
        labels = label_set({**attributes, "le": number(bound)})
        yield f"{name}_bucket{labels} {cumulative}"
    labels = label_set(attributes)
    yield f"{name}_sum{labels} {number(point.sum)}"
    yield f"{name}_count{labels} {point.count}"


def label_set(attributes: Mapping[str, object]) -> str:
    """`{a="b"}` sorted by name; empty for no labels."""
    pairs = [
        f'{sanitized(key)}="{str(value).translate(_LABEL_ESCAPES)}"'
        for key, value in sorted(attributes.items())
    ]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def sanitized(text: str) -> str:
    """The text as a name: what is not a letter, a digit or `_` becomes `_`."""
    name = _NOT_IN_NAMES.sub("_", text)
    return f"_{name}" if name[:1].isdigit() else name


def number(value: float) -> str:
    """As a sample's value or a bucket's bound."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
