"""A whole fleet on virtual time: the scheduler, the rotations, the journal, and a daemon that can be killed."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import apscheduler.schedulers.base
import pytest
from pydantic import SecretStr

from daemon.config.values import Config, PanelConfig
from daemon.fleet.fleet import Fleet
from daemon.fleet.rotations import Listener
from daemon.panel.client import PanelClient
from daemon.rotation.setup import open_context
from daemon.sandbox.app import PanelApp
from daemon.sandbox.records import Server
from daemon.sandbox.world import World
from daemon.state import engine_for
from daemon.state.local.journal import SqliteJournal
from tests.virtual import VirtualClock
from tests.whole.rig import InProcess, configuration


class Daemons:
    """Daemons, one after the other, over one world and one state folder."""

    def __init__(self, world: World, clock: VirtualClock, folder: Path) -> None:
        self.world = world
        self.clock = clock
        self.folder = folder
        self.app = PanelApp(world)

    def configure(self, servers: Mapping[str, Server] | None = None, **options: Any) -> Config:
        """The configuration of those servers, or of every server of the world."""
        every = {server.name: server for server in self.world.servers.values()}
        return configuration(self.folder, every if servers is None else servers, **options)

    @asynccontextmanager
    async def running(self, config: Config, *listeners: Listener) -> AsyncIterator[Fleet]:
        """A daemon that runs until the end of the block, and is then killed: nothing is drained, nothing written."""
        names = random.Random(self.clock.monotonic())
        context = await open_context(engine_for(config.state_dir), self.clock, config.servers.get, names)
        fleet = Fleet(config, context, self.open_client, listeners=listeners)
        fleet.start()
        try:
            yield fleet
        finally:
            await fleet.drain(0)
            await fleet.close()
            await context.close()

    def open_client(self, panel: PanelConfig, **how: Any) -> PanelClient:
        """A client that talks to the world in this process."""
        return PanelClient(
            panel.name,
            panel.url,
            SecretStr(panel.api_key.get_secret_value()),
            clock=self.clock,
            reserve=panel.reserve,
            all_servers=panel.all_servers,
            transport=InProcess(self.app),
            randomness=random.Random(1),
            **how,
        )


def on_virtual_time(monkeypatch: pytest.MonkeyPatch, clock: VirtualClock) -> None:
    """Let APScheduler read the virtual clock: it is the one library that asks the machine's."""

    class Moment(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # which is to return Moment
            return clock.now().astimezone(tz)

    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Moment)


async def until(clock: VirtualClock, moment: datetime) -> None:
    """Let the time pass until that moment, and whatever is due then happen."""
    await clock.sleep((moment - clock.now()).total_seconds())
    for _ in range(3):
        await asyncio.sleep(0)  # noqa: TID251 — lets other tasks run


def at(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A moment in April 2026, UTC; the tests begin on the 1st at 03:59."""
    return datetime(2026, 4, day, hour, minute, second, tzinfo=UTC)


def made(daemons: Daemons, name: str = "survival") -> list[str]:
    """When the backups of a server were made, as day and HH:MM."""
    server = next(server for server in daemons.world.servers.values() if server.name == name)
    return [f"{backup.created_at:%d %H:%M}" for backup in server.backups.values()]


def rows(daemons: Daemons, name: str = "survival") -> list[tuple[str, str | None]]:
    """Trigger and result of the journalled rotations, oldest first."""
    with SqliteJournal.open(daemons.folder / "state") as journal:
        return [(row.trigger, row.result) for row in reversed(journal.recent(name))]
