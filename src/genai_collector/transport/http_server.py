"""HTTP servers that receivers share: one listener per endpoint, routes by method and path.

Receivers declare routes while they are built; `start()` opens every endpoint once, `stop()` closes
them all. What goes wrong outside a route is answered here, with a `google.rpc.Status` body: unknown
path 404, other method 405, a bug 500, stopping 503, what is not HTTP at all 400. Bodies reach the
handlers as they came, still compressed.
"""

from __future__ import annotations

import asyncio

from genai_collector.component import NoTelemetry, ServerAuth, Telemetry
from genai_collector.transport.http_body import BodyTimeout, declared_length, read_body
from genai_collector.transport.http_config import HttpServerConfig
from genai_collector.transport.http_listener import ANY, Claim, Handler, Listener, Taker
from genai_collector.transport.sockets import Endpoint, parse_endpoint

__all__ = [
    "ANY",
    "BodyTimeout",
    "Claim",
    "Handler",
    "HttpListeners",
    "HttpServerConfig",
    "Taker",
    "declared_length",
    "read_body",
]


class HttpListeners:
    """Every HTTP endpoint of the collector. Both `start` and `stop` may be called again."""

    def __init__(self, telemetry: Telemetry | None = None) -> None:
        self._telemetry = telemetry or NoTelemetry()
        self._listeners: dict[Endpoint, Listener] = {}
        self._running: list[Listener] = []

    def guard(
        self, settings: HttpServerConfig, auth: ServerAuth | None, *, option: str = "endpoint"
    ) -> None:
        """Have `auth` asked about every request to the settings' endpoint before anything of it is
        read, CORS preflights excepted. It must be what `settings.auth` names: an endpoint whose
        settings name one and that got none does not open.

        Raises ConfigError if the endpoint's other users have different settings.
        """
        self._listener(settings, option).auth = auth

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

    def _listener(self, settings: HttpServerConfig, option: str) -> Listener:
        key = parse_endpoint(settings.endpoint)
        listener = self._listeners.get(key)
        if listener is None:
            listener = self._listeners[key] = Listener(settings, option, self._telemetry)
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
