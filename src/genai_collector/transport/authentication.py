"""Who may come in, and with what we go out: the `auth` option of listeners and destinations.

The option names an extension, which knows; here is what asks it. Also here is how secrets are
compared: as digests under a key that nobody has, so that neither length nor content shows in time.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from aiohttp import web
from pydantic import Field

from genai_collector.component import ClientAuth, Config, Context, ServerAuth
from genai_collector.errors import Retryable, Unauthenticated
from genai_collector.transport.rpc_status import Refusal, refuse

CHALLENGE: Final = "WWW-Authenticate"
_OPTION: Final = "auth.authenticator"
_DEFAULT_RETRY_AFTER_S: Final = 1.0
_SHORTEST_SECRET: Final = 6
_KEY: Final = secrets.token_bytes(32)


class AuthConfig(Config):
    """An extension that knows who may send, or that has credentials for a destination."""

    authenticator: str = Field(min_length=1)
    """Its id in `service.extensions`, such as `basicauth` or `bearertokenauth/ingest`."""


def server_auth(auth: AuthConfig | None, context: Context, where: str = "") -> ServerAuth | None:
    """What a listener asks; None if everybody may send. `where` is the path of the listener's
    options below the component's, for messages. Raises ConfigError."""
    if auth is None:
        return None
    option = f"{where}.{_OPTION}" if where else _OPTION
    return context.extension(auth.authenticator, ServerAuth, option)


def client_auth(auth: AuthConfig | None, context: Context) -> ClientAuth | None:
    """What has the credentials for a destination; None if they are not wanted. Raises
    ConfigError."""
    return context.extension(auth.authenticator, ClientAuth, _OPTION) if auth else None


def refusal_of(error: Unauthenticated | Retryable) -> Refusal:
    """What is told to whom an authenticator turned away, or could not look at now."""
    if isinstance(error, Unauthenticated):
        return Refusal(HTTPStatus.UNAUTHORIZED, str(error))
    wait = _DEFAULT_RETRY_AFTER_S if error.retry_after is None else error.retry_after
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error), wait)


async def refuse_stranger(auth: ServerAuth, request: web.BaseRequest) -> web.Response | None:
    """The answer to a request that may not come in; None if it may. Reads nothing but headers."""
    try:
        await auth.authenticate(request.headers)
    except (Unauthenticated, Retryable) as exc:
        refusal = refusal_of(exc)
        stranger = refusal.http is HTTPStatus.UNAUTHORIZED
        return refuse(request, refusal, {CHALLENGE: auth.challenge} if stranger else None)
    return None


def without_secrets(text: bytes, sent: Iterable[str]) -> bytes:
    """What a destination says, without what we sent in these headers: some repeat a key that they
    do not know. A password inside Basic credentials is one of them. The length stays, so that an
    answer in protobuf can still be read."""
    for value in sent:
        scheme, _, credentials = value.partition(" ")
        words = {value, credentials}
        if scheme.lower() == "basic":
            words.add(_password(credentials))
        for word in sorted(words | _as_written(words), key=len, reverse=True):
            if len(word) >= _SHORTEST_SECRET:
                secret = word.encode("utf-8", "replace")
                text = text.replace(secret, b"*" * len(secret))
    return text


def secrets_of_url(url: str) -> list[str]:
    """What an address says that is nobody else's business, as `without_secrets` takes it: user and
    password, and the values of its query."""
    if "@" not in url and "?" not in url:
        return []
    parts = urlsplit(url)
    found = [value for _, value in parse_qsl(parts.query)]
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        found += [f"Basic {base64.b64encode(login.encode()).decode()}"]
    return found


def _as_written(words: Iterable[str]) -> set[str]:
    """The same as some write them in JSON and in addresses."""
    return {form for word in words for form in (word.replace("/", r"\/"), quote(word, safe=""))}


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials).decode().partition(":")[2]
    except ValueError:
        return ""


def fingerprint(secret: bytes) -> bytes:
    """A digest that stands for a secret in this process, and means nothing outside of it."""
    return hmac.digest(_KEY, secret, "sha256")


def find(
    secret: bytes,
    fingerprints: Sequence[bytes],
    compare: Callable[[bytes, bytes], bool] = hmac.compare_digest,
) -> int | None:
    """The place of the first fingerprint that is this secret's. All of them are compared, each in
    constant time, so that the time taken tells nothing of them."""
    mine = fingerprint(secret)
    matches = [compare(mine, one) for one in fingerprints]
    return matches.index(True) if any(matches) else None
