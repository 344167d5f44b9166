"""Names whose values are secret, or are never to be touched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from genai_collector.processors._linear import LinearPattern, compile_own, escape

BUILT_IN: Final = (
    "*access_token", "*api_key", "*api_secret", "*auth_token", "*client_secret", "*passphrase",
    "*passwd", "*password", "*private_key", "*refresh_token", "*secret_access_key", "*secret_key",
    "*session_token", "*webhook_secret", "authorization", "bearer_token", "connection_string",
    "cookie", "credential", "credentials", "csrf_token", "encryption_key", "id_token", "passcode",
    "proxy_authorization", "pwd", "secret", "set_cookie", "signing_key", "xsrf_token",
)  # fmt: skip

_MOST_REMEMBERED: Final = 4096
_LAST_PART: Final = re.compile(r"[^.:/\[\]]*(?=\]*$)")
_BEHIND_DOT: Final = re.compile(r"[^.]*$")
_JOINTS: Final = str.maketrans("", "", "-_ ")


class Keys:
    """A set of names. What it said of a key is remembered: keys repeat."""

    def __init__(self, names: Iterable[str]) -> None:
        self.written = tuple(names)
        self.names = tuple(sorted({plain(name) for name in self.written} - {""}))
        exact = frozenset(name for name in self.names if not _is_glob(name))
        globs = [_glob(name) for name in self.names if _is_glob(name)]
        pattern = compile_own(b"|".join(globs)) if globs else None
        self._is_one = _tester(exact, pattern)
        self._remembered: dict[str, bool] = {}

    def __contains__(self, key: str) -> bool:
        known = self._remembered.get(key)
        if known is None:
            known = self._is_one(key)
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            if len(key) <= 256:
                self._remembered[key] = known
        return known

    def __bool__(self) -> bool:
        return bool(self.names)

    def hint(self) -> bytes | None:
        """What is found wherever such a key is; None when that is nothing in particular."""
        pieces = [_longest_piece(name) for name in self.names]
        if any(len(piece) < 3 or not piece.isascii() for piece in pieces):
            return None
        return b"|".join(b"(?i:" + b"[-_ ]*".join(_letters(piece)) + b")" for piece in set(pieces))


def plain(name: str) -> str:
    """A name as it is compared."""
    return name.lower().translate(_JOINTS)


def _tester(exact: frozenset[str], globs: LinearPattern | None) -> Callable[[str], bool]:
    def is_one(key: str) -> bool:
        whole = plain(key)
        parts = _LAST_PART if "[redacted:" not in whole else _BEHIND_DOT  # not our own brackets
        found = parts.search(whole)
        last = found[0] if found is not None else whole
        if whole in exact or last in exact:
            return True
        return globs is not None and any(
            globs.fullmatch(name.encode("utf-8", "replace")) for name in (whole, last)
        )

    return is_one


def _is_glob(name: str) -> bool:
    return "*" in name or "?" in name


def _glob(name: str) -> bytes:
    signs = {"*": rb"(?s:.*)", "?": rb"(?s:.)"}
    return b"".join(signs.get(char) or escape(char) for char in name)


def _longest_piece(name: str) -> str:
    return max(re.split(r"[*?]+", name), key=len)


def _letters(piece: str) -> list[bytes]:
    return [escape(char) for char in piece]
