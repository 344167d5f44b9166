"""A running `langfuse` receiver with pipelines behind it that only remember."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from genai_collector.component import Context
from genai_collector.model import LogRecord, Signal, Span
from genai_collector.receivers.langfuse import LangfuseConfig, LangfuseReceiver
from tests.receivers.harness import RecordingConsumer
from tests.support.fakes import CountingTelemetry
from tests.support.records import MemoryStorage

ALL = frozenset(Signal)
AT_ONCE = {"settle_time": "0s"}
PROJECTS = [
    {"name": "web", "public_key": "pk-1", "secret_key": "sk-1"},
    {"name": "batch", "public_key": "pk-2", "secret_key": "sk-2"},
]


def basic(public: str, secret: str) -> dict[str, str]:
    """The header of a client with this key pair."""
    return {"Authorization": f"Basic {base64.b64encode(f'{public}:{secret}'.encode()).decode()}"}


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any
    """Parsed: every answer is JSON."""


@dataclass
class Running:
    """A receiver between enter and exit."""

    receiver: LangfuseReceiver
    consumers: Mapping[Signal, RecordingConsumer]
    telemetry: CountingTelemetry
    http: str

    async def send(
        self,
        path: str,
        body: object = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **(headers or {})}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, f"{self.http}/api/public/{path}", data=data, headers=headers
            ) as response,
        ):
            text = await response.read()
            return Answer(response.status, response.headers, json.loads(text))

    async def send_raw(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """POST what is not JSON, to be answered with what need not be."""
        url = f"{self.http}/api/public/{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers) as response,
        ):
            return Answer(response.status, response.headers, await response.read())

    @property
    def spans(self) -> list[Span]:
        batches = self.consumers[Signal.TRACES].batches
        return [span for batch in batches for span in batch.view_spans()]

    @property
    def logs(self) -> list[LogRecord]:
        batches = self.consumers[Signal.LOGS].batches
        return [log for batch in batches for log in batch.view_logs()]

    async def until(self, spans: int = 0, logs: int = 0) -> None:
        """Wait until so many have arrived; the test's own timeout ends a wait in vain."""
        while len(self.spans) < spans or len(self.logs) < logs:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


def made(
    config: Mapping[str, Any] | None = None,
    signals: frozenset[Signal] = ALL,
    storage: MemoryStorage | None = None,
) -> tuple[LangfuseReceiver, dict[Signal, RecordingConsumer], CountingTelemetry]:
    """A receiver on a free port of the loopback, not yet entered."""
    consumers = {signal: RecordingConsumer() for signal in Signal if signal in signals}
    telemetry = CountingTelemetry()
    settings = {"endpoint": "127.0.0.1:0", "assembly": AT_ONCE, **(config or {})}
    log = logging.getLogger("genai_collector.test")
    extensions = {} if storage is None else {"file_storage": storage}
    context = Context("langfuse", telemetry, log, extensions=extensions)
    receiver = LangfuseReceiver(LangfuseConfig.model_validate(settings), consumers, context)
    return receiver, consumers, telemetry


@asynccontextmanager
async def receiving(
    config: Mapping[str, Any] | None = None,
    signals: frozenset[Signal] = ALL,
    storage: MemoryStorage | None = None,
) -> AsyncIterator[Running]:
    """A running receiver; what waits at the end is flushed."""
    receiver, consumers, telemetry = made(config, signals, storage)
    async with receiver:
        yield Running(receiver, consumers, telemetry, receiver.endpoints()[0])
    assert not any(consumer.held for consumer in consumers.values())
