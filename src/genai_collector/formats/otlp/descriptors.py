"""Private descriptors that read OTLP's wire format lazily.

Touching a protobuf wrapper from Python costs far more than touching a `bytes` object, and every
length-delimited field has one wire form. So these messages declare what is decoded later, or
served from a memo (attributes, events, links, resource, scope), as bytes. Singular
submessages are declared `repeated bytes`: a submessage that a sender split in two is merged by
concatenation, which is how protobuf defines it.

The three signals have the same envelope, so their fields are named alike (`groups`, `scopes`,
`items`) and one loop reads all three. They live in a pool of their own and never meet the public
`opentelemetry-proto` messages. Field numbers: opentelemetry-proto, common/resource/trace/metrics/
logs v1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE: Final = "genai_collector.lazy"
_Proto: Final = descriptor_pb2.FieldDescriptorProto


class _Row(NamedTuple):
    name: str
    number: int
    type: str
    """A scalar type or the name of a message below; `*` before it means repeated."""
    oneof: str = ""


_R = _Row
_ATTRIBUTES: Final = "*bytes"

_MESSAGES: Final[dict[str, tuple[_Row, ...]]] = {
    "AnyValue": (
        _R("string_value", 1, "string", "value"),
        _R("bool_value", 2, "bool", "value"),
        _R("int_value", 3, "int64", "value"),
        _R("double_value", 4, "double", "value"),
        _R("array_value", 5, "ArrayValue", "value"),
        _R("kvlist_value", 6, "KeyValueList", "value"),
        _R("bytes_value", 7, "bytes", "value"),
    ),
    "ArrayValue": (_R("values", 1, "*AnyValue"),),
    "KeyValueList": (_R("values", 1, "*KeyValue"),),
    "KeyValue": (_R("key", 1, "string"), _R("value", 2, "AnyValue")),
    "Resource": (
        _R("attributes", 1, _ATTRIBUTES),
        _R("dropped_attributes_count", 2, "uint32"),
        _R("entity_refs", 3, "*EntityRef"),
    ),
    "EntityRef": (
        _R("schema_url", 1, "string"),
        _R("type", 2, "string"),
        _R("id_keys", 3, "*string"),
        _R("description_keys", 4, "*string"),
    ),
    "Scope": (
        _R("name", 1, "string"),
        _R("version", 2, "string"),
        _R("attributes", 3, _ATTRIBUTES),
        _R("dropped_attributes_count", 4, "uint32"),
    ),
    "Span": (
        _R("trace_id", 1, "bytes"),
        _R("span_id", 2, "bytes"),
        _R("trace_state", 3, "string"),
        _R("parent_span_id", 4, "bytes"),
        _R("name", 5, "string"),
        _R("kind", 6, "int32"),
        _R("start_time_unix_nano", 7, "fixed64"),
        _R("end_time_unix_nano", 8, "fixed64"),
        _R("attributes", 9, _ATTRIBUTES),
        _R("dropped_attributes_count", 10, "uint32"),
        _R("events", 11, "*bytes"),
        _R("dropped_events_count", 12, "uint32"),
        _R("links", 13, "*bytes"),
        _R("dropped_links_count", 14, "uint32"),
        _R("status", 15, "Status"),
        _R("flags", 16, "fixed32"),
    ),
    "Event": (
        _R("time_unix_nano", 1, "fixed64"),
        _R("name", 2, "string"),
        _R("attributes", 3, _ATTRIBUTES),
        _R("dropped_attributes_count", 4, "uint32"),
    ),
    "Link": (
        _R("trace_id", 1, "bytes"),
        _R("span_id", 2, "bytes"),
        _R("trace_state", 3, "string"),
        _R("attributes", 4, _ATTRIBUTES),
        _R("dropped_attributes_count", 5, "uint32"),
        _R("flags", 6, "fixed32"),
    ),
    "Status": (_R("message", 2, "string"), _R("code", 3, "int32")),
    "LogRecord": (
        _R("time_unix_nano", 1, "fixed64"),
        _R("severity_number", 2, "int32"),
        _R("severity_text", 3, "string"),
        _R("body", 5, "*bytes"),
        _R("attributes", 6, _ATTRIBUTES),
        _R("dropped_attributes_count", 7, "uint32"),
        _R("flags", 8, "fixed32"),
        _R("trace_id", 9, "bytes"),
        _R("span_id", 10, "bytes"),
        _R("observed_time_unix_nano", 11, "fixed64"),
        _R("event_name", 12, "string"),
    ),
    "Metric": (
        _R("name", 1, "string"),
        _R("description", 2, "string"),
        _R("unit", 3, "string"),
        _R("gauge", 5, "Gauge", "data"),
        _R("sum", 7, "Sum", "data"),
        _R("histogram", 9, "Histogram", "data"),
        _R("exponential_histogram", 10, "ExponentialHistogram", "data"),
        _R("summary", 11, "Summary", "data"),
        _R("metadata", 12, _ATTRIBUTES),
    ),
    "Gauge": (_R("data_points", 1, "*NumberPoint"),),
    "Sum": (
        _R("data_points", 1, "*NumberPoint"),
        _R("aggregation_temporality", 2, "int32"),
        _R("is_monotonic", 3, "bool"),
    ),
    "Histogram": (
        _R("data_points", 1, "*HistogramPoint"),
        _R("aggregation_temporality", 2, "int32"),
    ),
    "ExponentialHistogram": (
        _R("data_points", 1, "*ExponentialHistogramPoint"),
        _R("aggregation_temporality", 2, "int32"),
    ),
    "Summary": (_R("data_points", 1, "*SummaryPoint"),),
    "NumberPoint": (
        _R("start_time_unix_nano", 2, "fixed64"),
        _R("time_unix_nano", 3, "fixed64"),
        _R("as_double", 4, "double", "value"),
        _R("exemplars", 5, "*Exemplar"),
        _R("as_int", 6, "sfixed64", "value"),
        _R("attributes", 7, _ATTRIBUTES),
        _R("flags", 8, "uint32"),
    ),
    "HistogramPoint": (
        _R("start_time_unix_nano", 2, "fixed64"),
        _R("time_unix_nano", 3, "fixed64"),
        _R("count", 4, "fixed64"),
        _R("sum", 5, "double", "_sum"),
        _R("bucket_counts", 6, "*fixed64"),
        _R("explicit_bounds", 7, "*double"),
        _R("exemplars", 8, "*Exemplar"),
        _R("attributes", 9, _ATTRIBUTES),
        _R("flags", 10, "uint32"),
        _R("min", 11, "double", "_min"),
        _R("max", 12, "double", "_max"),
    ),
    "Buckets": (_R("offset", 1, "sint32"), _R("bucket_counts", 2, "*uint64")),
    "ExponentialHistogramPoint": (
        _R("attributes", 1, _ATTRIBUTES),
        _R("start_time_unix_nano", 2, "fixed64"),
        _R("time_unix_nano", 3, "fixed64"),
        _R("count", 4, "fixed64"),
        _R("sum", 5, "double", "_sum"),
        _R("scale", 6, "sint32"),
        _R("zero_count", 7, "fixed64"),
        _R("positive", 8, "Buckets"),
        _R("negative", 9, "Buckets"),
        _R("flags", 10, "uint32"),
        _R("exemplars", 11, "*Exemplar"),
        _R("min", 12, "double", "_min"),
        _R("max", 13, "double", "_max"),
        _R("zero_threshold", 14, "double"),
    ),
    "SummaryPoint": (
        _R("start_time_unix_nano", 2, "fixed64"),
        _R("time_unix_nano", 3, "fixed64"),
        _R("count", 4, "fixed64"),
        _R("sum", 5, "double"),
        _R("quantile_values", 6, "*Quantile"),
        _R("attributes", 7, _ATTRIBUTES),
        _R("flags", 8, "uint32"),
    ),
    "Quantile": (_R("quantile", 1, "double"), _R("value", 2, "double")),
    "Exemplar": (
        _R("time_unix_nano", 2, "fixed64"),
        _R("as_double", 3, "double", "value"),
        _R("span_id", 4, "bytes"),
        _R("trace_id", 5, "bytes"),
        _R("as_int", 6, "sfixed64", "value"),
        _R("filtered_attributes", 7, _ATTRIBUTES),
    ),
}

_ITEMS: Final = {"Traces": "Span", "Metrics": "Metric", "Logs": "LogRecord"}


def _envelope(signal: str, item: str) -> dict[str, tuple[_Row, ...]]:
    """ExportXServiceRequest, ResourceX and ScopeX, which differ only in what they hold."""
    return {
        signal: (_R("groups", 1, f"*Resource{signal}"),),
        f"Resource{signal}": (
            _R("resource", 1, "*bytes"),
            _R("scopes", 2, f"*Scope{signal}"),
            _R("schema_url", 3, "string"),
        ),
        f"Scope{signal}": (
            _R("scope", 1, "*bytes"),
            _R("items", 2, f"*{item}"),
            _R("schema_url", 3, "string"),
        ),
    }


def _declare(file: descriptor_pb2.FileDescriptorProto, name: str, rows: Iterable[_Row]) -> None:
    message = file.message_type.add(name=name)
    oneofs: dict[str, int] = {}
    for row in rows:
        type_name = row.type.removeprefix("*")
        field = message.field.add(name=row.name, number=row.number)
        field.label = _Proto.LABEL_REPEATED if row.type.startswith("*") else _Proto.LABEL_OPTIONAL
        if type_name[0].isupper():
            field.type = _Proto.TYPE_MESSAGE
            field.type_name = f".{_PACKAGE}.{type_name}"
        else:
            field.type = _Proto.Type.Value(f"TYPE_{type_name.upper()}")
        if row.oneof:
            # A oneof of one field is how proto3 gives a scalar presence.
            if row.oneof not in oneofs:
                oneofs[row.oneof] = len(message.oneof_decl)
                message.oneof_decl.add(name=row.oneof)
            field.oneof_index = oneofs[row.oneof]


def _build_pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(
        name="genai_collector/lazy.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, rows in _MESSAGES.items():
        _declare(file, name, rows)
    for signal, item in _ITEMS.items():
        for name, rows in _envelope(signal, item).items():
            _declare(file, name, rows)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL: Final = _build_pool()


def parser(name: str) -> Any:
    """The function bytes -> message; `messages` gives it its type."""
    descriptor = _POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}")
    return message_factory.GetMessageClass(descriptor).FromString
