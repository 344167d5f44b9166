"""The private messages as their readers see them, and the functions that parse them.

Every parser raises `google.protobuf.message.DecodeError`; `codec` translates it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeVar, cast

from genai_collector.formats.otlp.descriptors import parser

ItemT_co = TypeVar("ItemT_co", covariant=True)


class ScopeItemsMessage(Protocol[ItemT_co]):
    """ScopeSpans, ScopeMetrics, ScopeLogs."""

    @property
    def scope(self) -> Iterable[bytes]: ...
    @property
    def items(self) -> Iterable[ItemT_co]: ...
    @property
    def schema_url(self) -> str: ...


class GroupMessage(Protocol[ItemT_co]):
    """ResourceSpans, ResourceMetrics, ResourceLogs."""

    @property
    def resource(self) -> Iterable[bytes]: ...
    @property
    def scopes(self) -> Iterable[ScopeItemsMessage[ItemT_co]]: ...
    @property
    def schema_url(self) -> str: ...


class RequestMessage(Protocol[ItemT_co]):
    """ExportTraceServiceRequest and its siblings."""

    @property
    def groups(self) -> Iterable[GroupMessage[ItemT_co]]: ...


class AnyValueMessage(Protocol):
    string_value: str
    bool_value: bool
    int_value: int
    double_value: float
    bytes_value: bytes

    @property
    def array_value(self) -> ArrayValueMessage: ...
    @property
    def kvlist_value(self) -> KeyValueListMessage: ...
    def WhichOneof(self, name: str, /) -> str | None: ...  # noqa: N802 (protobuf's own name)


class ArrayValueMessage(Protocol):
    values: Iterable[AnyValueMessage]


class KeyValueMessage(Protocol):
    key: str
    value: AnyValueMessage


class KeyValueListMessage(Protocol):
    values: Iterable[KeyValueMessage]


class EntityRefMessage(Protocol):
    schema_url: str
    type: str
    id_keys: Iterable[str]
    description_keys: Iterable[str]


class ResourceMessage(Protocol):
    attributes: Iterable[bytes]
    dropped_attributes_count: int
    entity_refs: Iterable[EntityRefMessage]


class ScopeMessage(Protocol):
    name: str
    version: str
    attributes: Iterable[bytes]
    dropped_attributes_count: int


class StatusMessage(Protocol):
    message: str
    code: int


class SpanMessage(Protocol):
    trace_id: bytes
    span_id: bytes
    trace_state: str
    parent_span_id: bytes
    name: str
    kind: int
    start_time_unix_nano: int
    end_time_unix_nano: int
    attributes: Iterable[bytes]
    dropped_attributes_count: int
    events: Iterable[bytes]
    dropped_events_count: int
    links: Iterable[bytes]
    dropped_links_count: int
    status: StatusMessage
    flags: int


class EventMessage(Protocol):
    time_unix_nano: int
    name: str
    attributes: Iterable[bytes]
    dropped_attributes_count: int


class LinkMessage(Protocol):
    trace_id: bytes
    span_id: bytes
    trace_state: str
    attributes: Iterable[bytes]
    dropped_attributes_count: int
    flags: int


class LogRecordMessage(Protocol):
    time_unix_nano: int
    severity_number: int
    severity_text: str
    body: Iterable[bytes]
    attributes: Iterable[bytes]
    dropped_attributes_count: int
    flags: int
    trace_id: bytes
    span_id: bytes
    observed_time_unix_nano: int
    event_name: str


class ExemplarMessage(Protocol):
    time_unix_nano: int
    as_double: float
    as_int: int
    span_id: bytes
    trace_id: bytes
    filtered_attributes: Iterable[bytes]

    def WhichOneof(self, name: str, /) -> str | None: ...  # noqa: N802


class NumberPointMessage(Protocol):
    start_time_unix_nano: int
    time_unix_nano: int
    as_double: float
    as_int: int
    exemplars: Iterable[ExemplarMessage]
    attributes: Iterable[bytes]
    flags: int

    def WhichOneof(self, name: str, /) -> str | None: ...  # noqa: N802


class HistogramPointMessage(Protocol):
    start_time_unix_nano: int
    time_unix_nano: int
    count: int
    sum: float
    bucket_counts: Iterable[int]
    explicit_bounds: Iterable[float]
    exemplars: Iterable[ExemplarMessage]
    attributes: Iterable[bytes]
    flags: int
    min: float
    max: float

    def HasField(self, name: str, /) -> bool: ...  # noqa: N802


class BucketsMessage(Protocol):
    offset: int
    bucket_counts: Iterable[int]


class ExponentialHistogramPointMessage(Protocol):
    attributes: Iterable[bytes]
    start_time_unix_nano: int
    time_unix_nano: int
    count: int
    sum: float
    scale: int
    zero_count: int
    positive: BucketsMessage
    negative: BucketsMessage
    flags: int
    exemplars: Iterable[ExemplarMessage]
    min: float
    max: float
    zero_threshold: float

    def HasField(self, name: str, /) -> bool: ...  # noqa: N802


class QuantileMessage(Protocol):
    quantile: float
    value: float


class SummaryPointMessage(Protocol):
    start_time_unix_nano: int
    time_unix_nano: int
    count: int
    sum: float
    quantile_values: Iterable[QuantileMessage]
    attributes: Iterable[bytes]
    flags: int


class GaugeMessage(Protocol):
    data_points: Iterable[NumberPointMessage]


class SumMessage(Protocol):
    data_points: Iterable[NumberPointMessage]
    aggregation_temporality: int
    is_monotonic: bool


class HistogramMessage(Protocol):
    data_points: Iterable[HistogramPointMessage]
    aggregation_temporality: int


class ExponentialHistogramMessage(Protocol):
    data_points: Iterable[ExponentialHistogramPointMessage]
    aggregation_temporality: int


class SummaryMessage(Protocol):
    data_points: Iterable[SummaryPointMessage]


class MetricMessage(Protocol):
    name: str
    description: str
    unit: str
    gauge: GaugeMessage
    sum: SumMessage
    histogram: HistogramMessage
    exponential_histogram: ExponentialHistogramMessage
    summary: SummaryMessage
    metadata: Iterable[bytes]

    def WhichOneof(self, name: str, /) -> str | None: ...  # noqa: N802


parse_traces: Final = cast("Callable[[bytes], RequestMessage[SpanMessage]]", parser("Traces"))
parse_metrics: Final = cast("Callable[[bytes], RequestMessage[MetricMessage]]", parser("Metrics"))
parse_logs: Final = cast("Callable[[bytes], RequestMessage[LogRecordMessage]]", parser("Logs"))
parse_any_value: Final = cast("Callable[[bytes], AnyValueMessage]", parser("AnyValue"))
parse_key_value: Final = cast("Callable[[bytes], KeyValueMessage]", parser("KeyValue"))
parse_resource: Final = cast("Callable[[bytes], ResourceMessage]", parser("Resource"))
parse_scope: Final = cast("Callable[[bytes], ScopeMessage]", parser("Scope"))
parse_event: Final = cast("Callable[[bytes], EventMessage]", parser("Event"))
parse_link: Final = cast("Callable[[bytes], LinkMessage]", parser("Link"))
