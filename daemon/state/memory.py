"""The engine without a folder, for `state_dir = "none"`: what it holds ends with the process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from daemon.errors import ServerBusyError
from daemon.state.base import Journal, Locks, Presence
from daemon.state.local.engine import AwaitedJournal
from daemon.state.local.journal import SqliteJournal
from daemon.state.runner import Inline


class MemoryLocks:
    """Locks between the tasks that share this object."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    @asynccontextmanager
    async def held(self, server_uuid: str) -> AsyncIterator[None]:
        """Hold the server's lock."""
        if server_uuid in self._held:
            raise ServerBusyError(server_uuid)
        self._held.add(server_uuid)
        try:
            yield
        finally:
            self._held.discard(server_uuid)

    async def is_held(self, server_uuid: str) -> bool:
        """Return whether a task rotates the server now."""
        return server_uuid in self._held

    async def check(self) -> None:
        """Do nothing: these locks can always be taken."""


class MemoryPresence:
    """No presence: nobody else can see who runs."""

    @asynccontextmanager
    async def known(self) -> AsyncIterator[int | None]:
        """Be known to nobody; give None."""
        yield None

    async def daemon(self) -> int | None:
        """Return None: nobody is known."""
        return None


class MemoryEngine:
    """State in this process alone. Its journal is SQLite's too, in memory, so that both keep the same promises."""

    def __init__(self) -> None:
        self.locks: Locks = MemoryLocks()
        self.presence: Presence = MemoryPresence()

    async def open(self) -> Journal:
        """Return an empty journal."""
        return AwaitedJournal(SqliteJournal.memory(), Inline())

    async def look(self) -> Journal | None:
        """Return None: what was remembered ended with its process."""
        return None

    async def check(self) -> None:
        """Do nothing: nothing can be wrong with it."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
