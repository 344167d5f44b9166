"""What both OTLP exporters share: the signals' names on the wire, and reading the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from genai_collector.component import Sent
from genai_collector.model import Batch, Items, Signal

PARTIAL_SUCCESS: Final = "partial_success"

_Response: TypeAlias = (
    "type[ExportTraceServiceResponse | ExportMetricsServiceResponse | ExportLogsServiceResponse]"
)


class _Wire(NamedTuple):
    response: _Response
    rejected: str
    """Field of the partial success that counts, in protobuf."""
    rejected_json: str


_WIRE: Final[Mapping[Signal, _Wire]] = {
    Signal.TRACES: _Wire(ExportTraceServiceResponse, "rejected_spans", "rejectedSpans"),
    Signal.METRICS: _Wire(
        ExportMetricsServiceResponse, "rejected_data_points", "rejectedDataPoints"
    ),
    Signal.LOGS: _Wire(ExportLogsServiceResponse, "rejected_log_records", "rejectedLogRecords"),
}


def items_of(batch: Batch) -> Items:
    """The batch's items, for reading only."""
    match batch.signal:
        case Signal.TRACES:
            return batch.view_spans()
        case Signal.METRICS:
            return batch.view_metrics()
        case Signal.LOGS:
            return batch.view_logs()


def sent_of_protobuf(signal: Signal, count: int, body: bytes) -> Sent:
    """What became of `count` items, from a successful answer in protobuf. An answer that cannot
    be read is a success all the same: the status said so."""
    if not body:
        return Sent(count)
    wire = _WIRE[signal]
    try:
        partial = wire.response.FromString(body).partial_success
    except ProtobufError:
        return Sent(count)
    return _sent(count, getattr(partial, wire.rejected), partial.error_message)


def sent_of_json(signal: Signal, count: int, body: bytes) -> Sent:
    """The same from an answer in JSON."""
    try:
        answer = json.loads(body) if body else None
        partial = answer.get("partialSuccess") if isinstance(answer, dict) else None
        if not isinstance(partial, dict):
            return Sent(count)
        rejected = int(partial.get(_WIRE[signal].rejected_json) or 0)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return Sent(count)
    message = partial.get("errorMessage")
    return _sent(count, rejected, message if isinstance(message, str) else "")


def _sent(count: int, rejected: int, message: str) -> Sent:
    rejected = min(max(0, rejected), count)
    message = message[:300]
    if not rejected:
        return Sent(count, message=message)
    return Sent(count - rejected, {PARTIAL_SUCCESS: rejected}, message)
