"""Lists of users as Apache's htpasswd writes them: `name:hash` per line, `#` begins a comment.

Hashes by their beginning: bcrypt (`$2y$`, what `htpasswd -B` makes), MD5 as Apache does it
(`$apr1$`, what it makes by default), `{SHA}`, `{SSHA}`; anything else is the password itself, as
otelcol has it. What looks like a hash of another kind is refused, because nobody could ever log in.
Messages name the line and nothing of what is in it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import bcrypt

from genai_collector.transport.authentication import find, fingerprint

MAX_USERS: Final = 10_000
MAX_BCRYPT_COST: Final = 16
"""Checking takes four seconds at this cost, twice as long with each step more."""

_BCRYPT: Final = re.compile(r"\$2[abxy]\$(\d\d)\$[./0-9A-Za-z]{53}")
_BCRYPT_BYTES: Final = 72
"""Of a password that bcrypt looks at; the library refuses more, other tools cut it off."""
_APR1: Final = re.compile(r"\$apr1\$([^$]{0,8})\$([./0-9A-Za-z]{22})")
_SOME_HASH: Final = re.compile(r"\$[0-9A-Za-z]{1,12}\$|\{[0-9A-Za-z.-]{1,12}\}")
_ALPHABET: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_APR1_ORDER: Final = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))


class Entry(NamedTuple):
    """How a user's password is known."""

    check: Callable[[bytes], bool]
    cost: float
    """Roughly, in milliseconds; 0 for what needs no thread of its own."""
    plain: bool = False


class User(NamedTuple):
    name: str
    entry: Entry


class Users:
    """Who may log in."""

    def __init__(self, users: Mapping[str, Entry]) -> None:
        self._users = [User(name, entry) for name, entry in users.items()]
        self._names = [fingerprint(user.name.encode()) for user in self._users]
        self._costliest = max((user.entry for user in self._users), key=lambda entry: entry.cost)

    @property
    def plain(self) -> int:
        """How many passwords stand in the list as they are."""
        return sum(user.entry.plain for user in self._users)

    def claimed(self, name: bytes) -> tuple[str, Entry]:
        """The user of this name. For one that is not there an empty name and the entry that takes
        longest: let it check and do not believe it, so that names cannot be told by time."""
        place = find(name, self._names)
        return ("", self._costliest) if place is None else self._users[place]


def parse_users(texts: Iterable[str]) -> Users:
    """The users of several lists; later lists win. Raises ValueError naming the line."""
    found: dict[str, Entry] = {}
    for text in texts:
        found |= _parse_list(text)
    if not found:
        raise ValueError("there is no user in it")
    if len(found) > MAX_USERS:
        raise ValueError(f"has more than {MAX_USERS} users")
    return Users(found)


def _parse_list(text: str) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, colon, hashed = line.partition(":")
        if not colon or not name or not hashed:
            raise ValueError(f"line {number}: expected name:hash")
        if name in found:
            raise ValueError(f"line {number}: has a name that was there before")
        try:
            found[name] = _entry(hashed)
        except ValueError as exc:
            raise ValueError(f"line {number}: {exc}") from None
    return found


def _entry(hashed: str) -> Entry:
    if match := _BCRYPT.fullmatch(hashed):
        return _bcrypt(hashed.encode(), int(match[1]))
    if match := _APR1.fullmatch(hashed):
        return _apr1(match[1].encode(), match[2])
    for prefix, size in (("{SHA}", 0), ("{SSHA}", 1)):
        if hashed.startswith(prefix):
            return _sha(hashed.removeprefix(prefix), size)
    if _SOME_HASH.match(hashed):
        raise ValueError("has a hash of an unknown kind; make it with `htpasswd -B`")
    password = fingerprint(hashed.encode())
    return Entry(lambda given: find(given, [password]) is not None, 0, plain=True)


def _bcrypt(hashed: bytes, cost: int) -> Entry:
    if not 4 <= cost <= MAX_BCRYPT_COST:
        raise ValueError(f"has a bcrypt cost that is not between 4 and {MAX_BCRYPT_COST}")

    def check(given: bytes) -> bool:
        try:
            return bcrypt.checkpw(given[:_BCRYPT_BYTES], hashed)
        except ValueError:  # what bcrypt cannot hash is nobody's password
            return False

    return Entry(check, 2.0**cost / 16)


def _sha(encoded: str, salted: int) -> Entry:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError("has a hash that is no base64") from None
    digest, salt = decoded[:20], decoded[20:]
    if len(digest) < 20 or bool(salt) != bool(salted):
        raise ValueError("has a hash of a wrong length")

    def check(given: bytes) -> bool:
        made = hashlib.sha1(given + salt, usedforsecurity=False).digest()
        return hmac.compare_digest(made, digest)

    return Entry(check, 0)


def _apr1(salt: bytes, expected: str) -> Entry:
    def check(given: bytes) -> bool:
        return hmac.compare_digest(apr1(given, salt), expected)

    return Entry(check, 1)


def apr1(password: bytes, salt: bytes) -> str:
    """Apache's MD5 of a password, without `$apr1$salt$`."""
    inner = _md5(password, salt, password)
    pieces = [password, b"$apr1$", salt]
    pieces += [inner[: min(16, left)] for left in range(len(password), 0, -16)]
    bits = len(password)
    while bits:
        pieces.append(b"\0" if bits & 1 else password[:1])
        bits >>= 1
    digest = _md5(*pieces)
    for turn in range(1000):
        first, last = (password, digest) if turn & 1 else (digest, password)
        between = [salt] if turn % 3 else []
        between += [password] if turn % 7 else []
        digest = _md5(first, *between, last)
    return _base64(digest)


def _md5(*pieces: bytes) -> bytes:
    return hashlib.md5(b"".join(pieces), usedforsecurity=False).digest()


def _base64(digest: bytes) -> str:
    values = [((digest[a] << 16) | (digest[b] << 8) | digest[c], 4) for a, b, c in _APR1_ORDER]
    return "".join(_sixes([*values, (digest[11], 2)]))


def _sixes(values: Sequence[tuple[int, int]]) -> Iterable[str]:
    for value, count in values:
        for at in range(count):
            yield _ALPHABET[(value >> (6 * at)) & 0x3F]
