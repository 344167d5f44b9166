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

from genai_collector.component import Consumer, Context, ReceiverFactory, Storage
from genai_collector.delivery.durable_queue import UNREADABLE
from genai_collector.model import Signal
from genai_collector.receivers.langfuse.assembly import Assembly
from genai_collector.receivers.langfuse.config import AssemblyConfig, LangfuseConfig
from genai_collector.receivers.langfuse.journal import Journal
from genai_collector.receivers.langfuse.outlet import Outlet
from genai_collector.receivers.langfuse.routes import Api
from genai_collector.transport.authentication import server_auth
from genai_collector.transport.http_server import HttpListeners

GRACE_S: Final = 5.0
"""Time that what is assembled gets to enter the pipelines when the receiver is left."""


class LangfuseReceiver:
    """Takes batches, scores and OTLP on the shared listener.

    Leaving: new requests are refused, everything that waits becomes spans, and those go into the
    pipelines, which are still there. With a storage, what is not complete waits there instead.
    """

    def __init__(
        self, config: LangfuseConfig, consumers: Mapping[Signal, Consumer], context: Context
    ) -> None:
        self._config = config
        self._context = context
        own = HttpListeners(context.telemetry) if context.listeners is None else None
        self._own_listeners = own
        self._listeners: HttpListeners = own or context.listeners
        assembly = Assembly(config.assembly, context.clock)
        self._assembly = assembly
        self._journal = _journal(config.assembly, context)
        limit = config.assembly.max_pending_bytes
        self._outlet = Outlet(assembly, consumers, context, limit, self._journal)
        self._api = Api(config, consumers, context, assembly, self._outlet, self._journal)
        self._emitting: asyncio.Task[None] | None = None
        self._has_journal = False
        option = f"receivers.{context.id}.endpoint"
        auth = server_auth(config.auth, context)
        self._listeners.guard(config, auth, option=option)
        for route in self._api.routes():
            self._listeners.route(config, *route, option=option)

    async def __aenter__(self) -> Self:
        if not self._config.projects:
            self._context.log.warning(
                "No projects are configured, so every key is accepted; list them under projects."
            )
        if self._own_listeners is not None:
            await self._own_listeners.start()
        self._emitting = asyncio.create_task(self._emit())
        return self

    async def _emit(self) -> None:
        await self._journal.acquire()
        self._has_journal = True
        await self._replay()
        await self._outlet.run()

    async def _replay(self) -> None:
        """Take again what an earlier life left on disk."""
        async for left in self._journal.emitted():
            self._assembly.remember_left(left)
        events = 0
        async for source, kept in self._journal.replay():
            events += len(kept)
            try:
                emission = self._assembly.take(source, kept)
            except Exception:  # or what follows would never be taken, at no start
                self._context.log.exception("Events on disk cannot be taken again.")
                await self._journal.set_aside(kept)
                continue
            self._outlet.put(emission)
            if self._outlet.is_full:
                await self._outlet.send()
        if events:
            message = "Events from before the start were found on disk and are taken again."
            self._context.log.info(message, extra={"events": events})

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._api.close()
        try:
            if self._own_listeners is not None:
                await self._own_listeners.stop(GRACE_S)
            if self._emitting is not None:
                self._emitting.cancel()
                await asyncio.gather(self._emitting, return_exceptions=True)
            await self._outlet.drain(GRACE_S)
        finally:  # or a receiver that follows would wait for ever
            if self._has_journal:
                await self._journal.release()

    def endpoints(self) -> list[str]:
        """What listens where, such as `http://127.0.0.1:4318`; empty while closed."""
        scheme = "https" if self._config.tls else "http"
        addresses = self._listeners.addresses(self._config.endpoint)
        return [f"{scheme}://{address}" for address in addresses]


def _journal(config: AssemblyConfig, context: Context) -> Journal:
    if not config.storage:
        return Journal()
    storage = context.extension(config.storage, Storage, "assembly.storage")
    owner = f"receiver.{context.id}"
    return Journal(
        storage.records(owner, "events"),
        storage.records(owner, "emitted"),
        config.remembered_ids,
        lambda items: context.telemetry.dropped(context.id, Signal.TRACES, UNREADABLE, items),
    )


FACTORY: Final = ReceiverFactory("langfuse", LangfuseConfig, LangfuseReceiver)
