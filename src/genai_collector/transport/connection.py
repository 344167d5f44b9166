"""HTTP connections of a listener: how many there are, how long they may dally, and what is said to
those who do not speak HTTP.

aiohttp answers what is no valid HTTP (a bad header, a bad length, an unknown method word) before
any route sees it, as text that may quote the request. Here the body is a `google.rpc.Status` in
JSON, since nobody knows what encoding was meant.

When all connections are taken, the idle one that deserves it least makes room for a new one: one
that never brought a request before one that did, then the one that is idle the longest. So those
who only hold connections keep nobody out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.http import HttpRequestParser
from aiohttp.web_protocol import RequestHandler

from genai_collector.transport.rpc_status import Refusal, refuse

_NOT_HTTP = "this is not an HTTP request that can be read"
_BUG = "the collector failed to answer"
_END_OF_HEADER = b"\r\n\r\n"


class Patience(NamedTuple):
    """How long a connection may take, in seconds (0 for ever), and who hears that it was longer."""

    header_s: float
    """From the first byte of a request's header to its last."""
    write_s: float
    """Without reading anything of an answer that waits to be read."""
    on_lost: Callable[[str], None]
    """Called with `slow_header`, `slow_reader`, or `connections` if it had to go for another."""


class _Timer:
    """Calls something after a while, unless it is stopped before."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, after_s: float, call: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._after_s = after_s
        self._call = call
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """From now on, if it does not run already; never if the time is 0."""
        if self._handle is None and self._after_s:
            self._handle = self._loop.call_later(self._after_s, self._call)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class _Connection(RequestHandler):
    __slots__ = (
        *("_header_timer", "_idle_since", "_last_bytes"),
        *("_patience", "_was_chunked", "_write_timer"),
    )

    def __init__(self, manager: web.Server, patience: Patience, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._patience = patience
        self._header_timer = _Timer(self._loop, patience.header_s, self._header_late)
        self._write_timer = _Timer(self._loop, patience.write_s, self._write_late)
        self._idle_since = self._loop.time()
        self._was_chunked = False
        """Whether the parser may hold something of a request before."""
        self._last_bytes = b""

    @property
    def is_idle(self) -> bool:
        """Waiting for a request whose header has not arrived."""
        return self._waiter is not None and not self._waiter.done()

    @property
    def merit(self) -> tuple[bool, float]:
        """The lowest goes first when room is needed."""
        return self._request_count > 0, self._idle_since

    def end(self) -> None:
        """Close if nothing is being asked. Otherwise the answer says that it was the last one: who
        is heard, or has just connected, is never left without one."""
        if self.is_idle:
            self.force_close()

    def drop(self) -> None:
        """Close now, whatever the other end does about it."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """As aiohttp does, with a time limit from a header's first byte to its last."""
        if self._was_chunked and self.is_idle:
            if self._last_bytes != _END_OF_HEADER:
                self.drop()  # it has begun with the next one already
                return
            self._was_chunked = False
            self._parser = self._new_parser()
        before = len(self._messages)
        super().data_received(data)
        self._last_bytes = (data if len(data) > 3 else self._last_bytes + data)[-4:]
        self._judge_from(before)
        if not self.is_idle:
            self._header_timer.stop()
            self._idle_since = self._loop.time()
        else:
            self._header_timer.start()

    def _judge_from(self, place: int) -> None:
        """Of the requests from this place on, none may stay that came behind a chunked one."""
        while place < len(self._messages):
            if self._was_chunked:
                while len(self._messages) > place:
                    self._messages.pop()
                self._close = True  # after the answer that is being made
            else:
                self._was_chunked = getattr(self._messages[place][0], "chunked", False)
                place += 1

    def _new_parser(self) -> HttpRequestParser:
        """As `RequestHandler` makes it."""
        return HttpRequestParser(
            self,
            self._loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=self._max_msg_queue_size,
        )

    def pause_writing(self) -> None:
        """As aiohttp does, with a time limit for a client that does not read its answers."""
        super().pause_writing()
        self._write_timer.start()

    def resume_writing(self) -> None:
        self._write_timer.stop()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._header_timer.stop()
        self._write_timer.stop()
        super().connection_lost(exc)

    def _header_late(self) -> None:
        self._header_timer.stop()
        if self.is_idle:
            self._patience.on_lost("slow_header")
            self.drop()

    def _write_late(self) -> None:
        self._patience.on_lost("slow_reader")
        self.drop()

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
    """`aiohttp.web.Server` with at most `max_connections` (0: any number), as above."""

    def __init__(
        self, handler: Any, *, max_connections: int, patience: Patience, **kwargs: Any
    ) -> None:
        super().__init__(handler, **kwargs)
        self._max_connections = max_connections
        self._patience = patience

    def __call__(self) -> Any:
        return _Connection(self, self._patience, loop=self._loop, **self._kwargs)

    def pre_shutdown(self) -> None:
        """Close the connections that are idle. aiohttp's own way has them stay open and deaf, and
        those too whose body is on its way."""
        for one in list(self._connections):
            if isinstance(one, _Connection):
                one.end()

    def has_room(self, beginning: int) -> bool:
        """Whether one more connection may begin while so many are at it; makes room for it if
        somebody is idle."""
        if not self._max_connections or len(self._connections) + beginning < self._max_connections:
            return True
        self._patience.on_lost("connections")
        idle = [one for one in self._connections if isinstance(one, _Connection) and one.is_idle]
        if idle:
            min(idle, key=lambda one: one.merit).drop()
        return bool(idle)
