"""How trouble comes: by the dice that are thrown at every rotation and request, and for how long it stays."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from daemon.sandbox.records import Backup, Server
from tests.simulation import trouble
from tests.simulation.clocks import SteppedLoop
from tests.simulation.recorder import Exchange, Rotation

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


class Disturbances:
    """The dice of every kind of trouble that does not meet single requests, and the spells that are still on."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._rates = simulation.scenario.kinds
        self._streams = {kind: simulation.scenario.stream(kind) for kind in self._rates}
        self._spells: dict[tuple[int, str], tuple[Any, Any]] = {}
        self._numbers: dict[tuple[int, str], int] = {}

    def rotation_begins(self, rotation: Rotation) -> None:
        """Let every kind of trouble throw its dice."""
        simulation = self._simulation
        server = simulation.world.servers.get(rotation.uuid)
        if simulation.calm or server is None:
            return
        for kind, rate in self._rates.items():
            if kind not in simulation.spells:
                continue
            act, delay, for_one = simulation.spells[kind]
            rng, victim = self._streams[kind], simulation.faults.victim
            hit, wait = rng.random() < rate, rng.random() * delay
            spared = victim is not None and (not for_one or rotation.uuid != victim)
            if hit and not spared:
                asyncio.get_running_loop().call_later(wait, self._act, kind, act, server, rng)

    def _act(self, kind: str, act: trouble.Spell, server: Server, rng: random.Random) -> None:
        simulation = self._simulation
        if simulation.calm or simulation.stop.is_set() or server.uuid not in simulation.world.servers:
            return
        simulation.world.settle()
        with suppress(trouble.NothingToDoError):
            act(simulation, server, rng)
            simulation.recorder.tell(f"trouble: {kind}", server.uuid)
            simulation.happened(kind)

    # Between a request and what follows it ---------------------------------------------------------------------------

    def sent(self, exchange: Exchange) -> None:
        """A request leaves a process."""
        if exchange.call == "delete":
            self._race("lock races with a DELETE", exchange, random_delay=True)
            self._race("reload races with a DELETE", exchange, random_delay=True)

    def answered(self, exchange: Exchange) -> None:
        """The panel has answered, and the answer is on its way."""
        if exchange.call in {"list", "view"}:
            self._race("lock races with a reading", exchange)
            self._race("deletion races with a reading", exchange)
        if exchange.call == "create":
            self._race("panel goes down at a create", exchange)
            self._race("server leaves while it queues", exchange)

    def _race(self, kind: str, exchange: Exchange, *, random_delay: bool = False) -> None:
        simulation, rng = self._simulation, self._streams.get(kind)
        server = simulation.world.servers.get(exchange.server or "")
        act, for_one = trouble.RACES[kind]
        victim = simulation.faults.victim
        spared = victim is not None and (not for_one or exchange.server != victim)
        if rng is None or simulation.calm or server is None or spared:
            return
        often = self._rates[kind] * (3 if exchange.call in {"create", "delete"} else 1)  # of those there are few
        hit, delay = rng.random() < often, rng.random() * simulation.panel.slowness * 2
        backup = server.backups.get(exchange.backup or "") or trouble.pick(server, rng)
        if not hit or backup is None:
            return
        if random_delay:
            asyncio.get_running_loop().call_later(delay, self._meet, kind, act, server, backup)
        else:
            self._meet(kind, act, server, backup)

    def _meet(self, kind: str, act: trouble.Race, server: Server, backup: Backup) -> None:
        simulation = self._simulation
        if simulation.calm or server.uuid not in simulation.world.servers or backup.uuid not in server.backups:
            return
        simulation.world.settle()
        with suppress(trouble.NothingToDoError):
            act(simulation, server, backup, self._streams[kind])
            simulation.happened(kind)

    # Spells ----------------------------------------------------------------------------------------------------------

    def spell(self, thing: Any, attribute: str, value: Any, seconds: float) -> None:
        """Set something for a while."""
        key = id(thing), attribute
        self._spells.setdefault(key, (thing, getattr(thing, attribute)))
        number = self._numbers[key] = self._numbers.get(key, 0) + 1
        setattr(thing, attribute, value)

        def over() -> None:
            if self._numbers[key] == number:
                self._undo(key)

        asyncio.get_running_loop().call_later(seconds, over)

    def end(self) -> None:
        """End every spell."""
        for key in list(self._spells):
            self._undo(key)

    def _undo(self, key: tuple[int, str]) -> None:
        if key in self._spells:
            self._simulation.world.settle()
            thing, before = self._spells.pop(key)
            setattr(thing, key[1], before)

    def kill_after(self, steps: int, kill: Callable[[], None]) -> None:
        """Kill before so many more steps of the event loop are made."""
        loop, left = asyncio.get_running_loop(), steps
        assert isinstance(loop, SteppedLoop)

        def step() -> None:
            nonlocal left
            left -= 1
            if left:
                return
            loop.on_step = None
            if not self._simulation.calm:
                kill()

        loop.on_step = step
