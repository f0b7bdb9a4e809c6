"""Who starts when, and beside whom: broken schedules, reloads, locks and nodes."""

import asyncio
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import daemon.alerts.dispatcher
import daemon.core.plan
import daemon.core.retention
import daemon.core.states
import daemon.fleet.attempts
import daemon.fleet.fleet
import daemon.panel.client
import daemon.panel.decode
import daemon.panel.listing
import daemon.panel.transport
import daemon.panel.wire
import daemon.rotation.create
import daemon.rotation.delete
import daemon.rotation.report
import daemon.rotation.rotate
import daemon.rotation.run
import daemon.rotation.wait
import daemon.state.local.engine
from daemon.config.errors import ConfigError
from daemon.config.values import Config
from daemon.core.model import Obstacle, Server
from daemon.fleet.fleet import Fleet
from daemon.fleet.rotations import Rotations
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order
from daemon.rotation.slots import NodeSlots, Slot
from tests.simulation.builds.registry import PATCH, broken
from tests.simulation.run import Simulation


@broken("a bad configuration is obeyed as far as it can be read", "11", first=3)
def _obeys_half_a_configuration() -> AbstractContextManager[Any]:
    real = Simulation.read
    good: list[Config] = []

    def read(self: Simulation) -> Config:
        try:
            good[:] = [real(self)]
        except ConfigError:
            return replace(good[0], servers={})
        return good[0]

    return PATCH(Simulation, "read", read)


@broken("a server whose reinstallation failed is taken for one that installs", "live", first=6)
def _waits_for_a_reinstallation() -> AbstractContextManager[Any]:
    real = vars(Server)["obstacle"].fget

    def obstacle(self: Server) -> Obstacle | None:
        return real(self) or (Obstacle.INSTALLING if self.status == "reinstall_failed" else None)

    return PATCH(Server, "obstacle", property(obstacle))


@broken(
    "one server that cannot be backed up ends the starts of all", "12", insist={"one victim": 1, "backup fails": 0.7}
)
def _stops_after_a_failure() -> AbstractContextManager[Any]:
    real = Rotations._ended

    def ended(self: Rotations, order: Any, client: PanelClient, task: asyncio.Task[Any]) -> None:
        real(self, order, client, task)
        retry: Any = self._retry
        fleet: Fleet = retry.__self__
        if not task.cancelled() and task.exception() is None and task.result().result.value == "failed":
            for name in fleet.config.servers:
                fleet._scheduler.remove(name)

    return PATCH(Rotations, "_ended", ended)


@broken("a stuck backup keeps its node's place", "live")
def _holds_the_node() -> AbstractContextManager[Any]:
    return PATCH(Slot, "release", lambda self: None)


@broken("every look at the clock is a start", "6")
def _starts_all_the_time() -> AbstractContextManager[Any]:
    real = Fleet._tick

    async def tick(self: Fleet) -> None:
        for server in self.config.servers.values():
            self._rotations.launch(Order(server, "schedule", self._clock.now()))
        await real(self)

    return PATCH(Fleet, "_tick", tick)


@broken("nothing is picked up and no start caught up", "live", first=2)
def _picks_up_nothing() -> AbstractContextManager[Any]:
    return PATCH(daemon.fleet.attempts, "recover", lambda *_, **__: None)


@broken("a node has room for any number of backups", "turn", first=3)
def _counts_no_places() -> AbstractContextManager[Any]:
    real = NodeSlots.take

    async def take(self: NodeSlots, panel: str, node: str, *, places: int, **options: Any) -> Slot:
        return await real(self, panel, node, places=1000, **options)

    return PATCH(NodeSlots, "take", take)


@broken("a server's lock is no lock", "turn", insist={"rotated by hand": 0.5}, first=1)
def _locks_nothing() -> AbstractContextManager[Any]:
    return PATCH(daemon.state.local.engine, "server_lock", lambda *_: nullcontext())
