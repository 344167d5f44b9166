"""convert --from noveum, of records and of traces, and --to noveum_traces."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from genai_collector.convert import LossReport, Outcome, convert
from genai_collector.formats import noveum
from genai_collector.formats.residual import same
from genai_collector.model import LogRecord, Signal
from tests.formats.noveum.material import RECORDS, load
from tests.support.captures import FIXTURES, shared

SPANS = (FIXTURES / "otlp" / "openlit_1_45" / "chat.traces.json").read_bytes()
RECORD_FILES = ["seed_records", "derived_v1.0.1", "derived_v2.0.1"]
TRACE_FILES = ["trace_v1.5.10", "trace_v1.5.28", "trace_v1.5.28_statuses"]
TARGETS = ["langfuse", "litellm", "noveum", "noveum_traces", "otlp"]


def raw(name: str) -> bytes:
    return (FIXTURES / "noveum" / f"{name}.json").read_bytes()


def outcomes(data: bytes, source: str, target: str) -> list[Outcome]:
    return list(convert(io.BytesIO(data), source, target, report=True))


def converted(data: bytes, source: str, target: str) -> bytes:
    """All output lines; everything must be readable."""
    found = outcomes(data, source, target)
    assert not [problem for outcome in found for problem in outcome.problems]
    return b"\n".join([outcome.output or b"" for outcome in found])


def report(data: bytes, source: str, target: str) -> list[str]:
    losses = LossReport()
    for outcome in outcomes(data, source, target):
        losses.add(outcome)
    return losses.lines()


@pytest.mark.parametrize("name", RECORD_FILES)
def test_records_there_and_back(name: str) -> None:
    """Records to OTLP and back are the records."""
    text = converted(raw(name), "noveum", "otlp")
    assert same(json.loads(converted(text, "otlp", "noveum")), list[Any](load(name)))


@pytest.mark.parametrize("name", TRACE_FILES)
def test_traces_there_and_back(name: str) -> None:
    """Payloads of traces to OTLP and back are the payloads, the time of sending included."""
    text = converted(raw(name), "noveum", "otlp")
    assert same(json.loads(converted(text, "otlp", "noveum_traces")), json.loads(raw(name)))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", [*RECORD_FILES, *TRACE_FILES])
def test_same_bytes(name: str, target: str) -> None:
    """Converting twice gives the same bytes."""
    assert converted(raw(name), "noveum", target) == converted(raw(name), "noveum", target)


@pytest.mark.parametrize("target", ["noveum", "noveum_traces"])
def test_spans_there_and_back(target: str) -> None:
    """Spans of an application survive both of Noveum's forms."""
    text = converted(SPANS, "otlp", target)
    assert converted(text, "noveum", "otlp") == converted(SPANS, "otlp", "otlp")


def tokens_and_cost(text: bytes) -> list[tuple[object, ...]]:
    """What each generation of these Langfuse batches used."""
    return [
        (usage.get("input"), usage.get("output"), usage.get("total"), cost)
        for line in text.splitlines()
        for event in json.loads(line)["batch"]
        if event["type"] == "generation-create"
        for usage in [event["body"].get("usageDetails") or {}]
        for cost in [(event["body"].get("costDetails") or {}).get("total")]
    ]


def test_seed_002_through_every_format() -> None:
    """The documentation's sample, with its comments, through OTLP and back is exact; in Langfuse it
    has its tokens and its cost, and what has no home there is named and nothing else."""
    text = shared("seeds/002_2aa5c4193a942b6f.txt").read_bytes()
    sample = text[text.index(b"[") :]
    otlp_text = converted(sample, "noveum", "otlp")
    assert same(json.loads(converted(otlp_text, "otlp", "noveum")), list[Any](RECORDS[:3]))

    langfuse_text = converted(otlp_text, "otlp", "langfuse")
    expected = [
        (one["input"], one["output"], record["attributes"]["metadata"]["cost"])  # type: ignore[index,call-overload]
        for record in RECORDS[:3]
        for one in [record["attributes"]["metadata"]["tokens"]]  # type: ignore[index,call-overload]
    ]
    assert [(i, o, cost) for i, o, _, cost in tokens_and_cost(langfuse_text)] == expected

    generations = [
        event["body"]
        for line in langfuse_text.splitlines()
        for event in json.loads(line)["batch"]
        if event["type"] == "generation-create"
    ]
    for body, span in zip(generations, noveum.decode_records(noveum.parse(sample)), strict=True):
        carried = body["metadata"]["attributes"]
        own = {key: v for key, v in span.attributes.items() if not key.endswith(".messages")}
        assert carried.keys() == own.keys()
        texts = {key: value for key, value in own.items() if isinstance(value, str)}
        assert {key: carried[key] for key in texts} == texts
        assert body["metadata"]["resourceAttributes"] == span.resource.attributes
    [line] = report(sample, "noveum", "langfuse")
    assert line.startswith("no home: kind:")

    again = json.loads(converted(langfuse_text, "langfuse", "noveum"))
    assert [_told(record) for record in again] == [_told(record) for record in RECORDS[:3]]
    assert report(sample, "noveum", "noveum") == ["everything has a home"]


def _told(record: Any) -> tuple[object, ...]:
    """What every format says of a call."""
    said = record["attributes"]
    metadata = said["metadata"]
    request = said["request"]
    return (
        said["model"],
        said["user_id"],
        said.get("threadId", said.get("thread_id")),
        request["model"],
        request["messages"],
        request.get("temperature"),
        metadata["latency"],
        metadata["tokens"],
        metadata["cost"],
        metadata["status"],
    )


def test_lines_keep_their_places() -> None:
    """Each line is a document; a broken one is named by its line and costs only itself."""
    good = noveum.dump(RECORDS[0])
    found = outcomes(good + b"\n{\n" + b'[{"a":1},' + good + b"]\n", "noveum", "otlp")
    assert [outcome.line for outcome in found] == [1, 2, 3]
    assert [outcome.output is None for outcome in found] == [False, True, False]
    assert found[2].problems
    assert found[2].problems[0].startswith("record 0: neither a log record")


def test_other_signals() -> None:
    """Log records come back as such; several signals in a document are named; traces have no form
    for them, and the report says so."""
    logs = [noveum.dump(record) for record in noveum.encode_logs([LogRecord(body="hello")])]
    assert b"hello" in converted(logs[0], "noveum", "otlp")
    [outcome] = outcomes(b"[" + logs[0] + b"," + noveum.dump(RECORDS[0]) + b"]", "noveum", "otlp")
    assert outcome.problems == ["holds logs, too; convert them with the signal logs"]
    assert converted(logs[0], "noveum", "noveum_traces") == b'{"traces":[]}'
    [line] = report(logs[0], "noveum", "noveum_traces")
    assert "Noveum's traces have spans" in line
    [asked] = convert(io.BytesIO(logs[0]), "noveum", "otlp", signal=Signal.TRACES)
    assert asked.problems
