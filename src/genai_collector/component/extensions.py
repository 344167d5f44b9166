"""What extensions lend to other components, and how these ask for it.

A component names an extension by its id in `service.extensions` (`auth.authenticator: basicauth`,
`sending_queue.storage: file_storage`) and asks for it by what it can do:

    storage = context.extension(config.storage, Storage, "sending_queue.storage")

Asking is part of construction: what is not there, or cannot do that, is a ConfigError. Using it is
not: extensions are entered before everything else, and left after.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol, runtime_checkable


class Stored(NamedTuple):
    """One record, as it was appended."""

    id: int
    """Greater than that of every record appended before it, also after a restart."""
    data: bytes
    meta: bytes
    """What its owner wants to know of it without looking into it; by convention JSON."""
    items: int
    """How many items it holds, for counting."""


class Records(Protocol):
    """Records that survive a crash, in the order of appending. Usable while the storage is open."""

    @property
    def quota(self) -> int:
        """Bytes that may be stored."""
        ...

    @property
    def used(self) -> int:
        """Bytes that are stored, as they are stored (compressed)."""
        ...

    @property
    def count(self) -> int:
        """How many records there are."""
        ...

    @property
    def items(self) -> int:
        """How many items all records hold."""
        ...

    @property
    def last_id(self) -> int:
        """Of the record appended last, also if it is gone; 0 if there never was one."""
        ...

    async def append(
        self, data: bytes, *, meta: bytes = b"", items: int = 0, compressed: bool = False
    ) -> int:
        """Store a record; returns its id when it is on disk. Appends that come together share a
        commit. `compressed`: the data is so already. Raises `StorageFull` (a Retryable) when the
        quota or the disk is full, `Retryable` when the disk fails; then nothing is stored."""
        ...

    def remove(self, ids: Iterable[int], /) -> None:
        """Forget records, with the next commit: then there is room again. After a crash they may
        be there again."""
        ...

    async def settled(self) -> None:
        """Until everything asked for so far is done, removals too. Raises Retryable."""
        ...

    async def set_aside(self, ids: Iterable[int], why: str, /) -> None:
        """Move records to where what cannot be read goes, and report them."""
        ...

    async def read(self, after: int = 0, max_bytes: int = 8 << 20) -> list[Stored]:
        """The oldest records with a greater id, at least one if there is any and then as many as
        have `max_bytes` together. What cannot be read is set aside, reported and left out."""
        ...

    async def acquire(self) -> None:
        """Become the one reader, when the one before has let go (while a configuration is
        reloaded, two owners live side by side). Appending needs no such right."""
        ...

    def release(self) -> None:
        """Let the next reader go on."""
        ...


@runtime_checkable
class Storage(Protocol):
    """An extension that keeps records; `file_storage` is one."""

    def records(self, owner: str, name: str, quota: int | None = None) -> Records:
        """The records of that name of an owner (`exporter.otlp_http/backend`, `queue.traces`).
        The same for everyone who asks for the same. One owner has one file. `quota` in bytes;
        None for the storage's own."""
        ...


@runtime_checkable
class ServerAuth(Protocol):
    """An extension that knows who may send; `basicauth` and `bearertokenauth` are."""

    @property
    def challenge(self) -> str:
        """The value of `WWW-Authenticate` for those who may not."""
        ...

    async def authenticate(self, headers: Mapping[str, str], /) -> str:
        """Who sends, judged by the request's headers (names in lower case for gRPC, in any case
        for HTTP). Raises `Unauthenticated`, whose message is for the client and holds nothing of
        what it sent."""
        ...


@runtime_checkable
class ClientAuth(Protocol):
    """An extension that has credentials for a destination."""

    def request_headers(self) -> Mapping[str, str]:
        """The headers to add to a request, asked for each one: they may change."""
        ...
