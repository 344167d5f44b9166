"""Checking passwords without holding up the loop, and not twice.

bcrypt is slow on purpose. So a check runs in a thread, few at a time; those who ask for the same
share one; and who was right is remembered, as a digest under a key of this process. Wrong ones are
never remembered: they cost what they cost, and beyond a number of them everybody who is not known
yet is told to come again.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from genai_collector.errors import Overloaded
from genai_collector.extensions._htpasswd import Entry, Users
from genai_collector.transport.authentication import fingerprint

AT_ONCE: Final = 2
MAX_WAITING: Final = 64
MAX_REMEMBERED: Final = 1024
_RETRY_AFTER_S: Final = 1.0


class Logins:
    """The checks of one list of users. Another list has its own, and remembers nobody."""

    def __init__(self, users: Users, slots: asyncio.Semaphore) -> None:
        self.users = users
        self._slots = slots
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[str]] = {}

    async def user(self, name: bytes, password: bytes) -> str:
        """The name of the user, empty if it is not. Raises Overloaded when too many wait."""
        key = fingerprint(len(name).to_bytes(4, "big") + name + password)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
            return found
        user, entry = self.users.claimed(name)
        if not entry.cost:
            return self._remember(key, user if entry.check(password) else "")
        return await asyncio.shield(self._check(key, user, entry, password))

    async def close(self) -> None:
        """Let go of what still runs."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _check(self, key: bytes, user: str, entry: Entry, password: bytes) -> asyncio.Task[str]:
        task = self._running.get(key)
        if task is None:
            if len(self._running) >= MAX_WAITING:
                raise Overloaded("too many logins wait to be checked", retry_after=_RETRY_AFTER_S)
            task = asyncio.create_task(self._checked(key, user, entry, password))
            self._running[key] = task
            task.add_done_callback(lambda _: self._running.pop(key, None))
        return task

    async def _checked(self, key: bytes, user: str, entry: Entry, password: bytes) -> str:
        async with self._slots:
            right = await asyncio.to_thread(entry.check, password)
        return self._remember(key, user if right else "")

    def _remember(self, key: bytes, user: str) -> str:
        if user:
            self._known[key] = user
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return user
