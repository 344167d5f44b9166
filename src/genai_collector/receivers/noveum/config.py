"""Options of the `noveum` receiver."""

from __future__ import annotations

from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from genai_collector.component import Config
from genai_collector.receivers._http import ENCODINGS, Encoding
from genai_collector.transport.http_server import HttpServerConfig


class ElasticsearchConfig(Config):
    """The path on which released gateways send: `POST /{index}/_doc`, a record per request."""

    index: str = Field(default="ai-gateway-metrics", min_length=1, pattern=r"^[^/]+$")
    """ELASTICSEARCH_INDEX of the gateway."""
    username: str = ""
    """ELASTICSEARCH_USERNAME of the gateway; empty = what it sends is not looked at."""
    password: SecretStr = SecretStr("")
    """ELASTICSEARCH_PASSWORD of the gateway."""

    @model_validator(mode="after")
    def _both(self) -> Self:
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("give both `username` and `password`, or neither")
        return self


class NoveumReceiverConfig(HttpServerConfig):
    """Where to listen. The address may be another receiver's too."""

    logs_path: str = "/v1/logs/noveum"
    """Path for log records: an object, an array, or an object per line."""
    traces_path: str = "/v1/traces"
    """Path for noveum-trace (NOVEUM_ENDPOINT is what stands before it), and with `/single` behind
    it for one trace. On an endpoint shared with the `otlp` receiver both have it."""
    elasticsearch: ElasticsearchConfig | None = ElasticsearchConfig()
    """The path that released gateways use; `null` = none."""
    api_keys: list[SecretStr] = Field(default_factory=list)
    """Keys that may send, as `Authorization: Bearer`; empty = everybody may."""
    remember: int = Field(default=100_000, ge=0)
    """Spans whose ids are remembered, so that what a client sends again is not taken again; 0 =
    none. Each needs about 150 bytes."""
    compression_algorithms: list[Encoding] = Field(default_factory=lambda: list(ENCODINGS))
    """Content codings to accept; the empty one is no compression."""

    @field_validator("logs_path", "traces_path")
    @classmethod
    def _starts_with_slash(cls, path: str) -> str:
        return path if path.startswith("/") else "/" + path

    @field_validator("api_keys")
    @classmethod
    def _no_empty_key(cls, keys: list[SecretStr]) -> list[SecretStr]:
        if any(not key.get_secret_value() for key in keys):
            raise ValueError("a key is empty, so everybody would have it")
        return keys

    def authenticates(self) -> bool:
        """Whether strangers are turned away: those who have no key, either."""
        return bool(self.api_keys) or super().authenticates()
