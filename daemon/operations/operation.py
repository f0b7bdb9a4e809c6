"""One operation by hand on one server, with the context that rotations have.

What must hold: before a request leaves whose work the panel continues by itself, `going_on` names that work, in case
the operator interrupts us.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from daemon.clock import Clock
from daemon.config.values import ServerConfig, StatePlace
from daemon.core.model import Server
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order
from daemon.rotation.preview import Preview, preview
from daemon.rotation.run import Run
from daemon.rotation.setup import Tell, open_clients, open_context
from daemon.state import engine_for


@dataclass(slots=True)
class Operation:
    """One operation under way. `going_on` says what the panel continues with if we stop now; empty for nothing."""

    run: Run
    tell: Tell
    going_on: str = ""
    _just_seen: Server | None = None

    @property
    def config(self) -> ServerConfig:
        """The server's configuration."""
        return self.run.config

    @property
    def client(self) -> PanelClient:
        """The client of the server's panel."""
        return self.run.client

    @property
    def clock(self) -> Clock:
        """The clock."""
        return self.run.context.clock

    async def look(self) -> Preview:
        """Return the server and its backups, judged by its policy; raises PanelError."""
        context, most = self.run.context, self.run.order.max_deletions
        just_seen, self._just_seen = self._just_seen, None
        seen = await preview(
            self.config,
            self.client,
            context.journal,
            self.clock,
            max_deletions=most,
            server=just_seen,
            catalogue=context.engine.catalogue,
        )
        self.run.server = seen.server
        return seen

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Hold the server's lock, so that no rotation runs meanwhile; raises ServerBusyError if one does."""
        if self.run.server is None:  # the lock goes by the uuid, which never changes
            self.run.server = self._just_seen = await self.client.server(self.config.id)
        async with self.run.context.engine.locks.held(self.run.server.uuid):
            yield


@asynccontextmanager
async def open_operation(
    config: ServerConfig, *, state: StatePlace, clock: Clock, tell: Tell, max_deletions: int | None = None
) -> AsyncIterator[Operation]:
    """Open an operation on that server, with its own client and journal, closed at the end."""
    current_config = {config.name: config}.get
    context = await open_context(engine_for(state), clock, current_config, random.Random())  # noqa: S311 — not used
    try:
        async with open_clients([config.panel], clock, tell, hindrance=context.engine.leadership.hindrance) as clients:
            order = Order(config, "manual", max_deletions=max_deletions)
            yield Operation(Run(order, clients[config.panel.name], context, get_logger()), tell)
    finally:
        await context.close()
