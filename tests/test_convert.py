"""Offline conversion: documents, signals, one line each, what is unreadable, what is lost."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.cli.conversion import SourceName, TargetName
from genai_collector.convert import (
    SOURCES,
    TARGETS,
    LossReport,
    Outcome,
    Target,
    convert,
    convert_with,
)
from genai_collector.convert.documents import split_json
from genai_collector.convert.sources import decode_otlp_proto
from genai_collector.formats import langfuse, noveum, otlp
from genai_collector.formats.loss import Loss
from genai_collector.model import Items, Signal, Span
from tests.support.captures import FIXTURES

SEED = FIXTURES / "openlit_seed"
SAMPLES = FIXTURES / "otlp" / "openlit_1_45"


def _convert(data: bytes, target: str = "otlp", source: str = "otlp") -> list[Outcome]:
    return list(convert(io.BytesIO(data), source, target, report=True))


def _outputs(data: bytes, target: str = "otlp") -> list[Any]:
    return [json.loads(one.output) for one in _convert(data, target) if one.output is not None]


def _span(name: str) -> dict[str, Any]:
    span = {"traceId": "a" * 32, "spanId": "b" * 16, "name": name}
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


def _line(name: str) -> bytes:
    return json.dumps(_span(name)).encode()


SPLITS: dict[str, tuple[bytes, list[tuple[int, bytes]]]] = {
    "nothing": (b"", []),
    "blank": (b"\n \n", []),
    "one": (b'{"a": 1}', [(1, b'{"a": 1}')]),
    "one line each": (b'{"a": 1}\n{"b": 2}\n', [(1, b'{"a": 1}'), (2, b'{"b": 2}')]),
    "blank lines count": (b'\n{"a": 1}\r\n\r\n{"b": 2}', [(2, b'{"a": 1}'), (4, b'{"b": 2}')]),
    "byte order mark": (b'\xef\xbb\xbf{"a": 1}\n', [(1, b'{"a": 1}')]),
    "pretty": (b'{\n  "a": 1\n}\n', [(1, b'{\n"a": 1\n}')]),
    "pretty after blanks": (b"\n\n[\n1,\n2\n]", [(3, b"[\n1,\n2\n]")]),
    "a bad first line": (b'{"a": 1]\n{"b": 2}', [(1, b'{"a": 1]'), (2, b'{"b": 2}')]),
    "a cut first line": (b'{"a": \n{"b": 2}', [(1, b'{"a":'), (2, b'{"b": 2}')]),
    "a bad later line": (b'{"a": 1}\n{\n{"b": 2}', [(1, b'{"a": 1}'), (2, b"{"), (3, b'{"b": 2}')]),
    "no JSON": (b"hello\nworld", [(1, b"hello"), (2, b"world")]),
}


@pytest.mark.parametrize(("data", "documents"), SPLITS.values(), ids=SPLITS)
def test_documents(data: bytes, documents: list[tuple[int, bytes]]) -> None:
    """A document is a line, or everything when the first line only begins one."""
    assert list(split_json(io.BytesIO(data))) == documents


class _Endless(io.RawIOBase):
    """One-line documents without end."""

    def readline(self, _size: int | None = -1) -> bytes:
        return _line("x") + b"\n"


def test_lines_are_read_one_at_a_time() -> None:
    """The first result comes before the rest was read, so memory does not grow with the file."""
    outcomes: Iterator[Outcome] = convert(_Endless(), "otlp", "langfuse")  # type: ignore[arg-type]

    assert [next(outcomes).line for _ in range(3)] == [1, 2, 3]


def test_one_line_per_document_in_order() -> None:
    """Each document is converted on its own, empty ones too."""
    data = b"\n".join([_line("one"), b'{"resourceSpans": []}', b"{}", _line("two")])

    for target, empty in (
        ("otlp", {"resourceSpans": []}),
        ("langfuse", {"batch": []}),
        ("noveum", []),
    ):
        outcomes = _convert(data, target)
        texts = [one.output or b"" for one in outcomes]

        assert [one.line for one in outcomes] == [1, 2, 3, 4]
        assert [b"one" in texts[0], b"two" in texts[3]] == [True, True]
        assert [json.loads(text) for text in texts[1:3]] == [empty, empty]
        assert not any(b"\n" in text for text in texts)


UNREADABLE = {
    b"{": "not JSON: Expecting property name",
    b"[]": "expected an object with resourceSpans, resourceMetrics or resourceLogs",
    b'"x"': "expected an object with resourceSpans, resourceMetrics or resourceLogs",
    b'{"batch": []}': "has none of resourceSpans, resourceMetrics, resourceLogs",
    b'{"resourceSpans": 5}': "resourceSpans",
    b'{"resourceSpans": [], "resourceLogs": []}': (
        "holds resourceSpans and resourceLogs; one document has one signal"
    ),
    b"\xff\xfe": "",
    b"[" * 100_000: "",
}


@pytest.mark.parametrize(
    ("document", "message"), UNREADABLE.items(), ids=[repr(key[:30]) for key in UNREADABLE]
)
def test_unreadable(document: bytes, message: str) -> None:
    """An unreadable document is named with its line; those around it are converted."""
    outcomes = _convert(b"\n".join([_line("one"), b"", document, _line("two")]))

    assert [(one.line, one.output is None) for one in outcomes] == [
        (1, False), (3, True), (4, False)
    ]  # fmt: skip
    assert len(outcomes[1].problems) == 1
    assert outcomes[1].problems[0].startswith(message)


def test_partly_unreadable() -> None:
    """Of a document with one bad span, the others are converted and the bad one is named."""
    document = _span("good")
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans.append({"traceId": "xyz", "name": "bad"})

    (outcome,) = _convert(json.dumps(document).encode())

    assert outcome.output is not None
    assert b"good" in outcome.output
    assert b"bad" not in outcome.output
    assert len(outcome.problems) == 1
    assert "spans[1]" in outcome.problems[0]


SIGNALS = {
    "traces": Signal.TRACES,
    "metrics": Signal.METRICS,
    "logs": Signal.LOGS,
}


@pytest.mark.parametrize("name", SIGNALS)
def test_json_and_protobuf_of_every_signal(name: str) -> None:
    """The signal is found out, from JSON and from protobuf, and both give the same."""
    text = (SAMPLES / f"chat.{name}.json").read_bytes()
    binary = (SAMPLES / f"chat.{name}.pb").read_bytes()
    expected = otlp.encode_json(SIGNALS[name], otlp.decode(SIGNALS[name], binary))

    (from_json,) = _convert(text)
    (from_protobuf,) = _convert(binary, source="otlp_proto")

    assert from_json.output == expected
    assert from_protobuf.output == expected


def test_protobuf_out() -> None:
    """Requests in protobuf run together into one; another signal in between is refused."""
    chat, stream = ((SAMPLES / f"{name}.traces.pb").read_bytes() for name in ("chat", "stream"))
    logs = (SAMPLES / "chat.logs.pb").read_bytes()
    lines = [_convert(data, source="otlp_proto")[0].output or b"" for data in (chat, logs, stream)]

    outcomes = _convert(b"\n".join(lines), "otlp_proto")
    written = b"".join([one.output for one in outcomes if one.output is not None])

    assert [one.problems for one in outcomes if one.output is None] == [
        ["holds logs; one request has one signal, here traces"]
    ]
    assert otlp.encode_json(Signal.TRACES, otlp.decode(Signal.TRACES, written)) == otlp.encode_json(
        Signal.TRACES, otlp.decode(Signal.TRACES, chat + stream)
    )


def test_protobuf_signal_by_hand() -> None:
    """What the user says about the signal is not second-guessed."""
    binary = (SAMPLES / "chat.metrics.pb").read_bytes()

    assert decode_otlp_proto(binary, Signal.METRICS).signal is Signal.METRICS
    assert decode_otlp_proto(b"", None).items == []


def test_no_protobuf() -> None:
    """Bytes that are no request are unreadable."""
    (outcome,) = _convert(b"\xff\xff\xff", source="otlp_proto")

    assert outcome.output is None
    assert outcome.problems


@pytest.mark.parametrize("name", ["chat", "stream", "stream_tools"])
def test_targets_are_what_the_exporters_send(name: str) -> None:
    """Langfuse and Noveum output is that of the pipeline's own encoders."""
    data = (SAMPLES / f"{name}.traces.pb").read_bytes()
    spans = otlp.decode(Signal.TRACES, data)
    assert all(isinstance(span, Span) for span in spans)

    (batch,) = _convert(data, "langfuse", "otlp_proto")
    (records,) = _convert(data, "noveum", "otlp_proto")

    events = langfuse.encode_spans([span for span in spans if isinstance(span, Span)])
    assert batch.output == langfuse.encode_batch([one.event for one in events])
    again = noveum.parse(records.output or b"")
    assert otlp.encode(Signal.TRACES, noveum.decode_records(again)) == otlp.encode(
        Signal.TRACES, spans
    )


def test_metrics_have_a_form_everywhere() -> None:
    """A metrics document becomes scores from its exemplars, or one record per data point."""
    data = (SEED / "metrics.json").read_bytes()
    points = otlp.check(Signal.METRICS, (SEED / "metrics.pb").read_bytes())

    (batch,) = _outputs(data, "langfuse")
    (records,) = _outputs(data, "noveum")
    (outcome,) = _convert(data, "langfuse")

    assert {event["type"] for event in batch["batch"]} == {"score-create"}
    assert len(records) == points
    assert outcome.losses
    assert all("Langfuse takes no metrics" in loss.why for loss in outcome.losses)


def test_logs_have_a_form_everywhere() -> None:
    """A log document becomes scores from evaluation results, or one record per log record."""
    evaluation = {
        "traceId": "a" * 32, "timeUnixNano": "1", "eventName": "gen_ai.evaluation.result",
        "attributes": [
            {"key": "gen_ai.evaluation.name", "value": {"stringValue": "taste"}},
            {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.5}},
        ],
    }  # fmt: skip
    other = {"body": {"stringValue": "hello"}}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [evaluation, other]}]}]}
    data = json.dumps(logs).encode()

    (batch,) = _outputs(data, "langfuse")
    (records,) = _outputs(data, "noveum")
    (outcome,) = _convert(data, "langfuse")

    assert [event["body"]["name"] for event in batch["batch"]] == ["taste"]
    assert len(records) == 2
    assert [loss.where for loss in outcome.losses] == ["log record 1"]


def test_losses_only_when_asked() -> None:
    """Looking for losses costs; without a report nobody does."""
    data = (SEED / "traces.json").read_bytes()

    (silent,) = convert(io.BytesIO(data), "otlp", "langfuse")
    (told,) = convert(io.BytesIO(data), "otlp", "langfuse", report=True)

    assert silent.losses == ()
    assert told.losses
    assert silent.output == told.output


def test_report_adds_up() -> None:
    """One line per field and reason, most frequent first, with the first place."""
    report = LossReport()

    assert report.lines() == ["everything has a home"]
    report.add(Outcome(3, b"", [], [Loss("span 1", "kind", "none"), Loss("span 1", "links", "no")]))
    report.add(Outcome(7, b"", [], [Loss("span 2", "links", "no")]))
    assert report.lines() == [
        "no home: links: no (2 times, first in line 3, span 1)",
        "no home: kind: none (once, in line 3, span 1)",
    ]


def test_report_is_bounded() -> None:
    """Fields invented by the million do not fill the memory."""
    report = LossReport()
    losses = [Loss("span", f"attributes.{n}", "no") for n in range(10_005)]

    report.add(Outcome(1, b"", [], losses))

    assert len(report.counts) == 10_000
    assert report.lines()[-1] == "no home: 5 more that are not listed"


def _poisoned(items: Items) -> bytes:
    if "poison" in {span.name for span in items if isinstance(span, Span)}:
        raise KeyError("poison")
    return b"ok"


def test_a_bug_costs_one_document() -> None:
    """An encoder that fails on one document does not stop the others."""
    broken = Target({Signal.TRACES: _poisoned}, {})
    data = b"\n".join([_line("one"), _line("poison"), _line("two")])

    outcomes = list(convert_with(SOURCES["otlp"], broken, io.BytesIO(data)))

    assert [(one.line, one.output) for one in outcomes] == [(1, b"ok"), (2, None), (3, b"ok")]
    assert outcomes[1].problems == ["cannot be converted (KeyError: 'poison')"]


def test_names_on_the_command_line() -> None:
    """The command line offers exactly the formats of the tables."""
    assert get_args(SourceName) == tuple(SOURCES)
    assert get_args(TargetName) == tuple(TARGETS)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(sorted(SOURCES)), st.sampled_from(sorted(TARGETS)))
def test_any_bytes(data: bytes, source: str, target: str) -> None:
    """Whatever the input, every document gives a line of JSON (or a request) or a reason."""
    for outcome in convert(io.BytesIO(data), source, target, report=True):
        if outcome.output is None:
            assert outcome.problems
            assert "cannot be converted" not in outcome.problems[0]
        elif target == "otlp_proto":
            assert decode_otlp_proto(outcome.output, None)
        else:
            json.loads(outcome.output)
