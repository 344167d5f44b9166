"""One HTTP endpoint: its sockets, its routes, and what is answered outside of them.

While a configuration is reloaded, the new listener of an endpoint takes over what the old one has
opened (`component.handover`): no connection ends. With other settings it accepts on a copy of the
same sockets, and the connections of the old one end after the request that they carry.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeAlias

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from genai_collector.component import ServerAuth, Telemetry
from genai_collector.component.handover import Place, find
from genai_collector.errors import ConfigError
from genai_collector.transport.acceptor import Acceptor
from genai_collector.transport.authentication import refuse_stranger
from genai_collector.transport.connection import Patience, Server
from genai_collector.transport.cors import Cors
from genai_collector.transport.http_body import BodyBudget, begin_request
from genai_collector.transport.http_config import HttpServerConfig
from genai_collector.transport.renewed import Renewed
from genai_collector.transport.rpc_status import OTHER, REASONS, Refusal, refuse
from genai_collector.transport.sockets import Endpoint, address_of, bind, parse_endpoint
from genai_collector.transport.tls import server_context
from genai_collector.transport.unexpected import UnexpectedErrors

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

Taker: TypeAlias = Callable[[web.BaseRequest, bytes], Awaitable[web.Response]]
"""Answers a request whose body, decompressed, another handler has read."""


class Claim(NamedTuple):
    """A handler for some of the bodies on a path that may belong to another one."""

    claims: Callable[[bytes], bool]
    """Whether a body is this one's, judged by what it says."""
    take: Taker
    """For the bodies that the path's owner gives away."""
    handler: Handler
    """For the whole path, where nobody owns it."""


ANY: Final = "*"
"""As a method: every method without a handler of its own. As a path's last step: all below it."""

_KIND: Final = "http"
_log: Final = logging.getLogger(__name__)

# Reading in larger pieces than aiohttp's default saves wake-ups on bodies of megabytes.
_READ_BUFFER_BYTES: Final = 512 * 1024
# How long the rest of a refused body is read and thrown away, so that the client sees the answer.
_LINGER_S: Final = 5.0
_CLOSE_S: Final = 0.2

_MAX_HEADERS: Final = 100


class _ServerLog(logging.LoggerAdapter[logging.Logger]):
    """What aiohttp says, without its quotes from bad requests and without their tracebacks."""

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        self.logger.debug("The HTTP server turned something away.")

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        error = kwargs.get("exc_info")
        if isinstance(error, (HttpProcessingError, ConnectionError)):  # theirs, or nobody's
            self.debug(error)
        elif isinstance(error, BaseException):
            UnexpectedErrors(self.logger).report("HTTP server", error)
        else:
            self.logger.error("The HTTP server reports a failure: %s", type(error).__name__)

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        return msg, kwargs


class Listener:
    """One endpoint with its routes."""

    def __init__(self, settings: HttpServerConfig, option: str, telemetry: Telemetry) -> None:
        self.settings = settings
        self._telemetry = telemetry
        self._bodies = BodyBudget(settings.max_in_flight_body_size)
        self.option = option
        self.endpoint = parse_endpoint(settings.endpoint)
        # Port 0 is another port for everybody who asks; only the same asker may keep it.
        self._address = (self.endpoint, "" if self.endpoint.port else option)
        self.auth: ServerAuth | None = None
        self._routes: dict[str, dict[str, Handler]] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self.claimed: dict[tuple[str, str], tuple[Claim, str]] = {}
        self._cors = (
            Cors(settings.cors) if settings.cors and settings.cors.allowed_origins else None
        )
        self._unexpected = UnexpectedErrors(_log)
        self._place: _Place | None = None
        self._in_flight = 0
        self._idle = asyncio.Event()
        self._stopping = False

    def add(self, method: str, path: str, handler: Handler, option: str) -> None:
        owner = self._owners.setdefault((method, path), option)
        if path in self._routes and method in self._routes[path]:
            raise ConfigError(
                f"{option}: {method} {path} on {self.endpoint} is already served by {owner}; "
                "give one of them another endpoint or path"
            )
        self._routes.setdefault(path, {})[method] = handler

    def claim(self, method: str, path: str, claim: Claim, option: str) -> None:
        _, other = self.claimed.setdefault((method, path), (claim, option))
        if other != option:
            raise ConfigError(
                f"{option}: {method} {path} on {self.endpoint} is already claimed by {other}; "
                "give one of them another endpoint or path"
            )

    def check_agrees(self, settings: HttpServerConfig, option: str) -> None:
        theirs = settings.shared()
        differing = [
            name for name, value in self.settings.shared().items() if value != theirs[name]
        ]
        if differing:
            raise ConfigError(
                f"{option}: shares the endpoint {self.endpoint} with {self.option} but differs in "
                f"{', '.join(differing)}; make them equal or give one another endpoint"
            )

    @property
    def addresses(self) -> list[Endpoint]:
        """Where it listens; empty while closed."""
        return self._place.opened.addresses if self._place is not None else []

    async def start(self) -> None:
        """Listen. Raises ConfigError."""
        if self.settings.auth is not None and self.auth is None:
            raise ConfigError(f"{self.option}: this receiver does not support auth.authenticator")
        self._stopping = False
        for (method, path), (claim, _) in self.claimed.items():
            self._routes.setdefault(path, {}).setdefault(method, claim.handler)
        there: _Place | None = find(_KIND, self._address)
        if there is not None and there.opened_with(self.settings.shared()):
            there.join(self)
            self._place = there
            return
        context = self._context()
        if there is not None:
            sockets = [sock.dup() for sock in there.opened.acceptor.sockets]
        else:
            sockets = bind(self.endpoint, option=self.option)
        self._place = self._open(sockets, context)

    def _open(
        self, sockets: list[socket.socket], context: Callable[[], ssl.SSLContext] | None
    ) -> _Place:
        settings = self.settings

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await place.serving.handle(request)

        server = Server(
            handle,
            max_connections=settings.max_connections,
            patience=Patience(settings.read_header_timeout, settings.write_timeout, self._refused),
            access_log=None,
            logger=_ServerLog(_log, {}),
            auto_decompress=False,
            keepalive_timeout=settings.idle_timeout,
            max_line_size=settings.max_header_field_size,
            max_field_size=settings.max_header_field_size,
            max_headers=_MAX_HEADERS,
            read_bufsize=_READ_BUFFER_BYTES,
            lingering_time=_LINGER_S,
        )
        acceptor = Acceptor(server, server.has_room, context)
        opened = _Opened(server, acceptor, [address_of(sock) for sock in sockets])
        place: _Place = Place(_KIND, self._address, settings.shared(), opened, self)
        acceptor.start(sockets)
        return place

    def _context(self) -> Callable[[], ssl.SSLContext] | None:
        tls = self.settings.tls
        if tls is None:
            return None
        try:
            return Renewed(tls, partial(server_context, tls), self.option).get
        except ConfigError as exc:
            raise ConfigError(f"{self.option}: {exc}") from exc

    def _refused(self, reason: str) -> None:
        self._telemetry.refused_request(self.settings.endpoint, "http", reason)

    async def stop(self, grace_s: float) -> None:
        """Finish what is in flight; close, unless somebody else has taken over."""
        place, self._place = self._place, None
        if place is None:
            return
        opened, is_last = place.opened, place.leave(self)
        if is_last:
            self._stopping = True
            await opened.acceptor.close()
            await asyncio.sleep(0)  # requests that just arrived get to count themselves
            opened.server.pre_shutdown()
        if self._in_flight:
            self._idle.clear()
            try:
                async with asyncio.timeout(grace_s):
                    await self._idle.wait()
            except TimeoutError:
                _log.warning("Requests were still running when their time to finish was over.")
        if is_last:
            await opened.server.shutdown(_CLOSE_S)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to whatever comes on a connection."""
        share = begin_request(self._bodies)
        self._in_flight += 1
        try:
            response = await self._answer(request)
        except ConnectionError:
            raise  # the client is gone; aiohttp knows what to do
        except Exception as exc:  # a bug must not take the connection, let alone the server, down
            self._unexpected.report(f"{request.method} {self.endpoint}", exc)
            refusal = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
            response = refuse(request, refusal)
        finally:
            share.close()
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
        if response.status >= HTTPStatus.BAD_REQUEST:
            self._refused(REASONS.get(response.status, OTHER))
        response.headers["Server"] = "genai-collector"
        response.headers.update(self.settings.response_headers)
        if self._cors and "Vary" not in response.headers:
            self._cors.add_to(response.headers, request)
        if self._stopping or not self.settings.keep_alives_enabled:
            response.force_close()
        return response

    def _methods_at(self, request: web.BaseRequest) -> dict[str, Handler] | None:
        """The handlers of the exact path, else those of the longest `/*` above it."""
        methods = self._routes.get(request.raw_path) or self._routes.get(request.path)
        above = request.path
        while methods is None and above:
            above = above.rpartition("/")[0]
            methods = self._routes.get(f"{above}/{ANY}")
        return methods

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._stopping:
            refusal = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the collector is stopping", 1.0)
            response = refuse(request, refusal)
            response.force_close()
            return response
        # Browsers send no credentials with a preflight, and it does nothing.
        preflight = self._cors if self._cors and self._cors.is_preflight(request) else None
        if self.auth is not None and preflight is None:
            refused = await refuse_stranger(self.auth, request)
            if refused is not None:
                return refused
        methods = self._methods_at(request)
        if methods is None:
            return refuse(request, Refusal(HTTPStatus.NOT_FOUND, "there is nothing at this path"))
        if preflight is not None:
            return preflight.preflight(request)
        handler = methods.get(request.method)
        if handler is not None:
            return await handler(request)
        if ANY in methods:
            return await methods[ANY](request)
        allow = ", ".join(sorted({*methods, "OPTIONS"}))
        if request.method == "OPTIONS":
            return web.Response(status=204, headers={"Allow": allow})
        refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"this path takes {allow}")
        return refuse(request, refusal, {"Allow": allow})


class _Opened(NamedTuple):
    server: Server
    acceptor: Acceptor
    addresses: list[Endpoint]


_Place: TypeAlias = Place[_Opened, Listener]
