"""Items to one line: the formats that can be written, with what has no home in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, cast

from genai_collector.formats import langfuse, litellm, noveum, otlp
from genai_collector.formats.loss import Loss
from genai_collector.model import Items, LogRecord, Metric, Signal, Span, Value, count_items


class Target(NamedTuple):
    """A format that can be written."""

    encode: Mapping[Signal, Callable[[Items], bytes]]
    """One line, without newline (or any bytes, if there is no `ending`)."""
    loss: Mapping[Signal, Callable[[Items], Sequence[Loss]]]
    """What had no home; a signal that is missing loses nothing."""
    several: Callable[[Mapping[Signal, Items]], list[bytes]] | None = None
    """The outputs for several signals of one document; None if a file holds one signal only."""
    ending: bytes = b"\n"
    """What follows each output. Without one the outputs run together, as protobuf requests of one
    signal may: they are one request then."""


_Encode: TypeAlias = Callable[[Items], bytes]


def _to_otlp(signal: Signal) -> _Encode:
    return lambda items: otlp.encode_json(signal, items)


def _to_otlp_proto(signal: Signal) -> _Encode:
    return lambda items: otlp.encode(signal, items)


def _to_otlp_lines(parts: Mapping[Signal, Items]) -> list[bytes]:
    return [otlp.encode_json(signal, items) for signal, items in parts.items()]


def _langfuse_events(signal: Signal, items: Items) -> Sequence[langfuse.EncodedEvent]:
    if signal is Signal.TRACES:
        return langfuse.encode_spans(cast("list[Span]", items))
    if signal is Signal.METRICS:
        return langfuse.scores_from_metrics(cast("list[Metric]", items))
    return langfuse.scores_from_logs(cast("list[LogRecord]", items))


def _to_langfuse(parts: Mapping[Signal, Items]) -> list[bytes]:
    events = [
        one.event for signal, items in parts.items() for one in _langfuse_events(signal, items)
    ]
    said = [langfuse.sdk_of(items) for items in parts.values()]
    return [langfuse.encode_batch(events, said[0] if all(one == said[0] for one in said) else {})]


def _one_to_langfuse(signal: Signal) -> _Encode:
    return lambda items: _to_langfuse({signal: items})[0]


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


def _noveum_records(signal: Signal, items: Items) -> Sequence[dict[str, Value]]:
    if signal is Signal.TRACES:
        return noveum.encode_spans(cast("list[Span]", items))
    if signal is Signal.METRICS:
        return noveum.encode_metrics(cast("list[Metric]", items))
    return noveum.encode_logs(cast("list[LogRecord]", items))


def _to_noveum(parts: Mapping[Signal, Items]) -> list[bytes]:
    records = [one for signal, items in parts.items() for one in _noveum_records(signal, items)]
    return [b"[" + b",".join([noveum.dump(record) for record in records]) + b"]"]


def _one_to_noveum(signal: Signal) -> _Encode:
    return lambda items: _to_noveum({signal: items})[0]


def _noveum_span_loss(items: Items) -> Sequence[Loss]:
    return noveum.loss(cast("list[Span]", items))


def _spans_to_noveum_traces(items: Items) -> bytes:
    return noveum.dump(noveum.encode_payload(cast("list[Span]", items)))


def _noveum_trace_loss(items: Items) -> Sequence[Loss]:
    return noveum.trace_loss(cast("list[Span]", items))


def _no_traces(_items: Items) -> bytes:
    return b'{"traces":[]}'


def _no_form(signal: Signal) -> Callable[[Items], Sequence[Loss]]:
    why = "Noveum's traces have spans; metrics and log records have a form in `noveum`"
    return lambda items: [
        Loss(f"{signal} item {at}", str(signal), why) for at in range(count_items(signal, items))
    ]


def _spans_to_litellm(items: Items) -> bytes:
    payloads = litellm.encode_spans(cast("list[Span]", items))
    return b"[" + b",".join([litellm.dump(payload) for payload in payloads]) + b"]"


def _litellm_span_loss(items: Items) -> Sequence[Loss]:
    return litellm.loss(cast("list[Span]", items))


def _nothing(_items: Items) -> bytes:
    return b"[]"


def _litellm_loss(signal: Signal) -> Callable[[Items], Sequence[Loss]]:
    why = "LiteLLM's payload describes calls; metrics and log records have no form in it"
    return lambda items: [
        Loss(f"{signal} item {at}", str(signal), why) for at in range(count_items(signal, items))
    ]


TARGETS: Final[Mapping[str, Target]] = {
    "langfuse": Target(
        {signal: _one_to_langfuse(signal) for signal in Signal},
        {
            Signal.TRACES: _langfuse_span_loss,
            Signal.METRICS: _langfuse_metric_loss,
            Signal.LOGS: _langfuse_log_loss,
        },
        _to_langfuse,
    ),
    "litellm": Target(
        {
            Signal.TRACES: _spans_to_litellm,
            Signal.METRICS: _nothing,
            Signal.LOGS: _nothing,
        },
        {
            Signal.TRACES: _litellm_span_loss,
            Signal.METRICS: _litellm_loss(Signal.METRICS),
            Signal.LOGS: _litellm_loss(Signal.LOGS),
        },
    ),
    "noveum": Target(
        {signal: _one_to_noveum(signal) for signal in Signal},
        {Signal.TRACES: _noveum_span_loss},
        _to_noveum,
    ),
    "noveum_traces": Target(
        {
            Signal.TRACES: _spans_to_noveum_traces,
            Signal.METRICS: _no_traces,
            Signal.LOGS: _no_traces,
        },
        {
            Signal.TRACES: _noveum_trace_loss,
            Signal.METRICS: _no_form(Signal.METRICS),
            Signal.LOGS: _no_form(Signal.LOGS),
        },
    ),
    "otlp": Target({signal: _to_otlp(signal) for signal in Signal}, {}, _to_otlp_lines),
    "otlp_proto": Target({signal: _to_otlp_proto(signal) for signal in Signal}, {}, ending=b""),
}
