"""What the user of the langfuse exporter configures."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from genai_collector.component import ByteSize, Config, Duration
from genai_collector.delivery import DeliveryConfig
from genai_collector.transport.http_client import HttpClientConfig

INGESTION_PATH: Final = "/api/public/ingestion"
OTLP_BASE: Final = "/api/public/otel"
OTLP_PATH: Final = f"{OTLP_BASE}/v1/traces"


class MetricScores(Config):
    enabled: bool = False
    """Make NUMERIC scores of metric exemplars that name a trace. Off: most exemplars are no
    judgement of anything."""
    metrics: list[str] = Field(default_factory=list)
    """Only these metrics; empty = all."""


class Scores(Config):
    evaluation_events: bool = True
    """Make scores of the log events `gen_ai.evaluation.result` that name a trace."""


class LangfuseConfig(HttpClientConfig, DeliveryConfig):
    """Where to, with which keys. `endpoint` is the server's base URL."""

    timeout: Duration = 20.0
    """Of one attempt; `0s` = none."""
    compression: Literal["none", "gzip"] = "none"
    """Of OTLP requests: `gzip` unless given. Events the server reads uncompressed only."""
    public_key: str = Field(min_length=1)
    """`pk-lf-...` of the project."""
    secret_key: SecretStr
    """`sk-lf-...` of the project; never shown."""
    mode: Literal["batch", "otlp"] = "batch"
    """How traces go. `batch`: as events to `POST /api/public/ingestion`, for v3 servers. `otlp`: as
    OTLP to `POST /api/public/otel/v1/traces`, for v4 servers. Scores are events in both."""
    max_batch_bytes: ByteSize = Field(default=2_500_000, gt=0)
    """Bytes of one request; what Langfuse's SDKs stay under. An event that is larger goes alone."""
    max_event_bytes: ByteSize = Field(default=3_500_000, gt=0)
    """Bytes of one event: what Langfuse documents for a request (its server refuses 4.5 MB)."""
    oversize: Literal["truncate", "drop"] = "truncate"
    """An event over `max_event_bytes`: `truncate` cuts the end of its longest content and marks the
    place, `drop` counts the span as dropped for `too_large`."""
    keep_unmapped: bool = False
    """Keep what Langfuse's mapping drops (other span events, links, kind, nanoseconds ...) as
    `metadata.otel`. In mode `otlp` span events are kept in any case."""
    remember_sent: int = Field(default=20_000, ge=0)
    """Mode `otlp`: of so many spans it is remembered that the server took them, and a client that
    sends one of them again does not double it. 0 = none."""
    scores_from_metrics: MetricScores = MetricScores()
    """Metric exemplars as scores."""
    scores: Scores = Scores()
    """Other sources of scores."""

    @model_validator(mode="before")
    @classmethod
    def _compress_otlp(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("mode") == "otlp" and "compression" not in data:
            return {**data, "compression": "gzip"}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.endpoint:
            raise ValueError("give `endpoint`, the base URL such as http://localhost:3000")
        if self.max_event_bytes < self.max_batch_bytes:
            raise ValueError("max_event_bytes must be at least max_batch_bytes")
        if self.mode == "batch" and self.compression != "none":
            raise ValueError("compression: only mode otlp can be compressed")
        return self

    @property
    def url(self) -> str:
        """Where events are posted."""
        return self._base + INGESTION_PATH

    @property
    def otlp_url(self) -> str:
        """Where OTLP is posted."""
        return self._base + OTLP_PATH

    @property
    def _base(self) -> str:
        """The server; an endpoint that is the whole URL of a route will do."""
        base = self.endpoint.rstrip("/")
        for path in (INGESTION_PATH, OTLP_PATH, OTLP_BASE):
            base = base.removesuffix(path)
        return base
