"""basicauth: who comes in and who does not, files that change, and what a check may cost."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from multidict import CIMultiDict
from pydantic import ValidationError

from genai_collector.component import ClientAuth, Context, ServerAuth
from genai_collector.errors import ConfigError, Overloaded, Unauthenticated
from genai_collector.extensions import _logins
from genai_collector.extensions._htpasswd import Entry, Users
from genai_collector.extensions._logins import Logins
from genai_collector.extensions.basicauth import FACTORY, BasicAuthConfig, BasicServerAuth
from tests.support.fakes import CountingTelemetry, FakeClock, make_context


def _bcrypt(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def basic(user: str, password: str) -> dict[str, str]:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"authorization": f"Basic {encoded}"}


def made(config: Mapping[str, Any], context: Context | None = None) -> Any:
    return FACTORY.create(
        BasicAuthConfig.model_validate(config), context or make_context("basicauth")
    )


async def _may(auth: ServerAuth, headers: Mapping[str, str]) -> bool:
    try:
        await auth.authenticate(headers)
    except Unauthenticated:
        return False
    return True


async def test_knows_its_users() -> None:
    """The right password gives the name, twice the same; everything else is refused."""
    auth: Any = made({"htpasswd": {"inline": f"anna:{_bcrypt('secret')}\nbert:{_bcrypt('other')}"}})
    assert (isinstance(auth, ServerAuth), isinstance(auth, ClientAuth)) == (True, False)
    async with auth:
        for _ in range(2):
            assert await auth.authenticate(basic("anna", "secret")) == "anna"
        assert await auth.authenticate(CIMultiDict(basic("bert", "other"))) == "bert"
        for user, password in (
            ("anna", "other"), ("bert", "secret"), ("anna", ""), ("", ""), ("", "secret"),
            ("Anna", "secret"), ("anna", "secret "), ("otto", "secret"), ("annasecret", ""),
        ):  # fmt: skip
            assert not await _may(auth, basic(user, password))


MALFORMED = {
    "nothing": {},
    "empty": {"authorization": ""},
    "another scheme": {"authorization": "Bearer YW5uYTpzZWNyZXQ="},
    "no scheme": {"authorization": "YW5uYTpzZWNyZXQ="},
    "no value": {"authorization": "Basic"},
    "no base64": {"authorization": "Basic anna:secret"},
    "no colon": {"authorization": "Basic YW5uYQ=="},
    "huge": {"authorization": "Basic " + "A" * 100_000},
    "not ascii": {"authorization": "Basic ännä"},
    "undecodable": {"authorization": "Basic \udcff\udcfe"},
    "binary inside": {"authorization": "Basic " + base64.b64encode(b"\xff\xfe:\x00").decode()},
    "another header": {"x-authorization": "Basic YW5uYTpzZWNyZXQ="},
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED)
async def test_malformed(headers: dict[str, str]) -> None:
    """Whatever is no right credential is one refusal, counted, that quotes nothing of it."""
    telemetry = CountingTelemetry()
    context = make_context("basicauth/in", telemetry=telemetry)
    async with made({"htpasswd": {"inline": "anna:secret"}}, context) as auth:
        with pytest.raises(Unauthenticated) as caught:
            await auth.authenticate(headers)
        assert telemetry.counts["unauthenticated", "basicauth/in"] == 1
        for value in headers.values():
            assert not value or value not in str(caught.value)
        assert await auth.authenticate({"authorization": "bAsIc  YW5uYTpzZWNyZXQ= "}) == "anna"


async def test_file_changes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new file counts within a second, also for those remembered; a bad one changes nothing and
    is said once; a user inline stays."""
    caplog.set_level(logging.INFO)
    path, clock = tmp_path / "users", FakeClock()
    path.write_text(f"anna:{_bcrypt('one')}\n")
    config = {"htpasswd": {"file": str(path), "inline": f"root:{_bcrypt('r')}"}}
    async with made(config, make_context(clock=clock)) as auth:
        assert await _may(auth, basic("anna", "one"))
        path.write_text(f"anna:{_bcrypt('two')}\nbert:{_bcrypt('b')}\n")
        assert await _may(auth, basic("anna", "one")), "not looked at yet"
        clock.advance(1)
        assert not await _may(auth, basic("anna", "one"))
        assert await _may(auth, basic("anna", "two"))
        assert await _may(auth, basic("bert", "b"))
        assert await _may(auth, basic("root", "r"))
        for bad in ("anna:$9$whatever\n", "", "\x00"):
            path.write_text(bad)
            clock.advance(1)
            assert await _may(auth, basic("anna", "two"))
        path.unlink()
        for _ in range(3):
            clock.advance(1)
            assert await _may(auth, basic("anna", "two"))
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 4
    assert "line 1: has a hash of an unknown kind" in said[0]
    assert all(str(path) in line and "still holds" in line for line in said)
    assert "whatever" not in caplog.text


@pytest.mark.parametrize("content", [None, b"", b"anna", b"\xff\xfe"])
async def test_bad_file_at_the_start(tmp_path: Path, content: bytes | None) -> None:
    """A file that cannot be used stops the start, with its path."""
    path = tmp_path / "users"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"htpasswd\.file: {path}: "):
        await made({"htpasswd": {"file": str(path)}}).__aenter__()


WRONG: list[dict[str, Any]] = [
    {},
    {"htpasswd": {}},
    {"htpasswd": {"inline": " "}},
    {"htpasswd": {"inline": "hidden"}},
    {"htpasswd": {"inline": "a:b"}, "client_auth": {"username": "a", "password": "b"}},
    {"client_auth": {}},
    {"client_auth": {"username": "a"}},
    {"client_auth": {"username": "a", "username_file": "f", "password": "b"}},
    {"client_auth": {"username": "a", "password": "b", "password_file": "f"}},
    {"client_auth": {"username": "a:b", "password": "b"}},
]


@pytest.mark.parametrize("config", WRONG, ids=str)
def test_wrong_configuration(config: dict[str, Any]) -> None:
    """One side, and each thing once."""
    with pytest.raises(ValidationError):
        BasicAuthConfig.model_validate(config)


def test_secrets_are_not_shown() -> None:
    """Neither inline users nor a password are in a dump."""
    for config in (
        {"htpasswd": {"inline": "anna:hidden"}},
        {"client_auth": {"username": "anna", "password": "hidden"}},
    ):
        assert "hidden" not in repr(BasicAuthConfig.model_validate(config))
        assert "hidden" not in repr(made(config))


def _sent(auth: ClientAuth) -> dict[str, str]:
    return {name.lower(): value for name, value in auth.request_headers().items()}


async def test_client(tmp_path: Path) -> None:
    """What goes out is what is configured or stands in the files, as of now."""
    auth: Any = made({"client_auth": {"username": "anna", "password": "sécret:"}})
    assert (isinstance(auth, ServerAuth), isinstance(auth, ClientAuth)) == (False, True)
    async with auth:
        assert auth.request_headers() == {
            "Authorization": basic("anna", "sécret:")["authorization"]
        }
    user, password, clock = tmp_path / "user", tmp_path / "password", FakeClock()
    user.write_text("anna\n")
    password.write_text(" one \n")
    config = {"client_auth": {"username_file": str(user), "password_file": str(password)}}
    async with made(config, make_context(clock=clock)) as auth:
        assert _sent(auth) == basic("anna", " one ")
        password.write_text("two")
        clock.advance(1)
        assert _sent(auth) == basic("anna", "two")
        password.write_text("two\nlines")
        user.write_text("an:na")
        clock.advance(1)
        assert _sent(auth) == basic("anna", "two")


async def test_plain_passwords_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Passwords that are not hashed work, and are said at the start."""
    async with made({"htpasswd": {"inline": "anna:hidden"}}):
        assert "Passwords are not hashed (1 of them)" in caplog.text
        assert "hidden" not in caplog.text


async def test_refusals_are_logged_at_most_every_ten_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A flood of strangers is one line, and the next one says how many there were."""
    clock = FakeClock()
    async with made({"htpasswd": {"inline": "anna:secret"}}, make_context(clock=clock)) as auth:
        caplog.clear()
        for _ in range(100):
            assert not await _may(auth, basic("anna", "guess"))
        assert not await _may(auth, {})
        assert len(caplog.records) == 1
        clock.advance(10)
        assert not await _may(auth, basic("anna", "guess"))
    assert len(caplog.records) == 2
    assert "wrong user or password (100), no Authorization header (1)" in caplog.text
    assert "guess" not in caplog.text
    assert "anna" not in caplog.text


# ---- what checking costs ---------------------------------------------------------------------


class _Slow:
    """A check that counts, and ends when it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.at_once = 0
        self.most = 0
        self.go = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, given: bytes) -> bool:
        self.calls += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        asyncio.run_coroutine_threadsafe(self.go.wait(), self._loop).result(30)
        self.at_once -= 1
        return given == b"secret"


async def test_right_ones_are_checked_once() -> None:
    """Requests that come together share one check; afterwards none is needed. Wrong ones are
    checked every time."""
    slow = _Slow()
    slow.go.set()
    logins = Logins(Users({"anna": Entry(slow, 10)}), asyncio.Semaphore(2))
    together = await asyncio.gather(*(logins.user(b"anna", b"secret") for _ in range(50)))
    assert set(together) == {"anna"}
    assert await logins.user(b"anna", b"secret") == "anna"
    assert slow.calls == 1
    for _ in range(3):
        assert await logins.user(b"anna", b"wrong") == ""
    assert slow.calls == 4
    assert await logins.user(b"annas", b"ecret") == ""
    assert b"secret" not in repr(vars(logins)).encode()


async def test_a_flood_of_guesses_is_bounded() -> None:
    """Two checks at once, so many waiting, and then everybody who is not known comes again; who is
    known does not notice."""
    slow = _Slow()
    logins = Logins(Users({"anna": Entry(slow, 10)}), asyncio.Semaphore(_logins.AT_ONCE))
    slow.go.set()
    assert await logins.user(b"anna", b"secret") == "anna"
    slow.go.clear()
    guesses = [
        asyncio.create_task(logins.user(b"anna", str(at).encode()))
        for at in range(_logins.MAX_WAITING)
    ]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as caught:
        await logins.user(b"anna", b"one more")
    assert caught.value.retry_after == 1
    assert await logins.user(b"anna", b"secret") == "anna"
    slow.go.set()
    assert set(await asyncio.gather(*guesses)) == {""}
    assert slow.most <= _logins.AT_ONCE
    assert await logins.user(b"anna", b"one more") == ""


async def test_a_client_that_leaves_harms_nobody() -> None:
    """A cancelled request leaves the check to those who wait for the same."""
    slow = _Slow()
    logins = Logins(Users({"anna": Entry(slow, 10)}), asyncio.Semaphore(1))
    first, second = (asyncio.create_task(logins.user(b"anna", b"secret")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    slow.go.set()
    assert await second == "anna"
    assert slow.calls == 1
    await logins.close()


async def test_memory_is_bounded() -> None:
    """No more logins are remembered than the limit, the newest."""
    users = {f"u{at}": Entry(lambda given: given == b"p", 0) for at in range(1500)}
    logins = Logins(Users(users), asyncio.Semaphore(1))
    for name in users:
        assert await logins.user(name.encode(), b"p") == name
    assert len(logins._known) == _logins.MAX_REMEMBERED


async def test_a_change_forgets_who_was_right(tmp_path: Path) -> None:
    """A check that began with the old list lets nobody in by the new one."""
    auth = made({"htpasswd": {"inline": "anna:secret"}})
    assert isinstance(auth, BasicServerAuth)
    async with auth:
        slow = _Slow()
        old = Logins(Users({"anna": Entry(slow, 10)}), asyncio.Semaphore(1))
        auth._logins = old
        waiting = asyncio.create_task(auth.authenticate(basic("anna", "secret")))
        await asyncio.sleep(0)
        auth._use(Users({"anna": Entry(lambda _: False, 0)}))
        slow.go.set()
        assert await waiting == "anna"
        assert not await _may(auth, basic("anna", "secret"))
