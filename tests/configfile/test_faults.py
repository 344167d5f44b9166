"""Every kind of fault, word for word. Inline sources; the places are those of the texts here."""

from __future__ import annotations

import pytest

from genai_collector.component import ExporterFactory
from genai_collector.configfile import ComponentId, FactorySet
from genai_collector.errors import ConfigError
from tests.configfile.fakes import BASE, PrintConfig, faults_of, never_built, with_exporter

OPTIONS = {
    "{endpont: x}": [
        "3: exporters.otlp_http.endpoint: is required",
        "14: exporters.otlp_http.endpont: unknown field, did you mean 'endpoint'?",
    ],
    "{endpoint: x, tls: {key: 1}}": [
        "34: exporters.otlp_http.tls.key: unknown field, did you mean 'key_pem'?"
    ],
    "{endpoint: x, tls: {q: 1}}": [
        "34: exporters.otlp_http.tls.q: unknown field (there are: cert_file, key_pem)"
    ],
    "{endpoint: 5}": [("24: exporters.otlp_http.endpoint: expected a string, got 5; "
                      "put it in quotes")],
    "{endpoint: }": ["14: exporters.otlp_http.endpoint: expected a string, got nothing"],
    "{endpoint: [x]}": ["14: exporters.otlp_http.endpoint: expected a string"],
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
        "58: exporters.otlp_http.labels: expected a mapping",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("options", "messages"), OPTIONS.items(), ids=OPTIONS)
def test_options(options: str, messages: list[str]) -> None:
    """A wrong option is named with its place, what was expected, and what was given."""
    faults = faults_of(with_exporter(options))

    assert [f"{fault.column}: {fault.path}: {fault.message}" for fault in faults] == messages
    assert {fault.line for fault in faults} == {4}


RECEIVERS = "receivers: {otlp: {}}\n"
EXPORTERS = "exporters: {print: {}}\n"
SERVICE = "service: {pipelines: {traces: {receivers: [otlp], exporters: [print]}}}\n"

STRUCTURE = {
    "section": (
        BASE + "exporter: {}\n",
        ["4:1: exporter: unknown section, did you mean 'exporters'?"],
    ),
    "nothing": (
        "receivers:\n",
        [
            "1:1: receivers: at least one is needed, and none is configured",
            "1:1: exporters: at least one is needed, and none is configured",
            ("1:1: service.pipelines: at least one is needed, "
            "such as traces: {receivers: [...], exporters: [...]}"),
        ],
    ),
    "section is no mapping": (
        BASE + "processors: [set]\n",
        ["4:1: processors: expected a mapping"],
    ),
    "component id": (
        BASE + "processors: {set!: {}}\n",
        [
            ("4:14: processors.set!: not a component's id: "
            "expected type or type/name, such as otlp or otlp/second")
        ],
    ),
    "same id": (
        BASE + "processors: {set/a: {}, set / a: {}}\n",
        ["4:25: processors.set / a: there are two with the id set/a"],
    ),
    "type": (
        BASE + "processors: {redakt: {}}\n",
        ["4:14: processors.redakt: unknown processor type 'redakt', did you mean 'redact'?"],
    ),
    "type of another section": (
        BASE + "extensions: {redact: {}}\n",
        [("4:14: extensions.redact: unknown extension type 'redact'; "
         "'redact' belongs under processors")],
    ),
    "type like no other": (
        BASE + "extensions: {zpages: {}}\n",
        ["4:14: extensions.zpages: unknown extension type 'zpages' (there are: health)"],
    ),
    "connector": (
        BASE + "connectors: {forward: {}}\n",
        [("4:14: connectors.forward: there are no connectors in this version; "
         "one pipeline cannot feed another yet")],
    ),
    "a validator with a bug": (
        BASE + "processors: {buggy: {size: 1}}\n",
        ["4:14: processors.buggy: its configuration cannot be checked (RuntimeError: a bug in it)"],
    ),
    "alternatives": (
        BASE + "processors: {set: {value: {a: 1}}}\n",
        ["4:20: processors.set.value: expected a string, a whole number, true or false or a list"],
    ),
    "element": (
        BASE + "processors: {redact: {attributes: [a, 1]}}\n",
        ["4:39: processors.redact.attributes[1]: expected a string, got 1; put it in quotes"],
    ),
    "empty list": (
        BASE + "processors: {redact: {attributes: []}}\n",
        ["4:23: processors.redact.attributes: must not be empty"],
    ),
    "range": (
        BASE + "processors: {redact: {attributes: [a], share: 1.5}}\n",
        ["4:47: processors.redact.share: must be at most 1, got 1.5"],
    ),
    "size": (
        BASE + "processors: {memory_limiter: {limit: 5 fish}}\n",
        [("4:38: processors.memory_limiter.limit: "
         "expected a size such as 64MiB, 512KiB or a number of bytes, got '5 fish'")],
    ),
    "signal": (
        RECEIVERS + EXPORTERS + "service: {pipelines: {trace: {}, profiles: {}, a b: {}}}\n",
        [
            "3:23: service.pipelines.trace: unknown signal 'trace', did you mean 'traces'?",
            ("3:34: service.pipelines.profiles: "
            "profiles are not supported (there are: logs, metrics, traces)"),
            "3:48: service.pipelines.a b: expected a signal or signal/name",
        ],
    ),
    "same pipeline": (
        RECEIVERS + EXPORTERS + "service:\n  pipelines:\n"
        "    logs/a: &p {receivers: [otlp], exporters: [print]}\n    logs / a: *p\n",
        ["6:5: service.pipelines.logs / a: there are two with the id logs/a"],
    ),
    "empty pipeline": (
        RECEIVERS + EXPORTERS + "service: {pipelines: {traces: {}}}\n",
        [
            "3:23: service.pipelines.traces: needs at least one receiver",
            "3:23: service.pipelines.traces: needs at least one exporter",
        ],
    ),
    "references": (
        RECEIVERS + EXPORTERS + "service: {pipelines: {traces: {receivers: [otpl], "
        "processors: [print, set], exporters: [print, print/2]}}}\n",
        [
            ("3:44: service.pipelines.traces.receivers[0]: receiver 'otpl' is not configured, "
            "did you mean 'otlp'?"),
            ("3:63: service.pipelines.traces.processors[0]: processor 'print' is not configured; "
            "'print' is an exporter"),
            "3:70: service.pipelines.traces.processors[1]: processor 'set' is not configured",
            ("3:95: service.pipelines.traces.exporters[1]: exporter 'print/2' is not configured, "
            "did you mean 'print'?"),
        ],
    ),
    "listed twice": (
        RECEIVERS + EXPORTERS
        + "service: {pipelines: {traces: {receivers: [otlp], exporters: [print, print]}}}\n",
        ["3:70: service.pipelines.traces.exporters[1]: 'print' is listed twice"],
    ),
    "signals": (
        ("receivers: {calls: {}}\nprocessors: {redact: {attributes: [a]}}\n"
        "exporters: {calls_only: {}}\nservice: {pipelines: {logs: {receivers: [calls], "
        "processors: [redact], exporters: [calls_only]}}}\n"),
        [
            ("4:42: service.pipelines.logs.receivers[0]: "
            "receiver 'calls' does not give logs (only traces)"),
            ("4:63: service.pipelines.logs.processors[0]: "
            "processor 'redact' does not take logs (only traces)"),
            ("4:84: service.pipelines.logs.exporters[0]: "
            "exporter 'calls_only' does not take logs (only traces)"),
        ],
    ),
    "extensions": (
        BASE + "extensions: {health: {}}\n",
        [],
    ),
    "service": (
        RECEIVERS + EXPORTERS + "service:\n  pipeline: {}\n  shutdown_timeout: -1s\n"
        "  extensions: [healt]\n  telemetry: {logs: {level: loud}, metrics: {address: 8888}}\n"
        "  pipelines: {traces: {receivers: [otlq], exporters: [print], order: 1}, logs: 5}\n",
        [
            "4:3: service.pipeline: unknown field, did you mean 'pipelines'?",
            ("5:21: service.shutdown_timeout: expected a duration such as 200ms, 5s or 1h30m, "
            "got '-1s'"),
            "6:16: service.extensions[0]: extension 'healt' is not configured",
            ("7:29: service.telemetry.logs.level: expected 'debug', 'info', 'warn' or 'error', "
            "got 'loud'"),
            ("7:55: service.telemetry.metrics.address: expected a string, got 8888; "
            "put it in quotes"),
            ("8:63: service.pipelines.traces.order: unknown field "
            "(there are: exporters, processors, receivers)"),
            "8:80: service.pipelines.logs: expected a mapping, got 5",
        ],
    ),
    "references of a faulty service": (
        RECEIVERS + EXPORTERS + "service:\n  telemetry: {logs: {level: loud}}\n"
        "  pipelines: {traces: {receivers: [otlq], exporters: [print]}}\n",
        [
            ("4:29: service.telemetry.logs.level: expected 'debug', 'info', 'warn' or 'error', "
            "got 'loud'"),
            ("5:36: service.pipelines.traces.receivers[0]: receiver 'otlq' is not configured, "
            "did you mean 'otlp'?"),
        ],
    ),
    "metrics readers": (
        BASE.replace("service: {", "service: {telemetry: {metrics: {readers: [{pull: 5}]}}, "),
        [("3:23: service.telemetry.metrics: readers: only pull/prometheus and periodic/otlp are "
         "understood here; write `address: localhost:8888` and `otlp: {endpoint: ...}` instead")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "messages"),
    [row for row in STRUCTURE.values() if row[1]],
    ids=[name for name, row in STRUCTURE.items() if row[1]],
)
def test_structure(text: str, messages: list[str]) -> None:
    """Sections, ids, references and signals: all faults at once, in the order of the file."""
    faults = faults_of(text)

    assert [str(fault).removeprefix("inline yaml:") for fault in faults] == messages


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
            "port 4318 is opened by receivers.otlp (inline yaml:2) with other settings"
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

    assert [f"{fault.path}: {fault.message}" for fault in faults] == [message.replace(
        "receivers.otlp (inline", "receivers.otlp.protocols.http (inline")]  # fmt: skip


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
