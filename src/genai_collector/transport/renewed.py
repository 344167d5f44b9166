"""Certificates that are replaced while the collector runs.

What is made of the files of a `tls` section (a context, credentials) is made anew when one of them
has changed, and the next connection gets it; those that are open stay as they are. A file that is
gone or no good changes nothing: what was good stays in use, and the log says once what is wrong.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeVar

from genai_collector.errors import ConfigError
from genai_collector.transport.tls import TLS
from genai_collector.transport.watched import WatchedFile

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


class Renewed(Generic[T]):
    """What `make` makes of the files of `tls`, as they are now. May be asked by several threads.

    Construction raises what `make` raises (ConfigError); asking never does.
    """

    def __init__(
        self,
        tls: TLS,
        make: Callable[[], T],
        option: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        paths: Sequence[str] = tls.files() if tls.reload_interval else ()
        self._files = [WatchedFile(path, clock, every_s=tls.reload_interval) for path in paths]
        self._make = make
        self._option = option
        self._lock = threading.Lock()
        self._stale = False
        self._said = ""
        for file in self._files:
            with suppress(OSError):  # `make` says it better
                file.read_if_changed()
        self._value = make()

    def get(self) -> T:
        """The newest that is good. Blocks for a few `stat` at most every `reload_interval`."""
        if any(file.due() for file in self._files):
            with self._lock:
                if self._changed():
                    self._renew()
        return self._value

    def _changed(self) -> bool:
        for file in self._files:
            try:
                self._stale |= file.read_if_changed() is not None
            except OSError as exc:
                self._say(f"cannot read {file.path}: {exc.strerror}")
        return self._stale

    def _renew(self) -> None:
        try:
            self._value = self._make()
        except ConfigError as exc:
            self._say(str(exc))  # and try again at the next look: files change one by one
        else:
            self._stale, self._said = False, ""
            _log.info("New certificates are in use", extra={"option": self._option})

    def _say(self, what: str) -> None:
        if what != self._said:
            self._said = what
            message = "A changed certificate is not used; the one before stays in use: %s"
            _log.warning(message, what, extra={"option": self._option})
