"""The public opentelemetry-proto messages as the reference, and how to compare with them."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.message import Message
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from genai_collector.model import Signal

REQUEST: Final[dict[Signal, type[Message]]] = {
    Signal.TRACES: trace_pb2.TracesData,
    Signal.METRICS: metrics_pb2.MetricsData,
    Signal.LOGS: logs_pb2.LogsData,
}

SAME_AS_ABSENT: Final = {
    ("Span", "status"),
    ("ResourceSpans", "resource"),
    ("ResourceMetrics", "resource"),
    ("ResourceLogs", "resource"),
    ("ScopeSpans", "scope"),
    ("ScopeMetrics", "scope"),
    ("ScopeLogs", "scope"),
    ("LogRecord", "body"),
    ("KeyValue", "value"),
}
"""Submessages whose empty form means what their absence means."""


def parse(signal: Signal, data: bytes) -> Message:
    """The request as public messages, without empty submessages that say nothing, and without
    groups and scopes that hold no item."""
    request = REQUEST[signal].FromString(data)
    _prune(request)
    return request


def _prune(message: Any) -> None:
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.is_repeated:
            for each in value:
                _prune(each)
            if field.name.startswith(("resource_", "scope_")):
                kept = [each for each in value if not _is_empty_group(each)]
                del value[:]
                value.extend(kept)
        else:
            _prune(value)
            name = message.DESCRIPTOR.name, field.name
            if name in SAME_AS_ABSENT and not value.ListFields():
                message.ClearField(field.name)


def _is_empty_group(group: Any) -> bool:
    held = group.DESCRIPTOR.fields_by_number[2].name
    return not getattr(group, held)
