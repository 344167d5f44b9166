"""The `langfuse` receiver, case by case, with a real client on a real port."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from typing import Any

import pytest
from pydantic import ValidationError

from genai_collector.component import Context
from genai_collector.errors import Overloaded, Permanent, QueueFull
from genai_collector.formats.langfuse import decode_batch, decode_scores, parse_ingestion
from genai_collector.formats.langfuse.decode import source_of
from genai_collector.model import Signal
from genai_collector.receivers.langfuse import LangfuseConfig, LangfuseReceiver
from genai_collector.receivers.otlp import OtlpConfig, OtlpReceiver
from genai_collector.transport.http_server import HttpListeners
from tests.receivers.harness import RecordingConsumer, protobuf_request
from tests.receivers.langfuse_harness import PROJECTS, Running, basic, receiving
from tests.support.captures import shared
from tests.support.fakes import CountingTelemetry
from tests.support.plain import plain

TIME = "2025-01-01T00:00:00.000Z"
PROTOBUF = {"Content-Type": "application/x-protobuf"}


def event(key: str, kind: str = "span-create", **body: object) -> dict[str, Any]:
    return {"id": key, "type": kind, "timestamp": TIME, "body": body}


def complete(key: str = "s") -> list[dict[str, Any]]:
    """A trace and a span that has all it needs."""
    return [
        event(f"{key}-1", "trace-create", id=f"trace-{key}", name="t"),
        event(f"{key}-2", id=key, traceId=f"trace-{key}", name=key, endTime=TIME),
    ]


async def post(running: Running, *events: dict[str, Any], **headers: str) -> Any:
    return await running.send("ingestion", {"batch": list(events)}, headers=headers)


async def test_batch() -> None:
    """A batch is answered with 207 and arrives as spans and score records."""
    score = event("3", "score-create", id="sc", name="q", value=0.5, traceId="trace-s")
    async with receiving() as running:
        answer = await post(running, *complete(), score, event("4", "sdk-log", log="x"))
        assert answer.status == 207
        assert answer.body == {
            "successes": [{"id": key, "status": 201} for key in ("s-1", "s-2", "3")],
            "errors": [],
        }
        await running.until(spans=1, logs=1)
        [span], [log] = running.spans, running.logs
        assert span.name == "s"
        assert span.trace_id == log.trace_id
        assert log.attributes["gen_ai.evaluation.score.value"] == 0.5
        assert running.telemetry.counts["received", "langfuse", "http"] == 2


async def test_bad_events_cost_only_themselves() -> None:
    """Invalid events are listed one by one, with their id where they have one."""
    bad = [event("b", id=""), event("c", "nope", id="x"), {"type": "span-create"}]
    async with receiving() as running:
        answer = await post(running, *complete(), *bad)
        assert answer.status == 207
        assert [entry["id"] for entry in answer.body["successes"]] == ["s-1", "s-2"]
        errors = answer.body["errors"]
        assert [(entry["id"], entry["status"]) for entry in errors] == [
            ("b", 400), ("c", 400), ("unknown", 400),
        ]  # fmt: skip
        assert {entry["message"] for entry in errors} == {"Invalid request data"}
        assert all(entry["error"] for entry in errors)
        await running.until(spans=1)
        assert running.telemetry.counts["refused", "langfuse", "http"] == 3


async def test_empty_batch() -> None:
    """No events are no error."""
    async with receiving() as running:
        answer = await post(running)
        assert (answer.status, answer.body) == (207, {"successes": [], "errors": []})


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"[]", b"{}", b'{"batch": {}}', b'{"batch": null}', b"\xff"]
)
async def test_not_a_batch(body: bytes) -> None:
    """What is no batch is refused as a whole, in JSON."""
    async with receiving() as running:
        answer = await running.send("ingestion", body)
        assert answer.status == 400
        assert answer.body["message"] == "Invalid request data"
        assert answer.body["errors"]


async def test_too_large() -> None:
    """A body over the limit is 413, also one that only grows over it."""
    body = json.dumps({"batch": [event("e", id="x" * 4000)]}).encode()
    async with receiving({"max_request_body_size": 2000}) as running:
        assert (await running.send("ingestion", body)).status == 413
        headers = {"Content-Encoding": "gzip"}
        assert (await running.send("ingestion", gzip.compress(body), headers=headers)).status == 413


async def test_compressed() -> None:
    """Bodies may be compressed, though no SDK does it."""
    body = gzip.compress(json.dumps({"batch": complete()}).encode())
    async with receiving() as running:
        answer = await running.send("ingestion", body, headers={"Content-Encoding": "gzip"})
        assert answer.status == 207
        assert (
            await running.send("ingestion", b"", headers={"Content-Encoding": "br"})
        ).status == 400


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("path", ["ingestion", "scores", "otel/v1/traces"])
async def test_wrong_method(method: str, path: str) -> None:
    """Other methods are 405, in the server's words."""
    async with receiving() as running:
        answer = await running.send(path, method=method)
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert answer.body["error"] == "MethodNotAllowedError"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("pk-1", "sk-2"),
        basic("pk-1", ""),
        basic("", ""),
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic cGstMQ=="},
        {"Authorization": "Bearer pk-9"},
        {"Authorization": "Digest x"},
    ],
)
async def test_unauthorized(headers: dict[str, str]) -> None:
    """Nothing is answered, let alone taken, without the right keys; health is for all."""
    async with receiving({"projects": PROJECTS}) as running:
        for method, path in (
            ("POST", "ingestion"), ("POST", "scores"), ("POST", "otel/v1/traces"),
            ("POST", "otel/v1/metrics"), ("GET", "projects"), ("GET", "v2/prompts/x"),
        ):  # fmt: skip
            answer = await running.send(path, {"batch": complete()}, method=method, headers=headers)
            assert answer.status == 401, path
            assert answer.body["error"] == "UnauthorizedError"
        assert (await running.send("health", method="GET", headers=headers)).status == 200
    assert not running.spans


async def test_projects_travel_with_the_data() -> None:
    """Whose key pair it was is on the resource, whichever way the data came."""
    async with receiving({"projects": PROJECTS}) as running:
        web, batch = basic("pk-1", "sk-1"), basic("pk-2", "sk-2")
        assert (await post(running, *complete(), **web)).status == 207
        await running.until(spans=1)
        body = protobuf_request(Signal.TRACES, 2)
        assert (await running.send_raw("otel/v1/traces", body, {**PROTOBUF, **batch})).status == 200
        assert [span.resource.attributes["langfuse.project.name"] for span in running.spans] == [
            "web", "batch", "batch",
        ]  # fmt: skip
        answer = await running.send("projects", method="GET", headers=batch)
        assert [project["name"] for project in answer.body["data"]] == ["batch"]


async def test_public_key_alone_is_for_scores() -> None:
    """A bearer of the public key may only send scores."""
    score = event("s", "score-create", id="s", name="n", value="v", traceId="t")
    async with receiving({"projects": PROJECTS}) as running:
        answer = await post(running, *complete(), score, Authorization="Bearer pk-1")
        assert [entry["id"] for entry in answer.body["successes"]] == ["s"]
        assert [entry["status"] for entry in answer.body["errors"]] == [401, 401]
        denied = {**PROTOBUF, "Authorization": "Bearer pk-1"}
        body = protobuf_request(Signal.TRACES)
        assert (await running.send_raw("otel/v1/traces", body, denied)).status == 401


async def test_otlp_is_passed_on() -> None:
    """OTLP goes through as it came; metrics that nobody takes are thrown away with a 200."""
    body = protobuf_request(Signal.TRACES)
    metrics = protobuf_request(Signal.METRICS)
    async with receiving() as running:
        assert (await running.send_raw("otel/v1/traces", body, PROTOBUF)).status == 200
        [batch] = running.consumers[Signal.TRACES].batches
        assert batch.encoded() == body
        assert (await running.send_raw("otel/v1/metrics", metrics, PROTOBUF)).status == 200
        assert running.consumers[Signal.METRICS].batches[0].encoded() == metrics
    async with receiving(signals=frozenset({Signal.TRACES})) as running:
        answer = await running.send("otel/v1/metrics", metrics, headers=PROTOBUF)
        assert (answer.status, answer.body) == (200, {})


async def test_real_otlp_payloads() -> None:
    """What current SDKs send over OTLP is taken whole."""
    sent = sorted(shared("captures/langfuse_otel").glob("*/*traces.body.*"))
    assert len(sent) >= 7
    async with receiving() as running:
        for path in sent:
            before = len(running.spans)
            recorded = json.loads(path.with_suffix("").with_suffix(".headers.json").read_text())
            kept = {"content-type", "content-encoding"}
            headers = {k: v for k, v in recorded["headers"].items() if k.lower() in kept}
            body = path.read_bytes()
            if "gzip" in headers.values():
                body = gzip.compress(body)  # recorded after decompression
            answer = await running.send_raw("otel/v1/traces", body, headers)
            assert answer.status == 200, path
            assert len(running.spans) > before


async def test_scores_route() -> None:
    """One score, or the list of current Python SDKs; a bad one refuses the request."""
    sent = shared("captures/langfuse_otel/py5_full/003_POST_api_public_scores.body.json")
    async with receiving() as running:
        answer = await running.send("scores", sent.read_bytes())
        assert answer.status == 200
        await running.until(logs=4)
        assert running.logs[3].attributes["langfuse.score.session_id"] == "sess-7"
        single = await running.send("scores", {"name": "n", "value": 1, "traceId": "t"})
        assert single.status == 200
        assert len(single.body["id"]) == 36
        await running.until(logs=5)
        bad = await running.send("scores", [{"name": "n"}])
        assert bad.status == 400


async def test_what_a_collector_is_not() -> None:
    """Prompts, media and the rest are refused at once, and it is said why."""
    async with receiving() as running:
        for method, path, status in (
            ("GET", "v2/prompts/greeting", 404),
            ("GET", "traces", 404),
            ("POST", "media", 501),
            ("PATCH", "media/x", 501),
        ):
            answer = await running.send(path, method=method)
            assert answer.status == status
            assert "collector, not a Langfuse server" in answer.body["message"]
        assert (await running.send("health", method="GET")).body["status"] == "OK"
        [project] = (await running.send("projects", method="GET")).body["data"]
        assert project["id"]


async def test_sent_again() -> None:
    """A client that sends a batch again gets the same answer, and nothing is there twice."""
    async with receiving() as running:
        first = await post(running, *complete())
        await running.until(spans=1)
        again = await post(running, *complete())
        assert (again.status, again.body) == (first.status, first.body)
    assert len(running.spans) == 1
    assert not running.logs


async def test_flushed_when_left() -> None:
    """What is not complete when the receiver is left becomes spans all the same."""
    async with receiving({"assembly": {"max_wait": "1h"}}) as running:
        await post(running, event("1", id="a", traceId="t", name="a"), *complete("b"))
        assert not running.spans
    assert sorted(span.name for span in running.spans) == ["a", "b"]


async def test_refused_by_the_pipelines_for_now() -> None:
    """What the pipelines refuse is kept and tried again, unchanged; meanwhile nothing is lost."""
    async with receiving() as running:
        consumer = running.consumers[Signal.TRACES]
        consumer.refuse = QueueFull("full", retry_after=0.001)
        await post(running, *complete())
        await asyncio.sleep(0.01)
        assert not running.spans
        consumer.refuse = None
        await running.until(spans=1)
    assert len(running.spans) == 1


async def test_refuses_when_too_much_waits() -> None:
    """When the pipelines take nothing and the bound is reached, clients are told to come again."""
    config = {"assembly": {"settle_time": "0s", "max_pending_bytes": 300}}
    async with receiving(config) as running:
        consumer = running.consumers[Signal.TRACES]
        consumer.refuse = QueueFull("full", retry_after=0.001)
        statuses = []
        for number in range(20):
            answer = await post(running, *complete(f"s{number}"))
            statuses.append(answer.status)
            if answer.status == 503:
                assert answer.headers["Retry-After"] == "1"
                break
            await asyncio.sleep(0.002)
        assert statuses[0] == 207
        assert statuses[-1] == 503
        consumer.refuse = None
        await running.until(spans=statuses.count(207))
        assert (await post(running, *complete("last"))).status == 207


async def test_refused_by_the_pipelines_for_good() -> None:
    """What will never be taken is counted, and the rest goes on."""
    async with receiving() as running:
        consumer = running.consumers[Signal.TRACES]
        consumer.refuse = Permanent("no", reason="bad")
        await post(running, *complete("a"))
        while not running.telemetry.counts["dropped", "langfuse", "bad"]:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        consumer.refuse = None
        await post(running, *complete("b"))
        await running.until(spans=1)
    assert [span.name for span in running.spans] == ["b"]


async def test_overloaded() -> None:
    """A full house is 503 before anything is read."""
    async with receiving() as running:
        running.consumers[Signal.TRACES].refuse_entry = Overloaded("memory", retry_after=7)
        answer = await post(running, *complete())
        assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
        assert answer.body["error"] == "ServiceUnavailableError"
        running.consumers[Signal.TRACES].refuse_entry = None


async def test_scores_without_a_pipeline_are_counted() -> None:
    """Scores are log records; without a logs pipeline they are dropped, visibly."""
    score = event("s", "score-create", id="s", name="n", value=1, traceId="t")
    async with receiving(signals=frozenset({Signal.TRACES})) as running:
        assert (await post(running, score)).status == 207
    assert running.telemetry.counts["dropped", "langfuse", "no_pipeline"] == 1


async def test_on_the_same_port_as_otlp() -> None:
    """The receiver and the `otlp` receiver share a listener."""
    listeners = HttpListeners()
    consumers = {signal: RecordingConsumer() for signal in Signal}
    log = logging.getLogger("genai_collector.test")
    telemetry = CountingTelemetry()
    http = {"endpoint": "127.0.0.1:0"}
    otlp = OtlpReceiver(
        OtlpConfig.model_validate({"protocols": {"http": http}}),
        consumers,
        Context("otlp", telemetry, log, listeners=listeners),
    )
    langfuse = LangfuseReceiver(
        LangfuseConfig.model_validate({**http, "assembly": {"settle_time": "0s"}}),
        consumers,
        Context("langfuse", telemetry, log, listeners=listeners),
    )
    await listeners.start()
    try:
        async with otlp, langfuse:
            [address] = {*otlp.endpoints(), *langfuse.endpoints()}
            running = Running(langfuse, consumers, telemetry, address)
            assert (await post(running, *complete())).status == 207
            await running.until(spans=1)
    finally:
        await listeners.stop(1)


@pytest.mark.parametrize("folder", ["langfuse_v2", "litellm_langfuse"])
async def test_real_sdk_replays(folder: str) -> None:
    """What the old SDKs and LiteLLM sent, request by request, becomes the spans of its merge."""
    files = [
        path
        for path in sorted(shared(f"captures/{folder}").glob("**/*.json"))
        if path.name.endswith((".body.json", ".langfuse.json"))
    ]
    assert len(files) >= 6
    for path in files:
        ingestion = parse_ingestion(path.read_bytes())
        expected = decode_batch(ingestion.events, ingestion.metadata)
        scores = decode_scores(ingestion.events, source_of(ingestion.metadata))
        async with receiving() as running:
            answer = await running.send("ingestion", path.read_bytes())
            assert answer.status == 207
            assert answer.body["errors"] == []
        assert sorted(repr(plain(span)) for span in running.spans) == sorted(
            repr(plain(span)) for span in expected
        ), path
        assert plain(running.logs) == plain(scores)


def test_configuration() -> None:
    """Keys are not shown, are there once, and without any the door is known to be open."""
    config = LangfuseConfig.model_validate({"projects": PROJECTS})
    assert "sk-1" not in repr(config)
    assert config.authenticates()
    assert not LangfuseConfig.model_validate({}).authenticates()
    with pytest.raises(ValidationError, match="pk-1 is given twice"):
        LangfuseConfig.model_validate({"projects": [PROJECTS[0], {**PROJECTS[0], "name": "n"}]})
