"""Log records as records: one each, whole in `attributes.otel.log_json`.

GenAI events say about a call what a span would say, so they are read as one: an event with the
details of an inference shows provider, model, request and response like the call's own record, and
an evaluation shows its name, score and label. Any other log record shows its body.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from genai_collector.conventions import read_observation
from genai_collector.errors import DecodeError
from genai_collector.formats.json_text import canonical, loads
from genai_collector.formats.noveum import fields
from genai_collector.formats.noveum.fields import Record, Spelling, get_path
from genai_collector.formats.noveum.observed import ObservedWriter
from genai_collector.formats.otel_block import BlockReader, decimal, text
from genai_collector.formats.tagged import (
    pack,
    pack_attributes,
    readable,
    unpack,
    unpack_attributes,
)
from genai_collector.model import Attributes, LogRecord, Span, Value

INFERENCE_DETAILS: Final = "gen_ai.client.inference.operation.details"
EVALUATION: Final = "gen_ai.evaluation.result"
_OLD_EVENT_NAME: Final = "event.name"
_EVALUATION_MEMBERS: Final = {
    "name": "gen_ai.evaluation.name",
    "score": "gen_ai.evaluation.score.value",
    "label": "gen_ai.evaluation.score.label",
    "explanation": "gen_ai.evaluation.explanation",
    "response_id": "gen_ai.response.id",
}


def encode_logs(logs: Sequence[LogRecord], *, spelling: Spelling = "gateway") -> list[Record]:
    """One record per log record, in order."""
    writer = ObservedWriter(spelling)
    return [_encode(writer, log) for log in logs]


def _encode(writer: ObservedWriter, log: LogRecord) -> Record:
    name = event_name(log)
    packed = _pack(log)
    block: Record = {
        "log_json": text(packed),
        "resource_json": writer.blocks.resource_text(log.resource),
        "scope": writer.blocks.scope(log.scope),
    }
    shown: Record = {"id": _record_id(log, packed, block)}
    if name:
        shown["event_name"] = name
    if log.severity_text or log.severity_number:
        shown["severity"] = log.severity_text or log.severity_number
    if log.trace_id:
        block["trace_id"] = log.trace_id.hex()
    if log.span_id:
        block["span_id"] = log.span_id.hex()
    if name == INFERENCE_DETAILS:
        shown.update(_inference(writer, log))
    elif name == EVALUATION:
        shown["evaluation"] = _evaluation(log.attributes)
    if log.body is not None:
        shown["body"] = readable(log.body)
    shown["otel"] = block
    time_ns = log.time_ns or log.observed_time_ns
    return writer.envelope(log.resource, time_ns, fields.OTEL_LOG_NAME, shown)


def event_name(log: LogRecord) -> str:
    """The event's name; before OTLP had a field for it, it was an attribute."""
    old = log.attributes.get(_OLD_EVENT_NAME)
    return log.event_name or (old if isinstance(old, str) else "")


def _record_id(log: LogRecord, packed: Record, block: Record) -> str:
    identity: Value = [packed, block["resource_json"], log.trace_id.hex(), log.span_id.hex()]
    return "log_" + hashlib.sha256(canonical(identity)).hexdigest()[:16]


def _inference(writer: ObservedWriter, log: LogRecord) -> Record:
    """The members of a call, read from the event as from a span."""
    span = Span(
        trace_id=log.trace_id,
        span_id=log.span_id,
        start_ns=log.time_ns,
        end_ns=log.time_ns,
        attributes=log.attributes,
        resource=log.resource,
        scope=log.scope,
    )
    seen = read_observation(span)
    return writer.call_members(span, seen)


def _evaluation(said: Attributes) -> Record:
    return {name: readable(said[key]) for name, key in _EVALUATION_MEMBERS.items() if key in said}


def _pack(log: LogRecord) -> Record:
    packed: Record = {
        "time_unix_nano": str(log.time_ns),
        "observed_time_unix_nano": str(log.observed_time_ns),
        "severity_number": int(log.severity_number),
        "severity_text": log.severity_text,
        "body": pack(log.body),
        "attributes": pack_attributes(log.attributes),
        "dropped_attributes_count": log.dropped_attributes_count,
        "flags": log.flags,
        "event_name": log.event_name,
    }
    return packed


# The way back ---------------------------------------------------------------------------------


def decode_logs(records: Iterable[Value]) -> list[LogRecord]:
    """The log records that the records were made from. Raises DecodeError that names the record."""
    reader = BlockReader()
    logs: list[LogRecord] = []
    for at, record in enumerate(records):
        try:
            logs.append(_decode(get_path(record, ("attributes", "otel")), reader))
        except (TypeError, ValueError, KeyError, DecodeError) as exc:
            raise DecodeError(f"record {at}: no log record in attributes.otel.log_json") from exc
    return logs


def _decode(block: Value | fields._Absent, reader: BlockReader) -> LogRecord:
    if not isinstance(block, dict):
        raise TypeError("not an object")
    packed = loads(_text(block["log_json"]))
    if not isinstance(packed, dict):
        raise TypeError("not an object")
    return LogRecord(
        time_ns=decimal(packed["time_unix_nano"]),
        observed_time_ns=decimal(packed["observed_time_unix_nano"]),
        severity_number=_int(packed["severity_number"]),
        severity_text=_text(packed["severity_text"]),
        body=unpack(packed["body"]),
        attributes=unpack_attributes(packed["attributes"]),
        dropped_attributes_count=_int(packed["dropped_attributes_count"]),
        flags=_int(packed["flags"]),
        trace_id=bytes.fromhex(_text(block.get("trace_id", ""))),
        span_id=bytes.fromhex(_text(block.get("span_id", ""))),
        event_name=_text(packed["event_name"]),
        resource=reader.resource(block["resource_json"]),
        scope=reader.scope(block["scope"]),
    )


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _int(value: Value) -> int:
    if type(value) is not int:
        raise TypeError("not an integer")
    return value
