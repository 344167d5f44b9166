"""Options of the `otlp` receiver, named as otelcol names them.

A protocol is enabled by its key: `protocols: {http: }` opens only HTTP, with its defaults. With
neither key both are opened, so that `otlp:` alone is a complete receiver.
"""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field, field_validator, model_validator

from genai_collector.component import ByteSize, Config, Duration
from genai_collector.model import Signal
from genai_collector.receivers._http import ENCODINGS, Encoding
from genai_collector.transport.authentication import AuthConfig
from genai_collector.transport.http_server import HttpServerConfig
from genai_collector.transport.sockets import parse_endpoint
from genai_collector.transport.tls import ServerTLS


class OtlpHttpConfig(HttpServerConfig):
    """OTLP over HTTP: protobuf and JSON on the same paths."""

    traces_url_path: str = "/v1/traces"
    """Path that takes traces."""
    metrics_url_path: str = "/v1/metrics"
    """Path that takes metrics."""
    logs_url_path: str = "/v1/logs"
    """Path that takes logs."""
    compression_algorithms: list[Encoding] = Field(default_factory=lambda: list(ENCODINGS))
    """Content codings to accept; the empty one is no compression."""

    @field_validator("traces_url_path", "metrics_url_path", "logs_url_path")
    @classmethod
    def _starts_with_slash(cls, path: str) -> str:
        return path if path.startswith("/") else "/" + path

    def path(self, signal: Signal) -> str:
        """Where this signal is taken."""
        return {
            Signal.TRACES: self.traces_url_path,
            Signal.METRICS: self.metrics_url_path,
            Signal.LOGS: self.logs_url_path,
        }[signal]


class KeepaliveServerParameters(Config):
    """How the server keeps its connections alive; the library's choice where absent."""

    max_connection_idle: Duration | None = Field(default=600.0, gt=0)
    """Close a connection that carried no call for this long."""
    max_connection_age: Duration | None = Field(default=None, gt=0)
    """Close a connection of this age, so that clients spread over new replicas."""
    max_connection_age_grace: Duration | None = Field(default=None, gt=0)
    """Time that calls get to finish on a connection that is closed for its age."""
    time: Duration | None = Field(default=None, gt=0)
    """Ping a silent client after this long."""
    timeout: Duration | None = Field(default=None, gt=0)
    """Time that a client gets to answer a ping."""


class KeepaliveEnforcementPolicy(Config):
    """Which pings of clients are too many; the library's choice where absent."""

    min_time: Duration | None = Field(default=None, gt=0)
    """Shortest time between a client's pings."""
    permit_without_stream: bool | None = None
    """Whether a client may ping while no call is running."""


class KeepaliveConfig(Config):
    """gRPC keepalive, both directions."""

    server_parameters: KeepaliveServerParameters = KeepaliveServerParameters()
    """What the server does."""
    enforcement_policy: KeepaliveEnforcementPolicy = KeepaliveEnforcementPolicy()
    """What clients may do."""


class OtlpGrpcConfig(Config):
    """OTLP over gRPC."""

    endpoint: str = "localhost:4317"
    """Where to listen, as host:port. Anything but loopback is reachable by others."""
    transport: Literal["tcp"] = "tcp"
    """Kind of socket."""
    tls: ServerTLS | None = None
    """TLS; plaintext if absent."""
    auth: AuthConfig | None = None
    """Who may send; everybody if absent."""
    max_recv_msg_size_mib: int = Field(default=64, ge=0, le=2047)
    """Largest message in MiB, before and after decompression; 0 is the default of 64."""
    max_request_values: int = Field(default=500_000, gt=0)
    """Messages inside one message of 4 MiB or more: what is two bytes on the wire may be
    hundreds in memory."""
    max_concurrent_streams: int = Field(default=1024, ge=0)
    """Calls at once on one connection; 0 for no limit. A burst over it is told UNAVAILABLE."""
    max_concurrent_requests: int = Field(default=64, ge=0)
    """Calls at once on all connections; 0 for no limit. More are told UNAVAILABLE. Times the
    largest message, this is the memory that clients can make us take."""
    max_connections: int = Field(default=1000, ge=0)
    """Connections at once; 0 for any number. More are closed."""
    max_in_flight_message_size: ByteSize = Field(default=256 * 1024 * 1024, gt=0)
    """Bytes of messages, compressed and not, that all calls hold together until they are answered.
    One call alone may exceed it."""
    read_timeout: Duration = Field(default=60.0, ge=0)
    """Time that a client may take to send a message; 0 for ever."""
    keepalive: KeepaliveConfig = KeepaliveConfig()
    """Pings and connection age."""

    @field_validator("endpoint")
    @classmethod
    def _is_endpoint(cls, endpoint: str) -> str:
        parse_endpoint(endpoint)
        return endpoint

    def authenticates(self) -> bool:
        """Whether strangers are turned away."""
        return self.auth is not None or bool(self.tls and self.tls.client_ca_file)

    @property
    def max_message_bytes(self) -> int:
        """The limit in bytes."""
        return (self.max_recv_msg_size_mib or 64) * 1024 * 1024


_BOTH: Final[dict[str, object]] = {"grpc": {}, "http": {}}


class ProtocolsConfig(Config):
    """Which protocols are open."""

    grpc: OtlpGrpcConfig | None = None
    """OTLP over gRPC; enabled by the key alone."""
    http: OtlpHttpConfig | None = None
    """OTLP over HTTP; enabled by the key alone."""

    @model_validator(mode="before")
    @classmethod
    def _key_enables(cls, value: object) -> object:
        if not value:
            return _BOTH
        if isinstance(value, dict):
            return {key: {} if given is None else given for key, given in value.items()}
        return value


class OtlpConfig(Config):
    """The `otlp` receiver."""

    protocols: ProtocolsConfig = Field(default_factory=ProtocolsConfig)
    """Which protocols are open: `grpc`, `http`, or both if none is named."""
