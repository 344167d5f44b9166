"""convert --from litellm and --to litellm."""

from __future__ import annotations

import io
import json

import pytest

from genai_collector.convert import LossReport, Outcome, convert
from genai_collector.formats import litellm
from genai_collector.formats.residual import same
from genai_collector.model import Signal
from tests.formats.litellm.material import FILES, load, raw
from tests.support.captures import FIXTURES

SPANS = (FIXTURES / "otlp" / "openlit_1_45" / "chat.traces.json").read_bytes()
LOGS = (FIXTURES / "otlp" / "openlit_1_45" / "chat.logs.json").read_bytes()


def outcomes(data: bytes, source: str, target: str) -> list[Outcome]:
    return list(convert(io.BytesIO(data), source, target, report=True))


def converted(data: bytes, source: str, target: str) -> bytes:
    """All output lines; everything must be readable."""
    found = outcomes(data, source, target)
    assert not [problem for outcome in found for problem in outcome.problems]
    return b"\n".join([outcome.output or b"" for outcome in found])


@pytest.mark.parametrize("name", FILES)
def test_there_and_back(name: str) -> None:
    """Payloads to OTLP and back are the payloads, whatever form they came in."""
    text = converted(raw(name), "litellm", "otlp")
    back = converted(text, "otlp", "litellm")
    again = [payload for line in back.splitlines() for payload in json.loads(line)]
    assert len(again) == len(load(name))
    assert all(map(same, again, load(name)))


@pytest.mark.parametrize("target", ["langfuse", "litellm", "noveum", "otlp"])
def test_same_bytes(target: str) -> None:
    """Converting twice gives the same bytes."""
    first = converted(raw("router_retries.json"), "litellm", target)
    assert first == converted(raw("router_retries.json"), "litellm", target)


def test_spans_there_and_back() -> None:
    """Spans of an application survive LiteLLM's form, those that are no call too."""
    text = converted(SPANS, "otlp", "litellm")
    assert len(json.loads(text)) == len(litellm.parse(text))
    plain = converted(SPANS, "otlp", "otlp")
    assert converted(text, "litellm", "otlp") == plain


def test_lines_keep_their_places() -> None:
    """Each line is a document; a broken one is named by its line and costs only itself."""
    good = litellm.dump(load("chat.json")[0])
    found = outcomes(good + b"\n{\n" + b'[{"a":1},' + good + b"]\n", "litellm", "otlp")
    assert [outcome.line for outcome in found] == [1, 2, 3]
    assert [outcome.output is None for outcome in found] == [False, True, False]
    assert found[2].problems
    assert found[2].problems[0].startswith("record 0: not a StandardLoggingPayload")


def test_the_report() -> None:
    """What has no member is named; a payload's own members all have a home in LiteLLM."""
    report = LossReport()
    for outcome in outcomes(SPANS, "otlp", "litellm"):
        report.add(outcome)
    assert any("resource.service.name" in line for line in report.lines())
    report = LossReport()
    for outcome in outcomes(raw("chat.json"), "litellm", "litellm"):
        report.add(outcome)
    assert report.lines() == ["everything has a home"]


def test_other_signals() -> None:
    """Log records have no form in LiteLLM, and the report says so; payloads are traces."""
    [outcome] = outcomes(LOGS, "otlp", "litellm")
    assert outcome.output == b"[]"
    assert outcome.losses
    stream = io.BytesIO(raw("chat.json"))
    [outcome] = convert(stream, "litellm", "otlp", signal=Signal.LOGS)
    assert outcome.output is None
    assert "traces" in outcome.problems[0]
