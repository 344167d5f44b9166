"""Who answers at an address while one graph of components follows another.

While a configuration is reloaded, the new graph starts beside the old one, which has the ports.
What the old one opened it finds here, and stands in line instead of opening the port again. The old
one goes on answering until the host says `switch`: then, in one step, the newest in line answers at
every address, also on connections that are open. Who leaves closes only what nobody else stands in
line for.

A host lends its `Handover` for the time of starting a graph. Without one (a test, a receiver by
itself) everybody opens for themselves.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar

S = TypeVar("S")
O = TypeVar("O")  # noqa: E741  opened and owner


class Place(Generic[S, O]):
    """Something that listens at an address, and who stands in line for it."""

    def __init__(self, kind: str, address: Hashable, settings: object, opened: S, owner: O) -> None:
        self.opened = opened
        self.serving = owner
        """Who answers now."""
        self._key = (kind, address)
        self._settings = settings
        self._line = [owner]
        self._known = _lent.get()
        if self._known is not None:
            self._known.places.append(self)

    def is_at(self, kind: str, address: Hashable) -> bool:
        return self._key == (kind, address)

    def opened_with(self, settings: object) -> bool:
        return self._settings == settings

    def join(self, owner: O) -> None:
        """Stand in line."""
        self._line.append(owner)

    def leave(self, owner: O) -> bool:
        """Step out of the line. True for the last one, who has to close what was opened."""
        self._line.remove(owner)
        if self._line:
            if self.serving is owner:
                self.serving = self._line[-1]
            return False
        if self._known is not None:
            self._known.places.remove(self)
        return True

    def switch(self) -> None:
        self.serving = self._line[-1]


class Handover:
    """Everything that listens in one process, kept from one graph to the next."""

    def __init__(self) -> None:
        self.places: list[Place[Any, Any]] = []

    @contextmanager
    def lent(self) -> Iterator[None]:
        """For what is started here, also in tasks that are made here."""
        token = _lent.set(self)
        try:
            yield
        finally:
            _lent.reset(token)

    def switch(self) -> None:
        """From now on the newest in every line answers."""
        for place in self.places:
            place.switch()


_lent: Final[ContextVar[Handover | None]] = ContextVar("genai_collector_handover", default=None)


def find(kind: str, address: Hashable) -> Place[Any, Any] | None:
    """What listens there already in this process, if a host has lent its Handover."""
    known = _lent.get()
    places = known.places if known is not None else []
    return next((place for place in reversed(places) if place.is_at(kind, address)), None)
