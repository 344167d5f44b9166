"""The five published examples through every format and back.

What cannot come back is named by the report of the first step, and nothing else is missing.
"""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pytest

from genai_collector.formats import litellm, noveum, otlp
from genai_collector.formats.residual import same
from genai_collector.model import Signal, Value
from tests.support.captures import FIXTURES, shared
from tests.support.documents import FORMATS, outcome, written
from tests.support.merged import merged
from tests.support.missing import missing, not_in
from tests.support.totals import TOTALS, Totals

BATCHES: Final = ("000_271cc79c6dd8de4c.txt", "001_c711b7dc4de78875.txt")
NOVEUM: Final = "002_2aa5c4193a942b6f.txt"
TABLE: Final = "003_f0664830862827c5.txt"
COOKBOOK: Final = "004_0d7468decfdae9fe.txt"
WHOLE: Final = ("litellm", "noveum", "otlp")
"""Formats that hold whole spans, so that the way back is exact."""


def seed(name: str) -> str:
    return shared(f"seeds/{name}").read_text(encoding="utf-8")


def fields(data: bytes, source: str, target: str) -> set[str]:
    """What the report names."""
    return {loss.field for loss in outcome(data, source, target).losses}


def goes_everywhere(data: bytes, source: str, expected: Totals) -> None:
    """Into every format and back: every value is there or named, tokens and cost are the same."""
    assert TOTALS[source](data) == expected
    for target in FORMATS:
        there = outcome(data, source, target)
        assert not there.problems
        assert missing(data, source, target) == []
        assert TOTALS[target](there.output or b"") == expected, target
        if target != source:
            back = written(there.output or b"", target, source)
            assert not_in([back], data, source, there.losses) == [], target
            assert TOTALS[source](back) == expected, target


# Langfuse batches


def batch_seed(name: str, expected: Totals) -> None:
    data = seed(name).encode()
    goes_everywhere(data, "langfuse", expected)
    envelope = {
        "body.usage.unit", "event.id", "event.timestamp", "metadata.batch_size",
        "metadata.public_key",
    }  # fmt: skip
    assert fields(data, "langfuse", "otlp") == envelope
    for target in WHOLE:
        after = merged(written(data, "langfuse", target, "langfuse"))
        for body in after.values():
            metadata = body["metadata"]
            del metadata["resourceAttributes"], metadata["scope"]
        assert plain(after) == plain(merged(data))


def plain(records: Mapping[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """No metadata is as good as empty metadata."""
    return {
        key: {name: value for name, value in body.items() if value != {} or name != "metadata"}
        for key, body in records.items()
    }


def test_seed_000() -> None:
    """LiteLLM's batch of a call of Bedrock: the server stores the same trace and generation."""
    batch_seed(BATCHES[0], Totals(1, 10, 10, 0, 20, 0.00018))


def test_seed_001() -> None:
    """LiteLLM's batch with user, session, tags, versions and a parent: the same."""
    batch_seed(BATCHES[1], Totals(1, 10, 20, 0, 30, 3.5e-05))


def test_seed_001_says_who() -> None:
    """In every format the session and the user stand where that format looks for them."""
    data = seed(BATCHES[1]).encode()
    payloads = json.loads(written(data, "langfuse", "litellm"))
    [payload] = [one for one in payloads if one["model"]]  # the other is the trace's own root
    assert (payload["session_id"], payload["end_user"]) == ("test_session_id", "test_user_id")
    assert payload["request_tags"] == ["test_tag", "test_tag_2"]
    records = json.loads(written(data, "langfuse", "noveum"))
    [record] = [one for one in records if one["name"] == "ai_gateway_request_log"]
    call = record["attributes"]
    assert (call["thread_id"], call["user_id"]) == ("test_session_id", "test_user_id")


# Noveum's sample


def test_seed_002() -> None:
    """Noveum's sample, comments and all: three records, exact through all that holds whole spans,
    and in Langfuse under their models with every value somewhere."""
    text = seed(NOVEUM)
    sample = text[text.index("[") :].encode()
    records = noveum.parse(sample)
    data = json.dumps(records).encode()
    assert written(sample, "noveum", "otlp") == written(data, "noveum", "otlp")
    goes_everywhere(data, "noveum", Totals(3, 122, 1716, 0, 1838, 0.1034))
    for target in WHOLE:
        back = json.loads(written(data, "noveum", target, "noveum"))
        assert same(back, [*records])
        losses = outcome(data, "noveum", target).losses
        assert all("kept in otel" in loss.why for loss in losses)
        assert bool(losses) is (target == "litellm")
    assert fields(data, "noveum", "langfuse") == {"kind"}
    models = [
        event["body"].get("model")
        for event in json.loads(written(data, "noveum", "langfuse"))["batch"]
        if event["type"] == "generation-create"
    ]
    assert models == ["gpt-4-turbo", "llama-3-70b-instruct", "llama-3.1-8b-instant"]


# LiteLLM's table

Rows = Mapping[str, Sequence[tuple[str, str]]]
_KNOWN: Final[Mapping[str, Value]] = {
    "status": "success",
    "call_type": "acompletion",
    "model": "gpt-4o",
    "startTime": 1748294000.25,
    "completionStartTime": 1748294000.5,
    "endTime": 1748294001.75,
    "prompt_tokens": 31,
    "completion_tokens": 12,
    "total_tokens": 43,
    "response_cost": 0.0125,
    "request_tags": ["first", "second"],
    "messages": [{"role": "user", "content": "the question of the table"}],
    "response": {
        "id": "chatcmpl-table",
        "model": "gpt-4o-2024-08-06",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "the answer of the table"},
            }
        ],
        "usage": {
            "prompt_tokens": 31,
            "completion_tokens": 12,
            "total_tokens": 43,
            "prompt_tokens_details": {"cached_tokens": 16},
        },
    },
    "model_parameters": {"temperature": 0.375, "max_tokens": 77},
}
"""Values of the fields at the top that mean something; all others only need to be different."""
_OF_TYPE: Final[Mapping[str, Callable[[int, str], Value]]] = {
    "str": lambda _, name: f"text of {name}",
    "int": lambda at, _: 1000 + at,
    "float": lambda at, _: 1000.5 + at,
    "bool": lambda _at, _name: True,
    "dict": lambda _, name: {"key": f"value in {name}"},
    "list": lambda _, name: [f"item of {name}"],
    # A type that the table names and does not describe: LiteLLM's price list.
    "ModelInfo": lambda at, name: {"key": f"value in {name}", "max_tokens": 100_000 + at},
}


def table() -> Rows:
    """Type -> its fields with their types, those that it inherits first."""
    rows: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for line in seed(TABLE).splitlines():
        if line.startswith("## "):
            current = rows.setdefault(line[3:].strip(), [])
        elif found := re.match(r"Inherits from `(\w+)`", line):
            current += rows[found[1]]
        elif found := re.match(r"\| `(\w+)` \| `([^`]+)` \|", line):
            current.append((found[1], found[2]))
    return rows


def filled(rows: Rows, name: str) -> dict[str, Value]:
    """An object of a type of the table with every field."""
    return {
        field: _value(rows, f"{name}.{field}", kind, at)
        for at, (field, kind) in enumerate(rows[name], start=len(name) * 100)
    }


def _value(rows: Rows, name: str, kind: str, at: int) -> Value:
    kind = kind.removeprefix("Optional[").rstrip("]")
    return filled(rows, kind) if rows.get(kind) else _OF_TYPE[kind.split("[")[-1]](at, name)


def every_field() -> dict[str, Value]:
    """A payload that has every field that the table tells of."""
    rows = dict(table())
    top = "StandardLoggingPayload"
    rows[top] = [(field, kind) for field, kind in rows[top] if field not in _KNOWN]
    return {**filled(rows, top), **_KNOWN}


@pytest.mark.parametrize("status", ["success", "failure"])
def test_seed_003(status: str) -> None:
    """A payload with every field of the published table, in both of its statuses: exact through
    all that holds whole spans, and in Langfuse with every value somewhere."""
    rows = table()
    assert {len(rows["StandardLoggingPayload"]), len(rows["StandardLoggingMetadata"])} == {31, 9}
    payload = every_field() | {"status": status}
    assert payload.keys() == {field for field, _ in rows["StandardLoggingPayload"]}
    data = litellm.dump(payload)
    assert missing(data, "litellm", "langfuse") == []
    for target in WHOLE:
        assert missing(data, "litellm", target) == []
        assert same(json.loads(written(data, "litellm", target, "litellm")), [payload])
        losses = outcome(data, "litellm", target).losses
        assert all("kept in attributes.otel" in loss.why for loss in losses)
    assert fields(data, "litellm", "langfuse") <= {"kind", "statusCode"}
    if status == "success":
        goes_everywhere(data, "litellm", Totals(1, 31, 12, 16, 43, 0.0125))


# OpenLIT's cookbook


@pytest.mark.parametrize("signal", [Signal.TRACES, Signal.METRICS])
def test_seed_004_is_the_fixture(signal: Signal) -> None:
    """The requests that the next tests carry are the cookbook's dump, item for item."""
    script = runpy.run_path(str(FIXTURES / "make_openlit_seed.py"))
    dumps = script["find_documents"](seed(COOKBOOK))
    if signal is Signal.TRACES:
        items = [script["span"](one) for one in dumps if "context" in one]
    else:
        exports = [script["metrics"](one) for one in dumps if "resource_metrics" in one]
        assert len(exports) == 13
        items = [metric for export in exports for metric in export]
    assert otlp.encode(signal, items) == (FIXTURES / "openlit_seed" / f"{signal}.pb").read_bytes()


def test_seed_004_span() -> None:
    """The cookbook's span: the same bytes through all that holds whole spans, and in Langfuse
    with every value somewhere but for what the report names."""
    data = written((FIXTURES / "openlit_seed" / "traces.pb").read_bytes(), "otlp_proto", "otlp")
    goes_everywhere(data, "otlp", TOTALS["otlp"](data))
    assert TOTALS["otlp"](data).total > 0
    for target in WHOLE:
        assert written(data, "otlp", target, "otlp") == data
    assert fields(data, "otlp", "langfuse") == {"kind", "nanoseconds", "statusCode"}


def test_seed_004_metrics() -> None:
    """The cookbook's thirteen exports: the same records whenever they are Noveum's, with every
    value; in Langfuse and LiteLLM each data point is a score or named."""
    data = written((FIXTURES / "openlit_seed" / "metrics.pb").read_bytes(), "otlp_proto", "otlp")
    records = written(data, "otlp", "noveum")
    points = len(json.loads(records))
    assert written(records, "noveum", "otlp", "noveum") == records
    assert missing(data, "otlp", "noveum") == []
    assert not_in([written(records, "noveum", "otlp")], data, "otlp", ()) == []
    assert len(outcome(data, "otlp", "litellm").losses) == points
    there = outcome(data, "otlp", "langfuse")
    named = {loss.where for loss in there.losses}
    assert 0 < points - len(named) < points
    scores = json.loads(there.output or b"")["batch"]
    assert {event["type"] for event in scores} == {"score-create"}
    assert len(scores) >= points - len(named)
