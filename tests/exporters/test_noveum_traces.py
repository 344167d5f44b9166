"""The noveum exporter in `traces` mode: what goes together, under which id, and what is counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from genai_collector.component import Sent
from genai_collector.delivery import QueuedExporter
from genai_collector.errors import Partial, Permanent, Retryable
from genai_collector.exporters._noveum_traces import TraceParts
from genai_collector.exporters.noveum import Noveum, NoveumConfig
from genai_collector.formats import noveum, otlp
from genai_collector.formats.residual import same
from genai_collector.model import Batch, LogRecord, Resource, Signal, Span
from genai_collector.transport.http_client import Response
from tests.support.captures import FIXTURES
from tests.support.fakes import FakeTransport, make_context

URL = "https://noveum.test/api/v1/traces"
OK, BAD = Response(200), Response(400)
SHOP = Resource({"service.name": "shop"})


def config(**options: object) -> NoveumConfig:
    return NoveumConfig.model_validate({"endpoint": URL, "mode": "traces"} | options)


def exporter(*answers: Response | Exception, **options: object) -> tuple[Noveum, FakeTransport]:
    transport = FakeTransport(*answers)
    return Noveum(config(**options), make_context("noveum"), transport), transport


def span(trace: int, at: int, parent: int = 0) -> Span:
    """Span `at` of a trace; 1 is the root."""
    return Span(
        trace_id=bytes([trace] * 16),
        span_id=bytes([at] * 8),
        parent_span_id=bytes([parent] * 8) if parent else b"",
        name=f"{trace}.{at}",
        start_ns=10,
        end_ns=20,
        resource=SHOP,
    )


def whole(trace: int, spans: int = 3) -> list[Span]:
    return [span(trace, at, 0 if at == 1 else 1) for at in range(1, spans + 1)]


def batch(spans: list[Span]) -> Batch:
    return otlp.batch_of(Signal.TRACES, spans)


def posted(transport: FakeTransport) -> list[list[Any]]:
    """The traces of each request."""
    return [json.loads(body)["traces"] for _, body, _ in transport.requests]


def own_id(trace: dict[str, Any]) -> bool:
    """Whether a trace goes under the id that its spans have."""
    return all(
        trace["trace_id"].replace("-", "") == one["otel"]["trace_id"] for one in trace["spans"]
    )


def names(trace: dict[str, Any]) -> list[str]:
    return [one["name"] for one in trace["spans"]]


async def test_traces_are_posted_whole() -> None:
    """Spans of one trace go together, wherever they stand in the batch, with all spans: those that
    are no call, too."""
    export, transport = exporter(api_key="nv_1", project="p", environment="e")
    first, second = whole(1), whole(2)
    mixed = [first[1], second[0], first[0], second[1], first[2], second[2]]
    assert await export.export(batch(mixed)) == Sent(6)
    [(url, _, headers)] = transport.requests
    assert (url, headers["Authorization"]) == (URL, "Bearer nv_1")
    [traces] = posted(transport)
    assert [names(trace) for trace in traces] == [["1.2", "1.1", "1.3"], ["2.1", "2.2", "2.3"]]
    assert all(map(own_id, traces))
    assert [(one["name"], one["project"], one["environment"]) for one in traces] == [
        ("1.1", "p", "e"), ("2.1", "p", "e"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["trace_v1.5.10", "trace_v1.5.28", "trace_v1.5.28_statuses"])
async def test_recorded_payloads_pass(name: str) -> None:
    """What came from noveum-trace is posted as it came."""
    payload = json.loads((FIXTURES / "noveum" / f"{name}.json").read_bytes())
    export, transport = exporter()
    await export.export(batch(noveum.decode_payload(payload)))
    [traces] = posted(transport)
    assert same(traces, payload["traces"])


async def test_late_spans_are_a_part_with_a_link() -> None:
    """Noveum ignores a second trace of the same id, so late spans have an id of their own, which
    is the same whenever they are sent."""
    export, transport = exporter()
    first, second, third = whole(1)
    await export.export(batch([first, second]))
    await export.export(batch([third]))
    await export.export(batch([third]))
    [[trace], [late], [again]] = posted(transport)
    assert own_id(trace)
    assert not own_id(late)
    assert late == again
    assert late["attributes"]["noveum.continues_trace_id"] == trace["trace_id"]
    [link] = late["spans"][0]["links"]
    assert (link["trace_id"], link["span_id"]) == ("01" * 16, "01" * 8)
    [back] = noveum.decode_trace(late)
    assert (back.trace_id, back.links) == (third.trace_id, [])


async def test_the_root_has_the_id_though_it_is_late() -> None:
    """Spans without their root leave the trace's id to the root, also in another process; a second
    root does not take it again."""
    export, transport = exporter()
    root, child, other = whole(1)
    await export.export(batch([child, other]))
    await export.export(batch([root]))
    await export.export(batch([span(1, 7)]))
    assert [own_id(traces[0]) for traces in posted(transport)] == [False, True, False]


async def test_a_retry_has_the_same_ids() -> None:
    """After a failure that may pass the same bytes are posted again."""
    export, transport = exporter(Response(503), OK)
    with pytest.raises(Retryable):
        await export.export(batch(whole(1)))
    assert await export.export(batch(whole(1))) == Sent(3)
    assert transport.requests[0] == transport.requests[1]


async def test_requests_are_bounded() -> None:
    """By the number of traces and by bytes; what was sent before a failure is not sent again."""
    export, transport = exporter(OK, Response(503), OK, max_traces=2)
    spans = [one for trace in range(1, 6) for one in whole(trace, 2)]
    with pytest.raises(Partial) as caught:
        await export.export(batch(spans))
    assert (caught.value.sent, caught.value.remaining.count) == (4, 6)
    assert await export.export(caught.value.remaining) == Sent(6)
    sizes = [[trace["trace_id"][:2] for trace in traces] for traces in posted(transport)]
    assert sizes == [["01", "02"], ["03", "04"], ["03", "04"], ["05"]]


async def test_a_large_trace_is_split() -> None:
    """A trace over the limit goes as parts, each with a link to the first."""
    size = len(noveum.dump(noveum.encode_traces(whole(1, 1))[0]))
    export, transport = exporter(max_batch_bytes=3 * size)
    assert await export.export(batch(whole(1, 8))) == Sent(8)
    traces = [trace for request in posted(transport) for trace in request]
    assert sum(len(trace["spans"]) for trace in traces) == 8
    assert len(traces) > 1
    assert [own_id(trace) for trace in traces] == [True] + [False] * (len(traces) - 1)
    assert all(len(body) < 3 * size + 20 for _, body, _ in transport.requests)
    assert len({trace["trace_id"] for trace in traces}) == len(traces)


async def test_one_bad_trace_costs_only_itself() -> None:
    """A request that is refused for its data is halved by traces, never within one; the bad one is
    dropped and counted, and its id is free again."""
    spans = [one for trace in range(1, 5) for one in whole(trace)]
    export, transport = exporter(BAD, OK, BAD, BAD, OK, OK)
    sent = await export.export(batch(spans))
    assert (sent.items, sum(sent.dropped.values())) == (9, 3)
    requests = [[trace["trace_id"][:2] for trace in traces] for traces in posted(transport)]
    assert requests == [["01", "02", "03", "04"], ["01", "02"], ["03", "04"], ["03"], ["04"]]
    assert await export.export(batch(whole(3))) == Sent(3)
    assert own_id(posted(transport)[-1][0])


async def test_a_wrong_key_drops_all() -> None:
    """Nothing is halved for a 401."""
    export, transport = exporter(Response(401))
    with pytest.raises(Permanent) as caught:
        await export.export(batch([*whole(1), *whole(2)]))
    assert not caught.value.data_fault
    assert len(transport.requests) == 1


async def test_other_signals_have_no_form() -> None:
    """Metrics and log records are counted as dropped, nothing is posted."""
    export, transport = exporter()
    logs = otlp.batch_of(Signal.LOGS, [LogRecord(body="x")])
    assert await export.export(logs) == Sent(0, {"no_form": 1})
    assert transport.requests == []


def test_memory_is_bounded() -> None:
    """Ids of so many traces are remembered, the oldest are forgotten."""
    parts = TraceParts(noveum.TraceEncoder(), 1_000_000, remembered=2)
    for trace in (1, 2, 3):
        parts.pieces(batch(whole(trace)))
    [forgotten] = parts.pieces(batch([span(1, 9)]))
    [known] = parts.pieces(batch([span(3, 9)]))
    assert own_id(json.loads(forgotten.body))
    assert not own_id(json.loads(known.body))


def test_the_queue_waits_longer() -> None:
    """Unless it is said otherwise, batches wait for the rest of their traces."""
    default = config().sending_queue.batch
    assert default is not None
    assert (default.flush_timeout, default.min_size) == (5.0, 8 * 1024 * 1024)
    said = config(sending_queue={"batch": {"flush_timeout": "1m", "max_size": "1MiB"}})
    assert said.sending_queue.batch is not None
    assert (said.sending_queue.batch.flush_timeout, said.sending_queue.batch.enough) == (
        60.0,
        512 * 1024,
    )
    assert config(sending_queue={"batch": None}).sending_queue.batch is None
    assert not config(sending_queue=None).sending_queue.enabled


@pytest.mark.parametrize("options", [{"other_spans": "skip"}, {"spelling": "seed"}])
def test_options_of_records(options: dict[str, str]) -> None:
    """What is for records is refused for traces."""
    with pytest.raises(ValidationError, match="mode: logs"):
        config(**options)


async def test_the_books_hold() -> None:
    """Spans that came in several batches are merged while they wait, posted as one trace, and
    counted as sent only then."""
    export, transport = exporter(
        sending_queue={"batch": {"flush_timeout": "1h", "min_size": "1MiB"}}
    )
    settings = config(sending_queue={"batch": {"flush_timeout": "1h", "min_size": "1MiB"}})
    context = make_context("noveum")
    queued = QueuedExporter("noveum", Signal.TRACES, export, settings, context)
    async with queued:
        for one in whole(1):
            queued.reserve(1)
            await queued.put(batch([one]), 1)
        assert (queued.report().accepted, queued.report().sent) == (3, 0)
        assert transport.requests == []
        await queued.drain(context.clock() + 60)
        report = queued.report()
    assert (report.accepted, report.sent, report.dropped, report.left) == (3, 3, {}, 0)
    [[trace]] = posted(transport)
    assert names(trace) == ["1.1", "1.2", "1.3"]
