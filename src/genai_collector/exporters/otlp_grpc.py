"""otlp_grpc: OTLP over gRPC to any OTLP backend.

    exporters:
      otlp_grpc:
        endpoint: backend:4317          # http:// and https:// choose TLS, as tls.insecure does
        headers: {authorization: "Bearer ${env:TOKEN}"}

A generic call with identity serializers: a batch that nobody changed goes out in the bytes it
came in.

The channel is gRPC's threaded one, not `grpc.aio`: gRPC compresses while a call is started, at a
level nobody can choose (30 ms per MB), and only the threaded one lets that happen in a thread that
does not hold the interpreter lock. Per call it costs about 0.3 ms more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

import grpc
from pydantic import BeforeValidator, Field, SecretStr, field_validator

from genai_collector import __version__
from genai_collector.component import Config, Context, Duration, ExporterFactory, Sent
from genai_collector.delivery import BatchConfig, DeliveryConfig, QueueConfig, SizeWithUnit
from genai_collector.delivery.grpc_errors import grpc_error
from genai_collector.errors import Retryable
from genai_collector.exporters._otlp import sent_of_protobuf
from genai_collector.model import Batch, Signal
from genai_collector.transport.authentication import AuthConfig, client_auth, without_secrets
from genai_collector.transport.compression import LARGE_BODY_BYTES
from genai_collector.transport.renewed import Renewed
from genai_collector.transport.tls import ClientTLS, channel_credentials

_METHODS: Final = {
    Signal.TRACES: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    Signal.METRICS: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    Signal.LOGS: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_COMPRESSIONS: Final = {"gzip": grpc.Compression.Gzip, "none": grpc.Compression.NoCompression}
_MAX_RESPONSE_BYTES: Final = 4 * 1024 * 1024


def _grpc_compression(value: object) -> object:
    if value in ("zstd", "snappy"):
        raise ValueError(f"gRPC in Python has no {value}: use gzip or none, or otlp_http for zstd")
    return "none" if value == "" else value


class KeepaliveConfig(Config):
    """Pings that find out whether an idle connection still lives."""

    time: Duration = 10.0
    """Of silence, before a ping is sent."""
    timeout: Duration = 10.0
    """For its answer, before the connection is closed."""
    permit_without_stream: bool = False
    """Ping also when no request is open; servers may take offence."""


class OtlpGrpcBatchConfig(BatchConfig):
    max_size: SizeWithUnit = 4 * 1024 * 1024
    """Bytes at which a request is split. The default is what gRPC servers accept by default."""


class OtlpGrpcQueueConfig(QueueConfig):
    batch: OtlpGrpcBatchConfig | None = OtlpGrpcBatchConfig()
    """Merging and splitting between queue and request; `null` turns it off."""


class OtlpGrpcConfig(DeliveryConfig):
    """Where to, and how."""

    endpoint: str = Field(min_length=1)
    """`host:port` or `dns:///host:port` (TLS unless `tls.insecure`), `http://host:port` or
    `https://host:port`."""
    sending_queue: OtlpGrpcQueueConfig = OtlpGrpcQueueConfig()
    """The bounded queue, its workers and their batching; `null` is `enabled: false`."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Sent as metadata with every call; values are never shown."""
    auth: AuthConfig | None = None
    """Whose credentials go with every call; they win over `headers`."""
    compression: Annotated[Literal["gzip", "none"], BeforeValidator(_grpc_compression)] = "gzip"
    """Of requests."""
    tls: ClientTLS = ClientTLS()
    """TLS towards the destination; `insecure: true` for plaintext."""
    keepalive: KeepaliveConfig | None = None
    """Pings on an idle connection; off by default."""
    wait_for_ready: bool = False
    """Let a request wait for the connection instead of failing and being retried."""
    balancer_name: Literal["round_robin", "pick_first"] = "round_robin"
    """How requests are spread over the addresses of the endpoint's name."""

    @field_validator("endpoint")
    @classmethod
    def _has_port(cls, endpoint: str) -> str:
        _target(endpoint)
        return endpoint

    @field_validator("headers")
    @classmethod
    def _valid_keys(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name in headers:
            if not name.isascii() or not name or any(c.isspace() or c == ":" for c in name):
                raise ValueError(f"{name!r} is no name for a header")
        return headers


def _target(endpoint: str) -> tuple[str, bool | None]:
    """What gRPC dials, and whether the scheme asks for TLS (None: it does not say)."""
    if "://" not in endpoint:
        parts = urlsplit(f"//{endpoint}")
        if not parts.hostname or parts.port is None or parts.path:
            raise ValueError("expected host:port, http://host:port or https://host:port")
        return endpoint, None
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https"):
        return endpoint, None  # gRPC's own schemes: dns, unix, ipv4 ...
    if not parts.hostname or parts.path not in ("", "/"):
        raise ValueError("expected http://host:port or https://host:port, without a path")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    secure = parts.scheme == "https"
    return f"{host}:{parts.port or (443 if secure else 80)}", secure


def _options(config: OtlpGrpcConfig) -> list[tuple[str, Any]]:
    """Channel options. Frame size, lookahead and no bandwidth probing halve the cost of large
    messages; reconnecting is never put off for long, because our own retry already waits."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", _MAX_RESPONSE_BYTES),
        ("grpc.http2.max_frame_size", 4 * 1024 * 1024),
        ("grpc.http2.lookahead_bytes", 8 * 1024 * 1024),
        ("grpc.http2.bdp_probe", 0),
        ("grpc.initial_reconnect_backoff_ms", 500),
        ("grpc.max_reconnect_backoff_ms", 5000),
        ("grpc.lb_policy_name", config.balancer_name),
        ("grpc.primary_user_agent", f"genai-collector/{__version__}"),
        ("grpc.enable_retries", 0),
    ]
    if config.keepalive is not None:
        options += [
            ("grpc.keepalive_time_ms", int(config.keepalive.time * 1000)),
            ("grpc.keepalive_timeout_ms", int(config.keepalive.timeout * 1000)),
            ("grpc.keepalive_permit_without_calls", int(config.keepalive.permit_without_stream)),
        ]
    if config.tls.server_name_override:
        options.append(("grpc.ssl_target_name_override", config.tls.server_name_override))
    return options


class _Wire:
    """A channel with its methods. One that is retired closes when its last call has ended."""

    def __init__(self, channel: grpc.Channel, credentials: grpc.ChannelCredentials | None) -> None:
        self.credentials = credentials
        self.calls = {
            signal: channel.unary_unary(method, request_serializer=None, response_deserializer=None)
            for signal, method in _METHODS.items()
        }
        self._channel = channel
        self._running = 0
        self._retired = False

    def __enter__(self) -> Self:
        self._running += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._running -= 1
        if self._retired and not self._running:
            self._close_soon()

    def retire(self) -> None:
        self._retired = True
        if not self._running:
            self._close_soon()

    async def close(self) -> None:
        """At once."""
        await asyncio.to_thread(self._channel.close)

    def _close_soon(self) -> None:
        asyncio.get_running_loop().run_in_executor(None, self._channel.close)


class OtlpGrpc:
    def __init__(self, config: OtlpGrpcConfig, context: Context) -> None:
        self._config = config
        self._target, secure = _target(config.endpoint)
        self._secure = not config.tls.insecure if secure is None else secure
        self._metadata = [(k.lower(), v.get_secret_value()) for k, v in config.headers.items()]
        self._auth = client_auth(config.auth, context)
        self._compresses = config.compression != "none"
        self._credentials: Renewed[grpc.ChannelCredentials] | None = None
        self._wire: _Wire | None = None

    async def __aenter__(self) -> Self:
        tls = self._config.tls
        if self._secure:
            make = partial(channel_credentials, tls)
            self._credentials = await asyncio.to_thread(Renewed, tls, make, self._target)
        self._wire = self._dial(self._credentials.get() if self._credentials else None)
        return self

    def _dial(self, credentials: grpc.ChannelCredentials | None) -> _Wire:
        options, compression = _options(self._config), _COMPRESSIONS[self._config.compression]
        if credentials is None:
            channel = grpc.insecure_channel(self._target, options, compression)
        else:
            channel = grpc.secure_channel(self._target, credentials, options, compression)
        return _Wire(channel, credentials)

    def _newest(self) -> _Wire:
        """The wire with the certificates of now; the one before ends with its last call."""
        assert self._wire is not None, "enter the exporter first"
        if self._credentials is not None:
            credentials = self._credentials.get()
            if credentials is not self._wire.credentials:
                self._wire.retire()
                self._wire = self._dial(credentials)
        return self._wire

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.close()

    async def export(self, batch: Batch, /) -> Sent:
        with self._newest() as wire:
            return await self._export(batch, wire)

    async def _export(self, batch: Batch, wire: _Wire) -> Sent:
        body = batch.encoded()
        metadata = self._call_metadata()
        start = partial(
            wire.calls[batch.signal].future,
            body,
            timeout=self._config.timeout or None,
            metadata=metadata,
            wait_for_ready=self._config.wait_for_ready,
        )
        large = self._compresses and len(body) >= LARGE_BODY_BYTES
        call = await _started_in_thread(start) if large else start()
        try:
            answer = without_secrets(await _answer(call), [value for _, value in metadata])
            return sent_of_protobuf(batch.signal, batch.count, answer)
        except grpc.FutureCancelledError as exc:
            raise Retryable(f"{self._target}: the request was cancelled") from exc
        except grpc.RpcError as exc:
            raise grpc_error(
                exc.code(),
                _hidden(exc.details(), metadata),
                exc.trailing_metadata(),
                self._target,
                renewable=self._auth is not None,
            ) from exc

    def _call_metadata(self) -> list[tuple[str, str]]:
        """The configured headers, and the authenticator's as of now in place of its namesakes."""
        if self._auth is None:
            return self._metadata
        own = {name.lower(): value for name, value in self._auth.request_headers().items()}
        return [pair for pair in self._metadata if pair[0] not in own] + list(own.items())


def _hidden(details: str | None, metadata: list[tuple[str, str]]) -> str:
    sent = [value for _, value in metadata]
    return without_secrets((details or "").encode(), sent).decode("utf-8", "replace")


async def _started_in_thread(start: Callable[[], Any]) -> Any:
    """The call, compressed and on its way. If nobody waits any more it is cancelled."""
    starting = asyncio.get_running_loop().run_in_executor(None, start)
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(_cancel_call)
        raise


def _cancel_call(starting: asyncio.Future[Any]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result().cancel()


async def _answer(call: Any) -> bytes:
    """The answer of a running call, without holding up the loop. Cancels it if cancelled."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def tell(_call: object) -> None:
        with suppress(RuntimeError):  # the loop may be gone at the very end
            loop.call_soon_threadsafe(done.set)

    call.add_done_callback(tell)
    try:
        await done.wait()
    except asyncio.CancelledError:
        call.cancel()
        raise
    answer: bytes = call.result()
    return answer


FACTORY = ExporterFactory("otlp_grpc", OtlpGrpcConfig, OtlpGrpc, aliases=("otlp",))
