"""What a good configuration becomes, what is doubtful about it, and what is never shown."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.components import all_factories
from genai_collector.configfile import CollectorConfig, Loaded, load
from genai_collector.configfile.types import REDACTED
from genai_collector.errors import ConfigError
from genai_collector.model import Signal
from tests.configfile.fakes import (
    BASE,
    OtlpConfig,
    SendConfig,
    faults_of,
    load_text,
    with_exporter,
)

WHOLE = """\
receivers:
  otlp:
    protocols:
      grpc:
      http: {endpoint: localhost:14318}
processors:
  memory_limiter: {limit: 64MiB}
  set/a: {value: "${env:PLACE:-here}"}
exporters:
  otlphttp/far:
    endpoint: https://example.org
    api_key: ${env:KEY}
    headers: {authorization: Bearer abc}
    tls: {key_pem: hush}
    timeout: 10s
  print:
extensions:
  health: {endpoint: localhost:0}
connectors:
service:
  extensions: [health]
  telemetry:
    logs: {level: debug, encoding: json}
    metrics: {address: localhost:9999}
    resource: {service.name: edge, service.instance.id: }
  shutdown_timeout: 3s
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, set/a], exporters: [otlphttp/far]}
    logs/x: {receivers: [otlp], exporters: [otlphttp / far, print]}
"""


@pytest.fixture
def whole() -> Loaded:
    return load_text(WHOLE, environ={"KEY": "0815"})


def test_components(whole: Loaded) -> None:
    """Each component has its id, its factory and its own typed configuration."""
    config = whole.config

    assert list(config.receivers) == ["otlp"]
    assert list(config.processors) == ["memory_limiter", "set/a"]
    assert list(config.exporters) == ["otlphttp/far", "print"]
    assert config.exporters["otlphttp/far"].factory.name == "otlp_http"
    far = config.exporters["otlphttp/far"].config
    assert isinstance(far, SendConfig)
    assert far.timeout == 10.0
    assert far.api_key is not None
    assert far.api_key.get_secret_value() == "0815"
    otlp = config.receivers["otlp"].config
    assert isinstance(otlp, OtlpConfig)
    assert otlp.protocols.grpc is not None
    assert otlp.protocols.grpc.endpoint == "localhost:4317"


def test_pipelines_and_service(whole: Loaded) -> None:
    """Pipelines know their signal and name their components in order."""
    config = whole.config

    assert list(config.pipelines) == ["traces", "logs/x"]
    assert config.pipelines["traces"].signal is Signal.TRACES
    assert config.pipelines["traces"].processors == ["memory_limiter", "set/a"]
    assert config.pipelines["logs/x"].signal is Signal.LOGS
    assert config.pipelines["logs/x"].exporters == ["otlphttp/far", "print"]
    assert config.extension_order == ["health"]
    assert config.shutdown_timeout_s == 3.0
    assert config.telemetry.logs.level == "debug"
    assert config.telemetry.metrics.address == "localhost:9999"
    assert config.telemetry.resource == {"service.name": "edge", "service.instance.id": None}


def test_defaults() -> None:
    """What is not said has otelcol's defaults."""
    config = load_text(BASE).config

    assert config.shutdown_timeout_s == 25.0
    assert config.telemetry.metrics.address == "localhost:8888"
    assert (config.telemetry.logs.level, config.telemetry.logs.encoding) == ("info", "console")


def test_metrics_readers() -> None:
    """otelcol's `readers` mean the same as our `address` and `otlp`."""
    readers = (
        "[{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 9}}}}, "
        "{periodic: {interval: 5000, exporter: {otlp: {protocol: grpc, endpoint: 'h:1', "
        "headers: [{name: a, value: b}]}}}}]"
    )
    text = BASE.replace(
        "service: {", f"service: {{telemetry: {{metrics: {{readers: {readers}}}}}, "
    )

    metrics = load_text(text).config.telemetry.metrics

    assert metrics.address == "127.0.0.1:9"
    assert metrics.otlp is not None
    assert (metrics.otlp.protocol, metrics.otlp.endpoint) == ("grpc", "h:1")
    assert metrics.otlp.interval == 5.0
    assert metrics.otlp.headers["a"].get_secret_value() == "b"


def test_document_hides_secrets(whole: Loaded) -> None:
    """The merged and expanded document shows everything but secrets."""
    far = whole.document["exporters"]["otlphttp/far"]

    assert far == {
        "endpoint": "https://example.org",
        "api_key": REDACTED,
        "headers": {"authorization": REDACTED},
        "tls": {"key_pem": REDACTED},
        "timeout": "10s",
    }
    assert whole.document["processors"]["set/a"] == {"value": "here"}
    assert list(whole.document) == [
        "receivers", "processors", "exporters", "extensions", "connectors", "service"
    ]  # fmt: skip
    for secret in ("0815", "abc", "hush"):
        assert secret not in str(whole)


SECRETS: dict[str, str] = {
    "a number": "{endpoint: x, api_key: 98765}",
    "a list": "{endpoint: x, api_key: [98765]}",
    "a mapping": "{endpoint: x, api_key: {k: 98765}}",
    "a header": "{endpoint: x, headers: {a: 98765}}",
    "headers as text": "{endpoint: x, headers: a=98765}",
    "tls as text": "{endpoint: x, tls: '98765'}",
    "an unknown field": "{endpoint: x, apikey: 98765}",
    "an unknown nested field": "{endpoint: x, tls: {pem: 98765}}",
    "an expanded number": "{endpoint: x, retries: '${env:S}'}",
    "an expanded choice": "{endpoint: x, compression: '${env:S}'}",
    "a url": "{endpoint: x, compression: 'https://u:98765@h'}",
    "the whole component": "98765",
}


@pytest.mark.parametrize("options", SECRETS.values(), ids=SECRETS)
def test_secrets_are_never_in_a_message(options: str) -> None:
    """Whatever is wrong with it, a value that may be secret is not shown."""
    faults = faults_of(with_exporter(options), environ={"S": "x98765"})

    shown = [str(fault) for fault in faults if "_http: expected a mapping" not in str(fault)]
    assert faults
    assert "98765" not in "\n".join(shown)


WARNINGS = {
    "unused": (
        BASE + "processors: {set: {}}\nextensions: {health: {}}\n",
        [
            "4:14: processors.set: is not listed in any pipeline and will not be started",
            "5:14: extensions.health: is not listed in service.extensions and will not be started",
        ],
    ),
    "its own": (
        BASE.replace("exporters: [", "processors: [redact], exporters: [")
        + "processors:\n  redact: {attributes: [a], mode: delete}\n",
        ["5:3: processors.redact: deleting cannot be undone"],
    ),
    "order": (
        BASE.replace("exporters: [", "processors: [set, memory_limiter, batch], exporters: [")
        + "processors: {set: , memory_limiter: , batch: }\n",
        [
            ("3:69: service.pipelines.traces.processors[1]: "
            "'memory_limiter' should be first, to refuse before work is done"),
            ("3:85: service.pipelines.traces.processors[2]: 'batch' passes everything through; "
            "batching is done behind the queue of every exporter (sending_queue.batch)"),
        ],
    ),
    "delivery": (
        BASE.replace("print: {}", "print: {sending_queue: , retry_on_failure: {max_elapsed_time: "
                     "5m}}"),
        [
            ("2:21: exporters.print.sending_queue: without a queue, clients wait for this "
            "destination and get its errors; a slow one slows down all"),
            ("2:57: exporters.print.retry_on_failure.max_elapsed_time: data that could not be "
            "delivered for 300 s is dropped; 0s = never"),
        ],
    ),
    "no retry": (
        BASE.replace("print: {}", "print: {retry_on_failure: {enabled: false}}"),
        [("2:21: exporters.print.retry_on_failure: without retries, a batch that fails once is "
         "lost")],
    ),
    "open": (
        BASE.replace("otlp: {}", "otlp: {protocols: {http: {endpoint: '0.0.0.0:1'}, "
                     "grpc: {endpoint: ':2'}}}"),
        [
            ("1:39: receivers.otlp.protocols.http.endpoint: listens on 0.0.0.0 without "
            "authentication: everybody who can reach this port can send to it; set "
            "auth.authenticator or tls.client_ca_file"),
            ("1:70: receivers.otlp.protocols.grpc.endpoint: listens on every address without "
            "authentication: everybody who can reach this port can send to it; set "
            "auth.authenticator or tls.client_ca_file"),
        ],
    ),
    "guarded": (
        BASE.replace("otlp: {}", "otlp: {protocols: {http: {endpoint: '0.0.0.0:1', "
                     "tls: {client_ca_file: a}}, grpc: {endpoint: ':2', auth: {authenticator: "
                     "a}}}}"),
        [],
    ),
    "encrypted": (
        BASE.replace("otlp: {}", "otlp: {protocols: {http: {endpoint: '0.0.0.0:1', "
                     "tls: {cert_file: a}}}}"),
        [
            ("1:39: receivers.otlp.protocols.http.endpoint: listens on 0.0.0.0 without "
            "authentication: everybody who can reach this port can send to it; set "
            "auth.authenticator or tls.client_ca_file"),
        ],
    ),
    "loopback": (
        BASE.replace("otlp: {}", "otlp: {protocols: {http: {endpoint: '127.0.0.9:1'}, "
                     "grpc: {endpoint: '[::1]:1'}}}").replace("'[::1]:1'", "'[::1]:2'"),
        [],
    ),
    "nothing": (BASE, []),
}  # fmt: skip


@pytest.mark.parametrize(("text", "messages"), WARNINGS.values(), ids=WARNINGS)
def test_warnings(text: str, messages: list[str]) -> None:
    """What loses data, is open to the world or does nothing is a warning, with its place."""
    warnings = load_text(text).warnings

    assert [str(one).removeprefix("inline yaml:") for one in warnings] == messages


_KEYS = st.sampled_from(
    ["receivers", "exporters", "processors", "service", "pipelines", "traces", "otlp", "print",
     "otlp_http", "endpoint", "telemetry", "metrics", "readers", "extensions", "redact", "set",
     "attributes", "value", "tls", "sending_queue", "logs", "protocols", "grpc", "x/y", ""]
)  # fmt: skip
_SCALARS: Any = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_TREES = st.recursive(
    _SCALARS | st.sampled_from(["otlp", "print", "${X}", "${", "localhost:1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(_KEYS, _TREES, max_size=6))
def test_any_document_loads_or_is_refused(tree: dict[str, object]) -> None:
    """Whatever YAML holds, the answer is a configuration or faults, never another error."""
    text = json.dumps(tree).replace("NaN", ".nan").replace("Infinity", ".inf")
    with suppress(ConfigError):
        assert isinstance(load_text(text).config, CollectorConfig)


def test_a_filter_that_drops_spans() -> None:
    """Whoever drops spans is told about their children."""
    text = (
        "receivers: {otlp: }\nexporters: {debug: }\n"
        "processors:\n  filter:\n    traces:\n      span: ['name == \"x\"']\n"
        "service: {pipelines: {traces: "
        "{receivers: [otlp], processors: [filter], exporters: [debug]}}}\n"
    )

    warnings = load([f"yaml:{text}"], [], all_factories(), {}).warnings

    (warning,) = warnings
    assert warning.path == "processors.filter.traces.span"
    assert (warning.line, warning.message) == (6, "spans below a dropped one lose their parent")
