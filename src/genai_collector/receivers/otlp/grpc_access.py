"""How gRPC calls are refused: with a `google.rpc.Status` in the trailers, and strangers before a
byte of their message is read.

gRPC reads the one message of a unary call before it asks its handler, but of a stream only on
demand; on the wire both are the same. So a stranger's call is given to a handler of streams.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Final, NoReturn

import grpc

from genai_collector.component import ServerAuth
from genai_collector.errors import Retryable, Unauthenticated
from genai_collector.transport.authentication import refusal_of
from genai_collector.transport.rpc_status import Refusal, encode_protobuf
from genai_collector.transport.unexpected import UnexpectedErrors

_log: Final = logging.getLogger(__name__)
_DETAILS_TRAILER: Final = "grpc-status-details-bin"


async def abort(call: grpc.aio.ServicerContext, refusal: Refusal) -> NoReturn:
    """End the call with the refusal."""
    trailers = ((_DETAILS_TRAILER, encode_protobuf(refusal)),)
    await call.abort(refusal.code, refusal.message, trailing_metadata=trailers)
    raise AssertionError("abort raises")


class OnlyKnown(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Lets in the calls that the authenticator knows, whatever their method. `auth` gives the one
    to ask now; nobody comes in while there is none."""

    def __init__(self, auth: Callable[[], ServerAuth | None]) -> None:
        self._auth = auth
        self._unexpected = UnexpectedErrors(_log)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        auth = self._auth()
        if auth is None:
            return _refusing(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "not ready yet", 1.0))
        try:
            await auth.authenticate(_headers(handler_call_details.invocation_metadata))
        except (Unauthenticated, Retryable) as exc:
            return _refusing(refusal_of(exc))
        except Exception as exc:  # who could not be judged does not come in
            self._unexpected.report("gRPC authentication", exc)
            return _refusing(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"))
        return await continuation(handler_call_details)


def _headers(metadata: Iterable[tuple[str, str | bytes]] | None) -> dict[str, str]:
    """The first of each name; binary ones are nobody's credentials."""
    headers: dict[str, str] = {}
    for name, value in metadata or ():
        if isinstance(value, str):
            headers.setdefault(name, value)
    return headers


def _refusing(refusal: Refusal) -> grpc.RpcMethodHandler:
    async def refuse(_messages: object, call: grpc.aio.ServicerContext) -> bytes:
        return await abort(call, refusal)

    return grpc.stream_unary_rpc_method_handler(refuse)
