"""The `noveum` receiver over real sockets on the loopback, alone and beside OTLP."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import pytest
from pydantic import ValidationError

from genai_collector.component import Acceptance, Context
from genai_collector.errors import ConfigError, Overloaded, QueueFull
from genai_collector.formats import noveum, otlp
from genai_collector.formats.residual import same
from genai_collector.model import LogRecord, Signal, Span, Value
from genai_collector.receivers.noveum import NoveumReceiver, NoveumReceiverConfig
from genai_collector.receivers.otlp import OtlpConfig, OtlpReceiver
from genai_collector.transport.http_server import HttpListeners
from tests.formats.noveum.material import RECORDS
from tests.receivers.harness import RecordingConsumer, protobuf_request
from tests.support.captures import FIXTURES, shared
from tests.support.fakes import CountingTelemetry

JSON: Final = {"Content-Type": "application/json"}
LOGS: Final = "/v1/logs/noveum"
TRACES: Final = "/v1/traces"
DOCUMENT: Final = "/ai-gateway-metrics/_doc"
PAYLOADS: Final = ("trace_v1.5.10", "trace_v1.5.28", "trace_v1.5.28_statuses")
ONE: Final = frozenset({Signal.TRACES})


def raw(name: str) -> bytes:
    return (FIXTURES / "noveum" / f"{name}.json").read_bytes()


def back(spans: list[Span]) -> list[Value]:
    """The records that these spans were."""
    return list[Value](noveum.encode_spans(spans))


ALL: Final = list[Value](RECORDS)


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


@dataclass
class Running:
    """A receiver between enter and exit, and a client."""

    http: str
    consumers: Mapping[Signal, RecordingConsumer]
    telemetry: CountingTelemetry
    session: aiohttp.ClientSession

    @property
    def traces(self) -> RecordingConsumer:
        return self.consumers[Signal.TRACES]

    @property
    def spans(self) -> list[Span]:
        return [span for batch in self.traces.batches for span in batch.view_spans()]

    async def post(
        self, path: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, parsed body and headers of the answer."""
        url, said = self.http + path, {**JSON, **(headers or {})}
        async with self.session.post(url, data=body, headers=said) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None, answer.headers


def build(
    options: dict[str, Any],
    consumers: Mapping[Signal, RecordingConsumer],
    telemetry: CountingTelemetry,
    listeners: HttpListeners | None = None,
    id: str = "noveum",
) -> NoveumReceiver:
    """The receiver as the host would make it."""
    config = NoveumReceiverConfig.model_validate({"endpoint": "127.0.0.1:0", **options})
    log = logging.getLogger("genai_collector.test")
    return NoveumReceiver(config, consumers, Context(id, telemetry, log, listeners=listeners))


@asynccontextmanager
async def receiving(
    signals: frozenset[Signal] = frozenset(Signal), **options: Any
) -> AsyncIterator[Running]:
    """A receiver on a free port of the loopback."""
    consumers = {signal: RecordingConsumer() for signal in Signal if signal in signals}
    telemetry = CountingTelemetry()
    receiver = build(options, consumers, telemetry)
    async with receiver, aiohttp.ClientSession() as session:
        [http] = receiver.endpoints()
        yield Running(http, consumers, telemetry, session)
    assert not any(consumer.held for consumer in consumers.values())


@asynccontextmanager
async def beside_otlp(order: str = "otlp first") -> AsyncIterator[tuple[Running, Running]]:
    """The `otlp` and the `noveum` receiver on one endpoint, built in either order."""
    listeners, telemetry = HttpListeners(), CountingTelemetry()
    theirs, ours = RecordingConsumer(), RecordingConsumer()
    log = logging.getLogger("genai_collector.test")
    context = Context("otlp", telemetry, log, listeners=listeners)
    config = OtlpConfig.model_validate({"protocols": {"http": {"endpoint": "127.0.0.1:0"}}})

    def noveum_receiver() -> NoveumReceiver:
        return build({}, {Signal.TRACES: ours}, telemetry, listeners)

    if order == "noveum first":
        noveum_receiver()
    OtlpReceiver(config, {Signal.TRACES: theirs}, context)
    if order == "otlp first":
        noveum_receiver()
    await listeners.start()
    try:
        [http] = listeners.describe()
        async with aiohttp.ClientSession() as session:
            yield (
                Running(http, {Signal.TRACES: theirs}, telemetry, session),
                Running(http, {Signal.TRACES: ours}, telemetry, session),
            )
    finally:
        await listeners.stop(1)
    assert not theirs.held
    assert not ours.held


@pytest.mark.parametrize("name", PAYLOADS)
async def test_every_recorded_payload(name: str) -> None:
    """What noveum-trace posts is taken and comes out again exactly."""
    async with receiving() as running:
        status, answer, _ = await running.post(TRACES, raw(name))
        assert (status, answer["success"], answer["accepted"]) == (200, True, len(running.spans))
        assert same(noveum.encode_payload(running.spans), json.loads(raw(name)))
        assert running.telemetry.counts["received", "noveum", "http"] == len(running.spans)


@pytest.mark.parametrize("form", ["array", "lines", "single"])
async def test_every_recorded_record(form: str) -> None:
    """Log records in both spellings, as an array, one per line or one by one, come out exactly."""
    lines = [noveum.dump(record) for record in RECORDS]
    bodies = {"array": [b"[" + b",".join(lines) + b"]"], "lines": [b"\n".join(lines)]}
    async with receiving() as running:
        for body in bodies.get(form, lines):
            status, answer, _ = await running.post(LOGS, body)
            assert (status, answer["success"]) == (200, True)
        assert same(back(running.spans), ALL)


async def test_the_documented_sample() -> None:
    """The sample of the gateway's documentation is taken with its comments."""
    text = shared("seeds/002_2aa5c4193a942b6f.txt").read_bytes()
    async with receiving() as running:
        status, answer, _ = await running.post(LOGS, text[text.index(b"[") :])
        assert (status, answer) == (200, {"success": True, "accepted": 3})
        assert same(back(running.spans), ALL[:3])


async def test_the_good_ones_are_taken() -> None:
    """Each bad element is named, the others are kept; 400 only if all are bad."""
    good = noveum.dump(RECORDS[0])
    trace = b'{"traces":[{"name":"x"},{"trace_id":"t","spans":[{"span_id":"s"}]}]}'
    async with receiving() as running:
        body = b'[{"a":1},' + good + b",7," + trace + b"]"
        status, answer, _ = await running.post(LOGS, body)
        assert (status, answer["success"], answer["accepted"]) == (200, True, 2)
        assert [one["index"] for one in answer["errors"]] == ["2", "0", "3.traces.0"]
        assert running.telemetry.counts["refused", "noveum", "http"] == 3
        status, answer, _ = await running.post(LOGS, good + b"\n{\n" + b'{"a":1}')
        assert (status, answer["duplicates"], len(answer["errors"])) == (200, 1, 2)
        status, answer, _ = await running.post(LOGS, b'{"a":1}')
        assert (status, answer["success"], answer["accepted"]) == (400, False, 0)
        status, _, _ = await running.post(LOGS, b"[")
        assert status == 400


async def test_as_elasticsearch() -> None:
    """A released gateway's POST gets Elasticsearch's 201, a bad document its 400; what is sent
    again is taken once."""
    async with receiving() as running:
        record = noveum.dump(RECORDS[5])
        for _ in range(2):
            status, answer, headers = await running.post(DOCUMENT, record)
            assert (status, answer["result"]) == (201, "created")
            assert answer["_index"] == "ai-gateway-metrics"
            assert answer["_id"] == running.spans[0].span_id.hex()
            assert headers["X-Elastic-Product"] == "Elasticsearch"
        assert len(running.spans) == 1
        status, answer, _ = await running.post(DOCUMENT, b'{"a":1}')
        assert (status, answer["error"]["type"]) == (400, "document_parsing_exception")


async def test_the_index_is_configured() -> None:
    """Another index, or none at all."""
    record = noveum.dump(RECORDS[5])
    async with receiving(elasticsearch={"index": "logs-1"}) as running:
        assert (await running.post("/logs-1/_doc", record))[0] == 201
        assert (await running.post(DOCUMENT, record))[0] == 404
    async with receiving(elasticsearch=None) as running:
        assert (await running.post(DOCUMENT, record))[0] == 404


async def test_keys() -> None:
    """With keys configured, each path wants one of them; the gateway's Basic credentials are good
    for the gateway's path alone."""
    elastic = {"username": "u", "password": "p"}
    record = noveum.dump(RECORDS[5])
    async with receiving(api_keys=["nv_1", "nv_2"], elasticsearch=elastic) as running:
        for path in (LOGS, TRACES, TRACES + "/single", DOCUMENT):
            for value, good in (
                ("", False),
                ("Bearer nv_3", False),
                ("Bearer ", False),
                ("Bearer nv_2", True),
                ("bearer nv_1", True),
                (basic("u", "p"), path == DOCUMENT),
                (basic("u", "x"), False),
            ):
                status, _, headers = await running.post(path, record, {"Authorization": value})
                assert (status < 300) is good, (path, value)
                if not good:
                    assert status == 401
                    assert "WWW-Authenticate" in headers
        assert len(running.spans) == 1


async def test_what_is_sent_again_is_taken_once() -> None:
    """A retried payload is answered as a success and taken once; a new span of a known trace is
    new."""
    payload = json.loads(raw("trace_v1.5.28"))
    async with receiving() as running:
        await running.post(TRACES, raw("trace_v1.5.28"))
        before = len(running.spans)
        status, answer, _ = await running.post(TRACES, raw("trace_v1.5.28"))
        assert (status, answer) == (200, {"success": True, "accepted": 0, "duplicates": before})
        payload["traces"][0]["spans"][0]["span_id"] = "another"
        _, answer, _ = await running.post(TRACES, json.dumps(payload).encode())
        assert (answer["accepted"], answer["duplicates"]) == (1, before - 1)
    async with receiving(remember=0) as running:
        for _ in range(2):
            _, answer, _ = await running.post(TRACES, raw("trace_v1.5.28"))
            assert answer["accepted"] == before


async def test_memory_of_ids_is_bounded() -> None:
    """The oldest ids are forgotten first."""
    bodies = [noveum.dump(record) for record in RECORDS[:3]]
    async with receiving(remember=2) as running:
        for body in (*bodies, bodies[2], bodies[0]):
            await running.post(LOGS, body)
        assert same(back(running.spans), [*ALL[:3], ALL[0]])


async def test_refusals() -> None:
    """Full pipelines are 503 with Retry-After, before the body is read where memory is short; what
    was refused is taken when it comes again."""
    async with receiving(ONE) as running:
        running.traces.refuse_entry = Overloaded("memory", retry_after=3.0)
        for path in (LOGS, TRACES, DOCUMENT):
            status, _, headers = await running.post(path, noveum.dump(RECORDS[0]))
            assert (status, headers["Retry-After"]) == (503, "3")
        running.traces.refuse_entry = None
        running.traces.refuse = QueueFull("no room", retry_after=2.0)
        status, _, headers = await running.post(LOGS, noveum.dump(RECORDS[0]))
        assert (status, headers["Retry-After"]) == (503, "2")
        running.traces.refuse = None
        status, answer, _ = await running.post(LOGS, noveum.dump(RECORDS[0]))
        assert (status, answer["accepted"]) == (200, 1)
        running.traces.answer = Acceptance(1, "too heavy")
        status, answer, _ = await running.post(LOGS, noveum.dump(RECORDS[1]))
        assert (status, answer["accepted"], answer["warnings"]) == (200, 0, ["too heavy"])


async def test_bodies() -> None:
    """Compressed bodies are read; unknown codings and types are 415."""
    record = noveum.dump(RECORDS[0])
    async with receiving() as running:
        body = gzip.compress(record)
        status, _, _ = await running.post(LOGS, body, {"Content-Encoding": "gzip"})
        assert status == 200
        status, _, _ = await running.post(LOGS, record, {"Content-Encoding": "br"})
        assert status == 415
        status, _, _ = await running.post(LOGS, record, {"Content-Type": "text/html"})
        assert status == 415


async def test_other_signals() -> None:
    """Records made of metrics and log records are these again; without a pipeline for them they
    are refused, and only they."""
    log = LogRecord(body="hello", time_ns=5)
    body = b"[" + noveum.dump(noveum.encode_logs([log])[0]) + b"," + noveum.dump(RECORDS[0]) + b"]"
    async with receiving() as running:
        _, answer, _ = await running.post(LOGS, body)
        assert answer["accepted"] == 2
        [batch] = running.consumers[Signal.LOGS].batches
        assert [one.body for one in batch.view_logs()] == ["hello"]
    async with receiving(ONE) as running:
        status, answer, _ = await running.post(LOGS, body)
        assert (status, answer["accepted"]) == (200, 1)
        assert answer["errors"] == [
            {"index": "logs", "error": "no pipeline takes logs from here"},
        ]


@pytest.mark.parametrize("order", ["otlp first", "noveum first"])
async def test_one_path_for_otlp_and_noveum(order: str) -> None:
    """On a shared endpoint OTLP's JSON and protobuf go to the one, Noveum's payloads, compressed
    or not, and bare records to the other, whoever was built first."""
    span = Span(trace_id=bytes([1] * 16), span_id=bytes([1] * 8), name='"traces"')
    otlp_json = otlp.encode_json(Signal.TRACES, [span])
    async with beside_otlp(order) as (theirs, ours):
        assert (await theirs.post(TRACES, otlp_json))[:2] == (200, {})
        protobuf = {"Content-Type": "application/x-protobuf"}
        body = protobuf_request(Signal.TRACES, 2)
        assert (await theirs.post(TRACES, body, protobuf))[:2] == (200, None)
        assert [one.name for one in theirs.spans] == ['"traces"', "span 0", "span 1"]
        assert not ours.spans
        zipped = gzip.compress(raw("trace_v1.5.28"))
        _, answer, _ = await ours.post(TRACES, zipped, {"Content-Encoding": "gzip"})
        assert answer["accepted"] == len(ours.spans) > 0
        _, answer, _ = await ours.post(TRACES, noveum.dump(RECORDS[0]))
        assert answer == {"success": True, "accepted": 1}
        assert len(theirs.spans) == 3
        status, _, _ = await theirs.post(TRACES, b"[1]")
        assert status == 400


async def test_refusals_on_the_shared_path() -> None:
    """What the Noveum receiver refuses is refused, also when OTLP's has read the body."""
    async with beside_otlp() as (_, ours):
        ours.traces.refuse = QueueFull("no room", retry_after=2.0)
        status, _, headers = await ours.post(TRACES, raw("trace_v1.5.28"))
        assert (status, headers["Retry-After"]) == (503, "2")


def test_configuration() -> None:
    """Half of the credentials, an empty key, an index that is a path, and a path that is taken are
    faults; an open door is a warning."""
    for options in (
        {"elasticsearch": {"username": "u"}},
        {"api_keys": [""]},
        {"elasticsearch": {"index": "a/b"}},
    ):
        with pytest.raises(ValidationError):
            NoveumReceiverConfig.model_validate(options)
    listeners, telemetry = HttpListeners(), CountingTelemetry()
    consumers = {Signal.TRACES: RecordingConsumer()}
    build({}, consumers, telemetry, listeners)
    with pytest.raises(ConfigError, match="already served"):
        build({}, consumers, telemetry, listeners, "noveum/2")
    other = {"logs_path": "/a", "elasticsearch": None}
    with pytest.raises(ConfigError, match="already"):
        build(other, consumers, telemetry, listeners, "noveum/2")
    assert NoveumReceiverConfig.model_validate({"api_keys": ["k"]}).authenticates()
    assert not NoveumReceiverConfig().authenticates()
