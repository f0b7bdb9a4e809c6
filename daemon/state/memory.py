"""The engine without a folder, for `state_dir = "none"`: what it holds ends with the process."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from uuid import uuid4

from daemon.errors import ServerBusyError
from daemon.state.alone import Alone
from daemon.state.base import Catalogue, Leadership, Locks, Presence
from daemon.state.journal import Journal
from daemon.state.local.engine import AwaitedJournal
from daemon.state.local.journal import SqliteJournal
from daemon.state.runner import Inline
from daemon.state.values import Holding, ShelfRecord, StateNote


class MemoryLocks:
    """Locks between the tasks that share this object."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    @asynccontextmanager
    async def held(self, server_uuid: str, part: str | None = None) -> AsyncIterator[None]:  # noqa: ARG002 — no others
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


class MemoryCatalogue:
    """What was seen in the stores since the process began."""

    def __init__(self) -> None:
        self._id = str(uuid4())
        self._seen: dict[tuple[str, str, str], ShelfRecord] = {}

    async def installation(self) -> str:
        """Return an id that ends with the process."""
        return self._id

    async def shelf(self, store: str, panel: str, server_uuid: str) -> ShelfRecord | None:
        """Return what was last seen of a server in a store."""
        return self._seen.get((store, panel, server_uuid))

    async def shelves(self, panel: str, server_id: str) -> list[ShelfRecord]:
        """Return what was last seen of a server in each store."""
        return [
            record for key, record in sorted(self._seen.items()) if key[1] == panel and key[2].startswith(server_id)
        ]

    async def holdings(self, store: str | None = None) -> list[Holding]:
        """Return what a store holds of each server, or every store."""
        return [record.holding for key, record in sorted(self._seen.items()) if store in {None, key[0]}]

    async def remember(self, record: ShelfRecord) -> None:
        """Record what was seen of a server in a store."""
        holding = record.holding
        self._seen[holding.store, holding.panel, holding.server_uuid] = record

    async def replace(self, store: str, records: Iterable[ShelfRecord]) -> None:
        """Record what was seen in a store, in place of all that was known of it."""
        self._seen = {key: record for key, record in self._seen.items() if key[0] != store}
        for record in records:
            await self.remember(record)


class MemoryEngine:
    """State in this process alone. Its journal is SQLite's too, in memory, so that both keep the same promises."""

    def __init__(self) -> None:
        self.locks: Locks = MemoryLocks()
        self.presence: Presence = MemoryPresence()
        self.catalogue: Catalogue = MemoryCatalogue()
        self.leadership: Leadership = Alone()

    async def open(self) -> Journal:
        """Return an empty journal."""
        return AwaitedJournal(SqliteJournal.memory(), Inline())

    async def look(self) -> Journal | None:
        """Return None: what was remembered ended with its process."""
        return None

    async def check(self) -> tuple[StateNote, ...]:
        """Return that nothing can be wrong with it."""
        return ()

    def close(self) -> None:
        """Do nothing: there is nothing to close."""
