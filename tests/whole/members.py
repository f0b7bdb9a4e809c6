"""Members of a cluster on virtual time, whole but for the database, of which they share a table in memory.

Each has its scheduler, its rotations, a journal and a client of its own, put together as the daemon does it.
"""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import daemon.service.assembly
from daemon.clock import Clock
from daemon.config.values import Config, PanelConfig
from daemon.panel.client import PanelClient
from daemon.rotation.setup import open_context
from daemon.service.assembly import Assembly, assembled
from daemon.state import MemoryEngine
from daemon.state.alone import Alone
from tests.fleet.table import Shares, Table
from tests.whole.fleet import Daemons


class Leadership(Alone):
    """One of those that share a table; nothing hinders its writes, as none of them deletes anything."""

    def __init__(self, shares: Shares) -> None:
        self.shares = shares


@dataclass(frozen=True)
class Member:
    """A daemon of the cluster."""

    shares: Shares
    parts: Assembly

    @property
    def requests(self) -> int:
        """How many it has sent."""
        return sum(client.requests for client in self.parts.fleet.clients.opened().values())


class Cluster:
    """The daemons that share one configuration, one panel and one table."""

    def __init__(self, daemons: Daemons, config: Config) -> None:
        self.table = Table()
        self.members: list[Member] = []
        self._clock, self._config = daemons.clock, config
        self._held = AsyncExitStack()

    async def join(self, name: str) -> Member:
        """Let one more daemon begin, which runs until the cluster ends."""
        engine, shares = MemoryEngine(), self.table.of((name, len(self.table.members)))
        engine.leadership = Leadership(shares)
        context = await open_context(engine, self._clock, self._config.servers.get, random.Random(name))
        self._held.push_async_callback(context.journal.close)
        parts = assembled(self._config, context)
        self._held.push_async_callback(parts.close, 0)
        self._held.push_async_callback(parts.fleet.drain, 0)
        parts.fleet.start()
        parts.discovery.follow(self._config)
        parts.sharing.start()
        self.members.append(Member(shares, parts))
        return self.members[-1]

    async def close(self) -> None:
        """End all of them, the last one first."""
        await self._held.aclose()


@asynccontextmanager
async def cluster(daemons: Daemons, config: Config) -> AsyncIterator[Cluster]:
    """A cluster without members; those that join end with the block."""
    made = Cluster(daemons, config)

    def open_client(panel: PanelConfig, _: Clock, **how: Any) -> PanelClient:
        return daemons.open_client(panel, **how)

    with mock.patch.object(daemon.service.assembly, "open_client", open_client):
        try:
            yield made
        finally:
            await made.close()
