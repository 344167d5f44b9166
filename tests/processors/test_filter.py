"""filter: what its conditions say, and what is dropped."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from genai_collector.errors import Permanent
from genai_collector.model import Batch, Metric, SpanKind, StatusCode, Sum, Value
from genai_collector.processors import _names
from genai_collector.processors._expression import (
    ExpressionError,
    Function,
    Names,
    compile_expression,
)
from genai_collector.processors.filter import FACTORY, Filter, FilterConfig
from tests.processors.items import logs, metric, metrics, record, span, spans
from tests.support.captures import ROOT
from tests.support.fakes import make_context


def _filter(**config: Any) -> Filter:
    made = FACTORY.create(FilterConfig.model_validate(config), make_context("filter"))
    assert isinstance(made, Filter)
    return made


def _names_left(batch: Batch, *conditions: str) -> list[str]:
    kept = _filter(traces={"span": list(conditions)}).process(batch)
    return [item.name for item in kept.view_spans()]


CHAT = span(
    "chat gpt-4o",
    gen_ai__system="openai",
    gen_ai__operation__name="chat",
    tokens=17,
    cost=0.5,
    cached=False,
    tags=["a", "b"],
    nested={"deep": {"er": 1}},
    text="line one\nline two",
)
CHAT.kind = SpanKind.CLIENT
CHAT.status_code = StatusCode.ERROR
CHAT.status_message = "rate limit"
CHAT.start_ns, CHAT.end_ns = 1_000, 4_500
HEALTH = span("GET /healthz", http__route="/healthz")

TRUE_FOR_CHAT = [
    'name == "chat gpt-4o"',
    "kind == SPAN_KIND_CLIENT",
    "kind == 3 and span.kind == 3",
    'kind.string == "Client"',
    "status.code == STATUS_CODE_ERROR",
    'status.message != ""',
    'attributes["gen_ai.system"] == "openai"',
    'span.attributes["gen_ai.system"] == "openai"',
    'attributes["absent"] == nil',
    'attributes["tokens"] != nil',
    'attributes["tokens"] == 17.0',
    'attributes["tokens"] > 16 and attributes["tokens"] <= 17',
    'attributes["cost"] < 1',
    'attributes["cost"] >= -1.5e0',
    'attributes["cached"] == false',
    'attributes["tags"][1] == "b"',
    'attributes["tags"][2] == nil',
    'attributes["nested"]["deep"]["er"] == 1',
    'resource.attributes["service.name"] == "shop"',
    'instrumentation_scope.name == "openlit"',
    'scope.version == "1.0"',
    'trace_id.string == "01010101010101010101010101010101"',
    "span_id == 0x0202020202020202",
    'parent_span_id.string == ""',
    "duration_ns == 3500",
    "start_time_unix_nano < end_time_unix_nano",
    "is_genai",
    "not (not is_genai)",
    'IsMatch(name, "^chat ")',
    'IsMatch(attributes["tokens"], "^1")',
    'IsMatch(attributes["text"], "two$")',
    'not IsMatch(attributes["absent"], ".*")',
    'HasPrefix(name, "chat") and HasSuffix(name, "4o")',
    'IsString(name) and IsInt(attributes["tokens"]) and IsDouble(attributes["cost"])',
    'IsBool(attributes["cached"]) and not IsInt(attributes["cached"])',
    'IsMap(attributes["nested"]) and IsList(attributes["tags"])',
    'Len(attributes["tags"]) == 2 and Len(name) == 11 and Len(kind) == nil',
    'Int("12") == 12 and Double("1.5") == 1.5 and Int("x") == nil',
    'String(attributes["tokens"]) == "17"',
    'ToLowerCase("ABC") == "abc" and ToUpperCase(attributes["gen_ai.system"]) == "OPENAI"',
    'false or (true and name != "x")',
    "true or false and false",
    'attributes["text"] == "line one\\nline two"',
    'name < "d" and not (name < 1)',
]
FALSE_FOR_CHAT = [
    'attributes["cached"] == 0',
    'attributes["tokens"] == "17"',
    'attributes["tokens"] < "18"',
    'attributes["absent"] < 1',
    'attributes["cached"]',
    "name",
    "nil",
    'attributes["absent"]["x"] != nil',
    'name["x"] != nil',
    "not true",
    "not is_genai",
    'HasPrefix(kind, "c")',
]


@pytest.mark.parametrize("condition", TRUE_FOR_CHAT)
def test_true(condition: str) -> None:
    """A true condition drops the span."""
    assert _names_left(spans(CHAT), condition) == []


@pytest.mark.parametrize("condition", FALSE_FOR_CHAT)
def test_false(condition: str) -> None:
    """A false one keeps it; values of different types are neither equal nor ordered."""
    assert _names_left(spans(CHAT), condition) == ["chat gpt-4o"]


FAULTS = [
    ("", "column 1: expected a value"),
    ("name ==", "column 8: expected a value"),
    ('nme == "x"', "column 1: unknown name nme, did you mean name?"),
    ('attribute["x"] == 1', "column 1: unknown name attribute, did you mean attributes?"),
    (
        "kind == SPAN_KIND_CLINT",
        "column 9: unknown name SPAN_KIND_CLINT, did you mean SPAN_KIND_CLIENT?",
    ),
    ('IsMach(name, "x")', "column 1: unknown function IsMach, did you mean IsMatch?"),
    ('IsMatch(name, "(")', "column 15: IsMatch: not a regular expression"),
    ("IsMatch(name, name)", "column 15: IsMatch: the pattern must be a text, written out"),
    ("IsMatch(name)", "column 1: IsMatch takes 2 arguments, got 1"),
    ('IsMatch(name "x")', "column 14: expected ,"),
    ('name == "x', "column 9: a text without its closing quote"),
    ('name = "x"', "column 6: unexpected character '='"),
    ('name == "x" and', "column 16: expected a value"),
    ('name == "x" name', "column 13: expected and, or, or the end"),
    ('(name == "x"', "column 13: expected )"),
    ("attributes[name] == 1", 'column 12: expected a key such as "gen_ai.system", or an index'),
    ('attributes["x" == 1', "column 16: expected ]"),
    ("span_id == 0x123", "column 12: bytes need an even number of hexadecimal digits"),
    ('body == "x"', "column 1: unknown name body"),
    ("(" * 50 + "true" + ")" * 50, "nested more than 40 deep"),
    ("not " * 2000 + "true", "at most 4096 characters"),
]


@pytest.mark.parametrize(("condition", "message"), FAULTS)
def test_faults_say_where(condition: str, message: str) -> None:
    """An expression that is none is refused with the column, and with the likely word."""
    with pytest.raises(ValidationError) as caught:
        FilterConfig.model_validate({"traces": {"span": ["true", condition]}})
    (error,) = caught.value.errors()
    assert message in error["msg"]
    assert error["loc"] == ("traces", "span", 1)


def test_any_condition_drops() -> None:
    """Conditions are alternatives, and what none is true for stays in order."""
    batch = spans(CHAT, HEALTH, span("other"))
    assert _names_left(batch, 'name == "nobody"', 'attributes["http.route"] == "/healthz"') == [
        "chat gpt-4o",
        "other",
    ]


def test_untouched_batches_stay_bytes() -> None:
    """Nothing dropped: the same object with the same bytes. No condition: not even decoded."""
    batch = spans(CHAT)
    assert _filter(traces={"span": ["not is_genai"]}).process(batch) is batch
    assert batch.is_encoded
    for untouched in (spans(CHAT), logs(record()), metrics(metric("m", {}))):
        assert _filter().process(untouched) is untouched
        assert not untouched.is_decoded


def test_log_records() -> None:
    """Body, severity and event name of log records."""
    batch = logs(record("secret x", 9), record("fine", 5), record("fine", 17))
    conditions = ['IsMatch(body, "secret")', "severity_number < SEVERITY_NUMBER_INFO"]
    kept = _filter(logs={"log_record": conditions}).process(batch)
    assert [item.severity_number for item in kept.view_logs()] == [17]
    nested = record()
    nested.body = {"password": "x"}
    assert not _filter(logs={"log_record": ['log.body["password"] != nil']}).process(logs(nested))
    event = record()
    event.event_name = "gen_ai.client.inference.operation.details"
    assert not _filter(logs={"log_record": ["is_genai"]}).process(logs(event))


def test_metrics_and_data_points() -> None:
    """A metric goes whole, or point by point; one without points left goes too."""
    batch = metrics(
        metric("http.duration", {}),
        metric("gen_ai.tokens", {"t": "a"}, {"t": "b"}, {"t": "a"}),
        metric("all.dropped", {"t": "b"}),
        metric("untouched", {"t": "a"}),
    )
    made = _filter(
        metrics={
            "metric": ['IsMatch(name, "^http[.]")'],
            "datapoint": ['attributes["t"] == "b" and metric.type == METRIC_DATA_TYPE_GAUGE'],
        }
    )
    kept = made.process(batch)
    assert [(item.name, len(item.points)) for item in kept.view_metrics()] == [
        ("gen_ai.tokens", 2),
        ("untouched", 1),
    ]
    assert kept.count == 3
    assert kept.clone().view_metrics()[0].resource.attributes == {"service.name": "shop"}


METRIC_CONDITIONS = [
    ("metric", 'HasAttrKeyOnDatapoint("t")', True),
    ("metric", 'HasAttrOnDatapoint("t", "a")', True),
    ("metric", 'HasAttrOnDatapoint("t", "b")', False),
    ("metric", "is_monotonic and aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA", True),
    ("metric", "type == METRIC_DATA_TYPE_SUM", True),
    ("metric", "is_genai", True),
    ("datapoint", "value_int == 0 and value_double == nil and value == 0", True),
    ("datapoint", "metric.unit == nil", False),
    ("datapoint", "count == nil and is_genai", True),
]


@pytest.mark.parametrize(("context", "condition", "dropped"), METRIC_CONDITIONS)
def test_metric_names(context: str, condition: str, dropped: bool) -> None:
    """What can be asked of metrics and data points."""
    gauge = metric("gen_ai.x", {"t": "a"})
    assert gauge.data is not None
    points: Any = gauge.data.points
    item = Metric(name="gen_ai.x", data=Sum(points=points, temporality=1, is_monotonic=True))
    kept = _filter(metrics={context: [condition]}).process(metrics(item))
    assert (kept.count == 0) is dropped


def _broken(_readers: list[Any], _literals: list[str | None]) -> Any:
    def call(_it: object) -> Value:
        raise RuntimeError("boom")

    return call


async def test_error_mode(caplog: pytest.LogCaptureFixture) -> None:
    """ignore: logged and false. silent: only for debugging. propagate: the batch is refused."""
    names: Names[Any] = _names.SPAN._replace(functions={"Boom": Function(0, _broken)})
    test = compile_expression("Boom()", names)
    for mode, level in (("ignore", logging.WARNING), ("silent", logging.DEBUG)):
        caplog.clear()
        caplog.set_level(logging.DEBUG)
        made = _filter(error_mode=mode)
        made._span = made._any_of_tests([("Boom()", test)])
        batch = spans(CHAT)
        assert made.process(batch) is batch
        assert [line.levelno for line in caplog.records] == [level]
    made = _filter(error_mode="propagate")
    made._span = made._any_of_tests([("Boom()", test)])
    with pytest.raises(Permanent, match="boom"):
        made.process(spans(CHAT))


def test_patterns_are_bounded() -> None:
    """Only the first 16 KiB of a text are searched, so that a long prompt cannot stall us."""
    condition = 'IsMatch(attributes["p"], "needle")'
    assert _names_left(spans(span("near", p="x" * 1000 + "needle")), condition) == []
    assert _names_left(spans(span("far", p="x" * 20_000 + "needle")), condition) == ["far"]


_TOKENS = st.sampled_from(
    [*"()[],", "==", "!=", "<", "and", "or", "not", "nil", "true", '"x"', "1", "name", "kind",
     "attributes", '["k"]', "IsMatch", "is_genai", "0xab", "-1.5", "=", '"', "é"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(_TOKENS, max_size=12).map(" ".join) | st.text(max_size=40))
def test_any_text_is_an_expression_or_a_fault(text: str) -> None:
    """Compiling raises nothing but ExpressionError, and what compiles gives true or false."""
    fault, answer = "", False
    try:
        answer = compile_expression(text, _names.SPAN)(_names.of_span(CHAT))
    except ExpressionError as exc:
        fault = str(exc)
    assert answer in (True, False)
    assert not fault or fault.startswith("column ")


def test_the_whole_language_is_documented() -> None:
    """Every path and function of the conditions is in docs/processors.md."""
    page = (ROOT / "docs" / "processors.md").read_text()
    for names in (_names.SPAN, _names.LOG_RECORD, _names.METRIC, _names.DATAPOINT):
        for name in (*names.functions, *names.paths):
            if name.split(".")[-1] != "string":
                bare = name.removeprefix("span.").removeprefix("log.").removeprefix("datapoint.")
                assert bare.replace("instrumentation_", "").split("metric.")[-1] in page, name
