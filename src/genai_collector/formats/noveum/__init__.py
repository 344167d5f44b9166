"""Noveum's log records: one JSON object per call of a model, as Noveum's AI gateway writes them.

    parse(data) -> records            dump(record) -> bytes
    encode_spans(spans) -> records    decode_records(records) -> spans
    encode_metrics / decode_metrics   encode_logs / decode_logs
    loss(spans) -> what of a span has no member in a record

Every translation is exact both ways (see `codec`); docs/noveum.md has the mapping.
"""

from __future__ import annotations

from genai_collector.formats.loss import Loss
from genai_collector.formats.noveum.codec import SpanEncoder, decode_records, encode_spans
from genai_collector.formats.noveum.events import decode_logs, encode_logs
from genai_collector.formats.noveum.fields import (
    METRIC_NAME,
    OTEL_LOG_NAME,
    Record,
    Spelling,
)
from genai_collector.formats.noveum.json_text import dump_record as dump
from genai_collector.formats.noveum.losses import loss
from genai_collector.formats.noveum.points import (
    PointRecord,
    decode_metrics,
    encode_metrics,
    encode_points,
)
from genai_collector.formats.noveum.reader import parse
from genai_collector.model import Signal

__all__ = [
    "Loss",
    "PointRecord",
    "Record",
    "SpanEncoder",
    "Spelling",
    "decode_logs",
    "decode_metrics",
    "decode_records",
    "dump",
    "encode_logs",
    "encode_metrics",
    "encode_points",
    "encode_spans",
    "loss",
    "parse",
    "signal_of",
]

_SIGNALS = {METRIC_NAME: Signal.METRICS, OTEL_LOG_NAME: Signal.LOGS}


def signal_of(record: Record) -> Signal:
    """Which of the decoders takes this record; a gateway's own records are calls, thus traces."""
    name = record.get("name")
    return _SIGNALS.get(name, Signal.TRACES) if isinstance(name, str) else Signal.TRACES
