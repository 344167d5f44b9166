"""Options of an HTTP listener."""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field, field_validator

from genai_collector.component import ByteSize, Config, Duration
from genai_collector.transport.authentication import AuthConfig
from genai_collector.transport.cors import CorsConfig
from genai_collector.transport.sockets import parse_endpoint
from genai_collector.transport.tls import ServerTLS

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_FRAMING: Final = frozenset({"connection", "content-length", "transfer-encoding"})


class HttpServerConfig(Config):
    """A listener. Receivers that name the same endpoint share it and must agree on all of this."""

    endpoint: str = "localhost:4318"
    """Where to listen, as host:port. Anything but loopback is reachable by others."""
    tls: ServerTLS | None = None
    """TLS; plaintext if absent."""
    auth: AuthConfig | None = None
    """Who may send; everybody if absent."""
    cors: CorsConfig | None = None
    """Which web pages may send; none if absent."""
    max_request_body_size: ByteSize = Field(default=64 * 1024 * 1024, gt=0)
    """Largest body, before and after decompression."""
    max_request_values: int = Field(default=500_000, gt=0)
    """Objects and lists (protobuf: messages, from 4 MiB on) in one body: what is two
    bytes on the wire may be hundreds in memory."""
    read_timeout: Duration = Field(default=60.0, ge=0)
    """Time that a client may take to send a body; 0 for ever."""
    idle_timeout: Duration = Field(default=120.0, gt=0)
    """Time that a connection may stay without a complete request header."""
    read_header_timeout: Duration = Field(default=20.0, ge=0)
    """Time from the first byte of a request's header to its last; 0 for `idle_timeout` only."""
    write_timeout: Duration = Field(default=30.0, ge=0)
    """Time that a client may leave an answer unread; 0 for ever."""
    max_connections: int = Field(default=1000, ge=0)
    """Connections at once; 0 for any number. An idle one makes room for a new one."""
    max_header_field_size: ByteSize = Field(default=8190, ge=1024, le=1024 * 1024)
    """Largest request line, header name or header value; there may be 100 headers."""
    max_in_flight_body_size: ByteSize = Field(default=256 * 1024 * 1024, gt=0)
    """Bytes of bodies, compressed and not, that all requests hold together until they are
    answered. One request alone may exceed it."""
    keep_alives_enabled: bool = True
    """Whether a connection may carry more than one request."""
    response_headers: dict[str, str] = Field(default_factory=dict)
    """Headers to add to every answer."""

    @field_validator("endpoint")
    @classmethod
    def _is_endpoint(cls, endpoint: str) -> str:
        parse_endpoint(endpoint)
        return endpoint

    @field_validator("response_headers")
    @classmethod
    def _are_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _FRAMING:
                raise ValueError(f"{name!r} is no name for a header of an answer")
            if not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"the value of {name} has characters that a header cannot carry")
        return headers

    def authenticates(self) -> bool:
        """Whether strangers are turned away."""
        return self.auth is not None or bool(self.tls and self.tls.client_ca_file)

    def shared(self) -> dict[str, object]:
        """What listeners on one endpoint must agree on, by option."""
        return {
            name: getattr(self, name)
            for name in HttpServerConfig.model_fields
            if name != "endpoint"
        }
