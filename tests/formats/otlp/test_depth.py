"""How deep a value may be nested: as deep as protobuf parsers take, and nothing crashes below."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from genai_collector.errors import DecodeError, Permanent
from genai_collector.formats import otlp
from genai_collector.formats.otlp import CODEC
from genai_collector.formats.otlp.wire import delimited
from genai_collector.model import (
    Attributes,
    Event,
    Exemplar,
    Gauge,
    Items,
    LogRecord,
    Metric,
    NumberPoint,
    Resource,
    Signal,
    Span,
    Value,
)


def _lists(depth: int) -> Value:
    value: Value = "core"
    for _ in range(depth):
        value = [value]
    return value


def _dicts(depth: int) -> Value:
    value: Value = "core"
    for _ in range(depth):
        value = {"k": value}
    return value


Place = tuple[Signal, Callable[[Attributes], Items], int]

PLACES: dict[str, Place] = {
    "resource": (Signal.TRACES, lambda a: [Span(resource=Resource(a))], 96),
    "span": (Signal.TRACES, lambda a: [Span(attributes=a)], 95),
    "event": (Signal.TRACES, lambda a: [Span(events=[Event("e", 0, a)])], 94),
    "body": (Signal.LOGS, lambda a: [LogRecord(body=a["deep"])], 96),
    "log": (Signal.LOGS, lambda a: [LogRecord(attributes=a)], 95),
    "point": (
        Signal.METRICS,
        lambda a: [Metric(data=Gauge(points=[NumberPoint(attributes=a)]))],
        93,
    ),
    "exemplar": (
        Signal.METRICS,
        lambda a: [
            Metric(data=Gauge(points=[NumberPoint(exemplars=[Exemplar(filtered_attributes=a)])]))
        ],
        92,
    ),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("nest", "levels"), [(_lists, 2), (_dicts, 3)])
def test_deepest_value(place: str, nest: Callable[[int], Value], levels: int) -> None:
    """The deepest value that protobuf parsers take goes in and out; one level more is refused."""
    signal, items, room = PLACES[place]
    deep = room // levels
    data = otlp.encode(signal, items({"deep": nest(deep)}))
    assert otlp.check(signal, data) == 1
    decoded = otlp.decode(signal, data)
    assert otlp.encode(signal, decoded) == data
    assert otlp.encode_json(signal, decoded)
    with pytest.raises(Permanent):
        otlp.encode(signal, items({"deep": nest(deep + 1)}))


@pytest.mark.parametrize("empty", [[], {}], ids=["list", "dict"])
def test_empty_container_at_the_bottom(empty: Value) -> None:
    """An empty list or dict takes one level only: there is one where its content would not fit."""
    value = empty
    for _ in range(47):
        value = [value]  # 94 of the 95 levels below a span's attribute
    data = otlp.encode(Signal.TRACES, [Span(attributes={"k": value})])
    assert otlp.check(Signal.TRACES, data) == 1
    assert otlp.encode(Signal.TRACES, otlp.decode(Signal.TRACES, data)) == data
    full: Value = ["x"] if isinstance(empty, list) else {"x": 1}
    for _ in range(47):
        full = [full]
    with pytest.raises(Permanent):
        otlp.encode(Signal.TRACES, [Span(attributes={"k": full})])


@pytest.mark.parametrize("depth", [1500, 100_000])
def test_bottomless_values(depth: int) -> None:
    """Values that contain themselves or nest without end are refused, in every direction."""
    endless: list[Value] = []
    endless.append(endless)
    for value in (endless, _lists(depth)):
        for encode in (otlp.encode, otlp.encode_json):
            with pytest.raises(Permanent):
                encode(Signal.TRACES, [Span(attributes={"k": value})])
    text = b'{"a":' * depth + b"1" + b"}" * depth
    with pytest.raises(DecodeError):
        otlp.decode_json(Signal.TRACES, b"[" * depth + b"]" * depth)
    with pytest.raises(DecodeError):
        otlp.decode_json(Signal.TRACES, text)


def test_deep_json_value_is_rejected() -> None:
    """JSON that nests deeper than protobuf could carry costs its own span only."""
    deep = b'{"arrayValue":{"values":[' * 60 + b"]}}" * 60
    text = (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a","attributes":'
        b'[{"key":"k","value":' + deep + b'}]},{"name":"b"}]}]}]}'
    )
    read = otlp.decode_json(Signal.TRACES, text)
    assert read.rejected == 1
    assert read.errors[0].endswith("nested too deep")
    assert len(read.items) == 1


def test_deep_protobuf_value_is_refused() -> None:
    """Protobuf that nests deeper than its own limit is refused by check, not met by decode."""
    shallow = otlp.encode(Signal.TRACES, [Span(attributes={"k": _lists(40)})])
    assert otlp.check(Signal.TRACES, shallow) == 1
    value = b"\x0a\x01x"
    for _ in range(5000):
        value = delimited(b"\x2a", delimited(b"\x0a", value))
    pair = delimited(b"\x4a", b"\x0a\x01k" + delimited(b"\x12", value))
    data = delimited(b"\x0a", delimited(b"\x12", delimited(b"\x12", pair)))
    for read in (otlp.check, otlp.decode, CODEC.decode):
        with pytest.raises(DecodeError):
            read(Signal.TRACES, data)
