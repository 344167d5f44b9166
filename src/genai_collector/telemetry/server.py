"""A small HTTP server for what the collector says of itself: own metrics, health.

It answers GET on fixed paths from functions that cannot wait, and is independent of the receivers'
listeners, so that it can answer before they open and while they close.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Final, NamedTuple, Self

from aiohttp import web

from genai_collector.errors import ConfigError

_BACKLOG: Final = 16


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
        self._routes = dict(routes)
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on (what port 0 became)."""
        assert self._runner is not None
        address = self._runner.addresses[0]
        return int(address[1])

    async def __aenter__(self) -> Self:
        app = web.Application()
        for path, answer in self._routes.items():
            app.router.add_get(path, _handler(answer))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, backlog=_BACKLOG).start()
        except OSError as exc:
            await runner.cleanup()
            reason = os.strerror(exc.errno).lower() if exc.errno else str(exc)
            raise ConfigError(
                f"cannot listen on {self._endpoint}: {reason}; "
                f"free it, or choose another in {self._option}"
            ) from exc
        self._runner = runner
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


def _handler(answer: Callable[[], Reply]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(_request: web.Request) -> web.StreamResponse:
        status, content_type, body = answer()
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    return handle
