"""`auth` of every exporter that sends: credentials per request, and what their refusal means."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web

from genai_collector.component import Context, Exporter
from genai_collector.delivery.grpc_errors import grpc_error
from genai_collector.delivery.http_errors import RENEWAL_S, http_error
from genai_collector.errors import ConfigError, Permanent, Retryable
from genai_collector.exporters.langfuse import FACTORY as LANGFUSE
from genai_collector.exporters.litellm import FACTORY as LITELLM
from genai_collector.exporters.noveum import FACTORY as NOVEUM
from genai_collector.exporters.otlp_grpc import FACTORY as OTLP_GRPC
from genai_collector.exporters.otlp_http import FACTORY as OTLP_HTTP
from genai_collector.extensions.basicauth import FACTORY as BASIC
from genai_collector.extensions.basicauth import BasicAuthConfig
from genai_collector.extensions.bearertokenauth import FACTORY as BEARER
from genai_collector.extensions.bearertokenauth import BearerTokenAuthConfig
from genai_collector.formats import otlp
from genai_collector.model import Batch, Signal, Span
from genai_collector.transport.http_client import Response
from tests.exporters.test_otlp_grpc import server as grpc_server
from tests.support.fakes import FakeClock, make_context
from tests.support.running import Request, http_sink

AUTH = {"authenticator": "out"}
HTTP: dict[str, tuple[Any, dict[str, Any]]] = {
    "otlp_http": (OTLP_HTTP, {"headers": {"AUTHORIZATION": "Bearer static"}}),
    "langfuse": (LANGFUSE, {"public_key": "pk", "secret_key": "sk"}),
    "langfuse otlp": (LANGFUSE, {"public_key": "pk", "secret_key": "sk", "mode": "otlp"}),
    "litellm": (LITELLM, {}),
    "noveum": (NOVEUM, {"api_key": "static"}),
    "noveum traces": (NOVEUM, {"api_key": "static", "mode": "traces"}),
}
EVERY_HTTP = pytest.mark.parametrize(("factory", "config"), HTTP.values(), ids=HTTP)


_IDS = count(1)


def batch() -> Batch:
    """A call of a model that was never sent before."""
    attributes = {"gen_ai.request.model": "m", "gen_ai.operation.name": "chat"}
    span = Span(
        trace_id=next(_IDS).to_bytes(16, "big"),
        span_id=next(_IDS).to_bytes(8, "big"),
        name="chat m",
        start_ns=1,
        end_ns=2,
    )
    span.attributes.update(attributes)
    return otlp.batch_of(Signal.TRACES, [span])


def bearer(**config: Any) -> Any:
    return BEARER.create(BearerTokenAuthConfig.model_validate(config), make_context("out"))


def made(factory: Any, config: Mapping[str, Any], extension: Any) -> Exporter:
    lent = make_context(factory.name)
    context = Context(lent.id, lent.telemetry, lent.log, extensions={"out": extension})
    exporter: Exporter = factory.create(factory.config.model_validate(config), context)
    return exporter


async def failure(exporter: Exporter) -> Permanent | Retryable | None:
    try:
        await exporter.export(batch())
    except (Permanent, Retryable) as exc:
        return exc
    return None


@EVERY_HTTP
async def test_every_request_has_the_credentials(
    factory: Any, config: dict[str, Any], tmp_path: Path
) -> None:
    """One Authorization header, the authenticator's, as its file says at that moment."""
    path, clock = tmp_path / "token", FakeClock()
    path.write_text("one")
    token = BearerTokenAuthConfig(filename=str(path))
    auth = BEARER.create(token, make_context("out", clock=clock))
    seen: list[list[str]] = []

    def answer(request: Request) -> web.Response:
        seen.append([v for k, v in request.headers.items() if k.lower() == "authorization"])
        return web.Response(status=200)

    async with http_sink(answer) as sink, auth:
        where = {"endpoint": f"http://127.0.0.1:{sink.port}", "auth": AUTH}
        async with made(factory, {**config, **where}, auth) as exporter:
            await failure(exporter)
            path.write_text("two")
            clock.advance(1)
            await failure(exporter)
    assert seen[0] == ["Bearer one"]
    assert seen[-1] == ["Bearer two"]


@EVERY_HTTP
@pytest.mark.parametrize(
    ("status", "with_auth", "kind"),
    [(401, True, Retryable), (401, False, Permanent), (403, True, Permanent)],
)
async def test_refused_credentials(
    factory: Any, config: dict[str, Any], status: int, with_auth: bool, kind: type[Exception]
) -> None:
    """A 401 is tried again after a while if the credentials may be renewed; without an
    authenticator nothing could cure it, and 403 is no matter of credentials."""
    async with http_sink(lambda _: web.Response(status=status)) as sink, bearer(token="t") as auth:
        where: dict[str, Any] = {"endpoint": f"http://127.0.0.1:{sink.port}"}
        where |= {"auth": AUTH} if with_auth else {}
        async with made(factory, {**config, **where}, auth) as exporter:
            error = await failure(exporter)
    assert isinstance(error, kind)
    if isinstance(error, Retryable):
        assert error.retry_after == RENEWAL_S


async def test_grpc_metadata() -> None:
    """Every call has the authenticator's header in place of a configured one of its name."""
    seen: list[list[tuple[str, str]]] = []

    async def answer(_method: str, _body: bytes, context: Any) -> bytes:
        seen.append([pair for pair in context.invocation_metadata() if pair[0][0] in "ax"])
        return b""

    config = BasicAuthConfig.model_validate({"client_auth": {"username": "a", "password": "b"}})
    auth = BASIC.create(config, make_context("out"))
    async with grpc_server(answer) as port:
        settings = {
            "endpoint": f"http://127.0.0.1:{port}",
            "headers": {"Authorization": "static", "X-Other": "kept"},
            "auth": AUTH,
        }
        async with auth, made(OTLP_GRPC, settings, auth) as exporter:
            assert await failure(exporter) is None
    assert sorted(pair for pair in seen[0] if not pair[0].startswith("accept")) == [
        ("authorization", "Basic YTpi"),
        ("x-other", "kept"),
    ]


@pytest.mark.parametrize(("with_auth", "kind"), [(True, Retryable), (False, Permanent)])
async def test_refused_call(with_auth: bool, kind: type[Exception]) -> None:
    """UNAUTHENTICATED is what 401 is."""

    async def answer(_method: str, _body: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who?")
        raise AssertionError

    async with grpc_server(answer) as port, bearer(token="t") as auth:
        settings: dict[str, Any] = {"endpoint": f"http://127.0.0.1:{port}"}
        settings |= {"auth": AUTH} if with_auth else {}
        async with made(OTLP_GRPC, settings, auth) as exporter:
            error = await failure(exporter)
    assert isinstance(error, kind)
    if isinstance(error, Retryable):
        assert error.retry_after == RENEWAL_S


def test_the_tables() -> None:
    """Only 401 and UNAUTHENTICATED, and only if renewable."""
    for status in (400, 401, 403, 404, 413, 500):
        for renewable in (True, False):
            error = http_error(Response(status, renewable=renewable), "host", lambda: 0.0)
            assert isinstance(error, Retryable) == (status == 401 and renewable)
    for code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        for renewable in (True, False):
            failed = grpc_error(code, "", (), "host", renewable=renewable)
            expected = renewable and code is grpc.StatusCode.UNAUTHENTICATED
            assert isinstance(failed, Retryable) == expected


def test_unknown_or_unable_authenticator() -> None:
    """An id that is not there, or that only knows who may come in, is named with the option."""
    server = BasicAuthConfig.model_validate({"htpasswd": {"inline": "a:b"}})
    able = BASIC.create(server, make_context("out"))
    for factory, config in [*HTTP.values(), (OTLP_GRPC, {})]:
        settings = {**config, "endpoint": "http://127.0.0.1:9", "auth": AUTH}
        with pytest.raises(ConfigError, match=r"auth\.authenticator: .*'out' has nothing to say"):
            made(factory, settings, able)
        settings["auth"] = {"authenticator": "typo"}
        with pytest.raises(ConfigError, match=r"auth\.authenticator: there is no extension"):
            made(factory, settings, able)
