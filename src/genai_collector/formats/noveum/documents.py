"""Bytes that somebody posted, in any of Noveum's forms, to items of each signal.

An element of the body is a log record, a payload of traces (`{"traces": [...]}`) or one bare
trace; each is judged by itself, and what cannot be read is named beside the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from genai_collector.errors import DecodeError
from genai_collector.formats.json_text import loads
from genai_collector.formats.noveum.codec import RecordDecoder
from genai_collector.formats.noveum.events import decode_logs
from genai_collector.formats.noveum.fields import METRIC_NAME, OTEL_LOG_NAME, Record
from genai_collector.formats.noveum.points import decode_metrics
from genai_collector.formats.noveum.reader import parse_each
from genai_collector.formats.noveum.traces import decode_payload, decode_trace, traces_of
from genai_collector.model import LogRecord, Metric, Span, Value


@dataclass(slots=True)
class Document:
    """What a body held."""

    spans: list[Span] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    """The place of each element that could not be read, and why: `3`, or `0.traces.2`."""


def read_document(data: bytes) -> Document:
    """All that a body holds. Raises DecodeError where it is no JSON, or neither object nor list."""
    parsed = parse_each(data)
    found = Document(refused=[(str(one.place), one.error) for one in parsed.refused])
    decoder = RecordDecoder()
    points: list[tuple[int, Record]] = []
    for place, value in parsed.objects:
        if traces_of(value) is not None:
            _take_traces(found, place, value)
        elif not isinstance(value.get("attributes"), dict):
            why = "neither a log record (no `attributes`) nor a trace (no `spans` or `traces`)"
            found.refused.append((str(place), why))
        elif value.get("name") == METRIC_NAME:
            points.append((place, value))
        else:
            _take_record(found, place, value, decoder)
    _take_points(found, points)
    return found


def _take_traces(found: Document, place: int, payload: Record) -> None:
    try:
        found.spans += decode_payload(payload)
    except DecodeError:  # one trace's fault must not cost the others
        for at, trace in enumerate(traces_of(payload) or []):
            try:
                found.spans += decode_trace(trace)
            except DecodeError as exc:
                found.refused.append((f"{place}.traces.{at}", str(exc)))


def _take_record(found: Document, place: int, record: Record, decoder: RecordDecoder) -> None:
    try:
        if record.get("name") == OTEL_LOG_NAME:
            found.logs += decode_logs([record])
        else:
            found.spans.append(decoder.decode(record))
    except DecodeError as exc:
        found.refused.append((str(place), str(exc).removeprefix("record 0: ")))


def _take_points(found: Document, points: list[tuple[int, Record]]) -> None:
    """Points of one metric belong together, so they are decoded together if they all can be."""
    try:
        found.metrics += decode_metrics([record for _, record in points])
    except DecodeError:
        for place, record in points:
            try:
                found.metrics += decode_metrics([record])
            except DecodeError as exc:
                found.refused.append((str(place), str(exc).removeprefix("record 0: ")))


def is_noveum(data: bytes) -> bool:
    """Whether a JSON body is Noveum's and not OTLP's, by what stands at its top."""
    # A quote inside a JSON string is escaped, so this finds keys (and, rarely, whole values).
    if b'"resourceSpans"' in data and b'"traces"' not in data:
        return False
    top = _loads(data)
    first = top[0] if isinstance(top, list) and top else top
    if not isinstance(first, dict) or "resourceSpans" in first or "resource_spans" in first:
        return False
    return traces_of(first) is not None or isinstance(first.get("attributes"), dict)


def _loads(data: bytes) -> Value:
    try:
        value: Value = orjson.loads(data)
    except orjson.JSONDecodeError:
        try:
            return loads(data)
        except DecodeError:
            return None
    return value
