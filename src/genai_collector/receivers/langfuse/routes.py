"""The routes of Langfuse's public API that a collector can serve, and an honest no for the rest."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, NamedTuple

from aiohttp import web

from genai_collector import __version__
from genai_collector.component import Consumer, Context
from genai_collector.errors import DecodeError, Overloaded, PipelineError
from genai_collector.formats.langfuse import parse_ingestion
from genai_collector.formats.langfuse.decode import Source, source_of
from genai_collector.formats.langfuse.ingestion import Ingestion, judge_events, load_json
from genai_collector.formats.langfuse.merge import body_of
from genai_collector.formats.langfuse.values import JSON
from genai_collector.model import Signal
from genai_collector.receivers._http import ENCODINGS, Bodies, work
from genai_collector.receivers.langfuse.answers import answer, invalid, refusal_of, refuse
from genai_collector.receivers.langfuse.assembly import Assembly, Weighed
from genai_collector.receivers.langfuse.auth import Access, Denied, Keys
from genai_collector.receivers.langfuse.config import LangfuseConfig
from genai_collector.receivers.langfuse.journal import Journal
from genai_collector.receivers.langfuse.otel import otlp_handler
from genai_collector.receivers.langfuse.outlet import Outlet
from genai_collector.receivers.otlp.http import OtlpHttpHandler
from genai_collector.transport.http_server import ANY, BodyTimeout, Handler, read_body

BASE: Final = "/api/public"
_NO_PROJECT: Final = "genai-collector"
_HONEST: Final = (
    "This is a telemetry collector, not a Langfuse server: it takes ingestion, scores and OTLP "
    "traces, and passes them on. It has no {what}."
)
_BUSY: Final = "too much waits for the pipelines; try again"

Served = Callable[[web.BaseRequest, Access], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    method: str
    path: str
    handler: Handler


class Api:
    """Answers requests. `close` has everything that would take data refused."""

    def __init__(
        self,
        config: LangfuseConfig,
        consumers: Mapping[Signal, Consumer],
        context: Context,
        assembly: Assembly,
        outlet: Outlet,
        journal: Journal,
    ) -> None:
        self._journal = journal
        self._config = config
        self._consumers = consumers
        self._context = context
        self._assembly = assembly
        self._outlet = outlet
        self._bodies = Bodies(config, ENCODINGS)
        self._keys = Keys(config.projects)
        self._otlp: dict[tuple[Signal, str], OtlpHttpHandler] = {
            (signal, project): otlp_handler(config, signal, consumer, context, project)
            for signal, consumer in consumers.items()
            if signal is not Signal.LOGS
            for project in (self._keys.names or [""])
        }
        self._closed = False

    def close(self) -> None:
        """From now on what comes is refused, to be sent again elsewhere."""
        self._closed = True

    def routes(self) -> list[Route]:
        """All of them; what has no route of its own ends in `nothing`."""
        served: list[tuple[str, str, Served]] = [
            ("GET", "/projects", self._projects),
            (ANY, "/*", self._nothing),
        ]
        if Signal.TRACES in self._consumers or Signal.LOGS in self._consumers:
            served.append(("POST", "/ingestion", self._ingestion))
            served.append(("POST", "/scores", self._scores))
        if Signal.TRACES in self._consumers:
            served.append(("POST", "/otel/v1/traces", self._traces))
            served.append(("POST", "/otel/v1/metrics", self._metrics))
        routes = [
            Route(method, BASE + path, self._guarded(serve)) for method, path, serve in served
        ]
        routes += [
            Route(ANY, BASE + path, self._wrong_method)
            for method, path, _ in served
            if method == "POST"
        ]
        return [*routes, Route("GET", f"{BASE}/health", self._health)]

    # ---- doors -------------------------------------------------------------------------------

    def _guarded(self, serve: Served) -> Handler:
        """Only for those who may, with every refusal in the server's words."""

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            try:
                access = self._keys.access(request.headers.get("Authorization", ""))
                return await serve(request, access)
            except Denied as exc:
                return refuse(HTTPStatus.UNAUTHORIZED, str(exc))
            except PipelineError as exc:
                return refusal_of(exc)
            except BodyTimeout as exc:
                response = refuse(HTTPStatus.REQUEST_TIMEOUT, str(exc))
                response.force_close()
                return response

        return handler

    async def _wrong_method(self, request: web.BaseRequest) -> web.StreamResponse:
        return refuse(
            HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not allowed", {"Allow": "POST"}
        )

    async def _health(self, _request: web.BaseRequest) -> web.StreamResponse:
        return answer(HTTPStatus.OK, {"status": "OK", "version": __version__})

    async def _projects(self, _request: web.BaseRequest, access: Access) -> web.StreamResponse:
        name = access.project or _NO_PROJECT
        project = {
            "id": name,
            "name": name,
            "organization": {"id": _NO_PROJECT, "name": _NO_PROJECT},
            "metadata": {},
            "retentionDays": None,
        }
        return answer(HTTPStatus.OK, {"data": [project]})

    async def _nothing(self, request: web.BaseRequest, _access: Access) -> web.StreamResponse:
        what = request.path.removeprefix(f"{BASE}/")
        status = HTTPStatus.NOT_FOUND if request.method == "GET" else HTTPStatus.NOT_IMPLEMENTED
        return refuse(status, _HONEST.format(what=what))

    # ---- batches and scores ------------------------------------------------------------------

    async def _ingestion(self, request: web.BaseRequest, access: Access) -> web.StreamResponse:
        with self._admit(request):
            body = await self._body(request)
            judged = await work(len(body), parse_ingestion, body, scores_only=access.scores_only)
            await self._take(judged, source_of(judged.metadata, access.project), len(body))
        return answer(HTTPStatus.MULTI_STATUS, judged.answer())

    async def _scores(self, request: web.BaseRequest, access: Access) -> web.StreamResponse:
        """One score, or a list of them as current Python SDKs send it."""
        with self._admit(request):
            body = await self._body(request)
            given = load_json(body)
            scores = given if isinstance(given, list) else [given]
            judged = judge_events([_score_event(score, self._now()) for score in scores])
            if judged.refused:
                return invalid("; ".join(error.error for error in judged.refused))
            source = Source(access.project, request.headers.get("X-Langfuse-Sdk-Name", "").lower())
            await self._take(judged, source, len(body))
        ids: list[JSON] = [body_of(event)["id"] for event in judged.events]
        told = {"id": ids[0]} if not isinstance(given, list) else {"ids": ids}
        return answer(HTTPStatus.OK, told)

    async def _take(self, judged: Ingestion, source: Source, size: int) -> None:
        self._check_open()
        if judged.refused:
            context = self._context
            context.telemetry.refused(context.id, "http", Signal.TRACES, len(judged.refused))
        if judged.events:
            weight = max(1, size // len(judged.events))
            events = [Weighed(event, weight) for event in judged.events]
            kept = await self._journal.keep(source, events)
            # Closed meanwhile: they are on disk, and taken at the next start.
            if not (self._closed and self._journal.keeps):
                self._outlet.put(self._assembly.take(source, kept))

    def _admit(self, request: web.BaseRequest) -> AbstractContextManager[None]:
        self._check_open()
        consumer = self._consumers.get(Signal.TRACES) or self._consumers[Signal.LOGS]
        return consumer.admit(self._bodies.length_of(request))

    def _check_open(self) -> None:
        if self._closed or self._outlet.is_full:
            raise Overloaded("the collector is stopping" if self._closed else _BUSY)

    async def _body(self, request: web.BaseRequest) -> bytes:
        encoding = self._bodies.encoding_of(request)
        if encoding is None:
            raise DecodeError(f"unsupported Content-Encoding; send {self._bodies.accept_encoding}")
        return await self._bodies.read(request, encoding)

    def _now(self) -> str:
        now = datetime.fromtimestamp(self._context.wall_clock_ns() / 1e9, UTC)
        return now.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"

    # ---- OTLP --------------------------------------------------------------------------------

    async def _traces(self, request: web.BaseRequest, access: Access) -> web.StreamResponse:
        return await self._pass_on(Signal.TRACES, request, access)

    async def _metrics(self, request: web.BaseRequest, access: Access) -> web.StreamResponse:
        """Metrics nobody takes are thrown away with a success, as Langfuse itself does."""
        if Signal.METRICS in self._consumers:
            return await self._pass_on(Signal.METRICS, request, access)
        await read_body(request, self._config.max_request_body_size, self._config.read_timeout)
        return answer(HTTPStatus.OK, {})

    async def _pass_on(
        self, signal: Signal, request: web.BaseRequest, access: Access
    ) -> web.StreamResponse:
        if access.scores_only:
            raise Denied("Access Scope Denied")
        self._check_open()
        return await self._otlp[signal, access.project](request)


def _score_event(score: JSON, now: str) -> JSON:
    """The event that this score would be in a batch; it must have an id to be answered with."""
    if not isinstance(score, dict):
        return score
    body = {**score}
    if body.get("id") is None:
        body["id"] = str(uuid.uuid4())
    timestamp = body.pop("timestamp", None) or now
    event: JSON = {
        "id": body["id"],
        "type": "score-create",
        "timestamp": timestamp,
        "body": body,
    }
    return event
