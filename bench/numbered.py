"""Requests of realistic spans that are cheap to make unique: templates with numbers patched in.

A template is one request of `bench.payload`. Each span's ids and the beginning of its prompt (which
stands in an attribute and in an event) are replaced by its number, which costs about a microsecond
a span: a hundredth of making one, so that few processes can send more than a collector takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench import payload

RUN: Final = b"soaksoak"
"""The first half of every trace id; the second half is the span's id, which is its number."""
_CLIENT_BITS: Final = 48
_IDS: Final = re.compile(rb"\x0a\x10" + RUN + rb"(.{8})\x12\x08(.{8})", re.DOTALL)
_MARK: Final = 16


class _Place(NamedTuple):
    trace_id: int
    span_id: int
    prompts: tuple[int, ...]


class Template:
    """One request, and where its numbers stand."""

    def __init__(self, seed: int, spans: int) -> None:
        self._body = payload.request(seed, spans)
        self.spans = spans
        self._places = list(self._find())

    def _find(self) -> Iterator[_Place]:
        at = 0
        for of_resource in ExportTraceServiceRequest.FromString(self._body).resource_spans:
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    at = self._body.index(b"\x0a\x10" + span.trace_id, at) + 2
                    span_id = self._body.index(span.span_id, at)
                    mark = span.events[0].attributes[0].value.string_value.encode()[6:][:_MARK]
                    first = self._body.index(mark, span_id)
                    yield _Place(at, span_id, (first, self._body.index(mark, first + 1)))

    def numbered(self, client: int, first: int) -> bytearray:
        """The request with the numbers from `first` on, those of this client."""
        body = bytearray(self._body)
        for number, place in enumerate(self._places, first):
            key = (client << _CLIENT_BITS | number).to_bytes(8, "big")
            body[place.trace_id : place.trace_id + 16] = RUN + key
            body[place.span_id : place.span_id + 8] = key
            mark = key.hex().encode()
            for at in place.prompts:
                body[at : at + _MARK] = mark
        return body


def numbers(body: bytes) -> Iterator[tuple[int, int]]:
    """Client and number of every span in a request. Raises ValueError where ids disagree."""
    for match in _IDS.finditer(body):
        if match[1] != match[2]:
            raise ValueError(f"trace {match[1].hex()} has span {match[2].hex()}")
        key = int.from_bytes(match[1], "big")
        yield key >> _CLIENT_BITS, key & (1 << _CLIENT_BITS) - 1


def is_whole(body: bytes, client: int, number: int) -> bool:
    """Whether the span's prompt stands in the request in both its places."""
    return body.count((client << _CLIENT_BITS | number).to_bytes(8, "big").hex().encode()) == 2
