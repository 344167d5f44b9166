"""The one HTTP client of all exporters: bounded, without surprises.

Redirects are not followed (a POST with a key must not wander to another host), no cookies are
kept, no proxy or `.netrc` is taken from the environment, and no more than 4 MiB of an answer is
read. Whatever goes wrong below HTTP is a `Retryable` that names the host and no more: paths and
headers may hold secrets. What a status code means is not decided here.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Annotated, Final, Literal, Protocol, Self, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from genai_collector import __version__
from genai_collector.component import ClientAuth, Config, Duration
from genai_collector.errors import Permanent, Retryable
from genai_collector.transport.authentication import AuthConfig, secrets_of_url, without_secrets
from genai_collector.transport.compression import IDENTITY, LARGE_BODY_BYTES, compress
from genai_collector.transport.renewed import Renewed
from genai_collector.transport.tls import ClientTLS, client_context

MAX_RESPONSE_BYTES: Final = 4 * 1024 * 1024
_PIECE: Final = 256 * 1024
USER_AGENT: Final = f"genai-collector/{__version__}"


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        complete = False
    if url and not complete:
        raise ValueError("expected a URL such as https://host:4318")
    return url


Url = Annotated[str, AfterValidator(_check_url)]
"""`http://` or `https://` with a host; empty = not given."""


def _compression_name(value: object) -> object:
    # otelcol's other names for the same things.
    return {"zlib": "deflate", "": "none"}.get(value, value) if isinstance(value, str) else value


Compression: TypeAlias = Annotated[
    Literal["gzip", "zstd", "deflate", "none"], BeforeValidator(_compression_name)
]


_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_HEADER: Final = re.compile(r"[\0\r\n]")


def _check_headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a header")
        if _NOT_IN_A_HEADER.search(value.get_secret_value()):
            raise ValueError(f"the value of {name} has a line break in it")
    return headers


class CompressionParams(Config):
    level: int | None = Field(default=None, ge=-7, le=22)
    """Of the compression; by default gzip and deflate 1, zstd 3: speed before size."""


class HttpClientConfig(Config):
    """How a destination is reached over HTTP. The keys are otelcol's."""

    endpoint: Url = ""
    """Base URL, `https://host:4318`."""
    headers: Annotated[dict[str, SecretStr], AfterValidator(_check_headers)] = Field(
        default_factory=dict
    )
    """Sent with every request; values are never shown."""
    auth: AuthConfig | None = None
    """Whose credentials go with every request; they win over `headers`."""
    compression: Compression = "gzip"
    """Of request bodies."""
    compression_params: CompressionParams = CompressionParams()
    """Level of the compression."""
    tls: ClientTLS = ClientTLS()
    """For `https://` endpoints."""
    proxy_url: Url = ""
    """HTTP proxy to go through. Proxies named in the environment are not used."""
    connect_timeout: Duration = 10.0
    """Of one connection attempt; `0s` = none."""
    max_conns_per_host: int = Field(default=100, ge=1)
    """Open connections to the destination."""
    idle_conn_timeout: Duration = 90.0
    """How long an unused connection is kept."""

    @model_validator(mode="after")
    def _level_of_compression(self) -> Self:
        level = self.compression_params.level
        if self.compression in ("gzip", "deflate") and level is not None and not 0 <= level <= 9:
            raise ValueError(f"compression_params.level: {self.compression} has levels 0 to 9")
        return self


@dataclass(frozen=True, slots=True)
class Response:
    """What the destination answered, whatever the status."""

    status: int
    headers: Mapping[str, str] = field(default_factory=CIMultiDict[str])
    """Names in any case."""
    body: bytes = b""
    truncated: bool = False
    renewable: bool = False
    """The request had an authenticator's credentials, which may be others the next time."""
    """The answer was longer than 4 MiB; `body` is its beginning."""


class Transport(Protocol):
    """The only network seam of HTTP exporters."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
        """Raises Retryable if there was no answer."""
        ...


class HttpClient:
    """A `Transport` over aiohttp. An async context manager; knows no deadline for an answer,
    which is `delivery`'s to set."""

    def __init__(self, config: HttpClientConfig, auth: ClientAuth | None = None) -> None:
        self._config = config
        self._auth = auth
        self._headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        self._proxy = config.proxy_url or None
        self._server_name = config.tls.server_name_override or None
        self._session: aiohttp.ClientSession | None = None
        self._tls: Renewed[ssl.SSLContext] | None = None

    async def __aenter__(self) -> Self:
        config = self._config
        self._tls = await asyncio.to_thread(
            Renewed, config.tls, partial(client_context, config.tls), host_of(config.endpoint)
        )
        connector = aiohttp.TCPConnector(
            limit=0,
            limit_per_host=config.max_conns_per_host,
            keepalive_timeout=config.idle_conn_timeout,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=config.connect_timeout or None),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, **self._headers},
            auto_decompress=True,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
        """One request, one answer. `headers` win over configured ones of the same name, and the
        authenticator's over all."""
        assert self._session is not None, "enter the client first"
        assert self._tls is not None
        renewable = self._auth is not None
        if self._auth is not None:
            headers = CIMultiDict(headers)
            headers.update(self._auth.request_headers())
        try:
            async with self._session.post(
                url,
                data=_Body(body),
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
                ssl=self._tls.get(),  # another one gets connections of its own
                server_hostname=self._server_name,
            ) as answer:
                content, truncated = await _read(answer)
                content = without_secrets(content, self._secrets(url, headers))
                return Response(answer.status, answer.headers, content, truncated, renewable)
        except aiohttp.InvalidURL as exc:
            raise Permanent("the endpoint is no valid URL", reason="configuration") from exc
        except TimeoutError as exc:
            raise Retryable(f"{host_of(url)}: no connection in time") from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise Retryable(f"{host_of(url)}: {_what(exc)}") from exc

    def _secrets(self, url: str, headers: Mapping[str, str]) -> list[str]:
        """Values that were sent and that no log may have."""
        names = {*self._headers, "Authorization"}
        if self._auth is not None:
            names |= self._auth.request_headers().keys()
        found = CIMultiDict(self._headers)
        found.update(headers)
        sent = [found[name] for name in names if name in found]
        return [*sent, *secrets_of_url(url), *secrets_of_url(self._proxy or "")]


class _Body(aiohttp.Payload):
    """Bytes as they are, of any size, written piece by piece: the loop serves others in between
    when the destination is slower than we are."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._body = body

    @property
    def size(self) -> int:
        return len(self._body)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._body.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        view = memoryview(self._body)
        for at in range(0, len(view), _PIECE):
            await writer.write(view[at : at + _PIECE])


async def _read(answer: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """At most 4 MiB of the answer. A longer one is not read to its end: its connection closes."""
    pieces: list[bytes] = []
    size = 0
    async for piece in answer.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > MAX_RESPONSE_BYTES:
            answer.close()
            return b"".join(pieces)[:MAX_RESPONSE_BYTES], True
    return b"".join(pieces), False


def host_of(url: str) -> str:
    """`host:port` of a URL: what of it may be shown."""
    parts = urlsplit(url)
    host = parts.hostname or "?"
    return f"{host}:{parts.port}" if parts.port else host


def _what(exc: Exception) -> str:
    # aiohttp's own words may hold the whole URL, and a proxy's URL may hold a password.
    match exc:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            cause = exc.__cause__ or exc.__context__
            detail = getattr(cause, "verify_message", "") or type(exc).__name__
            return f"TLS failed ({detail})"
        case aiohttp.ClientConnectorDNSError():
            return "the name cannot be resolved"
        case aiohttp.ClientConnectorError():
            return f"no connection ({exc.os_error.strerror or 'failed'})"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection without an answer"
        case aiohttp.ClientPayloadError():
            return "the answer broke off"
        case OSError():
            return f"the connection failed ({exc.strerror or type(exc).__name__})"
        case _:
            return f"the request failed ({type(exc).__name__})"


async def compress_body(
    body: bytes, compression: str, level: int | None = None
) -> tuple[bytes, dict[str, str]]:
    """The body as it goes over the wire, and the header that says so. Large ones are compressed
    in a thread, so that the event loop stays free."""
    if compression in IDENTITY:
        return body, {}
    if len(body) >= LARGE_BODY_BYTES:
        body = await asyncio.to_thread(compress, compression, body, level)
    else:
        body = compress(compression, body, level)
    return body, {"Content-Encoding": compression}
