"""Recorded calls whose content came as log records."""

from __future__ import annotations

from collections.abc import Iterator

from genai_collector.connectors._event_content import EVENTS
from genai_collector.connectors._event_waiting import see_span
from genai_collector.conventions.content import event_name
from genai_collector.formats.otlp import batch_from_protobuf
from genai_collector.model import Batch, LogRecord, Signal, Span
from tests.support.captures import shared

FOLDERS = ("openlit", "otel_openai_v2", "traceloop")


def recorded_batches(folder: str) -> list[Batch]:
    """All requests with spans or log records that a producer sent, in order."""
    root = shared(f"captures/{folder}")
    paths = [path for path in sorted(root.glob("*.pb")) if ".metrics." not in path.name]
    return [
        batch_from_protobuf(Signal(path.name.split(".")[1]), path.read_bytes()) for path in paths
    ]


def recorded_pairs() -> Iterator[tuple[Span, list[LogRecord]]]:
    """Each recorded span without content that has events, with these."""
    for folder in FOLDERS:
        batches = recorded_batches(folder)
        spans = [s for each in batches if each.signal is Signal.TRACES for s in each.spans]
        records = [r for each in batches if each.signal is Signal.LOGS for r in each.logs]
        for one in spans:
            mine = [
                record
                for record in records
                if event_name(record) in EVENTS
                and (record.trace_id, record.span_id) == (one.trace_id, one.span_id)
            ]
            if mine and see_span(one, all_calls=False).waits:
                yield one, mine
