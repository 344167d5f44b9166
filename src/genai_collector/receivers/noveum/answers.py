"""What clients hear.

noveum-trace looks at the status alone, its sister for TypeScript also at `warnings` and `errors`;
the gateway looks at the status of what it takes for Elasticsearch.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web

from genai_collector.transport.rpc_status import JSON

MAX_TOLD: Final = 100
"""Refused elements that are named in an answer."""

_HEADERS: Final = {"Content-Type": JSON}
_ELASTIC_HEADERS: Final = {**_HEADERS, "X-Elastic-Product": "Elasticsearch"}


def answer(
    accepted: int, duplicates: int, refused: Sequence[tuple[str, str]], message: str
) -> web.Response:
    """400 only when there was something and nothing of it was any good."""
    good = bool(accepted or duplicates or not refused)
    told: dict[str, object] = {"success": good, "accepted": accepted}
    if duplicates:
        told["duplicates"] = duplicates
    if refused:
        told["errors"] = [{"index": at, "error": why} for at, why in refused[:MAX_TOLD]]
    if len(refused) > MAX_TOLD:
        told["more_errors"] = len(refused) - MAX_TOLD
    if message:
        told["warnings"] = [message]
    return _json(HTTPStatus.OK if good else HTTPStatus.BAD_REQUEST, told)


def unauthorized() -> web.Response:
    """No key, or a wrong one."""
    told = {"success": False, "error": "no valid key in the Authorization header"}
    return _json(HTTPStatus.UNAUTHORIZED, told, {"WWW-Authenticate": "Bearer"})


def document_created(index: str, id: str) -> web.Response:
    """What Elasticsearch says of a document that it stored."""
    told = {
        "_index": index,
        "_id": id,
        "_version": 1,
        "result": "created",
        "_shards": {"total": 1, "successful": 1, "failed": 0},
        "_seq_no": 0,
        "_primary_term": 1,
    }
    return _json(HTTPStatus.CREATED, told, _ELASTIC_HEADERS)


def document_refused(status: HTTPStatus, type: str, reason: str) -> web.Response:
    """What Elasticsearch says of a document that it does not take."""
    headers = dict(_ELASTIC_HEADERS)
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="security"'
    told = {"error": {"type": type, "reason": reason}, "status": int(status)}
    return _json(status, told, headers)


def _json(
    status: HTTPStatus, body: dict[str, object], headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status, body=orjson.dumps(body), headers={**_HEADERS, **(headers or {})}
    )
