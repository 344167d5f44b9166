"""HTTP connections that answer a malformed request as everything else is refused.

aiohttp answers what is no valid HTTP (a bad header, a bad length, an unknown method word) before
any route sees it, as text that may quote the request. Here the body is a `google.rpc.Status` in
JSON, since nobody knows what encoding was meant.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from genai_collector.transport.rpc_status import Refusal, refuse

_NOT_HTTP = "this is not an HTTP request that can be read"
_BUG = "the collector failed to answer"


class _Connection(RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """aiohttp's own handling (what it logs, when it gives up), with our body."""
        super().handle_error(request, status, exc, message)
        theirs = status < HTTPStatus.INTERNAL_SERVER_ERROR
        known = HTTPStatus.BAD_REQUEST if theirs else HTTPStatus.INTERNAL_SERVER_ERROR
        response = refuse(
            request, Refusal(known, _NOT_HTTP if theirs else _BUG), {"Server": "genai-collector"}
        )
        response.force_close()
        return response


class Server(web.Server):
    """`aiohttp.web.Server` whose connections answer as above."""

    def __call__(self) -> Any:
        return _Connection(self, loop=self._loop, **self._kwargs)
