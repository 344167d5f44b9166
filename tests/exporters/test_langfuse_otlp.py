"""Mode otlp of the langfuse exporter, against a v4 server on loopback that behaves as the real one:
strict about ids and headers, and silent about everything else."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pydantic import ValidationError

from genai_collector.component import Context, NoTelemetry, Sent
from genai_collector.errors import Partial, Permanent, Retryable
from genai_collector.exporters.langfuse import Langfuse, LangfuseConfig
from genai_collector.formats.langfuse import decode_scores, parse_ingestion
from genai_collector.formats.otlp import batch_from_protobuf, batch_of
from genai_collector.model import (
    Attributes,
    Batch,
    Compressed,
    Exemplar,
    Gauge,
    LogRecord,
    Metric,
    NumberPoint,
    Signal,
    Span,
)
from genai_collector.transport.http_client import Response
from tests.support.fakes import FakeClock
from tests.support.running import collector, free_port

TRACE_ID = b"\x01" * 16
KEY = "Basic " + base64.b64encode(b"pk:sk").decode()
TRACES = "/api/public/otel/v1/traces"
INGESTION = "/api/public/ingestion"


@dataclass
class V4:
    """A Langfuse v4 server in mode events_only. Nothing is stored twice or replaced: it appends."""

    url: str = ""
    spans: list[Any] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)

    async def traces(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, request.headers))
        refusal = self._refusal(request, "application/x-protobuf")
        if refusal is not None:
            return refusal
        if int(request.headers.get("x-langfuse-ingestion-version", "0")) > 4:
            return web.json_response({"error": "Invalid ingestion version"}, status=400)
        sent = ExportTraceServiceRequest.FromString(await request.read())
        found = [
            span for r in sent.resource_spans for scope in r.scope_spans for span in scope.spans
        ]
        if any(not span.trace_id or not span.span_id for span in found):
            return web.json_response({"message": "1 span without spanId"}, status=400)
        self.spans += found
        return web.json_response({"id": "job-1", "name": "otel-ingestion-job", "data": {}})

    async def ingestion(self, request: web.Request) -> web.Response:
        self.requests.append((request.path, request.headers))
        refusal = self._refusal(request, "application/json")
        if refusal is not None:
            return refusal
        successes, errors = [], []
        for event in json.loads(await request.read())["batch"]:
            if event["type"] == "score-create":
                self.scores.append(event)
                successes.append({"id": event["id"], "status": 201})
            else:
                message = "Event type not accepted"
                errors.append({"id": event["id"], "status": 400, "message": message})
        return web.json_response({"successes": successes, "errors": errors}, status=207)

    def _refusal(self, request: web.Request, kind: str) -> web.Response | None:
        if request.headers.get("Authorization") != KEY:
            return web.json_response({"error": "UnauthorizedError", "message": "no"}, status=401)
        if kind not in request.headers.get("Content-Type", ""):
            return web.json_response({"error": "Invalid content type"}, status=400)
        return None

    def names(self) -> list[str]:
        return [span.name for span in self.spans]


@asynccontextmanager
async def v4_server() -> AsyncIterator[V4]:
    server = V4()
    app = web.Application(client_max_size=2**26)
    app.router.add_post(TRACES, server.traces)
    app.router.add_post(INGESTION, server.ingestion)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


class Scripted:
    """A transport whose requests take the next answer; later ones all succeed."""

    def __init__(self, *answers: Response | int, clock: FakeClock | None = None) -> None:
        self._answers = list(answers)
        self._clock = clock
        self.bodies: list[bytes] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
        assert url == f"http://langfuse:3000{TRACES}"
        plain = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        self.bodies.append(plain)
        if self._clock is not None:
            self._clock.advance(15)
        answer = self._answers.pop(0) if self._answers else Response(200, body=b"{}")
        return Response(answer) if isinstance(answer, int) else answer

    def names(self) -> list[list[str]]:
        """Of the spans of each request."""
        batches = [batch_from_protobuf(Signal.TRACES, body) for body in self.bodies]
        return [[span.name for span in batch.view_spans()] for batch in batches]


def exporter(server: Scripted | V4, clock: FakeClock | None = None, **options: Any) -> Langfuse:
    """An exporter with these options; a real client talks to a real server."""
    clock = clock or FakeClock()
    endpoint = server.url if isinstance(server, V4) else "http://langfuse:3000"
    keys = {"public_key": "pk", "secret_key": "sk", "endpoint": endpoint, "mode": "otlp"}
    config = LangfuseConfig.model_validate({**keys, **options})
    log = logging.getLogger("test")
    context = Context("langfuse", NoTelemetry(), log, clock=clock, wall_clock_ns=clock.now_ns)
    return Langfuse(config, context, server if isinstance(server, Scripted) else None)


def a_span(number: int, attributes: Attributes | None = None, **more: Any) -> Span:
    return Span(
        trace_id=TRACE_ID,
        span_id=number.to_bytes(8, "big"),
        name=f"s{number}",
        start_ns=10**18,
        end_ns=10**18 + 1,
        attributes={"k": "v"} if attributes is None else attributes,
        **more,
    )


def spans(count: int, attributes: Attributes | None = None) -> Batch:
    """Spans of one trace that need no change, from the wire."""
    made = [
        a_span(number, attributes, parent_span_id=b"\x09" * 8) for number in range(1, count + 1)
    ]
    return batch_from_protobuf(Signal.TRACES, batch_of(Signal.TRACES, made).encoded())


def attributes_of(span: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes
    }


async def test_spans_arrive() -> None:
    """On the direct write path, compressed, with keys and our name, and trace fields on each."""
    root = a_span(1, {"user.id": "u", "gen_ai.usage": {"a": 1}})
    batch = batch_of(Signal.TRACES, [root, a_span(2, parent_span_id=root.span_id)])
    async with v4_server() as server, exporter(server) as made:
        assert await made.export(batch) == Sent(2)
    ((path, headers),) = server.requests
    assert path == TRACES
    assert headers["Content-Encoding"] == "gzip"
    assert headers["x-langfuse-ingestion-version"] == "4"
    assert headers["x-langfuse-sdk-name"] == "genai-collector"
    assert headers["x-langfuse-public-key"] == "pk"
    assert [attributes_of(span)["user.id"] for span in server.spans] == ["u", "u"]
    assert attributes_of(server.spans[0])["gen_ai.usage"] == '{"a":1}'
    assert root.attributes["gen_ai.usage"] == {"a": 1}


async def test_a_batch_that_needs_no_change_keeps_its_bytes() -> None:
    """And those of its compression, if they will do."""
    batch = spans(3)
    raw = batch.encoded()
    server = Scripted()
    await exporter(server).export(batch)
    assert server.bodies == [raw]
    packed = gzip.compress(raw, 9, mtime=7)

    class Exact(Scripted):
        async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
            assert body is packed
            return await super().post(url, body, headers)

    batch = batch_from_protobuf(Signal.TRACES, raw, Compressed("gzip", packed))
    assert await exporter(Exact()).export(batch) == Sent(3)
    server = Scripted()
    await exporter(server, compression="none").export(batch)
    assert server.bodies == [raw]


async def test_spans_without_ids_cost_only_themselves() -> None:
    """The server would refuse the whole request for one of them."""
    lost = [Span(name="a", trace_id=TRACE_ID), Span(name="b", span_id=b"\x01" * 8)]
    batch = batch_of(Signal.TRACES, [*lost, a_span(1)])
    async with v4_server() as server, exporter(server) as made:
        sent = await made.export(batch)
        assert (sent.items, dict(sent.dropped)) == (1, {"missing_ids": 2})
        sent = await made.export(batch_of(Signal.TRACES, lost))
        assert (sent.items, dict(sent.dropped)) == (0, {"missing_ids": 2})
    assert server.names() == ["s1"]
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "reason", "data_fault"),
    [
        (400, "bad_request", True),
        (401, "unauthorized", False),
        (403, "forbidden", False),
        (404, "not_found", False),
        (413, "too_large", True),
        (302, "redirected", False),
    ],
)
async def test_permanent_answers(status: int, reason: str, data_fault: bool) -> None:
    """A wrong key or address is no fault of the data; after a 400 or 413 delivery halves."""
    with pytest.raises(Permanent) as caught:
        await exporter(Scripted(status)).export(spans(1))
    assert (caught.value.reason, caught.value.data_fault) == (reason, data_fault)


@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 504, 520])
async def test_retryable_answers(status: int) -> None:
    """Load and every failure of the server pass; its wait is passed on."""
    answer = Response(status, CIMultiDict({"Retry-After": "7"}))
    with pytest.raises(Retryable) as caught:
        await exporter(Scripted(answer)).export(spans(1))
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"\x0a\x02\x08\x01", b'{"id": 1}'])
async def test_the_body_of_a_success_says_nothing(body: bytes) -> None:
    """It is no OTLP response: `\\x0a\\x02\\x08\\x01` would be one rejected span."""
    answer = Response(200, CIMultiDict({"Content-Type": "application/x-protobuf"}), body)
    assert await exporter(Scripted(answer)).export(spans(2)) == Sent(2)


async def test_the_real_server_refuses() -> None:
    """A wrong key and a wrong path, from the server itself."""
    async with v4_server() as server:
        async with exporter(server, secret_key="other") as made:
            with pytest.raises(Permanent) as caught:
                await made.export(spans(1))
            assert caught.value.reason == "unauthorized"
        async with exporter(server, endpoint=server.url + "/langfuse") as made:
            with pytest.raises(Permanent) as caught:
                await made.export(spans(1))
            assert caught.value.reason == "not_found"


SMALL: dict[str, Any] = {"max_batch_bytes": 3000, "max_event_bytes": 3000}


async def test_requests_are_split_by_size() -> None:
    """No request is larger than the limit, order is kept, a larger span goes alone."""
    server = Scripted()
    batch = spans(20, {"input": "x" * 400})
    assert await exporter(server, **SMALL).export(batch) == Sent(20)
    assert max(map(len, server.bodies)) <= 3000
    names = [name for names in server.names() for name in names]
    assert names == [f"s{number}" for number in range(1, 21)]
    server = Scripted()
    assert await exporter(server, **SMALL).export(spans(1, {"input": "x" * 9000})) == Sent(1)


async def test_what_was_delivered_is_not_sent_again() -> None:
    """A failure between requests leaves the rest, with what the others said of the trace."""
    first = a_span(1, {"user.id": "u", "input": "x" * 400})
    rest = [a_span(n, {"input": "x" * 400}, parent_span_id=first.span_id) for n in range(2, 11)]
    server = Scripted(200, Response(503, CIMultiDict({"Retry-After": "3"})))
    made = exporter(server, **SMALL)
    with pytest.raises(Partial) as caught:
        await made.export(batch_of(Signal.TRACES, [first, *rest]))
    partial = caught.value
    assert 0 < partial.sent < 10
    assert partial.sent + partial.remaining.count == 10
    assert partial.retry_after == 3
    assert {span.attributes["user.id"] for span in partial.remaining.view_spans()} == {"u"}
    assert await made.export(partial.remaining) == Sent(10 - partial.sent)
    delivered = [name for at, names in enumerate(server.names()) if at != 1 for name in names]
    assert delivered == [f"s{number}" for number in range(1, 11)]


async def test_every_span_is_accounted_for() -> None:
    """Those of former batches, of this attempt, without ids, and left: together all there are."""
    server = Scripted(200, 200, 503)
    made = exporter(server, **SMALL)
    await made.export(spans(2))
    lost = Span(name="lost", trace_id=TRACE_ID)
    batch = spans(2).view_spans() + spans(20, {"input": "x" * 400}).view_spans()[2:]
    with pytest.raises(Partial) as caught:
        await made.export(batch_of(Signal.TRACES, [lost, *batch]))
    partial = caught.value
    assert partial.dropped == {"missing_ids": 1}
    assert partial.sent > 2
    assert partial.sent + partial.remaining.count + 1 == 21
    names = {span.name for span in partial.remaining.view_spans()}
    assert names.isdisjoint({"s1", "s2", "s3", "lost"})


async def test_a_long_attempt_ends_in_good_time() -> None:
    """What is left when half of the time is over is the next attempt's."""
    clock = FakeClock()
    server = Scripted(clock=clock)
    with pytest.raises(Partial):
        await exporter(server, clock, **SMALL).export(spans(20, {"input": "x" * 400}))
    assert len(server.bodies) == 1


async def test_a_span_that_arrived_is_not_sent_twice() -> None:
    """The server would count it twice. Only a known success counts, and only the same span."""
    server = Scripted(500)
    made = exporter(server)
    with pytest.raises(Retryable):
        await made.export(spans(2))
    assert await made.export(spans(2)) == Sent(2)
    sent = await made.export(spans(3))
    assert (sent.items, dict(sent.dropped)) == (3, {})
    assert "sent before" in sent.message
    assert server.names() == [["s1", "s2"], ["s1", "s2"], ["s3"]]
    longer = a_span(1)
    longer.end_ns += 5
    await made.export(batch_of(Signal.TRACES, [longer]))
    assert server.names()[-1] == ["s1"]


async def test_memory_of_what_was_sent_is_bounded_and_optional() -> None:
    """The oldest are forgotten; 0 remembers nothing."""
    for most, requests in ((2, 2), (3, 1), (0, 2)):
        server = Scripted()
        made = exporter(server, remember_sent=most)
        await made.export(spans(3))
        await made.export(spans(1))
        assert len(server.bodies) == requests


async def test_scores_go_as_events() -> None:
    """In this mode too, by the same code, and a v4 server takes them."""
    evaluation = LogRecord(
        event_name="gen_ai.evaluation.result",
        trace_id=TRACE_ID,
        time_ns=10**18,
        attributes={"gen_ai.evaluation.name": "n", "gen_ai.evaluation.score.value": 1.0},
    )
    exemplar = Exemplar(time_ns=10**18, value=2.5, trace_id=TRACE_ID)
    metric = Metric(name="m", data=Gauge(points=[NumberPoint(value=1, exemplars=[exemplar])]))
    async with (
        v4_server() as server,
        exporter(server, scores_from_metrics={"enabled": True}) as made,
        exporter(server) as without,
    ):
        sent = await made.export(batch_of(Signal.LOGS, [evaluation, LogRecord(body="x")]))
        assert (sent.items, dict(sent.dropped)) == (1, {"no_form": 1})
        assert await made.export(batch_of(Signal.METRICS, [metric])) == Sent(1)
        sent = await without.export(batch_of(Signal.METRICS, [metric]))
        assert (sent.items, dict(sent.dropped)) == (0, {"no_form": 1})
    assert [event["body"]["name"] for event in server.scores] == ["n", "m"]
    assert {path for path, _ in server.requests} == {INGESTION}
    assert all("Content-Encoding" not in headers for _, headers in server.requests)


SCORES: Sequence[dict[str, Any]] = (
    {"id": "my-score", "name": "n", "value": 0.5, "dataType": "NUMERIC", "traceId": "t 1",
     "observationId": "o-1", "comment": "why", "metadata": {"a": [1]}, "configId": "c"},
    {"id": "s2", "name": "n", "value": "good", "dataType": "CATEGORICAL", "sessionId": "s",
     "source": "ANNOTATION", "queueId": "q"},
    {"id": "s3", "name": "b", "value": 1, "dataType": "BOOLEAN", "datasetRunId": "run"},
)  # fmt: skip


@pytest.mark.parametrize("mode", ["batch", "otlp"])
async def test_scores_of_an_sdk_leave_as_they_came(mode: str) -> None:
    """Received as events, carried as log records over the wire, sent with the same ids."""
    events: list[dict[str, Any]] = [
        {"id": f"e{at}", "type": "score-create", "timestamp": "2025-01-01T00:00:00.123Z",
         "body": {**body, "environment": "prod"}}
        for at, body in enumerate(SCORES)
    ]  # fmt: skip
    received = parse_ingestion(json.dumps({"batch": events}).encode())
    assert received.refused == []
    logs = decode_scores(received.events)
    batch = batch_from_protobuf(Signal.LOGS, batch_of(Signal.LOGS, logs).encoded())
    async with v4_server() as server, exporter(server, mode=mode) as made:
        assert await made.export(batch) == Sent(3)
    for before, after in zip(events, server.scores, strict=True):
        assert {k: v for k, v in after.items() if k != "body"} == {
            k: v for k, v in before.items() if k != "body"
        }
        assert {"source": "API", **after["body"]} == {"source": "API", **before["body"]}


@pytest.mark.parametrize("tail", ["", "/", INGESTION, TRACES, "/api/public/otel/"])
def test_endpoints(tail: str) -> None:
    """The server's base, or what its documentation says for other exporters."""
    config = exporter(Scripted(), endpoint=f"https://h/x{tail}")._config
    assert config.otlp_url == f"https://h/x{TRACES}"
    assert config.url == f"https://h/x{INGESTION}"


def test_configuration() -> None:
    """Requests are compressed unless told otherwise; what cannot be is refused."""
    assert exporter(Scripted())._config.compression == "gzip"
    assert exporter(Scripted(), compression="none")._config.compression == "none"
    assert exporter(Scripted(), mode="batch")._config.compression == "none"
    for options in ({"compression": "zstd"}, {"remember_sent": -1}, {"mode": "v4"}):
        with pytest.raises(ValidationError):
            exporter(Scripted(), **options)


CONFIG = """
receivers:
  otlp: {{ protocols: {{ http: {{ endpoint: "127.0.0.1:{port}" }} }} }}
exporters:
  langfuse: {{ endpoint: "{url}", public_key: pk, secret_key: sk, mode: otlp }}
service:
  telemetry: {{ metrics: {{ level: none }} }}
  pipelines:
    traces: {{ receivers: [otlp], exporters: [langfuse] }}
    logs: {{ receivers: [otlp], exporters: [langfuse] }}
"""


async def test_the_command(tmp_path: Path) -> None:
    """The real command: OTLP in, a v4 server out, spans and scores, and a clean end."""
    root = a_span(1, {"session.id": "s", "gen_ai.operation.name": "rerank"})
    below = a_span(2, {"x": b"hi"}, parent_span_id=root.span_id)
    evaluation = LogRecord(
        event_name="gen_ai.evaluation.result",
        trace_id=TRACE_ID,
        time_ns=10**18,
        attributes={"gen_ai.evaluation.name": "n", "gen_ai.evaluation.score.value": 1.0},
    )
    port = free_port()
    async with v4_server() as server:
        config = CONFIG.format(port=port, url=server.url)
        async with collector(config, tmp_path) as running, aiohttp.ClientSession() as client:
            for path, batch in (
                ("traces", batch_of(Signal.TRACES, [root, below])),
                ("logs", batch_of(Signal.LOGS, [evaluation])),
            ):
                async with client.post(
                    f"http://127.0.0.1:{port}/v1/{path}",
                    data=batch.encoded(),
                    headers={"Content-Type": "application/x-protobuf"},
                ) as answer:
                    assert answer.status == 200
            assert await running.stop() == 0, "".join(running.log)
        found = {span.name: attributes_of(span) for span in server.spans}
        assert found["s1"]["langfuse.observation.type"] == "retriever"
        assert found["s2"] == {"x": "aGk=", "session.id": "s"}
        assert [event["body"]["traceId"] for event in server.scores] == [TRACE_ID.hex()]
