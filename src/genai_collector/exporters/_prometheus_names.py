"""What an OTLP metric and its attributes are called in Prometheus. Pure functions.

The rules are those of the OpenTelemetry specification (compatibility with Prometheus, classic
names), so that dashboards made for the OpenTelemetry Collector's exporter find the same names:
letters, digits and `_` only; the unit in words at the end, `_total` after it for what only grows.
"""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from genai_collector.conventions.coerce import to_json
from genai_collector.model import (
    Attributes,
    ExponentialHistogram,
    Histogram,
    Metric,
    Sum,
    Summary,
    Value,
)
from genai_collector.telemetry.prometheus import sanitized

FamilyKind: TypeAlias = Literal["counter", "gauge", "histogram", "summary"]

UNITS: Final = {
    "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds",
    "us": "microseconds", "ns": "nanoseconds",
    "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
    "TiBy": "tebibytes", "KBy": "kilobytes", "kBy": "kilobytes", "MBy": "megabytes",
    "GBy": "gigabytes", "TBy": "terabytes",
    "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams",
    "Cel": "celsius", "Hz": "hertz", "%": "percent", "1": "",
}  # fmt: skip
"""UCUM -> words. A unit that is not here is written as it is."""
PER: Final = {
    "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
}  # fmt: skip
"""What may stand below a slash."""

_ANNOTATION: Final = re.compile(r"\{[^}]*\}")
_UNDERSCORES: Final = re.compile(r"_+")
_LONGEST_VALUE: Final = 1024


def kind_of(metric: Metric) -> FamilyKind:
    """A sum that may fall is a gauge; so is a metric without data."""
    match metric.data:
        case Sum(is_monotonic=True):
            return "counter"
        case Histogram() | ExponentialHistogram():
            return "histogram"
        case Summary():
            return "summary"
        case _:
            return "gauge"


def family_name(metric: Metric, namespace: str, *, suffixes: bool) -> str:
    """The name of all the metric's series; empty if nothing of the metric's name is left."""
    words = [word for word in _UNDERSCORES.split(sanitized(metric.name)) if word]
    if not words:
        return ""
    if suffixes:
        kind = kind_of(metric)
        words += [word for word in _unit_words(metric.unit, kind) if word not in words]
        if kind == "counter":
            words = [*[word for word in words if word != "total"], "total"]
    name = "_".join([namespace, *words] if namespace else words)
    return sanitized(name)


def _unit_words(unit: str, kind: FamilyKind) -> list[str]:
    if unit == "1":
        return ["ratio"] if kind == "gauge" else []
    whole, slash, part = _ANNOTATION.sub("", unit).partition("/")
    words = [_plain(UNITS.get(whole, whole))]
    if slash and part:
        words.append(f"per_{_plain(PER.get(part, part))}")
    return [word for word in words if word]


def _plain(word: str) -> str:
    return _UNDERSCORES.sub("_", re.sub(r"[^a-zA-Z0-9_]", "_", word)).strip("_")


def labels_of(attributes: Attributes) -> dict[str, str]:
    """Labels of a point. Attributes whose names become one are joined with `;`, in the order of
    their own names, so that none replaces another."""
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        name, value = sanitized(key), label_value(attributes[key])
        if name:
            labels[name] = f"{labels[name]};{value}" if name in labels else value
    return labels


def label_value(value: Value) -> str:
    """Text as it is, everything else as JSON; cut where it is no label any more."""
    if isinstance(value, str):
        return value[:_LONGEST_VALUE]
    return "" if value is None else (to_json(value) or "")[:_LONGEST_VALUE]
