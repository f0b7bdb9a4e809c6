"""A fleet whose servers are all due at once: the daemon's scheduler, rotations and journal under virtual time.

The panel is the sandbox in this process. Hours pass in seconds, and the figures are counts and virtual seconds, which
are the same on every machine. The fleet is due because the daemon starts just after a start that it missed.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from daemon.clock import Clock
from daemon.config.values import Config
from daemon.core.units import format_duration
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome, Result
from daemon.sandbox.app import CallMade
from daemon.sandbox.faults import slow
from daemon.sandbox.records import Work
from daemon.sandbox.scenes import empty, history
from daemon.sandbox.settings import Settings
from daemon.sandbox.world import World
from tests.virtual import START, VirtualClock, VirtualLoop
from tests.whole.fleet import Daemons, on_virtual_time

NO_LIMIT = 10**9
SCHEDULE = "0 4 * * *"

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Plan:
    """A fleet: how many servers on how many nodes, backups of each, seconds that one takes, and the API's limit."""

    servers: int = 1000
    nodes: int = 50
    places: int = 1
    backups: int = 60
    seconds: float = 120.0
    latency: float = 0.02
    api_limit: int = NO_LIMIT

    def __str__(self) -> str:
        """In words."""
        took = format_duration(timedelta(seconds=self.seconds))
        places = f"{self.nodes} nodes with {self.places} place{'s' * (self.places > 1)} each"
        return f"{self.servers:,} servers with {self.backups} backups each, on {places}; a backup takes {took}"


@dataclass(frozen=True, slots=True)
class Night:
    """What was asked of the panel, and how many (virtual) seconds it took until the last rotation ended."""

    calls: list[CallMade]
    seconds: float

    @property
    def of_each_server(self) -> Counter[str]:
        """How many requests concerned each server alone."""
        return Counter(call.server for call in self.calls if call.server is not None)


class Ends:
    """Listens until so many rotations have ended, all of them well."""

    def __init__(self, rotations: int) -> None:
        self.all = asyncio.Event()
        self._left = rotations

    async def began(self, order: Order) -> None:
        """A rotation begins."""

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        if outcome.result is not Result.DONE:
            raise SystemExit(f"{order.server.name}: {outcome.result}: {outcome.problems}")
        self._left -= 1
        if not self._left:
            self.all.set()


def populated(clock: Clock, plan: Plan) -> World:
    """The panel with that fleet; the newest backup of each is a day and a half old."""
    world, owner, _ = empty(clock, settings=Settings(api_limit=plan.api_limit, creation_limit=0))
    nodes = [world.add_node(f"machine-{number}") for number in range(plan.nodes)]
    moments = [clock.now() - timedelta(days=day + 0.5) for day in range(plan.backups, 0, -1)]
    work = Work(seconds=plan.seconds)
    for number in range(plan.servers):
        home = nodes[number % plan.nodes]
        server = world.add_server(f"server-{number}", owner=owner, node=home, limit=plan.backups + 1, work=work)
        history(world, server, moments)
    world.faults.order(slow(plan.latency), times=None)
    return world


async def night(plan: Plan, beside: Callable[[Daemons, Config], Coroutine[Any, Any, None]] | None = None) -> Night:
    """Rotate the fleet once, on a virtual loop; `beside` is somebody else who uses the panel meanwhile."""
    clock = VirtualClock(START + timedelta(minutes=2))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        on_virtual_time(patch, clock)
        daemons = Daemons(populated(clock, plan), clock, Path(folder))
        config = _with_places(daemons.configure(schedule=SCHEDULE, keep={"last": plan.backups}), plan.places)
        ends = Ends(plan.servers)
        async with daemons.running(config, ends):
            other = asyncio.create_task(beside(daemons, config)) if beside else None
            await ends.all.wait()
            if other is not None:
                other.cancel()
        return Night(list(daemons.app.calls), clock.monotonic())


def virtually(main: Coroutine[Any, Any, Value]) -> Value:
    """Run that on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def _with_places(config: Config, places: int) -> Config:
    """The configuration with so many places on a node."""
    panels = {name: replace(panel, backups_per_node=places) for name, panel in config.panels.items()}
    servers = {name: replace(one, panel=panels[one.panel.name]) for name, one in config.servers.items()}
    return replace(config, panels=panels, servers=servers)
