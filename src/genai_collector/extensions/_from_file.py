"""Something that a file says, and says anew when it is replaced.

At the start a file that cannot be used is a ConfigError. Later it is a line in the log, and what
the file said before holds on: a half-written file must not lock everybody out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from genai_collector.component import Context
from genai_collector.errors import ConfigError
from genai_collector.transport.watched import WatchedFile

T = TypeVar("T")

_MISSING: Final = "there is nothing in it"


class FromFile(Generic[T]):
    """`parse` makes it of the file's text; its ValueErrors may be shown, and name a line."""

    def __init__(self, option: str, path: str, parse: Callable[[str], T], context: Context) -> None:
        self._option = option
        self._path = path
        self._parse = parse
        self._context = context
        self._file = WatchedFile(path, context.clock)
        self._value: T | None = None

    def load(self) -> T:
        """What the file says now, at the start. Raises ConfigError."""
        self._file = WatchedFile(self._path, self._context.clock)
        try:
            self._value = self._read(self._file.read_if_changed() or b"")
        except (OSError, ValueError) as exc:
            raise ConfigError(f"{self._option}: {self._path}: {_why(exc)}") from None
        return self._value

    @property
    def value(self) -> T:
        """What it says, looked at again at most once a second. After `load`."""
        assert self._value is not None, "load it first"
        try:
            content = self._file.read_if_changed()
            if content is not None:
                self._value = self._read(content)
                self._context.log.info("%s has changed and is used now.", self._path)
        except (OSError, ValueError) as exc:
            self._context.log.error(
                "%s cannot be used (%s); what it said before still holds.", self._path, _why(exc)
            )
        return self._value

    def _read(self, content: bytes) -> T:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError("is not UTF-8 text") from None  # its own words quote the content
        if not text.strip():
            raise ValueError(_MISSING)
        return self._parse(text)


def _why(error: OSError | ValueError) -> str:
    return error.strerror or "cannot be read" if isinstance(error, OSError) else str(error)
