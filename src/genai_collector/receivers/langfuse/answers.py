"""What clients are told, in the words of Langfuse's server (sections 1.2 and 2).

Every answer is JSON: the JavaScript SDK parses whatever comes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from genai_collector.errors import DecodeError, PipelineError, Retryable, TooLarge

_JSON: Final = {"Content-Type": "application/json"}
_ERRORS: Final = {
    HTTPStatus.BAD_REQUEST: "InvalidRequestError",
    HTTPStatus.UNAUTHORIZED: "UnauthorizedError",
    HTTPStatus.FORBIDDEN: "ForbiddenError",
    HTTPStatus.NOT_FOUND: "NotFoundError",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowedError",
    HTTPStatus.REQUEST_TIMEOUT: "RequestTimeoutError",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "PayloadTooLargeError",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "UnsupportedMediaTypeError",
    HTTPStatus.INTERNAL_SERVER_ERROR: "InternalServerError",
    HTTPStatus.NOT_IMPLEMENTED: "NotImplementedError",
    HTTPStatus.SERVICE_UNAVAILABLE: "ServiceUnavailableError",
}
_DEFAULT_RETRY_AFTER_S: Final = 1.0


def answer(
    status: HTTPStatus, body: Mapping[str, object], headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer."""
    data = json.dumps(body).encode()
    return web.Response(status=status, body=data, headers={**_JSON, **(headers or {})})


def refuse(
    status: HTTPStatus, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A refusal, in the server's form."""
    return answer(status, {"error": _ERRORS[status], "message": message}, headers)


def invalid(message: str) -> web.Response:
    """A body that is not what the route takes."""
    return answer(HTTPStatus.BAD_REQUEST, {"message": "Invalid request data", "errors": [message]})


def refusal_of(error: PipelineError) -> web.Response:
    """What the client is told about `error`; SDKs try again only after 429 and 5xx."""
    if isinstance(error, TooLarge):
        return refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
    if isinstance(error, DecodeError):
        return invalid(str(error))
    if isinstance(error, Retryable):
        wait = _DEFAULT_RETRY_AFTER_S if error.retry_after is None else error.retry_after
        headers = {"Retry-After": str(max(1, math.ceil(wait)))}
        return refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers)
    return refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
