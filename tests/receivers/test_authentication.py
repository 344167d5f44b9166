"""`auth` on every listener: real clients with the right, a wrong and no credential, over HTTP and
gRPC; and that strangers are turned away before anything of theirs is read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import grpc
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from genai_collector.component.handover import Handover
from genai_collector.errors import ConfigError, Overloaded
from genai_collector.extensions.basicauth import FACTORY as BASIC
from genai_collector.extensions.basicauth import BasicAuthConfig
from genai_collector.extensions.bearertokenauth import FACTORY as BEARER
from genai_collector.extensions.bearertokenauth import BearerTokenAuthConfig
from genai_collector.model import Signal
from genai_collector.receivers.langfuse import FACTORY as LANGFUSE
from genai_collector.receivers.litellm import FACTORY as LITELLM
from genai_collector.receivers.noveum import FACTORY as NOVEUM
from genai_collector.receivers.otlp import FACTORY as OTLP
from genai_collector.transport.http_server import HttpListeners, HttpServerConfig
from tests.receivers.auth_harness import (
    ANY,
    BODY,
    PROTOBUF,
    RIGHT,
    TOKEN,
    WRONG,
    basic,
    bearer,
    call,
    made,
    otlp,
    post,
    receiving,
)
from tests.receivers.harness import METHODS
from tests.support.fakes import FakeClock, make_context


def _trace(exporter: Any) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("test").start_as_current_span("chat"):
        pass
    provider.shutdown()


# ---- real clients ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "taken"), [(RIGHT, 1), (WRONG, 0), ({}, 0), (basic("right", ""), 0)], ids=str
)
async def test_sdk_clients(headers: dict[str, str], taken: int) -> None:
    """OpenTelemetry's own exporters get in with the right token, and only with it."""
    async with otlp() as running:
        url = f"{running.http}/v1/traces"
        await asyncio.to_thread(_trace, HttpSpans(url, headers=headers))
        assert running.taken == taken
        metadata = {name.lower(): value for name, value in headers.items()}
        exporter = GrpcSpans(f"http://{running.grpc}", True, headers=metadata)
        await asyncio.to_thread(_trace, exporter)
        assert running.taken == 2 * taken


async def test_basicauth_with_sdk_clients() -> None:
    """User and password, with a password that bcrypt hashed."""
    users = "anna:$2b$04$qabGEYSOXeRE8sf9G5nQkOTfOptO7M2USrE5yBQqXQSzJoS9cLIYa"  # secret
    auth = BASIC.create(
        BasicAuthConfig.model_validate({"htpasswd": {"inline": users}}), make_context("basicauth")
    )
    async with otlp(auth) as running:
        url = f"{running.http}/v1/traces"
        await asyncio.to_thread(_trace, HttpSpans(url, headers=basic("anna", "secret")))
        await asyncio.to_thread(_trace, HttpSpans(url, headers=basic("anna", "Secret")))
        assert running.taken == 1
        right = {"authorization": basic("anna", "secret")["Authorization"]}
        assert (await call(running.grpc, right))[0] is grpc.StatusCode.OK
        assert (await call(running.grpc, {}))[0] is grpc.StatusCode.UNAUTHENTICATED
        answer = await post(url, {})
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


# ---- what is answered ------------------------------------------------------------------------


async def test_answer_over_http() -> None:
    """401 with a Status in the request's encoding and a challenge, whatever path and method."""
    async with otlp() as running:
        answer = await post(f"{running.http}/v1/traces", WRONG)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="genai-collector"'
        status = Status.FromString(answer.body)
        assert (status.code, status.message) == (16, "wrong token")
        answer = await post(f"{running.http}/v1/traces", {"Content-Type": "application/json"})
        assert json.loads(answer.body) == {"code": 16, "message": "no Authorization header"}
        for method, path in (("GET", "/v1/traces"), ("POST", "/nowhere"), ("OPTIONS", "/v1/logs")):
            assert (await post(running.http + path, WRONG, method=method)).status == 401
        assert (await post(f"{running.http}/nowhere", RIGHT)).status == 404
        assert (await post(f"{running.http}/v1/traces", RIGHT)).status == 200


async def test_answer_over_grpc() -> None:
    """UNAUTHENTICATED with the same Status in the trailers, also for methods that are not there."""
    async with otlp() as running:
        code, status = await call(running.grpc, {"authorization": "Bearer wrong"})
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert (status.code, status.message) == (16, "wrong token")
        async with grpc.aio.insecure_channel(running.grpc) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary("/no.Such/Method")(b"")
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_http_body_is_not_waited_for() -> None:
    """The answer comes after the header alone; nobody is asked to go on with the body."""
    async with otlp() as running:
        host, port = running.http.removeprefix("http://").split(":")
        for expect in ("", "Expect: 100-continue\r\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(
                f"POST /v1/traces HTTP/1.1\r\nHost: h\r\n{expect}"
                "Content-Type: application/x-protobuf\r\nContent-Length: 9999999\r\n\r\n".encode()
            )
            assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
            writer.close()
            await writer.wait_closed()
        assert running.consumers[Signal.TRACES].admitted == []


async def test_grpc_message_is_not_waited_for() -> None:
    """A call is refused although its message never comes."""
    async with otlp() as running, grpc.aio.insecure_channel(running.grpc) as channel:
        never = asyncio.Event()

        async def messages() -> AsyncIterator[bytes]:
            await never.wait()
            yield b""

        stream = channel.stream_unary(METHODS[Signal.TRACES])(messages())
        assert await stream.code() is grpc.StatusCode.UNAUTHENTICATED
        assert running.consumers[Signal.TRACES].admitted == []


ODD = {
    "non-ascii": "Authorization: Bearer right\xc3\xa4",
    "latin": "Authorization: Bearer right\xe4",
    "long": "Authorization: Bearer right" + "x" * 5000,
    "huge": "Authorization: Bearer right" + "x" * 1_000_000,
    "first of two counts": "Authorization: Bearer wrong\r\nAuthorization: Bearer right",
    "nul": "Authorization: Bearer right\x00",
    "another header": "Proxy-Authorization: Bearer right",
}


@pytest.mark.parametrize("line", ODD.values(), ids=ODD)
async def test_odd_headers(line: str) -> None:
    """Whatever is no valid credential is answered with 400, 401 or 431, and the next one comes
    in as before."""
    async with otlp() as running:
        host, port = running.http.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /v1/traces HTTP/1.1\r\nHost: h\r\n{line}\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode("latin-1"))
        status = (await reader.readline()).split()
        assert status[1] in (b"400", b"401", b"431")
        writer.close()
        assert (await post(f"{running.http}/v1/traces", RIGHT)).status == 200
        assert running.taken == 1


async def test_odd_metadata() -> None:
    """Long and binary metadata over gRPC come in no more than a wrong token does."""
    async with otlp() as running:
        for metadata in (
            {"authorization": "Bearer right" + "x" * 6000},
            {"authorization": "Bearer " + "x" * 200_000},
            {"authorization-bin": b"Bearer right"},
            {"x-authorization": "Bearer right"},
        ):
            code, _ = await call(running.grpc, metadata)  # type: ignore[arg-type]
            assert code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert (await call(running.grpc, {"authorization": "Bearer right"}))[0].name == "OK"
        assert running.taken == 1


async def test_rotated_file(tmp_path: Path) -> None:
    """A new token counts on open doors, over both protocols, and the old one no longer."""
    path, clock = tmp_path / "tokens", FakeClock()
    path.write_text("old")
    config = BearerTokenAuthConfig(filename=str(path))
    auth = BEARER.create(config, make_context("bearertokenauth", clock=clock))
    old, new = ({"authorization": f"Bearer {token}"} for token in ("old", "new"))
    async with otlp(auth) as running:
        url = f"{running.http}/v1/traces"
        assert (await post(url, old)).status == 200
        path.write_text("new")
        clock.advance(1)
        assert [(await post(url, token)).status for token in (old, new)] == [401, 200]
        codes = [(await call(running.grpc, token))[0].name for token in (old, new)]
        assert codes == ["UNAUTHENTICATED", "OK"]


# ---- who is asked when -----------------------------------------------------------------------


async def test_preflight_needs_no_credential() -> None:
    """A browser's preflight is answered, the request itself needs the token, and the page may see
    why it was refused."""
    cors = {"allowed_origins": ["https://app.example"], "allowed_headers": ["Authorization"]}
    asking = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    async with otlp(cors=cors) as running:
        url = f"{running.http}/v1/traces"
        answer = await post(url, asking, b"", "OPTIONS")
        assert answer.status in (200, 204)
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert (await post(url, asking, BODY, "POST")).status == 401
        refused = await post(url, {"Origin": "https://app.example"})
        assert refused.status == 401
        assert refused.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert (await post(url, {"Origin": "https://app.example", **RIGHT})).status == 200


class _Judge:
    """An authenticator that does what the test says."""

    challenge = "Judge"

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def authenticate(self, headers: Mapping[str, str], /) -> str:
        raise self.error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


async def test_busy_authenticator() -> None:
    """Who could not be looked at is told to come again, not that it is a stranger."""
    async with otlp(_Judge(Overloaded("busy", retry_after=3))) as running:
        answer = await post(f"{running.http}/v1/traces", RIGHT)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "3")
        assert "WWW-Authenticate" not in answer.headers
        assert (await call(running.grpc, {}))[0] is grpc.StatusCode.UNAVAILABLE


async def test_broken_authenticator(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in an authenticator lets nobody in, and its text is in no answer and no log."""
    async with otlp(_Judge(RuntimeError("hidden"))) as running:
        answer = await post(f"{running.http}/v1/traces", RIGHT)
        assert answer.status == 500
        code, status = await call(running.grpc, {})
        assert code is grpc.StatusCode.INTERNAL
        assert running.taken == 0
    assert "hidden" not in caplog.text + answer.body.decode("latin-1") + str(status)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_unknown_authenticator(protocol: str) -> None:
    """An id that is not there, or that only knows how to send, is named with its option."""
    config = {"protocols": {protocol: {"endpoint": ANY, "auth": {"authenticator": "typo"}}}}
    option = rf"protocols\.{protocol}\.auth\.authenticator"
    with pytest.raises(ConfigError, match=f"{option}: there is no extension 'typo' that runs"):
        made(OTLP, config, bearertokenauth=bearer())
    client = BasicAuthConfig.model_validate({"client_auth": {"username": "a", "password": "b"}})
    sender = BASIC.create(client, make_context())
    with pytest.raises(ConfigError, match=f"{option}: the extension 'typo' does not know who"):
        made(OTLP, config, typo=sender)


def test_a_shared_endpoint_has_one_authenticator() -> None:
    """Receivers on one endpoint name the same authenticator, or none."""
    listeners = HttpListeners()
    config = {"endpoint": ANY, "auth": TOKEN}
    made(LITELLM, config, listeners, bearertokenauth=bearer())
    made(NOVEUM, config, listeners, bearertokenauth=bearer())
    with pytest.raises(ConfigError, match="differs in auth"):
        made(LANGFUSE, {"endpoint": ANY}, listeners)


async def test_forgotten_authenticator() -> None:
    """A receiver that does not pass its authenticator on does not open its door."""
    listeners = HttpListeners()
    settings = HttpServerConfig.model_validate({"endpoint": ANY, "auth": TOKEN})

    async def answer(_request: Any) -> Any:
        raise AssertionError

    listeners.route(settings, "POST", "/", answer)
    with pytest.raises(ConfigError, match="does not support auth"):
        await listeners.start()


async def test_a_reload_changes_who_is_known() -> None:
    """While a configuration is reloaded the old tokens count until the switch, then the new ones,
    at the same ports and on connections that are open."""
    handover = Handover()
    old, new = ({"authorization": f"Bearer {token}"} for token in ("old", "new"))
    with handover.lent():
        async with otlp(bearer(token="old")) as before:
            url = f"{before.http}/v1/traces"
            async with (
                aiohttp.ClientSession(headers=PROTOBUF) as session,
                otlp(bearer(token="new")) as after,
            ):
                assert (after.http, after.grpc) == (before.http, before.grpc)

                async def judged() -> list[object]:
                    """What both tokens are told over both protocols."""
                    told: list[object] = []
                    for token in (old, new):
                        async with session.post(url, data=BODY, headers=token) as response:
                            told += [response.status]
                        told += [(await call(before.grpc, token))[0].name]
                    return told

                assert await judged() == [200, "OK", 401, "UNAUTHENTICATED"]
                handover.switch()
                assert await judged() == [401, "UNAUTHENTICATED", 200, "OK"]
                assert (before.taken, after.taken) == (2, 2)


# ---- the other receivers ---------------------------------------------------------------------

OTHERS = {
    "litellm": (LITELLM, "/litellm"),
    "noveum logs": (NOVEUM, "/v1/logs/noveum"),
    "noveum traces": (NOVEUM, "/v1/traces"),
    "noveum gateway": (NOVEUM, "/ai-gateway-metrics/_doc"),
    "langfuse": (LANGFUSE, "/api/public/ingestion"),
    "langfuse otlp": (LANGFUSE, "/api/public/otel/v1/traces"),
    "langfuse health": (LANGFUSE, "/api/public/health"),
}


@pytest.mark.parametrize(("factory", "path"), OTHERS.values(), ids=OTHERS)
async def test_every_http_receiver(factory: Any, path: str) -> None:
    """No path of any receiver is open to strangers, and every one is to those who are known."""
    config = {"endpoint": ANY, "auth": TOKEN}
    async with receiving(factory, config, bearertokenauth=bearer()) as running:
        for headers in ({}, WRONG, basic("right", "")):
            assert (await post(running.http + path, headers, b"{}")).status == 401
        assert (await post(running.http + path, RIGHT, b"{}")).status != 401


async def test_authenticator_beside_own_keys() -> None:
    """A receiver's own keys are asked for in addition: each in its header."""
    config = {
        "endpoint": ANY,
        "auth": TOKEN,
        "projects": [{"name": "web", "public_key": "pk-1", "secret_key": "sk-1"}],
    }
    gate = bearer(token="right", header="X-Gate", scheme="")
    async with receiving(LANGFUSE, config, bearertokenauth=gate) as running:
        url = f"{running.http}/api/public/projects"
        own, pass_ = basic("pk-1", "sk-1"), {"X-Gate": "right"}
        for headers, status in (
            ({}, 401), (own, 401), (pass_, 401), ({**pass_, **basic("pk-1", "sk-2")}, 401),
            ({**pass_, **own}, 200),
        ):  # fmt: skip
            assert (await post(url, headers, b"", "GET")).status == status
