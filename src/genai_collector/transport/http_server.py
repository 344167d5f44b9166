"""HTTP servers that receivers share: one listener per endpoint, routes by method and path.

Receivers declare routes while they are built; `start()` opens every endpoint once, `stop()` closes
them all. What goes wrong outside a route is answered here, with a `google.rpc.Status` body: unknown
path 404, other method 405, a bug 500, stopping 503. What is not HTTP at all gets aiohttp's plain
400. Bodies reach the handlers as they came, still compressed.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeAlias

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import Field, field_validator

from genai_collector.component import ByteSize, Config, Duration
from genai_collector.errors import ConfigError, DecodeError, TooLarge
from genai_collector.transport.connection import Server
from genai_collector.transport.cors import Cors, CorsConfig
from genai_collector.transport.rpc_status import Refusal, refuse
from genai_collector.transport.sockets import Endpoint, address_of, bind, parse_endpoint
from genai_collector.transport.tls import ServerTLS, server_context
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

_log: Final = logging.getLogger(__name__)

# Reading in larger pieces than aiohttp's default saves wake-ups on bodies of megabytes.
_READ_BUFFER_BYTES: Final = 512 * 1024
_TLS_HANDSHAKE_TIMEOUT_S: Final = 10.0
# How long the rest of a refused body is read and thrown away, so that the client sees the answer.
_LINGER_S: Final = 5.0
_CLOSE_S: Final = 0.2
_BACKLOG: Final = 1024


class HttpServerConfig(Config):
    """A listener. Receivers that name the same endpoint share it and must agree on all of this."""

    endpoint: str = "localhost:4318"
    """Where to listen, as host:port. Anything but loopback is reachable by others."""
    tls: ServerTLS | None = None
    """TLS; plaintext if absent."""
    cors: CorsConfig | None = None
    """Which web pages may send; none if absent."""
    max_request_body_size: ByteSize = Field(default=64 * 1024 * 1024, gt=0)
    """Largest body, before and after decompression."""
    read_timeout: Duration = Field(default=60.0, ge=0)
    """Time that a client may take to send a body; 0 for ever."""
    idle_timeout: Duration = Field(default=120.0, gt=0)
    """Time that a connection may stay without a complete request header."""
    keep_alives_enabled: bool = True
    """Whether a connection may carry more than one request."""
    response_headers: dict[str, str] = Field(default_factory=dict)
    """Headers to add to every answer."""

    @field_validator("endpoint")
    @classmethod
    def _is_endpoint(cls, endpoint: str) -> str:
        parse_endpoint(endpoint)
        return endpoint

    def shared(self) -> dict[str, object]:
        """What listeners on one endpoint must agree on, by option."""
        return {
            name: getattr(self, name)
            for name in HttpServerConfig.model_fields
            if name != "endpoint"
        }


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

    Raises TooLarge, DecodeError (broken framing), BodyTimeout, or ConnectionError if the client
    went away.
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
                pieces.append(piece)
    except TimeoutError as exc:
        raise BodyTimeout(f"the body did not arrive within {timeout_s:g} seconds") from exc
    except (web.RequestPayloadError, HttpProcessingError) as exc:
        raise DecodeError("the body's transfer encoding is broken") from exc
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


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


class _Listener:
    """One endpoint with its routes."""

    def __init__(self, settings: HttpServerConfig, option: str) -> None:
        self.settings = settings
        self.option = option
        self.endpoint = parse_endpoint(settings.endpoint)
        self.addresses: list[Endpoint] = []
        self._routes: dict[str, dict[str, Handler]] = {}
        self._owners: dict[tuple[str, str], str] = {}
        self.claimed: dict[tuple[str, str], tuple[Claim, str]] = {}
        self._cors = (
            Cors(settings.cors) if settings.cors and settings.cors.allowed_origins else None
        )
        self._unexpected = UnexpectedErrors(_log)
        self._servers: list[asyncio.Server] = []
        self._web: Server | None = None
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

    async def start(self) -> None:
        tls = self._context()
        sockets = bind(self.endpoint, option=self.option)
        loop = asyncio.get_running_loop()
        self._stopping = False
        for (method, path), (claim, _) in self.claimed.items():
            self._routes.setdefault(path, {}).setdefault(method, claim.handler)
        self._web = Server(
            self._handle,
            access_log=None,
            logger=_ServerLog(_log, {}),
            auto_decompress=False,
            keepalive_timeout=self.settings.idle_timeout,
            read_bufsize=_READ_BUFFER_BYTES,
            lingering_time=_LINGER_S,
        )
        handshake = _TLS_HANDSHAKE_TIMEOUT_S if tls else None
        for sock in sockets:
            # Read before the server owns the socket: another loop may hide it.
            self.addresses.append(address_of(sock))
            self._servers.append(
                await loop.create_server(
                    self._web, sock=sock, ssl=tls, backlog=_BACKLOG, ssl_handshake_timeout=handshake
                )
            )

    def _context(self) -> ssl.SSLContext | None:
        try:
            return server_context(self.settings.tls) if self.settings.tls else None
        except ConfigError as exc:
            raise ConfigError(f"{self.option}: {exc}") from exc

    async def stop(self, grace_s: float) -> None:
        if self._web is None:
            return
        self._stopping = True
        for server in self._servers:
            server.close()
        await asyncio.sleep(0)  # requests that just arrived get to count themselves
        self._web.pre_shutdown()
        if self._in_flight:
            self._idle.clear()
            try:
                async with asyncio.timeout(grace_s):
                    await self._idle.wait()
            except TimeoutError:
                _log.warning("Requests were still running when their time to finish was over.")
        await self._web.shutdown(_CLOSE_S)
        self._web = None
        self._servers.clear()
        self.addresses.clear()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
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
            self._in_flight -= 1
            if not self._in_flight:
                self._idle.set()
        response.headers["Server"] = "genai-collector"
        response.headers.update(self.settings.response_headers)
        if self._cors and "Vary" not in response.headers:
            self._cors.add_to(response.headers, request)
        if not self.settings.keep_alives_enabled:
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
        methods = self._methods_at(request)
        if methods is None:
            return refuse(request, Refusal(HTTPStatus.NOT_FOUND, "there is nothing at this path"))
        handler = methods.get(request.method)
        if handler is not None:
            return await handler(request)
        if self._cors and self._cors.is_preflight(request):
            return self._cors.preflight(request)
        if ANY in methods:
            return await methods[ANY](request)
        allow = ", ".join(sorted({*methods, "OPTIONS"}))
        if request.method == "OPTIONS":
            return web.Response(status=204, headers={"Allow": allow})
        refusal = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, f"this path takes {allow}")
        return refuse(request, refusal, {"Allow": allow})


class HttpListeners:
    """Every HTTP endpoint of the collector. Both `start` and `stop` may be called again."""

    def __init__(self) -> None:
        self._listeners: dict[Endpoint, _Listener] = {}
        self._running: list[_Listener] = []

    def route(
        self,
        settings: HttpServerConfig,
        method: str,
        path: str,
        handler: Handler,
        *,
        option: str = "endpoint",
    ) -> None:
        """Have `handler` answer `method` on exactly `path` of the settings' endpoint, or (`ANY` as
        the last step) on all paths below that have no route of their own.

        `option` is the settings' place in the configuration, for messages. Raises ConfigError if
        the path is taken or the endpoint's other users have different settings.
        """
        self._listener(settings, option).add(method, path, handler, option)

    def claim(
        self,
        settings: HttpServerConfig,
        method: str,
        path: str,
        claim: Claim,
        *,
        option: str = "endpoint",
    ) -> None:
        """Share a path: its owner, who routed it, gives away what the claim says is not the
        owner's (`claimant`); without an owner the claim's handler has the whole path.

        Raises ConfigError as `route` does, and if somebody else claims there, too.
        """
        self._listener(settings, option).claim(method, path, claim, option)

    def claimant(
        self, settings: HttpServerConfig, method: str, path: str, body: bytes
    ) -> Taker | None:
        """Who takes this body in place of the path's owner, if anybody does."""
        listener = self._listeners.get(parse_endpoint(settings.endpoint))
        found = listener.claimed.get((method, path)) if listener is not None else None
        return found[0].take if found is not None and found[0].claims(body) else None

    def _listener(self, settings: HttpServerConfig, option: str) -> _Listener:
        key = parse_endpoint(settings.endpoint)
        listener = self._listeners.get(key)
        if listener is None:
            listener = self._listeners[key] = _Listener(settings, option)
        listener.check_agrees(settings, option)
        return listener

    async def start(self) -> None:
        """Open every endpoint that is not open yet. Raises ConfigError; then none stays open."""
        try:
            for listener in self._listeners.values():
                if listener not in self._running:
                    await listener.start()
                    self._running.append(listener)
        except BaseException:
            await self.stop(0)
            raise

    async def stop(self, grace_s: float) -> None:
        """Refuse new work, let what is in flight finish for `grace_s` seconds, then close."""
        running, self._running = self._running, []
        await asyncio.gather(*(listener.stop(grace_s) for listener in running))

    def addresses(self, endpoint: str) -> list[Endpoint]:
        """Where the endpoint really listens (with the port chosen for 0); empty if closed."""
        listener = self._listeners.get(parse_endpoint(endpoint))
        return list(listener.addresses) if listener else []

    def describe(self) -> list[str]:
        """One line per open address: scheme, host and port."""
        return [
            f"{'https' if listener.settings.tls else 'http'}://{address}"
            for listener in self._running
            for address in listener.addresses
        ]
