"""What a configuration is, once it is typed: the result of `load` and the argument of `build`.

The shape is otelcol's (`receivers processors exporters connectors extensions service`). What is
inside a component's section is the component's own `Config`; this file knows none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from pydantic import Field, SecretStr, field_validator, model_validator

from genai_collector.component import Config, Duration, Factory
from genai_collector.errors import ConfigError, Fault
from genai_collector.model import Signal

SECTIONS: Final = ("receivers", "processors", "exporters", "connectors", "extensions", "service")
_TYPE: Final = re.compile(r"[a-zA-Z][0-9a-zA-Z_]{0,62}")
_NAME: Final = re.compile(r"[^\s\x00-\x1f\x7f<>$+=^`|~]{1,1024}")


class ComponentId(NamedTuple):
    """`type` or `type/name`."""

    type: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.type}/{self.name}" if self.name else self.type

    @classmethod
    def parse(cls, text: str) -> ComponentId:
        """Raises ValueError with what is expected. Spaces around the `/` do not count."""
        type_, slash, name = (part.strip() for part in text.partition("/"))
        if not _TYPE.fullmatch(type_) or (slash and not _NAME.fullmatch(name)):
            raise ValueError("expected type or type/name, such as otlp or otlp/second")
        return cls(type_, name)


@dataclass(frozen=True, slots=True)
class Component:
    """One configured component."""

    id: str
    factory: Factory
    config: Config
    place: Fault | None = field(default=None, compare=False)
    """Where it is configured, as a fault without a message; None if not in a file."""

    def fault(self, error: ConfigError) -> ConfigError:
        """What it found wrong when it was made, with its place."""
        if self.place is None or error.faults:
            return error
        return ConfigError(faults=[self.place._replace(message=str(error))])


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """One pipeline: ids of its components, in order; connectors are among the receivers and the
    exporters."""

    id: str
    signal: Signal
    receivers: list[str]
    processors: list[str]
    exporters: list[str]


class LogsConfig(Config):
    """`service.telemetry.logs`: what the collector says on standard error."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    """The least severe level that is written."""
    encoding: Literal["console", "json"] = "console"
    """`console` for people, `json` for machines: one object per line."""


class OtlpPushConfig(Config):
    """`service.telemetry.metrics.otlp`: send the collector's own metrics over OTLP."""

    endpoint: str
    """Where to, such as `http://localhost:4318/v1/metrics` or `localhost:4317` for gRPC."""
    protocol: Literal["grpc", "http/protobuf"] = "http/protobuf"
    """How to send."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers sent with every export."""
    interval: Duration = 60.0
    """How often."""
    insecure: bool = False
    """gRPC without TLS."""


class MetricsConfig(Config):
    """`service.telemetry.metrics`: the collector's own metrics."""

    level: Literal["none", "basic", "normal", "detailed"] = "normal"
    """`none` switches the metrics and their endpoint off."""
    address: str | None = "localhost:8888"
    """Where Prometheus finds `/metrics`; null = nowhere."""
    otlp: OtlpPushConfig | None = None
    """Also send them over OTLP."""

    @field_validator("address")
    @classmethod
    def _host_and_port(cls, address: str | None) -> str | None:
        if address is not None:
            _, colon, port = address.rpartition(":")
            if not colon or not port.isdecimal() or int(port) > 0xFFFF:
                raise ValueError("expected host:port, such as localhost:8888")
        return address

    @model_validator(mode="before")
    @classmethod
    def _readers(cls, data: object) -> object:
        # otelcol >= 0.123 writes `readers`; the two kinds that people use are understood.
        if not isinstance(data, dict) or "readers" not in data:
            return data
        rest = {key: value for key, value in data.items() if key != "readers"}
        return {"address": None} | rest | _from_readers(data["readers"])


def _from_readers(readers: object) -> dict[str, object]:
    found: dict[str, object] = {}
    for reader in readers if isinstance(readers, list) else [readers]:
        match reader:
            case {"pull": {"exporter": {"prometheus": prometheus}}}:
                options = prometheus or {}
                found["address"] = f"{options.get('host', 'localhost')}:{options.get('port', 8888)}"
            case {"periodic": {"exporter": {"otlp": {"endpoint": endpoint, **other}}, **timing}}:
                milliseconds = timing.get("interval", 60_000)
                found["otlp"] = {
                    "endpoint": endpoint,
                    "protocol": other.get("protocol", "http/protobuf"),
                    "headers": _reader_headers(other.get("headers") or {}),
                    "interval": f"{milliseconds}ms",
                    "insecure": bool(other.get("insecure", False)),
                }
            case _:
                raise ValueError(
                    "readers: only pull/prometheus and periodic/otlp are understood here; "
                    "write `address: localhost:8888` and `otlp: {endpoint: ...}` instead"
                )
    return found


def _reader_headers(headers: Any) -> dict[str, object]:
    # The declarative configuration spells headers as a list of {name, value}.
    if isinstance(headers, list):
        return {str(pair.get("name")): pair.get("value") for pair in headers}
    return dict(headers)


class TelemetryConfig(Config):
    """`service.telemetry`: what the collector says about itself."""

    logs: LogsConfig = LogsConfig()
    """Its own log."""
    metrics: MetricsConfig = MetricsConfig()
    """Its own metrics."""
    resource: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    """Attributes of its own resource; null removes one that is set by default."""


class PipelineConfig(Config):
    """`service.pipelines.<signal>[/name]`."""

    receivers: list[str] = Field(default_factory=list)
    """Where data comes from; at least one."""
    processors: list[str] = Field(default_factory=list)
    """What is done with it, in this order."""
    exporters: list[str] = Field(default_factory=list)
    """Where it goes; at least one."""


class ServiceConfig(Config):
    """`service`: what is switched on."""

    extensions: list[str] = Field(default_factory=list)
    """Started in this order, before everything else."""
    pipelines: dict[str, PipelineConfig] = Field(default_factory=dict)
    """By `traces`, `metrics` or `logs`, with an optional `/name`."""
    telemetry: TelemetryConfig = TelemetryConfig()
    """What the collector says about itself."""
    shutdown_timeout: Duration = Field(default=25.0, ge=0)
    """How long shutting down may take before what is left is counted as dropped. Keep it below
    what the platform allows (Kubernetes: 30s)."""


@dataclass(frozen=True, slots=True)
class CollectorConfig:
    """A whole configuration, checked. Mappings are by id and keep the file's order."""

    receivers: dict[str, Component]
    processors: dict[str, Component]
    exporters: dict[str, Component]
    extensions: dict[str, Component]
    pipelines: dict[str, PipelineSpec]
    extension_order: list[str] = field(default_factory=list)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    shutdown_timeout_s: float = 25.0
    connectors: dict[str, Component] = field(default_factory=dict)

    def code(self) -> list[str]:
        """Files besides the configuration that its components are made of."""
        sections = (
            self.receivers, self.processors, self.exporters, self.connectors, self.extensions
        )  # fmt: skip
        return [
            path for section in sections for one in section.values() for path in one.config.code()
        ]


Factories: TypeAlias = Mapping[str, Factory]
"""By type, aliases included."""


@dataclass(frozen=True, slots=True)
class FactorySet:
    """Every component there is. Looking one up may raise ConfigError: a plugin that is broken."""

    receivers: Factories = field(default_factory=dict)
    processors: Factories = field(default_factory=dict)
    exporters: Factories = field(default_factory=dict)
    extensions: Factories = field(default_factory=dict)
    connectors: Factories = field(default_factory=dict)

    @classmethod
    def of(cls, factories: Iterable[Factory]) -> FactorySet:
        """Raises ConfigError when two claim the same type."""
        kinds: dict[str, dict[str, Factory]] = {
            "receiver": {}, "processor": {}, "exporter": {}, "extension": {}, "connector": {}
        }  # fmt: skip
        for factory in factories:
            known = kinds[factory.kind]
            for name in (factory.name, *factory.aliases):
                if name in known:
                    raise ConfigError(f"there are two {factory.kind}s of type {name!r}")
                known[name] = factory
        return cls(*kinds.values())

    def section(self, name: str) -> Factories:
        """The factories of a section of the file: `receivers`, `processors` ..."""
        by_section: dict[str, Factories] = {
            "receivers": self.receivers, "processors": self.processors,
            "exporters": self.exporters, "extensions": self.extensions,
            "connectors": self.connectors,
        }  # fmt: skip
        return by_section[name]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `load` gives: the configuration, and what is doubtful about it."""

    config: CollectorConfig
    warnings: list[Fault]
    document: dict[str, Any] = field(default_factory=dict)
    """Merged and expanded as it was written, secrets hidden; for `print-config`."""
    files: list[str] = field(default_factory=list)
    """Paths of everything that was read for it."""
