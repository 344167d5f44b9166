"""Every kind of fault, word for word. Inline sources; the places are those of the texts here."""

from __future__ import annotations

from pathlib import Path

import pytest

from genai_collector.component import ExporterFactory
from genai_collector.components import all_factories
from genai_collector.configfile import ComponentId, FactorySet, load
from genai_collector.errors import ConfigError
from tests.configfile.fakes import BASE, PrintConfig, faults_of, never_built, with_exporter
from tests.support.captures import FIXTURES

OPTIONS = {
    "{endpont: x}": [
        "3: exporters.otlp_http.endpoint: is required",
        "15: exporters.otlp_http.endpont: unknown field, did you mean 'endpoint'?",
    ],
    "{endpoint: x, tls: {key: 1}}": [
        "34: exporters.otlp_http.tls.key: unknown field, did you mean 'key_pem'?"
    ],
    "{endpoint: x, tls: {q: 1}}": [
        "34: exporters.otlp_http.tls.q: unknown field (there are: cert_file, key_pem)"
    ],
    "{endpoint: 5}": [("25: exporters.otlp_http.endpoint: expected a string, got 5; "
                      "put it in quotes")],
    "{endpoint: }": ["15: exporters.otlp_http.endpoint: expected a string, got nothing"],
    "{endpoint: [x]}": ["15: exporters.otlp_http.endpoint: expected a string"],
    "{endpoint: x, retries: -1}": [
        "37: exporters.otlp_http.retries: must be at least 0, got -1"
    ],
    "{endpoint: x, retries: 1.5}": [
        "37: exporters.otlp_http.retries: expected a whole number, got 1.5"
    ],
    "{endpoint: x, retries: many}": [
        "37: exporters.otlp_http.retries: expected a whole number, got 'many'"
    ],
    "{endpoint: x, verbose: yes}": [
        "37: exporters.otlp_http.verbose: expected true or false, got 'yes'"
    ],
    "{endpoint: x, compression: gzp}": [
        ("41: exporters.otlp_http.compression: expected 'none' or 'gzip', got 'gzp', "
        "did you mean 'gzip'?")
    ],
    "{endpoint: x, compression: 7}": [
        "41: exporters.otlp_http.compression: expected 'none' or 'gzip', got 7"
    ],
    "{endpoint: x, wait: 5}": [
        "34: exporters.otlp_http.wait: expected a duration such as 200ms, 5s or 1h30m, got 5"
    ],
    "{endpoint: x, wait: soon}": [
        "34: exporters.otlp_http.wait: expected a duration such as 200ms, 5s or 1h30m, got 'soon'"
    ],
    "{endpoint: x, labels: [a]}": ["28: exporters.otlp_http.labels: expected a mapping"],
    "{endpoint: x, labels: {a: 1}}": [
        "40: exporters.otlp_http.labels.a: expected a string, got 1; put it in quotes"
    ],
    "{endpoint: x, tls: 1}": ["33: exporters.otlp_http.tls: expected a mapping"],
    "{endpoint: x, sending_queue: {batch: {min_size: 2MiB, max_size: 1MiB}}}": [
        "44: exporters.otlp_http.sending_queue.batch: max_size must be at least min_size"
    ],
    "text": ["14: exporters.otlp_http: expected a mapping"],
    "": ["3: exporters.otlp_http.endpoint: is required"],
    "{endpoint: x, retries: -1, wait: 5, labels: 1}": [
        "37: exporters.otlp_http.retries: must be at least 0, got -1",
        "47: exporters.otlp_http.wait: expected a duration such as 200ms, 5s or 1h30m, got 5",
        "58: exporters.otlp_http.labels: expected a mapping, got 1",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("options", "messages"), OPTIONS.items(), ids=OPTIONS)
def test_options(options: str, messages: list[str]) -> None:
    """A wrong option is named with its place, what was expected, and what was given."""
    faults = faults_of(with_exporter(options))

    assert [f"{fault.column}: {fault.path}: {fault.message}" for fault in faults] == messages
    assert {fault.line for fault in faults} == {4}


STRUCTURE = {
    "a validator with a bug": (
        "{buggy: {size: 1}}",
        "4:14: processors.buggy: its configuration cannot be checked (RuntimeError: a bug in it)",
    ),
    "alternatives": (
        "{set: {value: {a: 1}}}",
        "4:20: processors.set.value: expected a string, a whole number, true or false or a list",
    ),
    "element": (
        "{redact: {attributes: [a, 1]}}",
        "4:39: processors.redact.attributes[1]: expected a string, got 1; put it in quotes",
    ),
    "empty list": (
        "{redact: {attributes: []}}",
        "4:23: processors.redact.attributes: must not be empty",
    ),
    "range": (
        "{redact: {attributes: [a], share: 1.5}}",
        "4:47: processors.redact.share: must be at most 1, got 1.5",
    ),
}


@pytest.mark.parametrize(("processors", "message"), STRUCTURE.values(), ids=STRUCTURE)
def test_values(processors: str, message: str) -> None:
    """What a field allows is said in the words of the file."""
    faults = faults_of(f"{BASE}processors: {processors}\n")

    assert [str(fault).removeprefix("inline yaml:") for fault in faults] == [message]


SIGNALS = """\
receivers: {calls: {}}
processors: {redact: {attributes: [a]}}
exporters: {calls_only: {}}
service: {pipelines: {logs: {receivers: [calls], processors: [redact], exporters: [calls_only]}}}
"""


def test_signals() -> None:
    """A component that does not take a pipeline's signal cannot be in it."""
    found = [str(fault).removeprefix("inline yaml:") for fault in faults_of(SIGNALS)]

    assert found == [
        f"4:{column}: service.pipelines.logs.{kind}s[0]: "
        f"{kind} '{name}' does not {verb} logs (only traces)"
        for column, kind, name, verb in (
            (42, "receiver", "calls", "give"),
            (63, "processor", "redact", "take"),
            (84, "exporter", "calls_only", "take"),
        )
    ]


BAD = sorted((FIXTURES / "config" / "bad").glob("*.yaml"))


@pytest.mark.parametrize("file", BAD, ids=[file.stem for file in BAD])
def test_bad_files(file: Path) -> None:
    """Each bad file gives exactly the messages beside it, all at once, in the file's order."""
    with pytest.raises(ConfigError) as caught:
        load([str(file)], [], all_factories(), {})

    messages = str(caught.value).replace(str(file), file.name)
    assert messages.splitlines() == file.with_suffix(".txt").read_text().splitlines()


GOOD = sorted((FIXTURES / "config" / "good").glob("*.yaml"))


@pytest.mark.parametrize("file", GOOD, ids=[file.stem for file in GOOD])
def test_good_files(file: Path) -> None:
    """Each good file loads with the built-in components, without a warning."""
    loaded = load([str(file)], [], all_factories(), {"KEY": "0815"})

    assert loaded.config.pipelines
    assert loaded.warnings == []


PORTS = {
    "grpc twice": (
        "otlp: {protocols: {grpc: }}\n  otlp/2: {protocols: {grpc: {endpoint: '[::1]:4317'}}}",
        (
            "receivers.otlp/2.protocols.grpc: "
            "port 4317 is opened by receivers.otlp.protocols.grpc (inline yaml:2) too"
        ),
    ),
    "grpc and http": (
        "otlp: {protocols: {grpc: {endpoint: localhost:1}, http: {endpoint: 0.0.0.0:1}}}",
        (
            "receivers.otlp.protocols.http: "
            "port 1 is opened by receivers.otlp.protocols.grpc (inline yaml:2) too"
        ),
    ),
    "http with other settings": (
        "otlp: {}\n  otlp/2: {protocols: {http: {cors: [x]}}}",
        (
            "receivers.otlp/2.protocols.http: "
            "port 4318 is opened by receivers.otlp.protocols.http (inline yaml:2) "
            "with other settings"
        ),
    ),
    "own metrics": (
        "otlp: {protocols: {http: {endpoint: localhost:8888}}}\n  otlp/2: {}",
        (
            "service.telemetry.metrics.address: "
            "port 8888 is opened by receivers.otlp.protocols.http (inline yaml:2) too"
        ),
    ),
}


def _with_receivers(receivers: str) -> str:
    return (
        f"receivers:\n  {receivers}\nexporters: {{print: {{}}}}\n"
        "service: {pipelines: {traces: {receivers: [otlp, otlp/2], exporters: [print]}}}\n"
    )


@pytest.mark.parametrize(("receivers", "message"), PORTS.values(), ids=PORTS)
def test_ports(receivers: str, message: str) -> None:
    """Two that would open the same port are found before any socket is opened."""
    if "otlp/2" not in receivers:
        receivers += "\n  otlp/2: {protocols: {grpc: {endpoint: localhost:0}}}"
    faults = faults_of(_with_receivers(receivers))

    assert [f"{fault.path}: {fault.message}" for fault in faults] == [message]


def test_http_receivers_that_agree_share_a_port() -> None:
    """Same address, same settings: one listener. Another address or port 0 is no conflict."""
    for receivers in (
        "otlp: {}\n  otlp/2: {}",
        (
            "otlp: {protocols: {grpc: {endpoint: 127.0.0.2:1}}}\n"
            "  otlp/2: {protocols: {grpc: {endpoint: 10.0.0.1:1}}}"
        ),
        (
            "otlp: {protocols: {grpc: {endpoint: localhost:0}}}\n"
            "  otlp/2: {protocols: {grpc: {endpoint: localhost:0}}}"
        ),
    ):
        with pytest.raises(AssertionError, match="this loads"):
            faults_of(_with_receivers(receivers))


IDS = {
    "otlp": ("otlp", ""),
    "otlp/2": ("otlp", "2"),
    " otlp / second one".replace(" one", ""): ("otlp", "second"),
    "a_B9/x-y.z/w": ("a_B9", "x-y.z/w"),
    "otlp/é": ("otlp", "é"),
}


@pytest.mark.parametrize(("text", "parts"), IDS.items(), ids=IDS)
def test_component_ids(text: str, parts: tuple[str, str]) -> None:
    """`type` or `type/name`, spaces around the slash do not count."""
    assert ComponentId.parse(text) == parts


@pytest.mark.parametrize(
    "text", ["", "/x", "otlp/", "1otlp", "ot lp", "otlp/a b", "otlp/a\tb", "x" * 64, "otlp/a+b"]
)
def test_bad_component_ids(text: str) -> None:
    """Anything else is none."""
    with pytest.raises(ValueError, match="expected type or type/name"):
        ComponentId.parse(text)


def test_two_factories_of_one_type() -> None:
    """A type, alias or not, belongs to one factory."""
    first = ExporterFactory("a", PrintConfig, never_built, aliases=("b",))
    second = ExporterFactory("b", PrintConfig, never_built)

    with pytest.raises(ConfigError, match="two exporters of type 'b'"):
        FactorySet.of([first, second])
