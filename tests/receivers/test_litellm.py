"""The `litellm` receiver over real sockets on the loopback."""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import zstandard
from pydantic import ValidationError

from genai_collector.component import Acceptance, Context
from genai_collector.errors import ConfigError, Overloaded, Permanent, QueueFull
from genai_collector.formats import litellm
from genai_collector.formats.residual import same
from genai_collector.model import Signal, Span
from genai_collector.receivers.litellm import MAX_TOLD, LitellmConfig, LitellmReceiver
from genai_collector.transport.http_server import HttpListeners
from tests.formats.litellm.material import FILES, load, one, raw
from tests.receivers.harness import RecordingConsumer
from tests.support.fakes import CountingTelemetry

JSON = {"Content-Type": "application/json"}
CHAT = raw("chat.json")


@dataclass
class Running:
    """A receiver between enter and exit, and a client."""

    url: str
    consumer: RecordingConsumer
    telemetry: CountingTelemetry
    session: aiohttp.ClientSession

    @property
    def spans(self) -> list[Span]:
        return [span for batch in self.consumer.batches for span in batch.view_spans()]

    async def post(self, body: bytes, headers: dict[str, str] = JSON) -> tuple[int, Any]:
        """Status and parsed body of the answer."""
        async with self.session.post(self.url, data=body, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text)


def build(
    options: dict[str, Any],
    consumer: RecordingConsumer | None = None,
    telemetry: CountingTelemetry | None = None,
    listeners: HttpListeners | None = None,
) -> LitellmReceiver:
    """The receiver as the host would make it."""
    config = LitellmConfig.model_validate({"endpoint": "127.0.0.1:0", **options})
    log = logging.getLogger("genai_collector.test")
    context = Context("litellm", telemetry or CountingTelemetry(), log, listeners=listeners)
    return LitellmReceiver(config, {Signal.TRACES: consumer or RecordingConsumer()}, context)


@asynccontextmanager
async def receiving(path: str = "/litellm", **options: Any) -> AsyncIterator[Running]:
    """A receiver on a free port of the loopback."""
    consumer, telemetry = RecordingConsumer(), CountingTelemetry()
    receiver = build({"path": path, **options}, consumer, telemetry)
    async with receiver, aiohttp.ClientSession() as session:
        [endpoint] = receiver.endpoints()
        yield Running(endpoint + path, consumer, telemetry, session)
    assert not consumer.held


async def test_every_recorded_body() -> None:
    """What LiteLLM sends is taken as it is: array, lines and single, success and failure; and the
    payloads come out again exactly."""
    async with receiving() as running:
        for name in FILES:
            status, answer = await running.post(raw(name))
            assert status == 200
            assert answer == {"accepted": len(load(name)), "rejected": []}
        sent = [payload for name in FILES for payload in load(name)]
        again = litellm.encode_spans(running.spans)
        assert len(again) == len(sent)
        assert all(map(same, again, sent))
        assert running.telemetry.counts["received", "litellm", "http"] == len(sent)


async def test_a_single_object() -> None:
    """`log_format: single` posts the object itself."""
    async with receiving() as running:
        assert await running.post(litellm.dump(one("chat"))) == (
            200,
            {"accepted": 1, "rejected": []},
        )


async def test_the_good_ones_are_taken() -> None:
    """A sender that drops what is refused must not lose its good records for a bad one."""
    async with receiving() as running:
        body = b'[{"id":"1"},' + litellm.dump(one("chat")) + b",7]"
        status, answer = await running.post(body)
        assert status == 200
        assert answer["accepted"] == 1
        assert [each["index"] for each in answer["rejected"]] == [0, 2]
        assert answer["rejected"][1]["error"] == "not an object"
        assert len(running.spans) == 1
        assert running.telemetry.counts["refused", "litellm", "http"] == 2


async def test_nothing_good() -> None:
    """400 with each reason when no record is any good; the old payload is told what to change."""
    async with receiving() as running:
        status, answer = await running.post(b'[{"modelParameters":"{}","id":"1"}]')
        assert status == 400
        assert answer["accepted"] == 0
        assert "generic_api_use_v1" in answer["rejected"][0]["error"]
        status, answer = await running.post(b"{")
        assert status == 400
        assert "column" in answer["message"]
        assert not running.consumer.batches


async def test_answers_are_bounded() -> None:
    """A body of thousands of faults does not become an answer of thousands."""
    async with receiving() as running:
        status, answer = await running.post(json.dumps([5] * (MAX_TOLD + 7)).encode())
        assert status == 400
        assert len(answer["rejected"]) == MAX_TOLD
        assert answer["rejected_more"] == 7


async def test_nothing_sent() -> None:
    """An empty body is a success that the pipelines do not hear of."""
    async with receiving() as running:
        for body in (b"", b"[]"):
            assert await running.post(body) == (200, {"accepted": 0, "rejected": []})
        assert not running.consumer.batches


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstandard.ZstdCompressor().compress),
    ],
)
async def test_compression(encoding: str, compress: Any) -> None:
    """Bodies may be compressed, within the limit on what they unpack to."""
    async with receiving(max_request_body_size=20_000) as running:
        headers = {**JSON, "Content-Encoding": encoding}
        assert (await running.post(compress(CHAT), headers))[0] == 200
        assert (await running.post(compress(CHAT * 9), headers))[0] == 413
        assert len(running.spans) == 1


async def test_limits() -> None:
    """A body over the limit is 413, and nothing of it is taken."""
    async with receiving(max_request_body_size=1000) as running:
        assert (await running.post(CHAT))[0] == 413
        assert not running.consumer.batches


@pytest.mark.parametrize("error", [Overloaded("full", retry_after=3.2), QueueFull("full")])
async def test_load(error: Exception) -> None:
    """What may be taken later is 503 with Retry-After, whether refused before reading or after."""
    async with receiving() as running:
        running.consumer.refuse_entry = error
        async with running.session.post(running.url, data=CHAT, headers=JSON) as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
        running.consumer.refuse_entry, running.consumer.refuse = None, error
        async with running.session.post(running.url, data=CHAT, headers=JSON) as answer:
            assert answer.status == 503
        assert running.telemetry.counts["refused", "litellm", "http"] == 1


async def test_refused_for_good() -> None:
    """The pipelines' own faults are no fault of the data; partial refusals are told."""
    async with receiving() as running:
        running.consumer.refuse = Permanent("broken")
        assert (await running.post(CHAT))[0] == 500
        running.consumer.refuse = None
        running.consumer.answer = Acceptance(1, "filtered")
        status, answer = await running.post(raw("router_retries.json"))
        assert status == 200
        assert (answer["accepted"], answer["rejected_more"]) == (2, 1)
        assert answer["message"] == "filtered"
        assert running.telemetry.counts["received", "litellm", "http"] == 2


async def test_other_media() -> None:
    """Only JSON; what is something else is told so before it is read."""
    async with receiving() as running:
        assert (await running.post(CHAT, {"Content-Type": "text/plain"}))[0] == 415
        headers = {**JSON, "Content-Encoding": "br"}
        assert (await running.post(CHAT, headers))[0] == 415
        headers = {"Content-Type": "application/x-ndjson; charset=utf-8"}
        assert (await running.post(raw("mixed.ndjson"), headers))[0] == 200
        assert not running.consumer.held


async def test_without_the_price_list() -> None:
    """`keep_model_map: false` drops two thirds of a record, and nothing else."""
    async with receiving(keep_model_map=False) as running:
        await running.post(CHAT)
        [again] = litellm.encode_spans(running.spans)
        expected = one("chat")
        information = expected["model_map_information"]
        assert isinstance(information, dict)
        expected["model_map_information"] = {**information, "model_map_value": None}
        assert same(again, expected)
        assert len(litellm.dump(again)) < len(CHAT) * 0.5


async def test_another_path() -> None:
    """The path is configurable, with or without its first slash; others are 404."""
    assert LitellmConfig(path="x").path == "/x"
    async with receiving("/logs/in") as running:
        assert (await running.post(CHAT))[0] == 200
        async with running.session.post(running.url + "2", data=CHAT, headers=JSON) as answer:
            assert answer.status == 404
        async with running.session.get(running.url) as answer:
            assert answer.status == 405


async def test_shared_address() -> None:
    """Two receivers share an address under two paths; one path twice is a configuration error."""
    listeners = HttpListeners()
    build({}, listeners=listeners)
    build({"path": "/second"}, listeners=listeners)
    with pytest.raises(ConfigError, match="already served"):
        build({}, listeners=listeners)


def test_configuration() -> None:
    """Listens on the loopback by default; unknown keys are refused."""
    assert LitellmConfig().endpoint == "localhost:4318"
    with pytest.raises(ValidationError):
        LitellmConfig.model_validate({"pth": "/x"})
