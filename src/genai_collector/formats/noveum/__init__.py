"""Noveum's log records (one JSON object per call of a model, as its AI gateway writes them) and
the traces of its SDK.

    parse(data) -> records            dump(record) -> bytes
    encode_spans(spans) -> records    decode_records(records) -> spans
    encode_metrics / decode_metrics   encode_logs / decode_logs
    loss(spans) -> what of a span has no member in a record
    encode_traces(spans) -> traces    decode_payload({"traces": [...]}) -> spans
    read_document(data) -> items of any of these forms

Every translation is exact both ways (see `codec` and `traces`); docs/noveum.md has the mapping.
"""

from __future__ import annotations

from genai_collector.formats.loss import Loss
from genai_collector.formats.noveum.codec import (
    RecordDecoder,
    SpanEncoder,
    decode_records,
    encode_spans,
)
from genai_collector.formats.noveum.documents import Document, is_noveum, read_document
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
from genai_collector.formats.noveum.trace_fields import Trace
from genai_collector.formats.noveum.traces import (
    TraceEncoder,
    decode_payload,
    decode_trace,
    encode_payload,
    encode_traces,
    group_traces,
    trace_loss,
)
from genai_collector.model import Signal

__all__ = [
    "Document",
    "Loss",
    "PointRecord",
    "Record",
    "RecordDecoder",
    "SpanEncoder",
    "Spelling",
    "Trace",
    "TraceEncoder",
    "decode_logs",
    "decode_metrics",
    "decode_payload",
    "decode_records",
    "decode_trace",
    "dump",
    "encode_logs",
    "encode_metrics",
    "encode_payload",
    "encode_points",
    "encode_spans",
    "encode_traces",
    "group_traces",
    "is_noveum",
    "loss",
    "parse",
    "read_document",
    "signal_of",
    "trace_loss",
]

_SIGNALS = {METRIC_NAME: Signal.METRICS, OTEL_LOG_NAME: Signal.LOGS}


def signal_of(record: Record) -> Signal:
    """Which of the decoders takes this record; a gateway's own records are calls, thus traces."""
    name = record.get("name")
    return _SIGNALS.get(name, Signal.TRACES) if isinstance(name, str) else Signal.TRACES
