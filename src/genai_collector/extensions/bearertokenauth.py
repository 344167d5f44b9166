"""bearertokenauth: a token in a header, to be asked for and to be sent. Keys are otelcol's.

    extensions:
      bearertokenauth:
        filename: /run/secrets/tokens      # or token: "${env:TOKEN}", or tokens: [...]

A listener takes any of the tokens; towards a destination the first one is sent. The file has one
per line and is looked at again when it changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import TracebackType
from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from genai_collector.component import Config, Context, ExtensionFactory
from genai_collector.extensions._from_file import FromFile
from genai_collector.extensions._turned_away import TurnedAway
from genai_collector.transport.authentication import find, fingerprint

MAX_VALUE_CHARS: Final = 16 * 1024
"""A header that is longer is refused unseen."""
_MAX_TOKENS: Final = 10_000
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_TOKEN: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


def _check_token(token: SecretStr) -> SecretStr:
    if not _TOKEN.fullmatch(token.get_secret_value()):
        raise ValueError("a token is empty, or has characters that a header cannot carry")
    return token


Token = Annotated[SecretStr, AfterValidator(_check_token)]


class BearerTokenAuthConfig(Config):
    """Which tokens, and where they stand. Give one of `token`, `tokens`, `filename`."""

    token: Token | None = None
    """The token."""
    tokens: list[Token] = Field(default_factory=list)
    """Several: each may come in, the first one goes out."""
    filename: str = ""
    """A file with a token per line; read again when it changes."""
    scheme: str = Field(default="Bearer", pattern=f"^{_WORD}*$")
    """What stands before the token; may be empty."""
    header: str = Field(default="Authorization", pattern=f"^{_WORD}+$")
    """The header that has it."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.token) + bool(self.tokens) + bool(self.filename) != 1:
            raise ValueError("give one of `token`, `tokens` and `filename`")
        return self

    def files(self) -> list[str]:
        return [self.filename] if self.filename else []


class _Tokens:
    """What is compared with, and what is sent."""

    def __init__(self, tokens: list[str]) -> None:
        self.first = tokens[0]
        self.fingerprints = [fingerprint(token.encode()) for token in tokens]


def _parse(text: str) -> _Tokens:
    tokens = []
    for number, line in enumerate(text.splitlines(), 1):
        token = line.strip()
        if token and not _TOKEN.fullmatch(token):
            raise ValueError(f"line {number} has characters that a header cannot carry")
        tokens += [token] if token else []
    if len(tokens) > _MAX_TOKENS:
        raise ValueError(f"has more than {_MAX_TOKENS} tokens")
    return _Tokens(tokens)


class BearerTokenAuth:
    """`ServerAuth` and `ClientAuth`."""

    def __init__(self, config: BearerTokenAuthConfig, context: Context) -> None:
        self._header = config.header
        self._scheme = config.scheme
        self._turned_away = TurnedAway(context)
        self._file: FromFile[_Tokens] | None = None
        self._given: _Tokens | None = None
        if config.filename:
            self._file = FromFile("filename", config.filename, _parse, context)
        else:
            given = [config.token] if config.token else config.tokens
            self._given = _Tokens([token.get_secret_value() for token in given])

    async def __aenter__(self) -> Self:
        if self._file is not None:
            self._file.load()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Holds nothing open."""

    @property
    def challenge(self) -> str:
        """For those without a token."""
        return f'{self._scheme or "Bearer"} realm="genai-collector"'

    async def authenticate(self, headers: Mapping[str, str], /) -> str:
        """`token <n>`, by its place among them. Raises Unauthenticated."""
        value = headers.get(self._header.lower(), "")
        if not value:
            raise self._turned_away.because(f"no {self._header} header")
        if len(value) > MAX_VALUE_CHARS:
            raise self._turned_away.because(f"the {self._header} header is too long")
        token = value.strip()
        if self._scheme:
            scheme, _, token = token.partition(" ")
            if scheme.lower() != self._scheme.lower():
                raise self._turned_away.because(f"the {self._header} header is no {self._scheme}")
        known = self._tokens.fingerprints
        place = find(token.strip().encode("utf-8", "surrogateescape"), known)
        if place is None:
            raise self._turned_away.because("wrong token")
        return f"token {place + 1}"

    def request_headers(self) -> Mapping[str, str]:
        """The header with the first token."""
        return {self._header: f"{self._scheme} {self._tokens.first}".strip()}

    @property
    def _tokens(self) -> _Tokens:
        if self._file is not None:
            return self._file.value
        assert self._given is not None
        return self._given


FACTORY = ExtensionFactory("bearertokenauth", BearerTokenAuthConfig, BearerTokenAuth)
