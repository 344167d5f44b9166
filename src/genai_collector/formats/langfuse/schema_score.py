"""Scores, as the ingestion schema reads them (section 1.3, ScoreBody)."""

from __future__ import annotations

from typing import Final

from genai_collector.formats.langfuse.schema_values import (
    Refused,
    choice,
    identifier,
    json_value,
    normal_environment,
    string,
)
from genai_collector.formats.langfuse.values import JSON, truthy

Object = dict[str, JSON]

_SOURCE: Final = choice("API", "EVAL", "ANNOTATION")
_FIELDS: Final = {
    "id": identifier,
    "traceId": string,
    "sessionId": string,
    "datasetRunId": string,
    "observationId": string,
    "comment": string,
    "metadata": json_value,
    "executionTraceId": string,
    "queueId": string,
    "configId": string,
}
_LONGEST_TEXT: Final = 500


def score_body(body: Object) -> Object:
    """The stored body. Raises Refused."""
    parsed: Object = {}
    for key, check in _FIELDS.items():
        if body.get(key) is not None:
            try:
                parsed[key] = check(body[key])
            except Refused as exc:
                raise Refused(f"body.{key}: {exc}") from None
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise Refused("body.name: Too small: expected string to have >=1 characters")
    source = body.get("source")
    parsed["name"] = name
    parsed["source"] = "API" if source is None else _SOURCE(source)
    parsed["environment"] = normal_environment(body.get("environment"))
    _add_value(parsed, body)
    _check_subject(parsed)
    return parsed


def _add_value(parsed: Object, body: Object) -> None:
    value = body.get("value")
    if "dataType" not in body:
        if not _is_number(value) and not isinstance(value, str):
            raise Refused("body.value: Invalid input")
        parsed["value"] = value
        return
    kind = body["dataType"]
    accepted = {
        "NUMERIC": _is_number(value),
        "CATEGORICAL": isinstance(value, str),
        "BOOLEAN": _is_number(value) and value in (0, 1),
        "TEXT": isinstance(value, str) and 1 <= len(value) <= _LONGEST_TEXT,
        "CORRECTION": isinstance(value, str) and "configId" not in parsed,
    }
    if not isinstance(kind, str) or kind not in accepted:
        raise Refused("body.dataType: Invalid input")
    if not accepted[kind]:
        raise Refused("body.value: Invalid input")
    parsed["value"], parsed["dataType"] = value, kind


def _check_subject(parsed: Object) -> None:
    """A score belongs to a trace (or an observation of it), a session or a dataset run."""
    subjects = [key for key in ("traceId", "sessionId", "datasetRunId") if truthy(parsed.get(key))]
    if len(subjects) != 1 or (truthy(parsed.get("observationId")) and subjects != ["traceId"]):
        raise Refused(
            "body: Provide exactly one of the following: traceId (with optional observationId), "
            "sessionId or datasetRunId. ObservationId requires traceId."
        )


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
