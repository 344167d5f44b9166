"""The `otlp` receiver: OpenTelemetry's own protocol over gRPC and HTTP.

receivers:
  otlp:
    protocols:
      grpc: {endpoint: localhost:4317}
      http: {endpoint: localhost:4318}
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from types import TracebackType
from typing import Final, Self

from genai_collector.component import Consumer, Context, ReceiverFactory
from genai_collector.model import Signal
from genai_collector.receivers.otlp.config import OtlpConfig, OtlpHttpConfig
from genai_collector.receivers.otlp.grpc import OtlpGrpcServer
from genai_collector.receivers.otlp.http import OtlpHttpHandler
from genai_collector.receivers.otlp.ingest import Ingest
from genai_collector.transport.authentication import server_auth
from genai_collector.transport.http_server import HttpListeners

GRACE_S: Final = 5.0
"""Time that requests in flight get to finish when the receiver is left."""


class OtlpReceiver:
    """Takes the signals that have a consumer; the others are unknown paths and methods.

    HTTP routes are declared on construction. The host opens and closes the listeners it shares
    between receivers; without such a host the receiver has its own.
    """

    def __init__(
        self, config: OtlpConfig, consumers: Mapping[Signal, Consumer], context: Context
    ) -> None:
        self._config = config
        self._consumers = consumers
        self._context = context
        own = HttpListeners(context.telemetry) if context.listeners is None else None
        self._own_listeners = own
        self._listeners: HttpListeners = own or context.listeners
        self._option = f"receivers.{context.id}.protocols"
        self._grpc: OtlpGrpcServer | None = None
        protocols = config.protocols
        if protocols.http is not None:
            self._add_routes(protocols.http)
        if protocols.grpc is not None:
            limits = (protocols.grpc.max_message_bytes, protocols.grpc.max_request_values)
            self._grpc = OtlpGrpcServer(
                protocols.grpc,
                {signal: self._ingest(signal, "grpc", *limits) for signal in consumers},
                context.log,
                f"{self._option}.grpc.endpoint",
                server_auth(protocols.grpc.auth, context, "protocols.grpc"),
            )

    def _ingest(self, signal: Signal, transport: str, limit: int, max_values: int) -> Ingest:
        consumer = self._consumers[signal]
        return Ingest(signal, consumer, self._context, transport, limit, max_values)

    def _add_routes(self, http: OtlpHttpConfig) -> None:
        auth = server_auth(http.auth, self._context, "protocols.http")
        self._listeners.guard(http, auth, option=f"{self._option}.http.endpoint")
        for signal in self._consumers:
            limits = (http.max_request_body_size, http.max_request_values)
            ingest = self._ingest(signal, "http", *limits)
            path = http.path(signal)
            claimant = partial(self._listeners.claimant, http, "POST", path)
            handler = OtlpHttpHandler(http, ingest, claimant)
            option = f"{self._option}.http.endpoint"
            self._listeners.route(http, "POST", path, handler, option=option)

    async def __aenter__(self) -> Self:
        if self._own_listeners is not None:
            await self._own_listeners.start()
        if self._grpc is not None:
            try:
                await self._grpc.start()
            except BaseException:
                await self._close(0)
                raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close(GRACE_S)

    async def _close(self, grace_s: float) -> None:
        stops = [self._own_listeners.stop(grace_s)] if self._own_listeners is not None else []
        if self._grpc is not None:
            stops.append(self._grpc.stop(grace_s))
        await asyncio.gather(*stops)

    def endpoints(self) -> list[str]:
        """What listens where, such as `http://127.0.0.1:4318`; empty while closed."""
        found: list[str] = []
        if self._grpc is not None and self._config.protocols.grpc is not None:
            scheme = "grpcs" if self._config.protocols.grpc.tls else "grpc"
            found += [f"{scheme}://{address}" for address in self._grpc.addresses]
        http = self._config.protocols.http
        if http is not None:
            scheme = "https" if http.tls else "http"
            addresses = self._listeners.addresses(http.endpoint)
            found += [f"{scheme}://{address}" for address in addresses]
        return found


FACTORY: Final = ReceiverFactory("otlp", OtlpConfig, OtlpReceiver, stability="stable")
