"""One readable line per span, metric or log record, for the console.

Whatever producers wrote is made printable first: a prompt must not be able to steer a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

from genai_collector.conventions import read_observation
from genai_collector.conventions.messages import text_of
from genai_collector.conventions.observation import Content, Message, Observation
from genai_collector.model import LogRecord, Metric, Span, StatusCode, Value

EXCERPT: Final = 60
_GAP: Final = "  "


def printable(text: str, limit: int = EXCERPT) -> str:
    """The beginning of a text on one line, without control characters."""
    head = text[: limit * 4]
    line = " ".join("".join(c if c.isprintable() else " " for c in head).split())
    return line if len(line) <= limit and len(text) <= limit * 4 else line[: limit - 1] + "…"


def clock_time(ns: int, zone: tzinfo | None = None) -> str:
    """`14:03:59.123` in the given zone, local time by default."""
    if ns <= 0:
        return "--:--:--.---"
    try:
        at = datetime.fromtimestamp(ns // 1_000_000_000, tz=UTC).astimezone(zone)
    except (ValueError, OverflowError, OSError):
        return "--:--:--.---"
    return f"{at:%H:%M:%S}.{ns // 1_000_000 % 1000:03d}"


def duration(seconds: float) -> str:
    return f"{seconds:.2f}s" if seconds >= 1 else f"{seconds * 1000:.0f}ms"


def dollars(amount: float) -> str:
    """`$0.0042`: six digits after the point, without needless zeros."""
    text = f"{amount:.6f}".rstrip("0")
    return "$" + (text + "00" if text.endswith(".") else text)


def span_line(span: Span, *, content: bool, zone: tzinfo | None = None) -> str:
    """A GenAI call with what matters about it; any other span with its name and duration."""
    observation = read_observation(span)
    words = list(_call_words(span, observation) if observation.is_genai else _span_words(span))
    words = [clock_time(span.start_ns, zone), *words, _outcome(span, observation)]
    if content and observation.is_genai:
        words += _excerpts(observation.read_content())
    return _GAP.join(words)


def _call_words(span: Span, observation: Observation) -> Iterator[str]:
    yield printable(observation.operation or observation.kind)
    yield printable("/".join(filter(None, (observation.provider, _subject(observation, span)))))
    usage, cost = observation.usage, observation.cost.total
    if usage.input is not None or usage.output is not None:
        yield f"{_count(usage.input)} in, {_count(usage.output)} out"
    if cost is not None:
        yield dollars(cost)
    yield duration(_seconds(span))
    if observation.time_to_first_chunk_s is not None:
        yield f"ttft {duration(observation.time_to_first_chunk_s)}"


def _subject(observation: Observation, span: Span) -> str:
    return (
        observation.model
        or observation.tool_name
        or observation.agent_name
        or observation.workflow_name
        or span.name
    )


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


def _span_words(span: Span) -> Iterator[str]:
    yield "span"
    yield printable(span.name) or "(no name)"
    yield duration(_seconds(span))
    service = span.resource.attributes.get("service.name")
    if isinstance(service, str) and service:
        yield f"from {printable(service)}"


def _seconds(span: Span) -> float:
    return max(0, span.end_ns - span.start_ns) / 1e9


def _outcome(span: Span, observation: Observation) -> str:
    if span.status_code != StatusCode.ERROR and not observation.error_type:
        return "ok"
    details = (observation.error_type, span.status_message or observation.status_message)
    return printable(": ".join(filter(None, ("ERROR", *details))), 2 * EXCERPT)


def _excerpts(content: Content) -> list[str]:
    asked = _last_text(content.input_messages) or _plain(content.input)
    answered = _last_text(content.output_messages) or _plain(content.output)
    words = [f'"{printable(asked)}"'] if asked else []
    if answered:
        words.append(f'-> "{printable(answered)}"')
    return words


def _last_text(messages: Sequence[Message] | None) -> str:
    """The newest text; where a message only calls a tool, the call."""
    for message in reversed(messages or ()):
        if text := text_of(message) or _tool_calls(message):
            return text
    return ""


def _tool_calls(message: Message) -> str:
    parts = message.get("parts")
    calls = [
        f"{_plain(part.get('name'))}(...)"
        for part in (parts if isinstance(parts, list) else ())
        if isinstance(part, dict) and part.get("type") == "tool_call"
    ]
    return ", ".join(calls)


def _plain(value: Value) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def metric_line(metric: Metric, zone: tzinfo | None = None) -> str:
    kind = "no data" if metric.data is None else type(metric.data).__name__
    points = metric.points
    time_ns = max((point.time_ns for point in points), default=0)
    unit = f"[{printable(metric.unit)}]" if metric.unit else ""
    count = f"{len(points)} point{'' if len(points) == 1 else 's'}"
    words = (clock_time(time_ns, zone), "metric", printable(metric.name), unit, kind, count)
    return _GAP.join(filter(None, words))


def log_line(record: LogRecord, *, content: bool, zone: tzinfo | None = None) -> str:
    words = [
        clock_time(record.time_ns or record.observed_time_ns, zone),
        "log",
        printable(record.severity_text) or (f"severity {record.severity_number}"),
        printable(record.event_name),
        f'"{printable(_plain(record.body))}"' if content and record.body is not None else "",
    ]
    return _GAP.join(filter(None, words))
