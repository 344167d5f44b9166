"""Connectors in a configuration: where they may stand, and every fault, word for word."""

from __future__ import annotations

import pytest

from genai_collector.model import Signal
from tests.configfile.fakes import faults_of, load_text

HEAD = "receivers: {otlp: }\nexporters: {print: }\n"


def _config(connectors: str, *pipelines: str) -> str:
    """Pipelines are written `id: receivers > exporters`, one per line from line 6 on."""
    lines = []
    for one in pipelines:
        id_, _, ways = one.partition(": ")
        receivers, _, exporters = ways.partition(" > ")
        lines.append(f"    {id_}: {{receivers: [{receivers}], exporters: [{exporters}]}}\n")
    return f"{HEAD}connectors: {{{connectors}}}\nservice:\n  pipelines:\n{''.join(lines)}"


FAULTS = {
    "not used": (
        _config("join: ", "traces: otlp > print"),
        [
            (
                "3:14: connectors.join: is not used: name it under exporters of the pipeline "
                "that feeds it and under receivers of one that it feeds, or remove it"
            )
        ],
    ),
    "only as exporter": (
        _config("join: ", "traces/in: otlp > print, join"),
        [
            (
                "6:55: service.pipelines.traces/in.exporters[1]: connector 'join' is used as "
                "exporter in traces/in but not as receiver in any pipeline that it can join to "
                "it; add 'join' to the receivers of a traces pipeline"
            )
        ],
    ),
    "only as receiver": (
        _config("measure: ", "metrics: measure > print"),
        [
            (
                "6:27: service.pipelines.metrics.receivers[0]: connector 'measure' is used as "
                "receiver in metrics but not as exporter in any pipeline that it can join to it; "
                "add 'measure' to the exporters of a traces pipeline"
            )
        ],
    ),
    "both sides, other signals": (
        _config("join: ", "traces: otlp > join", "logs: join > print"),
        [
            (
                "6:45: service.pipelines.traces.exporters[0]: connector 'join' is used as "
                "exporter in traces but not as receiver in any pipeline that it can join to it; "
                "add 'join' to the receivers of a traces pipeline"
            ),
            (
                "7:24: service.pipelines.logs.receivers[0]: connector 'join' is used as receiver "
                "in logs but not as exporter in any pipeline that it can join to it; add 'join' "
                "to the exporters of a logs pipeline"
            ),
        ],
    ),
    "a signal that it does not take": (
        _config("measure: ", "traces: otlp > measure", "metrics: measure > measure, print"),
        [
            (
                "7:49: service.pipelines.metrics.exporters[0]: connector 'measure' does not take "
                "metrics (only traces)"
            )
        ],
    ),
    "a signal that it does not give": (
        _config("measure: ", "traces: otlp, measure > measure", "metrics: measure > print"),
        [
            (
                "6:32: service.pipelines.traces.receivers[1]: connector 'measure' does not give "
                "traces (only metrics)"
            )
        ],
    ),
    "to itself": (
        _config("join: ", "traces: otlp, join > join, print"),
        [
            (
                "6:51: service.pipelines.traces.exporters[0]: cycle detected: connector 'join' "
                "(traces to traces) -> connector 'join' (traces to traces); data would go round "
                "for ever: take one of them out"
            )
        ],
    ),
    "a circle of three": (
        _config(
            "join/a: , join/b: , join/c: ",
            "logs/1: otlp, join/c > join/a",
            "logs/2: join/a > join/b, print",
            "logs/3: join/b > join/c",
        ),
        [
            (
                "8:47: service.pipelines.logs/3.exporters[0]: cycle detected: connector 'join/a' "
                "(logs to logs) -> connector 'join/b' (logs to logs) -> connector 'join/c' (logs "
                "to logs) -> connector 'join/a' (logs to logs); data would go round for ever: "
                "take one of them out"
            )
        ],
    ),
    "a circle through a connector that holds": (
        # No route leads from traces to logs, but what is one component cannot feed itself.
        _config(
            "hold/a: , hold/b: ",
            "traces/1: otlp, hold/b > hold/a",
            "logs/1: otlp > hold/a",
            "traces/2: hold/a > print",
            "logs/2: hold/a > hold/b",
        ),
        [
            (
                "9:47: service.pipelines.logs/2.exporters[0]: cycle detected: connector 'hold/a' "
                "(traces to logs) -> connector 'hold/b' (logs to traces) -> connector 'hold/a' "
                "(traces to logs); data would go round for ever: take one of them out"
            )
        ],
    ),
    "an exporter of the same id": (
        _config("print: ", "traces: otlp > print"),
        [
            (
                "3:14: connectors.print: unknown connector type 'print'; 'print' belongs under "
                "exporters"
            ),
            (
                "3:14: connectors.print: ambiguous id: there is both an exporter 'print' and a "
                "connector 'print'; rename one of them, such as print/connector"
            ),
        ],
    ),
    "unknown type": (
        _config("jion: ", "traces: otlp, jion > jion, print"),
        ["3:14: connectors.jion: unknown connector type 'jion', did you mean 'join'?"],
    ),
    "under the wrong section": (
        _config("otlp: {}, print/x: {}", "traces: otlp > print"),
        [
            "3:14: connectors.otlp: unknown connector type 'otlp'; 'otlp' belongs under receivers",
            (
                "3:14: connectors.otlp: ambiguous id: there is both a receiver 'otlp' and a "
                "connector 'otlp'; rename one of them, such as otlp/connector"
            ),
            (
                "3:24: connectors.print/x: unknown connector type 'print'; 'print' belongs under "
                "exporters"
            ),
        ],
    ),
    "an option": (
        _config("join: {valu: 1}", "traces: otlp, join > print", "traces/0: otlp > join"),
        ["3:21: connectors.join.valu: unknown field, did you mean 'value'?"],
    ),
    "misspelt in a pipeline": (
        _config("join: ", "traces/in: otlp > join, jion", "traces: join > print"),
        [
            (
                "6:54: service.pipelines.traces/in.exporters[1]: exporter 'jion' is not "
                "configured, did you mean 'join'?"
            )
        ],
    ),
    "as a processor": (
        _config("join: ", "traces/in: otlp > join", "traces: join > print").replace(
            "receivers: [otlp]", "receivers: [otlp], processors: [join]"
        ),
        [
            (
                "6:49: service.pipelines.traces/in.processors[0]: processor 'join' is not "
                "configured; 'join' is a connector"
            )
        ],
    ),
}


@pytest.mark.parametrize(("text", "messages"), FAULTS.values(), ids=FAULTS)
def test_faults(text: str, messages: list[str]) -> None:
    """A connector that leads nowhere or in a circle is named where it stands, with what to do."""
    found = [str(fault).removeprefix("inline yaml:") for fault in faults_of(text)]

    assert found == messages
    for fault in faults_of(text):
        line = text.splitlines()[fault.line - 1]
        assert line[fault.column - 1 :].startswith(
            ("join", "jion", "measure", "print", "otlp", "valu", "hold")
        )


def test_what_is_right() -> None:
    """A connector stands among the exporters and receivers of pipelines, and is used: no warning.
    Several pipelines may feed it, and it several."""
    loaded = load_text(
        _config(
            "join: , measure: {value: x}",
            "traces/in: otlp > join, measure",
            "traces/2 : otlp > join",
            "traces/a: join > print",
            "traces / b: join > print",
            "metrics: otlp, measure > print",
        )
    )
    config = loaded.config

    assert loaded.warnings == []
    assert {id_: one.factory.kind for id_, one in config.connectors.items()} == {
        "join": "connector", "measure": "connector"
    }  # fmt: skip
    assert config.pipelines["traces/in"].exporters == ["join", "measure"]
    assert config.pipelines["traces/b"].receivers == ["join"]
    assert config.pipelines["metrics"].signal is Signal.METRICS
    assert loaded.document["connectors"] == {"join": None, "measure": {"value": "x"}}


def test_a_diamond_is_no_circle() -> None:
    """Two ways to one pipeline are allowed: it gets the data twice, and nothing goes round."""
    config = load_text(
        _config(
            "join/a: , join/b: , join/c: , join/d: ",
            "traces: otlp > join/a, join/b",
            "traces/1: join/a > join/c",
            "traces/2: join/b > join/d",
            "traces/3: join/c, join/d > print",
        )
    ).config

    assert len(config.pipelines) == 4
