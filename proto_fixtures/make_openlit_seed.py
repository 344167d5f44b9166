# ruff: noqa: INP001 - a script beside its data, not a package
"""Turns a console dump of OpenLIT (OpenTelemetry SDK ConsoleSpanExporter and ConsoleMetricExporter
output inside a text) into OTLP requests: `openlit_seed/traces.*` and `openlit_seed/metrics.*`.

    python proto_fixtures/make_openlit_seed.py DUMP.txt

What the console does not print (scope of a span, data point flags, dropped counts) is not there.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from genai_collector.formats import otlp
from genai_collector.model import (
    Event,
    Exemplar,
    Gauge,
    Histogram,
    HistogramPoint,
    Items,
    Link,
    Metric,
    MetricData,
    NumberPoint,
    Resource,
    Scope,
    Signal,
    Span,
    SpanKind,
    StatusCode,
    Sum,
)

Json = dict[str, Any]
TARGET = Path(__file__).parent / "openlit_seed"
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def find_documents(text: str) -> list[Json]:
    """Every JSON object that starts on a line of its own."""
    found: list[Json] = []
    decoder = json.JSONDecoder()
    end = 0
    for match in re.finditer(r"^\s*(\{)$", text, re.MULTILINE):
        if match.start(1) < end:
            continue
        try:
            document, end = decoder.raw_decode(text, match.start(1))
        except ValueError:
            continue  # a code example, not a dump
        found.append(document)
    return found


def nanoseconds(stamp: str) -> int:
    since = datetime.fromisoformat(stamp) - EPOCH
    return since // timedelta(microseconds=1) * 1000


def hexadecimal(text: str | None) -> bytes:
    return bytes.fromhex(text.removeprefix("0x")) if text else b""


def resource(dump: Json) -> Resource:
    return Resource(dump["attributes"], schema_url=dump["schema_url"] or "")


def span(dump: Json) -> Span:
    events = [
        Event(event["name"], nanoseconds(event["timestamp"]), event["attributes"])
        for event in dump["events"]
    ]
    links = [
        Link(
            hexadecimal(link["context"]["trace_id"]),
            hexadecimal(link["context"]["span_id"]),
            attributes=link["attributes"],
        )
        for link in dump["links"]
    ]
    return Span(
        trace_id=hexadecimal(dump["context"]["trace_id"]),
        span_id=hexadecimal(dump["context"]["span_id"]),
        parent_span_id=hexadecimal(dump["parent_id"]),
        name=dump["name"],
        kind=SpanKind[dump["kind"].removeprefix("SpanKind.")],
        start_ns=nanoseconds(dump["start_time"]),
        end_ns=nanoseconds(dump["end_time"]),
        attributes=dump["attributes"],
        events=events,
        links=links,
        status_code=StatusCode[dump["status"]["status_code"]],
        status_message=dump["status"].get("description", ""),
        resource=resource(dump["resource"]),
    )


def exemplar(dump: Json) -> Exemplar:
    return Exemplar(
        time_ns=dump["time_unix_nano"],
        value=dump["value"],
        trace_id=dump["trace_id"].to_bytes(16, "big"),
        span_id=dump["span_id"].to_bytes(8, "big"),
        filtered_attributes=dump["filtered_attributes"],
    )


def histogram_point(dump: Json) -> HistogramPoint:
    return HistogramPoint(
        attributes=dump["attributes"],
        start_ns=dump["start_time_unix_nano"],
        time_ns=dump["time_unix_nano"],
        count=dump["count"],
        sum=float(dump["sum"]),
        bucket_counts=dump["bucket_counts"],
        explicit_bounds=[float(bound) for bound in dump["explicit_bounds"]],
        exemplars=[exemplar(each) for each in dump["exemplars"]],
        min=float(dump["min"]),
        max=float(dump["max"]),
    )


def number_point(dump: Json) -> NumberPoint:
    return NumberPoint(
        attributes=dump["attributes"],
        start_ns=dump["start_time_unix_nano"] or 0,
        time_ns=dump["time_unix_nano"],
        value=dump["value"],
        exemplars=[exemplar(each) for each in dump["exemplars"]],
    )


def data(dump: Json) -> MetricData:
    points = dump["data_points"]
    if points and "bucket_counts" in points[0]:
        return Histogram(
            points=[histogram_point(point) for point in points],
            temporality=dump["aggregation_temporality"],
        )
    numbers = [number_point(point) for point in points]
    if "is_monotonic" not in dump:
        return Gauge(points=numbers)
    return Sum(
        points=numbers,
        temporality=dump["aggregation_temporality"],
        is_monotonic=dump["is_monotonic"],
    )


def metrics(dump: Json) -> list[Metric]:
    found: list[Metric] = []
    for group in dump["resource_metrics"]:
        owner = resource(group["resource"])
        owner.schema_url = group["schema_url"] or owner.schema_url
        for part in group["scope_metrics"]:
            described = part["scope"]
            scope = Scope(
                described["name"],
                described["version"] or "",
                described["attributes"] or {},
                schema_url=part["schema_url"] or described["schema_url"] or "",
            )
            found += [
                Metric(
                    name=metric["name"],
                    description=metric["description"],
                    unit=metric["unit"],
                    data=data(metric["data"]),
                    resource=owner,
                    scope=scope,
                )
                for metric in part["metrics"]
            ]
    return found


def write(signal: Signal, items: Items) -> None:
    encoded = otlp.encode(signal, items)
    (TARGET / f"{signal}.pb").write_bytes(encoded)
    (TARGET / f"{signal}.json").write_bytes(otlp.encode_json(signal, items) + b"\n")
    sys.stdout.write(f"{signal}: {otlp.check(signal, encoded)} items\n")


def main(dump: str) -> None:
    documents = find_documents(Path(dump).read_text(encoding="utf-8"))
    TARGET.mkdir(exist_ok=True)
    write(Signal.TRACES, [span(found) for found in documents if "context" in found])
    exports = [metrics(found) for found in documents if "resource_metrics" in found]
    write(Signal.METRICS, [metric for export in exports for metric in export])


if __name__ == "__main__":
    main(sys.argv[1])
