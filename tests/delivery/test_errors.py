"""The two tables: what an HTTP status and a gRPC code mean for the data."""

from __future__ import annotations

import json
from email.utils import formatdate

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.delivery.grpc_errors import grpc_error, retry_delay
from genai_collector.delivery.http_errors import http_error, parse_retry_after, status_message
from genai_collector.errors import Permanent, Retryable
from genai_collector.transport.http_client import Response

NOW = 1_800_000_000.0


def now() -> float:
    return NOW


@pytest.mark.parametrize("status", range(300, 600))
def test_only_four_http_statuses_are_retried(status: int) -> None:
    """429, 502, 503, 504; all others never change for the same data."""
    error = http_error(Response(status), "host", now)
    assert isinstance(error, Retryable) == (status in (429, 502, 503, 504))
    assert str(status) in str(error)


@pytest.mark.parametrize(
    ("status", "reason", "data_fault"),
    [
        (301, "redirected", False),
        (400, "bad_request", True),
        (401, "unauthorized", False),
        (403, "forbidden", False),
        (404, "not_found", False),
        (413, "too_large", True),
        (415, "unsupported_media_type", False),
        (418, "http_4xx", False),
        (422, "bad_request", True),
        (500, "http_5xx", False),
    ],
)
def test_permanent_http_statuses_have_a_reason(status: int, reason: str, data_fault: bool) -> None:
    """The reason is the drop counter's label; only the data's own faults are bisected."""
    error = http_error(Response(status), "host", now)
    assert isinstance(error, Permanent)
    assert (error.reason, error.data_fault) == (reason, data_fault)


def test_another_protocol_may_retry_more() -> None:
    """The set of retryable statuses is the caller's."""
    assert isinstance(http_error(Response(500), "host", now, frozenset({500})), Retryable)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("17", 17.0),
        (" 0 ", 0.0),
        ("99999999999999999999999", 3600.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    """At most an hour, never negative; nonsense is no hint."""
    assert parse_retry_after(value, now) == seconds


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_no_retry_after_is_too_odd(value: str) -> None:
    """Any header gives a number in bounds or None."""
    seconds = parse_retry_after(value, now)
    assert seconds is None or 0 <= seconds <= 3600


def test_the_hint_reaches_the_error() -> None:
    """Header names are found in any case."""
    answer = Response(503, {"Retry-After": "12"})
    error = http_error(answer, "host", now)
    assert isinstance(error, Retryable)
    assert error.retry_after == 12


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("application/x-protobuf", Status(message="bad id").SerializeToString(), "bad id"),
        ("application/x-protobuf", b"\xff\xff", ""),
        ("application/json", json.dumps({"code": 3, "message": "bad id"}).encode(), "bad id"),
        ("application/json; charset=utf-8", b'{"error": "x"}', '{"error": "x"}'),
        ("application/json", b"[" * 100_000, "[" * 300 + "..."),
        ("text/plain", b"no\n\x1b[31mway", "no [31mway"),
        ("text/html", b"<html>", ""),
        ("", b"plain", "plain"),
    ],
)
def test_the_destinations_words_are_one_printable_line(
    kind: str, body: bytes, message: str
) -> None:
    """google.rpc.Status in either encoding, or the start of a text."""
    assert status_message(Response(400, {"Content-Type": kind}, body)) == message


def details(seconds: int, nanos: int = 0) -> tuple[tuple[str, str | bytes], ...]:
    packed = AnyMessage()
    packed.Pack(RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos)))
    return (("grpc-status-details-bin", Status(details=[packed]).SerializeToString()),)


RETRYABLE = [
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNAVAILABLE",
    "DATA_LOSS",
]


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code.name != "OK"])
def test_the_retryable_grpc_codes_are_otlps(code: grpc.StatusCode) -> None:
    """Six codes may pass; RESOURCE_EXHAUSTED only with a RetryInfo."""
    error = grpc_error(code, "sorry", (), "host")
    assert isinstance(error, Retryable) == (code.name in RETRYABLE)
    assert "sorry" in str(error)
    assert code.name in str(error)


def test_resource_exhausted_depends_on_retry_info() -> None:
    """With a delay it is a throttle, about size it is the data's fault, else permanent."""
    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    throttled = grpc_error(code, "", details(2, 500_000_000), "host")
    assert isinstance(throttled, Retryable)
    assert throttled.retry_after == 2.5
    size = "grpc: received message larger than max (5000000 vs. 4194304)"
    too_large = grpc_error(code, size, (), "host")
    assert isinstance(too_large, Permanent)
    assert (too_large.reason, too_large.data_fault) == ("too_large", True)
    quota = grpc_error(code, "quota", None, "host")
    assert isinstance(quota, Permanent)
    assert (quota.reason, quota.data_fault) == ("grpc_resource_exhausted", False)


def test_invalid_argument_is_the_datas_fault() -> None:
    """So that the poisoned item is searched for."""
    error = grpc_error(grpc.StatusCode.INVALID_ARGUMENT, None, None, "host")
    assert isinstance(error, Permanent)
    assert error.data_fault


@pytest.mark.parametrize(
    ("trailers", "seconds"),
    [
        (None, None),
        ((), None),
        ((("grpc-status-details-bin", b"\xff"),), None),
        ((("grpc-status-details-bin", Status().SerializeToString()),), None),
        (details(0), 0.0),
        (details(10**9), 3600.0),
        (details(-3), 0.0),
    ],
)
def test_retry_info_is_read_within_bounds(
    trailers: tuple[tuple[str, str | bytes], ...] | None, seconds: float | None
) -> None:
    """Zero means now; an absurd delay is an hour; garbage is no hint."""
    assert retry_delay(trailers) == seconds
