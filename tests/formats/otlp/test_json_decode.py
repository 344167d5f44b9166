"""OTLP/JSON to the letter: what is read, tolerated and rejected, and in which words."""

from __future__ import annotations

import json
import math

import pytest

from genai_collector.errors import DecodeError
from genai_collector.formats import otlp
from genai_collector.model import (
    Signal,
    Span,
    Value,
)
from tests.support.plain import plain

TRACE = "5B8EFFF798038103D269B633813FC60C"
SPAN = "eee19b7ec3c1b174"


def _request(*spans: object, **around: object) -> bytes:
    document = {"resourceSpans": [{"scopeSpans": [{"spans": list(spans), **around}]}]}
    return json.dumps(document).encode()


def _decode(*spans: object) -> otlp.DecodedJson:
    return otlp.decode_json(Signal.TRACES, _request(*spans))


def _span(fields: dict[str, object]) -> Span:
    read = _decode(fields)
    assert (read.rejected, read.errors) == (0, [])
    (span,) = read.items
    assert isinstance(span, Span)
    return span


def _error(fields: object) -> str:
    """Why a span is rejected; its neighbours must be kept."""
    read = _decode({"name": "before"}, fields, {"name": "after"})
    assert [getattr(span, "name", None) for span in read.items] == ["before", "after"]
    assert read.rejected == 1
    (error,) = read.errors
    prefix = "resourceSpans[0].scopeSpans[0].spans[1]"
    assert error.startswith(prefix)
    return error.removeprefix(prefix).removeprefix(".")


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"traceId": TRACE}, "trace_id", bytes.fromhex(TRACE)),
        ({"traceId": TRACE.lower()}, "trace_id", bytes.fromhex(TRACE)),
        ({"traceId": ""}, "trace_id", b""),
        ({"traceId": None}, "trace_id", b""),
        ({"spanId": SPAN}, "span_id", bytes.fromhex(SPAN)),
        ({"parentSpanId": SPAN.upper()}, "parent_span_id", bytes.fromhex(SPAN)),
        ({"traceState": "a=b"}, "trace_state", "a=b"),
        ({"name": None}, "name", ""),
        ({"kind": 3}, "kind", 3),
        ({"kind": "SPAN_KIND_CLIENT"}, "kind", 3),
        ({"kind": 77}, "kind", 77),
        ({"kind": -1}, "kind", -1),
        ({"status": {"code": "STATUS_CODE_ERROR", "message": "no"}}, "status_code", 2),
        ({"status": {"code": 2, "message": "no"}}, "status_message", "no"),
        ({"status": None}, "status_code", 0),
        ({"startTimeUnixNano": "1544712660000000000"}, "start_ns", 1544712660000000000),
        ({"startTimeUnixNano": 1544712660000000000}, "start_ns", 1544712660000000000),
        ({"endTimeUnixNano": "18446744073709551615"}, "end_ns", 2**64 - 1),
        ({"endTimeUnixNano": 18446744073709551615}, "end_ns", 2**64 - 1),
        ({"endTimeUnixNano": 1e3}, "end_ns", 1000),
        ({"flags": "257"}, "flags", 257),
        ({"flags": 4294967295}, "flags", 2**32 - 1),
        ({"droppedAttributesCount": 1}, "dropped_attributes_count", 1),
        ({"droppedEventsCount": 2}, "dropped_events_count", 2),
        ({"droppedLinksCount": 3}, "dropped_links_count", 3),
        ({"attributes": None, "events": None, "links": [None]}, "attributes", {}),
        ({"name": "a", "unheardOf": {"x": [1]}, "NAME": "b"}, "name", "a"),
        ({"trace_id": "zz", "start_time_unix_nano": []}, "trace_id", b""),
    ],
)
def test_span_field(fields: dict[str, object], attribute: str, value: object) -> None:
    """Ids in either case, numbers as numbers or strings, enums as numbers or names; null is
    absent; unknown fields, which snake_case names are, are ignored whatever they hold."""
    assert getattr(_span(fields), attribute) == value


@pytest.mark.parametrize(
    ("any_value", "value"),
    [
        ({"stringValue": ""}, ""),
        ({"boolValue": False}, False),
        ({"intValue": "-9223372036854775808"}, -(2**63)),
        ({"intValue": 9223372036854775807}, 2**63 - 1),
        ({"intValue": 5.0}, 5),
        ({"doubleValue": 1}, 1.0),
        ({"doubleValue": "1.5e3"}, 1500.0),
        ({"doubleValue": "-0"}, -0.0),
        ({"doubleValue": "NaN"}, math.nan),
        ({"doubleValue": "Infinity"}, math.inf),
        ({"doubleValue": "-Infinity"}, -math.inf),
        ({"bytesValue": "AAH/"}, b"\x00\x01\xff"),
        ({"bytesValue": "_-8="}, b"\xff\xef"),
        ({"bytesValue": "AA"}, b"\x00"),
        ({"bytesValue": ""}, b""),
        ({"arrayValue": {}}, []),
        ({"arrayValue": {"values": [{"intValue": 1}, {}, None]}}, [1, None, None]),
        ({"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}, {"k": "v"}),
        ({"kvlistValue": {"values": [{"key": "k"}, {}]}}, {"k": None, "": None}),
        ({}, None),
        (None, None),
        ({"stringValue": None, "boolValue": True}, True),
        ({"stringValue": "first", "intValue": "2"}, 2),
        ({"futureValue": 1}, None),
    ],
)
def test_any_value(any_value: object, value: Value) -> None:
    """Each kind of value in each spelling; of several members the last one wins."""
    span = _span({"attributes": [{"key": "k", "value": any_value}]})
    assert plain(span.attributes) == plain({"k": value})


@pytest.mark.parametrize("bare", ["NaN", "Infinity", "-Infinity"])
def test_bare_not_a_number(bare: str) -> None:
    """The words that Python's json writes for what JSON has no number for are understood."""
    text = _request({"attributes": [{"key": "k", "value": {"doubleValue": float(bare)}}]})
    assert bare.encode() in text
    (span,) = otlp.decode_json(Signal.TRACES, text).items
    assert isinstance(span, Span)
    assert repr(span.attributes["k"]) == repr(float(bare))


def test_lone_surrogates() -> None:
    """Half an emoji, which JavaScript cuts off, becomes U+FFFD; whole ones stay."""
    text = _request({"name": "NAME", "kind": 3}).replace(b"NAME", rb"a\ud83d\ude00b\ud83dc")
    (span,) = otlp.decode_json(Signal.TRACES, text).items
    assert isinstance(span, Span)
    assert span.name == "a\U0001f600b\ufffdc"
    assert otlp.encode(Signal.TRACES, [span])


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"traceId": TRACE[:-2]}, "traceId: expected 32 hex digits, found 30 characters"),
        ({"traceId": TRACE[:-1] + "x"}, "traceId: expected 32 hex digits, found other characters"),
        ({"traceId": " " * 32}, "traceId: expected 32 hex digits, found other characters"),
        (
            {"traceId": "W47/95gDgQPSabYzgT/GDA=="},
            "traceId: expected 32 hex digits, found 24 characters",
        ),
        ({"traceId": 5}, "traceId: expected hex digits, found a number"),
        ({"spanId": TRACE}, "spanId: expected 16 hex digits, found 32 characters"),
        ({"parentSpanId": [SPAN]}, "parentSpanId: expected hex digits, found an array"),
        (
            {"links": [{}, {"spanId": "1"}]},
            "links[1].spanId: expected 16 hex digits, found 1 characters",
        ),
        ({"name": 5}, "name: expected a string, found a number"),
        ({"kind": "CLIENT"}, "kind: unknown name of an enum value"),
        ({"kind": 2**31}, "kind: out of the range of int32"),
        ({"kind": True}, "kind: expected an integer, found a boolean"),
        ({"status": []}, "status: expected an object, found an array"),
        ({"status": {"code": 1.5}}, "status.code: expected an integer, found a number"),
        ({"startTimeUnixNano": -1}, "startTimeUnixNano: out of the range of uint64"),
        (
            {"startTimeUnixNano": "18446744073709551616"},
            "startTimeUnixNano: out of the range of uint64",
        ),
        (
            {"startTimeUnixNano": 18446744073709551616},
            "startTimeUnixNano: out of the range of uint64",
        ),
        ({"startTimeUnixNano": "1_000"}, "startTimeUnixNano: expected an integer, found a string"),
        ({"startTimeUnixNano": " 1"}, "startTimeUnixNano: expected an integer, found a string"),
        ({"startTimeUnixNano": "\u0661"}, "startTimeUnixNano: expected an integer, found a string"),
        (
            {"startTimeUnixNano": "9" * 5000},
            "startTimeUnixNano: expected an integer, found a string",
        ),
        ({"startTimeUnixNano": False}, "startTimeUnixNano: expected an integer, found a boolean"),
        ({"flags": 4294967296}, "flags: out of the range of uint32"),
        ({"attributes": {}}, "attributes: expected an array, found an object"),
        ({"attributes": ["k"]}, "attributes[0]: expected an object, found a string"),
        ({"attributes": [{"key": 1}]}, "attributes[0].key: expected a string, found a number"),
        ({"events": [{"name": {}}]}, "events[0].name: expected a string, found an object"),
        (
            {"events": [{"attributes": [{"key": "k", "value": {"intValue": "x"}}]}]},
            "events[0].attributes[0].value.intValue: expected an integer, found a string",
        ),
        ([], ": expected an object, found an array"),
        (None, ": expected an object, found null"),
        ("span", ": expected an object, found a string"),
    ],
)
def test_rejected_span(fields: object, error: str) -> None:
    """A span that is not what OTLP says is rejected alone, with the path and what was found."""
    assert _error(fields) == error


@pytest.mark.parametrize(
    ("any_value", "error"),
    [
        ("plain", "expected an object, found a string"),
        ({"stringValue": 5}, "stringValue: expected a string, found a number"),
        ({"boolValue": "true"}, "boolValue: expected a boolean, found a string"),
        ({"intValue": 9223372036854775808}, "intValue: out of the range of int64"),
        ({"intValue": 0.5}, "intValue: expected an integer, found a number"),
        ({"intValue": "0x10"}, "intValue: expected an integer, found a string"),
        ({"doubleValue": "nan"}, "doubleValue: expected a number, found a string"),
        ({"doubleValue": "1_0"}, "doubleValue: expected a number, found a string"),
        ({"doubleValue": True}, "doubleValue: expected a number, found a boolean"),
        ({"bytesValue": "####"}, "bytesValue: not base64"),
        ({"bytesValue": "A"}, "bytesValue: not base64"),
        ({"bytesValue": [1]}, "bytesValue: expected base64, found an array"),
        ({"arrayValue": []}, "arrayValue: expected an object, found an array"),
        (
            {"arrayValue": {"values": [{}, {"intValue": []}]}},
            "arrayValue.values[1].intValue: expected an integer, found an array",
        ),
        (
            {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": 1}}]}},
            "kvlistValue.values[0].value.boolValue: expected a boolean, found a number",
        ),
    ],
)
def test_rejected_value(any_value: object, error: str) -> None:
    """The same for what stands in an attribute; numbers are not booleans and strings not both."""
    wanted = f"attributes[0].value{'' if error.startswith('expected') else '.'}"
    separator = ": " if error.startswith("expected") else ""
    found = _error({"attributes": [{"key": "k", "value": any_value}]})
    assert found == f"{wanted}{separator}{error}"


def test_errors_never_show_content() -> None:
    """Whatever is wrong, the message tells types and places, not what somebody wrote there."""
    secret = "sk-very-secret"
    for fields in (
        {"traceId": secret},
        {"kind": secret},
        {"startTimeUnixNano": secret},
        {"attributes": [{"key": secret, "value": {"intValue": secret}}]},
        {"attributes": [{"key": "api_key", "value": {"bytesValue": secret + "#"}}]},
        {"attributes": [{"key": "api_key", "value": secret}]},
        {"status": secret},
    ):
        assert secret not in _error(fields)
    with pytest.raises(DecodeError) as caught:
        otlp.decode_json(Signal.TRACES, b'{"resourceSpans": sk-very-secret}')
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{}{}", "not JSON"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b'{"resourceSpans": [{"schemaUrl": "\xc3("}]}', "not UTF-8"),
        (b"[]", "expected an object, found an array"),
        (b"null", "expected an object, found null"),
        (b'"text"', "expected an object, found a string"),
        (b"NaN", "expected an object, found a number"),
        (b'{"resourceSpans": {}}', "resourceSpans: expected an array, found an object"),
        (b'{"resourceSpans": [1]}', "resourceSpans[0]: expected an object, found a number"),
        (
            b'{"resourceSpans": [{}, {"resource": []}]}',
            "resourceSpans[1].resource: expected an object, found an array",
        ),
        (
            b'{"resourceSpans": [{"resource": {"attributes": [{"key": []}]}}]}',
            "resourceSpans[0].resource.attributes[0].key: expected a string, found an array",
        ),
        (
            b'{"resourceSpans": [{"resource": {"entityRefs": [{"idKeys": [1]}]}}]}',
            "resourceSpans[0].resource.entityRefs[0].idKeys[0]: expected a string, found a number",
        ),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"scope": {"name": 1}}]}]}',
            "resourceSpans[0].scopeSpans[0].scope.name: expected a string, found a number",
        ),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": 1}]}]}',
            "resourceSpans[0].scopeSpans[0].spans: expected an array, found a number",
        ),
    ],
)
def test_no_request(text: bytes, error: str) -> None:
    """What is no request at all, or broken around its items, is refused whole."""
    with pytest.raises(DecodeError) as caught:
        otlp.decode_json(Signal.TRACES, text)
    assert str(caught.value).startswith(error)


@pytest.mark.parametrize(
    "text",
    [
        b"{}",
        b' {"resourceSpans": []} ',
        b'\xef\xbb\xbf{"resourceSpans": null}',
        b'{"resourceLogs": [{"scopeLogs": 5}]}',
        b'{"resourceSpans": [null, {"scopeSpans": [null, {}]}]}',
    ],
)
def test_empty_request(text: bytes) -> None:
    """A request without spans succeeds, and what belongs to another signal is unknown."""
    assert otlp.decode_json(Signal.TRACES, text) == ([], 0, [])


def test_many_rejections_are_counted_and_some_described() -> None:
    """A thousand bad spans are all counted, while the description stays short."""
    read = _decode(*[{"traceId": "x"}] * 1000, {"name": "good"})
    assert (len(read.items), read.rejected, len(read.errors)) == (1, 1000, 20)


def test_owners_are_shared() -> None:
    """Spans of one scope share their Resource and Scope objects, with schema URLs in place."""
    text = json.dumps(
        {
            "resourceSpans": [
                {
                    "schemaUrl": "urn:r",
                    "resource": {"attributes": [{"key": "service.name"}]},
                    "scopeSpans": [
                        {"schemaUrl": "urn:s", "scope": {"name": "n"}, "spans": [{}, {}]}
                    ],
                }
            ]
        }
    )
    first, second = otlp.decode_json(Signal.TRACES, text.encode()).items
    assert first.resource is second.resource
    assert first.scope is second.scope
    assert (first.resource.schema_url, first.scope.schema_url) == ("urn:r", "urn:s")
