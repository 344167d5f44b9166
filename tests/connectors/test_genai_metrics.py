"""Metrics of model calls: what is counted, what is not, and when."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.component import ACCEPTED, Acceptance, Route
from genai_collector.connectors.genai_metrics import GenaiMetrics, GenaiMetricsConfig
from genai_collector.conventions import read_observation
from genai_collector.errors import Overloaded, Permanent, PipelineError, QueueFull
from genai_collector.formats import otlp
from genai_collector.model import (
    Attributes,
    Batch,
    Histogram,
    HistogramPoint,
    Metric,
    Resource,
    Signal,
    Span,
    Temporality,
    Value,
)
from tests.support.builders import START_NS, batch, span
from tests.support.captures import shared
from tests.support.fakes import FakeClock, make_context, run_virtual

ROUTE = Route(Signal.TRACES, Signal.METRICS)
TOKENS, DURATION, FIRST_CHUNK, COST = NAMES = (
    "gen_ai.client.token.usage",
    "gen_ai.client.operation.duration",
    "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.usage.cost",
)
CALL: Attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "server.address": "api.openai.com",
    "server.port": 443,
}
USED: Attributes = {"gen_ai.usage.input_tokens": 42, "gen_ai.usage.output_tokens": 17}


class FakeConsumer:
    """The metrics pipelines; refuses with `refuses` while that is set."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.refuses: PipelineError | None = None
        self.closed: PipelineError | None = None

    def admit(self, size_bytes: int, /) -> AbstractContextManager[None]:
        return self._admitted()

    @contextmanager
    def _admitted(self) -> Generator[None]:
        if self.closed is not None:
            raise self.closed
        yield

    async def consume(self, batch: Batch, /) -> Acceptance:
        if self.refuses is not None:
            raise self.refuses
        self.batches.append(batch)
        return ACCEPTED

    def last(self) -> list[Metric]:
        return self.batches[-1].view_metrics()


def _connector(
    consumer: FakeConsumer | None = None, clock: FakeClock | None = None, **options: Any
) -> GenaiMetrics:
    context = make_context("genai_metrics", wall_clock_ns=(clock or FakeClock()).now_ns)
    config = GenaiMetricsConfig.model_validate(options)
    return GenaiMetrics(config, ROUTE, consumer or FakeConsumer(), context)


def _metrics(*spans: Span, **options: Any) -> list[Metric]:
    """What is sent after these spans were accepted."""

    async def main() -> list[Metric]:
        consumer = FakeConsumer()
        connector = _connector(consumer, **options)
        connector.accepted(batch(*spans))
        await connector.flush()
        return consumer.last() if consumer.batches else []

    return run_virtual(main())


def _points(metrics: list[Metric], name: str) -> list[HistogramPoint]:
    found = [metric.data for metric in metrics if metric.name == name]
    assert all(isinstance(data, Histogram) for data in found)
    return [point for data in found if isinstance(data, Histogram) for point in data.points]


def _totals(metrics: list[Metric]) -> dict[tuple[str, Value], tuple[int, float]]:
    """Count and sum by metric and token type."""
    totals: dict[tuple[str, Value], tuple[int, float]] = {}
    for name in NAMES:
        for point in _points(metrics, name):
            key = (name, point.attributes.get("gen_ai.token.type"))
            count, total = totals.get(key, (0, 0.0))
            totals[key] = (count + point.count, total + (point.sum or 0.0))
    return totals


# ---- what is counted -------------------------------------------------------------------------


def test_one_call() -> None:
    """A streamed call with everything: four metrics with the conventions' units and attributes."""
    said = {**CALL, **USED, "gen_ai.usage.cost": 0.0042, "gen_ai.request.stream": True,
            "gen_ai.response.time_to_first_chunk": 0.3}  # fmt: skip
    metrics = _metrics(span(said, duration_ns=1_500_000_000))

    assert [(metric.name, metric.unit) for metric in metrics] == [
        (TOKENS, "{token}"), (DURATION, "s"), (FIRST_CHUNK, "s"), (COST, "USD")
    ]  # fmt: skip
    for metric in metrics:
        assert isinstance(metric.data, Histogram)
        assert metric.data.temporality == Temporality.CUMULATIVE
        assert metric.description
        assert metric.resource.attributes == {"service.name": "test-app"}
        assert metric.scope.name == "genai_collector.genai_metrics"
    used = _points(metrics, TOKENS)
    assert [(point.attributes, point.sum) for point in used] == [
        ({**CALL, "gen_ai.token.type": "input"}, 42.0),
        ({**CALL, "gen_ai.token.type": "output"}, 17.0),
    ]
    for name, value in ((DURATION, 1.5), (FIRST_CHUNK, 0.3), (COST, 0.0042)):
        (point,) = _points(metrics, name)
        assert point.attributes == CALL
        assert (point.count, point.sum, point.min, point.max) == (1, value, value, value)


BUCKETS = {
    "on the bound": (1.28, 1.28),
    "above it": (1.281, 2.56),
    "below all": (0.001, 0.01),
    "above all": (100.0, None),
}


@pytest.mark.parametrize(("seconds", "bound"), BUCKETS.values(), ids=BUCKETS)
def test_buckets_include_their_bound(seconds: float, bound: float | None) -> None:
    """A value is in the first bucket whose bound is not below it; the conventions' bounds."""
    (point,) = _points(_metrics(span(dict(CALL), duration_ns=round(seconds * 1e9))), DURATION)

    assert point.explicit_bounds == [0.01 * 2**power for power in range(14)]
    at = point.bucket_counts.index(1)
    assert len(point.bucket_counts) == 15
    assert (point.explicit_bounds[at] if at < 14 else None) == bound


def test_token_bounds() -> None:
    """Powers of four from 1 to 67108864."""
    point = _points(_metrics(span({**CALL, **USED})), TOKENS)[0]

    assert point.explicit_bounds == [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576,
                                     4194304, 16777216, 67108864]  # fmt: skip
    assert point.bucket_counts[3] == 1


NOT_COUNTED: dict[str, Attributes] = {
    "agent": {**USED, "gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m"},
    "workflow": {**USED, "gen_ai.operation.name": "invoke_workflow"},
    "tool": {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t"},
    "retrieval": {"gen_ai.operation.name": "retrieval", "gen_ai.request.model": "m"},
    "only a model's name": {"gen_ai.request.model": "m"},
    "no call at all": {"http.request.method": "GET"},
}


@pytest.mark.parametrize("attributes", NOT_COUNTED.values(), ids=NOT_COUNTED)
def test_what_is_no_model_call(attributes: Attributes) -> None:
    """What repeats the calls below it, and what calls no model, adds nothing."""
    assert _metrics(span(attributes, name="work")) == []


def test_embeddings_and_what_is_not_said() -> None:
    """An embedding is a call; what a call does not say is not counted as zero."""
    said: Attributes = {"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 8}
    totals = _totals(_metrics(span(said)))

    assert totals == {(TOKENS, "input"): (1, 8.0), (DURATION, None): (1, 1.5)}


ERRORS = {
    "its type": ({"error.type": "429"}, 2, "429"),
    "only a status": ({}, 2, "_OTHER"),
    "only a type": ({"error.type": "timeout"}, 0, "timeout"),
}


@pytest.mark.parametrize(("said", "status", "type_"), ERRORS.values(), ids=ERRORS)
def test_failed_calls(said: Attributes, status: int, type_: str) -> None:
    """They have a duration with `error.type`; no other metric has that attribute."""
    metrics = _metrics(span({**CALL, **USED, **said}, status_code=status))

    (point,) = _points(metrics, DURATION)
    assert point.attributes == {**CALL, "error.type": type_}
    assert all("error.type" not in point.attributes for point in _points(metrics, TOKENS))


ODD_TIMES = {"backwards": (START_NS, -5), "no start": (0, 5)}


@pytest.mark.parametrize(("start", "duration"), ODD_TIMES.values(), ids=ODD_TIMES)
def test_odd_times_have_no_duration(start: int, duration: int) -> None:
    """A span that ends before it begins, or began never, took no time that anybody knows."""
    metrics = _metrics(span({**CALL, **USED}, start_ns=start, duration_ns=duration))

    assert {metric.name for metric in metrics} == {TOKENS}


def test_first_chunk_only_of_streams() -> None:
    """A time to the first chunk of a call that says it is no stream is none."""
    said = {**CALL, "gen_ai.response.time_to_first_chunk": 0.3}

    assert (FIRST_CHUNK, None) in _totals(_metrics(span(said)))
    assert (FIRST_CHUNK, None) not in _totals(
        _metrics(span({**said, "gen_ai.request.stream": False}))
    )


def test_port_only_with_an_address() -> None:
    """`server.port` says nothing without `server.address`."""
    bare = {key: value for key, value in CALL.items() if key != "server.address"}

    assert "server.port" not in _points(_metrics(span(bare)), DURATION)[0].attributes


def test_dimensions_and_resources() -> None:
    """Attributes of the span, else of the resource, as text; services are kept apart."""
    one = Resource({"service.name": "a", "team": "x", "pod": "1"})
    same = Resource({"service.name": "a", "team": "x", "pod": "2"})
    two = Resource({"service.name": "b"})
    metrics = _metrics(
        span({**CALL, "tier": 2}, resource=one),
        span({**CALL, "tier": 2}, resource=same),
        span({**CALL, "tier": True, "team": "own"}, resource=two),
        dimensions=["tier", "team", "absent"],
    )

    found = [(metric.resource.attributes, point.attributes, point.count) for metric in metrics
             for point in _points([metric], DURATION)]  # fmt: skip
    assert found == [
        ({"service.name": "a"}, {**CALL, "tier": "2", "team": "x"}, 2),
        ({"service.name": "b"}, {**CALL, "tier": "true", "team": "own"}, 1),
    ]


def test_cardinality_limit() -> None:
    """Beyond the limit everything is added to one point that says so; totals stay right."""
    spans = [span({**CALL, "gen_ai.request.model": f"m{n % 7}", "gen_ai.usage.input_tokens": n})
             for n in range(70)]  # fmt: skip
    points = _points(_metrics(*spans, cardinality_limit=3), TOKENS)

    assert [point.attributes.get("gen_ai.request.model") for point in points] == [
        "m0", "m1", "m2", None
    ]  # fmt: skip
    assert points[-1].attributes == {"otel.metric.overflow": True}
    assert sum(point.count for point in points) == 70
    assert sum(point.sum or 0 for point in points) == sum(range(70))


# ---- totals ----------------------------------------------------------------------------------

_OPERATIONS = st.sampled_from(
    [
        "chat",
        "embeddings",
        "generate_content",
        "invoke_agent",
        "execute_tool",
        "invoke_workflow",
        "",
    ]
)
_COUNTS = st.none() | st.integers(0, 2**40)
_CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "gen_ai.operation.name": _OPERATIONS,
            "gen_ai.request.model": st.sampled_from(["a", "b", "c", None]),
            "gen_ai.usage.input_tokens": _COUNTS,
            "gen_ai.usage.completion_tokens": _COUNTS,
            "gen_ai.usage.cost": st.none() | st.floats(0, 100),
        }
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(calls=_CALLS, cuts=st.integers(1, 4), limit=st.integers(1, 5))
def test_totals_are_those_of_the_calls(
    calls: list[dict[str, Value]], cuts: int, limit: int
) -> None:
    """Law: however the spans are cut into batches, and whatever the limit, counts and sums are
    those over the generations and embeddings, and the buckets add up."""
    spans = [
        span({key: value for key, value in call.items() if value is not None}) for call in calls
    ]
    expected: dict[tuple[str, Value], list[float]] = defaultdict(list)
    for one in spans:
        observation = read_observation(one)
        billed = observation.kind in ("generation", "embedding")
        for kind, tokens in (
            ("input", observation.usage.input),
            ("output", observation.usage.output),
        ):
            if billed and tokens is not None:
                expected[TOKENS, kind].append(tokens)
        if billed and observation.cost.total is not None:
            expected[COST, None].append(observation.cost.total)

    async def main() -> list[Metric]:
        consumer = FakeConsumer()
        connector = _connector(consumer, cardinality_limit=limit)
        for at in range(0, len(spans), cuts):
            connector.accepted(batch(*spans[at : at + cuts]))
        await connector.flush()
        return consumer.last() if consumer.batches else []

    metrics = run_virtual(main())
    for name in (TOKENS, COST):
        values = [
            value for (metric, _), each in expected.items() if metric == name for value in each
        ]
        points = _points(metrics, name)
        assert sum(point.count for point in points) == len(values)
        assert sum(point.sum or 0 for point in points) == pytest.approx(sum(values))
        for point in points:
            assert sum(point.bucket_counts) == point.count
    if limit >= 5:
        for key, values in expected.items():
            if key[0] == COST:
                assert _totals(metrics)[key][0] == len(values)


AGENTS = {
    "chat": ("001", "002"),
    "agent": ("003", "004"),
    "v2": ("008", "009"),
    "v6": ("010", "011"),
}


@pytest.mark.parametrize(("judge", "traces"), AGENTS.values(), ids=AGENTS)
def test_an_agent_framework_s_own_metrics_are_the_judge(judge: str, traces: str) -> None:
    """Recorded from Pydantic AI, whose agent span repeats the tokens of its calls: our token points
    are those that it sent itself, attribute by attribute and bucket by bucket; so is the cost."""
    folder = shared("captures/pydantic_ai")
    spans = otlp.decode(Signal.TRACES, (folder / f"{traces}.traces.pb").read_bytes())
    theirs = otlp.batch_of(
        Signal.METRICS, otlp.decode(Signal.METRICS, (folder / f"{judge}.metrics.pb").read_bytes())
    ).view_metrics()
    ours = _metrics(*[one for one in spans if isinstance(one, Span)])

    def plain(points: list[HistogramPoint]) -> list[tuple[object, ...]]:
        left_out = ("gen_ai.system", "server.address", "server.port")
        return [
            ({k: v for k, v in sorted(p.attributes.items()) if k not in left_out}, p.count, p.sum,
             p.explicit_bounds, p.bucket_counts, p.min, p.max)
            for p in sorted(points, key=lambda p: str(p.attributes.get("gen_ai.token.type")))
        ]  # fmt: skip

    assert plain(_points(ours, TOKENS)) == plain(_points(theirs, TOKENS))
    (cost,), (their_cost,) = _points(ours, COST), _points(theirs, "operation.cost")
    assert cost.count == their_cost.count
    assert cost.sum == pytest.approx(their_cost.sum)


FOLDERS = ("openlit", "traceloop", "openinference", "pydantic_ai", "litellm_otel",
           "litellm_otel_proxy", "otel_openai_v2")  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
def test_recorded_totals(folder: str) -> None:
    """Over everything recorded from a library, in whatever words it speaks: our totals are the sums
    over its generations and embeddings."""
    spans: list[Span] = []
    for file in sorted(shared(f"captures/{folder}").glob("*.traces.pb")):
        items = otlp.decode(Signal.TRACES, file.read_bytes())
        spans += [one for one in items if isinstance(one, Span)]
    read = [read_observation(one) for one in spans]
    billed = [one.usage for one in read if one.kind in ("generation", "embedding")]
    totals = _totals(_metrics(*spans))

    said = [usage.input for usage in billed if usage.input is not None]
    assert totals[TOKENS, "input"] == (len(said), sum(said))
    said = [usage.output for usage in billed if usage.output is not None]
    assert totals[TOKENS, "output"] == (len(said), sum(said))
    assert totals[DURATION, None][0] <= len(billed)


# ---- when ------------------------------------------------------------------------------------


async def test_only_what_was_accepted() -> None:
    """Being asked what to make of a batch counts nothing, however often."""
    consumer = FakeConsumer()
    connector = _connector(consumer)
    received = batch(span({**CALL, **USED}), encoded=True)

    for _ in range(3):
        connector.connect(received)
    await connector.flush()
    assert consumer.batches == []
    connector.accepted(received)
    await connector.flush()
    assert _points(consumer.last(), DURATION)[0].count == 1
    assert received.is_encoded


async def test_cumulative_from_the_start() -> None:
    """Every flush has everything since the start, with the same beginning and its own time."""
    consumer, clock = FakeConsumer(), FakeClock()
    connector = _connector(consumer, clock)
    async with connector:
        for number in (1, 2):
            clock.advance(10)
            connector.accepted(batch(span({**CALL, **USED})))
            await connector.flush()
            (point,) = _points(consumer.last(), DURATION)
            assert (point.count, point.start_ns) == (number, 1000 * 10**9)
            assert point.time_ns == clock.now_ns()


def test_flushed_by_the_clock_and_at_the_end() -> None:
    """At every interval, also after a refused one, and when the connector is left."""

    async def main() -> None:
        consumer = FakeConsumer()
        connector = _connector(consumer, flush_interval="15s")
        async with connector:
            await asyncio.sleep(16)
            assert consumer.batches == []
            connector.accepted(batch(span(dict(CALL))))
            await asyncio.sleep(15)
            assert len(consumer.batches) == 1
            consumer.refuses = QueueFull("full")
            connector.accepted(batch(span(dict(CALL))))
            await asyncio.sleep(15)
            assert len(consumer.batches) == 1
            consumer.refuses, consumer.closed = None, Overloaded("no memory")
            await asyncio.sleep(15)
            assert len(consumer.batches) == 1
            consumer.closed = None
            await asyncio.sleep(15)
            assert _points(consumer.last(), DURATION)[0].count == 2
            connector.accepted(batch(span(dict(CALL))))
        assert len(consumer.batches) == 3
        assert _points(consumer.last(), DURATION)[0].count == 3

    run_virtual(main())


def test_a_fault_does_not_end_the_flushing(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a pipeline raises, the next interval comes."""

    async def main() -> None:
        consumer = FakeConsumer()
        broken = _connector(consumer)
        failures: list[Exception] = [RuntimeError("a bug")]

        async def consume(batch: Batch, /) -> Acceptance:
            if failures:
                raise failures.pop()
            return await FakeConsumer.consume(consumer, batch)

        consumer.consume = consume  # type: ignore[method-assign]
        broken.accepted(batch(span(dict(CALL))))
        async with broken:
            await asyncio.sleep(31)
            assert len(consumer.batches) == 1

    with caplog.at_level(logging.ERROR):
        run_virtual(main())
    assert "could not be sent" in caplog.text


LOSSES = {
    "refused": (QueueFull("full"), False, logging.WARNING),
    "refused for good": (Permanent("broken"), False, logging.ERROR),
    "refused at the end": (QueueFull("full"), True, logging.ERROR),
}


@pytest.mark.parametrize(("refusal", "leaving", "level"), LOSSES.values(), ids=LOSSES)
async def test_a_refused_flush_is_said(
    refusal: PipelineError, leaving: bool, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A warning while the next flush makes up for it, an error where nothing will."""
    consumer = FakeConsumer()
    connector = _connector(consumer)
    connector.accepted(batch(span(dict(CALL))))
    consumer.refuses = refusal
    with caplog.at_level(logging.DEBUG):
        await connector.__aenter__()
        if not leaving:
            await connector.flush()
            assert [record.levelno for record in caplog.records] == [level]
            consumer.refuses = None
        await connector.__aexit__(None, None, None)
    assert [record.levelno for record in caplog.records] == [level]


async def test_exemplars() -> None:
    """The last five calls of a point, with their ids, once: after a flush that was taken they are
    gone, after a refused one they are not."""
    consumer = FakeConsumer()
    connector = _connector(consumer, exemplars=True)
    spans = [span(dict(CALL), number=number) for number in range(7)]
    connector.accepted(batch(*spans))
    consumer.refuses = QueueFull("full")
    await connector.flush()
    consumer.refuses = None
    await connector.flush()

    (point,) = _points(consumer.last(), DURATION)
    assert [one.span_id for one in point.exemplars] == [one.span_id for one in spans[2:]]
    assert {(one.trace_id, one.value, one.time_ns) for one in point.exemplars} == {
        (spans[0].trace_id, 1.5, spans[0].end_ns)
    }
    await connector.flush()
    assert _points(consumer.last(), DURATION)[0].exemplars == []
