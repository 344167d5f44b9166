"""attributes: the actions, and which items they are for."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from genai_collector.model import Batch, Span, SpanKind
from genai_collector.processors.attributes import FACTORY, AttributesConfig
from tests.processors.items import logs, metric, metrics, record, span, spans
from tests.support.fakes import make_context


def _run(batch: Batch, actions: list[dict[str, Any]], **options: Any) -> Batch:
    config = AttributesConfig.model_validate({"actions": actions, **options})
    return FACTORY.create(config, make_context("attributes")).process(batch)


def _after(before: dict[str, Any], *actions: dict[str, Any]) -> dict[str, Any]:
    (item,) = _run(spans(span(**before)), list(actions)).view_spans()
    return item.attributes


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


ACTIONS: list[Any] = [
    ("insert absent", {}, {"action": "insert", "key": "a", "value": 1}, {"a": 1}),
    ("insert present", {"a": 0}, {"action": "insert", "key": "a", "value": 1}, {"a": 0}),
    ("update absent", {}, {"action": "update", "key": "a", "value": 1}, {}),
    ("update present", {"a": 0}, {"action": "update", "key": "a", "value": 1}, {"a": 1}),
    ("upsert list", {}, {"action": "upsert", "key": "a", "value": ["x", 1]}, {"a": ["x", 1]}),
    (
        "from attribute",
        {"b": 2.5},
        {"action": "upsert", "key": "a", "from_attribute": "b"},
        {"a": 2.5, "b": 2.5},
    ),
    ("from nothing", {}, {"action": "upsert", "key": "a", "from_attribute": "b"}, {}),
    (
        "from nothing, default",
        {},
        {"action": "upsert", "key": "a", "from_attribute": "b", "default_value": "d"},
        {"a": "d"},
    ),
    ("delete", {"a": 1, "b": 2}, {"action": "delete", "key": "a"}, {"b": 2}),
    (
        "delete pattern",
        {"ab": 1, "b": 2, "ca": 3},
        {"action": "delete", "pattern": "^a"},
        {"b": 2, "ca": 3},
    ),
    (
        "delete both",
        {"ab": 1, "b": 2, "c": 3},
        {"action": "delete", "key": "c", "pattern": "^a"},
        {"b": 2},
    ),
    ("hash text", {"a": "é"}, {"action": "hash", "key": "a"}, {"a": _sha("é".encode())}),
    ("hash number", {"a": 12}, {"action": "hash", "key": "a"}, {"a": _sha(b"12")}),
    ("hash true", {"a": True}, {"action": "hash", "key": "a"}, {"a": _sha(b"true")}),
    ("hash bytes", {"a": b"\xff"}, {"action": "hash", "key": "a"}, {"a": _sha(b"\xff")}),
    ("hash list", {"a": [1, "x"]}, {"action": "hash", "key": "a"}, {"a": _sha(b'[1,"x"]')}),
    ("hash absent", {}, {"action": "hash", "key": "a"}, {}),
    (
        "extract",
        {"url": "/users/7/orders/9"},
        {
            "action": "extract",
            "key": "url",
            "pattern": r"/users/(?P<user>\d+)/orders/(?P<order>\d+)",
        },
        {"url": "/users/7/orders/9", "user": "7", "order": "9"},
    ),
    (
        "extract, no match",
        {"url": "/"},
        {"action": "extract", "key": "url", "pattern": r"(?P<user>\d+)"},
        {"url": "/"},
    ),
    (
        "convert to int",
        {"a": " 42 "},
        {"action": "convert", "key": "a", "converted_type": "int"},
        {"a": 42},
    ),
    (
        "convert cuts",
        {"a": -1.9},
        {"action": "convert", "key": "a", "converted_type": "int"},
        {"a": -1},
    ),
    (
        "convert what is no int",
        {"a": "many"},
        {"action": "convert", "key": "a", "converted_type": "int"},
        {"a": "many"},
    ),
    (
        "convert beyond 64 bits",
        {"a": "9223372036854775808"},
        {"action": "convert", "key": "a", "converted_type": "int"},
        {"a": "9223372036854775808"},
    ),
    (
        "convert to double",
        {"a": "1e3"},
        {"action": "convert", "key": "a", "converted_type": "double"},
        {"a": 1000.0},
    ),
    (
        "convert to string",
        {"a": 1.5},
        {"action": "convert", "key": "a", "converted_type": "string"},
        {"a": "1.5"},
    ),
    (
        "convert to boolean",
        {"a": "False"},
        {"action": "convert", "key": "a", "converted_type": "boolean"},
        {"a": False},
    ),
]


@pytest.mark.parametrize(
    ("before", "action", "after"), [pytest.param(*case[1:], id=case[0]) for case in ACTIONS]
)
def test_actions(before: dict[str, Any], action: dict[str, Any], after: dict[str, Any]) -> None:
    """Each action does what otelcol's does, and leaves alone what it cannot work on."""
    result = _after(before, action)
    assert result == after
    assert {key: type(value) for key, value in result.items()} == {
        key: type(value) for key, value in after.items()
    }


def test_actions_run_in_order() -> None:
    """A later action sees what an earlier one wrote."""
    assert _after(
        {},
        {"action": "insert", "key": "a", "value": "7"},
        {"action": "convert", "key": "a", "converted_type": "int"},
        {"action": "upsert", "key": "b", "from_attribute": "a"},
        {"action": "delete", "key": "a"},
    ) == {"b": 7}


def test_change_survives_encoding() -> None:
    """What is changed is what is sent on."""
    batch = _run(spans(span(a="1")), [{"action": "upsert", "key": "a", "value": "2"}])
    assert not batch.is_encoded
    assert batch.clone().view_spans()[0].attributes == {"a": "2"}


def test_every_signal() -> None:
    """Log records and each data point of a metric have attributes too."""
    action = {"action": "upsert", "key": "team", "value": "x"}
    (log,) = _run(logs(record(a="1")), [action]).view_logs()
    assert log.attributes == {"a": "1", "team": "x"}
    (one,) = _run(metrics(metric("m", {"a": 1}, {})), [action]).view_metrics()
    assert [point.attributes for point in one.points] == [{"a": 1, "team": "x"}, {"team": "x"}]


MARK = [{"action": "upsert", "key": "hit", "value": True}]
_CLIENT = span("GET /x")
_CLIENT.kind = SpanKind.CLIENT

MATCHES: list[Any] = [
    ("service", {"match_type": "strict", "services": ["other", "shop"]}, span(), True),
    ("no service", {"match_type": "strict", "services": ["sho"]}, span(), False),
    ("service pattern", {"match_type": "regexp", "services": ["^sh"]}, span(), True),
    ("span name", {"match_type": "strict", "span_names": ["chat"]}, span(), True),
    ("span name case", {"match_type": "strict", "span_names": ["Chat"]}, span(), False),
    ("kind as OTLP", {"match_type": "strict", "span_kinds": ["SPAN_KIND_CLIENT"]}, _CLIENT, True),
    ("kind as word", {"match_type": "strict", "span_kinds": ["client"]}, _CLIENT, True),
    ("other kind", {"match_type": "strict", "span_kinds": ["server"]}, _CLIENT, False),
    ("attribute there", {"match_type": "strict", "attributes": [{"key": "a"}]}, span(a=1), True),
    (
        "attribute equal",
        {"match_type": "strict", "attributes": [{"key": "a", "value": 1}]},
        span(a=1),
        True,
    ),
    (
        "one is not true",
        {"match_type": "strict", "attributes": [{"key": "a", "value": 1}]},
        span(a=True),
        False,
    ),
    (
        "all attributes",
        {"match_type": "strict", "attributes": [{"key": "a"}, {"key": "b"}]},
        span(a=1),
        False,
    ),
    (
        "attribute pattern",
        {"match_type": "regexp", "attributes": [{"key": "a", "value": "^v[12]$"}]},
        span(a="v2"),
        True,
    ),
    (
        "resource",
        {"match_type": "strict", "resources": [{"key": "service.name", "value": "shop"}]},
        span(),
        True,
    ),
    ("library", {"match_type": "strict", "libraries": [{"name": "openlit"}]}, span(), True),
    (
        "library version",
        {"match_type": "strict", "libraries": [{"name": "openlit", "version": "2"}]},
        span(),
        False,
    ),
    (
        "all properties",
        {"match_type": "strict", "services": ["shop"], "span_names": ["other"]},
        span(),
        False,
    ),
    ("property of another signal", {"match_type": "strict", "log_bodies": ["chat"]}, span(), False),
]


@pytest.mark.parametrize(
    ("match", "item", "matches"), [pytest.param(*case[1:], id=case[0]) for case in MATCHES]
)
def test_include_and_exclude(match: dict[str, Any], item: Span, matches: bool) -> None:
    """`include` edits what matches, `exclude` everything else; an untouched batch stays bytes."""
    included = _run(spans(item), MARK, include=match)
    assert ("hit" in included.view_spans()[0].attributes) is matches
    assert included.is_encoded is not matches
    excluded = _run(spans(item), MARK, exclude=match)
    assert ("hit" in excluded.view_spans()[0].attributes) is not matches


def test_matching_log_records_and_metrics() -> None:
    """Bodies, severities and metric names."""
    batch = logs(record("a b", 9), record("c", 17), record("a d", 0))
    match = {"match_type": "regexp", "log_bodies": ["^a "], "log_severity_number": {"min": 9}}
    hits = ["hit" in item.attributes for item in _run(batch, MARK, include=match).view_logs()]
    assert hits == [True, False, False]
    by_name = {"match_type": "strict", "metric_names": ["m"]}
    edited = _run(metrics(metric("m", {}), metric("n", {})), MARK, include=by_name).view_metrics()
    assert [len(item.points[0].attributes) for item in edited] == [1, 0]


def test_exclude_wins() -> None:
    """What is both included and excluded is left alone."""
    names = {"match_type": "strict", "span_names": ["chat"]}
    assert _run(spans(span()), MARK, include=names, exclude=names).is_encoded


FAULTS: list[Any] = [
    ("no action", {"actions": []}, "at least 1"),
    ("insert without key", {"actions": [{"action": "insert", "value": 1}]}, "needs a key"),
    (
        "insert without value",
        {"actions": [{"action": "insert", "key": "a"}]},
        "value or from_attribute",
    ),
    (
        "insert with both",
        {"actions": [{"action": "insert", "key": "a", "value": 1, "from_attribute": "b"}]},
        "value or from_attribute",
    ),
    ("delete nothing", {"actions": [{"action": "delete"}]}, "key or a pattern"),
    (
        "extract unnamed",
        {"actions": [{"action": "extract", "key": "a", "pattern": "(x)(?P<y>z)"}]},
        "must be named",
    ),
    ("convert to nothing", {"actions": [{"action": "convert", "key": "a"}]}, "converted_type"),
    (
        "bad pattern",
        {"actions": [{"action": "delete", "pattern": "("}]},
        "not a regular expression",
    ),
    ("long pattern", {"actions": [{"action": "delete", "pattern": "a" * 2000}]}, "at most 1024"),
    (
        "empty match",
        {"actions": MARK, "include": {"match_type": "strict"}},
        "at least one property",
    ),
    (
        "bad match pattern",
        {"actions": MARK, "include": {"match_type": "regexp", "services": ["["]}},
        "not a regular expression",
    ),
]


@pytest.mark.parametrize(
    ("options", "message"), [pytest.param(*case[1:], id=case[0]) for case in FAULTS]
)
def test_faults(options: dict[str, Any], message: str) -> None:
    """A configuration that cannot work is refused, with the reason."""
    with pytest.raises(ValidationError, match=message):
        AttributesConfig.model_validate(options)


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), _VALUES, max_size=3), st.sampled_from(ACTIONS))
def test_no_value_makes_it_fail(attributes: dict[str, Any], case: Any) -> None:
    """Whatever an attribute holds, an action neither raises nor touches another key."""
    batch = spans(span())
    batch.view_spans()[0].attributes = dict(attributes, untouched="same")
    result = _run(batch, [case[2]]).view_spans()[0].attributes
    assert result["untouched"] == "same"
