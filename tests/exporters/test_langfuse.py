"""The langfuse exporter against a scripted server."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from multidict import CIMultiDict
from pydantic import ValidationError

from genai_collector.component import Context, NoTelemetry, Sent
from genai_collector.errors import Partial, Permanent, Retryable
from genai_collector.exporters._langfuse_attempt import Recent
from genai_collector.exporters.langfuse import FACTORY, Langfuse, LangfuseConfig
from genai_collector.formats.otlp import batch_of
from genai_collector.model import (
    Batch,
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

TRACE_ID = b"\x01" * 16
Verdict = Mapping[str, tuple[int, str]]
Answer = Callable[[list[str]], Verdict] | Response


class Server:
    """Langfuse, scripted: each request takes the next answer, later ones all succeed."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[tuple[str, dict[str, Any], Mapping[str, str], int]] = []

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
        parsed = json.loads(body)
        self.requests.append((url, parsed, headers, len(body)))
        answer = self._answers.pop(0) if self._answers else lambda ids: {}
        if isinstance(answer, Response):
            return answer
        ids = [event["id"] for event in parsed["batch"]]
        verdict = answer(ids)
        answered = {
            "successes": [{"id": one, "status": 201} for one in ids if one not in verdict],
            "errors": [
                {"id": one, "status": status, "message": message, "error": "secret content"}
                for one, (status, message) in verdict.items()
            ],
        }
        return Response(207, body=json.dumps(answered).encode())

    def events(self) -> list[dict[str, Any]]:
        """Everything that was posted, in order."""
        return [event for _, parsed, _, _ in self.requests for event in parsed["batch"]]


def exporter(server: Server, clock: FakeClock | None = None, **options: Any) -> Langfuse:
    """An exporter with these options, talking to this server."""
    clock = clock or FakeClock()
    keys = {"public_key": "pk", "secret_key": "sk", "endpoint": "http://langfuse:3000/"}
    config = LangfuseConfig.model_validate({**keys, **options})
    log = logging.getLogger("test")
    context = Context("langfuse", NoTelemetry(), log, clock=clock, wall_clock_ns=clock.now_ns)
    return Langfuse(config, context, server)


def spans(count: int, *, content: str = "hi", parent: bytes = b"\x09" * 8) -> Batch:
    """Children of one trace."""
    return batch_of(
        Signal.TRACES,
        [
            Span(
                trace_id=TRACE_ID,
                span_id=number.to_bytes(8, "big"),
                parent_span_id=parent,
                name=f"s{number}",
                start_ns=10**18,
                end_ns=10**18,
                attributes={"input": content},
            )
            for number in range(1, count + 1)
        ],
    )


def refuse(*numbers: int, status: int, message: str = "no") -> Callable[[list[str]], Verdict]:
    """An answer that refuses the observations of these spans."""
    wanted = {number.to_bytes(8, "big").hex() for number in numbers}
    return lambda ids: {
        one: (status, message)
        for one in ids
        if one.endswith("observation") and one.split("-")[1] in wanted
    }


async def test_a_batch_is_posted() -> None:
    """To the ingestion route, with the keys and our name, and the whole batch is sent."""
    server = Server()
    assert await exporter(server).export(spans(2)) == Sent(2)
    ((url, _, headers, _),) = server.requests
    assert url == "http://langfuse:3000/api/public/ingestion"
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"pk:sk").decode()
    assert headers["x-langfuse-sdk-name"] == "genai-collector"
    kinds = [event["type"] for event in server.events()]
    assert kinds == ["trace-create", "span-create", "span-create"]


async def test_a_refused_event_is_dropped_and_the_rest_sent() -> None:
    """Counted in spans, under the status; the message is the server's, never its details."""
    sent = await exporter(Server(refuse(2, status=400, message="Invalid"))).export(spans(3))
    assert (sent.items, dict(sent.dropped)) == (2, {"langfuse_400": 1})
    assert sent.message == "400: Invalid"


async def test_only_what_failed_is_tried_again() -> None:
    """A 5xx or 429 of an event leaves its span; refused ones are settled at once."""

    def mixed(ids: list[str]) -> Verdict:
        return {
            **refuse(1, status=500)(ids), **refuse(3, status=429)(ids), **refuse(4, status=404)(ids)
        }  # fmt: skip

    server = Server(mixed)
    made = exporter(server)
    with pytest.raises(Partial) as caught:
        await made.export(spans(5))
    partial = caught.value
    assert (partial.sent, partial.dropped) == (2, {"langfuse_404": 1})
    assert [span.name for span in partial.remaining.view_spans()] == ["s1", "s3"]
    assert await made.export(partial.remaining) == Sent(2)


async def test_a_retry_repeats_the_ids() -> None:
    """The second sending replaces the first instead of doubling it."""
    server = Server(Response(500))
    made = exporter(server)
    with pytest.raises(Retryable):
        await made.export(spans(2))
    await made.export(spans(2))
    (_, first, _, _), (_, second, _, _) = server.requests
    assert first == second


async def test_a_v4_server_is_named() -> None:
    """What an events_only server says is explained, with the way out."""
    server = Server(refuse(1, 2, status=400, message="Event type not accepted"))
    sent = await exporter(server).export(spans(2))
    assert dict(sent.dropped) == {"langfuse_events_only": 2}
    assert "mode: otlp" in sent.message


@pytest.mark.parametrize(
    ("status", "reason", "data_fault"),
    [
        (400, "bad_request", True),
        (401, "unauthorized", False),
        (403, "forbidden", False),
        (404, "not_found", False),
        (413, "too_large", True),
    ],
)
async def test_permanent_answers(status: int, reason: str, data_fault: bool) -> None:
    """A wrong key or address is no fault of the data; a 413 is, so that delivery halves."""
    with pytest.raises(Permanent) as caught:
        await exporter(Server(Response(status))).export(spans(1))
    assert (caught.value.reason, caught.value.data_fault) == (reason, data_fault)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_retryable_answers(status: int) -> None:
    """Load and storage failures pass; the server's wait is passed on."""
    answer = Response(status, CIMultiDict({"Retry-After": "7"}))
    with pytest.raises(Retryable) as caught:
        await exporter(Server(answer)).export(spans(1))
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors": []}'])
async def test_not_langfuse(body: bytes) -> None:
    """A success that is not Langfuse's is no success."""
    with pytest.raises(Permanent) as caught:
        await exporter(Server(Response(200, body=body))).export(spans(1))
    assert caught.value.reason == "no_langfuse_server"


async def test_batches_are_split_by_size() -> None:
    """No request is larger than the limit, order is kept and nothing is lost."""
    server = Server()
    made = exporter(server, max_batch_bytes=5000, max_event_bytes=5000)
    assert await made.export(spans(20, content="x" * 500)) == Sent(20)
    assert len(server.requests) > 3
    assert max(size for *_, size in server.requests) <= 5000
    names = [event["body"]["name"] for event in server.events() if "name" in event["body"]]
    assert names == [f"s{number}" for number in range(1, 21)]


async def test_a_failure_between_requests_keeps_what_was_sent() -> None:
    """What the first request delivered is not sent again."""
    server = Server(lambda ids: {}, Response(503, CIMultiDict({"Retry-After": "3"})))
    made = exporter(server, max_batch_bytes=5000, max_event_bytes=5000)
    with pytest.raises(Partial) as caught:
        await made.export(spans(20, content="x" * 500))
    partial = caught.value
    assert 0 < partial.sent < 20
    assert partial.sent + partial.remaining.count == 20
    assert partial.retry_after == 3


async def test_a_long_attempt_ends_in_good_time() -> None:
    """An attempt that has used half of its time leaves the rest for the next one."""
    clock = FakeClock()

    def slow(ids: list[str]) -> Verdict:
        clock.advance(15)
        return {}

    server = Server(slow)
    made = exporter(server, clock, max_batch_bytes=5000, max_event_bytes=5000)
    with pytest.raises(Partial):
        await made.export(spans(20, content="x" * 500))
    assert len(server.requests) == 1


async def test_oversize_content_is_cut() -> None:
    """The event goes, its longest content ends with a mark, and the log is told."""
    server = Server()
    made = exporter(server, max_batch_bytes=2000, max_event_bytes=3000)
    sent = await made.export(spans(1, content="x" * 9000))
    assert sent.items == 1
    assert "cut" in sent.message
    observation = server.events()[-1]["body"]
    assert observation["input"].endswith("<truncated due to size exceeding limit>")
    assert max(size for *_, size in server.requests) <= 3100


async def test_oversize_events_can_be_dropped() -> None:
    """On demand, counted as too large; its neighbours are sent."""
    server = Server()
    made = exporter(server, max_batch_bytes=2000, max_event_bytes=3000, oversize="drop")
    batch = spans(2)
    batch.spans[0].attributes["input"] = "x" * 9000
    sent = await made.export(batch)
    assert (sent.items, dict(sent.dropped)) == (1, {"too_large": 1})


async def test_spans_without_ids_are_counted() -> None:
    """Langfuse would refuse them."""
    batch = batch_of(Signal.TRACES, [Span(name="lost"), *spans(1).view_spans()])
    sent = await exporter(Server()).export(batch)
    assert (sent.items, dict(sent.dropped)) == (1, {"missing_ids": 1})


async def test_a_known_trace_is_not_announced_again() -> None:
    """Once a trace was taken, later batches of its spans go without a trace-create."""
    server = Server(Response(500))
    made = exporter(server)
    with pytest.raises(Retryable):
        await made.export(spans(1))
    await made.export(spans(1))
    await made.export(spans(1))
    kinds = [[event["type"] for event in parsed["batch"]] for _, parsed, _, _ in server.requests]
    assert kinds == [["trace-create", "span-create"]] * 2 + [["span-create"]]


def test_what_is_remembered_is_bounded() -> None:
    """The oldest is forgotten, a repeated one is young again."""
    seen = Recent(most=2)
    for trace_id in ("a", "b", "a", "c"):
        seen.add(trace_id)
    assert [trace_id in seen for trace_id in "abc"] == [True, False, True]


def metrics(*exemplars: Sequence[Exemplar]) -> Batch:
    """One metric per list, each with one point."""
    return batch_of(
        Signal.METRICS,
        [
            Metric(name=f"m{at}", data=Gauge(points=[NumberPoint(value=1, exemplars=list(found))]))
            for at, found in enumerate(exemplars)
        ],
    )


EXEMPLAR = Exemplar(time_ns=10**18, value=2.5, trace_id=TRACE_ID)


async def test_metrics_have_no_form_by_default() -> None:
    """They are counted as dropped, not silently swallowed."""
    server = Server()
    sent = await exporter(server).export(metrics([EXEMPLAR], []))
    assert (sent.items, dict(sent.dropped)) == (0, {"no_form": 2})
    assert server.requests == []


async def test_exemplars_become_scores_on_demand() -> None:
    """Points with an exemplar are sent, the others counted; a failed one keeps its metric."""
    server = Server(lambda ids: {ids[0]: (500, "later")})
    made = exporter(server, scores_from_metrics={"enabled": True})
    with pytest.raises(Partial) as caught:
        await made.export(metrics([EXEMPLAR], [], [EXEMPLAR]))
    partial = caught.value
    assert (partial.sent, partial.dropped) == (1, {"no_form": 1})
    assert [metric.name for metric in partial.remaining.view_metrics()] == ["m0"]
    assert await made.export(partial.remaining) == Sent(1)
    assert {event["type"] for event in server.events()} == {"score-create"}


async def test_evaluation_events_become_scores() -> None:
    """By default; other log records are counted."""
    evaluation = LogRecord(
        event_name="gen_ai.evaluation.result",
        trace_id=TRACE_ID,
        time_ns=10**18,
        attributes={"gen_ai.evaluation.name": "n", "gen_ai.evaluation.score.value": 1.0},
    )
    batch = batch_of(Signal.LOGS, [LogRecord(body="x"), evaluation])
    sent = await exporter(Server()).export(batch)
    assert (sent.items, dict(sent.dropped)) == (1, {"no_form": 1})
    sent = await exporter(Server(), scores={"evaluation_events": False}).export(batch)
    assert dict(sent.dropped) == {"no_form": 2}


async def test_the_batch_is_not_changed() -> None:
    """Other exporters share it."""
    batch = spans(3)
    before = batch.encoded()
    await exporter(Server()).export(batch)
    assert batch.is_encoded
    assert batch.encoded() == before


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint": ""},
        {"endpoint": "langfuse:3000"},
        {"public_key": ""},
        {"mode": "grpc"},
        {"compression": "gzip"},
        {"mode": "otlp", "compression": "zstd"},
        {"max_batch_bytes": 5000, "max_event_bytes": 10},
    ],
)
def test_bad_configuration(options: dict[str, Any]) -> None:
    """Refused before anything is opened."""
    with pytest.raises(ValidationError):
        exporter(Server(), **options)


def test_endpoint_may_be_the_whole_url_and_the_key_is_hidden() -> None:
    """Both spellings of the address work; printing the configuration shows no key."""
    config = LangfuseConfig.model_validate(
        {"endpoint": "http://h/api/public/ingestion", "public_key": "pk", "secret_key": "sk-lf-1"}
    )
    assert config.url == "http://h/api/public/ingestion"
    assert "sk-lf-1" not in repr(config)
    assert FACTORY.config is LangfuseConfig


async def test_real_client_is_opened_and_closed() -> None:
    """Without an injected transport the exporter brings its own."""
    made = FACTORY.create(
        LangfuseConfig.model_validate(
            {"endpoint": "http://127.0.0.1:9", "public_key": "pk", "secret_key": "sk"}
        ),
        Context("langfuse", NoTelemetry(), logging.getLogger("test")),
    )
    async with made:
        with pytest.raises(Retryable):
            await made.export(spans(1))
