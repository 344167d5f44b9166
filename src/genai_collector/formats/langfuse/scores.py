"""Scores from metrics and from evaluation events.

Langfuse has no metrics; what it has is scores of one trace. Two kinds of telemetry are just that:
an exemplar, which is one measurement with the trace it was made in, and the GenAI conventions'
event `gen_ai.evaluation.result`. Both become `score-create` events. The ids are hashes of what
makes the measurement that very one, so a cumulative metric that repeats an exemplar repeats the id.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from genai_collector.formats.langfuse.events import Body, EncodedEvent
from genai_collector.formats.langfuse.keys import ENVIRONMENT_KEYS
from genai_collector.formats.langfuse.schema_values import normal_environment
from genai_collector.formats.langfuse.values import (
    JSON,
    first_truthy,
    iso_from_ns,
    js_text,
    plain_attributes,
    text,
)
from genai_collector.model import Exemplar, LogRecord, Metric, Point, Resource, SummaryPoint

EVALUATION_EVENT: Final = "gen_ai.evaluation.result"
_NAME: Final = "gen_ai.evaluation.name"
_VALUE: Final = "gen_ai.evaluation.score.value"
_LABEL: Final = "gen_ai.evaluation.score.label"
_EXPLANATION: Final = "gen_ai.evaluation.explanation"
_IN_SCORE: Final = frozenset({_NAME, _VALUE, _EXPLANATION, "event.name"})


class _Subject(NamedTuple):
    trace_id: bytes
    span_id: bytes


def scores_from_metrics(
    metrics: Sequence[Metric], *, names: Collection[str] | None = None
) -> list[EncodedEvent]:
    """One NUMERIC score per exemplar with a trace id, named after its metric.

    `names` limits it to these metrics. `span_index` counts data points over all metrics, in order.
    """
    events: list[EncodedEvent] = []
    index = 0
    for metric in metrics:
        wanted = metric.name and (names is None or metric.name in names)
        for point in metric.points:
            if wanted:
                events.extend(EncodedEvent(event, index) for event in _of_point(metric, point))
            index += 1
    return events


def _of_point(metric: Metric, point: Point) -> list[Body]:
    if isinstance(point, SummaryPoint):
        return []
    return [
        _of_exemplar(metric, point, exemplar)
        for exemplar in point.exemplars
        if exemplar.trace_id and exemplar.value is not None and math.isfinite(exemplar.value)
    ]


def _of_exemplar(metric: Metric, point: Point, exemplar: Exemplar) -> Body:
    attributes = {
        **plain_attributes(point.attributes),
        **plain_attributes(exemplar.filtered_attributes),
    }
    metadata: Body = {"source": "otlp metric exemplar"}
    if metric.unit:
        metadata["unit"] = metric.unit
    if metric.description:
        metadata["description"] = metric.description
    if attributes:
        metadata["attributes"] = attributes
    time_ns = exemplar.time_ns or point.time_ns
    subject = _Subject(exemplar.trace_id, exemplar.span_id)
    identity = (metric.name, str(time_ns), repr(exemplar.value), js_text(attributes))
    body: Body = {"name": metric.name, "value": exemplar.value, "dataType": "NUMERIC"}
    return _score(subject, identity, time_ns, body, metadata, metric.resource)


def scores_from_logs(logs: Sequence[LogRecord]) -> list[EncodedEvent]:
    """One score per `gen_ai.evaluation.result` event that names its trace.

    NUMERIC with the score's value, else CATEGORICAL with its label; the explanation is the comment,
    the other attributes are metadata. `span_index` is the record's position.
    """
    events: list[EncodedEvent] = []
    for index, record in enumerate(logs):
        event = _of_evaluation(record)
        if event is not None:
            events.append(EncodedEvent(event, index))
    return events


def _of_evaluation(record: LogRecord) -> Body | None:
    attributes = plain_attributes(record.attributes)
    is_evaluation = EVALUATION_EVENT in (record.event_name, attributes.get("event.name"))
    name = attributes.get(_NAME)
    if not is_evaluation or not record.trace_id or not isinstance(name, str) or not name:
        return None
    body: Body = {"name": name}
    value, label = attributes.get(_VALUE), attributes.get(_LABEL)
    if isinstance(value, int | float) and not isinstance(value, bool):
        body |= {"value": value, "dataType": "NUMERIC"}
    elif isinstance(label, str) and label:
        body |= {"value": label, "dataType": "CATEGORICAL"}
    else:
        return None
    explanation = text(attributes.get(_EXPLANATION))
    if explanation:
        body["comment"] = explanation
    rest: Body = {key: value for key, value in attributes.items() if key not in _IN_SCORE}
    time_ns = record.time_ns or record.observed_time_ns
    subject = _Subject(record.trace_id, record.span_id)
    identity = (name, str(time_ns), js_text(attributes))
    return _score(subject, identity, time_ns, body, rest, record.resource)


def _score(
    subject: _Subject,
    identity: tuple[str, ...],
    time_ns: int,
    body: Body,
    metadata: Body,
    resource: Resource,
) -> Body:
    seed = b"\0".join(
        [b"genai-collector/langfuse/score", subject.trace_id, subject.span_id]
        + [part.encode("utf-8", "surrogatepass") for part in identity]
    )
    score_id = uuid_text(sha256(seed).hexdigest())
    shared = plain_attributes(resource.attributes)
    full: dict[str, JSON] = {"id": score_id, "traceId": subject.trace_id.hex()}
    if subject.span_id:
        full["observationId"] = subject.span_id.hex()
    full |= body
    full["environment"] = normal_environment(first_truthy(shared, ENVIRONMENT_KEYS))
    if metadata:
        full["metadata"] = metadata
    return {
        "id": score_id,
        "type": "score-create",
        "timestamp": iso_from_ns(time_ns),
        "body": full,
    }


def uuid_text(digest: str) -> str:
    """32 hex digits as a UUID of version 8 (made from a hash of our own)."""
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"
