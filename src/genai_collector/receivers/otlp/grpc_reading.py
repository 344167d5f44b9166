"""Reading the one message of a gRPC call within bounds.

The methods are unary for their clients, but served as streams: the handler runs when the header has
arrived, so that a call can be refused before its message is read, and a message that never ends can
be given up. gRPC itself has neither. While it waits to be read, a message holds what fits into the
window of its stream; while it is read, up to its own limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from genai_collector.errors import DecodeError, Overloaded
from genai_collector.receivers.otlp.config import OtlpGrpcConfig
from genai_collector.transport.http_body import BodyBudget, BodyTimeout, begin_request, hold


class Messages:
    """Counts the calls of a listener and what their messages hold, all together."""

    def __init__(self, config: OtlpGrpcConfig) -> None:
        self._max_calls = config.max_concurrent_requests
        self._timeout_s = config.read_timeout
        self._budget = BodyBudget(config.max_in_flight_message_size)
        self._calls = 0

    @contextmanager
    def begin(self) -> Iterator[None]:
        """One more call, until it is answered. Raises Overloaded."""
        if self._max_calls and self._calls >= self._max_calls:
            raise Overloaded("too many requests at once", retry_after=1.0)
        self._calls += 1
        share = begin_request(self._budget)
        try:
            yield
        finally:
            share.close()
            self._calls -= 1

    async def read(self, call: grpc.aio.ServicerContext) -> bytes:
        """The message, as it came. Raises DecodeError if there is none, BodyTimeout, Overloaded."""
        try:
            async with asyncio.timeout(self._timeout_s or None):
                message = await call.read()
        except TimeoutError as exc:
            text = f"the message did not arrive within {self._timeout_s:g} seconds"
            raise BodyTimeout(text) from exc
        if not isinstance(message, bytes):  # gRPC's EOF
            raise DecodeError("the call ended without a message")
        hold(len(message))
        return message
