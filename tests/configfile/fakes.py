"""A small set of components, so that these tests do not change when a real one does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NoReturn

from pydantic import Field, SecretStr, field_validator, model_validator

from genai_collector.component import (
    SAME_SIGNAL,
    TRACES,
    ByteSize,
    Config,
    ConnectorFactory,
    Duration,
    ExporterFactory,
    ExtensionFactory,
    ProcessorFactory,
    ReceiverFactory,
    Route,
)
from genai_collector.configfile import FactorySet, Fault, Loaded, load
from genai_collector.delivery import DeliveryConfig
from genai_collector.errors import ConfigError
from genai_collector.model import Signal


def never_built(*_args: object) -> NoReturn:
    """Loading a configuration creates no component."""
    raise AssertionError


class TlsConfig(Config):
    cert_file: str = ""
    key_pem: SecretStr = SecretStr("")


class ServerTlsConfig(TlsConfig):
    client_ca_file: str = ""


class AuthConfig(Config):
    authenticator: str


class GrpcConfig(Config):
    endpoint: str = "localhost:4317"
    tls: TlsConfig | None = None
    auth: AuthConfig | None = None


class HttpConfig(Config):
    endpoint: str = "localhost:4318"
    tls: ServerTlsConfig | None = None
    cors: list[str] | None = None

    def shared(self) -> object:
        return (self.tls, self.cors)


class ProtocolsConfig(Config):
    grpc: GrpcConfig | None = None
    http: HttpConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _key_enables(cls, value: object) -> object:
        if isinstance(value, dict):
            return {key: {} if given is None else given for key, given in value.items()}
        return value


class OtlpConfig(Config):
    protocols: ProtocolsConfig = ProtocolsConfig(http=HttpConfig())


class RedactConfig(Config):
    attributes: list[str] = Field(min_length=1)
    mode: Literal["mask", "hash", "delete"] = "mask"
    share: float = Field(default=1.0, ge=0, le=1)

    def warnings(self) -> list[str]:
        return ["deleting cannot be undone"] if self.mode == "delete" else []


class LimiterConfig(Config):
    limit: ByteSize = 1024


class AnyConfig(Config):
    value: str | int | bool | list[str] | None = None


class SendConfig(DeliveryConfig):
    endpoint: str
    compression: Literal["none", "gzip"] = "gzip"
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    api_key: SecretStr | None = None
    tls: TlsConfig | None = None
    retries: int = Field(default=3, ge=0)
    verbose: bool = False
    wait: Duration = 1.0
    labels: dict[str, str] = Field(default_factory=dict)


class PrintConfig(DeliveryConfig):
    verbosity: Literal["basic", "detailed"] = "basic"


class HealthConfig(Config):
    endpoint: str = "localhost:13133"


class BuggyConfig(Config):
    size: int = 1

    @field_validator("size")
    @classmethod
    def _check(cls, value: int) -> int:
        raise RuntimeError


FACTORIES = FactorySet.of(
    [
        ReceiverFactory("otlp", OtlpConfig, never_built),
        ReceiverFactory("calls", AnyConfig, never_built, signals=TRACES),
        ProcessorFactory("redact", RedactConfig, never_built, signals=TRACES),
        ProcessorFactory("memory_limiter", LimiterConfig, never_built),
        ProcessorFactory("batch", AnyConfig, never_built),
        ProcessorFactory("set", AnyConfig, never_built),
        ProcessorFactory("buggy", BuggyConfig, never_built),
        ExporterFactory("otlp_http", SendConfig, never_built, aliases=("otlphttp",)),
        ExporterFactory("print", PrintConfig, never_built),
        ExporterFactory("calls_only", PrintConfig, never_built, signals=TRACES),
        ExtensionFactory("health", HealthConfig, never_built),
        ConnectorFactory("join", AnyConfig, never_built, SAME_SIGNAL),
        ConnectorFactory(
            "hold",
            AnyConfig,
            never_built,
            SAME_SIGNAL | {Route(Signal.LOGS, Signal.TRACES)},
            shared=True,
        ),
        ConnectorFactory(
            "measure", AnyConfig, never_built, frozenset({Route(Signal.TRACES, Signal.METRICS)})
        ),
    ]
)

BASE = """\
receivers: {otlp: {}}
exporters: {print: {}}
service: {pipelines: {traces: {receivers: [otlp], exporters: [print]}}}
"""
"""The smallest configuration that is right."""


def load_text(
    *texts: str, sets: list[str] | None = None, environ: Mapping[str, str] | None = None
) -> Loaded:
    """Load texts as inline sources, later ones winning."""
    return load([f"yaml:{text}" for text in texts], sets or [], FACTORIES, environ or {})


def load_files(*paths: Path, sets: list[str] | None = None) -> Loaded:
    return load([str(path) for path in paths], sets or [], FACTORIES, {})


def faults_of(*texts: str, environ: Mapping[str, str] | None = None) -> list[Fault]:
    """The faults of a configuration that must not load."""
    try:
        load_text(*texts, environ=environ)
    except ConfigError as error:
        return error.faults
    raise AssertionError("this loads")


def with_exporter(options: str) -> str:
    """The smallest configuration that sends, with these options (a YAML flow mapping)."""
    return (
        "receivers: {otlp: {}}\n"
        "service: {pipelines: {traces: {receivers: [otlp], exporters: [otlp_http]}}}\n"
        f"exporters:\n  otlp_http: {options}\n"
    )
