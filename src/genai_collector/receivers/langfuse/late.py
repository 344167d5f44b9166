"""Late updates: what is said of an observation or a trace that has been emitted already."""

from __future__ import annotations

from typing import Final

from genai_collector.formats import ids
from genai_collector.formats.langfuse.decode import Decoder
from genai_collector.formats.langfuse.merge import TRACE, Object, body_of, entity_of
from genai_collector.formats.langfuse.span_values import json_text
from genai_collector.model import LogRecord

LATE_UPDATE: Final = "langfuse.late_update"
_WARN: Final = 13


def late_update(decoder: Decoder, event: Object) -> LogRecord:
    """A log record with the event in it, whole, and the ids of the span that it is about."""
    about = entity_of(event)
    assert about is not None
    entity, key = about
    record = LogRecord(
        severity_number=_WARN,
        event_name=LATE_UPDATE,
        body=json_text(event),
        attributes={"langfuse.event.type": str(event["type"])},
        resource=decoder.resource,
        scope=decoder.scope,
    )
    trace = key if entity == TRACE else body_of(event).get("traceId")
    if isinstance(trace, str):
        record.trace_id = ids.trace_id(trace)
        if entity != TRACE:
            record.span_id = ids.span_id(key)
    return record
