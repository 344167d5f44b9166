"""The accepting side of a TCP listener: a bounded number of connections, a certificate for each.

Why not `loop.create_server`: it takes any number of connections, keeps one TLS context for ever,
and says nothing of connections that are still shaking hands. Here a connection counts from `accept`
until it is closed, and the context is asked for at every one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

_log: Final = logging.getLogger(__name__)

_BACKLOG: Final = 1024
_ACCEPTED_AT_ONCE: Final = 64
_TLS_HANDSHAKE_TIMEOUT_S: Final = 10.0
_TLS_SHUTDOWN_TIMEOUT_S: Final = 2.0
# What was accepted just before the end gets this long to become a connection, which is answered.
_LAST_BEGINNINGS_S: Final = 0.5
# When the system has no file descriptor left, asking again at once would only burn CPU.
_OUT_OF_FILES_PAUSE_S: Final = 0.5


class Acceptor:
    """Accepts on bound sockets. `has_room(n)` is asked whether one more may be served while `n`
    are shaking hands; who finds no room is closed at once."""

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        has_room: Callable[[int], bool],
        context: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        self._protocol = protocol
        self._has_room = has_room
        self._context = context
        self.sockets: list[socket.socket] = []
        """What it listens on."""
        self._beginning: set[asyncio.Task[None]] = set()
        self._resuming: asyncio.TimerHandle | None = None

    def start(self, sockets: list[socket.socket]) -> None:
        """Listen on these, and own them."""
        self.sockets = sockets
        for sock in sockets:
            sock.listen(_BACKLOG)
        self._resume()

    async def close(self) -> None:
        """Accept no more, at once. Connections that are open stay open, and those that are just
        beginning become so, if they do not take long over their handshake."""
        self._pause()
        sockets, self.sockets = self.sockets, []
        for sock in sockets:
            sock.close()
        try:
            if self._beginning:
                await asyncio.wait(self._beginning, timeout=_LAST_BEGINNINGS_S)
        finally:
            for task in self._beginning:
                task.cancel()
        await asyncio.gather(*self._beginning, return_exceptions=True)

    def _resume(self) -> None:
        self._resuming = None
        for sock in self.sockets:
            asyncio.get_running_loop().add_reader(sock, self._accept, sock)

    def _pause(self) -> None:
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        for sock in self.sockets:
            asyncio.get_running_loop().remove_reader(sock)

    def _accept(self, sock: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                connection, _address = sock.accept()
            except (BlockingIOError, ConnectionError):
                return  # nobody there, or gone again
            except OSError as exc:
                _log.warning("Cannot accept connections for a moment: %s", exc.strerror)
                self._pause()
                loop = asyncio.get_running_loop()
                self._resuming = loop.call_later(_OUT_OF_FILES_PAUSE_S, self._resume)
                return
            if self._has_room(len(self._beginning)):
                beginning = asyncio.create_task(self._begin(connection))
                self._beginning.add(beginning)
                beginning.add_done_callback(partial(self._begun, connection))
            else:
                connection.close()

    def _begun(self, connection: socket.socket, task: asyncio.Task[None]) -> None:
        self._beginning.discard(task)
        if task.cancelled():
            connection.close()  # also if it never came to its first step

    async def _begin(self, connection: socket.socket) -> None:
        context = self._context() if self._context else None
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=_TLS_HANDSHAKE_TIMEOUT_S if context else None,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_TIMEOUT_S if context else None,
            )
        except (OSError, TimeoutError, ValueError):  # ValueError: uvloop's for a closed socket
            connection.close()  # they could not agree, or it went away
