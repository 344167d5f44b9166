"""How many values a protobuf request has, without making any of them.

A message of two bytes becomes hundreds when it is parsed, so a request within its size limit can
fill the memory. The wire is walked as its schema says, and the walk ends at the limit. Items are
counted all, what is in them is estimated from one in sixteen (which ones, nobody outside can know:
Python's hash of bytes has a key of the process), so that the walk costs less than the parsing.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from google.protobuf.descriptor import Descriptor
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from genai_collector.errors import TooLarge
from genai_collector.model import Signal

MIN_BYTES_TO_WALK: Final = 4 * 1024 * 1024
"""Smaller requests cost less parsed than walked, whatever they hold."""

_ROOTS: Final[dict[Signal, Descriptor]] = {
    Signal.TRACES: trace_pb2.TracesData.DESCRIPTOR,
    Signal.METRICS: metrics_pb2.MetricsData.DESCRIPTOR,
    Signal.LOGS: logs_pb2.LogsData.DESCRIPTOR,
}
_ITEMS_DEPTH: Final = 2  # groups, scopes, items
_LARGE_ITEM_BYTES: Final = 64 * 1024
_SAMPLED: Final = 16
_FIELDS_PER_VALUE: Final = 4  # numbers cost no memory to speak of, but time to walk over
_SECRET_BYTES: Final = 4096
_MAX_DEPTH: Final = 100  # protobuf's own; what is deeper does not parse
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_density(signal: Signal, data: bytes, limit: int) -> None:
    """Raises TooLarge if a large request has more than `limit` messages in it.
    What is no protobuf ends the walk early; `check` finds that."""
    if len(data) >= max(MIN_BYTES_TO_WALK, 2 * limit):
        _Walk(data, limit).walk(0, len(data), _ROOTS[signal], 0)


@cache
def _children(kind: Descriptor) -> dict[int, Descriptor]:
    """The fields that are messages, by number."""
    return {
        field.number: field.message_type for field in kind.fields if field.message_type is not None
    }


class _Walk:
    def __init__(self, data: bytes, limit: int) -> None:
        self._data = data
        self._limit = limit
        self._count = 0
        self._weight = 1
        self._fields = _FIELDS_PER_VALUE * limit
        self._secret = hash(data[:_SECRET_BYTES])

    def _varint(self, at: int) -> tuple[int, int]:
        """The number, and where it ends. Raises IndexError behind the last byte."""
        data = self._data
        number, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            if byte < 128 or shift > 63:
                return number, at
            shift += 7

    def walk(self, at: int, end: int, kind: Descriptor, depth: int) -> None:
        data, children = self._data, _children(kind)
        try:
            while at < end:
                tag, at = (data[at], at + 1) if data[at] < 128 else self._varint(at)
                wire = tag & 7
                self._fields -= 1
                if self._fields < 0:
                    raise self._too_large()
                if tag < 8:  # there is no field 0
                    return
                if wire == _BYTES:
                    size, at = (data[at], at + 1) if data[at] < 128 else self._varint(at)
                    child = children.get(tag >> 3)
                    if child is not None:
                        self._count_one()
                        if size and depth < _MAX_DEPTH:
                            self._enter(at, min(at + size, end), child, depth)
                    at += size
                elif wire == _VARINT:
                    _, at = self._varint(at)
                elif wire in (_FIXED64, _FIXED32):
                    at += 8 if wire == _FIXED64 else 4
                else:
                    return
        except IndexError:
            return

    def _enter(self, at: int, end: int, kind: Descriptor, depth: int) -> None:
        if depth != _ITEMS_DEPTH or end - at >= _LARGE_ITEM_BYTES:
            self.walk(at, end, kind, depth + 1)
        elif hash((self._secret, at)) % _SAMPLED == 0:
            self._weight = _SAMPLED
            self.walk(at, end, kind, depth + 1)
            self._weight = 1

    def _count_one(self) -> None:
        self._count += self._weight
        if self._count > self._limit:
            raise self._too_large()

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the request has more than {self._limit} values in it")
