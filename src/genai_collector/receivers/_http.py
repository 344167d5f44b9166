"""What receivers over HTTP have in common: reading a body, and what a client is told of a refusal.

Clients try again only after 429, 502, 503 and 504 (OTLP), or after any 5xx (LiteLLM), so only what
may be taken later is a 503.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final, Literal, ParamSpec, TypeAlias, TypeVar

from aiohttp import web

from genai_collector.errors import DecodeError, Permanent, PipelineError, Retryable, TooLarge
from genai_collector.transport.compression import LARGE_BODY_BYTES, canonical_of, decompress
from genai_collector.transport.http_body import hold
from genai_collector.transport.http_server import HttpServerConfig, declared_length, read_body
from genai_collector.transport.rpc_status import Refusal

P = ParamSpec("P")
R = TypeVar("R")

Encoding: TypeAlias = Literal["", "gzip", "deflate", "zstd"]
ENCODINGS: Final[tuple[Encoding, ...]] = ("", "gzip", "deflate", "zstd")

HTTP_OF: Final[tuple[tuple[type[PipelineError], HTTPStatus], ...]] = (
    (DecodeError, HTTPStatus.BAD_REQUEST),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (Permanent, HTTPStatus.INTERNAL_SERVER_ERROR),
    (Retryable, HTTPStatus.SERVICE_UNAVAILABLE),
    (PipelineError, HTTPStatus.INTERNAL_SERVER_ERROR),
)
"""First match wins; the gRPC code follows from the HTTP status (`rpc_status.OF_HTTP`)."""

DEFAULT_RETRY_AFTER_S: Final = 1.0
"""What a client is told where the refusal does not say."""

MAX_MESSAGE_CHARS: Final = 1000


def refusal_of(error: PipelineError) -> Refusal:
    """What the client is told about `error`."""
    http = next(status for kind, status in HTTP_OF if isinstance(error, kind))
    if isinstance(error, Permanent) and error.data_fault and http >= 500:
        http = HTTPStatus.BAD_REQUEST
    message = str(error)[:MAX_MESSAGE_CHARS]
    if not isinstance(error, Retryable):
        return Refusal(http, message)
    wait = DEFAULT_RETRY_AFTER_S if error.retry_after is None else max(0.0, error.retry_after)
    return Refusal(http, message, wait)


async def work(size: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call it, in a thread where a body of this size would hold up other requests."""
    if size < LARGE_BODY_BYTES:
        return function(*args, **kwargs)
    return await asyncio.to_thread(function, *args, **kwargs)


_SCALARS_PER_VALUE: Final = 10


def check_json_density(data: bytes, limit: int) -> None:
    """Raises TooLarge if a document may have more than `limit` objects and lists, or ten times as
    many values of any kind. What stands in texts counts, too: nothing is parsed here."""
    if len(data) < 2 * limit:
        return
    structures = data.count(b"{") + data.count(b"[")
    if structures > limit or data.count(b",") > _SCALARS_PER_VALUE * limit:
        raise TooLarge(f"the body has more than {limit} values in it")


class Bodies:
    """Reads bodies within a listener's limits."""

    def __init__(self, settings: HttpServerConfig, encodings: Sequence[Encoding]) -> None:
        self._limit = settings.max_request_body_size
        self._timeout_s = settings.read_timeout
        self._max_values = settings.max_request_values
        self._encodings = frozenset(encodings)
        self.accept_encoding: Final = ", ".join(name for name in encodings if name) or "identity"

    def encoding_of(self, request: web.BaseRequest) -> str | None:
        """The content coding, empty for none; None for one that is not accepted."""
        encoding = canonical_of(request.headers.getall("Content-Encoding", ()))
        return encoding if encoding in self._encodings else None

    def length_of(self, request: web.BaseRequest) -> int:
        """What it asks room for before it is read. Raises TooLarge, as `declared_length`."""
        return declared_length(request, self._limit)

    async def read(self, request: web.BaseRequest, encoding: str) -> bytes:
        """The body, decompressed: JSON. Raises as `read_body` and `decompress` do, and TooLarge if
        it has too many values in it."""
        data = await read_body(request, self._limit, self._timeout_s)
        if encoding:
            data = await work(len(data), decompress, encoding, data, self._limit)
            hold(len(data))
        check_json_density(data, self._max_values)
        return data
