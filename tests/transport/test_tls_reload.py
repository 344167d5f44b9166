"""Certificates that are replaced on disk, seen by real handshakes at every listener and client."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import web

from genai_collector.errors import ConfigError, Retryable
from genai_collector.exporters.otlp_grpc import OtlpGrpc, OtlpGrpcConfig
from genai_collector.model import Signal
from genai_collector.transport.http_client import HttpClient, HttpClientConfig
from genai_collector.transport.renewed import Renewed
from genai_collector.transport.tls import ClientTLS, ServerTLS, client_context, server_context
from tests.exporters.test_otlp_grpc import batch_for
from tests.receivers.harness import METHODS, Running, protobuf_request, receiving
from tests.support.fakes import FakeClock, make_context
from tests.transport.certs import Authority, Pair

PATIENCE_S = 10
OFTEN = "1ms"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:
    """The one of before and the one of after."""
    folder = tmp_path_factory.mktemp("cas")
    return Authority(folder, "before"), Authority(folder, "after")


class Disk:
    """The files that a configuration names. They are replaced as tools do it: by renaming."""

    def __init__(self, folder: Path) -> None:
        self.cert = str(folder / "used.pem")
        self.key = str(folder / "used.key")
        self.ca = str(folder / "used-ca.pem")

    def put(self, pair: Pair) -> None:
        _replace(self.cert, Path(pair.cert).read_bytes())
        _replace(self.key, Path(pair.key).read_bytes())

    def put_ca(self, *authorities: Authority) -> None:
        _replace(self.ca, b"".join(Path(one.cert).read_bytes() for one in authorities))

    def break_cert(self) -> None:
        _replace(self.cert, b"-----BEGIN CERTIFICATE-----\nnonsense\n")


def _replace(path: str, content: bytes) -> None:
    Path(f"{path}.new").write_bytes(content)
    Path(f"{path}.new").replace(path)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


async def shown(address: str) -> str:
    """The certificate that a server shows, PEM."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)))


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask with one connection after the other, until it holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():
            pass


def pem(pair: Pair) -> str:
    return Path(pair.cert).read_text()


@asynccontextmanager
async def doors(disk: Disk, **tls: Any) -> AsyncIterator[Running]:
    """An OTLP receiver with TLS on both transports."""
    section = {"cert_file": disk.cert, "key_file": disk.key, "reload_interval": OFTEN, **tls}
    one = {"endpoint": "127.0.0.1:0", "tls": section}
    async with receiving({"http": one, "grpc": one}) as running:
        yield running


async def test_listeners_show_the_new_certificate(
    disk: Disk, authorities: tuple[Authority, Authority]
) -> None:
    """HTTPS and gRPC: the next connection sees the new certificate; a broken one changes nothing,
    and when it is whole again it is used."""
    authority, _ = authorities
    first, second, third = (authority.issue(name) for name in ("one", "two", "three"))
    disk.put(first)
    async with doors(disk) as running:
        for address in (running.http, running.grpc):
            assert await shown(address) == pem(first)
        disk.put(second)
        for address in (running.http, running.grpc):

            async def is_new(address: str = address) -> bool:
                return await shown(address) == pem(second)

            await until(is_new)
        disk.break_cert()
        for address in (running.http, running.grpc):
            for _ in range(5):
                assert await shown(address) == pem(second)
        disk.put(third)
        for address in (running.http, running.grpc):

            async def is_newest(address: str = address) -> bool:
                return await shown(address) == pem(third)

            await until(is_newest)


async def test_open_connections_survive(
    disk: Disk, authorities: tuple[Authority, Authority]
) -> None:
    """A new certificate ends no connection that is open."""
    authority, _ = authorities
    disk.put(authority.issue("one"))
    async with doors(disk) as running:
        context = client_context(ClientTLS(ca_file=authority.cert))
        connector = aiohttp.TCPConnector(ssl=context, limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:
            await _post(session, running.url(Signal.TRACES))
            second = authority.issue("two")
            disk.put(second)

            async def is_new() -> bool:
                return await shown(running.http) == pem(second)

            await until(is_new)
            [pooled] = [one for many in connector._conns.values() for one, _ in many]
            await _post(session, running.url(Signal.TRACES))
            [still] = [one for many in connector._conns.values() for one, _ in many]
            assert still is pooled


async def _post(session: aiohttp.ClientSession, url: str) -> None:
    headers = {"Content-Type": "application/x-protobuf"}
    body = protobuf_request(Signal.TRACES)
    async with session.post(url, data=body, headers=headers) as response:
        assert response.status == 200
        await response.read()


async def test_listeners_trust_the_new_authority(
    disk: Disk, authorities: tuple[Authority, Authority], tmp_path: Path
) -> None:
    """mTLS: when the authority for clients is replaced, its clients come in and the others stay
    out, over HTTPS and gRPC."""
    before, after = authorities
    disk.put(before.issue("server"))
    disk.put_ca(before)
    clients = [before.issue("old-client"), after.issue("new-client")]
    async with doors(disk, client_ca_file=disk.ca) as running:
        for enters in (_enters_https, _enters_grpc):
            assert [await enters(running, before, pair) for pair in clients] == [True, False]
        disk.put_ca(after)
        for enters in (_enters_https, _enters_grpc):

            async def swapped(enters: Any = enters) -> bool:
                return [await enters(running, before, one) for one in clients] == [False, True]

            await until(swapped)


async def _enters_https(running: Running, authority: Authority, pair: Pair) -> bool:
    tls = ClientTLS(ca_file=authority.cert, cert_file=pair.cert, key_file=pair.key)
    connector = aiohttp.TCPConnector(ssl=client_context(tls))
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            await _post(session, running.url(Signal.TRACES))
        except (aiohttp.ClientError, OSError):
            return False
    return True


async def _enters_grpc(running: Running, authority: Authority, pair: Pair) -> bool:
    root, key, cert = (Path(path).read_bytes() for path in (authority.cert, pair.key, pair.cert))
    credentials = grpc.ssl_channel_credentials(root, key, cert)
    async with grpc.aio.secure_channel(running.grpc, credentials) as channel:
        try:
            await channel.unary_unary(METHODS[Signal.TRACES])(protobuf_request(Signal.TRACES))
        except grpc.aio.AioRpcError:
            return False
    return True


async def test_http_client_trusts_and_shows_what_is_new(
    disk: Disk, authorities: tuple[Authority, Authority]
) -> None:
    """HTTPS out: a new authority is trusted, and a new certificate of our own is shown, without a
    restart; what is broken is not used."""
    before, after = authorities
    told: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        subject = dict(pair[0] for pair in request.transport.get_extra_info("peercert")["subject"])
        told.append(str(subject["commonName"]))
        return web.Response()

    server_pair, one, two = after.issue("server"), after.issue("me-1"), after.issue("me-2")
    server_tls = ServerTLS(
        cert_file=server_pair.cert, key_file=server_pair.key, client_ca_file=after.cert
    )
    disk.put(one)
    disk.put_ca(before)
    tls = {"ca_file": disk.ca, "cert_file": disk.cert, "key_file": disk.key}
    server = await asyncio.get_running_loop().create_server(
        web.Server(answer), "127.0.0.1", 0, ssl=server_context(server_tls)
    )
    port = server.sockets[0].getsockname()[1]
    url = f"https://127.0.0.1:{port}"
    config = HttpClientConfig.model_validate(
        {"endpoint": url, "tls": {**tls, "reload_interval": OFTEN}}
    )
    async with server, HttpClient(config) as client:
        with pytest.raises(Retryable, match="TLS"):
            await client.post(url, b"", {})
        disk.put_ca(before, after)

        async def is_trusted() -> bool:
            try:
                return (await client.post(url, b"", {})).status == 200
            except Retryable:
                return False

        await until(is_trusted)
        disk.break_cert()
        assert await is_trusted()
        disk.put(two)

        async def shows_two() -> bool:
            return await is_trusted() and told[-1] == "me-2"

        await until(shows_two)
    assert set(told) == {"me-1", "me-2"}


async def test_grpc_client_trusts_what_is_new(
    disk: Disk, authorities: tuple[Authority, Authority]
) -> None:
    """gRPC out: a new authority is trusted without a restart; a running call ends well."""
    before, after = authorities
    started, gate = asyncio.Event(), asyncio.Event()

    async def export(body: bytes, _context: Any) -> bytes:
        if body == slow.encoded():
            started.set()
            await gate.wait()
        return b""

    slow = batch_for(Signal.LOGS)
    async with _grpc_server(export, before.issue("server")) as port:
        disk.put_ca(before)
        config = OtlpGrpcConfig.model_validate(
            {
                "endpoint": f"localhost:{port}",
                "tls": {"ca_file": disk.ca, "reload_interval": OFTEN},
            }
        )
        async with OtlpGrpc(config, make_context()) as out:
            running = asyncio.create_task(out.export(slow))
            await started.wait()
            disk.put_ca(after)  # nobody whom this server could come from

            async def is_refused() -> bool:
                try:
                    await out.export(batch_for(Signal.TRACES))
                except Retryable:
                    return True
                return False

            await until(is_refused)
            gate.set()
            assert (await running).items == slow.count
            disk.put_ca(before, after)

            async def is_taken() -> bool:
                return not await is_refused()

            await until(is_taken)


@asynccontextmanager
async def _grpc_server(export: Any, pair: Pair) -> AsyncIterator[int]:
    class Everything(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _details: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Everything(),))
    key, cert = Path(pair.key).read_bytes(), Path(pair.cert).read_bytes()
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(key, cert)]))
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


class Made:
    """Makes numbers, until told that the files are no good."""

    def __init__(self) -> None:
        self.count = 0
        self.fault = ""

    def __call__(self) -> int:
        if self.fault:
            raise ConfigError(self.fault)
        self.count += 1
        return self.count


def test_what_is_wrong_is_said_once(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    """Files are looked at no oftener than asked; what was good stays; each fault is one line; and
    it is tried again although the files did not change again."""
    clock, make = FakeClock(), Made()
    for path in (disk.cert, disk.key):
        _replace(path, b"1")
    tls = ServerTLS.model_validate({"cert_file": disk.cert, "key_file": disk.key})
    renewed = Renewed(tls, make, "receivers.otlp", clock)
    assert renewed.get() == 1
    _replace(disk.cert, b"2")
    clock.advance(59)
    assert renewed.get() == 1
    clock.advance(2)
    assert renewed.get() == 2
    make.fault = "tls: no certificate"
    _replace(disk.key, b"2")
    for _ in range(5):
        clock.advance(61)
        assert renewed.get() == 2
    assert caplog.text.count("tls: no certificate") == 1
    make.fault = ""
    clock.advance(61)
    assert renewed.get() == 3
    Path(disk.cert).unlink()
    for _ in range(5):
        clock.advance(61)
        assert renewed.get() == 3
    assert caplog.text.count(f"cannot read {disk.cert}") == 1


def test_reloading_can_be_switched_off(disk: Disk) -> None:
    """`reload_interval: 0s` never looks again, and `reload_client_ca_file: false` not at that."""
    clock, make = FakeClock(), Made()
    _replace(disk.cert, b"1")
    section = {"cert_file": disk.cert, "key_file": disk.cert}
    off = ServerTLS.model_validate({**section, "reload_interval": "0s"})
    renewed = Renewed(off, make, "here", clock)
    _replace(disk.cert, b"2")
    clock.advance(1e6)
    assert renewed.get() == 1
    partly = {**section, "client_ca_file": disk.ca, "reload_client_ca_file": False}
    assert disk.ca not in ServerTLS.model_validate(partly).files()
