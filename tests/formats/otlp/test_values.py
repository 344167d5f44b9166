"""Attribute values at the edges of what OTLP can hold."""

from __future__ import annotations

import math
import struct
from collections import OrderedDict
from enum import IntEnum, StrEnum

import pytest
from google.protobuf.message import DecodeError as ProtobufError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from genai_collector.errors import DecodeError, Permanent
from genai_collector.formats import otlp
from genai_collector.formats.otlp import CODEC
from genai_collector.formats.otlp.values import AttributesField, read_attributes
from genai_collector.model import (
    Attributes,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramPoint,
    Gauge,
    Histogram,
    HistogramPoint,
    Metric,
    MetricData,
    NumberPoint,
    Signal,
    Span,
    Value,
)
from tests.support.plain import plain


def _through(attributes: Attributes) -> Attributes:
    (span,) = otlp.decode(Signal.TRACES, otlp.encode(Signal.TRACES, [Span(attributes=attributes)]))
    assert isinstance(span, Span)
    return span.attributes


@pytest.mark.parametrize(
    "order", [[True, 1, 1.0, "1", b"1"], [1.0, 1, True], [0.0, -0.0, 0, False], [-0.0, 0.0]]
)
def test_equal_values_of_different_types_stay_apart(order: list[Value]) -> None:
    """True == 1 == 1.0 and 0.0 == -0.0 for Python, not for us, in whatever order they come."""
    for value in [*order, *order]:
        assert plain(_through({"same.key": value})) == plain({"same.key": value})


def test_not_a_number_survives() -> None:
    """NaN and the infinities come back, every time."""
    for _ in range(3):
        result = _through({"nan": math.nan, "up": math.inf, "down": -math.inf})
        assert repr(result) == "{'nan': nan, 'up': inf, 'down': -inf}"


@pytest.mark.parametrize("size", [*range(20, 30), *range(110, 132), *range(16370, 16390), 70_000])
def test_strings_around_every_length_limit(size: int) -> None:
    """Strings whose length field grows by a byte are read like all others, also by protobuf."""
    attributes: Attributes = {"k": "x" * size, "k" * size: "y"}
    assert _through(attributes) == attributes
    data = otlp.encode(Signal.TRACES, [Span(attributes=attributes)])
    public = trace_pb2.TracesData.FromString(data).resource_spans[0].scope_spans[0].spans[0]
    assert {pair.key: pair.value.string_value for pair in public.attributes} == attributes


@pytest.mark.parametrize(
    "number", [0, 1, 127, 128, 16383, 16384, 2**31, 2**63 - 1, -1, -128, -(2**63)]
)
def test_integers_around_every_varint_limit(number: int) -> None:
    """Integers whose varint grows by a byte are read like all others, twice (memo)."""
    assert plain([_through({"n": number}), _through({"n": number})]) == plain([{"n": number}] * 2)


def _public(raw: bytes) -> object:
    """What the public messages read in a KeyValue, or None if they refuse it."""
    try:
        pair = KeyValue.FromString(raw)
    except ProtobufError:
        return None
    return plain({pair.key: _public_value(pair.value)})


def _public_value(value: AnyValue) -> Value:
    which = value.WhichOneof("value")
    if which is None or which.endswith("strindex"):
        return None
    if which == "array_value":
        return [_public_value(each) for each in value.array_value.values]
    if which == "kvlist_value":
        return {pair.key: _public_value(pair.value) for pair in value.kvlist_value.values}
    result: Value = getattr(value, which)
    return result


def _ours(raw: bytes) -> object:
    try:
        return plain(read_attributes([raw]))
    except ProtobufError:
        return None


@pytest.mark.parametrize(
    "value", ["xyz", "x" * 126, 5, 300, -1, True, False, 1.5, b"x", None, ["a", "b"]], ids=repr
)
def test_every_mutation_is_read_as_protobuf_reads_it(value: Value) -> None:
    """The short cut for usual KeyValues never reads what protobuf reads otherwise or refuses:
    each byte of an encoded KeyValue replaced, removed or doubled, and each pair of halves."""
    field = AttributesField(1, levels=96).write({"key": value})
    size = 2 if field[1] < 128 else 3
    raw = field[size:]
    assert _ours(raw) == _public(raw) == plain({"key": value})
    for at in [*range(12), *range(12, len(raw), 37), len(raw) - 1]:
        head, tail = raw[:at], raw[at + 1 :]
        for new in (b"", raw[at : at + 1] * 2, *[bytes((n,)) for n in (*range(0x30), 0x80, 0xFF)]):
            odd = head + new + tail
            assert _ours(odd) == _public(odd), odd.hex()
        assert _ours(raw[at:] + raw[:at]) == _public(raw[at:] + raw[:at])
    halves = raw[:5] + raw[5:] + raw[5:]
    assert _ours(halves) == _public(halves)


def test_later_duplicate_wins() -> None:
    """A key that occurs twice, which the specification forbids, keeps its last value."""
    span = trace_pb2.Span(
        attributes=[
            KeyValue(key="k", value=AnyValue(string_value="first")),
            KeyValue(key="k", value=AnyValue(int_value=2)),
        ]
    )
    request = trace_pb2.TracesData()
    request.resource_spans.add().scope_spans.add().spans.append(span)
    (decoded,) = otlp.decode(Signal.TRACES, request.SerializeToString())
    assert isinstance(decoded, Span)
    assert decoded.attributes == {"k": 2}


def test_lists_are_never_shared() -> None:
    """Changing a list in one span's attributes changes no other span's, whichever it is."""
    data = otlp.encode(Signal.TRACES, [Span(attributes={"stop": ["a"]}) for _ in range(4)])
    for changed in range(4):
        spans = [item for item in otlp.decode(Signal.TRACES, data) if isinstance(item, Span)]
        stop = spans[changed].attributes["stop"]
        assert isinstance(stop, list)
        stop.append("b")
        again = otlp.decode(Signal.TRACES, otlp.encode(Signal.TRACES, spans))
        stops = [item.attributes["stop"] for item in again if isinstance(item, Span)]
        assert stops == [["a", "b"] if at == changed else ["a"] for at in range(4)]


def test_negative_zero_is_no_default() -> None:
    """A field that is left out when it is 0.0 is written when it is -0.0."""
    point = ExponentialHistogramPoint(zero_threshold=-0.0)
    data = otlp.encode(Signal.METRICS, [Metric(data=ExponentialHistogram(points=[point]))])
    (metric,) = otlp.decode(Signal.METRICS, data)
    assert isinstance(metric, Metric)
    assert plain(metric.points) == plain([point])


def test_memos_are_bounded() -> None:
    """A sender of ever new attributes does not make us grow, in either direction."""
    field = AttributesField(9, levels=95)
    for start in range(0, 10_000, 100):
        unique: Attributes = {}
        for number in range(start, start + 100):
            unique |= {f"k{number}": f"v{number}", f"i{number}": number, f"d{number}": 0.5}
            unique[f"t{number}"] = "é" * (30 + number % 40)
            unique[f"l{number}"] = [str(number)]
        encoded = field.write(unique)
        (span,) = CODEC.decode(Signal.TRACES, otlp.encode(Signal.TRACES, [Span(attributes=unique)]))
        assert isinstance(span, Span)
        assert span.attributes == unique
        assert len(encoded) > 1000
    assert len(field._texts) <= 2048
    assert len(field._heads) <= 2048
    assert len(field._text_heads) <= 2048


def test_invalid_utf8_is_refused() -> None:
    """A string that is no UTF-8 is refused by check and decode, wherever it stands."""
    for place in ("key", "value", "name"):
        span = Span(name="NAME", attributes={"KEY": "VALUE"})
        data = otlp.encode(Signal.TRACES, [span]).replace(
            place.upper().encode()[:3], b"\xff\xfe\xfd"
        )
        with pytest.raises(DecodeError):
            otlp.check(Signal.TRACES, data)
        with pytest.raises(DecodeError):
            otlp.decode(Signal.TRACES, data)
        with pytest.raises(DecodeError):
            CODEC.decode(Signal.TRACES, data)


class _Colour(StrEnum):
    RED = "red"


class _Number(IntEnum):
    TWO = 2


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("\ud83d\ude00", "\U0001f600"),
        ("a\ud800b", "a\ufffdb"),
        (2**63, str(2**63)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (("a", 1), ["a", 1]),
        (bytearray(b"x"), b"x"),
        (OrderedDict(a=1), {"a": 1}),
        (_Colour.RED, "red"),
        (_Number.TWO, 2),
    ],
)
def test_values_that_only_resemble_ours(given: Value, read: Value) -> None:
    """What processors and foreign JSON bring is written as the nearest thing that OTLP has:
    lone surrogates as U+FFFD, integers beyond 64 bits as their digits."""
    assert plain(_through({"k": given})) == plain({"k": read})
    items = otlp.decode_json(
        Signal.TRACES, otlp.encode_json(Signal.TRACES, [Span(attributes={"k": given})])
    ).items
    assert isinstance(items[0], Span)
    assert plain(items[0].attributes) == plain({"k": read})


@pytest.mark.parametrize("value", [object(), {1: "x"}, {1, 2}, 1j, [object()]])
def test_what_is_no_value_is_refused(value: Value) -> None:
    """Anything else is a permanent error of the data that names the attribute, not a crash."""
    spans = [Span(attributes={"fine": 1, "odd.one": value})]
    with pytest.raises(Permanent, match=r"attribute 'odd\.one'") as caught:
        otlp.encode(Signal.TRACES, spans)
    assert (caught.value.reason, caught.value.data_fault) == ("unencodable", True)
    with pytest.raises(Permanent):
        otlp.encode_json(Signal.TRACES, spans)


@pytest.mark.parametrize(
    "item",
    [
        Span(start_ns=-1),
        Span(end_ns=2**64),
        Span(flags=2**32),
        Span(kind=2**31),
        Span(dropped_events_count=-1),
        Span(attributes={1: "x"}),  # type: ignore[dict-item]
        Span(attributes={1: 2.5}),  # type: ignore[dict-item]
    ],
)
def test_numbers_out_of_range_are_refused(item: Span) -> None:
    """A number that its field cannot hold is a permanent error of the data."""
    with pytest.raises(Permanent) as caught:
        otlp.encode(Signal.TRACES, [item])
    assert caught.value.data_fault


@pytest.mark.parametrize(
    "data",
    [
        Gauge(points=[NumberPoint(flags=-1)]),
        Histogram(points=[HistogramPoint(count=-1)]),
        Histogram(points=[HistogramPoint(bucket_counts=[1, -1])]),
        ExponentialHistogram(points=[ExponentialHistogramPoint(scale=2**31)]),
        ExponentialHistogram(
            points=[ExponentialHistogramPoint(positive=Buckets(bucket_counts=[2**64]))]
        ),
    ],
)
def test_metric_numbers_out_of_range_are_refused(data: MetricData) -> None:
    """The same for numbers in data points."""
    with pytest.raises(Permanent) as caught:
        otlp.encode(Signal.METRICS, [Metric(data=data)])
    assert caught.value.data_fault


def test_metric_numbers_beyond_their_field() -> None:
    """An int point wider than 64 bits becomes the nearest double; one beyond that is refused."""

    def metric(value: int) -> Metric:
        return Metric(data=Gauge(points=[NumberPoint(value=value)]))

    (read,) = otlp.decode(Signal.METRICS, otlp.encode(Signal.METRICS, [metric(2**70)]))
    assert isinstance(read, Metric)
    assert plain([point.value for point in read.points]) == plain([2.0**70])  # type: ignore[union-attr]
    for encode in (otlp.encode, otlp.encode_json):
        with pytest.raises(Permanent):
            encode(Signal.METRICS, [metric(10**400)])


def test_doubles_are_bit_exact() -> None:
    """Even the payload of a NaN goes through protobuf unchanged."""
    odd = struct.unpack("<d", bytes.fromhex("010000000000f87f"))[0]
    data = otlp.encode(Signal.TRACES, [Span(attributes={"k": odd})])
    assert bytes.fromhex("21010000000000f87f") in data
    assert otlp.encode(Signal.TRACES, otlp.decode(Signal.TRACES, data)) == data
