"""Lists of users: every kind of hash, and what is wrong with a line."""

from __future__ import annotations

import base64
import hashlib
import statistics
import time

import bcrypt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genai_collector.extensions._htpasswd import Users, apr1, parse_users

_SALT = b"8sFt66rZ"
APR1 = {  # made by `openssl passwd -apr1 -salt 8sFt66rZ`
    "": "QkOfebwJVEOpEluExHsip.",
    "a": "ZQyG/P2SewAXpDgC1ke9d0",
    "secret": "eup.HOtZcQ/VrnApBM3rR/",
    "a much longer password than sixteen bytes": "W2FL3oYqsNugEfuvgC7LZ0",
    "pässwörd": "lljGO21ZqiiGwES0ps.k20",
}


def _hashed(password: bytes) -> dict[str, str]:
    """The password, hashed in every way that is understood."""
    sha, salted = (hashlib.sha1(password + salt).digest() for salt in (b"", b"salt"))
    return {
        "bcrypt": bcrypt.hashpw(password[:72], bcrypt.gensalt(4)).decode(),
        "bcrypt of Apache": bcrypt.hashpw(password[:72], bcrypt.gensalt(4)).decode().replace(
            "$2b$", "$2y$"
        ),
        "apr1": f"$apr1$salt${apr1(password, b'salt')}",
        "sha": "{SHA}" + base64.b64encode(sha).decode(),
        "ssha": "{SSHA}" + base64.b64encode(salted + b"salt").decode(),
    }  # fmt: skip


def _may(users: Users, name: str, password: bytes) -> bool:
    user, entry = users.claimed(name.encode())
    return entry.check(password) and user == name


@pytest.mark.parametrize(("password", "expected"), APR1.items())
def test_apr1(password: str, expected: str) -> None:
    """Apache's MD5 is what OpenSSL makes of the same."""
    assert apr1(password.encode(), _SALT) == expected


@pytest.mark.parametrize("kind", _hashed(b""))
def test_kinds(kind: str) -> None:
    """Every kind of hash takes its password, and no other."""
    for password in (b"secret", "pässwörd:with:colons".encode(), b"x" * 72):
        users = parse_users([f"# a comment\n\nanna:{_hashed(password)[kind]}\r\n"])
        assert _may(users, "anna", password)
        for wrong in (b"", password[:-1], password.upper(), b"secre\0t", b"\xff"):
            assert not _may(users, "anna", wrong)
        assert not _may(users, "otto", password)
        assert not users.plain


def test_bcrypt_looks_at_72_bytes() -> None:
    """A longer password is cut off, as the tools that make such hashes do."""
    users = parse_users([f"anna:{_hashed(b'x' * 100)['bcrypt']}"])
    assert _may(users, "anna", b"x" * 100)
    assert not _may(users, "anna", b"x" * 71)


def test_plain_passwords() -> None:
    """What looks like no hash is the password itself, and is counted."""
    users = parse_users(["anna:s3cret\nbert:with:colon"])
    assert _may(users, "anna", b"s3cret")
    assert not _may(users, "anna", b"s3cret ")
    assert _may(users, "bert", b"with:colon")
    assert not _may(users, "bert", b"s3cret")
    assert users.plain == 2


def test_later_lists_win() -> None:
    """A user of two lists has the later password."""
    users = parse_users(["anna:one\nbert:two", "anna:three"])
    assert not _may(users, "anna", b"one")
    assert _may(users, "anna", b"three")
    assert _may(users, "bert", b"two")


@pytest.mark.parametrize(
    ("text", "message"),
    {
        "anna": "line 1: expected name:hash",
        "\n\nanna:": "line 3: expected name:hash",
        ":hidden": "line 1: expected name:hash",
        "a:hidden\nb:c\na:hidden": "line 3: has a name that was there before",
        "a:b\nc:$5$hidden$abc": "line 2: has a hash of an unknown kind",
        "a:$2y$10$hidden": "line 1: has a hash of an unknown kind",
        "a:{MD5}hidden": "line 1: has a hash of an unknown kind",
        "a:{SHA}hidden!": "line 1: has a hash that is no base64",
        "a:{SHA}aGlkZGVu": "line 1: has a hash of a wrong length",
        "a:$2y$31$" + "a" * 53: "line 1: has a bcrypt cost",
        "# nobody": "there is no user",
    }.items(),
)
def test_what_is_wrong(text: str, message: str) -> None:
    """A line that cannot be used is named by its number; nothing in it is quoted."""
    with pytest.raises(ValueError, match=message) as caught:
        parse_users([text])
    assert "hidden" not in str(caught.value)


@settings(max_examples=150, deadline=None)
@given(st.text())
def test_any_text(text: str) -> None:
    """Any text is a list of users or a ValueError, and never quoted."""
    try:
        parse_users([text])
    except ValueError as exc:
        told = str(exc)
        assert told.split(": ", maxsplit=1)[0].startswith(("line ", "there is no user"))


def test_unknown_names_take_as_long() -> None:
    """A name that is not there is checked like the costliest one, and never believed."""
    users = parse_users([f"anna:{_hashed(b'secret')['bcrypt']}\nbert:plain"])
    name, entry = users.claimed(b"nobody")
    assert (name, entry) == ("", users.claimed(b"anna")[1])
    assert not _may(users, "nobody", b"secret")

    def seconds(name: bytes) -> float:
        before = time.process_time()
        users.claimed(name)[1].check(b"wrong")
        return time.process_time() - before

    known, unknown = (
        statistics.median(seconds(name) for _ in range(25)) for name in (b"anna", b"nobody")
    )
    assert 0.5 < known / unknown < 2
