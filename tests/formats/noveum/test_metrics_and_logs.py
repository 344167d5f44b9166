"""Metrics and log records as records: readable, and exact on the way back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genai_collector.errors import DecodeError
from genai_collector.formats import noveum, otlp
from genai_collector.formats.noveum import Record, Spelling
from genai_collector.model import (
    Buckets,
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramPoint,
    Gauge,
    Histogram,
    HistogramPoint,
    Items,
    LogRecord,
    Metric,
    NumberPoint,
    Quantile,
    Resource,
    Scope,
    Signal,
    Sum,
    Summary,
    SummaryPoint,
    Value,
    count_items,
)
from tests.formats.noveum.material import ATTRIBUTES, COUNTS, RESOURCES, SCOPES, TEXT, TIMES, VALUES
from tests.support.captures import shared

EXEMPLAR = Exemplar(
    time_ns=2**63, value=2**60, trace_id=b"\x01" * 16, span_id=b"\x02" * 8,
    filtered_attributes={"b": b"\xff", "$int": 5},
)  # fmt: skip
METRICS = [
    Metric(name="empty"),
    Metric(name="no points", data=Gauge()),
    Metric(
        name="gen_ai.usage.cost",
        unit="USD",
        description="d",
        metadata={"k": float("inf")},
        data=Sum(
            points=[
                NumberPoint(attributes={"m": "x"}, start_ns=1, time_ns=2, value=0.5),
                NumberPoint(value=2**62, exemplars=[EXEMPLAR], flags=1),
                NumberPoint(value=None),
            ],
            temporality=2,
            is_monotonic=True,
        ),
    ),
    Metric(
        name="gen_ai.client.token.usage",
        data=Histogram(
            points=[
                HistogramPoint(
                    count=3, sum=float("nan"), bucket_counts=[1, 2], explicit_bounds=[0.5],
                    exemplars=[EXEMPLAR], min=-0.0, max=None, time_ns=7,
                ),
                HistogramPoint(sum=None, max=1.0),
            ],
            temporality=1,
        ),
    ),
    Metric(
        name="exp",
        data=ExponentialHistogram(
            points=[
                ExponentialHistogramPoint(
                    count=2**60, scale=-3, zero_count=1,
                    positive=Buckets(offset=-5, bucket_counts=[2]),
                    negative=None, zero_threshold=1e-9,
                )
            ],
            temporality=7,
        ),
    ),
    Metric(
        name="summary",
        data=Summary(
            points=[SummaryPoint(count=1, sum=2.0, quantiles=[Quantile(quantile=0.5, value=2.0)])]
        ),
        resource=Resource({"service.name": "s", "raw": b"x"}, 3, schema_url="u"),
        scope=Scope("lib", "1", {"a": 1}, 2, "s"),
    ),
]  # fmt: skip


def through_json(records: list[Record]) -> list[Record]:
    return noveum.parse(b"[" + b",".join(map(noveum.dump, records)) + b"]")


def one_by_one(signal: Signal, items: Sequence[Metric | LogRecord]) -> list[bytes]:
    """Each item as OTLP/JSON of its own, so that grouping does not show."""
    return [otlp.encode_json(signal, cast("Items", [item])) for item in items]


def same_metrics(a: list[Metric], b: list[Metric]) -> bool:
    return one_by_one(Signal.METRICS, a) == one_by_one(Signal.METRICS, b)


def test_every_kind_of_metric_is_exact() -> None:
    """All five kinds and none, with exemplars, absent values, long integers and NaN."""
    records = noveum.encode_metrics(METRICS)
    again = noveum.decode_metrics(through_json(records))
    assert same_metrics(again, METRICS)
    assert [type(m.data) for m in again] == [type(m.data) for m in METRICS]


def test_one_record_per_point() -> None:
    """A record is a data point; a metric without points is not dropped silently."""
    records = noveum.encode_metrics(METRICS)
    assert len(records) == count_items(Signal.METRICS, METRICS) + 2
    assert {record["name"] for record in records} == {"otel_metric"}
    assert len({json.dumps(record["attributes"]["id"]) for record in records}) == len(records)  # type: ignore[index,call-overload]
    assert noveum.dump(records[2]) == noveum.dump(noveum.encode_metrics(METRICS)[2])


def test_a_point_is_readable() -> None:
    """Name, unit, attributes and value, or count and sum, are plain members."""
    records = noveum.encode_metrics(METRICS)
    shown = [cast("dict[str, Record]", record["attributes"])["metric"] for record in records]
    assert shown[2] == {
        "name": "gen_ai.usage.cost",
        "type": "sum",
        "unit": "USD",
        "value": 0.5,
        "attributes": {"m": "x"},
    }
    assert (shown[5]["count"], shown[5]["sum"], shown[5]["min"]) == (3, "NaN", -0.0)
    assert records[2]["timestamp"] == "1970-01-01T00:00:00.000000002+00:00"
    [summary] = noveum.encode_metrics(METRICS[-1:], spelling="seed")
    assert summary["resource"] == {"service.name": "s"}
    assert str(summary["timestamp"]).endswith("Z")


def test_points_that_were_lost_on_the_way() -> None:
    """What arrives of a metric is still that metric; a gap begins a new one."""
    records = noveum.encode_metrics(METRICS[2:3])
    again = noveum.decode_metrics([records[0], records[2]])
    assert [len(metric.points) for metric in again] == [1, 1]
    assert [metric.name for metric in again] == ["gen_ai.usage.cost"] * 2


POINTS = st.builds(
    NumberPoint,
    attributes=ATTRIBUTES,
    start_ns=TIMES,
    time_ns=TIMES,
    value=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)),
    flags=COUNTS,
)
GAUGES = st.builds(
    Metric,
    name=TEXT,
    description=TEXT,
    unit=TEXT,
    data=st.builds(Gauge, points=st.lists(POINTS, max_size=2)),
    metadata=ATTRIBUTES,
    resource=RESOURCES,
    scope=SCOPES,
)
LOGS = st.builds(
    LogRecord,
    time_ns=TIMES,
    observed_time_ns=TIMES,
    severity_number=st.integers(0, 30),
    severity_text=TEXT,
    body=VALUES,
    attributes=ATTRIBUTES,
    dropped_attributes_count=COUNTS,
    flags=COUNTS,
    trace_id=st.sampled_from([b"", b"\x01" * 16]),
    span_id=st.sampled_from([b"", b"\x02" * 8]),
    event_name=st.one_of(
        TEXT,
        st.sampled_from(["gen_ai.client.inference.operation.details", "gen_ai.evaluation.result"]),
    ),
    resource=RESOURCES,
    scope=SCOPES,
)
LAW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(st.lists(GAUGES, max_size=3), st.sampled_from(["gateway", "seed"]))
@LAW
def test_any_metrics_are_exact(metrics: list[Metric], spelling: Spelling) -> None:
    """Metrics -> records -> JSON -> metrics is the identity."""
    records = noveum.encode_metrics(metrics, spelling=spelling)
    assert same_metrics(noveum.decode_metrics(through_json(records)), metrics)


@given(st.lists(LOGS, max_size=3), st.sampled_from(["gateway", "seed"]))
@LAW
def test_any_logs_are_exact(logs: list[LogRecord], spelling: Spelling) -> None:
    """Log records -> records -> JSON -> log records is the identity."""
    again = noveum.decode_logs(through_json(noveum.encode_logs(logs, spelling=spelling)))
    assert one_by_one(Signal.LOGS, again) == one_by_one(Signal.LOGS, logs)


@pytest.mark.parametrize("folder", ["openlit", "openlit_1_34", "otel_openai_v2", "traceloop"])
def test_captured_metrics_and_logs_are_exact(folder: str) -> None:
    """What real libraries sent comes back as the same OTLP."""
    for file in sorted(shared(f"captures/{folder}").glob("*.metrics.pb")):
        metrics = cast("list[Metric]", otlp.decode(Signal.METRICS, file.read_bytes()))
        again = noveum.decode_metrics(through_json(noveum.encode_metrics(metrics)))
        assert same_metrics(again, metrics)
    for file in sorted(shared(f"captures/{folder}").glob("*.logs.pb")):
        logs = cast("list[LogRecord]", otlp.decode(Signal.LOGS, file.read_bytes()))
        back = noveum.decode_logs(through_json(noveum.encode_logs(logs)))
        assert one_by_one(Signal.LOGS, back) == one_by_one(Signal.LOGS, logs)


def members(log: LogRecord) -> Record:
    [record] = noveum.encode_logs([log])
    assert record["name"] == "otel_log"
    attributes = record["attributes"]
    assert isinstance(attributes, dict)
    return attributes


def test_a_log_record_is_readable() -> None:
    """Event name, severity and body are plain members, ids are in the block."""
    log = LogRecord(
        observed_time_ns=5, severity_number=9, severity_text="INFO",
        body={"content": "hi", "b": b"x"},
        attributes={"event.name": "gen_ai.user.message"}, trace_id=b"\x01" * 16,
    )  # fmt: skip
    shown = members(log)
    assert shown["event_name"] == "gen_ai.user.message"
    assert shown["severity"] == "INFO"
    assert shown["body"] == {"content": "hi", "b": "eA=="}
    assert shown["otel"]["trace_id"] == "01" * 16  # type: ignore[index,call-overload]
    [record] = noveum.encode_logs([log])
    assert record["timestamp"] == "1970-01-01T00:00:00.000000005+00:00"


def test_inference_details_show_the_call() -> None:
    """The event that describes a call has the members that the call's own record has."""
    shown = members(
        LogRecord(
            event_name="gen_ai.client.inference.operation.details",
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "mistral_ai",
                "gen_ai.request.model": "m",
                "gen_ai.usage.input_tokens": 3,
                "gen_ai.input.messages": [
                    {"role": "user", "parts": [{"type": "text", "content": "hi"}]}
                ],
            },
        )
    )
    assert (shown["provider"], shown["model"]) == ("mistral", "m")
    assert shown["request"] == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert shown["metadata"]["tokens"]["input"] == 3  # type: ignore[index,call-overload]


def test_evaluations_show_their_score() -> None:
    """An evaluation's name, score, label and reason are members."""
    shown = members(
        LogRecord(
            event_name="gen_ai.evaluation.result",
            attributes={
                "gen_ai.evaluation.name": "toxicity",
                "gen_ai.evaluation.score.value": 0.1,
                "gen_ai.evaluation.score.label": "pass",
                "gen_ai.response.id": "r1",
            },
        )
    )
    assert shown["evaluation"] == {
        "name": "toxicity",
        "score": 0.1,
        "label": "pass",
        "response_id": "r1",
    }


@pytest.mark.parametrize(
    "record",
    [
        None, {}, {"attributes": {"otel": {}}}, {"attributes": {"otel": {"metric_json": 5}}},
        {"attributes": {"otel": {"metric_json": "{", "log_json": "["}}},
        {"attributes": {"otel": {"metric_json": "{}", "log_json": "{}"}}},
        {"attributes": {"otel": {"metric_json": '{"kind":"gauge","point":0,"data":{"x":1}}',
                                 "log_json": '{"time_unix_nano":5}'}}},
    ],
)  # fmt: skip
def test_what_is_no_metric_or_log(record: Value) -> None:
    """A record that holds neither raises DecodeError, with its place."""
    with pytest.raises(DecodeError, match="record 0"):
        noveum.decode_metrics([record])
    with pytest.raises(DecodeError, match="record 0"):
        noveum.decode_logs([record])


@pytest.mark.parametrize("field", ["count", "sum", "bucket_counts", "exemplars", "time_ns", "max"])
def test_damaged_points_are_refused(field: str) -> None:
    """A point whose fields have wrong types never reaches the pipeline."""
    record = noveum.encode_metrics(METRICS[3:4])[0]
    attributes = cast("dict[str, Record]", record["attributes"])
    packed = json.loads(str(attributes["otel"]["metric_json"]))
    packed["data"][field] = ["x"] if field != "exemplars" else 5
    attributes["otel"]["metric_json"] = json.dumps(packed)
    with pytest.raises(DecodeError):
        noveum.decode_metrics([record])


def test_signal_of() -> None:
    """A record's name says which decoder takes it."""
    names: list[Value] = ["otel_metric", "otel_log", "otel_span", "ai_gateway_request_log", None]
    assert [noveum.signal_of({"name": name}) for name in names] == [
        Signal.METRICS,
        Signal.LOGS,
        Signal.TRACES,
        Signal.TRACES,
        Signal.TRACES,
    ]
