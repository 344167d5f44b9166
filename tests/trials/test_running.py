"""Trials: what holds, what does not, and what each processor did."""

from __future__ import annotations

from pathlib import Path

import pytest

from genai_collector.errors import ConfigError
from genai_collector.formats import otlp
from genai_collector.model import Signal
from tests.support.builders import span
from tests.trials.support import CONFIG, tried, write

HOLDS = {
    "a part of an item": "expect: [{name: chat}]",
    "nothing that is there": "expect: [{attributes: {team: payments}}]",
    "nothing that must not be there": "expect: [{attributes: {other: null}, parent_span_id: null}]",
    "everything": "expect: [{attributes: {team: payments, n: 1}}], exact: true",
    "an id of digits": "expect: [{trace_id: 12345678901234567890123456789012}]",
    "defaults": "expect: [{kind: internal, status: unset}]",
    "JSON in a text": "expect: [{attributes: {}}], count: 1",
    "dropped": "dropped: {filter: 1, attributes: 0}",
}
DOES_NOT = {
    "another value": ("expect: [{name: talk}]", ['[0].name: expected "talk", got "chat"']),
    "another type": (
        "expect: [{attributes: {n: 1.0}}]", ["[0].attributes.n: expected 1.0, got 1"]
    ),
    "absent": ("expect: [{attributes: {x: 1}}]", ["[0].attributes.x: expected 1, got nothing"]),
    "present": (
        "expect: [{attributes: {n: null}}]", ["[0].attributes.n: expected nothing, got 1"]
    ),
    "more than everything": (
        "expect: [{attributes: {n: 1}}], exact: true",
        ['[0].attributes.team: expected nothing, got "payments"'],
    ),
    "too few": (
        "expect: [{}, {name: more}]", ['[1]: expected {"name": "more"}, got nothing']
    ),
    "too many": ("expect: []", ['[0]: was not expected: "chat"']),
    "count": ("count: 2", ["count: expected 2, got 1"]),
    "dropped": ("dropped: {filter: 0}", ["dropped by filter: expected 0, got 1"]),
}  # fmt: skip
INPUT = (
    "{name: one, pipeline: traces, input: [{name: noise}, "
    "{name: chat, trace_id: 12345678901234567890123456789012, attributes: {n: 1}}], "
)


@pytest.mark.parametrize("expected", HOLDS.values(), ids=HOLDS)
def test_what_holds(tmp_path: Path, expected: str) -> None:
    """What is written is compared, and nothing else."""
    (result,) = tried(write(tmp_path, f"  - {INPUT}{expected}}}"))

    assert result.problems == []


@pytest.mark.parametrize(("expected", "problems"), DOES_NOT.values(), ids=DOES_NOT)
def test_what_does_not(tmp_path: Path, expected: str, problems: list[str]) -> None:
    """Each difference is one line with its place and both values."""
    (result,) = tried(write(tmp_path, f"  - {INPUT}{expected}}}"))

    assert result.problems == problems


def test_what_each_processor_did(tmp_path: Path) -> None:
    """Who dropped which item, and who changed which value, in order."""
    (result,) = tried(write(tmp_path, f"  - {INPUT}count: 1}}"))

    assert [(step.processor, step.incoming, step.outgoing) for step in result.steps] == [
        ("filter", 2, 1),
        ("attributes", 1, 1),
    ]
    assert [step.changes for step in result.steps] == [
        ['[0]: dropped: "noise"'],
        ['[0].attributes.team: nothing -> "payments"'],
    ]
    assert [step.said for step in result.steps] == [
        [f'Dropped by a condition condition=name == "noise" trace_id={1:032x} span_id={1:016x}'],
        [],
    ]
    assert result.output[0]["attributes"] == {"n": 1, "team": "payments"}


def test_everything_dropped(tmp_path: Path) -> None:
    """Later processors are not asked, as in a collector."""
    tests = "  - {name: a, pipeline: traces, input: [{name: noise}], expect: []}"

    (result,) = tried(write(tmp_path, tests))

    assert result.problems == []
    assert [step.processor for step in result.steps] == ["filter"]


def test_logs_and_metrics(tmp_path: Path) -> None:
    """The other signals have fields of their own."""
    tests = """
      - name: logs
        pipeline: logs
        input: [{body: {a: [1, x]}, event_name: e, severity_number: 9, resource: {r: 1}}]
        expect: [{body: {a: [1, x]}, event_name: e, resource: {r: 1}, attributes: {team: payments}}]
        exact: true
      - name: metrics
        pipeline: metrics
        input: [{name: m, unit: s, points: [{value: 2, attributes: {a: b}}, {value: 0.5}]}]
        expect:
          - {name: m, type: gauge, points: [{value: 2, attributes: {team: payments}}, {value: 0.5}]}
        count: 1
    """

    assert [result.problems for result in tried(write(tmp_path, tests))] == [[], []]


def test_input_out_of_a_file(tmp_path: Path) -> None:
    """All documents of a file are one batch, in whatever format; the path is from the trials."""
    for name, encode in (("a.jsonl", otlp.encode_json), ("a.bin", otlp.encode)):
        (tmp_path / name).write_bytes(encode(Signal.TRACES, [span(), span(number=1)]))
    tests = """
      - {name: a, pipeline: traces, input: {file: a.jsonl}, count: 2}
      - {name: b, pipeline: traces, input: {file: a.bin, format: otlp_proto}, count: 2}
    """

    results = tried(write(tmp_path, tests))

    assert [result.problems for result in results] == [[], []]
    assert results[0].output == results[1].output
    assert results[0].output[0]["resource"] == {"service.name": "test-app"}


def test_messages_are_compared_as_json(tmp_path: Path) -> None:
    """A text that holds JSON is compared with what is written as YAML, whatever its spaces."""
    tests = """
      - name: a
        pipeline: traces
        input: [{name: chat, attributes: {m: '[ {"role": "user", "n": 1} ]'}}]
        expect: [{attributes: {m: [{role: user}]}}]
      - name: b
        pipeline: traces
        input: [{name: chat, attributes: {m: '[{"role":"user"}]'}}]
        expect: [{attributes: {m: [{role: system}]}}]
    """

    good, bad = tried(write(tmp_path, tests))

    assert good.problems == []
    assert bad.problems == ['[0].attributes.m[0].role: expected "system", got "user"']


def test_a_processor_that_fails(tmp_path: Path) -> None:
    """A refusal is told with the place in the user's own code."""
    (tmp_path / "mine.py").write_text("def mine(batch):\n    raise KeyError('x')\n")
    config = CONFIG.replace(
        "  filter:", f"  python: {{path: {tmp_path}/mine.py, function: mine}}\n  filter:"
    )
    config = config.replace("[filter, attributes]", "[filter, python]")
    tests = "  - {name: a, pipeline: traces, input: [{name: chat}], count: 1}"

    (result,) = tried(write(tmp_path, tests, config))

    assert len(result.problems) == 1
    assert result.problems[0].startswith("python refuses the batch: ")
    assert "mine.py:2" in result.problems[0]
    assert [step.processor for step in result.steps] == ["filter", "python"]


def test_trials_do_not_see_each_other(tmp_path: Path) -> None:
    """Processors that remember are made anew for every trial."""
    config = CONFIG.replace("  filter:", "  stitch:\n  filter:").replace(
        "[filter,", "[stitch, filter,"
    )
    tests = """
      - {name: a, pipeline: traces, input: [{name: chat, attributes: {user.id: u1}}], count: 1}
      - {name: b, pipeline: traces, input: [{name: chat}], expect: [{attributes: {user.id: null}}]}
    """

    assert [result.problems for result in tried(write(tmp_path, tests, config))] == [[], []]


FAULTS = {
    "no such pipeline": (
        "{name: a, pipeline: trace, input: [], count: 0}",
        "tests[0].pipeline: the configuration has no pipeline 'trace', did you mean 'traces'?",
    ),
    "no such field": (
        "{name: a, pipeline: traces, input: [{nam: x}], count: 0}",
        "3:45: tests[0].input[0].nam: unknown field of traces, did you mean 'name'?",
    ),
    "a field of another signal": (
        "{name: a, pipeline: traces, input: [], expect: [{body: x}]}",
        "tests[0].expect[0].body: unknown field of traces",
    ),
    "no such processor": (
        "{name: a, pipeline: traces, input: [], dropped: {filtre: 1}}",
        "tests[0].dropped.filtre: the pipeline has no processor 'filtre', did you mean 'filter'?",
    ),
    "no such file": (
        "{name: a, pipeline: traces, input: {file: no.jsonl}, count: 0}",
        "tests[0].input.file: cannot be read: No such file or directory",
    ),
    "no id": (
        "{name: a, pipeline: traces, input: [{trace_id: xyz}], count: 0}",
        "tests[0].input[0]: cannot be read: ",
    ),
    "no kind": (
        "{name: a, pipeline: traces, input: [{kind: inside}], count: 0}",
        "tests[0].input[0]: cannot be read: kind: expected one of unspecified, internal, ",
    ),
    "says nothing": ("{name: a, pipeline: traces, input: []}", "write expect, count or dropped"),
    "unknown key": (
        "{name: a, pipeline: traces, input: [], expects: []}",
        "tests[0].expects: unknown field, did you mean 'expect'?",
    ),
    "no test": ("", "tests: "),
}


@pytest.mark.parametrize(("test", "message"), FAULTS.values(), ids=FAULTS)
def test_faults(tmp_path: Path, test: str, message: str) -> None:
    """What cannot be tried is a fault with its place, as in a configuration."""
    with pytest.raises(ConfigError) as refused:
        tried(write(tmp_path, f"  - {test}" if test else ""))

    assert message in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "tests.yaml"))
