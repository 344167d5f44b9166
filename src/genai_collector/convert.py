"""Offline conversion: documents in one format to lines in another, with the pipeline's own code.

    bytes -> documents (with the line each begins in) -> items of one signal -> one line of JSON

Every document is converted on its own and gives exactly one line; one that cannot be read gives
none, and says why. The formats are the rows of `SOURCES` and `TARGETS`. Input is read a document
at a time, so that a long file of one-line documents needs the memory of its longest line.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple, TypeAlias, cast

import orjson
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from genai_collector.errors import DecodeError, PipelineError
from genai_collector.formats import langfuse, noveum, otlp
from genai_collector.formats.loss import Loss
from genai_collector.model import Items, LogRecord, Metric, Signal, Span, Value

MAX_DOCUMENT_BYTES: Final = 512 * 1024 * 1024
_MAX_LOSSES: Final = 10_000


class Document(NamedTuple):
    """One input document and the line (from 1) in which it begins."""

    line: int
    data: bytes


class Decoded(NamedTuple):
    """A document's items, and what in it could not be read."""

    signal: Signal
    items: Items
    problems: Sequence[str] = ()


class Outcome(NamedTuple):
    """What became of one document. `output` is None when it could not be read at all."""

    line: int
    output: bytes | None
    problems: Sequence[str]
    losses: Sequence[Loss]


class Source(NamedTuple):
    """A format that can be read."""

    split: Callable[[BinaryIO], Iterator[Document]]
    decode: Callable[[bytes, Signal | None], Decoded]
    """Raises DecodeError. The signal is what the user says it is, None = find out."""


class Target(NamedTuple):
    """A format that can be written."""

    encode: Mapping[Signal, Callable[[Items], bytes]]
    """One line, without newline."""
    loss: Mapping[Signal, Callable[[Items], Sequence[Loss]]]
    """What had no home; a signal that is missing loses nothing."""


def convert(
    stream: BinaryIO,
    source: str,
    target: str,
    *,
    signal: Signal | None = None,
    report: bool = False,
) -> Iterator[Outcome]:
    """Convert every document, in order. `source` and `target` are keys of the tables below;
    losses are only looked for when a report is wanted."""
    reader, writer = SOURCES[source], TARGETS[target]
    for document in reader.split(stream):
        try:
            if len(document.data) > MAX_DOCUMENT_BYTES:
                raise DecodeError(f"larger than {MAX_DOCUMENT_BYTES} bytes")
            decoded = reader.decode(document.data, signal)
            output = writer.encode[decoded.signal](decoded.items)
            find = writer.loss.get(decoded.signal) if report else None
            losses = find(decoded.items) if find else ()
        except PipelineError as error:
            yield Outcome(document.line, None, [str(error)], ())
        except Exception as error:  # one document's bug must not cost the others
            name = type(error).__name__
            yield Outcome(document.line, None, [f"cannot be converted ({name}: {error})"], ())
        else:
            yield Outcome(document.line, output, decoded.problems, losses)


@dataclass(slots=True)
class LossReport:
    """Losses of many documents, added up by field and reason. Bounded; `more` counts the rest."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: dict[tuple[str, str], str] = field(default_factory=dict)
    more: int = 0

    def add(self, outcome: Outcome) -> None:
        for loss in outcome.losses:
            key = (loss.field, loss.why)
            if key not in self.counts and len(self.counts) >= _MAX_LOSSES:
                self.more += 1
                continue
            self.counts[key] += 1
            self.first.setdefault(key, f"line {outcome.line}, {loss.where}")

    def lines(self) -> list[str]:
        """One line per field and reason, most frequent first."""
        lines = [
            f"lost: {name}: {why} ({count} times, first in {self.first[name, why]})"
            for (name, why), count in self.counts.most_common()
        ]
        if self.more:
            lines.append(f"lost: {self.more} more that are not listed")
        return lines or ["nothing was lost"]


# --- bytes -> documents -----------------------------------------------------------------------


def split_json(stream: BinaryIO) -> Iterator[Document]:
    """One document per line, or one that spans all lines. Blank lines count but are none."""
    lines = _lines(stream)
    first = next(lines, None)
    if first is None:
        return
    if not _is_beginning(first.data):
        yield first
        yield from lines
        return
    held = [first]
    size = len(first.data)
    for line in lines:
        held.append(line)
        size += len(line.data)
        if size > MAX_DOCUMENT_BYTES:
            break
    whole = b"\n".join([line.data for line in held])
    if len(held) > 1 and _is_json(whole):
        yield Document(first.line, whole)
        return
    yield from held
    yield from lines


def split_whole(stream: BinaryIO) -> Iterator[Document]:
    """The whole input is one document."""
    yield Document(1, stream.read(MAX_DOCUMENT_BYTES + 1))


def _lines(stream: BinaryIO) -> Iterator[Document]:
    number = 0
    while data := stream.readline(MAX_DOCUMENT_BYTES + 1):
        number += 1
        too_long = len(data) > MAX_DOCUMENT_BYTES
        if number == 1:
            data = data.removeprefix(b"\xef\xbb\xbf")
        if too_long:
            _skip_line(stream)
            yield Document(number, data)
        elif data := data.strip():
            yield Document(number, data)


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(1024 * 1024)) and not rest.endswith(b"\n"):
        pass


def _is_beginning(line: bytes) -> bool:
    """Whether a line could be the first of a document that goes on in the next one."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        # What is wrong with it is only that it ends.
        return error.pos >= len(error.doc) or error.doc[error.pos :].strip() == ""
    except (ValueError, RecursionError):
        return False
    return False


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


# --- documents -> items -----------------------------------------------------------------------

_SIGNAL_BY_KEY: Final = {
    "resourceSpans": Signal.TRACES,
    "resourceMetrics": Signal.METRICS,
    "resourceLogs": Signal.LOGS,
}


def decode_otlp_json(data: bytes, signal: Signal | None) -> Decoded:
    """An OTLP/JSON request of any signal. Raises DecodeError."""
    found = signal or _sniff_json(data)
    decoded = otlp.decode_json(found, data)
    return Decoded(found, decoded.items, _problems(decoded))


def _problems(decoded: otlp.DecodedJson) -> list[str]:
    hidden = decoded.rejected - len(decoded.errors)
    more = [f"{hidden} more items were rejected"] if hidden > 0 else []
    return [*decoded.errors, *more]


def _sniff_json(data: bytes) -> Signal:
    # A quote inside a JSON string is escaped, so this finds keys (and, rarely, whole values).
    keys = [key for key in _SIGNAL_BY_KEY if f'"{key}"'.encode() in data]
    if len(keys) != 1:
        keys = _top_level_keys(data)
    if len(keys) > 1:
        raise DecodeError(f"holds {' and '.join(keys)}; one document has one signal")
    return _SIGNAL_BY_KEY[keys[0]] if keys else Signal.TRACES


def _top_level_keys(data: bytes) -> list[str]:
    document = _loads(data)
    if not isinstance(document, dict):
        raise DecodeError("expected an object with resourceSpans, resourceMetrics or resourceLogs")
    keys = [key for key in _SIGNAL_BY_KEY if key in document]
    if document and not keys:
        raise DecodeError("has none of resourceSpans, resourceMetrics, resourceLogs")
    return keys


def _loads(data: bytes) -> object:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"not JSON: {error}") from error


def decode_otlp_proto(data: bytes, signal: Signal | None) -> Decoded:
    """An OTLP protobuf request. Raises DecodeError."""
    found = signal or _sniff_protobuf(data)
    return Decoded(found, otlp.decode(found, data))


_Message: TypeAlias = "type[LogsData | TracesData | MetricsData]"
_MESSAGES: Final[Mapping[Signal, _Message]] = {
    Signal.LOGS: LogsData,
    Signal.TRACES: TracesData,
    Signal.METRICS: MetricsData,
}
"""In the order in which they are tried: a metric could pass for a span, never the other way."""


def _sniff_protobuf(data: bytes) -> Signal:
    """The signal whose messages leave nothing of the request unexplained."""
    for signal, message_type in _MESSAGES.items():
        try:
            message = message_type.FromString(data)
        except ProtobufError:  # the next signal may fit
            continue
        message.DiscardUnknownFields()
        if message.ByteSize() == len(data) and _has_span_ids(message):
            return signal
    return Signal.TRACES


def _has_span_ids(message: object) -> bool:
    if not isinstance(message, TracesData):
        return True
    return all(
        len(span.trace_id) in (0, 16) and len(span.span_id) in (0, 8)
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    )


# --- items -> one line ------------------------------------------------------------------------

_Encode: TypeAlias = Callable[[Items], bytes]


def _to_otlp(signal: Signal) -> _Encode:
    return lambda items: otlp.encode_json(signal, items)


def _spans_to_langfuse(items: Items) -> bytes:
    return _langfuse_batch(langfuse.encode_spans(cast("list[Span]", items)))


def _metrics_to_langfuse(items: Items) -> bytes:
    return _langfuse_batch(langfuse.scores_from_metrics(cast("list[Metric]", items)))


def _logs_to_langfuse(_items: Items) -> bytes:
    return _langfuse_batch([])


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
    return [
        Loss(f"log record {at}", log.event_name or "log record", "Langfuse takes no log records")
        for at, log in enumerate(cast("list[LogRecord]", items))
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


SOURCES: Final[Mapping[str, Source]] = {
    "otlp": Source(split_json, decode_otlp_json),
    "otlp_proto": Source(split_whole, decode_otlp_proto),
}
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
