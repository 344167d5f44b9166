"""Items to one line: the formats that can be written, with what has no home in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

from genai_collector.formats import langfuse, noveum, otlp
from genai_collector.formats.loss import Loss
from genai_collector.model import Items, LogRecord, Metric, Signal, Span, Value


class Target(NamedTuple):
    """A format that can be written."""

    encode: Mapping[Signal, Callable[[Items], bytes]]
    """One line, without newline."""
    loss: Mapping[Signal, Callable[[Items], Sequence[Loss]]]
    """What had no home; a signal that is missing loses nothing."""


_Encode: TypeAlias = Callable[[Items], bytes]


def _to_otlp(signal: Signal) -> _Encode:
    return lambda items: otlp.encode_json(signal, items)


def _spans_to_langfuse(items: Items) -> bytes:
    return _langfuse_batch(langfuse.encode_spans(cast("list[Span]", items)))


def _metrics_to_langfuse(items: Items) -> bytes:
    return _langfuse_batch(langfuse.scores_from_metrics(cast("list[Metric]", items)))


def _logs_to_langfuse(items: Items) -> bytes:
    return _langfuse_batch(langfuse.scores_from_logs(cast("list[LogRecord]", items)))


def _langfuse_batch(events: Sequence[langfuse.EncodedEvent]) -> bytes:
    return langfuse.encode_batch([one.event for one in events])


def _langfuse_span_loss(items: Items) -> Sequence[Loss]:
    return langfuse.loss(cast("list[Span]", items))


def _langfuse_metric_loss(items: Items) -> Sequence[Loss]:
    metrics = cast("list[Metric]", items)
    scored = {one.span_index for one in langfuse.scores_from_metrics(metrics)}
    points = [metric.name for metric in metrics for _ in metric.points]
    why = "Langfuse takes no metrics; only exemplars that name a trace become scores"
    return [
        Loss(f"data point {at} of {name}", f"metrics.{name}", why)
        for at, name in enumerate(points)
        if at not in scored
    ]


def _langfuse_log_loss(items: Items) -> Sequence[Loss]:
    logs = cast("list[LogRecord]", items)
    scored = {one.span_index for one in langfuse.scores_from_logs(logs)}
    why = "Langfuse takes no log records; only evaluation results that name a trace become scores"
    return [
        Loss(f"log record {at}", f"logs.{log.event_name or 'record'}", why)
        for at, log in enumerate(logs)
        if at not in scored
    ]


def _spans_to_noveum(items: Items) -> bytes:
    return _noveum_list(noveum.encode_spans(cast("list[Span]", items)))


def _metrics_to_noveum(items: Items) -> bytes:
    return _noveum_list(noveum.encode_metrics(cast("list[Metric]", items)))


def _logs_to_noveum(items: Items) -> bytes:
    return _noveum_list(noveum.encode_logs(cast("list[LogRecord]", items)))


def _noveum_list(records: Sequence[dict[str, Value]]) -> bytes:
    return b"[" + b",".join([noveum.dump(record) for record in records]) + b"]"


def _noveum_span_loss(items: Items) -> Sequence[Loss]:
    return noveum.loss(cast("list[Span]", items))


TARGETS: Final[Mapping[str, Target]] = {
    "langfuse": Target(
        {
            Signal.TRACES: _spans_to_langfuse,
            Signal.METRICS: _metrics_to_langfuse,
            Signal.LOGS: _logs_to_langfuse,
        },
        {
            Signal.TRACES: _langfuse_span_loss,
            Signal.METRICS: _langfuse_metric_loss,
            Signal.LOGS: _langfuse_log_loss,
        },
    ),
    "noveum": Target(
        {
            Signal.TRACES: _spans_to_noveum,
            Signal.METRICS: _metrics_to_noveum,
            Signal.LOGS: _logs_to_noveum,
        },
        {Signal.TRACES: _noveum_span_loss},
    ),
    "otlp": Target({signal: _to_otlp(signal) for signal in Signal}, {}),
}
