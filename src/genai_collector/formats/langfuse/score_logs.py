"""Scores as log records, and back.

A score is said of a trace or a span that is long over, so it cannot be part of one. The
conventions have an event for it, `gen_ai.evaluation.result`, which OTLP carries as a log record.
What the event has no field for (scores of sessions and dataset runs, sources, configurations) is
kept under `langfuse.score.*`, and `score_event` makes the very same score of it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from genai_collector.conventions.semconv import GEN_AI_CONVERSATION_ID
from genai_collector.formats import ids
from genai_collector.formats.langfuse.decode import Decoder, Source
from genai_collector.formats.langfuse.instants import iso_exact, time_ns
from genai_collector.formats.langfuse.merge import SCORE, Object, body_of, entity_of
from genai_collector.formats.langfuse.scores import EVALUATION_EVENT
from genai_collector.formats.langfuse.span_values import json_text
from genai_collector.formats.langfuse.values import JSON, parse_json
from genai_collector.model import LogRecord, Value

_NAME: Final = "gen_ai.evaluation.name"
_VALUE: Final = "gen_ai.evaluation.score.value"
_LABEL: Final = "gen_ai.evaluation.score.label"
_EXPLANATION: Final = "gen_ai.evaluation.explanation"
_PREFIX: Final = "langfuse.score."
_EVENT_ID: Final = f"{_PREFIX}event_id"
_TIMESTAMP: Final = f"{_PREFIX}timestamp"
_METADATA: Final = f"{_PREFIX}metadata"
_ENVIRONMENT: Final = "langfuse.environment"
_TEXTS: Final = {
    "id": f"{_PREFIX}id",
    "traceId": f"{_PREFIX}trace_id",
    "observationId": f"{_PREFIX}observation_id",
    "sessionId": f"{_PREFIX}session_id",
    "datasetRunId": f"{_PREFIX}dataset_run_id",
    "dataType": f"{_PREFIX}data_type",
    "source": f"{_PREFIX}source",
    "configId": f"{_PREFIX}config_id",
    "queueId": f"{_PREFIX}queue_id",
    "executionTraceId": f"{_PREFIX}execution_trace_id",
    "name": _NAME,
    "comment": _EXPLANATION,
    "environment": _ENVIRONMENT,
}
_INFO: Final = 9


def decode_scores(events: Iterable[Object], source: Source | None = None) -> list[LogRecord]:
    """One log record per score among these valid events, in order."""
    decoder = Decoder(source or Source())
    return [
        _record(event, decoder)
        for event in events
        if event["type"] == "score-create" and _is_stored(event)
    ]


def _is_stored(event: Object) -> bool:
    """Creations without an id are acknowledged and dropped by the server; a score is worth an id
    of its own, so those are kept as well."""
    found = entity_of(event)
    return found is None or found[0] == SCORE


def _record(event: Object, decoder: Decoder) -> LogRecord:
    body = body_of(event)
    timestamp = str(event["timestamp"])
    record = LogRecord(
        time_ns=time_ns(timestamp),
        severity_number=_INFO,
        event_name=EVALUATION_EVENT,
        resource=decoder.resource,
        scope=decoder.scope,
    )
    attributes = record.attributes
    for field, key in _TEXTS.items():
        if body.get(field) is not None:
            attributes[key] = cast("Value", body[field])
    value = body.get("value")
    attributes[_LABEL if isinstance(value, str) else _VALUE] = cast("Value", value)
    if body.get("metadata") is not None:
        attributes[_METADATA] = json_text(body["metadata"])
    if body.get("sessionId"):
        attributes[GEN_AI_CONVERSATION_ID] = cast("Value", body["sessionId"])
    attributes[_EVENT_ID], attributes[_TIMESTAMP] = str(event["id"]), timestamp
    trace, observation = body.get("traceId"), body.get("observationId")
    if isinstance(trace, str) and trace:
        record.trace_id = ids.trace_id(trace)
        if isinstance(observation, str) and observation:
            record.span_id = ids.span_id(observation)
    return record


def score_event(record: LogRecord) -> Object | None:
    """The score that such a record was made of; None if it was not made of one."""
    attributes = record.attributes
    if _EVENT_ID not in attributes:
        return None
    body: Object = {
        field: cast("JSON", attributes[key]) for field, key in _TEXTS.items() if key in attributes
    }
    body["value"] = cast("JSON", attributes.get(_VALUE, attributes.get(_LABEL)))
    metadata = attributes.get(_METADATA)
    if isinstance(metadata, str):
        body["metadata"] = _parsed(metadata)
    timestamp = attributes.get(_TIMESTAMP)
    return {
        "id": cast("JSON", attributes[_EVENT_ID]),
        "type": "score-create",
        "timestamp": timestamp if isinstance(timestamp, str) else iso_exact(record.time_ns),
        "body": body,
    }


def _parsed(text: str) -> JSON:
    """What was metadata before it was text; a text that somebody changed since stays one."""
    try:
        return parse_json(text)
    except ValueError:
        return text
