"""Log records in OTLP/JSON, both directions. Mirrors `logs`."""

from __future__ import annotations

from typing import Final

from opentelemetry.proto.logs.v1 import logs_pb2

from genai_collector.formats.otlp import json_fields as fields
from genai_collector.formats.otlp.json_envelope import Names
from genai_collector.formats.otlp.json_fields import UINT32, UINT64, Fault, JsonObject, compact
from genai_collector.formats.otlp.json_values import (
    read_attributes,
    read_value,
    write_attributes,
    write_value,
)
from genai_collector.model import LogRecord, Resource, Scope

NAMES: Final = Names("resourceLogs", "scopeLogs", "logRecords")

_SEVERITIES: Final = dict(logs_pb2.SeverityNumber.items())


def read_record(
    entry: JsonObject, resource: Resource, scope: Scope, _faults: list[Fault]
) -> LogRecord:
    return LogRecord(
        time_ns=fields.integer(entry, "timeUnixNano", UINT64),
        observed_time_ns=fields.integer(entry, "observedTimeUnixNano", UINT64),
        severity_number=fields.enum(entry, "severityNumber", _SEVERITIES),
        severity_text=fields.string(entry, "severityText"),
        body=read_value(entry, "body"),
        attributes=read_attributes(entry),
        dropped_attributes_count=fields.integer(entry, "droppedAttributesCount", UINT32),
        flags=fields.integer(entry, "flags", UINT32),
        trace_id=fields.identifier(entry, "traceId", 16),
        span_id=fields.identifier(entry, "spanId", 8),
        event_name=fields.string(entry, "eventName"),
        resource=resource,
        scope=scope,
    )


def write_record(record: LogRecord) -> JsonObject:
    return compact(
        {
            "timeUnixNano": fields.int64_text(record.time_ns),
            "observedTimeUnixNano": fields.int64_text(record.observed_time_ns),
            "severityNumber": int(record.severity_number),
            "severityText": record.severity_text,
            "body": write_value(record.body),
            "attributes": write_attributes(record.attributes),
            "droppedAttributesCount": record.dropped_attributes_count,
            "flags": record.flags,
            "traceId": record.trace_id.hex(),
            "spanId": record.span_id.hex(),
            "eventName": record.event_name,
        }
    )
