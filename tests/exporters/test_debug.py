"""debug: what stands on the console, and that the console holds nobody up."""

from __future__ import annotations

import io
import threading
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.component import Sent
from genai_collector.errors import Permanent, Retryable
from genai_collector.exporters._debug_lines import (
    clock_time,
    dollars,
    duration,
    log_line,
    metric_line,
    printable,
    span_line,
)
from genai_collector.exporters.debug import BoundedWriter, Debug, DebugConfig, Sampler
from genai_collector.formats import otlp
from genai_collector.model import (
    Batch,
    Event,
    Exemplar,
    Histogram,
    HistogramPoint,
    Link,
    LogRecord,
    Metric,
    Resource,
    Scope,
    Signal,
    Span,
    Value,
)
from tests.support.fakes import FakeClock, make_context

START = 1_800_000_000_250_000_000


def chat(**attributes: Value) -> Span:
    return Span(
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        name="chat gpt-4o",
        start_ns=START,
        end_ns=START + 1_234_000_000,
        resource=Resource({"service.name": "shop"}),
        scope=Scope("openlit", "1.45"),
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 345,
            "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Why?"}]}]',
            "gen_ai.output.messages": '[{"role":"assistant","parts":'
            '[{"type":"text","content":"Because."}],"finish_reason":"stop"}]',
            **attributes,
        },
    )


def test_a_call_is_one_readable_line() -> None:
    """Time, operation, provider and model, tokens, latency, outcome, first words."""
    assert span_line(chat(), content=True, zone=UTC) == (
        "08:00:00.250  chat  openai/gpt-4o-2024-08-06  12 in, 345 out  1.23s  ok"
        '  "Why?"  -> "Because."'
    )


def test_cost_and_first_token_are_shown_where_known() -> None:
    """In dollars and in milliseconds."""
    span = chat(**{"gen_ai.usage.cost": 0.00425, "gen_ai.response.time_to_first_chunk": 0.21})
    line = span_line(span, content=False, zone=UTC)
    assert "  $0.00425  " in line
    assert "  ttft 210ms  " in line


def test_content_can_be_kept_off_the_console() -> None:
    """content: false shows no word of prompt or answer."""
    line = span_line(chat(), content=False, zone=UTC)
    assert "Why" not in line
    assert "Because" not in line


def test_a_failed_call_says_why() -> None:
    """ERROR with type and message."""
    span = chat(**{"error.type": "RateLimitError"})
    span.status_code, span.status_message = 2, "slow\ndown"
    assert "ERROR: RateLimitError: slow down" in span_line(span, content=False)


def test_a_call_for_tools_shows_the_calls() -> None:
    """Where the answer has no text, the names of what was called."""
    part = '{"type":"tool_call","id":"1","name":"weather","arguments":{}}'
    messages = f'[{{"role":"assistant","parts":[{part}],"finish_reason":"tool_call"}}]'
    span = chat(**{"gen_ai.output.messages": messages})
    assert '-> "weather(...)"' in span_line(span, content=True)


def test_any_other_span_is_a_line_too() -> None:
    """Name, duration, service, outcome."""
    span = Span(
        name="GET /", start_ns=START, end_ns=START + 5_000_000,
        resource=Resource({"service.name": "shop"}),
    )  # fmt: skip
    assert span_line(span, content=True, zone=UTC) == (
        "08:00:00.250  span  GET /  5ms  from shop  ok"
    )


def test_metrics_and_logs_are_summarised() -> None:
    """One line each; log bodies are content."""
    point = HistogramPoint(time_ns=START, count=3)
    metric = Metric(
        name="gen_ai.client.token.usage", unit="{token}", data=Histogram(points=[point])
    )
    assert metric_line(metric, UTC) == (
        "08:00:00.250  metric  gen_ai.client.token.usage  [{token}]  Histogram  1 point"
    )
    assert (
        metric_line(Metric(name="empty"), UTC) == "--:--:--.---  metric  empty  no data  0 points"
    )
    record = LogRecord(time_ns=START, severity_text="INFO", event_name="gen_ai.choice", body="hi")
    assert log_line(record, content=True, zone=UTC) == (
        '08:00:00.250  log  INFO  gen_ai.choice  "hi"'
    )
    assert "hi" not in log_line(record, content=False)


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None)
def test_nothing_written_by_others_can_steer_the_terminal(text: str) -> None:
    """One line, printable, bounded."""
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 60


@given(
    st.dictionaries(
        st.sampled_from(
            ["gen_ai.operation.name", "gen_ai.usage.input_tokens", "gen_ai.input.messages",
             "gen_ai.usage.cost", "gen_ai.provider.name", "gen_ai.output.messages"]
        ),
        st.none() | st.text() | st.integers() | st.floats() | st.binary()
        | st.lists(st.text(), max_size=2) | st.dictionaries(st.text(), st.text(), max_size=2),
    ),
    st.integers(0, 2**64 - 1),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_no_span_is_too_odd_for_a_line(attributes: dict[str, Value], start_ns: int) -> None:
    """Whatever a producer wrote, there is one line for it."""
    span = Span(name="x", start_ns=start_ns, attributes=attributes)
    line = span_line(span, content=True)
    assert line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (dollars(0.0), "$0.00"),
        (dollars(12.5), "$12.5"),
        (dollars(0.000012), "$0.000012"),
        (duration(0.0004), "0ms"),
        (duration(61.0), "61.00s"),
        (clock_time(0), "--:--:--.---"),
        (clock_time(2**64 - 1, UTC), "23:34:33.709"),
        (printable("a" * 61), "a" * 59 + "…"),
        (printable(" a\x1b[31m\n b "), "a [31m b"),
    ],
)
def test_numbers_are_short(shown: str, expected: str) -> None:
    """As a person would write them."""
    assert shown == expected


async def shown(batch: Batch, **config: Any) -> str:
    stream = io.StringIO()
    async with Debug(DebugConfig.model_validate(config), make_context(), stream) as debug:
        assert await debug.export(batch) == Sent(batch.count)
    return stream.getvalue()


def everything() -> list[Batch]:
    span = chat()
    span.events = [Event("gen_ai.choice", START, {"x": [1, "a"]})]
    span.links = [Link(b"u" * 16, b"v" * 8)]
    exemplar = Exemplar(time_ns=START, value=1.5, trace_id=b"t" * 16)
    point = HistogramPoint(
        attributes={"k": b"\x01"}, time_ns=START, count=1, sum=2.0, exemplars=[exemplar]
    )
    metric = Metric(name="m", data=Histogram(points=[point], temporality=2))
    record = LogRecord(time_ns=START, body={"a": None}, event_name="e")
    return [
        otlp.batch_of(Signal.TRACES, [span]),
        otlp.batch_of(Signal.METRICS, [metric]),
        otlp.batch_of(Signal.LOGS, [record]),
    ]


async def test_basic_says_how_much() -> None:
    """One line per batch."""
    traces, metrics, logs = everything()
    assert (await shown(traces, verbosity="basic")).startswith("traces: 1 spans, ")
    assert (await shown(metrics, verbosity="basic")).startswith("metrics: 1 data points, ")
    assert (await shown(logs, verbosity="basic")).startswith("logs: 1 log records, ")


async def test_normal_is_the_default() -> None:
    """One line per span, metric or record."""
    for batch in everything():
        assert (await shown(batch)).count("\n") == 1


async def test_detailed_shows_every_field() -> None:
    """Laid out as otelcol's users know it."""
    traces, metrics, logs = everything()
    text = await shown(traces, verbosity="detailed")
    for line in (
        "Resource #0",
        "     -> service.name: Str(shop)",
        "InstrumentationScope openlit 1.45",
        "    Trace ID       : " + (b"t" * 16).hex(),
        "    Start time     : 2027-01-15 08:00:00.250000000 +0000 UTC",
        "     -> gen_ai.usage.input_tokens: Int(12)",
        "SpanEvent #0",
        "         -> x: Slice([1, 'a'])",
        "SpanLink #0",
    ):
        assert line in text.splitlines()
    text = await shown(metrics, verbosity="detailed")
    for line in (
        "    DataType       : Histogram",
        "    temporality    : 2",
        "DataPoint #0",
        "         -> k: Bytes(01)",
        "    Exemplar #0",
        "    value          : 1.5",
    ):
        assert line in text.splitlines()
    text = await shown(logs, verbosity="detailed")
    assert "    Body           : Map({'a': None})" in text.splitlines()
    assert "    EventName      : e" in text.splitlines()


def test_sampling_is_per_second() -> None:
    """The first two of a second, then every third; a new second begins anew."""
    clock = FakeClock(100.0)
    sampler = Sampler(2, 3, clock)
    assert [n for n in range(1, 10) if sampler.shows()] == [1, 2, 5, 8]
    clock.advance(1)
    assert [n for n in range(1, 6) if sampler.shows()] == [1, 2, 5]
    none = Sampler(0, 0, clock)
    assert [n for n in range(5) if none.shows()] == []


async def test_what_is_not_shown_is_sent_all_the_same() -> None:
    """Sampling is no loss."""
    batch = everything()[0]
    assert await shown(batch, sampling_initial=0, sampling_thereafter=0) == ""


class Stuck(io.StringIO):
    """A console that nobody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def write(self, text: str, /) -> int:
        self.release.wait()
        return super().write(text)


async def test_a_console_that_nobody_reads_is_backpressure() -> None:
    """A bounded number of texts wait; then the queue must. Nothing is lost meanwhile."""
    stream = Stuck()
    async with Debug(DebugConfig(verbosity="basic"), make_context(), stream) as debug:
        batch, taken = everything()[0], 0
        refused: Exception | None = None
        while refused is None and taken < 1000:
            try:
                await debug.export(batch)
                taken += 1
            except Retryable as exc:
                refused = exc
        assert taken <= 65
        assert "does not keep up" in str(refused)
        stream.release.set()
    assert stream.getvalue().count("\n") == taken


def test_a_console_that_is_gone_is_said_so() -> None:
    """A closed stream is a permanent loss with its own reason, not an endless retry."""
    stream = io.StringIO()
    stream.close()
    writer = BoundedWriter(stream)
    writer.start()
    writer.write("x")
    writer.stop()
    with pytest.raises(Permanent) as caught:
        writer.write("y")
    assert caught.value.reason == "console_closed"
