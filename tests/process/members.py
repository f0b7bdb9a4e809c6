"""Daemons of one cluster in this process, each with its own wire to the database: whole but for signals and HTTP."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from daemon.clock import SystemClock
from daemon.config.load import load
from daemon.config.values import ClusterConfig, Config
from daemon.rotation.setup import open_context
from daemon.sandbox.scenes import KEY
from daemon.service.assembly import Assembly, assembled
from daemon.state import Membership, engine_for
from tests.state.wire import Wire, wire

CLOCK = SystemClock()


class Member:
    """A daemon of the cluster."""

    def __init__(
        self, name: str, between: Wire, parts: Assembly, held: AsyncExitStack, membership: Membership | None
    ) -> None:
        assert membership is not None
        self.name = name
        self.membership = membership
        self.wire = between
        self.parts = parts
        self._held = held

    @property
    def acts_for(self) -> set[str]:
        """The servers that it acts for now."""
        return set(self.parts.fleet.names)

    async def kill(self) -> None:
        """End without a word to anybody, as a process that was killed."""
        self.wire.cut()
        await self.parts.fleet.drain(0)
        await self.close()

    async def leave(self) -> None:
        """End as a daemon does that is told to stop."""
        self.parts.stop_looking()
        await self.parts.fleet.drain(10)
        await self.close()

    async def close(self) -> None:
        """End; a second time does nothing."""
        await self._held.aclose()


class Cluster:
    """The daemons that share one configuration and one database."""

    def __init__(self, file: Path, database: ClusterConfig, port: int) -> None:
        self._file = file
        self.config = self.read()
        self.members: list[Member] = []
        self._database = database
        self._port = port

    def read(self) -> Config:
        """The configuration as it is written now."""
        return load(self._file, {"PTERO_BACKUPD_PANELS__MAIN__API_KEY": KEY})

    async def join(self, name: str, config: Config | None = None) -> Member:
        """Let one more daemon begin, by that configuration or by that of the others."""
        config = config or self.config
        held = AsyncExitStack()
        between = await held.enter_async_context(wire(self._port))
        engine = engine_for(between.through(replace(self._database, member=name)))
        held.callback(engine.close)
        held.push_async_callback(engine.leadership.give_up)
        await engine.leadership.join()
        await held.enter_async_context(engine.presence.known())
        context = await open_context(engine, CLOCK, config.servers.get, random.Random(name))
        held.push_async_callback(context.journal.close)
        parts = assembled(config, context)
        held.push_async_callback(parts.close, 0.1)
        await parts.alerts.start()
        parts.fleet.start()
        parts.discovery.follow(config)
        parts.sharing.start()
        self.members.append(Member(name, between, parts, held, engine.leadership.membership))
        return self.members[-1]


@asynccontextmanager
async def cluster(file: Path, database: ClusterConfig, port: int) -> AsyncIterator[Cluster]:
    """A cluster without members; those that joined end with the block."""
    made = Cluster(file, database, port)
    try:
        yield made
    finally:
        for member in made.members:
            await member.close()


async def until(holds: Callable[[], bool], what: str, seconds: float = 30.0) -> float:
    """Look again and again until it holds; return how many seconds that took. AssertionError after the deadline."""
    began = CLOCK.monotonic()
    while not holds():
        assert CLOCK.monotonic() - began < seconds, f"waited {seconds} s in vain: {what}"
        await CLOCK.sleep(0.02)
    return CLOCK.monotonic() - began
