"""The one table from our refusals to what OTLP clients are told, and what they hear on success.

Source: the OTLP specification, "Partial Success", "Failures" and "OTLP/HTTP Response". Clients
try again only after 429, 502, 503, 504, and on gRPC after UNAVAILABLE and its like, or after
RESOURCE_EXHAUSTED that carries RetryInfo.
"""

from __future__ import annotations

import json
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from genai_collector.component import Acceptance
from genai_collector.model import Signal
from genai_collector.receivers._http import MAX_MESSAGE_CHARS

_REJECTED_FIELD: Final = {
    Signal.TRACES: "rejectedSpans",
    Signal.METRICS: "rejectedDataPoints",
    Signal.LOGS: "rejectedLogRecords",
}


def success_json(signal: Signal, acceptance: Acceptance) -> bytes:
    """The response in JSON; `partialSuccess` is absent when all was accepted."""
    if not acceptance.rejected and not acceptance.message:
        return b"{}"
    partial: dict[str, str] = {}
    if acceptance.rejected:
        partial[_REJECTED_FIELD[signal]] = str(acceptance.rejected)
    if acceptance.message:
        partial["errorMessage"] = acceptance.message[:MAX_MESSAGE_CHARS]
    return json.dumps({"partialSuccess": partial}).encode()


def success_protobuf(signal: Signal, acceptance: Acceptance) -> bytes:
    """The response in protobuf; no bytes at all when everything was accepted."""
    rejected, message = acceptance.rejected, acceptance.message[:MAX_MESSAGE_CHARS]
    if not rejected and not message:
        return b""
    if signal is Signal.TRACES:
        traces = ExportTraceServiceResponse()
        traces.partial_success.rejected_spans = rejected
        traces.partial_success.error_message = message
        return traces.SerializeToString()
    if signal is Signal.METRICS:
        metrics = ExportMetricsServiceResponse()
        metrics.partial_success.rejected_data_points = rejected
        metrics.partial_success.error_message = message
        return metrics.SerializeToString()
    logs = ExportLogsServiceResponse()
    logs.partial_success.rejected_log_records = rejected
    logs.partial_success.error_message = message
    return logs.SerializeToString()
