"""OTLP over gRPC: generic handlers without (de)serializers, so that bytes stay bytes.

gRPC's own decompression is switched off: it would blow a message up before any limit of ours is
asked, on the event loop, and forget the compressed form. Messages are decompressed here instead.

While a configuration is reloaded, the new receiver takes over the old one's server if it asks for
the same (`component.handover`): no connection ends. Otherwise both listen for a moment, and the
clients of the old one are told to connect again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NamedTuple, TypeAlias

import grpc

from genai_collector.component import ServerAuth
from genai_collector.component.handover import Place, find
from genai_collector.errors import ConfigError, PipelineError
from genai_collector.model import Signal
from genai_collector.receivers._http import refusal_of
from genai_collector.receivers.otlp.config import KeepaliveConfig, OtlpGrpcConfig
from genai_collector.receivers.otlp.grpc_access import OnlyKnown, abort
from genai_collector.receivers.otlp.grpc_reading import Messages
from genai_collector.receivers.otlp.ingest import Ingest, guess_encoding
from genai_collector.receivers.otlp.status import success_protobuf
from genai_collector.transport.http_body import BodyTimeout
from genai_collector.transport.renewed import Renewed
from genai_collector.transport.rpc_status import OTHER, REASONS, Refusal
from genai_collector.transport.sockets import Endpoint, address_of, bind, parse_endpoint
from genai_collector.transport.tls import server_certificates, server_credentials
from genai_collector.transport.unexpected import UnexpectedErrors

_SERVICES: Final = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
}

_TRIES_FOR_A_FREE_PORT: Final = 5
_KIND: Final = "grpc"

# Measured on 1.7 MB requests: large frames and a large window, without probing for one, halve the
# CPU of receiving. so_reuseport lets a new configuration listen beside the old one; that no other
# process has the port is asked before.
_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.http2.max_frame_size", 4 * 1024 * 1024),
    ("grpc.http2.lookahead_bytes", 8 * 1024 * 1024),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.so_reuseport", 1),
    ("grpc.per_message_decompression", 0),
    ("grpc.server_handshake_timeout_ms", 10_000),
)


def channel_options(config: OtlpGrpcConfig) -> list[tuple[str, int]]:
    """The server's options in the library's own names."""
    options = [*_OPTIONS, ("grpc.max_receive_message_length", config.max_message_bytes)]
    if config.max_concurrent_streams:
        options.append(("grpc.max_concurrent_streams", config.max_concurrent_streams))
    if config.max_connections:
        options.append(("grpc.max_allowed_incoming_connections", config.max_connections))
    return options + _keepalive_options(config.keepalive)


def _keepalive_options(keepalive: KeepaliveConfig) -> list[tuple[str, int]]:
    server, policy = keepalive.server_parameters, keepalive.enforcement_policy
    seconds = {
        "grpc.max_connection_idle_ms": server.max_connection_idle,
        "grpc.max_connection_age_ms": server.max_connection_age,
        "grpc.max_connection_age_grace_ms": server.max_connection_age_grace,
        "grpc.keepalive_time_ms": server.time,
        "grpc.keepalive_timeout_ms": server.timeout,
        "grpc.http2.min_ping_interval_without_data_ms": policy.min_time,
    }
    options = [(name, int(value * 1000)) for name, value in seconds.items() if value is not None]
    if policy.permit_without_stream is not None:
        options.append(("grpc.keepalive_permit_without_calls", int(policy.permit_without_stream)))
    return options


class OtlpGrpcServer:
    """The gRPC listener: one service per signal that has a consumer, UNIMPLEMENTED for the rest."""

    def __init__(
        self,
        config: OtlpGrpcConfig,
        ingests: Mapping[Signal, Ingest],
        log: logging.Logger,
        option: str,
        auth: ServerAuth | None = None,
    ) -> None:
        self._config = config
        self.auth = auth
        self._option = option
        messages = Messages(config)
        exports = {
            signal: _Export(ingest, messages, config.endpoint, UnexpectedErrors(log))
            for signal, ingest in ingests.items()
        }
        self._exports = list(exports.values())
        self._methods = {
            f"/{_SERVICES[signal]}/Export": grpc.stream_unary_rpc_method_handler(export.export)
            for signal, export in exports.items()
        }
        endpoint = parse_endpoint(config.endpoint)
        # Port 0 is another port for everybody who asks; only the same asker may keep it.
        self._address = (endpoint, "" if endpoint.port else option)
        self._place: _Place | None = None

    @property
    def addresses(self) -> list[Endpoint]:
        """Where it listens; empty while closed."""
        return self._place.opened.addresses if self._place is not None else []

    def method(self, name: str) -> Any:
        """The handler of a method by its full name, if this one has it."""
        return self._methods.get(name)

    async def start(self) -> None:
        """Listen. Raises ConfigError naming the option at fault."""
        there: _Place | None = find(_KIND, self._address)
        if there is not None and there.opened_with(self._config):
            there.join(self)
            self._place = there
            return
        services = _Services()
        guards = [OnlyKnown(services.auth)] if self.auth is not None else []
        server = grpc.aio.server(interceptors=guards, options=channel_options(self._config))
        server.add_generic_rpc_handlers((services,))
        held = there.opened.addresses if there is not None else []
        addresses = self._add_ports(server, held)
        opened = _Opened(server, addresses)
        place: _Place = Place(_KIND, self._address, self._config, opened, self)
        services.place = place
        try:
            await server.start()
        except BaseException:
            place.leave(self)
            raise
        self._place = place

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, let running ones finish for `grace_s` seconds, then close. A server
        that somebody else has taken over goes on."""
        place, self._place = self._place, None
        if place is None:
            return
        if place.leave(self):
            await place.opened.server.stop(grace_s)
            return
        running = [task for export in self._exports for task in export.running]
        if running:
            await asyncio.wait(running, timeout=grace_s)

    def _add_ports(self, server: grpc.aio.Server, held: list[Endpoint]) -> list[Endpoint]:
        credentials = self._credentials()
        endpoint = parse_endpoint(self._config.endpoint)
        for tries_left in reversed(range(_TRIES_FOR_A_FREE_PORT)):
            # gRPC is content if one of several addresses is free, shares a port with another
            # process in silence, and says little if none is free. So the addresses are tried first,
            # and gRPC is given those that could be had (or that this process has).
            addresses = held or self._free_addresses(endpoint)
            try:
                for address in addresses:
                    _add_port(server, str(address), credentials)
            except RuntimeError as exc:
                if endpoint.port or not tries_left:
                    raise ConfigError(
                        f"cannot listen on {endpoint}; choose another in {self._option}"
                    ) from exc
            else:
                return list(addresses)
        raise AssertionError("the last try returns or raises")

    def _free_addresses(self, endpoint: Endpoint) -> list[Endpoint]:
        sockets = bind(endpoint, option=self._option)
        addresses = [address_of(sock) for sock in sockets]
        for sock in sockets:
            sock.close()
        return addresses

    def _credentials(self) -> grpc.ServerCredentials | None:
        try:
            if self._config.tls is None:
                return None
            tls = self._config.tls
            renewed = Renewed(tls, partial(server_certificates, tls), self._option)
            return server_credentials(tls, renewed.get)
        except ConfigError as exc:
            raise ConfigError(f"{self._option}: {exc}") from exc


class _Opened(NamedTuple):
    server: grpc.aio.Server
    addresses: list[Endpoint]


_Place: TypeAlias = Place[_Opened, OtlpGrpcServer]


class _Services(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Asks whoever serves now."""

    place: _Place | None = None

    def service(self, details: Any) -> Any:
        return self.place.serving.method(details.method) if self.place is not None else None

    def auth(self) -> ServerAuth | None:
        """Who knows whose calls these may be."""
        return self.place.serving.auth if self.place is not None else None


def _add_port(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None
) -> None:
    if credentials is None:
        server.add_insecure_port(address)
    else:
        server.add_secure_port(address, credentials)


class _Export:
    """The `Export` method of one signal."""

    def __init__(
        self, ingest: Ingest, messages: Messages, endpoint: str, unexpected: UnexpectedErrors
    ) -> None:
        self._ingest = ingest
        self._messages = messages
        self._endpoint = endpoint
        self._unexpected = unexpected
        self.running: set[asyncio.Task[Any]] = set()
        """Who waits for an answer."""

    async def export(self, _messages: object, call: grpc.aio.ServicerContext) -> bytes:
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        try:
            return await self._export(call)
        finally:
            self.running.discard(task)

    async def _export(self, call: grpc.aio.ServicerContext) -> bytes:
        ingest = self._ingest
        try:
            with self._messages.begin(), ingest.admit(0):
                message = await self._messages.read(call)
                with ingest.admit(len(message)):
                    return await self._take(message)
        except PipelineError as exc:
            refusal = refusal_of(exc)
        except BodyTimeout as exc:
            refusal = Refusal(HTTPStatus.REQUEST_TIMEOUT, str(exc))
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # a bug must not look like gRPC's UNKNOWN, which clients drop
            self._unexpected.report(f"gRPC {ingest.signal}", exc)
            refusal = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
        ingest.refused_request(self._endpoint, REASONS.get(refusal.http, OTHER))
        return await abort(call, refusal)

    async def _take(self, message: bytes) -> bytes:
        acceptance = await self._ingest.take_protobuf(message, guess_encoding(message))
        return success_protobuf(self._ingest.signal, acceptance)
