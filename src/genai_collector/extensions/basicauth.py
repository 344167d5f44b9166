"""basicauth: user and password, to be asked for or to be sent. Keys are otelcol's.

    extensions:
      basicauth/in:
        htpasswd: {file: /etc/genai-collector/users}       # or inline: "anna:$2y$10$..."
      basicauth/out:
        client_auth: {username: collector, password: "${env:PASSWORD}"}

A listener asks an extension with `htpasswd`, a destination one with `client_auth`; files are looked
at again when they change.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from types import TracebackType
from typing import Annotated, Final, Self

from pydantic import AfterValidator, SecretStr, model_validator

from genai_collector.component import Config, Context, ExtensionFactory
from genai_collector.extensions._from_file import FromFile
from genai_collector.extensions._htpasswd import Users, parse_users
from genai_collector.extensions._logins import AT_ONCE, Logins
from genai_collector.extensions._turned_away import TurnedAway

MAX_VALUE_CHARS: Final = 4 * 1024
"""A header that is longer is refused unseen."""


def _check_users(inline: SecretStr) -> SecretStr:
    if inline.get_secret_value().strip():
        parse_users([inline.get_secret_value()])
    return inline


class HtpasswdConfig(Config):
    """Who may come in; users given inline win over those of the file."""

    file: str = ""
    """A file as `htpasswd -B` writes it; read again when it changes."""
    inline: Annotated[SecretStr, AfterValidator(_check_users)] = SecretStr("")
    """The same as text, a user per line."""

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.file and not self.inline.get_secret_value().strip():
            raise ValueError("give `file` or `inline`: nobody could come in")
        return self

    def files(self) -> list[str]:
        return [self.file] if self.file else []


class ClientAuthConfig(Config):
    """Who goes out. Files are read again when they change."""

    username: str = ""
    """The user."""
    password: SecretStr = SecretStr("")
    """Its password."""
    username_file: str = ""
    """A file with the user, instead of `username`."""
    password_file: str = ""
    """A file with the password, instead of `password`."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if bool(self.username) == bool(self.username_file):
            raise ValueError("give either `username` or `username_file`")
        if bool(self.password.get_secret_value()) == bool(self.password_file):
            raise ValueError("give either `password` or `password_file`")
        if ":" in self.username:
            raise ValueError("a username has no colon")
        return self

    def files(self) -> list[str]:
        return [file for file in (self.username_file, self.password_file) if file]


class BasicAuthConfig(Config):
    """Give `htpasswd` or `client_auth`; whoever needs both has two extensions."""

    htpasswd: HtpasswdConfig | None = None
    """For listeners: who may come in."""
    client_auth: ClientAuthConfig | None = None
    """For destinations: who goes out."""

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.htpasswd is None) == (self.client_auth is None):
            raise ValueError("give either `htpasswd` or `client_auth`")
        return self


class BasicServerAuth:
    """`ServerAuth`."""

    def __init__(self, config: HtpasswdConfig, context: Context) -> None:
        self._context = context
        self._inline = config.inline.get_secret_value()
        self._turned_away = TurnedAway(context)
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._logins: Logins | None = None
        self._file: FromFile[Users] | None = None
        if config.file:
            self._file = FromFile("htpasswd.file", config.file, self._parse, context)

    def _parse(self, text: str) -> Users:
        return parse_users([text, self._inline])

    async def __aenter__(self) -> Self:
        self._use(parse_users([self._inline]) if self._file is None else self._file.load())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._logins is not None:
            await self._logins.close()

    @property
    def challenge(self) -> str:
        """For those without a name and password."""
        return 'Basic realm="genai-collector", charset="UTF-8"'

    async def authenticate(self, headers: Mapping[str, str], /) -> str:
        """The user's name. Raises Unauthenticated, or Overloaded when too many unknown ones are
        being looked at."""
        name, colon, password = self._credentials(headers.get("authorization", "")).partition(b":")
        user = await self._current().user(name, password) if colon else ""
        if not user:
            raise self._turned_away.because("wrong user or password")
        return user

    def _credentials(self, value: str) -> bytes:
        if not value:
            raise self._turned_away.because("no Authorization header")
        if len(value) > MAX_VALUE_CHARS:
            raise self._turned_away.because("the Authorization header is too long")
        scheme, _, encoded = value.strip().partition(" ")
        if scheme.lower() != "basic":
            raise self._turned_away.because("the Authorization header is no Basic")
        try:
            return base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise self._turned_away.because("the Authorization header is no base64") from None

    def _current(self) -> Logins:
        assert self._logins is not None, "enter it first"
        if self._file is not None and (users := self._file.value) is not self._logins.users:
            self._use(users)
        return self._logins

    def _use(self, users: Users) -> None:
        # Checks by the list before finish for those who wait for them; nothing of them is kept.
        self._logins = Logins(users, self._slots)
        if users.plain:
            self._context.log.warning(
                "Passwords are not hashed (%d of them); do it with `htpasswd -B`.", users.plain
            )


class BasicClientAuth:
    """`ClientAuth`."""

    def __init__(self, config: ClientAuthConfig, context: Context) -> None:
        self._username = config.username
        self._password = config.password.get_secret_value()
        names = ("client_auth.username_file", config.username_file, _username)
        words = ("client_auth.password_file", config.password_file, _only_line)
        self._username_file = FromFile(*names, context) if config.username_file else None
        self._password_file = FromFile(*words, context) if config.password_file else None

    async def __aenter__(self) -> Self:
        for file in (self._username_file, self._password_file):
            if file is not None:
                file.load()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Holds nothing open."""

    def request_headers(self) -> Mapping[str, str]:
        """Authorization, as of now."""
        username = self._username_file.value if self._username_file else self._username
        password = self._password_file.value if self._password_file else self._password
        encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {encoded}"}


def _only_line(text: str) -> str:
    line = text.strip("\r\n")
    if "\n" in line or "\r" in line:
        raise ValueError("has more than one line")
    return line


def _username(text: str) -> str:
    line = _only_line(text)
    if ":" in line:
        raise ValueError("a username has no colon")
    return line


def _create(config: BasicAuthConfig, context: Context) -> BasicServerAuth | BasicClientAuth:
    if config.htpasswd is not None:
        return BasicServerAuth(config.htpasswd, context)
    assert config.client_auth is not None
    return BasicClientAuth(config.client_auth, context)


FACTORY = ExtensionFactory("basicauth", BasicAuthConfig, _create)
