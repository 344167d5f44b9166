"""Which item a filter dropped, and for which condition, in the log of whoever asks for it."""

from __future__ import annotations

import logging

import pytest

from genai_collector.processors.filter import FACTORY, FilterConfig
from genai_collector.telemetry.log import fields_of
from tests.processors import items
from tests.support.fakes import make_context

CONFIG = {
    "traces": {"span": ['name == "no"', 'attributes["gen_ai.system"] == nil']},
    "logs": {"log_record": ["severity_number < 9"]},
    "metrics": {"metric": ['name == "m"'], "datapoint": ['attributes["t"] == "b"']},
}
TRACE, SPAN = "01" * 16, "02" * 8


def _filter_all() -> None:
    made = FACTORY.create(FilterConfig.model_validate(CONFIG), make_context("filter"))
    made.process(
        items.spans(items.span("no"), items.span("secret name"), items.span(gen_ai__system="x"))
    )
    made.process(items.logs(items.record("secret body", severity=5), items.record()))
    made.process(items.metrics(items.metric("m", {}), items.metric("n", {"t": "a"}, {"t": "b"})))


def test_what_is_dropped_is_named_with_its_condition(caplog: pytest.LogCaptureFixture) -> None:
    """At level debug each dropped item is a line with its ids and the first condition that was
    true; names and contents, which `redact` may not have seen yet, are not in it."""
    with caplog.at_level(logging.DEBUG):
        _filter_all()

    said = [dict(fields_of(record)) for record in caplog.records]
    assert [record.getMessage() for record in caplog.records] == ["Dropped by a condition"] * 5
    assert said == [
        {"condition": 'name == "no"', "trace_id": TRACE, "span_id": SPAN},
        {"condition": CONFIG["traces"]["span"][1], "trace_id": TRACE, "span_id": SPAN},
        {"condition": "severity_number < 9", "trace_id": "", "span_id": ""},
        {"condition": 'name == "m"', "metric": "m"},
        {"condition": 'attributes["t"] == "b"', "metric": "n"},
    ]


def test_nobody_else_hears_it(caplog: pytest.LogCaptureFixture) -> None:
    """At level info there is no line per item."""
    with caplog.at_level(logging.INFO):
        _filter_all()

    assert caplog.records == []
