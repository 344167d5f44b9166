"""litellm: StandardLoggingPayloads, posted as LiteLLM's generic API callback posts them.

    exporters:
      litellm:
        endpoint: https://logs.example/litellm      # the whole URL
        headers: { Authorization: "Bearer ${env:LOGS_TOKEN}" }
        send: array                                 # or ndjson, or single: one per request

One payload per call of a model. A payload is the same each time it is made, its `id` and
`litellm_call_id` included, so that a receiver can recognise what was sent twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from genai_collector.component import (
    NOT_GENAI,
    TRACES,
    ByteSize,
    Context,
    Duration,
    ExporterFactory,
    Sent,
)
from genai_collector.delivery import DeliveryConfig
from genai_collector.delivery.http_errors import http_error
from genai_collector.errors import Permanent, Retryable
from genai_collector.exporters._over_http import OverHttp
from genai_collector.exporters._records import Attempt, Piece, groups_of
from genai_collector.formats import litellm
from genai_collector.model import Batch
from genai_collector.transport.http_client import (
    HttpClientConfig,
    Transport,
    compress_body,
    host_of,
)

_RETRYABLE: Final = frozenset({408, 429, *range(500, 600)})
# LiteLLM says JSON for one object per line, too, and receivers look at nothing else.
_HEADERS: Final = {"Content-Type": "application/json"}


class LitellmConfig(HttpClientConfig, DeliveryConfig):
    """Where to, and what. `endpoint` is the whole URL; nothing is appended."""

    timeout: Duration = 30.0
    """Of one attempt; `0s` = none."""
    compression: Literal["gzip", "none"] = "none"
    """Of request bodies. LiteLLM itself never compresses."""
    send: Literal["array", "ndjson", "single"] = "array"
    """`array`: one request holds a JSON array of payloads. `ndjson`: one payload per line.
    `single`: one payload, one request. LiteLLM calls it `log_format`."""
    other_spans: Literal["skip", "send"] = "skip"
    """Spans that are no call of a model: not sent, and counted as dropped for `not_genai`; or sent
    as payloads without a model."""
    max_batch_bytes: ByteSize = Field(default=4 * 1024 * 1024, gt=0)
    """Bytes of one request before compression. A payload that is larger goes alone."""

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.endpoint:
            raise ValueError("give `endpoint`, the whole URL that takes the payloads")
        return self


class Litellm(OverHttp):
    def __init__(
        self, config: LitellmConfig, context: Context, transport: Transport | None = None
    ) -> None:
        super().__init__(config, context, transport)
        self._config = config
        self._clock = context.clock

    async def export(self, batch: Batch, /) -> Sent:
        pieces = list(self._pieces(batch))
        limit = 0 if self._config.send == "single" else self._config.max_batch_bytes
        attempt = Attempt(batch, groups_of(pieces, limit))
        if skipped := batch.count - len(pieces):
            attempt.dropped[NOT_GENAI] = skipped
        started = self._clock()
        for group in attempt:
            try:
                await self._post(group)
            except Permanent as exc:
                attempt.refused(exc)
            except Retryable as exc:
                attempt.interrupted(exc)
            else:
                attempt.took()
            attempt.pause(self._clock() - started, self._config.timeout)
        return attempt.end()

    def _pieces(self, batch: Batch) -> Iterator[Piece]:
        others = self._config.other_spans == "send"
        encoder = litellm.SpanEncoder(include_other_spans=others)
        for span in batch.view_spans():
            payload = encoder.encode(span)
            if payload is not None:
                yield Piece(span, None, 1, litellm.dump(payload))

    async def _post(self, group: Sequence[Piece]) -> None:
        bodies = [piece.body for piece in group]
        if self._config.send == "array":
            body = b"[" + b",".join(bodies) + b"]"
        else:
            body = b"\n".join(bodies)
        level = self._config.compression_params.level
        body, headers = await compress_body(body, self._config.compression, level)
        url = self._config.endpoint
        response = await self._transport.post(url, body, _HEADERS | headers)
        if not 200 <= response.status < 300:
            raise http_error(response, host_of(url), self._now_s, _RETRYABLE)


FACTORY: Final = ExporterFactory("litellm", LitellmConfig, Litellm, signals=TRACES)
