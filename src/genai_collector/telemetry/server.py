"""A small HTTP server for what the collector says of itself: own metrics, health.

It answers GET on fixed paths from functions that cannot wait, and is independent of the receivers'
listeners, so that it can answer before they open and while they close. While a configuration is
reloaded, servers of one address are one (`component.handover`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self, TypeAlias

from aiohttp import web

from genai_collector.component.handover import Place, find
from genai_collector.errors import ConfigError

_BACKLOG: Final = 16
_KIND: Final = "plain"
_ALLOW: Final = {"Allow": "GET, HEAD"}


class Reply(NamedTuple):
    status: int
    content_type: str
    body: bytes


def split_endpoint(endpoint: str) -> tuple[str | None, int]:
    """Host and port of `localhost:8888`, `[::1]:8888`, `:8888` (None: every address).

    Raises ValueError with what is expected.
    """
    host, separator, port = endpoint.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 0xFFFF:
        raise ValueError(f"expected host:port, such as localhost:8888, got {endpoint!r}")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"expected an IPv6 address in brackets, such as [::1]:{port}")
    # As otelcol: `localhost` is the one IPv4 loopback, so that port 0 is one port.
    return ("127.0.0.1" if host == "localhost" else host or None), int(port)


class PlainServer:
    """An async context manager: listens between enter and exit. Entering raises ConfigError, which
    names `option` (the place in the configuration to change), when it cannot."""

    def __init__(
        self, endpoint: str, routes: Mapping[str, Callable[[], Reply]], option: str
    ) -> None:
        self._endpoint = endpoint
        self._option = option
        self._host, self._port = split_endpoint(endpoint)
        # Port 0 is another port for everybody who asks; only the same asker may keep it.
        self._address = (self._host, self._port, "" if self._port else option)
        self._routes = dict(routes)
        self._place: _Place | None = None

    @property
    def port(self) -> int:
        """The port that is listened on (what port 0 became)."""
        assert self._place is not None
        address = self._place.opened.addresses[0]
        return int(address[1])

    async def __aenter__(self) -> Self:
        place: _Place | None = find(_KIND, self._address)
        if place is not None:
            place.join(self)
        self._place = place or await self._open()
        return self

    async def _open(self) -> _Place:
        async def handle(request: web.Request) -> web.StreamResponse:
            return place.serving.answer(request)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        place = _Place(_KIND, self._address, None, runner, self)
        try:
            await web.TCPSite(runner, self._host, self._port, backlog=_BACKLOG).start()
        except OSError as exc:
            place.leave(self)
            await runner.cleanup()
            reason = os.strerror(exc.errno).lower() if exc.errno else str(exc)
            raise ConfigError(
                f"cannot listen on {self._endpoint}: {reason}; "
                f"free it, or choose another in {self._option}"
            ) from exc
        return place

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        place, self._place = self._place, None
        if place is not None and place.leave(self):
            await place.opened.cleanup()

    def answer(self, request: web.Request) -> web.Response:
        """What this server says to a request."""
        route = self._routes.get(request.path)
        if route is None:
            return web.Response(status=404, text="404: Not Found")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, text="405: Method Not Allowed", headers=_ALLOW)
        status, content_type, body = route()
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})


_Place: TypeAlias = Place[web.AppRunner, PlainServer]
