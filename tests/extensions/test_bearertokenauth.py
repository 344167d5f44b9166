"""bearertokenauth: tokens in and out, one or several, given or from a file."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict
from pydantic import ValidationError

from genai_collector.component import ClientAuth, Context, ServerAuth
from genai_collector.errors import ConfigError, Unauthenticated
from genai_collector.extensions.bearertokenauth import (
    FACTORY,
    BearerTokenAuth,
    BearerTokenAuthConfig,
)
from genai_collector.transport import authentication
from tests.support.fakes import CountingTelemetry, FakeClock, make_context


def made(context: Context | None = None, **config: Any) -> BearerTokenAuth:
    config_ = BearerTokenAuthConfig.model_validate(config)
    auth = FACTORY.create(config_, context or make_context("bearertokenauth"))
    assert isinstance(auth, BearerTokenAuth)
    return auth


async def _may(auth: ServerAuth, headers: Mapping[str, str]) -> bool:
    try:
        await auth.authenticate(headers)
    except Unauthenticated:
        return False
    return True


def bearer(token: str, scheme: str = "Bearer") -> dict[str, str]:
    return {"authorization": f"{scheme} {token}"}


async def test_both_sides() -> None:
    """Any of the tokens comes in, the first goes out; names of headers and schemes in any case."""
    auth = made(tokens=["one", "two"])
    assert isinstance(auth, ServerAuth)
    assert isinstance(auth, ClientAuth)
    async with auth:
        assert await auth.authenticate(bearer("one")) == "token 1"
        assert await auth.authenticate(CIMultiDict(Authorization="bEaReR  two ")) == "token 2"
        assert auth.request_headers() == {"Authorization": "Bearer one"}
        assert auth.challenge == 'Bearer realm="genai-collector"'


WRONG = {
    "nothing": {},
    "empty": {"authorization": ""},
    "wrong": bearer("three"),
    "part": bearer("on"),
    "longer": bearer("onee"),
    "both": bearer("one two"),
    "empty token": bearer(""),
    "no scheme": {"authorization": "one"},
    "another scheme": bearer("one", "Basic"),
    "scheme twice": bearer("Bearer one"),
    "huge": bearer("one" + "x" * 100_000),
    "many blanks": {"authorization": "Bearer" + " " * 100_000 + "one"},
    "not ascii": bearer("öne"),
    "undecodable": bearer("\udcff"),
    "another header": {"x-api-key": "Bearer one"},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
async def test_wrong_tokens(headers: dict[str, str]) -> None:
    """Whatever is no token of ours is one counted refusal that quotes nothing of it."""
    telemetry = CountingTelemetry()
    context = make_context("bearertokenauth/in", telemetry=telemetry)
    async with made(context, tokens=["one", "two"]) as auth:
        with pytest.raises(Unauthenticated) as caught:
            await auth.authenticate(headers)
        assert telemetry.counts["unauthenticated", "bearertokenauth/in"] == 1
        assert str(caught.value) in {
            "no Authorization header",
            "the Authorization header is too long",
            "the Authorization header is no Bearer",
            "wrong token",
        }


async def test_other_header_and_scheme() -> None:
    """A key in a header of its own, without a scheme or with another."""
    async with made(token="k e y", header="X-Api-Key", scheme="") as auth:
        assert await auth.authenticate({"x-api-key": "k e y"}) == "token 1"
        assert not await _may(auth, bearer("k e y"))
        assert not await _may(auth, {"x-api-key": "Bearer k e y"})
        assert auth.request_headers() == {"X-Api-Key": "k e y"}
    async with made(token="t", scheme="Token") as auth:
        assert await _may(auth, bearer("t", "Token"))
        assert not await _may(auth, bearer("t"))
        assert auth.request_headers() == {"Authorization": "Token t"}


async def test_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A token per line, rotated while we run; a bad file changes nothing."""
    path, clock = tmp_path / "tokens", FakeClock()
    path.write_text("\nold\nolder\n")
    async with made(make_context(clock=clock), filename=str(path)) as auth:
        assert await _may(auth, bearer("older"))
        assert auth.request_headers() == {"Authorization": "Bearer old"}
        path.write_text("new\nold\n")
        clock.advance(1)
        assert auth.request_headers() == {"Authorization": "Bearer new"}
        assert await _may(auth, bearer("old"))
        assert not await _may(auth, bearer("older"))
        for bad in ("\n \n", "spoilt\x01\n", "nëw"):
            path.write_text(bad)
            clock.advance(1)
            assert await _may(auth, bearer("new"))
        assert "line 1 has characters that a header cannot carry" in caplog.text
        assert "spoilt" not in caplog.text


async def test_bad_file_at_the_start(tmp_path: Path) -> None:
    """A file that is not there, or empty, stops the start."""
    with pytest.raises(ConfigError, match=r"filename: .*missing: No such file"):
        await made(filename=str(tmp_path / "missing")).__aenter__()
    (tmp_path / "empty").touch()
    with pytest.raises(ConfigError, match="there is nothing in it"):
        await made(filename=str(tmp_path / "empty")).__aenter__()


@pytest.mark.parametrize(
    "config",
    [
        {}, {"token": "a", "tokens": ["b"]}, {"token": "a", "filename": "f"}, {"token": ""},
        {"tokens": []}, {"tokens": ["a", ""]}, {"token": "hidden\n"}, {"token": "a",
        "scheme": "B er"}, {"token": "a", "header": ""}, {"token": "a", "header": "a:b"},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_configuration(config: dict[str, Any]) -> None:
    """One source, and only what a header can carry."""
    with pytest.raises(ValidationError):
        BearerTokenAuthConfig.model_validate(config)


def test_tokens_are_not_shown() -> None:
    """No dump of the configuration has one."""
    for config in ({"token": "hidden"}, {"tokens": ["hidden", "hidden2"]}):
        parsed = BearerTokenAuthConfig.model_validate(config)
        assert "hidden" not in f"{parsed!r}{parsed}{parsed.model_dump()}{parsed.model_dump_json()}"


def test_comparison_does_not_depend_on_the_secret() -> None:
    """Whatever is presented, every candidate is compared, by digests of one length."""
    compared: list[tuple[int, int]] = []

    def compare(mine: bytes, known: bytes) -> bool:
        compared.append((len(mine), len(known)))
        return hmac.compare_digest(mine, known)

    known = [authentication.fingerprint(text) for text in (b"a", b"bb" * 100, b"", b"a")]
    for presented in (b"a", b"nothing", b"", b"x" * 10_000):
        compared.clear()
        authentication.find(presented, known, compare)
        assert compared == [(32, 32)] * 4
    assert authentication.find(b"a", known) == 0
    assert authentication.find(b"", known) == 2
    assert authentication.find(b"b", known) is None
