"""Reading the bodies of requests within a listener's limits: each in size and time, and all of them
together in what they hold.

A body counts as it grows, not as it was declared: neither one of unknown length nor a promise that
is never kept takes or blocks more than what was really sent.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from genai_collector.errors import DecodeError, Overloaded, TooLarge


class BodyBudget:
    """The bytes that all requests of a listener may hold together."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, size: int, own: int) -> None:
        """`size` more for a request that holds `own` already. Raises Overloaded. One request alone
        finds room whatever its size is; its own limit is another one."""
        if self.held > own and self.held + size > self._limit:
            raise Overloaded("too many bytes of requests are being read", retry_after=1.0)
        self.held += size

    def give_back(self, size: int) -> None:
        self.held -= size


class Share:
    """What one request holds of a budget, until `close`."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._size = 0

    def grow(self, size: int) -> None:
        """So many bytes more. Raises Overloaded."""
        self._budget.take(size, self._size)
        self._size += size

    def close(self) -> None:
        self._budget.give_back(self._size)
        self._size = 0


# A request is answered in a task of its own.
_share: Final[ContextVar[Share | None]] = ContextVar("share", default=None)


def begin_request(budget: BodyBudget) -> Share:
    """Have what the running task reads counted. Close the share when it has answered."""
    share = Share(budget)
    _share.set(share)
    return share


def hold(size: int) -> None:
    """Count what was made of a body (decompressed, say), too. Raises Overloaded."""
    share = _share.get()
    if share is not None:
        share.grow(size)


class BodyTimeout(Exception):
    """The client took longer over its body than `read_timeout`."""


def declared_length(request: web.BaseRequest, limit: int) -> int:
    """The length that the header promises, 0 if none. Raises TooLarge for one over `limit`: ask
    before there is talk of room, or the client comes again with a body that never fits."""
    length = request.content_length or 0
    if length > limit:
        raise TooLarge(f"the body is over the limit of {limit} bytes")
    return length


async def read_body(request: web.BaseRequest, limit: int, timeout_s: float) -> bytes:
    """The body as sent. A declared length over `limit` is refused before anything is read.

    Raises TooLarge, DecodeError (broken framing), BodyTimeout, Overloaded (all bodies together are
    too much), or ConnectionError if the client went away.
    """
    declared_length(request, limit)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    content = request.content
    pieces: list[bytes] = []
    total = 0
    try:
        async with asyncio.timeout(timeout_s or None):
            while piece := await content.readany():
                total += len(piece)
                if total > limit:
                    raise TooLarge(f"the body is over the limit of {limit} bytes")
                hold(len(piece))
                pieces.append(piece)
    except TimeoutError as exc:
        raise BodyTimeout(f"the body did not arrive within {timeout_s:g} seconds") from exc
    except (web.RequestPayloadError, HttpProcessingError) as exc:
        raise DecodeError("the body's transfer encoding is broken") from exc
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
