"""Traces over OTLP to a v4 server's direct write path.

A v4 server answers 200 once it has stored the request, whatever is in it, and makes of the same
span sent twice two observations. So the spans are made ready for its mapping beforehand
(`formats.langfuse.v4`), what one attempt has delivered is never part of the next one, and spans
that the server is known to have are not sent again. What a lost answer leaves open is sent again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Final

from genai_collector.component import Context, Sent
from genai_collector.delivery.http_errors import http_error
from genai_collector.errors import Partial, PipelineError, Refused, Retryable
from genai_collector.exporters._langfuse_attempt import Recent
from genai_collector.exporters._langfuse_config import LangfuseConfig
from genai_collector.formats import otlp
from genai_collector.formats.langfuse.v4 import prepare
from genai_collector.model import Batch, Signal, Span
from genai_collector.transport.http_client import Transport, compress_body, host_of

MISSING_IDS: Final = "missing_ids"
"""Langfuse refuses a whole request for one span without ids."""

_RETRYABLE: Final = frozenset((408, 429, *range(500, 600)))
_SHARE_OF_TIMEOUT: Final = 0.5
"""An attempt of several requests ends in good time, so that what it sent is not sent again."""
_GZIP: Final = ("gzip", "x-gzip")


class OtlpTraces:
    """One attempt per `export`. `headers` are the keys and our name."""

    def __init__(
        self,
        config: LangfuseConfig,
        context: Context,
        transport: Transport,
        headers: Mapping[str, str],
    ) -> None:
        self._config = config
        self._context = context
        self._transport = transport
        self._host = host_of(config.endpoint)
        self._sent = Recent(config.remember_sent)
        self._headers = {
            **headers,
            "Content-Type": "application/x-protobuf",
            "x-langfuse-ingestion-version": "4",
        }

    async def export(self, batch: Batch) -> Sent:
        spans = [span for span in batch.view_spans() if span.trace_id and span.span_id]
        dropped = Counter({MISSING_IDS: batch.count - len(spans)})
        refused = _without_ids(batch) if dropped.total() else []
        fresh = [span for span in spans if _identity(span) not in self._sent]
        messages = []
        if dropped.total():
            messages.append("some spans have no ids")
        if len(fresh) < len(spans):
            messages.append("some spans had been sent before")
        done = len(spans) - len(fresh)
        prepared = prepare(fresh, keep_unmapped=self._config.keep_unmapped)
        await self._send(batch, prepared, done, +dropped, refused)
        return Sent(len(spans), +dropped, "; ".join(messages), refused)

    async def _send(
        self,
        batch: Batch,
        prepared: Sequence[Span],
        done: int,
        dropped: Mapping[str, int],
        refused: Sequence[Refused],
    ) -> None:
        """Everything, request by request. When one fails, those before it stay delivered."""
        started = self._context.clock()
        enough = self._config.timeout * _SHARE_OF_TIMEOUT
        at = 0
        for part, body in self._parts(batch, prepared):
            try:
                if at and 0 < enough < self._context.clock() - started:
                    raise Retryable("one attempt was too short for all requests")
                await self._post(batch, body)
            except PipelineError as exc:
                if not at:
                    raise
                # The prepared spans, because they hold what those before said of their traces.
                raise Partial(
                    str(exc),
                    remaining=batch.with_items(list(prepared[at:])),
                    sent=done + at,
                    dropped=dropped,
                    refused=refused,
                    retry_after=exc.retry_after if isinstance(exc, Retryable) else None,
                ) from exc
            at += len(part)
            for span in part:
                self._sent.add(_identity(span))

    def _parts(
        self, batch: Batch, prepared: Sequence[Span]
    ) -> Iterator[tuple[Sequence[Span], bytes]]:
        """The spans in requests below the size limit, in order. A span that is larger goes alone;
        spans that were not changed go in the bytes they came in."""
        waiting = [prepared] if prepared else []
        while waiting:
            part = waiting.pop()
            body = (
                batch.encoded()
                if _is_same(part, batch.view_spans())
                else otlp.encode(Signal.TRACES, list(part))
            )
            if len(body) > self._config.max_batch_bytes and len(part) > 1:
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]
            else:
                yield part, body

    async def _post(self, batch: Batch, body: bytes) -> None:
        wanted = self._config.compression
        received = _as_it_came(batch, body, wanted)
        if received is not None:
            body, headers = received, {"Content-Encoding": "gzip"}
        else:
            level = self._config.compression_params.level
            body, headers = await compress_body(body, wanted, level)
        response = await self._transport.post(self._config.otlp_url, body, self._headers | headers)
        # The body of a success is a queue's note, no OTLP response, and says nothing of the spans.
        if not 200 <= response.status < 300:
            now_s = self._context.wall_clock_ns() / 1e9
            raise http_error(response, self._host, lambda: now_s, _RETRYABLE)


def _as_it_came(batch: Batch, body: bytes, compression: str) -> bytes | None:
    """The compressed bytes that were received, if this is their content and they will do."""
    compressed = batch.compressed
    if compressed is None or compression != "gzip" or compressed.encoding not in _GZIP:
        return None
    return compressed.data if body is batch.encoded() else None


def _without_ids(batch: Batch) -> list[Refused]:
    lost = [span for span in batch.view_spans() if not (span.trace_id and span.span_id)]
    return [Refused(batch.with_items(lost), MISSING_IDS, "a span without ids has no place there")]


def _identity(span: Span) -> Hashable:
    """What makes a span the very same one: more than its ids, lest one that says something else
    under them be lost."""
    return span.trace_id, span.span_id, span.start_ns, span.end_ns, span.name


def _is_same(part: Sequence[Span], spans: Sequence[Span]) -> bool:
    return len(part) == len(spans) and all(a is b for a, b in zip(part, spans, strict=True))
