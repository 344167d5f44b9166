"""The `langfuse` receiver: what Langfuse's SDKs send, of every generation.

receivers:
  langfuse:
    projects:
      - {name: web, public_key: pk-lf-1, secret_key: "${env:LANGFUSE_SECRET_KEY}"}
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

from genai_collector.component import Consumer, Context, ReceiverFactory
from genai_collector.model import Signal
from genai_collector.receivers.langfuse.assembly import Assembly
from genai_collector.receivers.langfuse.config import LangfuseConfig
from genai_collector.receivers.langfuse.outlet import Outlet
from genai_collector.receivers.langfuse.routes import Api
from genai_collector.transport.http_server import HttpListeners

GRACE_S: Final = 5.0
"""Time that what is assembled gets to enter the pipelines when the receiver is left."""


class LangfuseReceiver:
    """Takes batches, scores and OTLP on the shared listener.

    Leaving: new requests are refused, everything that waits becomes spans, and those go into the
    pipelines, which are still there.
    """

    def __init__(
        self, config: LangfuseConfig, consumers: Mapping[Signal, Consumer], context: Context
    ) -> None:
        self._config = config
        self._context = context
        self._own_listeners = HttpListeners() if context.listeners is None else None
        self._listeners: HttpListeners = self._own_listeners or context.listeners
        assembly = Assembly(config.assembly, context.clock)
        self._outlet = Outlet(assembly, consumers, context, config.assembly.max_pending_bytes)
        self._api = Api(config, consumers, context, assembly, self._outlet)
        self._emitting: asyncio.Task[None] | None = None
        option = f"receivers.{context.id}.endpoint"
        for route in self._api.routes():
            self._listeners.route(config, *route, option=option)

    async def __aenter__(self) -> Self:
        if not self._config.projects:
            self._context.log.warning(
                "No projects are configured, so every key is accepted; list them under projects."
            )
        if self._own_listeners is not None:
            await self._own_listeners.start()
        self._emitting = asyncio.create_task(self._outlet.run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._api.close()
        if self._own_listeners is not None:
            await self._own_listeners.stop(GRACE_S)
        if self._emitting is not None:
            self._emitting.cancel()
            await asyncio.gather(self._emitting, return_exceptions=True)
        await self._outlet.drain(GRACE_S)

    def endpoints(self) -> list[str]:
        """What listens where, such as `http://127.0.0.1:4318`; empty while closed."""
        scheme = "https" if self._config.tls else "http"
        addresses = self._listeners.addresses(self._config.endpoint)
        return [f"{scheme}://{address}" for address in addresses]


FACTORY: Final = ReceiverFactory("langfuse", LangfuseConfig, LangfuseReceiver)
