"""langfuse: traces as Langfuse's batch events for a v3 server, or over OTLP for a v4 server.

    exporters:
      langfuse:
        endpoint: http://localhost:3000
        public_key: pk-lf-...
        secret_key: ${env:LANGFUSE_SECRET_KEY}
        mode: otlp              # v4; without it `batch`, for v3

The events are those that Langfuse's own OTLP mapping would have made; over OTLP go the spans, made
ready for that mapping (see `_langfuse_otlp`). In both modes metrics and logs become scores where
they can (see `scores_from_metrics` and `scores`), which go as events; what cannot is counted as
dropped for `no_form`. A v4 server in its default mode refuses traces as events.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Final

from genai_collector import __version__
from genai_collector.component import NO_FORM, Context, ExporterFactory, Sent
from genai_collector.delivery.http_errors import http_error
from genai_collector.errors import Permanent, PipelineError, Retryable
from genai_collector.exporters._langfuse_attempt import Attempt, Recent, read_answer
from genai_collector.exporters._langfuse_config import LangfuseConfig
from genai_collector.exporters._langfuse_otlp import MISSING_IDS, OtlpTraces
from genai_collector.exporters._over_http import OverHttp
from genai_collector.formats import langfuse
from genai_collector.formats.langfuse import EncodedEvent
from genai_collector.model import Batch, Signal
from genai_collector.transport.http_client import Transport, host_of

__all__ = ["FACTORY", "Langfuse", "LangfuseConfig"]

TOO_LARGE: Final = "too_large"

# Langfuse answers 500 when its storage or queue is down, so that is no verdict on the data.
_RETRYABLE: Final = frozenset({408, 429, 500, 502, 503, 504})
_MOST_SEEN_TRACES: Final = 20_000
"""Traces of which it is known that the server has them, so that not every batch of spans without
their root announces its traces again."""
_GROWTH: Final = 3.0
_SPARE: Final = 1.25
"""JSON bytes per byte of OTLP: the guess for the first batch, and the margin over the last one."""
_SHARE_OF_TIMEOUT: Final = 0.5
"""An attempt of several requests ends in good time, so that what it sent is not sent again."""


class Langfuse(OverHttp):
    def __init__(
        self, config: LangfuseConfig, context: Context, transport: Transport | None = None
    ) -> None:
        super().__init__(config, context, transport)
        self._config = config
        self._context = context
        self._host = host_of(config.endpoint)
        self._headers = _headers(config.public_key, config.secret_key.get_secret_value())
        self._json_headers = {"Content-Type": "application/json", **self._headers}
        self._seen = Recent(_MOST_SEEN_TRACES)
        self._growth = _GROWTH
        self._otlp: OtlpTraces | None = None
        if config.mode == "otlp":
            self._otlp = OtlpTraces(config, context, self._transport, self._headers)

    async def export(self, batch: Batch, /) -> Sent:
        if self._otlp is not None and batch.signal is Signal.TRACES:
            return await self._otlp.export(batch)
        events = self._events(batch)
        attempt = Attempt(batch, events)
        attempt.drop_unexpressed(MISSING_IDS if batch.signal is Signal.TRACES else NO_FORM)
        started = self._context.clock()
        enough = self._config.timeout * _SHARE_OF_TIMEOUT
        for part, body in self._requests(events, batch.size_bytes, attempt):
            if attempt.has_answers and 0 < enough < self._context.clock() - started:
                raise attempt.interrupted(Retryable("one attempt was too short for all requests"))
            try:
                await self._post(part, body, attempt)
            except PipelineError as exc:
                raise attempt.interrupted(exc) from exc
        return attempt.result()

    def _events(self, batch: Batch) -> list[EncodedEvent]:
        config = self._config
        match batch.signal:
            case Signal.TRACES:
                return langfuse.encode_spans(
                    batch.view_spans(),
                    seen_traces=self._seen,
                    now_ns=self._context.wall_clock_ns(),
                    keep_unmapped=config.keep_unmapped,
                )
            case Signal.METRICS:
                if not config.scores_from_metrics.enabled:
                    return []
                wanted = config.scores_from_metrics.metrics or None
                return langfuse.scores_from_metrics(batch.view_metrics(), names=wanted)
            case Signal.LOGS:
                if not config.scores.evaluation_events:
                    return []
                return langfuse.scores_from_logs(batch.view_logs())

    def _requests(
        self, events: Sequence[EncodedEvent], size_hint: int, attempt: Attempt
    ) -> Iterator[tuple[Sequence[EncodedEvent], bytes]]:
        """The events in requests below the size limit, in order. How many are needed is guessed
        from the batch's size and how the last one grew; a guess that fails is halved."""
        parts = 1 + int(size_hint * self._growth) // self._config.max_batch_bytes
        written = 0
        step = max(1, -(-len(events) // parts))
        waiting = [events[at : at + step] for at in range(0, len(events), step)][::-1]
        while waiting:
            part = waiting.pop()
            try:
                body = langfuse.encode_batch([encoded.event for encoded in part])
            except ValueError:
                body = b""
            written += len(body)
            if body and len(body) <= self._config.max_batch_bytes:
                yield part, body
            elif len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                yield from self._alone(part[0], body, attempt)
        self._growth = _SPARE * written / size_hint if written and size_hint else _GROWTH

    def _alone(
        self, encoded: EncodedEvent, body: bytes, attempt: Attempt
    ) -> Iterator[tuple[Sequence[EncodedEvent], bytes]]:
        """An event that fills a request by itself, if it can be sent at all."""
        if not body:
            attempt.drop(encoded, "unencodable", "an event cannot be written as JSON")
            return
        if len(body) > self._config.max_event_bytes:
            short = None
            if self._config.oversize == "truncate":
                short = langfuse.shorten_event(encoded.event, self._config.max_event_bytes)
            if short is None:
                attempt.drop(encoded, TOO_LARGE, "an event is larger than max_event_bytes")
                return
            attempt.remark("content of an event was cut to max_event_bytes")
            body = langfuse.encode_batch([short])
        yield [encoded], body

    async def _post(self, part: Sequence[EncodedEvent], body: bytes, attempt: Attempt) -> None:
        response = await self._transport.post(self._config.url, body, self._json_headers)
        if not 200 <= response.status < 300:
            raise http_error(response, self._host, self._now_s, _RETRYABLE)
        errors = read_answer(response.body)
        if errors is None:
            raise Permanent(
                f"{self._host} answered {response.status}, but not as Langfuse does "
                "(check the endpoint)",
                reason="no_langfuse_server",
            )
        attempt.answered(part, errors)
        for encoded in part:
            if encoded.event["type"] == "trace-create" and encoded.event["id"] not in errors:
                trace = encoded.event["body"]
                assert isinstance(trace, dict)
                self._seen.add(str(trace["id"]))


def _headers(public_key: str, secret_key: str) -> dict[str, str]:
    pair = base64.b64encode(f"{public_key}:{secret_key}".encode()).decode("ascii")
    return {
        "Authorization": f"Basic {pair}",
        "x-langfuse-sdk-name": "genai-collector",
        "x-langfuse-sdk-version": __version__,
        "x-langfuse-public-key": public_key,
    }


FACTORY = ExporterFactory("langfuse", LangfuseConfig, Langfuse)
