"""noveum: log records as Noveum's AI gateway writes them, or traces as its SDK does, as JSON.

    exporters:
      noveum:
        endpoint: https://collector.example/v1/logs/noveum     # the whole URL
        api_key: ${env:NOVEUM_API_KEY}
        mode: logs                                             # or traces
        send: array                                            # or single: one record per request

`logs`: one record per call of a model, per metric data point and per log record. A record is the
same each time it is made, its id included, so that a receiver can recognise what was sent twice.

`traces`: the spans that a batch of the queue has of a trace are posted as one trace; the batch is
what waits for them (see `_noveum_traces`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from genai_collector.component import (
    NO_FORM,
    NOT_GENAI,
    ByteSize,
    Context,
    Duration,
    ExporterFactory,
    Sent,
)
from genai_collector.delivery import DeliveryConfig
from genai_collector.delivery.http_errors import http_error
from genai_collector.errors import Permanent, Retryable
from genai_collector.exporters._noveum_traces import TraceParts
from genai_collector.exporters._over_http import OverHttp
from genai_collector.exporters._records import Attempt, Piece, groups_of
from genai_collector.formats import noveum
from genai_collector.model import Batch, Signal
from genai_collector.transport.http_client import (
    HttpClientConfig,
    Response,
    Transport,
    compress_body,
    host_of,
)

_RETRYABLE: Final = frozenset({408, 429, *range(500, 600)})
_QUOTA: Final = b"CREDIT_QUOTA_EXCEEDED"
_QUOTA_WAIT_S: Final = 60.0


class NoveumConfig(HttpClientConfig, DeliveryConfig):
    """Where to, and what. `endpoint` is the whole URL; nothing is appended."""

    timeout: Duration = 30.0
    """Of one attempt; `0s` = none."""
    compression: Literal["gzip", "none"] = "none"
    """Of request bodies."""
    api_key: SecretStr | None = None
    """Sent as `Authorization: Bearer`; never shown."""
    mode: Literal["logs", "traces"] = "logs"
    """`logs`: log records, of spans, metrics and log records. `traces`: traces, of spans alone;
    then `sending_queue.batch` waits longer by default: `flush_timeout: 5s`, `min_size: 8MiB`."""
    project: str = ""
    """In `traces` mode: the project of traces that name none; `service.name` if empty."""
    environment: str = ""
    """In `traces` mode: the environment; the resource's, or `production`, if empty."""
    max_traces: int = Field(default=1000, ge=1, le=1000)
    """In `traces` mode: traces of one request; Noveum takes 1000."""
    send: Literal["array", "single"] = "array"
    """`array`: one request holds many records. `single`: one record, or trace, one request."""
    other_spans: Literal["skip", "send"] = "skip"
    """Spans that are no call of a model: not sent, and counted as dropped for `not_genai`; or sent
    as records with the name `otel_span`."""
    spelling: Literal["gateway", "seed"] = "gateway"
    """`gateway`: `thread_id`, as released gateways write; `seed`: `threadId`, as the gateway's
    documentation shows. Records that came in are sent in the spelling they came in."""
    max_batch_bytes: ByteSize = Field(default=4 * 1024 * 1024, gt=0)
    """Bytes of one array before compression. A record that is larger goes alone."""

    @model_validator(mode="before")
    @classmethod
    def _wait_for_traces(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("mode") != "traces":
            return data
        queue = data.get("sending_queue", {})
        batch = queue.get("batch", {}) if isinstance(queue, dict) else None
        if not isinstance(batch, dict):
            return data  # turned off, or a fault that is found elsewhere
        small = "max_size" in batch
        wanted = {"flush_timeout": "5s"} | ({} if small else {"min_size": "8MiB"}) | batch
        return {**data, "sending_queue": {**queue, "batch": wanted}}

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.endpoint:
            raise ValueError("give `endpoint`, the whole URL that takes the records")
        if self.mode == "traces" and "other_spans" in self.model_fields_set:
            raise ValueError("other_spans is for `mode: logs`; a trace has all its spans")
        if self.mode == "traces" and "spelling" in self.model_fields_set:
            raise ValueError("spelling is for `mode: logs`; traces have one")
        return self


class Noveum(OverHttp):
    def __init__(
        self, config: NoveumConfig, context: Context, transport: Transport | None = None
    ) -> None:
        super().__init__(config, context, transport)
        self._config = config
        self._clock = context.clock
        self._traces = TraceParts(
            noveum.TraceEncoder(config.project, config.environment), config.max_batch_bytes
        )
        self._headers = {"Content-Type": "application/json"}
        if config.api_key is not None:
            self._headers["Authorization"] = f"Bearer {config.api_key.get_secret_value()}"

    async def export(self, batch: Batch, /) -> Sent:
        traces = self._config.mode == "traces"
        if traces and batch.signal is not Signal.TRACES:
            return Sent(0, {NO_FORM: batch.count})
        pieces = self._traces.pieces(batch) if traces else list(self._pieces(batch))
        limit = self._config.max_batch_bytes if self._config.send == "array" else 0
        groups = (
            groups_of(pieces, limit, self._config.max_traces)
            if traces
            else groups_of(pieces, limit)
        )
        attempt = Attempt(batch, groups, whole_records=traces)
        if skipped := batch.count - sum(piece.weight for piece in pieces):
            attempt.dropped[NOT_GENAI] = skipped
        started = self._clock()
        for group in attempt:
            try:
                await self._post(group)
            except Permanent as exc:
                if not exc.data_fault:
                    self._traces.refused(attempt.remaining)
                elif len(group) == 1:
                    self._traces.refused(group)
                attempt.refused(exc)
            except Retryable as exc:
                attempt.interrupted(exc)
            else:
                attempt.took()
            attempt.pause(self._clock() - started, self._config.timeout)
        return attempt.end()

    def _pieces(self, batch: Batch) -> Iterator[Piece]:
        spelling = self._config.spelling
        match batch.signal:
            case Signal.TRACES:
                others = self._config.other_spans == "send"
                encoder = noveum.SpanEncoder(spelling, include_other_spans=others)
                for span in batch.view_spans():
                    record = encoder.encode(span)
                    if record is not None:
                        yield Piece(span, None, 1, noveum.dump(record))
            case Signal.METRICS:
                for made in noveum.encode_points(batch.view_metrics(), spelling):
                    weight = 0 if made.point is None else 1
                    yield Piece(made.metric, made.point, weight, noveum.dump(made.record))
            case Signal.LOGS:
                logs = batch.view_logs()
                records = noveum.encode_logs(logs, spelling=spelling)
                for log, record in zip(logs, records, strict=True):
                    yield Piece(log, None, 1, noveum.dump(record))

    async def _post(self, group: Sequence[Piece]) -> None:
        body = b",".join([piece.body for piece in group])
        if self._config.mode == "traces":
            body = b'{"traces":[' + body + b"]}"
        elif self._config.send == "array":
            body = b"[" + body + b"]"
        level = self._config.compression_params.level
        body, headers = await compress_body(body, self._config.compression, level)
        url = self._config.endpoint
        response = await self._transport.post(url, body, self._headers | headers)
        if not 200 <= response.status < 300:
            raise self._error(response)

    def _error(self, response: Response) -> Permanent | Retryable:
        host = host_of(self._config.endpoint)
        error = http_error(response, host, self._now_s, _RETRYABLE)
        if response.status == 429 and _QUOTA in response.body:
            # The account is empty: asking each second does not fill it.
            wait = _QUOTA_WAIT_S
            if isinstance(error, Retryable) and error.retry_after is not None:
                wait = error.retry_after
            return Retryable(f"{host} answered 429: no credit left", retry_after=wait)
        return error


FACTORY = ExporterFactory("noveum", NoveumConfig, Noveum)
