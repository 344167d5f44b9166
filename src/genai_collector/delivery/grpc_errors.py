"""What a gRPC status means: the one table.

OTLP 1.11, "Failures": CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE and
DATA_LOSS may be retried; RESOURCE_EXHAUSTED only with a RetryInfo, which says that it recovers.
UNAUTHENTICATED may be if an authenticator gave the credentials, as in `http_errors`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import grpc
from google.protobuf.message import DecodeError as ProtobufError
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from genai_collector.delivery.http_errors import MAX_RETRY_AFTER_S, RENEWAL_S
from genai_collector.errors import Permanent, Retryable

_CODE: Final = grpc.StatusCode
RETRYABLE: Final = frozenset(
    {
        _CODE.CANCELLED,
        _CODE.DEADLINE_EXCEEDED,
        _CODE.ABORTED,
        _CODE.OUT_OF_RANGE,
        _CODE.UNAVAILABLE,
        _CODE.DATA_LOSS,
    }
)
_REASONS: Final[Mapping[grpc.StatusCode, str]] = {
    _CODE.INVALID_ARGUMENT: "bad_request",
    _CODE.UNAUTHENTICATED: "unauthorized",
    _CODE.PERMISSION_DENIED: "forbidden",
    _CODE.UNIMPLEMENTED: "not_found",
    _CODE.NOT_FOUND: "not_found",
}
_DATA_FAULTS: Final = frozenset({_CODE.INVALID_ARGUMENT})
# The words with which gRPC libraries refuse a message over their limit; the code alone would as
# well mean a quota.
_TOO_LARGE: Final = "larger than max"
_STATUS_DETAILS: Final = "grpc-status-details-bin"


def grpc_error(
    code: grpc.StatusCode,
    details: str | None,
    trailers: Iterable[tuple[str, str | bytes]] | None,
    host: str,
    *,
    renewable: bool = False,
) -> Permanent | Retryable:
    """The error for a call that did not end with OK. `renewable`: it had an authenticator's
    credentials, which may be others the next time."""
    details = " ".join((details or "").split())[:300]
    message = f"{host} answered {code.name}" + (f": {details}" if details else "")
    hint = retry_delay(trailers)
    if code in RETRYABLE or (code is _CODE.RESOURCE_EXHAUSTED and hint is not None):
        return Retryable(message, retry_after=hint)
    if code is _CODE.UNAUTHENTICATED and renewable:
        return Retryable(message, retry_after=RENEWAL_S)
    if code is _CODE.RESOURCE_EXHAUSTED and _TOO_LARGE in details.lower():
        return Permanent(message, reason="too_large", data_fault=True)
    reason = _REASONS.get(code, f"grpc_{code.name.lower()}")
    return Permanent(message, reason=reason, data_fault=code in _DATA_FAULTS)


def retry_delay(trailers: Iterable[tuple[str, str | bytes]] | None) -> float | None:
    """Seconds of the RetryInfo in the status details, at most an hour; None if there is none."""
    for key, value in trailers or ():
        if key == _STATUS_DETAILS and isinstance(value, bytes):
            return _from_status(value)
    return None


def _from_status(data: bytes) -> float | None:
    info = RetryInfo()
    try:
        for detail in Status.FromString(data).details:
            if detail.Unpack(info):
                seconds: float = info.retry_delay.seconds + info.retry_delay.nanos / 1e9
                return min(max(0.0, seconds), MAX_RETRY_AFTER_S)
    except ProtobufError:
        pass
    return None
