"""The `litellm` receiver: what LiteLLM's generic API callback sends.

    receivers:
      litellm:
        endpoint: localhost:4318        # shared with other receivers on the same address
        path: /litellm

    GENERIC_LOGGER_ENDPOINT=http://localhost:4318/litellm

LiteLLM deletes what it has sent whatever the answer is, unless told to retry, and then it retries
only after 5xx. So each record is judged by itself, the good ones are taken, and 503 is only for
what may be taken later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Final, NamedTuple, Self

import orjson
from aiohttp import web
from pydantic import Field, field_validator

from genai_collector.component import (
    ACCEPTED,
    TRACES,
    Acceptance,
    Consumer,
    Context,
    ReceiverFactory,
)
from genai_collector.errors import PipelineError
from genai_collector.formats import litellm, otlp
from genai_collector.formats.litellm import Payload, Refused
from genai_collector.model import Batch, Signal
from genai_collector.receivers._http import ENCODINGS, Bodies, Encoding, refusal_of, work
from genai_collector.transport.authentication import server_auth
from genai_collector.transport.http_server import BodyTimeout, HttpListeners, HttpServerConfig
from genai_collector.transport.rpc_status import JSON, Refusal, media_type, refuse

GRACE_S: Final = 5.0
"""Time that requests in flight get to finish when the receiver is left."""
MAX_TOLD: Final = 100
"""Refused records that are named in an answer."""

_TRANSPORT: Final = "http"
_MEDIA: Final = frozenset({JSON, "application/x-ndjson", "application/ndjson", "application/jsonl"})
_HEADERS: Final = {"Content-Type": JSON}


class LitellmConfig(HttpServerConfig):
    """Where to listen. The address may be another receiver's too."""

    path: str = "/litellm"
    """Path of GENERIC_LOGGER_ENDPOINT."""
    compression_algorithms: list[Encoding] = Field(default_factory=lambda: list(ENCODINGS))
    """Content codings to accept; the empty one is no compression."""
    keep_model_map: bool = True
    """Keep `model_map_information.model_map_value`, LiteLLM's price list of the model: more than
    half of every record, and nearly always the same."""

    @field_validator("path")
    @classmethod
    def _starts_with_slash(cls, path: str) -> str:
        return path if path.startswith("/") else "/" + path


class _Arrived(NamedTuple):
    """What one body held."""

    batch: Batch | None
    taken: int
    """Records in the batch."""
    refused: Sequence[Refused]


class LitellmReceiver:
    """Answers POST on the path, for the traces pipelines that name it."""

    def __init__(
        self, config: LitellmConfig, consumers: Mapping[Signal, Consumer], context: Context
    ) -> None:
        self._config = config
        self._context = context
        self._consumer = consumers[Signal.TRACES]
        self._bodies = Bodies(config, config.compression_algorithms)
        own = HttpListeners(context.telemetry) if context.listeners is None else None
        self._own_listeners = own
        self._listeners: HttpListeners = own or context.listeners
        option = f"receivers.{context.id}.endpoint"
        auth = server_auth(config.auth, context)
        self._listeners.guard(config, auth, option=option)
        self._listeners.route(config, "POST", config.path, self._answer, option=option)

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

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        if media_type(request) not in _MEDIA:
            return _unsupported(request, "Content-Type", "Accept", JSON)
        encoding = self._bodies.encoding_of(request)
        if encoding is None:
            offer = self._bodies.accept_encoding
            return _unsupported(request, "Content-Encoding", "Accept-Encoding", offer)
        try:
            with self._consumer.admit(self._bodies.length_of(request)):
                data = await self._bodies.read(request, encoding)
                return await self._take(data)
        except PipelineError as exc:
            return refuse(request, refusal_of(exc))
        except BodyTimeout as exc:
            response = refuse(request, Refusal(HTTPStatus.REQUEST_TIMEOUT, str(exc)))
            response.force_close()
            return response

    async def _take(self, data: bytes) -> web.Response:
        arrived = await work(len(data), self._decode, data)
        if arrived.refused:
            self._count_refused(len(arrived.refused))
        acceptance = ACCEPTED
        if arrived.batch is not None:
            acceptance = await self._consume(arrived.batch, arrived.taken)
        return _told(arrived, acceptance)

    def _decode(self, data: bytes) -> _Arrived:
        parsed = litellm.parse_each(data)
        decoder = litellm.PayloadDecoder()
        spans = []
        for _, payload in parsed.payloads:
            if not self._config.keep_model_map:
                _drop_model_map(payload)
            spans.append(decoder.decode(payload))
        batch = otlp.batch_of(Signal.TRACES, spans) if spans else None
        return _Arrived(batch, len(spans), parsed.refused)

    async def _consume(self, batch: Batch, count: int) -> Acceptance:
        try:
            acceptance = await self._consumer.consume(batch)
        except PipelineError:
            self._count_refused(count)
            raise
        context = self._context
        kept = count - acceptance.rejected
        context.telemetry.received(context.id, _TRANSPORT, Signal.TRACES, kept)
        if acceptance.rejected:
            self._count_refused(acceptance.rejected)
        return acceptance

    def _count_refused(self, items: int) -> None:
        self._context.telemetry.refused(self._context.id, _TRANSPORT, Signal.TRACES, items)


def _drop_model_map(payload: Payload) -> None:
    information = payload.get("model_map_information")
    if isinstance(information, dict) and "model_map_value" in information:
        information["model_map_value"] = None


def _told(arrived: _Arrived, acceptance: Acceptance) -> web.Response:
    """What became of the records; 400 only when there were some and none was any good."""
    answer: dict[str, object] = {
        "accepted": arrived.taken - acceptance.rejected,
        "rejected": [
            {"index": place, "error": error} for place, error in arrived.refused[:MAX_TOLD]
        ],
    }
    more = max(0, len(arrived.refused) - MAX_TOLD) + acceptance.rejected
    if more:
        answer["rejected_more"] = more
    if acceptance.message:
        answer["message"] = acceptance.message
    nothing = arrived.batch is None and arrived.refused
    status = HTTPStatus.BAD_REQUEST if nothing else HTTPStatus.OK
    return web.Response(status=status, body=orjson.dumps(answer), headers=_HEADERS)


def _unsupported(request: web.BaseRequest, what: str, header: str, offer: str) -> web.Response:
    message = f"unsupported {what}; send {offer}"
    return refuse(request, Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message), {header: offer})


FACTORY: Final = ReceiverFactory("litellm", LitellmConfig, LitellmReceiver, signals=TRACES)
