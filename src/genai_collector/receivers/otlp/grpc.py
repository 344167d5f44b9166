"""OTLP over gRPC: generic handlers without (de)serializers, so that bytes stay bytes.

gRPC's own decompression is switched off: it would blow a message up before any limit of ours is
asked, on the event loop, and forget the compressed form. Messages are decompressed here instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NoReturn

import grpc

from genai_collector.errors import ConfigError, PipelineError
from genai_collector.model import Signal
from genai_collector.receivers._http import refusal_of
from genai_collector.receivers.otlp.config import KeepaliveConfig, OtlpGrpcConfig
from genai_collector.receivers.otlp.ingest import Ingest, guess_encoding
from genai_collector.receivers.otlp.status import success_protobuf
from genai_collector.transport.rpc_status import Refusal, encode_protobuf
from genai_collector.transport.sockets import Endpoint, address_of, bind, parse_endpoint
from genai_collector.transport.tls import server_credentials
from genai_collector.transport.unexpected import UnexpectedErrors

_SERVICES: Final = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
}

_DETAILS_TRAILER: Final = "grpc-status-details-bin"
_TRIES_FOR_A_FREE_PORT: Final = 5

# Measured on 1.7 MB requests: large frames and a large window, without probing for one, halve the
# CPU of receiving. With so_reuseport a second collector would share a taken port in silence.
_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.http2.max_frame_size", 4 * 1024 * 1024),
    ("grpc.http2.lookahead_bytes", 8 * 1024 * 1024),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.so_reuseport", 0),
    ("grpc.per_message_decompression", 0),
)


def channel_options(config: OtlpGrpcConfig) -> list[tuple[str, int]]:
    """The server's options in the library's own names."""
    options = [*_OPTIONS, ("grpc.max_receive_message_length", config.max_message_bytes)]
    if config.max_concurrent_streams:
        options.append(("grpc.max_concurrent_streams", config.max_concurrent_streams))
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
    ) -> None:
        self._config = config
        self._ingests = ingests
        self._option = option
        self._unexpected = UnexpectedErrors(log)
        self._server: grpc.aio.Server | None = None
        self.addresses: list[Endpoint] = []

    async def start(self) -> None:
        """Listen. Raises ConfigError naming the option at fault."""
        server = grpc.aio.server(options=channel_options(self._config))
        for signal, ingest in self._ingests.items():
            export = _Export(ingest, self._unexpected).export
            method = grpc.unary_unary_rpc_method_handler(export)
            handler = grpc.method_handlers_generic_handler(_SERVICES[signal], {"Export": method})
            server.add_generic_rpc_handlers((handler,))
        self.addresses = self._add_ports(server)
        await server.start()
        self._server = server

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, let running ones finish for `grace_s` seconds, then close."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(grace_s)
        self.addresses = []

    def _add_ports(self, server: grpc.aio.Server) -> list[Endpoint]:
        credentials = self._credentials()
        endpoint = parse_endpoint(self._config.endpoint)
        for tries_left in reversed(range(_TRIES_FOR_A_FREE_PORT)):
            # gRPC is content if one of several addresses is free, and says little if none is. So
            # the addresses are tried first, and gRPC is given those that could be had.
            sockets = bind(endpoint, option=self._option)
            addresses = [address_of(sock) for sock in sockets]
            for sock in sockets:
                sock.close()
            try:
                for address in addresses:
                    _add_port(server, str(address), credentials)
            except RuntimeError as exc:
                if endpoint.port or not tries_left:
                    raise ConfigError(
                        f"cannot listen on {endpoint}; choose another in {self._option}"
                    ) from exc
            else:
                return addresses
        raise AssertionError("the last try returns or raises")

    def _credentials(self) -> grpc.ServerCredentials | None:
        try:
            return server_credentials(self._config.tls) if self._config.tls else None
        except ConfigError as exc:
            raise ConfigError(f"{self._option}: {exc}") from exc


def _add_port(
    server: grpc.aio.Server, address: str, credentials: grpc.ServerCredentials | None
) -> None:
    if credentials is None:
        server.add_insecure_port(address)
    else:
        server.add_secure_port(address, credentials)


class _Export:
    """The `Export` method of one signal."""

    def __init__(self, ingest: Ingest, unexpected: UnexpectedErrors) -> None:
        self._ingest = ingest
        self._unexpected = unexpected

    async def export(self, message: bytes, call: grpc.aio.ServicerContext) -> bytes:
        ingest = self._ingest
        try:
            with ingest.admit(len(message)):
                acceptance = await ingest.take_protobuf(message, guess_encoding(message))
                return success_protobuf(ingest.signal, acceptance)
        except PipelineError as exc:
            refusal = refusal_of(exc)
        except asyncio.CancelledError:
            raise
        except Exception as exc:  # a bug must not look like gRPC's UNKNOWN, which clients drop
            self._unexpected.report(f"gRPC {ingest.signal}", exc)
            refusal = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
        return await _abort(call, refusal)


async def _abort(call: grpc.aio.ServicerContext, refusal: Refusal) -> NoReturn:
    trailers = ((_DETAILS_TRAILER, encode_protobuf(refusal)),)
    await call.abort(refusal.code, refusal.message, trailing_metadata=trailers)
    raise AssertionError("abort raises")
