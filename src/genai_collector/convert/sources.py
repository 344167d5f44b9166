"""Documents to items: the formats that can be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import BinaryIO, Final, NamedTuple, TypeAlias

import orjson
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from genai_collector.convert.documents import Document, split_json, split_whole
from genai_collector.errors import DecodeError
from genai_collector.formats import langfuse, litellm, noveum, otlp
from genai_collector.formats.langfuse.decode import source_of
from genai_collector.formats.loss import Loss
from genai_collector.model import Items, Signal


class Decoded(NamedTuple):
    """A document's items, and what in it could not be read."""

    signal: Signal
    items: Items
    problems: Sequence[str] = ()
    beside: Mapping[Signal, Items] = MappingProxyType({})
    """Items of other signals in the same document; nobody asked for one signal alone."""
    notes: Sequence[str] = ()
    """What the user should know and is no fault of the document."""


class Source(NamedTuple):
    """A format that can be read."""

    split: Callable[[BinaryIO], Iterator[Document]]
    decode: Callable[[bytes, Signal | None], Decoded]
    """Raises DecodeError. The signal is what the user says it is, None = find out."""
    loss: Callable[[bytes, Signal], Sequence[Loss]] = lambda _data, _signal: ()
    """What of a document that was decoded to this signal's items is not in them."""


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
    """The signal whose messages leave nothing of the request unexplained; of an empty request,
    which has nothing to explain, the same as of an empty JSON document."""
    if not data:
        return Signal.TRACES
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


def decode_litellm(data: bytes, signal: Signal | None) -> Decoded:
    """Payloads of LiteLLM's: an object, an array, or lines of them. Raises DecodeError."""
    if signal not in (None, Signal.TRACES):
        raise DecodeError(f"LiteLLM's payloads are traces, not {signal}")
    parsed = litellm.parse_each(data)
    decoder = litellm.PayloadDecoder()
    spans = [decoder.decode(payload) for _, payload in parsed.payloads]
    return Decoded(Signal.TRACES, spans, [f"record {at}: {why}" for at, why in parsed.refused])


def decode_langfuse(data: bytes, signal: Signal | None) -> Decoded:
    """A batch for Langfuse's ingestion API, complete in itself: traces, or (`logs`) the scores;
    without a signal both. Raises DecodeError."""
    if signal is Signal.METRICS:
        raise DecodeError("Langfuse's batches are traces and (as logs) scores, not metrics")
    batch = langfuse.parse_ingestion(data)
    problems = [f"event {error.id}: {error.error}" for error in batch.refused]
    source = source_of(batch.metadata)
    scores = langfuse.decode_scores(batch.events, source)
    if signal is Signal.LOGS:
        return Decoded(Signal.LOGS, scores, problems)
    spans = langfuse.decode_batch(batch.events, batch.metadata)
    if not scores:
        return Decoded(Signal.TRACES, spans, problems)
    if signal is Signal.TRACES:
        note = f"{len(scores)} scores are not traces; convert them with the signal logs"
        return Decoded(Signal.TRACES, spans, problems, notes=[note])
    if not spans:
        return Decoded(Signal.LOGS, scores, problems)
    return Decoded(Signal.TRACES, spans, problems, {Signal.LOGS: scores})


def langfuse_loss(data: bytes, signal: Signal) -> Sequence[Loss]:
    """What of a batch's scores or of its other events does not go on."""
    return langfuse.batch_loss(data, scores=signal is Signal.LOGS)


def split_noveum(stream: BinaryIO) -> Iterator[Document]:
    """As JSON is split; a document over several lines may have comments."""
    return split_json(stream, _is_noveum_whole)


def _is_noveum_whole(data: bytes) -> bool:
    try:
        noveum.parse(data)
    except DecodeError:
        return False
    return True


def decode_noveum(data: bytes, signal: Signal | None) -> Decoded:
    """Log records and traces of Noveum's, in any of their forms. Of several signals in a document
    the one that is asked for is taken, else traces, metrics, logs, in this order."""
    document = noveum.read_document(data)
    found: dict[Signal, Items] = {
        Signal.TRACES: document.spans,
        Signal.METRICS: document.metrics,
        Signal.LOGS: document.logs,
    }
    taken = signal or next((one for one, items in found.items() if items), Signal.TRACES)
    problems = [f"record {at}: {why}" for at, why in document.refused]
    problems += [
        f"holds {one}, too; convert them with the signal {one}"
        for one, items in found.items()
        if items and one is not taken
    ]
    return Decoded(taken, found[taken], problems)


SOURCES: Final[Mapping[str, Source]] = {
    "langfuse": Source(split_json, decode_langfuse, langfuse_loss),
    "litellm": Source(split_json, decode_litellm),
    "noveum": Source(split_noveum, decode_noveum),
    "otlp": Source(split_json, decode_otlp_json),
    "otlp_proto": Source(split_whole, decode_otlp_proto),
}
