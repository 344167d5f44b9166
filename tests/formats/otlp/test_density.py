"""Requests that are small on the wire and huge in memory are found before they are parsed."""

from __future__ import annotations

import pytest

from genai_collector.errors import TooLarge
from genai_collector.formats.otlp import check_density
from genai_collector.formats.otlp.density import MIN_BYTES_TO_WALK
from genai_collector.model import Signal
from tests.receivers.harness import protobuf_request

LIMIT = 100_000
SIZE = MIN_BYTES_TO_WALK


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _spans(content: bytes) -> bytes:
    return _field(1, _field(2, content))


SMALL_SPAN = _field(2, b"\x4a\x00" * 10_000)

DENSE = {
    "groups": b"\x0a\x00" * (SIZE // 2),
    "spans": _spans(b"\x12\x00" * (SIZE // 2)),
    "attributes of one span": _spans(_field(2, b"\x4a\x00" * (SIZE // 2))),
    "attributes of many spans": _spans(SMALL_SPAN * (SIZE // len(SMALL_SPAN) + 1)),
    "numbers": b"\x08\x00" * (SIZE // 2),
    "an array": _spans(
        _field(2, _field(9, _field(2, _field(5, b"\x0a\x00" * (SIZE // 2)))))
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", DENSE.values(), ids=DENSE)
def test_dense_requests(body: bytes) -> None:
    """Millions of tiny messages at any level are too many."""
    with pytest.raises(TooLarge, match="values"):
        check_density(Signal.TRACES, body, LIMIT)


@pytest.mark.parametrize("signal", Signal)
def test_ordinary_requests(signal: Signal) -> None:
    """A large request of ordinary items passes, and a small one whatever it holds."""
    items = {Signal.TRACES: 10_000, Signal.LOGS: 10_000, Signal.METRICS: 90_000}[signal]
    body = protobuf_request(signal, items, "x" * 1000)
    check_density(signal, body, LIMIT)
    check_density(signal, DENSE["spans"][: SIZE - 1], LIMIT)


@pytest.mark.parametrize("cut", [1, 2, 3, 5, 1001])
def test_what_is_no_protobuf(cut: int) -> None:
    """Garbage and what is cut short is left to the parser."""
    check_density(Signal.LOGS, b"\xff" * SIZE, LIMIT)
    check_density(Signal.LOGS, b"\x0b" * SIZE, LIMIT)
    body = protobuf_request(Signal.LOGS, 5_000, "x" * 1000)
    check_density(Signal.LOGS, body[:-cut], LIMIT)
