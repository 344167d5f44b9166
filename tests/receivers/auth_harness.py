"""Receivers behind an authenticator, and clients that show a credential or none."""

from __future__ import annotations

import base64
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import grpc
from google.rpc.status_pb2 import Status

from genai_collector.component import Context
from genai_collector.extensions.bearertokenauth import FACTORY as BEARER
from genai_collector.extensions.bearertokenauth import BearerTokenAuthConfig
from genai_collector.model import Signal
from genai_collector.receivers.otlp import FACTORY as OTLP
from genai_collector.transport.http_server import HttpListeners
from tests.receivers.harness import METHODS, RecordingConsumer, protobuf_request
from tests.support.fakes import CountingTelemetry, make_context

ANY = "127.0.0.1:0"
TOKEN = {"authenticator": "bearertokenauth"}
RIGHT, WRONG = {"Authorization": "Bearer right"}, {"Authorization": "Bearer wrong"}
BODY = protobuf_request(Signal.TRACES)
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def bearer(**config: Any) -> Any:
    return BEARER.create(
        BearerTokenAuthConfig.model_validate(config or {"token": "right"}),
        make_context("bearertokenauth"),
    )


def basic(user: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


@dataclass
class Running:
    consumers: Mapping[Signal, RecordingConsumer]
    http: str
    grpc: str

    @property
    def taken(self) -> int:
        return sum(len(consumer.batches) for consumer in self.consumers.values())


def made(
    factory: Any,
    config: Mapping[str, Any],
    listeners: HttpListeners | None = None,
    **extensions: Any,
) -> tuple[Any, dict[Signal, RecordingConsumer]]:
    """A receiver with extensions, not yet entered."""
    consumers = {signal: RecordingConsumer() for signal in sorted(factory.signals)}
    log = logging.getLogger("genai_collector.test")
    telemetry = CountingTelemetry()
    context = Context(factory.name, telemetry, log, listeners=listeners, extensions=extensions)
    return factory.create(factory.config.model_validate(config), consumers, context), consumers


@asynccontextmanager
async def receiving(
    factory: Any, config: Mapping[str, Any], **extensions: Any
) -> AsyncIterator[Running]:
    """A running receiver whose extensions run, too."""
    for extension in extensions.values():
        await extension.__aenter__()
    receiver, consumers = made(factory, config, **extensions)
    async with receiver:
        found = receiver.endpoints()
        grpc_url = next((url for url in found if url.startswith("grpc")), "")
        http_url = next((url for url in found if url.startswith("http")), "")
        yield Running(consumers, http_url, grpc_url.partition("://")[2])
    for extension in extensions.values():
        await extension.__aexit__(None, None, None)


@asynccontextmanager
async def otlp(auth: Any = None, **http: Any) -> AsyncIterator[Running]:
    """OTLP on both doors, behind one authenticator."""
    protocols = {
        "grpc": {"endpoint": ANY, "auth": TOKEN},
        "http": {"endpoint": ANY, "auth": TOKEN, **http},
    }
    async with receiving(
        OTLP, {"protocols": protocols}, bearertokenauth=auth or bearer()
    ) as running:
        yield running


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


async def post(
    url: str, headers: Mapping[str, str], body: bytes = BODY, method: str = "POST"
) -> Answer:
    async with (
        aiohttp.ClientSession(skip_auto_headers=["User-Agent"]) as session,
        session.request(method, url, data=body, headers={**PROTOBUF, **headers}) as response,
    ):
        return Answer(response.status, response.headers, await response.read())


async def call(target: str, metadata: Mapping[str, str]) -> tuple[grpc.StatusCode, Status]:
    """What a gRPC call ends with, and the details of a refusal."""
    async with grpc.aio.insecure_channel(target) as channel:
        export = channel.unary_unary(METHODS[Signal.TRACES])
        try:
            await export(BODY, metadata=tuple(metadata.items()))
        except grpc.aio.AioRpcError as exc:
            trailers = dict(exc.trailing_metadata() or ())
            details = trailers.get("grpc-status-details-bin", b"")
            return exc.code(), Status.FromString(bytes(details))
        return grpc.StatusCode.OK, Status()
