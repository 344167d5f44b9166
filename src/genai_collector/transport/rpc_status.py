"""Refusals as `google.rpc.Status`: what every 4xx and 5xx answer carries in its body.

OTLP asks for it in the request's encoding; whoever sent neither protobuf nor JSON gets JSON. The
same message goes into gRPC's `grpc-status-details-bin` trailer.
"""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Final, NamedTuple

import grpc
from aiohttp import web
from google.rpc import error_details_pb2, status_pb2

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

_RETRY_INFO: Final = "type.googleapis.com/google.rpc.RetryInfo"

OF_HTTP: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    415: grpc.StatusCode.INVALID_ARGUMENT,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
}
"""The code that goes with each HTTP status we answer."""

REASONS: Final[dict[int, str]] = {
    400: "malformed",
    401: "unauthenticated",
    403: "unauthenticated",
    404: "unknown_path",
    405: "unknown_path",
    408: "slow_body",
    413: "too_large",
    415: "unsupported",
    429: "overload",
    503: "overload",
}
"""Status of a refusal -> why, as it is counted; `OTHER` for the rest."""

OTHER: Final = "other"


class Refusal(NamedTuple):
    """Why a request is refused. `retry_after_s` only where the same request may succeed later."""

    http: HTTPStatus
    message: str
    retry_after_s: float | None = None

    @property
    def code(self) -> grpc.StatusCode:
        return OF_HTTP[self.http]


def encode_protobuf(refusal: Refusal) -> bytes:
    """The refusal as a serialized `google.rpc.Status`."""
    status = status_pb2.Status(code=refusal.code.value[0], message=refusal.message)
    if refusal.retry_after_s is not None:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.FromNanoseconds(int(refusal.retry_after_s * 1e9))
        status.details.add().Pack(info)
    encoded: bytes = status.SerializeToString()
    return encoded


def encode_json(refusal: Refusal) -> bytes:
    """The refusal as a `google.rpc.Status` in protobuf's JSON mapping."""
    status: dict[str, object] = {"code": refusal.code.value[0], "message": refusal.message}
    if refusal.retry_after_s is not None:
        delay = f"{refusal.retry_after_s:.9f}".rstrip("0").rstrip(".") + "s"
        status["details"] = [{"@type": _RETRY_INFO, "retryDelay": delay}]
    return json.dumps(status).encode()


def media_type(request: web.BaseRequest) -> str:
    """The request's content type without parameters, in lower case; empty if there is none."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def refuse(
    request: web.BaseRequest, refusal: Refusal, headers: dict[str, str] | None = None
) -> web.Response:
    """The HTTP answer to `request`, in its encoding, with Retry-After where it may come again."""
    headers = dict(headers or {})
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(refusal.retry_after_s)))
    if media_type(request) == PROTOBUF:
        body, headers["Content-Type"] = encode_protobuf(refusal), PROTOBUF
    else:
        body, headers["Content-Type"] = encode_json(refusal), JSON
    return web.Response(status=refusal.http, body=body, headers=headers)
