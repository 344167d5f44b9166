"""Langfuse batches through the converter: into every other format and back."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest

from genai_collector.convert import TARGETS, Outcome, convert
from genai_collector.model import Signal
from tests.support.captures import FIXTURES, shared

BATCHES = sorted((FIXTURES / "langfuse").glob("*.json"))
ENVELOPES = {
    "event.id", "event.timestamp", "metadata.batch_size", "metadata.public_key", "body.usage.unit"
}  # fmt: skip
SCORE = {"id": "s", "name": "n", "value": 1, "traceId": "t"}


def converted(data: bytes, source: str, target: str, signal: Signal | None = None) -> list[Outcome]:
    return list(convert(io.BytesIO(data), source, target, signal=signal, report=True))


def one(data: bytes, source: str, target: str, signal: Signal | None = None) -> Outcome:
    first, *_ = converted(data, source, target, signal)
    assert first.output is not None, first.problems
    return first


def batch(*bodies: dict[str, Any], kind: str = "score-create") -> bytes:
    events = [
        {"id": str(at), "type": kind, "timestamp": "2025-01-01T00:00:00Z", "body": body}
        for at, body in enumerate(bodies)
    ]
    return json.dumps({"batch": events}).encode()


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("path", BATCHES, ids=lambda path: path.stem)
def test_into_every_format(path: Any, target: str) -> None:
    """Every recorded batch can be written in every format, the same bytes each time."""
    data = path.read_bytes()
    assert one(data, "langfuse", target).output == one(data, "langfuse", target).output


@pytest.mark.parametrize("seed", ["000_271cc79c6dd8de4c.txt", "001_c711b7dc4de78875.txt"])
def test_seeds_to_otlp_to_langfuse(seed: str) -> None:
    """LiteLLM's batches through OTLP/JSON are the same generation again but for envelopes."""
    data = shared(f"seeds/{seed}").read_bytes()
    between = one(data, "langfuse", "otlp")
    back = one(between.output or b"", "otlp", "langfuse")
    assert {loss.field for loss in between.losses} == ENVELOPES
    assert back.losses == []
    sent, got = (
        {event["type"]: event["body"] for event in json.loads(text)["batch"]}
        for text in (data, back.output or b"")
    )
    before, after = sent["generation-create"], got["generation-create"]
    for key in ("id", "traceId", "name", "model", "input", "level", "usageDetails"):
        assert after[key] == before[key]
    assert after.get("output") == before.get("output")
    assert after["costDetails"] == {"total": before["usage"]["totalCost"]}
    assert after["metadata"].items() >= before["metadata"].items()
    traces: dict[str, Any] = {}
    for event in json.loads(back.output or b"")["batch"]:
        if event["type"] == "trace-create":
            traces |= event["body"]
    for key in ("id", "timestamp", "name", "input"):
        assert traces[key] == sent["trace-create"][key]


@pytest.mark.parametrize("seed", ["000_271cc79c6dd8de4c.txt", "001_c711b7dc4de78875.txt"])
def test_seeds_to_noveum(seed: str) -> None:
    """LiteLLM's batches as Noveum's records: model, tokens and cost are those of the batch."""
    data = shared(f"seeds/{seed}").read_bytes()
    sent = json.loads(data)["batch"][1]["body"]
    text = (one(data, "langfuse", "noveum").output or b"").decode()
    assert sent["model"] in text
    numbers = {float(found) for found in re.findall(r"[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?", text)}
    usage = sent["usage"]
    assert {usage["totalCost"], usage["input"], usage["output"]} <= numbers


def test_scores_are_logs() -> None:
    """Scores are converted as logs, by themselves or when asked; beside traces they are a line of
    their own, and where one file has one signal a note says so."""
    scores = batch(SCORE)
    alone = one(scores, "langfuse", "otlp")
    assert b"resourceLogs" in (alone.output or b"")
    back = one(alone.output or b"", "otlp", "langfuse")
    assert json.loads(back.output or b"")["batch"][0]["body"].items() >= SCORE.items()
    data = (FIXTURES / "langfuse" / "py2_lowlevel.json").read_bytes()
    traces, logs = converted(data, "langfuse", "otlp")
    assert traces.line == logs.line
    assert not traces.notes
    assert logs.output == one(data, "langfuse", "otlp", Signal.LOGS).output
    assert traces.output == one(data, "langfuse", "otlp", Signal.TRACES).output
    for target, signal in (("litellm", None), ("otlp_proto", None), ("otlp", Signal.TRACES)):
        [outcome] = converted(data, "langfuse", target, signal)
        assert not outcome.problems
        assert [note.split()[0] for note in outcome.notes] == ["4"]


@pytest.mark.parametrize("path", BATCHES, ids=lambda path: path.stem)
def test_batches_to_batches(path: Any) -> None:
    """Batch to batch keeps scores where they were and the SDK's name and version, also twice."""
    data = path.read_bytes()
    once = one(data, "langfuse", "langfuse").output or b""
    twice = one(once, "langfuse", "langfuse").output or b""
    sent, *others = (json.loads(text) for text in (data, once, twice))
    for other in others:
        for key in ("sdk_name", "sdk_version", "sdk_integration"):
            assert other.get("metadata", {}).get(key) == sent.get("metadata", {}).get(key)
        assert len(_scores(other)) == len(_scores(sent))


def _scores(document: Any) -> list[Any]:
    return [event for event in document["batch"] if event["type"] == "score-create"]


def test_scores_that_somebody_changed() -> None:
    """A score's record whose metadata is no JSON any more, or whose time is gone, is a score."""
    text = one(batch({**SCORE, "metadata": {"a": 1}}), "langfuse", "otlp").output or b""
    [resource] = json.loads(text)["resourceLogs"]
    record = resource["scopeLogs"][0]["logRecords"][0]
    kept = []
    for attribute in record["attributes"]:
        if attribute["key"] == "langfuse.score.metadata":
            attribute["value"] = {"stringValue": "{a"}
        if attribute["key"] != "langfuse.score.timestamp":
            kept.append(attribute)
    record["attributes"] = kept
    changed = json.dumps({"resourceLogs": [resource]}).encode()
    [event] = json.loads(one(changed, "otlp", "langfuse").output or b"")["batch"]
    assert event["body"]["metadata"] == "{a"
    assert event["timestamp"] == "2025-01-01T00:00:00.000Z"


def test_empty_requests() -> None:
    """An empty request is one of traces in every encoding, unless it is said what it is."""
    assert one(b"", "otlp_proto", "otlp").output == one(b"{}", "otlp", "otlp").output
    asked = one(b"", "otlp_proto", "otlp", Signal.LOGS).output
    assert asked is not None
    assert b"resourceLogs" in asked


def test_bad_documents() -> None:
    """What is no batch gives nothing; a bad event in one is named, and the rest converted."""
    [outcome] = converted(b'{"no": "batch"}', "langfuse", "otlp")
    assert outcome.output is None
    [outcome] = converted(batch(SCORE), "langfuse", "otlp", Signal.METRICS)
    assert outcome.output is None
    mixed = one(batch({"id": "a"}, {"name": "x"}, kind="span-create"), "langfuse", "otlp")
    assert len(mixed.problems) == 1
    assert mixed.problems[0].startswith("event 1: body.id")
