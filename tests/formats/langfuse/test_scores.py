"""Scores from metric exemplars and from evaluation events."""

from __future__ import annotations

import math

import pytest

from genai_collector.formats.langfuse import parse_event, scores_from_logs, scores_from_metrics
from genai_collector.model import (
    Attributes,
    Exemplar,
    Gauge,
    Histogram,
    HistogramPoint,
    LogRecord,
    Metric,
    NumberPoint,
    Resource,
    Summary,
    SummaryPoint,
)
from tests.formats.langfuse.making import SPAN_ID, START_NS, TRACE_ID, body_of

EVALUATION: Attributes = {
    "gen_ai.evaluation.name": "relevance",
    "gen_ai.evaluation.score.value": 0.5,
    "gen_ai.evaluation.score.label": "ok",
    "gen_ai.evaluation.explanation": "because",
}


def exemplar(value: float | None = 1.5, trace_id: bytes = TRACE_ID) -> Exemplar:
    """One measurement within a trace."""
    return Exemplar(time_ns=START_NS, value=value, trace_id=trace_id, span_id=SPAN_ID)


def histogram(*exemplars: Exemplar, name: str = "ttft") -> Metric:
    """A histogram with one point."""
    point = HistogramPoint(attributes={"m": "x"}, time_ns=START_NS + 5, exemplars=list(exemplars))
    resource = Resource({"deployment.environment": "Prod"})
    return Metric(name=name, unit="s", data=Histogram(points=[point]), resource=resource)


def test_an_exemplar_is_a_score() -> None:
    """Named after the metric, of the exemplar's trace and span, at its time."""
    (encoded,) = scores_from_metrics([histogram(exemplar())])
    assert encoded.event["timestamp"] == "2024-04-30T14:48:50.686Z"
    body = body_of(encoded.event)
    assert body == {
        "id": encoded.event["id"],
        "traceId": TRACE_ID.hex(),
        "observationId": SPAN_ID.hex(),
        "name": "ttft",
        "value": 1.5,
        "dataType": "NUMERIC",
        "environment": "prod",
        "metadata": {"source": "otlp metric exemplar", "unit": "s", "attributes": {"m": "x"}},
    }
    assert parse_event(encoded.event).issues == []


def test_the_same_measurement_has_the_same_id() -> None:
    """A cumulative metric repeats its exemplars; the score must not double."""
    first, again, other = (
        scores_from_metrics([histogram(exemplar(value))])[0].event["id"]
        for value in (1.5, 1.5, 2.0)
    )
    assert first == again != other


@pytest.mark.parametrize(
    "metric",
    [
        histogram(),
        histogram(exemplar(trace_id=b"")),
        histogram(exemplar(None)),
        histogram(exemplar(math.nan)),
        histogram(exemplar(), name=""),
        Metric(name="m", data=Summary(points=[SummaryPoint()])),
        Metric(name="m"),
    ],
)
def test_no_score_without_a_trace_and_a_number(metric: Metric) -> None:
    """A score needs a name, a finite number and a trace."""
    assert scores_from_metrics([metric]) == []


def test_only_the_named_metrics() -> None:
    """Others are left out; the index counts data points over all metrics."""
    gauge = Metric(
        name="a", data=Gauge(points=[NumberPoint(), NumberPoint(exemplars=[exemplar()])])
    )
    found = scores_from_metrics([gauge, histogram(exemplar())], names=["ttft"])
    assert [one.span_index for one in found] == [2]
    assert [one.span_index for one in scores_from_metrics([gauge])] == [1]


def record(attributes: Attributes, *, event_name: str = "gen_ai.evaluation.result") -> LogRecord:
    """An event of a span."""
    return LogRecord(
        attributes=attributes,
        event_name=event_name,
        time_ns=START_NS,
        trace_id=TRACE_ID,
        span_id=SPAN_ID,
    )


def test_an_evaluation_is_a_score() -> None:
    """Value, label, explanation and trace all have their place."""
    (encoded,) = scores_from_logs([record(EVALUATION)])
    body = body_of(encoded.event)
    assert (body["name"], body["value"], body["dataType"]) == ("relevance", 0.5, "NUMERIC")
    assert body["comment"] == "because"
    assert body["metadata"] == {"gen_ai.evaluation.score.label": "ok"}
    assert parse_event(encoded.event).issues == []


def test_an_evaluation_with_a_label_only() -> None:
    """The label is the value of a categorical score; the event's name may be an attribute."""
    labelled = {k: v for k, v in EVALUATION.items() if k != "gen_ai.evaluation.score.value"}
    labelled["event.name"] = "gen_ai.evaluation.result"
    (encoded,) = scores_from_logs([record(labelled, event_name="")])
    body = body_of(encoded.event)
    assert (body["value"], body["dataType"]) == ("ok", "CATEGORICAL")
    assert parse_event(encoded.event).issues == []


def test_other_logs_are_no_scores() -> None:
    """Nor are evaluations without a trace, a name or a result."""
    assert scores_from_logs([record(EVALUATION, event_name="gen_ai.choice")]) == []
    assert scores_from_logs([record({"gen_ai.evaluation.name": "n"})]) == []
    assert scores_from_logs([record({"gen_ai.evaluation.score.value": 1.0})]) == []
    lonely = record(EVALUATION)
    lonely.trace_id = b""
    assert scores_from_logs([lonely]) == []
