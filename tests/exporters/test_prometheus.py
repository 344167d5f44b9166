"""The prometheus exporter: names, values, the life of series, and what a scrape shows."""

from __future__ import annotations

import math
import re
from typing import Any

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from genai_collector.component import Sent
from genai_collector.components import all_factories
from genai_collector.configfile import load
from genai_collector.errors import ConfigError
from genai_collector.exporters._prometheus_names import family_name, label_value, labels_of
from genai_collector.exporters._prometheus_values import HistogramValue, cumulative, read_point
from genai_collector.exporters.prometheus import Prometheus, PrometheusConfig
from genai_collector.formats.otlp import batch_of
from genai_collector.model import (
    Attributes,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramPoint,
    Gauge,
    Histogram,
    HistogramPoint,
    Metric,
    MetricData,
    NumberPoint,
    Quantile,
    Resource,
    Scope,
    Signal,
    Sum,
    Summary,
    SummaryPoint,
    Temporality,
    Value,
)
from tests.support import strategies
from tests.support.fakes import FakeClock, make_context

DELTA, CUMULATIVE = Temporality.DELTA, Temporality.CUMULATIVE
BARE = Resource()


def _exporter(clock: FakeClock | None = None, **options: Any) -> Prometheus:
    config = PrometheusConfig.model_validate({"endpoint": "127.0.0.1:0", **options})
    return Prometheus(config, make_context("prometheus", clock=clock))


def _metric(
    data: MetricData | None,
    name: str = "m",
    unit: str = "",
    resource: Resource = BARE,
    scope: Scope | None = None,
    description: str = "",
) -> Metric:
    return Metric(
        name=name, unit=unit, data=data, resource=resource, scope=scope, description=description
    )


def _sum(value: float, time_ns: int = 1, temporality: int = CUMULATIVE, **attributes: Value) -> Sum:
    point = NumberPoint(value=value, time_ns=time_ns, attributes=dict(attributes))
    return Sum(points=[point], temporality=temporality, is_monotonic=True)


def _gauge(value: float | None, time_ns: int = 1, flags: int = 0, **attributes: Value) -> Gauge:
    point = NumberPoint(value=value, time_ns=time_ns, attributes=dict(attributes), flags=flags)
    return Gauge(points=[point])


async def _send(exporter: Prometheus, *metrics: Metric) -> Sent:
    return await exporter.export(batch_of(Signal.METRICS, list(metrics)))


def _samples(exporter: Prometheus) -> list[str]:
    lines = exporter.scrape().body.decode().splitlines()
    return [line for line in lines if not line.startswith("#")]


# ---- names -----------------------------------------------------------------------------------

NAMES: dict[str, tuple[str, str, MetricData, str]] = {
    "tokens": ("gen_ai.client.token.usage", "{token}", Histogram(), "gen_ai_client_token_usage"),
    "seconds": ("gen_ai.client.operation.duration", "s", Histogram(),
                "gen_ai_client_operation_duration_seconds"),
    "no word": ("gen_ai.usage.cost", "USD", Histogram(), "gen_ai_usage_cost_USD"),
    "counter": ("http.requests", "{request}", Sum(is_monotonic=True), "http_requests_total"),
    "unit before total": ("sent", "By", Sum(is_monotonic=True), "sent_bytes_total"),
    "total once, last": ("total.sent", "", Sum(is_monotonic=True), "sent_total"),
    "said already": ("latency_seconds", "s", Gauge(), "latency_seconds"),
    "falls": ("queue.size", "By", Sum(), "queue_size_bytes"),
    "ratio": ("used", "1", Gauge(), "used_ratio"),
    "no ratio": ("errors", "1", Sum(is_monotonic=True), "errors_total"),
    "per": ("speed", "By/s", Gauge(), "speed_bytes_per_second"),
    "per alone": ("rate", "{call}/min", Gauge(), "rate_per_min"),
    "percent": ("load", "%", Gauge(), "load_percent"),
    "odd letters": ("a..b-c/d é", "", Gauge(), "a_b_c_d"),
    "digit first": ("5xx.rate", "", Gauge(), "_5xx_rate"),
    "odd unit": ("x", "°C²", Gauge(), "x_C"),
    "nothing left": ("…", "", Gauge(), ""),
}  # fmt: skip


@pytest.mark.parametrize(("name", "unit", "data", "expected"), NAMES.values(), ids=NAMES)
def test_names(name: str, unit: str, data: MetricData, expected: str) -> None:
    """Letters, digits and `_`; the unit in words; `_total` at the end of what only grows."""
    assert family_name(_metric(data, name, unit), "", suffixes=True) == expected


def test_namespace_and_no_suffixes() -> None:
    """The namespace comes first, also before a digit; suffixes can be left out."""
    counter = _metric(Sum(is_monotonic=True), "5.sent", "By")

    assert family_name(counter, "llm", suffixes=True) == "llm_5_sent_bytes_total"
    assert family_name(counter, "llm", suffixes=False) == "llm_5_sent"


LABELS: dict[str, tuple[Attributes, dict[str, str]]] = {
    "numbers": ({"b": True, "c": 7, "d": 1.5}, {"b": "true", "c": "7", "d": "1.5"}),
    "others": ({"e": ["x", 1], "f": None, "g": {}}, {"e": '["x",1]', "f": "", "g": "{}"}),
    "one name": ({"a_b": "2", "a.b": "1", "a-b": "0"}, {"a_b": "0;1;2"}),
    "digit": ({"1st": "x"}, {"_1st": "x"}),
    "empty": ({"": "x"}, {}),
}  # fmt: skip


@pytest.mark.parametrize(("attributes", "labels"), LABELS.values(), ids=LABELS)
def test_labels(attributes: Attributes, labels: dict[str, str]) -> None:
    """Every value becomes text; attributes that become one name are joined, none is lost."""
    assert labels_of(attributes) == labels


def test_long_labels_are_cut() -> None:
    """A prompt is no label."""
    assert len(label_value("x" * 5000)) == len(label_value(["x" * 5000])) == 1024


# ---- what is shown ---------------------------------------------------------------------------


async def test_every_kind() -> None:
    """Gauge, counter, falling sum, histogram and summary, each under its own type."""
    exporter = _exporter()
    histogram = HistogramPoint(
        count=6, sum=12.5, bucket_counts=[1, 2, 3], explicit_bounds=[1.0, 5.0], time_ns=1
    )
    summary = SummaryPoint(
        count=2, sum=3.0, quantiles=[Quantile(quantile=0.5, value=1.0)], time_ns=1
    )
    sent = await _send(
        exporter,
        _metric(_gauge(1.5, k='a"b\\\n'), "level", description="How\nmuch\\"),
        _metric(_sum(3), "calls"),
        _metric(Sum(points=[NumberPoint(value=-4)], temporality=CUMULATIVE), "open"),
        _metric(Histogram(points=[histogram], temporality=CUMULATIVE), "took", "s"),
        _metric(Summary(points=[summary]), "size"),
    )

    assert sent == Sent(5, {})
    assert exporter.scrape().body.decode().splitlines() == [
        "# HELP calls_total ",
        "# TYPE calls_total counter",
        "calls_total 3",
        "# HELP level How\\nmuch\\\\",
        "# TYPE level gauge",
        'level{k="a\\"b\\\\\\n"} 1.5',
        "# HELP open ",
        "# TYPE open gauge",
        "open -4",
        "# HELP size ",
        "# TYPE size summary",
        'size{quantile="0.5"} 1.0',
        "size_sum 3.0",
        "size_count 2",
        "# HELP took_seconds ",
        "# TYPE took_seconds histogram",
        'took_seconds_bucket{le="1.0"} 1',
        'took_seconds_bucket{le="5.0"} 3',
        'took_seconds_bucket{le="+Inf"} 6',
        "took_seconds_sum 12.5",
        "took_seconds_count 6",
    ]
    assert exporter.scrape().content_type.startswith("text/plain; version=0.0.4")


async def test_odd_numbers() -> None:
    """NaN and infinity are Prometheus' words; a lone surrogate does not break the scrape."""
    exporter = _exporter()
    await _send(exporter, *(
        _metric(_gauge(value), name)
        for name, value in (("a", math.nan), ("b", math.inf), ("c", -math.inf))
    ))  # fmt: skip
    await exporter.export(batch_of(Signal.METRICS, [_metric(_gauge(1, k="x"), "d")]))

    assert _samples(exporter) == ["a NaN", "b +Inf", "c -Inf", 'd{k="x"} 1']


async def test_nothing_yet() -> None:
    """An empty answer, not an error."""
    assert _exporter().scrape().body == b""


RESOURCE = Resource(
    {"service.name": "shop", "service.namespace": "web", "service.instance.id": "i1", "zone": "z"}
)


async def test_resources_and_scopes() -> None:
    """Service and instance are `job` and `instance` of every series, the rest is in target_info;
    two scopes or services with one metric are two series."""
    exporter = _exporter(const_labels={"site": "a"})
    await _send(
        exporter,
        _metric(_gauge(1, zone="own"), resource=RESOURCE, scope=Scope("lib", "2")),
        _metric(_gauge(2), resource=RESOURCE, scope=Scope("other")),
        _metric(_gauge(3), resource=Resource({"service.name": "only"})),
    )

    who = 'instance="i1",job="web/shop"'
    assert _samples(exporter) == [
        f'target_info{{{who},site="a",zone="z"}} 1',
        f'm{{{who},otel_scope_name="lib",otel_scope_version="2",site="a",zone="own"}} 1',
        f'm{{{who},otel_scope_name="other",site="a"}} 2',
        'm{job="only",site="a"} 3',
    ]


async def test_resource_attributes_as_labels() -> None:
    """On every series instead of target_info; without scopes where they are not wanted."""
    exporter = _exporter(
        resource_to_telemetry_conversion={"enabled": True}, without_scope_info=True
    )
    await _send(exporter, _metric(_gauge(1), resource=RESOURCE, scope=Scope("lib")))

    (line,) = _samples(exporter)
    assert line == (
        'm{instance="i1",job="web/shop",service_instance_id="i1",service_name="shop",'
        'service_namespace="web",zone="z"} 1'
    )


async def test_timestamps() -> None:
    """In milliseconds, if they are wanted."""
    exporter = _exporter(send_timestamps=True)
    await _send(exporter, _metric(_gauge(1, time_ns=1_750_000_000_123_456_789)))

    assert _samples(exporter) == ["m 1 1750000000123"]


# ---- exponential histograms ------------------------------------------------------------------


def _exponential(
    scale: int, values: list[float], offset: int | None = None
) -> ExponentialHistogramPoint:
    """The histogram that an SDK makes of these positive values, at a scale."""
    base = 2.0 ** (2.0**-scale)
    at = [math.ceil(math.log(value) / math.log(base)) - 1 for value in values]
    first = min(at) if offset is None else offset
    counts = [at.count(index) for index in range(first, max(at) + 1)]
    return ExponentialHistogramPoint(
        count=len(values), sum=sum(values), scale=scale,
        positive=Buckets(offset=first, bucket_counts=counts),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    scale=st.integers(-3, 6),
    values=st.lists(st.floats(1e-6, 1e9, exclude_min=True), min_size=1, max_size=20),
)
def test_exponential_histograms_are_not_estimated(scale: int, values: list[float]) -> None:
    """Law: below each bound stand exactly the values that are not above it. (Values next to a bound
    are left out: where they go is a matter of the last bit.)"""
    far = [v for v in values if abs(math.log2(v) - round(math.log2(v))) > 1e-9]
    if not far:
        return
    value = read_point(_exponential(scale, far))
    assert isinstance(value, HistogramValue)
    for bound, count in cumulative(value).items():
        assert count == sum(1 for one in far if one <= bound)
        assert bound == math.inf or math.log2(bound).is_integer()


EXPONENTIAL: dict[str, tuple[ExponentialHistogramPoint, dict[float, int] | None]] = {
    "zeros": (ExponentialHistogramPoint(count=2, zero_count=2), {0.0: 2, math.inf: 2}),
    "zeros up to": (ExponentialHistogramPoint(count=2, zero_count=2, zero_threshold=0.3),
                    {0.5: 2, math.inf: 2}),
    "negative": (ExponentialHistogramPoint(
        count=3, zero_count=1, negative=Buckets(offset=1, bucket_counts=[2])),
        {-2.0: 2, 0.0: 3, math.inf: 3}),
    "very large": (ExponentialHistogramPoint(
        count=1, positive=Buckets(offset=900, bucket_counts=[1])), {math.inf: 1}),
    "very small": (ExponentialHistogramPoint(
        count=1, positive=Buckets(offset=-900, bucket_counts=[1])), {2.0**-30: 1, math.inf: 1}),
    "very small and negative": (ExponentialHistogramPoint(
        count=1, negative=Buckets(offset=-900, bucket_counts=[1])), {0.0: 1, math.inf: 1}),
    "contradicts itself": (ExponentialHistogramPoint(count=5, zero_count=2), None),
    "no such scale": (ExponentialHistogramPoint(scale=-(2**31)), None),
}  # fmt: skip


@pytest.mark.parametrize(("point", "buckets"), EXPONENTIAL.values(), ids=EXPONENTIAL)
def test_exponential_edges(
    point: ExponentialHistogramPoint, buckets: dict[float, int] | None
) -> None:
    """Zeros, negative values, and what is beyond the bounds that are kept."""
    value = read_point(point)
    found = None if value is None else dict(cumulative(value))  # type: ignore[arg-type]

    assert found == buckets


# ---- one series over time --------------------------------------------------------------------


async def test_cumulative_values_are_replaced_and_deltas_added() -> None:
    """What is shown is always cumulative. A point that is older than what is known, or the same
    delta again, changes nothing and is counted."""
    exporter = _exporter()
    for time_ns, value in ((10, 5), (20, 9), (15, 7), (20, 9)):
        sent = await _send(exporter, _metric(_sum(value, time_ns), "cumulative"))
        assert sent.dropped == ({"out_of_order": 1} if time_ns == 15 else {})
    for number, (time_ns, value) in enumerate(((10, 5), (20, 9), (20, 9), (15, 7), (30, 1))):
        sent = await _send(exporter, _metric(_sum(value, time_ns, DELTA), "delta"))
        assert sent.dropped == ({"out_of_order": 1} if number in (2, 3) else {})

    assert _samples(exporter) == ["cumulative_total 9", "delta_total 15"]


async def test_delta_histograms() -> None:
    """Buckets are added; a histogram that comes with other bounds begins anew; exponential ones are
    added whatever their scales are."""

    def explicit(time_ns: int, bounds: list[float], counts: list[int]) -> Metric:
        point = HistogramPoint(
            count=sum(counts),
            sum=1.0,
            time_ns=time_ns,
            explicit_bounds=bounds,
            bucket_counts=counts,
        )
        return _metric(Histogram(points=[point], temporality=DELTA), "e")

    def power(time_ns: int, scale: int, values: list[float]) -> Metric:
        point = _exponential(scale, values)
        point.time_ns = time_ns
        return _metric(ExponentialHistogram(points=[point], temporality=DELTA), "p")

    exporter = _exporter()
    await _send(exporter, explicit(1, [1.0], [1, 2]), explicit(2, [1.0], [3, 4]))
    await _send(exporter, power(1, 3, [1.5, 3.0]), power(2, 0, [3.0]))
    assert _samples(exporter) == [
        'e_bucket{le="1.0"} 4', 'e_bucket{le="+Inf"} 10', "e_sum 2.0", "e_count 10",
        'p_bucket{le="2.0"} 1', 'p_bucket{le="4.0"} 3', 'p_bucket{le="+Inf"} 3', "p_sum 7.5",
        "p_count 3",
    ]  # fmt: skip
    await _send(exporter, explicit(3, [2.0], [1, 0]))
    assert _samples(exporter)[:2] == ['e_bucket{le="2.0"} 1', 'e_bucket{le="+Inf"} 1']


NO_FORM: dict[str, tuple[MetricData | None, int]] = {
    "no data": (None, 0),
    "no value": (_gauge(None), 1),
    "no temporality": (_sum(1, temporality=0), 1),
    "lopsided": (Histogram(points=[HistogramPoint(count=3, bucket_counts=[1, 2],
                 explicit_bounds=[5.0, 1.0, 3.0])], temporality=CUMULATIVE), 1),
    "unordered": (Histogram(points=[HistogramPoint(count=3, bucket_counts=[1, 2, 0],
                  explicit_bounds=[5.0, 1.0])], temporality=CUMULATIVE), 1),
    "miscounted": (Histogram(points=[HistogramPoint(count=9, bucket_counts=[1, 2],
                   explicit_bounds=[5.0])], temporality=CUMULATIVE), 1),
}  # fmt: skip


@pytest.mark.parametrize(("data", "points"), NO_FORM.values(), ids=NO_FORM)
async def test_what_cannot_be_shown_is_counted(data: MetricData | None, points: int) -> None:
    """A point that contradicts itself or says nothing shows nothing."""
    exporter = _exporter()

    assert await _send(exporter, _metric(data)) == Sent(0, {"no_form": points} if points else {})
    assert exporter.scrape().body == b""


async def test_two_kinds_of_one_name() -> None:
    """The first wins; the other is counted, not mixed in."""
    exporter = _exporter()
    await _send(exporter, _metric(_gauge(1), "a_total"))
    sent = await _send(exporter, _metric(_sum(2), "a"))

    assert sent == Sent(0, {"type_conflict": 1})
    assert _samples(exporter) == ["a_total 1"]


async def test_a_histogram_without_buckets_or_sum() -> None:
    """Both are optional."""
    exporter = _exporter()
    point = HistogramPoint(count=4)
    await _send(exporter, _metric(Histogram(points=[point], temporality=CUMULATIVE)))

    assert _samples(exporter) == ['m_bucket{le="+Inf"} 4', "m_count 4"]


async def test_series_expire() -> None:
    """A series that gets no new value is not shown any more, nor its target; one that does is."""
    clock = FakeClock()
    exporter = _exporter(clock, metric_expiration="5m")
    await _send(exporter, _metric(_gauge(1, k="old"), resource=RESOURCE), _metric(_gauge(1, k="x")))
    clock.advance(200)
    await _send(exporter, _metric(_gauge(2, time_ns=2, k="x")))
    clock.advance(200)

    assert _samples(exporter) == ['m{k="x"} 2']
    clock.advance(200)
    assert exporter.scrape().body == b""


async def test_no_recorded_value_ends_a_series() -> None:
    """A source that says that a series has ended is believed at once."""
    exporter = _exporter(series_limit=1)
    await _send(exporter, _metric(_gauge(1)))
    assert await _send(exporter, _metric(_gauge(None, flags=1))) == Sent(1, {})
    assert _samples(exporter) == []
    assert (await _send(exporter, _metric(_gauge(1, k="next")))).items == 1


async def test_series_are_bounded() -> None:
    """Beyond the limit new series are refused and counted, known ones go on; what expires makes
    room."""
    clock = FakeClock()
    exporter = _exporter(clock, series_limit=3)
    sent = await _send(exporter, *(_metric(_gauge(n, k=n)) for n in range(5)))
    assert sent == Sent(3, {"series_limit": 2})
    clock.advance(200)
    assert (await _send(exporter, _metric(_gauge(9, time_ns=2, k=0)))).items == 1
    clock.advance(200)
    assert (await _send(exporter, _metric(_gauge(7, k=7)))).items == 1
    assert _samples(exporter) == ['m{k="0"} 9', 'm{k="7"} 7']


_SAMPLE = re.compile(
    r"[a-zA-Z_][a-zA-Z0-9_]*"
    r'(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*")*\})?'
    r" (NaN|[+-]Inf|-?\d+(\.\d+)?(e[+-]?\d+)?)"
)


@settings(max_examples=150, deadline=None)
@given(metrics=strategies.metrics)
async def test_whatever_comes_a_scrape_can_be_read(metrics: list[Metric]) -> None:
    """Law: any metrics at all are taken or counted, and the text is well formed: every sample has
    a name, labels and a number, every family its type once, no series stands twice."""
    exporter = _exporter()
    batch = batch_of(Signal.METRICS, metrics)
    sent = await exporter.export(batch)

    assert sent.items + sum(sent.dropped.values()) == batch.count
    text = exporter.scrape().body.decode()
    lines = text.split("\n")[:-1] if text else []
    samples = [line for line in lines if not line.startswith("# ")]
    assert all(_SAMPLE.fullmatch(line) for line in samples)
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    series = [line.rsplit(" ", 1)[0] for line in samples]
    assert len(series) == len(set(series))


# ---- the endpoint ----------------------------------------------------------------------------


async def test_scraped_on_a_real_port() -> None:
    """GET on the path answers, anything else is not found; after leaving nobody listens."""
    exporter = _exporter(path="/federate")
    async with exporter, aiohttp.ClientSession() as session:
        await _send(exporter, _metric(_gauge(1)))
        base = f"http://127.0.0.1:{exporter.port}"
        async with session.get(f"{base}/federate") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert (await answer.text()).endswith("\nm 1\n")
        async with session.get(f"{base}/metrics") as answer:
            assert answer.status == 404
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{base}/federate")


async def test_a_taken_port_is_named() -> None:
    """The start fails and says which option to change."""
    async with _exporter() as first:
        second = _exporter(endpoint=f"127.0.0.1:{first.port}")
        with pytest.raises(ConfigError, match=r"exporters\.prometheus\.endpoint"):
            await second.__aenter__()


def test_its_port_is_checked_before_anything_opens() -> None:
    """Unlike other exporters it listens: two on one port are a fault of the configuration."""
    text = (
        "receivers: {otlp: {protocols: {http: {endpoint: 'localhost:8889'}}}}\n"
        "exporters: {prometheus: , otlp: {endpoint: 'localhost:8889'}}\n"
        "service: {pipelines: {metrics: {receivers: [otlp], exporters: [prometheus, otlp]}}}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load([f"yaml:{text}"], [], all_factories(), {})

    assert str(caught.value) == (
        "inline yaml:2:13: exporters.prometheus: port 8889 is opened by "
        "receivers.otlp.protocols.http (inline yaml:1) too"
    )


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "endpoint": ({"endpoint": "8889"}, "expected host:port"),
    "path": ({"path": "metrics"}, "begins with /"),
    "namespace": ({"namespace": "a-b"}, "letters, digits and _"),
    "label": ({"const_labels": {"1a": "x"}}, "letters, digits and _"),
    "order": ({"sending_queue": {"num_consumers": 2}}, "less than or equal to 1"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_options_that_cannot_work(options: dict[str, Any], message: str) -> None:
    """What Prometheus could not read, or what would mix up the order, is refused."""
    with pytest.raises(ValidationError, match=message):
        PrometheusConfig.model_validate(options)
