"""langfuse: traces as Langfuse's batch events, for a v3 server (or v4 in mode legacy or dual).

    exporters:
      langfuse:
        endpoint: http://localhost:3000
        public_key: pk-lf-...
        secret_key: ${env:LANGFUSE_SECRET_KEY}

The events are those that Langfuse's own OTLP mapping would have made. Metrics and logs become
scores where they can (see `scores_from_metrics` and `scores`); what cannot is counted as dropped
for `no_form`. A v4 server in its default mode refuses traces here: give it OTLP instead.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, model_validator

from genai_collector import __version__
from genai_collector.component import (
    NO_FORM,
    ByteSize,
    Config,
    Context,
    Duration,
    ExporterFactory,
    Sent,
)
from genai_collector.delivery import DeliveryConfig
from genai_collector.delivery.http_errors import http_error
from genai_collector.errors import Permanent, PipelineError, Retryable
from genai_collector.exporters._langfuse_attempt import Attempt, read_answer
from genai_collector.formats import langfuse
from genai_collector.formats.langfuse import EncodedEvent
from genai_collector.model import Batch, Signal
from genai_collector.transport.http_client import (
    HttpClient,
    HttpClientConfig,
    Transport,
    host_of,
)

PATH: Final = "/api/public/ingestion"
MISSING_IDS: Final = "missing_ids"
TOO_LARGE: Final = "too_large"

# Langfuse answers 500 when its storage or queue is down, so that is no verdict on the data.
_RETRYABLE: Final = frozenset({408, 429, 500, 502, 503, 504})
_MOST_SEEN_TRACES: Final = 20_000
_GROWTH: Final = 3.0
_SHARE_OF_TIMEOUT: Final = 0.5
"""An attempt of several requests ends in good time, so that what it sent is not sent again."""


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
    compression: Literal["none"] = "none"
    """The server reads these requests uncompressed only."""
    public_key: str = Field(min_length=1)
    """`pk-lf-...` of the project."""
    secret_key: SecretStr
    """`sk-lf-...` of the project; never shown."""
    mode: Literal["batch"] = "batch"
    """`batch`: events for `POST /api/public/ingestion`."""
    max_batch_bytes: ByteSize = Field(default=2_500_000, gt=0)
    """Bytes of one request; what Langfuse's SDKs stay under. An event that is larger goes alone."""
    max_event_bytes: ByteSize = Field(default=3_500_000, gt=0)
    """Bytes of one event: what Langfuse documents for a request (its server refuses 4.5 MB)."""
    oversize: Literal["truncate", "drop"] = "truncate"
    """An event over `max_event_bytes`: `truncate` cuts the end of its longest content and marks the
    place, `drop` counts the span as dropped for `too_large`."""
    keep_unmapped: bool = False
    """Keep what Langfuse's mapping drops (other span events, links, kind, nanoseconds ...) as
    `metadata.otel`."""
    scores_from_metrics: MetricScores = MetricScores()
    """Metric exemplars as scores."""
    scores: Scores = Scores()
    """Other sources of scores."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.endpoint:
            raise ValueError("give `endpoint`, the base URL such as http://localhost:3000")
        if self.max_event_bytes < self.max_batch_bytes:
            raise ValueError("max_event_bytes must be at least max_batch_bytes")
        return self

    @property
    def url(self) -> str:
        """Where events are posted; an endpoint that is the whole URL will do."""
        return self.endpoint.rstrip("/").removesuffix(PATH) + PATH


class SeenTraces:
    """The traces that were described to the server lately, so that not every batch of spans
    without their root announces its traces again. Bounded; the oldest are forgotten."""

    def __init__(self, most: int = _MOST_SEEN_TRACES) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, trace_id: object) -> bool:
        return trace_id in self._ids

    def add(self, trace_id: str) -> None:
        self._ids[trace_id] = None
        self._ids.move_to_end(trace_id)
        if len(self._ids) > self._most:
            self._ids.popitem(last=False)


class Langfuse:
    def __init__(
        self, config: LangfuseConfig, context: Context, transport: Transport | None = None
    ) -> None:
        self._config = config
        self._context = context
        self._host = host_of(config.endpoint)
        self._now_s = lambda: context.wall_clock_ns() / 1e9
        self._client = HttpClient(config) if transport is None else None
        self._transport = transport or self._client
        self._headers = _headers(config.public_key, config.secret_key.get_secret_value())
        self._seen = SeenTraces()

    async def __aenter__(self) -> Self:
        if self._client is not None:
            await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.__aexit__(exc_type, exc, traceback)

    async def export(self, batch: Batch, /) -> Sent:
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
        from the batch's size; a guess that fails is halved."""
        parts = 1 + int(size_hint * _GROWTH) // self._config.max_batch_bytes
        step = max(1, -(-len(events) // parts))
        waiting = [events[at : at + step] for at in range(0, len(events), step)][::-1]
        while waiting:
            part = waiting.pop()
            try:
                body = langfuse.encode_batch([encoded.event for encoded in part])
            except ValueError:
                body = b""
            if body and len(body) <= self._config.max_batch_bytes:
                yield part, body
            elif len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                yield from self._alone(part[0], body, attempt)

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
        assert self._transport is not None
        response = await self._transport.post(self._config.url, body, self._headers)
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
        "Content-Type": "application/json",
        "Authorization": f"Basic {pair}",
        "x-langfuse-sdk-name": "genai-collector",
        "x-langfuse-sdk-version": __version__,
        "x-langfuse-public-key": public_key,
    }


FACTORY = ExporterFactory("langfuse", LangfuseConfig, Langfuse)
