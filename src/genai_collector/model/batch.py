"""What flows through the pipeline: many items of one signal, as bytes until someone reads them.

A batch that came over OTLP is a valid protobuf request. It stays those bytes through a pipeline
that reads nothing, and an OTLP exporter sends them on. Two encoded batches are merged by
concatenation, because that is how protobuf defines the merge of repeated fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias, cast

from genai_collector.model.log import LogRecord
from genai_collector.model.metric import Metric
from genai_collector.model.span import Span


class Signal(StrEnum):
    TRACES = "traces"
    METRICS = "metrics"
    LOGS = "logs"


Items: TypeAlias = "list[Span] | list[Metric] | list[LogRecord]"


class Codec(Protocol):
    """How items become bytes and back. `formats.otlp` is the one that everyone uses."""

    def decode(self, signal: Signal, data: bytes, /) -> Items: ...

    def encode(self, signal: Signal, items: Items, /) -> bytes: ...


class Compressed(NamedTuple):
    """The very bytes that a client sent: `data` is the batch's encoded form under `encoding`."""

    encoding: str
    data: bytes


class Batch:
    """Items of one signal, either still encoded or decoded.

    Ownership: whoever holds a batch may change it through `spans`, `metrics` or `logs`, which give
    up the encoded form. Exporters share one batch and must only use `view_*()` and `encoded()`.

    `count` is what is counted everywhere: spans, log records, or metric *data points*.
    `size_bytes` is the encoded size, or the last one known if the items were changed since.
    """

    __slots__ = ("_codec", "_count", "_encoded", "_items", "compressed", "signal", "size_bytes")

    def __init__(
        self,
        signal: Signal,
        codec: Codec,
        *,
        encoded: bytes | None = None,
        items: Items | None = None,
        count: int | None = None,
        size_bytes: int | None = None,
        compressed: Compressed | None = None,
    ) -> None:
        assert encoded is not None or items is not None
        self.signal = signal
        self.compressed = compressed
        self._codec = codec
        self._encoded = encoded
        self._items = items
        self._count = count
        if encoded is not None:
            self.size_bytes = len(encoded)
        elif size_bytes is not None:
            self.size_bytes = size_bytes
        else:
            self.size_bytes = len(self.encoded())

    @property
    def count(self) -> int:
        """Spans, log records or metric data points, whichever the signal has."""
        if self._count is None:
            self._count = count_items(self.signal, self._view())
        return self._count

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def is_encoded(self) -> bool:
        """Whether the encoded form is at hand, so that `encoded()` costs nothing."""
        return self._encoded is not None

    @property
    def is_decoded(self) -> bool:
        """Whether the items are at hand, so that `view_*()` costs nothing."""
        return self._items is not None

    def encoded(self) -> bytes:
        """The OTLP protobuf request; kept, so that several exporters encode once."""
        if self._encoded is None:
            assert self._items is not None
            self._encoded = self._codec.encode(self.signal, self._items)
            self.size_bytes = len(self._encoded)
        return self._encoded

    def _view(self) -> Items:
        if self._items is None:
            assert self._encoded is not None
            self._items = self._codec.decode(self.signal, self._encoded)
        return self._items

    def _own(self) -> Items:
        items = self._view()
        self._encoded = self._count = self.compressed = None
        return items

    def view_spans(self) -> list[Span]:
        """The spans, for reading only."""
        assert self.signal is Signal.TRACES
        return cast("list[Span]", self._view())

    def view_metrics(self) -> list[Metric]:
        """The metrics, for reading only."""
        assert self.signal is Signal.METRICS
        return cast("list[Metric]", self._view())

    def view_logs(self) -> list[LogRecord]:
        """The log records, for reading only."""
        assert self.signal is Signal.LOGS
        return cast("list[LogRecord]", self._view())

    @property
    def spans(self) -> list[Span]:
        """The spans, to be changed in place; gives up the encoded form."""
        assert self.signal is Signal.TRACES
        return cast("list[Span]", self._own())

    @property
    def metrics(self) -> list[Metric]:
        """The metrics, to be changed in place; gives up the encoded form."""
        assert self.signal is Signal.METRICS
        return cast("list[Metric]", self._own())

    @property
    def logs(self) -> list[LogRecord]:
        """The log records, to be changed in place; gives up the encoded form."""
        assert self.signal is Signal.LOGS
        return cast("list[LogRecord]", self._own())

    def with_items(self, items: Items) -> Batch:
        """A batch of these items instead, for a processor or an exporter that keeps only some.

        The size is estimated by the share of items kept; it is only used as a weight.
        """
        before = len(self._view())
        share = len(items) / before if before else 1.0
        return Batch(self.signal, self._codec, items=items, size_bytes=int(self.size_bytes * share))

    def clone(self) -> Batch:
        """An independent batch of the same items, for a second pipeline. Free if encoded."""
        return Batch(
            self.signal,
            self._codec,
            encoded=self.encoded(),
            count=self._count,
            compressed=self.compressed,
        )

    def split(self, parts: int) -> list[Batch]:
        """At most `parts` batches of about equally many items; one if there is only one item.

        Spans of one trace may part; metrics are cut between metrics, not between data points.
        """
        items = self._view()
        step = max(1, -(-len(items) // max(1, parts)))
        if step >= len(items):
            return [self]
        return [self.with_items(items[at : at + step]) for at in range(0, len(items), step)]


def count_items(signal: Signal, items: Items) -> int:
    """How many spans, log records or data points these are."""
    if signal is Signal.METRICS:
        metrics = cast("list[Metric]", items)
        return sum(len(m.data.points) for m in metrics if m.data is not None)
    return len(items)


def merge(batches: Sequence[Batch]) -> Batch:
    """One batch of all items, in order. All must be of one signal.

    Concatenates bytes when every batch is encoded, otherwise joins the items (read-only: the
    merged batch shares them with its sources).
    """
    first = batches[0]
    if len(batches) == 1:
        return first
    if all(batch.is_encoded for batch in batches):
        return Batch(
            first.signal,
            first._codec,
            encoded=b"".join([batch.encoded() for batch in batches]),
            count=sum(batch.count for batch in batches),
        )
    items: list[object] = []
    for batch in batches:
        items.extend(batch._view())
    return Batch(
        first.signal,
        first._codec,
        items=cast("Items", items),
        size_bytes=sum(batch.size_bytes for batch in batches),
    )
