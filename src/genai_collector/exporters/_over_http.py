"""What every exporter over HTTP is: the owner of a client, which is entered and left with it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from genai_collector.component import Context
from genai_collector.transport.authentication import client_auth
from genai_collector.transport.http_client import HttpClient, HttpClientConfig, Transport


class OverHttp:
    """`_transport` is where requests go: a client of its own, or what a test lends."""

    def __init__(
        self, config: HttpClientConfig, context: Context, transport: Transport | None
    ) -> None:
        self._client: HttpClient | None = None
        if transport is None:
            self._client = transport = HttpClient(config, client_auth(config.auth, context))
        self._transport: Transport = transport
        self._now_s = lambda: context.wall_clock_ns() / 1e9

    async def __aenter__(self) -> Self:
        if self._client is not None:
            await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is not None:
            await self._client.__aexit__(exc_type, exc, traceback)
