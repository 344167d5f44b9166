"""noveum: log records as Noveum's AI gateway writes them, posted as JSON.

    exporters:
      noveum:
        endpoint: https://collector.example/v1/logs/noveum     # the whole URL
        api_key: ${env:NOVEUM_API_KEY}
        send: array                                            # or single: one record per request

One record per call of a model, per metric data point and per log record. A record is the same each
time it is made, its id included, so that a receiver can recognise what was sent twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Literal, NamedTuple, NoReturn, Self

from pydantic import Field, SecretStr, model_validator

from genai_collector.component import (
    NOT_GENAI,
    ByteSize,
    Context,
    Duration,
    ExporterFactory,
    Sent,
)
from genai_collector.delivery import DeliveryConfig
from genai_collector.delivery.http_errors import http_error
from genai_collector.errors import Partial, Permanent, Retryable
from genai_collector.formats import noveum
from genai_collector.model import Batch, Items, LogRecord, Metric, Point, Signal, Span
from genai_collector.transport.http_client import (
    HttpClient,
    HttpClientConfig,
    Response,
    Transport,
    compress_body,
    host_of,
)

_RETRYABLE: Final = frozenset({408, 429, *range(500, 600)})
_QUOTA: Final = b"CREDIT_QUOTA_EXCEEDED"
_QUOTA_WAIT_S: Final = 60.0
# An attempt with several requests ends in good time, so that what it sent is not sent again.
_SHARE_OF_TIMEOUT: Final = 0.5


class NoveumConfig(HttpClientConfig, DeliveryConfig):
    """Where to, and what. `endpoint` is the whole URL; nothing is appended."""

    timeout: Duration = 30.0
    """Of one attempt; `0s` = none."""
    compression: Literal["gzip", "none"] = "none"
    """Of request bodies."""
    api_key: SecretStr | None = None
    """Sent as `Authorization: Bearer`; never shown."""
    send: Literal["array", "single"] = "array"
    """`array`: one request holds a JSON array of records. `single`: one record, one request."""
    other_spans: Literal["skip", "send"] = "skip"
    """Spans that are no call of a model: not sent, and counted as dropped for `not_genai`; or sent
    as records with the name `otel_span`."""
    spelling: Literal["gateway", "seed"] = "gateway"
    """`gateway`: `thread_id`, as released gateways write; `seed`: `threadId`, as the gateway's
    documentation shows. Records that came in are sent in the spelling they came in."""
    max_batch_bytes: ByteSize = Field(default=4 * 1024 * 1024, gt=0)
    """Bytes of one array before compression. A record that is larger goes alone."""

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.endpoint:
            raise ValueError("give `endpoint`, the whole URL that takes the records")
        return self


class _Piece(NamedTuple):
    """One record, and what to try again if it is not taken."""

    item: Span | LogRecord | Metric
    point: Point | None
    weight: int
    """Items that it counts as; a metric without points is none."""
    body: bytes


class Noveum:
    def __init__(
        self, config: NoveumConfig, context: Context, transport: Transport | None = None
    ) -> None:
        self._config = config
        self._clock = context.clock
        self._now_s = lambda: context.wall_clock_ns() / 1e9
        self._client = HttpClient(config) if transport is None else None
        self._transport = transport or self._client
        self._headers = {"Content-Type": "application/json"}
        if config.api_key is not None:
            self._headers["Authorization"] = f"Bearer {config.api_key.get_secret_value()}"

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
        pieces = list(self._pieces(batch))
        attempt = _Attempt(batch, self._groups(pieces))
        if skipped := batch.count - sum(piece.weight for piece in pieces):
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
            enough = self._config.timeout * _SHARE_OF_TIMEOUT
            if attempt.remaining and 0 < enough < self._clock() - started:
                attempt.interrupted(Retryable("one attempt was too short for all requests"))
        return Sent(attempt.sent, attempt.dropped, attempt.message)

    def _pieces(self, batch: Batch) -> Iterator[_Piece]:
        spelling = self._config.spelling
        match batch.signal:
            case Signal.TRACES:
                others = self._config.other_spans == "send"
                encoder = noveum.SpanEncoder(spelling, include_other_spans=others)
                for span in batch.view_spans():
                    record = encoder.encode(span)
                    if record is not None:
                        yield _Piece(span, None, 1, noveum.dump(record))
            case Signal.METRICS:
                for made in noveum.encode_points(batch.view_metrics(), spelling):
                    weight = 0 if made.point is None else 1
                    yield _Piece(made.metric, made.point, weight, noveum.dump(made.record))
            case Signal.LOGS:
                logs = batch.view_logs()
                records = noveum.encode_logs(logs, spelling=spelling)
                for log, record in zip(logs, records, strict=True):
                    yield _Piece(log, None, 1, noveum.dump(record))

    def _groups(self, pieces: Iterable[_Piece]) -> list[list[_Piece]]:
        """What goes into one request each."""
        if self._config.send == "single":
            return [[piece] for piece in pieces]
        groups: list[list[_Piece]] = []
        room = 0
        for piece in pieces:
            size = len(piece.body) + 1  # and a comma or a bracket
            if not groups or size > room:
                groups.append([])
                room = self._config.max_batch_bytes - 1
            groups[-1].append(piece)
            room -= size
        return groups

    async def _post(self, group: Sequence[_Piece]) -> None:
        body = b",".join([piece.body for piece in group])
        if self._config.send == "array":
            body = b"[" + body + b"]"
        level = self._config.compression_params.level
        body, headers = await compress_body(body, self._config.compression, level)
        assert self._transport is not None
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


class _Attempt:
    """The requests of one attempt, and what became of them so far."""

    def __init__(self, batch: Batch, groups: list[list[_Piece]]) -> None:
        self.sent = 0
        self.dropped: Counter[str] = Counter()
        self.message = ""
        self._batch = batch
        self._groups = groups
        self._at = 0

    def __iter__(self) -> Iterator[list[_Piece]]:
        while self._at < len(self._groups):
            yield self._groups[self._at]

    @property
    def remaining(self) -> list[_Piece]:
        return [piece for group in self._groups[self._at :] for piece in group]

    def took(self) -> None:
        """The destination took the request at hand."""
        self.sent += _count(self._groups[self._at])
        self._at += 1

    def refused(self, error: Permanent) -> None:
        """The destination refused it for good: drop what is surely lost, or let delivery halve."""
        untouched = not self.sent and self.dropped.keys() <= {NOT_GENAI}
        if untouched and (error.data_fault or not self.dropped) and not self._poisoned(error):
            raise error
        self.message = str(error)
        if not error.data_fault:
            self.dropped[error.reason] += _count(self.remaining)
            self._at = len(self._groups)
        elif len(self._groups[self._at]) == 1:
            self.dropped[error.reason] += _count(self._groups[self._at])
            self._at += 1
        else:
            self._stop(str(error), None)

    def _poisoned(self, error: Permanent) -> bool:
        """One bad record among several requests: the others need not be halved for it."""
        return error.data_fault and len(self._groups) > 1 and len(self._groups[self._at]) == 1

    def interrupted(self, error: Retryable) -> None:
        """What is left may be taken later."""
        if not self.sent and not self.dropped:
            raise error
        self._stop(str(error), error.retry_after)

    def _stop(self, message: str, retry_after: float | None) -> NoReturn:
        raise Partial(
            message,
            remaining=self._batch.with_items(_items(self.remaining, self._batch.signal)),
            sent=self.sent,
            dropped=self.dropped,
            retry_after=retry_after,
        )


def _count(pieces: Iterable[_Piece]) -> int:
    return sum(piece.weight for piece in pieces)


def _items(pieces: Sequence[_Piece], signal: Signal) -> Items:
    if signal is Signal.TRACES:
        return [piece.item for piece in pieces if isinstance(piece.item, Span)]
    if signal is Signal.LOGS:
        return [piece.item for piece in pieces if isinstance(piece.item, LogRecord)]
    return [_with_point(p.item, p.point) for p in pieces if isinstance(p.item, Metric)]


def _with_point(metric: Metric, point: Point | None) -> Metric:
    """The metric with this one of its points."""
    data = metric.data
    if data is not None and point is not None:
        data = replace(data, points=[point])  # type: ignore[arg-type]
    return Metric(
        name=metric.name,
        description=metric.description,
        unit=metric.unit,
        data=data,
        metadata=metric.metadata,
        resource=metric.resource,
        scope=metric.scope,
    )


FACTORY = ExporterFactory("noveum", NoveumConfig, Noveum)
