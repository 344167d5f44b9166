"""Patterns that are searched in time linear in the text, whatever the pattern and whoever wrote the
text: RE2 (package google-re2). Python's own engine backtracks, which one pattern and one text can
make endless; it is also some sixty times slower where nothing is found.

Texts are searched as UTF-8 bytes: RE2 works on bytes, and places need not be converted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Protocol, cast

import re2

MAX_PATTERN_CHARS: Final = 4096
_OWN_MEMORY: Final = 64 << 20
_FOREIGN_MEMORY: Final = 8 << 20
"""Bytes that the automaton of one pattern may take; beyond, it is slower and still linear."""


class LinearMatch(Protocol):
    def group(self, group: int = 0, /) -> bytes: ...
    def span(self, group: int = 0, /) -> tuple[int, int]: ...
    def end(self) -> int: ...


class LinearPattern(Protocol):
    @property
    def groups(self) -> int: ...
    def search(self, text: bytes, pos: int = 0, /) -> LinearMatch | None: ...
    def fullmatch(self, text: bytes, /) -> LinearMatch | None: ...
    def finditer(self, text: bytes, /) -> Iterator[LinearMatch]: ...


def compile_own(pattern: bytes, *, binary: bool = False) -> LinearPattern:
    """One of ours, which is known to be sound. `binary`: for bytes that are no text, each by
    itself (`\\x80` is the byte)."""
    options = _options(_OWN_MEMORY)
    if binary:
        options.encoding = re2.Options.Encoding.LATIN1
    return cast("LinearPattern", re2.compile(pattern, options))


def compile_foreign(pattern: str) -> LinearPattern:
    """One from a configuration. Raises ValueError with what is wrong."""
    if len(pattern) > MAX_PATTERN_CHARS:
        raise ValueError(f"a pattern may have at most {MAX_PATTERN_CHARS} characters")
    try:
        return cast("LinearPattern", re2.compile(pattern, _options(_FOREIGN_MEMORY)))
    except re2.error as exc:
        reason = exc.args[0] if exc.args else ""
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        message = f"not a pattern: {said} (RE2 has no look-around and no back-references)"
        raise ValueError(message) from exc


def escape(text: str) -> bytes:
    """A pattern that finds just this text."""
    return cast("bytes", re2.escape(text.encode()))


def _options(memory: int) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    return options
