"""otlp_http: OTLP over HTTP, protobuf or JSON, to any OTLP backend.

    exporters:
      otlp_http:
        endpoint: https://backend:4318        # /v1/traces, /v1/metrics, /v1/logs are appended
        headers: {authorization: "Bearer ${env:TOKEN}"}

A batch that nobody changed goes out in the bytes it came in; if it came compressed in the way this
exporter compresses, not even the compression is done again.
"""

from __future__ import annotations

from typing import Final, Literal, Self

from pydantic import model_validator

from genai_collector.component import Context, Duration, ExporterFactory, Sent
from genai_collector.delivery import BatchConfig, DeliveryConfig, QueueConfig, SizeWithUnit
from genai_collector.delivery.http_errors import http_error
from genai_collector.errors import Permanent
from genai_collector.exporters._otlp import items_of, sent_of_json, sent_of_protobuf
from genai_collector.exporters._over_http import OverHttp
from genai_collector.formats import otlp
from genai_collector.model import Batch, Signal
from genai_collector.transport.compression import IDENTITY
from genai_collector.transport.http_client import (
    HttpClientConfig,
    Response,
    Transport,
    Url,
    compress_body,
    host_of,
)

_CONTENT_TYPES: Final = {"proto": "application/x-protobuf", "json": "application/json"}


class OtlpHttpBatchConfig(BatchConfig):
    max_size: SizeWithUnit = 16 * 1024 * 1024
    """Bytes at which a request is split. The default stays below the 20 MiB that an
    OpenTelemetry Collector accepts over HTTP."""


class OtlpHttpQueueConfig(QueueConfig):
    batch: OtlpHttpBatchConfig | None = OtlpHttpBatchConfig()
    """Merging and splitting between queue and request; `null` turns it off."""


class OtlpHttpConfig(HttpClientConfig, DeliveryConfig):
    """Where to, and how. Give `endpoint`, or an address per signal, or both."""

    timeout: Duration = 30.0
    """Of one attempt; `0s` = none."""
    sending_queue: OtlpHttpQueueConfig = OtlpHttpQueueConfig()
    """The bounded queue, its workers and their batching; `null` is `enabled: false`."""
    traces_endpoint: Url = ""
    """For traces instead of `endpoint`; used as it is, nothing is appended."""
    metrics_endpoint: Url = ""
    """For metrics instead of `endpoint`; used as it is."""
    logs_endpoint: Url = ""
    """For logs instead of `endpoint`; used as it is."""
    encoding: Literal["proto", "json"] = "proto"
    """OTLP/protobuf or OTLP/JSON."""

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not (
            self.endpoint or self.traces_endpoint or self.metrics_endpoint or self.logs_endpoint
        ):
            raise ValueError("give `endpoint`, or traces_endpoint, metrics_endpoint, logs_endpoint")
        return self

    def url(self, signal: Signal) -> str:
        """Where a signal goes; empty if nowhere."""
        own = {
            Signal.TRACES: self.traces_endpoint,
            Signal.METRICS: self.metrics_endpoint,
            Signal.LOGS: self.logs_endpoint,
        }[signal]
        if own or not self.endpoint:
            return own
        return f"{self.endpoint.rstrip('/')}/v1/{signal}"


class OtlpHttp(OverHttp):
    def __init__(
        self, config: OtlpHttpConfig, context: Context, transport: Transport | None = None
    ) -> None:
        super().__init__(config, context, transport)
        self._config = config
        self._base_headers = {"Content-Type": _CONTENT_TYPES[config.encoding]}

    async def export(self, batch: Batch, /) -> Sent:
        url = self._config.url(batch.signal)
        if not url:
            raise Permanent(f"there is no endpoint for {batch.signal}", reason="no_endpoint")
        body, headers = await self._body(batch)
        response = await self._transport.post(url, body, self._base_headers | headers)
        if 200 <= response.status < 300:
            return _sent(batch, response)
        raise http_error(response, host_of(url), self._now_s)

    async def _body(self, batch: Batch) -> tuple[bytes, dict[str, str]]:
        compression = self._config.compression
        if self._config.encoding == "json":
            body = otlp.encode_json(batch.signal, items_of(batch))
        elif batch.compressed is not None and _same(batch.compressed.encoding, compression):
            return batch.compressed.data, {"Content-Encoding": compression}
        else:
            body = batch.encoded()
        return await compress_body(body, compression, self._config.compression_params.level)


def _same(theirs: str, ours: str) -> bool:
    aliases = {"x-gzip": "gzip", "zlib": "deflate"}
    return ours not in IDENTITY and aliases.get(theirs, theirs) == ours


def _sent(batch: Batch, response: Response) -> Sent:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    read = sent_of_json if kind.endswith("json") else sent_of_protobuf
    return read(batch.signal, batch.count, response.body)


FACTORY = ExporterFactory("otlp_http", OtlpHttpConfig, OtlpHttp, aliases=("otlphttp",))
