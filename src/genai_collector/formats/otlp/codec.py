"""OTLP requests to items and back, whatever the signal and the encoding.

`Codec` trusts its input: batches hold bytes that `check` has passed. The functions of this
package that take bytes from anywhere check them first.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar, cast

from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from genai_collector.errors import DecodeError
from genai_collector.formats.otlp import (
    json_logs,
    json_metrics,
    json_text,
    json_traces,
    logs,
    metrics,
    traces,
)
from genai_collector.formats.otlp.json_envelope import Names, ReadItem, RequestReader, write_request
from genai_collector.model import Batch, Codec, Compressed, Items, LogRecord, Metric, Signal, Span

ItemT = TypeVar("ItemT")


class DecodedJson(NamedTuple):
    """Items that were read; how many were `rejected` (spans, log records, data points) and, for
    the first of them, why: `resourceSpans[0].scopeSpans[0].spans[3].traceId: expected ...`."""

    items: Items
    rejected: int
    errors: list[str]


def check(signal: Signal, data: bytes) -> int:
    """Count the items of a protobuf request, having parsed it whole, every nested field.

    Counts spans, log records or data points. Raises DecodeError."""
    try:
        if signal is Signal.TRACES:
            spans = trace_pb2.TracesData.FromString(data)
            return sum(len(s.spans) for r in spans.resource_spans for s in r.scope_spans)
        if signal is Signal.LOGS:
            records = logs_pb2.LogsData.FromString(data)
            return sum(len(s.log_records) for r in records.resource_logs for s in r.scope_logs)
        return _count_points(metrics_pb2.MetricsData.FromString(data))
    except ProtobufError:
        raise DecodeError(f"not an OTLP {signal} request in protobuf") from None


def _count_points(request: metrics_pb2.MetricsData) -> int:
    count = 0
    for group in request.resource_metrics:
        for part in group.scope_metrics:
            for metric in part.metrics:
                which = metric.WhichOneof("data")
                if which is not None:
                    count += len(getattr(metric, which).data_points)
    return count


def decode(signal: Signal, data: bytes) -> Items:
    """The items of a protobuf request, in order. Raises DecodeError.

    ResourceSpans and ScopeSpans without items leave no trace, nor do unknown fields."""
    check(signal, data)
    return CODEC.decode(signal, data)


def encode(signal: Signal, items: Items) -> bytes:
    """The protobuf request of the items, in order; consecutive items that share a resource and a
    scope (the same objects) share a group. Raises `Unencodable` (Permanent) for what is no Value
    or out of a field's range."""
    return CODEC.encode(signal, items)


class _Codec:
    """What batches are given: the bytes have passed `check` or come from `encode`."""

    def decode(self, signal: Signal, data: bytes, /) -> Items:
        try:
            if signal is Signal.TRACES:
                return traces.decode_spans(data)
            if signal is Signal.LOGS:
                return logs.decode_logs(data)
            return metrics.decode_metrics(data)
        except ProtobufError:
            raise DecodeError(f"not an OTLP {signal} request in protobuf") from None

    def encode(self, signal: Signal, items: Items, /) -> bytes:
        if signal is Signal.TRACES:
            return traces.encode_spans(cast("list[Span]", items))
        if signal is Signal.LOGS:
            return logs.encode_logs(cast("list[LogRecord]", items))
        return metrics.encode_metrics(cast("list[Metric]", items))


CODEC: Final[Codec] = _Codec()


def decode_json(signal: Signal, data: bytes) -> DecodedJson:
    """The items of a JSON request. An item that is not what OTLP says is rejected and counted,
    the rest is kept. Raises DecodeError if the document is no request at all."""
    document = json_text.loads(data)
    if signal is Signal.TRACES:
        return _read(document, json_traces.NAMES, json_traces.read_span)
    if signal is Signal.LOGS:
        return _read(document, json_logs.NAMES, json_logs.read_record)
    return _read(document, json_metrics.NAMES, json_metrics.read_metric)


def _read(document: object, names: Names, read_item: ReadItem[ItemT]) -> DecodedJson:
    reader = RequestReader(names)
    items = reader.read(document, read_item)
    return DecodedJson(cast("Items", items), reader.rejected, reader.errors)


def encode_json(signal: Signal, items: Items) -> bytes:
    """The canonical JSON request, one line without newline. Raises `Unencodable` (Permanent) for
    what is no Value; numbers are written as they are, in range or not."""
    if signal is Signal.TRACES:
        spans = cast("list[Span]", items)
        return json_text.dumps(write_request(spans, json_traces.NAMES, json_traces.write_span))
    if signal is Signal.LOGS:
        records = cast("list[LogRecord]", items)
        return json_text.dumps(write_request(records, json_logs.NAMES, json_logs.write_record))
    points = cast("list[Metric]", items)
    return json_text.dumps(write_request(points, json_metrics.NAMES, json_metrics.write_metric))


def batch_from_protobuf(signal: Signal, data: bytes, compressed: Compressed | None = None) -> Batch:
    """A batch that stays these bytes until someone reads it. Raises DecodeError.

    `compressed` is what the client sent, if an exporter may pass it on as it is."""
    count = check(signal, data)
    return Batch(signal, CODEC, encoded=data, count=count, compressed=compressed)


def batch_of(signal: Signal, items: Items) -> Batch:
    """A batch of these items, which it owns from now on."""
    return Batch(signal, CODEC, items=items)
