"""Merged records as the rows that Langfuse stores: the form in which the judge has them."""

from __future__ import annotations

from typing import Any

from genai_collector.formats.langfuse.ingestion import Ingestion
from genai_collector.formats.langfuse.instants import time_ms
from genai_collector.formats.langfuse.merge import Folded, Record
from genai_collector.formats.langfuse.values import js_text

_TIMES = {
    "timestamp": "timestamp",
    "startTime": "start_time",
    "endTime": "end_time",
    "completionStartTime": "completion_start_time",
}
_NAMES = {
    "id": "id",
    "traceId": "trace_id",
    "name": "name",
    "environment": "environment",
    "level": "level",
    "statusMessage": "status_message",
    "version": "version",
    "release": "release",
    "userId": "user_id",
    "sessionId": "session_id",
    "public": "public",
    "tags": "tags",
    "parentObservationId": "parent_observation_id",
    "model": "provided_model_name",
    "promptName": "prompt_name",
    "promptVersion": "prompt_version",
}
_TEXTS = {"input": "input", "output": "output", "modelParameters": "model_parameters"}


def rows(ingestion: Ingestion, folded: Folded) -> dict[str, Any]:
    """All that a batch stores, with the errors it gave."""
    return {
        "errors": [
            {"id": error.id, "error": error.error.split("; ")} for error in ingestion.refused
        ],
        "traces": [row(record) for record in folded.traces],
        "observations": [row(record) for record in folded.observations],
        "scores": [
            {
                "id": event["body"]["id"],  # type: ignore[index, call-overload]
                "events": [{"timestamp": event["timestamp"], **event["body"]}],  # type: ignore[dict-item]
            }
            for event in folded.scores
        ],
    }


def row(record: Record) -> dict[str, Any]:
    """One trace or observation."""
    body = record.body
    made: dict[str, Any] = {
        stored: body[key] for key, stored in _NAMES.items() if body.get(key) is not None
    }
    made |= {stored: time_ms(str(body[key])) for key, stored in _TIMES.items() if body.get(key)}
    made |= {stored: _text(body[key]) for key, stored in _TEXTS.items() if key in body}
    metadata = body.get("metadata")
    assert metadata is None or isinstance(metadata, dict)
    made["metadata"] = {key: _text(value) for key, value in (metadata or {}).items()}
    if record.kind != "trace":
        made["type"] = record.kind.upper()
        _add_numbers(made, body)
    return made


def _add_numbers(made: dict[str, Any], body: dict[str, Any]) -> None:
    usage, costs = body.get("usageDetails", {}), body.get("costDetails", {})
    made["provided_usage_details"], made["provided_cost_details"] = usage, costs
    made["usage_details"] = (
        {**usage, "total": usage.get("total", sum(usage.values()))} if usage else {}
    )
    total = costs.get("total")
    if total is None and costs and costs.keys() <= {"input", "output"}:
        total = sum(costs.values())
    made["cost_details"] = costs if total is None else {**costs, "total": total}
    if total is not None:
        made["total_cost"] = total


def _text(value: Any) -> str:
    return value if isinstance(value, str) else js_text(value)
