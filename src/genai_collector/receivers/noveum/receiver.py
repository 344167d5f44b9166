"""The `noveum` receiver: what Noveum's gateway logs and what its SDK traces.

    receivers:
      noveum:
        endpoint: localhost:4318        # shared with other receivers on the same address

    POST /v1/logs/noveum                 log records
    POST /ai-gateway-metrics/_doc        a log record, as released gateways send it
    POST /v1/traces                      NOVEUM_ENDPOINT=http://localhost:4318

Each path takes all of Noveum's forms. `/v1/traces` is OTLP's, too: where an `otlp` receiver has
it, that one gives away the JSON bodies that are Noveum's by what stands at their top.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from http import HTTPStatus
from types import TracebackType
from typing import Final, NamedTuple, Self

from aiohttp import web

from genai_collector.component import Consumer, Context, ReceiverFactory
from genai_collector.errors import PipelineError
from genai_collector.formats import noveum, otlp
from genai_collector.model import Items, Signal
from genai_collector.receivers._http import Bodies, refusal_of, work
from genai_collector.receivers.noveum import answers
from genai_collector.receivers.noveum.access import Access
from genai_collector.receivers.noveum.config import NoveumReceiverConfig
from genai_collector.receivers.noveum.sent_before import SentBefore, ids_of
from genai_collector.transport.authentication import server_auth
from genai_collector.transport.http_server import BodyTimeout, Claim, Handler, HttpListeners
from genai_collector.transport.rpc_status import JSON, Refusal, media_type, refuse

GRACE_S: Final = 5.0
"""Time that requests in flight get to finish when the receiver is left."""

_TRANSPORT: Final = "http"
_MEDIA: Final = frozenset({JSON, "application/x-ndjson", "application/ndjson", "application/jsonl"})


class _Taken(NamedTuple):
    """What became of a body."""

    accepted: int
    duplicates: int
    refused: list[tuple[str, str]]
    message: str
    first_id: str
    """Of the first span, new or not."""


class NoveumReceiver:
    """Takes the signals that have a consumer; of the others each item is refused."""

    def __init__(
        self,
        config: NoveumReceiverConfig,
        consumers: Mapping[Signal, Consumer],
        context: Context,
    ) -> None:
        self._config = config
        self._consumers = consumers
        self._context = context
        self._access = Access(config)
        self._before = SentBefore(config.remember)
        self._bodies = Bodies(config, config.compression_algorithms)
        own = HttpListeners(context.telemetry) if context.listeners is None else None
        self._own_listeners = own
        self._listeners: HttpListeners = own or context.listeners
        self._add_routes(f"receivers.{context.id}.endpoint")

    def _add_routes(self, option: str) -> None:
        config = self._config
        auth = server_auth(config.auth, self._context)
        self._listeners.guard(config, auth, option=option)
        routes: dict[str, Handler] = {
            config.logs_path: self._post,
            f"{config.traces_path.rstrip('/')}/single": self._post,
        }
        if config.elasticsearch is not None:
            routes[f"/{config.elasticsearch.index}/_doc"] = self._post_document
        for path, handler in routes.items():
            self._listeners.route(config, "POST", path, handler, option=option)
        claim = Claim(noveum.is_noveum, self._take_given, self._post)
        self._listeners.claim(config, "POST", config.traces_path, claim, option=option)

    async def __aenter__(self) -> Self:
        if self._own_listeners is not None:
            await self._own_listeners.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._own_listeners is not None:
            await self._own_listeners.stop(GRACE_S)

    def endpoints(self) -> list[str]:
        """Where it listens, such as `http://127.0.0.1:4318`; empty while closed."""
        scheme = "https" if self._config.tls else "http"
        addresses = self._listeners.addresses(self._config.endpoint)
        return [f"{scheme}://{address}" for address in addresses]

    # ---- the doors -------------------------------------------------------------------------

    async def _post(self, request: web.BaseRequest) -> web.Response:
        """Records and traces."""
        if not self._access.api(request.headers.get("Authorization", "")):
            return answers.unauthorized()
        return await self._read(request, self._take)

    async def _take_given(self, request: web.BaseRequest, data: bytes) -> web.Response:
        """A body that the owner of the path has read already."""
        if not self._access.api(request.headers.get("Authorization", "")):
            return answers.unauthorized()
        with self._admit(len(data)):
            return await self._take(data)

    async def _post_document(self, request: web.BaseRequest) -> web.Response:
        """A record for an index."""
        if not self._access.gateway(request.headers.get("Authorization", "")):
            reason = "unable to authenticate user"
            return answers.document_refused(HTTPStatus.UNAUTHORIZED, "security_exception", reason)
        return await self._read(request, self._take_document)

    async def _read(
        self, request: web.BaseRequest, take: Callable[[bytes], Awaitable[web.Response]]
    ) -> web.Response:
        if media_type(request) not in _MEDIA:
            return _unsupported(request, "Content-Type", "Accept", JSON)
        encoding = self._bodies.encoding_of(request)
        if encoding is None:
            offer = self._bodies.accept_encoding
            return _unsupported(request, "Content-Encoding", "Accept-Encoding", offer)
        try:
            with self._admit(self._bodies.length_of(request)):
                return await take(await self._bodies.read(request, encoding))
        except PipelineError as exc:
            return refuse(request, refusal_of(exc))
        except BodyTimeout as exc:
            response = refuse(request, Refusal(HTTPStatus.REQUEST_TIMEOUT, str(exc)))
            response.force_close()
            return response

    # ---- what is in the bodies -------------------------------------------------------------

    async def _take(self, data: bytes) -> web.Response:
        taken = await self._taken(data)
        return answers.answer(taken.accepted, taken.duplicates, taken.refused, taken.message)

    async def _take_document(self, data: bytes) -> web.Response:
        taken = await self._taken(data)
        if taken.refused and not taken.accepted:
            kind, reason = "document_parsing_exception", taken.refused[0][1]
            return answers.document_refused(HTTPStatus.BAD_REQUEST, kind, reason)
        assert self._config.elasticsearch is not None
        return answers.document_created(self._config.elasticsearch.index, taken.first_id)

    async def _taken(self, data: bytes) -> _Taken:
        """Raises PipelineError; then what of the body was not taken may come again."""
        document = await work(len(data), noveum.read_document, data)
        spans = self._before.new(document.spans)
        duplicates = len(document.spans) - len(spans)
        first = document.spans[0].span_id.hex() if document.spans else ""
        if document.refused:
            self._count_refused(Signal.TRACES, len(document.refused))
        accepted, messages = 0, []
        found: dict[Signal, Items] = {
            Signal.TRACES: spans,
            Signal.METRICS: document.metrics,
            Signal.LOGS: document.logs,
        }
        for signal, items in found.items():
            if items and signal not in self._consumers:
                self._count_refused(signal, len(items))
                document.refused.append((str(signal), f"no pipeline takes {signal} from here"))
            elif items:
                ids = ids_of(spans) if signal is Signal.TRACES else []
                number, message = await self._consume(signal, items)
                self._before.remember(ids)
                accepted += number
                messages += [message] if message else []
        return _Taken(accepted, duplicates, document.refused, "; ".join(messages), first)

    async def _consume(self, signal: Signal, items: Items) -> tuple[int, str]:
        batch = otlp.batch_of(signal, items)
        count, consumer = batch.count, self._consumers[signal]
        try:
            with consumer.admit(0):  # the size of the body is held already
                acceptance = await consumer.consume(batch)
        except PipelineError:
            self._count_refused(signal, count)
            raise
        kept = count - acceptance.rejected
        self._context.telemetry.received(self._context.id, _TRANSPORT, signal, kept)
        if acceptance.rejected:
            self._count_refused(signal, acceptance.rejected)
        return kept, acceptance.message

    def _admit(self, size_bytes: int) -> AbstractContextManager[None]:
        """Room for a body; whose items it has is known only when it is read."""
        return next(iter(self._consumers.values())).admit(size_bytes)

    def _count_refused(self, signal: Signal, items: int) -> None:
        self._context.telemetry.refused(self._context.id, _TRANSPORT, signal, items)


def _unsupported(request: web.BaseRequest, what: str, header: str, offer: str) -> web.Response:
    message = f"unsupported {what}; send {offer}"
    return refuse(request, Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message), {header: offer})


FACTORY: Final = ReceiverFactory("noveum", NoveumReceiverConfig, NoveumReceiver)
