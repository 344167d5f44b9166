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
    [outcome] = converted(data, source, target, signal)
    assert outcome.output is not None, outcome.problems
    return outcome


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
    """Scores are converted as logs, by themselves or when asked; beside traces it is said."""
    scores = batch(SCORE)
    alone = one(scores, "langfuse", "otlp")
    assert b"resourceLogs" in (alone.output or b"")
    back = one(alone.output or b"", "otlp", "langfuse")
    assert json.loads(back.output or b"")["batch"][0]["body"].items() >= SCORE.items()
    data = (FIXTURES / "langfuse" / "py2_lowlevel.json").read_bytes()
    beside = one(data, "langfuse", "otlp")
    assert list(beside.problems) == ["4 scores are not traces; convert them as logs"]
    assert one(data, "langfuse", "otlp", Signal.LOGS).problems == []


def test_bad_documents() -> None:
    """What is no batch gives nothing; a bad event in one is named, and the rest converted."""
    [outcome] = converted(b'{"no": "batch"}', "langfuse", "otlp")
    assert outcome.output is None
    [outcome] = converted(batch(SCORE), "langfuse", "otlp", Signal.METRICS)
    assert outcome.output is None
    mixed = one(batch({"id": "a"}, {"name": "x"}, kind="span-create"), "langfuse", "otlp")
    assert len(mixed.problems) == 1
    assert mixed.problems[0].startswith("event 1: body.id")
