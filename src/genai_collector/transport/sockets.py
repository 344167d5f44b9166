"""Endpoints and listening sockets.

`localhost` listens on both loopback addresses where the machine has them, because clients differ in
which of the two they try. A port that is taken is a ConfigError that names the option to change.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Final, NamedTuple

from genai_collector.errors import ConfigError

_LOOPBACK: Final = ("127.0.0.1", "::1")
_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT})
_TRIES_FOR_A_COMMON_PORT: Final = 16


class Endpoint(NamedTuple):
    """Where to listen. An empty host means every interface; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """`host:port`, `[::1]:port` or `:port`. Raises ValueError with what is expected."""
    host, colon, port = text.strip().rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if "://" in text:
        raise ValueError("expected host:port without a scheme, such as localhost:4318")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("expected host:port, such as localhost:4318")
    if ":" in host and not bracketed:
        raise ValueError("an IPv6 address needs brackets, such as [::1]:4318")
    return Endpoint(host[1:-1] if bracketed else host, int(port))


def bind(endpoint: Endpoint, *, option: str) -> list[socket.socket]:
    """Bound, not yet listening sockets, all on one port.

    Raises ConfigError naming `option`, the place in the configuration to change.
    """
    hosts = _hosts(endpoint)
    for _ in range(_TRIES_FOR_A_COMMON_PORT):
        try:
            return _bind_all(hosts, endpoint.port)
        except OSError as exc:
            error = exc
            if endpoint.port or exc.errno != errno.EADDRINUSE:
                break
    raise ConfigError(
        f"cannot listen on {endpoint}: {_reason(error)}; free it, or choose another in {option}"
    ) from error


def _hosts(endpoint: Endpoint) -> tuple[str, ...]:
    if endpoint.host == "localhost":
        return _LOOPBACK
    return (endpoint.host or "::",)


def _bind_all(hosts: tuple[str, ...], port: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    try:
        for host in hosts:
            try:
                bound.append(_bind_one(host, port))
            except OSError as exc:
                if host == "::" and exc.errno in _ABSENT:
                    bound.append(_bind_one("0.0.0.0", port))  # noqa: S104 - what `:port` asks for
                elif not bound or exc.errno not in _ABSENT:
                    raise
            port = bound[0].getsockname()[1]
    except OSError:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bind_one(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            # Without it a restart would have to wait for old connections to be forgotten.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            only_v6 = 0 if host == "::" else 1
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
        sock.setblocking(False)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _reason(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "no such host"
    if error.errno == errno.EADDRINUSE:
        return "address already in use"
    return (error.strerror or type(error).__name__).lower()


def address_of(sock: socket.socket) -> Endpoint:
    """Where a bound socket really is."""
    host, port = sock.getsockname()[:2]
    return Endpoint(host, port)
