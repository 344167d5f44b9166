"""Which configuration opens what."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from genai_collector.component import ALL_SIGNALS
from genai_collector.receivers.otlp import FACTORY, OtlpConfig


@pytest.mark.parametrize(
    ("config", "opened"),
    [
        ({}, {"grpc", "http"}),
        ({"protocols": None}, {"grpc", "http"}),
        ({"protocols": {}}, {"grpc", "http"}),
        ({"protocols": {"http": None}}, {"http"}),
        ({"protocols": {"grpc": None}}, {"grpc"}),
        ({"protocols": {"grpc": {}, "http": None}}, {"grpc", "http"}),
    ],
)
def test_a_key_enables_a_protocol(config: dict[str, Any], opened: set[str]) -> None:
    """The key alone enables; without any key both are open."""
    protocols = OtlpConfig.model_validate(config).protocols
    found = {name for name in ("grpc", "http") if getattr(protocols, name) is not None}
    assert found == opened


def test_defaults() -> None:
    """What a user of the OpenTelemetry Collector expects, with OTLP's recommended 64 MiB."""
    protocols = OtlpConfig().protocols
    assert protocols.grpc is not None
    assert protocols.http is not None
    assert protocols.grpc.endpoint == "localhost:4317"
    assert protocols.http.endpoint == "localhost:4318"
    assert protocols.http.max_request_body_size == 64 * 1024 * 1024
    assert protocols.grpc.max_message_bytes == 64 * 1024 * 1024
    assert protocols.http.tls is None


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"protocols": {"htpp": None}}, "htpp"),
        ({"protocols": {"http": {"endpoint": "localhost"}}}, "expected host:port"),
        ({"protocols": {"http": {"endpoint": "http://localhost:1"}}}, "without a scheme"),
        ({"protocols": {"http": {"endpoint": "::1:4318"}}}, "brackets"),
        ({"protocols": {"http": {"endpoint": "localhost:70000"}}}, "expected host:port"),
        ({"protocols": {"http": {"endpoint": "localhost:²"}}}, "expected host:port"),
        ({"protocols": {"grpc": {"endpoint": "4317"}}}, "expected host:port"),
        ({"protocols": {"grpc": {"transport": "unix"}}}, "tcp"),
        ({"protocols": {"grpc": {"tls": {}}}}, "needs cert_file"),
        ({"protocols": {"http": {"max_request_body_size": 0}}}, "greater than 0"),
        ({"protocols": {"http": {"compression_algorithms": ["br"]}}}, "gzip"),
        ({"protocols": {"http": {"cors": {"allowed_origins": ["http://*.*"]}}}}, "one \\*"),
        ({"protocols": [1]}, "dictionary"),
    ],
)
def test_faults(config: dict[str, Any], said: str) -> None:
    """What cannot work is refused with a hint."""
    with pytest.raises(ValidationError, match=said):
        OtlpConfig.model_validate(config)


def test_factory() -> None:
    """The receiver is declared for all signals."""
    assert (FACTORY.name, FACTORY.signals, FACTORY.config) == ("otlp", ALL_SIGNALS, OtlpConfig)
