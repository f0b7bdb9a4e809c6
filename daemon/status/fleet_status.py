"""The whole fleet as it stands, put together from what is tracked whenever somebody asks."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from daemon.config.values import Config, ServerConfig
from daemon.errors import JournalBusyError, StateError
from daemon.fleet.fleet import Fleet
from daemon.fleet.standing import Holders
from daemon.state import CopyRecord, Rotation, UnderWay
from daemon.status.copies import StoreStatus, stores_with
from daemon.status.elsewhere import with_work_elsewhere
from daemon.status.server_status import ServerStatus
from daemon.status.tracker import StatusTracker

SLICE = 25
"""After how many servers others may run, so that a thousand of them do not hold up what is due meanwhile."""

LOOK_SECONDS = 1.0
"""How long a look at the state may take, which others may hold, before what is known of it has to do."""


class FleetStatus:
    """Where the page, the status and the metrics find what they show. `holders` returns which nodes each member of a
    cluster holds, and `elsewhere` what others than this one have under way, or raises StateError.
    """

    def __init__(
        self,
        fleet: Fleet,
        tracker: StatusTracker,
        of_cluster: Callable[[], Sequence[str]] = tuple,
        holders: Callable[[], Holders] = dict,
        elsewhere: Callable[[], Awaitable[Sequence[UnderWay]]] | None = None,
    ) -> None:
        self.fleet = fleet
        self.tracker = tracker
        self.holders = holders
        self.elsewhere = elsewhere
        self._of_cluster = of_cluster

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.fleet.config

    async def servers(self) -> list[ServerStatus]:
        """Every configured server as it stands now."""
        statuses: list[ServerStatus] = []
        elsewhere = await self._look_elsewhere()
        for number, name in enumerate(self.config.servers):
            if number % SLICE == 0:
                await self.tracker.clock.sleep(0)
            if (one := await self.tracker.status(name)) is not None:  # a reload may have taken it away meanwhile
                statuses.append(with_work_elsewhere(one, elsewhere.get(name)))
        return statuses

    async def server(self, name: str) -> ServerStatus | None:
        """One server as it stands now; None where there is none of that name."""
        status = await self.tracker.status(name)
        return status and with_work_elsewhere(status, (await self._look_elsewhere()).get(name))

    async def _look_elsewhere(self) -> dict[str, UnderWay]:
        """Return what others have under way, by the server's name; nothing if the state does not tell it in time."""
        if self.elsewhere is None:
            return {}
        with suppress(StateError, TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                return {one.server: one for one in await self.elsewhere()}
        return {}

    async def stores(self) -> tuple[StoreStatus, ...]:
        """Every configured store as it stands now."""
        return await self.tracker.copies.stores_now()

    async def copy_records(self, store: str, limit: int) -> list[CopyRecord]:
        """What became of the last copies in a store, newest first; raises StateError."""
        return await self.tracker.context.journal.copy_records(store=store, limit=limit)

    async def stores_with(self, server: ServerConfig) -> dict[str, tuple[str, ...]]:
        """The stores that have a copy of each of a server's backups, by its uuid."""
        if not server.policy.copies:
            return {}
        return await stores_with(self.tracker.context.engine.catalogue, server.panel.name, server.id)

    async def rotations(self, name: str, limit: int) -> list[Rotation]:
        """A server's last rotations, newest first; raises StateError."""
        return await self.tracker.context.journal.recent(name, limit=limit)

    async def look_at_state(self) -> None:
        """Notice now, and not with the next minute, if the journal's file was removed or replaced."""
        with suppress(StateError, TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self.tracker.context.journal.look_after()

    def ailments(self) -> list[str]:
        """Why the daemon cannot do its work, in words; nothing where it can."""
        found = []
        if self.tracker.stopping:
            found.append("the daemon is stopping")
        if (trouble := self.tracker.context.state_trouble) is not None:
            busy = isinstance(trouble, JournalBusyError)
            state = (
                "the journal is held by another process" if busy else "the state folder or the journal cannot be used"
            )
            found.append(f"{state}: backups are made, none is deleted; the log says why")
        return found + self.stalled()

    def stalled(self) -> list[str]:
        """Whether the scheduler has let a start pass by."""
        late = 0.0 if self.tracker.stopping else self.fleet.behind()
        return [f"the scheduler is {late:.0f} s behind"] if late else []

    def notes(self) -> list[str]:
        """What the operator should know of the daemon itself, though it does its work."""
        found = [*self._of_cluster()]
        if not self.tracker.reload.successful:
            found.append("the configuration on disk is refused, so that the one before is in force; the log says why")
        return found
