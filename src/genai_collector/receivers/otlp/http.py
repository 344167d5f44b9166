"""OTLP over HTTP: one handler per signal, protobuf and JSON told apart by Content-Type.

Source: the OTLP specification, "OTLP/HTTP". Where it is silent: a Content-Encoding that we do not
know is 415 with Accept-Encoding (RFC 9110, 15.5.16), a body that does not arrive in time is 408.
Paths may be shared: a JSON body that another receiver claims as its own format is given to it.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from genai_collector.errors import PipelineError
from genai_collector.receivers._http import refusal_of
from genai_collector.receivers.otlp.config import OtlpHttpConfig
from genai_collector.receivers.otlp.ingest import Ingest
from genai_collector.receivers.otlp.status import success_json, success_protobuf
from genai_collector.transport.compression import canonical_of
from genai_collector.transport.http_server import (
    BodyTimeout,
    Taker,
    declared_length,
    read_body,
)
from genai_collector.transport.rpc_status import JSON, PROTOBUF, Refusal, media_type, refuse

_PROTOBUF_HEADERS: Final = {"Content-Type": PROTOBUF}
_JSON_HEADERS: Final = {"Content-Type": JSON}


def nobody(_body: bytes) -> Taker | None:
    """On a path that is shared with no other format."""
    return None


class OtlpHttpHandler:
    """Answers POST on one signal's path."""

    def __init__(
        self,
        config: OtlpHttpConfig,
        ingest: Ingest,
        claimant: Callable[[bytes], Taker | None] = nobody,
    ) -> None:
        self._ingest = ingest
        self._claimant = claimant
        self._limit = config.max_request_body_size
        self._read_timeout_s = config.read_timeout
        self._encodings = frozenset(config.compression_algorithms)
        self._accept_encoding = ", ".join(name for name in config.compression_algorithms if name)

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        """The answer, whatever comes; only a lost connection is raised."""
        media = media_type(request)
        if media not in (PROTOBUF, JSON):
            return self._unsupported(request, "Content-Type", "Accept", f"{PROTOBUF}, {JSON}")
        encoding = canonical_of(request.headers.getall("Content-Encoding", ()))
        if encoding is None or encoding not in self._encodings:
            offer = self._accept_encoding or "identity"
            return self._unsupported(request, "Content-Encoding", "Accept-Encoding", offer)
        try:
            return await self._take(request, media, encoding)
        except PipelineError as exc:
            return refuse(request, refusal_of(exc))
        except BodyTimeout as exc:
            response = refuse(request, Refusal(HTTPStatus.REQUEST_TIMEOUT, str(exc)))
            response.force_close()
            return response

    async def _take(self, request: web.BaseRequest, media: str, encoding: str) -> web.Response:
        ingest = self._ingest
        with ingest.admit(declared_length(request, self._limit)):
            body = await read_body(request, self._limit, self._read_timeout_s)
            if media == PROTOBUF:
                acceptance = await ingest.take_protobuf(body, encoding)
                answer = success_protobuf(ingest.signal, acceptance)
                return web.Response(body=answer, headers=_PROTOBUF_HEADERS)
            data = await ingest.json(body, encoding)
            if taker := self._claimant(data):
                return await taker(request, data)
            acceptance = await ingest.take_json(data)
            return web.Response(body=success_json(ingest.signal, acceptance), headers=_JSON_HEADERS)

    def _unsupported(
        self, request: web.BaseRequest, what: str, header: str, offer: str
    ) -> web.Response:
        refusal = Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"unsupported {what}; send {offer}")
        return refuse(request, refusal, {header: offer})
