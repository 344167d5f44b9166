"""What an HTTP answer means: the one table.

Statuses: OTLP 1.11, "OTLP/HTTP Response" and "Failures": 429, 502, 503 and 504 may be retried,
every other 4xx and 5xx must not. Other protocols pass their own set of retryable statuses.

One more may be: a 401 to credentials that an authenticator gave. They are renewed while we run, and
a token that has expired must not cost what waits behind it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError as ProtobufError
from google.rpc.status_pb2 import Status

from genai_collector.errors import Permanent, Retryable
from genai_collector.transport.http_client import Response

OTLP_RETRYABLE: Final = frozenset({429, 502, 503, 504})
RENEWAL_S: Final = 30.0
"""How long after a refusal the credentials are worth another try, at least: long enough that no
account is locked for it."""
MAX_RETRY_AFTER_S: Final = 3600.0
"""A destination that asks for more is asked again after an hour."""
_MAX_MESSAGE: Final = 300


class _Refusal(NamedTuple):
    reason: str
    data_fault: bool


_REFUSALS: Final[Mapping[int, _Refusal]] = {
    400: _Refusal("bad_request", True),
    401: _Refusal("unauthorized", False),
    403: _Refusal("forbidden", False),
    404: _Refusal("not_found", False),
    405: _Refusal("not_found", False),
    413: _Refusal("too_large", True),
    415: _Refusal("unsupported_media_type", False),
    422: _Refusal("bad_request", True),
}
_HINTS: Final[Mapping[int, str]] = {
    401: "check the key or headers",
    403: "check the rights of the key",
    404: "check the endpoint's path",
    405: "check the endpoint's path",
}


def _kind(status: int) -> _Refusal:
    if 300 <= status < 400:
        return _Refusal("redirected", False)
    return _REFUSALS.get(status, _Refusal(f"http_{status // 100}xx", False))


def http_error(
    response: Response,
    host: str,
    now_s: Callable[[], float],
    retryable: frozenset[int] = OTLP_RETRYABLE,
) -> Permanent | Retryable:
    """The error for an answer that is not 2xx. `now_s` gives seconds since the epoch, for a
    `Retry-After` that is a date."""
    status = response.status
    said = status_message(response)
    message = f"{host} answered {status}" + (f": {said}" if said else "")
    if status in retryable:
        hint = parse_retry_after(response.headers.get("Retry-After"), now_s)
        return Retryable(message, retry_after=hint)
    if status in _HINTS:
        message = f"{message} ({_HINTS[status]})"
    if status == HTTPStatus.UNAUTHORIZED and response.renewable:
        return Retryable(message, retry_after=RENEWAL_S)
    reason, data_fault = _kind(status)
    return Permanent(message, reason=reason, data_fault=data_fault)


def parse_retry_after(value: str | None, now_s: Callable[[], float]) -> float | None:
    """Seconds from `120` or an HTTP date, at most an hour; None if absent or neither."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        # Digits beyond any number of seconds that matters would only cost time to convert.
        return min(float(value[:12]), MAX_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
    return min(max(0.0, at - now_s()), MAX_RETRY_AFTER_S)


def status_message(response: Response) -> str:
    """The destination's words: the message of a `google.rpc.Status`, or the start of a text."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("application/x-protobuf", "application/protobuf"):
        return _clean(_from_protobuf(response.body))
    text = response.body[: 64 * 1024].decode("utf-8", "replace")
    if kind.endswith("json"):
        return _clean(_from_json(text) or text)
    return _clean(text) if kind.startswith("text/plain") or not kind else ""


def _from_protobuf(body: bytes) -> str:
    try:
        return str(Status.FromString(body).message)
    except ProtobufError:
        return ""


def _from_json(text: str) -> str:
    try:
        status = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    message = status.get("message") if isinstance(status, dict) else None
    return message if isinstance(message, str) else ""


def _clean(text: str) -> str:
    """One line of printable text, for a log."""
    line = " ".join(
        "".join(c if c.isprintable() else " " for c in text[: 4 * _MAX_MESSAGE]).split()
    )
    return line if len(line) <= _MAX_MESSAGE else line[:_MAX_MESSAGE] + "..."
