"""The noveum exporter: what it posts, and what it makes of each answer."""

from __future__ import annotations

import gzip
import json

import pytest
from pydantic import ValidationError

from genai_collector.component import Sent
from genai_collector.errors import Partial, Permanent, Retryable
from genai_collector.exporters.noveum import FACTORY, Noveum, NoveumConfig
from genai_collector.formats import noveum, otlp
from genai_collector.model import (
    Batch,
    Gauge,
    LogRecord,
    Metric,
    NumberPoint,
    Signal,
    Span,
    Value,
)
from genai_collector.transport.http_client import Response
from tests.formats.noveum.material import RECORDS
from tests.support.fakes import FakeClock, FakeTransport, make_context

URL = "https://noveum.test/v1/logs/noveum"
OK = Response(200)


def config(**options: object) -> NoveumConfig:
    return NoveumConfig.model_validate({"endpoint": URL} | options)


def call(at: int = 0) -> Span:
    return Span(
        span_id=bytes([at + 1] * 8),
        name=f"chat {at}",
        start_ns=1,
        end_ns=2,
        attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": f"m{at}"},
    )


def calls(count: int) -> Batch:
    return otlp.batch_of(Signal.TRACES, [call(at) for at in range(count)])


def exporter(*answers: Response | Exception, **options: object) -> tuple[Noveum, FakeTransport]:
    transport = FakeTransport(*answers)
    return Noveum(config(**options), make_context("noveum"), transport), transport


def posted(transport: FakeTransport) -> list[Value]:
    return [json.loads(body) for _, body, _ in transport.requests]


def names(batch: Batch) -> list[str]:
    return [span.name for span in batch.view_spans()]


async def test_an_array_is_posted_with_the_key() -> None:
    """One request to exactly the configured URL, a JSON array, the key as a bearer token."""
    export, transport = exporter(api_key="nv_secret")
    assert await export.export(calls(3)) == Sent(3)
    [(url, body, headers)] = transport.requests
    assert url == URL
    assert headers == {"Content-Type": "application/json", "Authorization": "Bearer nv_secret"}
    spans = noveum.decode_records(noveum.parse(body))
    assert [span.name for span in spans] == ["chat 0", "chat 1", "chat 2"]


async def test_records_are_posted_one_by_one() -> None:
    """`send: single` posts bare objects, without a key no header for it."""
    export, transport = exporter(send="single")
    assert await export.export(calls(2)) == Sent(2)
    assert [body["attributes"]["model"] for body in posted(transport)] == ["m0", "m1"]  # type: ignore[index,call-overload]
    assert "Authorization" not in transport.requests[0][2]


async def test_a_retry_posts_the_same_bytes() -> None:
    """Ids are deterministic, so that a receiver can recognise what was sent twice."""
    export, transport = exporter()
    await export.export(calls(2))
    await export.export(calls(2))
    assert transport.requests[0] == transport.requests[1]


async def test_bodies_are_compressed() -> None:
    """gzip on request, with the header that says so."""
    export, transport = exporter(compression="gzip")
    await export.export(calls(1))
    _, body, headers = transport.requests[0]
    assert headers["Content-Encoding"] == "gzip"
    assert len(noveum.parse(gzip.decompress(body))) == 1


async def test_arrays_are_bounded() -> None:
    """No array is larger than asked for, but a record that is larger alone still goes."""
    size = len(noveum.dump(noveum.encode_spans([call()])[0]))
    limit = 2 * size + 40
    export, transport = exporter(max_batch_bytes=limit)
    big = call(9)
    big.attributes["text"] = "x" * 2 * limit
    batch = otlp.batch_of(Signal.TRACES, [*(call(at) for at in range(5)), big, call(6)])
    assert await export.export(batch) == Sent(7)
    lengths = [len(body) for _, body, _ in transport.requests]
    assert [len(noveum.parse(body)) for _, body, _ in transport.requests] == [2, 2, 1, 1, 1]
    assert [length > limit for length in lengths] == [False, False, False, True, False]


async def test_spelling() -> None:
    """The spelling is the configured one for spans, its own for a record that came in."""
    export, transport = exporter(spelling="seed")
    spans = [*noveum.decode_records(RECORDS[3:4]), call()]
    spans[1].attributes["gen_ai.conversation.id"] = "c"
    await export.export(otlp.batch_of(Signal.TRACES, list(spans)))
    was, made = noveum.parse(transport.requests[0][1])
    assert was == RECORDS[3]
    assert made["attributes"]["threadId"] == "c"  # type: ignore[index,call-overload]


async def test_other_spans_are_skipped_and_counted() -> None:
    """A span that is no call of a model is dropped on purpose, with a reason of its own."""
    export, transport = exporter()
    batch = otlp.batch_of(Signal.TRACES, [Span(name="GET"), call(), Span(name="POST")])
    assert await export.export(batch) == Sent(1, {"not_genai": 2})
    assert len(noveum.parse(transport.requests[0][1])) == 1


async def test_a_batch_of_other_spans_makes_no_request() -> None:
    """Nothing to say, nothing posted, all of it counted."""
    export, transport = exporter()
    batch = otlp.batch_of(Signal.TRACES, [Span(name="GET")])
    assert await export.export(batch) == Sent(0, {"not_genai": 1})
    assert transport.requests == []


async def test_other_spans_are_sent_on_request() -> None:
    """`other_spans: send` posts them as records of their own name."""
    export, transport = exporter(other_spans="send")
    batch = otlp.batch_of(Signal.TRACES, [Span(name="GET"), call()])
    assert await export.export(batch) == Sent(2)
    assert [r["name"] for r in noveum.parse(transport.requests[0][1])] == [
        "otel_span",
        "ai_gateway_request_log",
    ]


def metrics() -> Batch:
    points = [NumberPoint(value=at) for at in range(3)]
    items = [Metric(name="a", data=Gauge(points=points)), Metric(name="none", data=Gauge())]
    return otlp.batch_of(Signal.METRICS, items)


async def test_metrics_and_logs_are_posted() -> None:
    """One record per data point and per log record; what counts is points."""
    export, transport = exporter()
    assert await export.export(metrics()) == Sent(3)
    logs = otlp.batch_of(Signal.LOGS, [LogRecord(body="x"), LogRecord(body="y")])
    assert await export.export(logs) == Sent(2)
    first, second = (noveum.parse(body) for _, body, _ in transport.requests)
    assert [record["name"] for record in first] == ["otel_metric"] * 4
    assert [record["name"] for record in second] == ["otel_log"] * 2


async def test_points_that_are_left_stay_points() -> None:
    """A failure between two points of one metric leaves the others to be tried again."""
    export, _ = exporter(OK, Response(503), send="single")
    with pytest.raises(Partial) as caught:
        await export.export(metrics())
    assert caught.value.sent == 1
    assert caught.value.remaining.count == 2
    values = [m.points[0].value for m in caught.value.remaining.view_metrics() if m.points]  # type: ignore[union-attr]
    assert values == [1, 2]


@pytest.mark.parametrize(
    ("status", "reason", "data_fault"),
    [
        (400, "bad_request", True),
        (413, "too_large", True),
        (422, "bad_request", True),
        (401, "unauthorized", False),
        (403, "forbidden", False),
        (404, "not_found", False),
        (302, "redirected", False),
    ],
)
async def test_permanent_answers(status: int, reason: str, data_fault: bool) -> None:
    """Refusals of the data let delivery look for the bad record; a wrong key or path does not."""
    export, _ = exporter(Response(status))
    with pytest.raises(Permanent) as caught:
        await export.export(calls(2))
    assert (caught.value.reason, caught.value.data_fault) == (reason, data_fault)


@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 504, 599])
async def test_retryable_answers(status: int) -> None:
    """What may pass is tried again, when the destination says where it does."""
    export, _ = exporter(Response(status, {"Retry-After": "7"}))
    with pytest.raises(Retryable) as caught:
        await export.export(calls(1))
    assert caught.value.retry_after == 7
    assert not isinstance(caught.value, Partial)


@pytest.mark.parametrize(("headers", "wait"), [({}, 60.0), ({"Retry-After": "900"}, 900.0)])
async def test_an_empty_account_is_not_hammered(headers: dict[str, str], wait: float) -> None:
    """Without credit the next try waits, a minute if nothing else is said."""
    body = b'{"error": {"code": "CREDIT_QUOTA_EXCEEDED"}}'
    export, _ = exporter(Response(429, headers, body))
    with pytest.raises(Retryable, match="no credit left") as caught:
        await export.export(calls(1))
    assert caught.value.retry_after == wait


async def test_network_failures_pass_through() -> None:
    """The client's Retryable is the exporter's."""
    export, _ = exporter(Retryable("noveum.test: no connection"))
    with pytest.raises(Retryable, match="no connection"):
        await export.export(calls(1))


async def test_a_failure_part_way_leaves_the_rest() -> None:
    """What went through is not sent again; the rest is, when the destination says."""
    export, _ = exporter(OK, OK, Response(503, {"Retry-After": "3"}), send="single")
    with pytest.raises(Partial) as caught:
        await export.export(calls(4))
    assert caught.value.sent == 2
    assert caught.value.retry_after == 3
    assert names(caught.value.remaining) == ["chat 2", "chat 3"]


async def test_skipped_spans_are_not_tried_again() -> None:
    """What was dropped on purpose is settled by a failure too."""
    export, _ = exporter(Response(503))
    batch = otlp.batch_of(Signal.TRACES, [Span(name="GET"), call()])
    with pytest.raises(Partial) as caught:
        await export.export(batch)
    assert (caught.value.sent, caught.value.dropped) == (0, {"not_genai": 1})
    assert names(caught.value.remaining) == ["chat 0"]


async def test_one_bad_record_does_not_stop_the_others() -> None:
    """One by one, a refused record is dropped alone, wherever it stands."""
    export, transport = exporter(Response(400), OK, Response(422), OK, send="single")
    assert await export.export(calls(4)) == Sent(
        2, {"bad_request": 2}, message="noveum.test answered 422"
    )
    assert len(transport.requests) == 4


async def test_a_bad_array_after_a_good_one() -> None:
    """Arrays that are left, the refused one first, come again alone, so that it can be halved."""
    size = len(noveum.dump(noveum.encode_spans([call()])[0]))
    export, _ = exporter(OK, Response(400), max_batch_bytes=2 * size + 40)
    with pytest.raises(Partial) as caught:
        await export.export(calls(4))
    assert caught.value.sent == 2
    again, _ = exporter(Response(400), max_batch_bytes=2 * size + 40)
    with pytest.raises(Permanent) as refused:
        await again.export(caught.value.remaining)
    assert refused.value.data_fault


async def test_a_key_revoked_part_way() -> None:
    """No key, no use in going on: the rest is dropped for that reason."""
    export, transport = exporter(OK, Response(401), send="single")
    sent = await export.export(calls(4))
    assert (sent.items, dict(sent.dropped)) == (1, {"unauthorized": 3})
    assert "check the key" in sent.message
    assert len(transport.requests) == 2


async def test_a_long_attempt_ends_in_good_time() -> None:
    """Before the attempt's timeout would undo what it sent, it stops and leaves the rest."""
    clock = FakeClock()

    class Slow(FakeTransport):
        async def post(self, url: str, body: bytes, headers: object) -> Response:
            clock.advance(2)
            return OK

    export = Noveum(
        config(send="single", timeout="5s"), make_context("noveum", clock=clock), Slow()
    )
    with pytest.raises(Partial) as caught:
        await export.export(calls(5))
    assert caught.value.sent == 2
    assert names(caught.value.remaining) == ["chat 2", "chat 3", "chat 4"]


@pytest.mark.parametrize(
    "options",
    [{"endpoint": ""}, {"endpoint": "noveum.test"}, {"send": "both"}, {"compression": "zstd"},
     {"other_spans": "drop"}, {"spelling": "camel"}, {"max_batch_bytes": 0}, {"unknown": 1}],
)  # fmt: skip
def test_bad_configuration(options: dict[str, object]) -> None:
    """What cannot work is refused when the configuration is read."""
    with pytest.raises(ValidationError):
        config(**options)


def test_the_key_is_not_shown() -> None:
    """Neither the configuration nor the exporter prints the key."""
    made = config(api_key="nv_secret", headers={"x-key": "nv_secret"})
    assert "nv_secret" not in repr(made) + str(made) + str(made.model_dump())


async def test_it_is_an_exporter_for_all_signals() -> None:
    """The factory makes it, and it can be entered and left without a request."""
    assert FACTORY.signals == frozenset(Signal)
    async with FACTORY.create(config(), make_context("noveum")):
        pass
