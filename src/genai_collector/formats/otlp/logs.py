"""Log records, protobuf in both directions."""

from __future__ import annotations

from typing import Final

from genai_collector.formats.otlp import wire
from genai_collector.formats.otlp.envelope import read_items, write_request
from genai_collector.formats.otlp.messages import LogRecordMessage, parse_logs
from genai_collector.formats.otlp.values import (
    AttributesField,
    decode_any_value,
    encode_any_value,
    read_attributes,
)
from genai_collector.model import LogRecord, Resource, Scope

# --- decode ---------------------------------------------------------------------------------


def decode_logs(data: bytes) -> list[LogRecord]:
    return read_items(parse_logs(data), _read_record)


def _read_record(message: LogRecordMessage, resource: Resource, scope: Scope) -> LogRecord:
    return LogRecord(
        time_ns=message.time_unix_nano,
        observed_time_ns=message.observed_time_unix_nano,
        severity_number=message.severity_number,
        severity_text=message.severity_text,
        body=decode_any_value(b"".join(message.body)),
        attributes=read_attributes(message.attributes),
        dropped_attributes_count=message.dropped_attributes_count,
        flags=message.flags,
        trace_id=message.trace_id,
        span_id=message.span_id,
        event_name=message.event_name,
        resource=resource,
        scope=scope,
    )


# --- encode ---------------------------------------------------------------------------------

_TIME: Final = wire.Fixed64Field("log.time_ns", 1)
_SEVERITY_NUMBER: Final = wire.enum_field("log.severity_number", 2)
_SEVERITY_TEXT: Final = wire.StringField("log.severity_text", 3)
_BODY: Final = wire.BytesField("log.body", 5)
_ATTRIBUTES: Final = AttributesField(6, levels=95)
_DROPPED: Final = wire.uint32_field("log.dropped_attributes_count", 7)
_FLAGS: Final = wire.Fixed32Field("log.flags", 8)
_TRACE_ID: Final = wire.BytesField("log.trace_id", 9)
_SPAN_ID: Final = wire.BytesField("log.span_id", 10)
_OBSERVED_TIME: Final = wire.Fixed64Field("log.observed_time_ns", 11)
_EVENT_NAME: Final = wire.StringField("log.event_name", 12)


def encode_logs(records: list[LogRecord]) -> bytes:
    return write_request(records, _write_record)


def _write_record(record: LogRecord) -> bytes:
    return b"".join(
        [
            _TIME.write(record.time_ns),
            _SEVERITY_NUMBER.write(record.severity_number),
            _SEVERITY_TEXT.write(record.severity_text),
            _BODY.write(encode_any_value(record.body)),
            _ATTRIBUTES.write(record.attributes),
            _DROPPED.write(record.dropped_attributes_count),
            _FLAGS.write(record.flags),
            _TRACE_ID.write(record.trace_id),
            _SPAN_ID.write(record.span_id),
            _OBSERVED_TIME.write(record.observed_time_ns),
            _EVENT_NAME.write(record.event_name),
        ]
    )
