"""The stores of a run: what they hold, what goes wrong in them, and who watches."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.simulation.process import Process
from tests.simulation.stores.before import CopiesFirst
from tests.simulation.stores.bucket import Bucket
from tests.simulation.stores.ending import StoreEnding
from tests.simulation.stores.faults import Trouble
from tests.simulation.stores.locks import LockRules
from tests.simulation.stores.rules import StoreRules

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


async def _nothing_happens(_: Process) -> None:
    """Nothing happens."""


class StoreWorld:
    """Every store by its name, and the judge of them."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self.locks = LockRules(simulation)
        self.rules = StoreRules(simulation)
        self.first = simulation.checker.copies_first = CopiesFirst(simulation)
        self.ending = StoreEnding(simulation)
        self.buckets: dict[str, Bucket] = {}
        self.troubles: dict[str, Trouble] = {}
        self.breaking = self.other_file = False
        self.asks_leave: Callable[[Process], Awaitable[None]] = _nothing_happens
        """What happens as a process is about to ask its journal whether it may delete something in a store."""

        for name, table in simulation.scenario.stores.tables.items():
            trouble = self.troubles[name] = Trouble(name, simulation.clock, simulation.scenario.stream(f"store {name}"))
            lockable = "object_lock" in table
            self.buckets[name] = Bucket(name, simulation.clock, trouble, lockable=lockable)
            self.locks.watch(self.buckets[name])
            self.rules.watch(self.buckets[name])
            self.first.watch(self.buckets[name])

    @property
    def installation(self) -> str:
        """The id of the daemon's installation, as its state has it."""
        return self._simulation.installation

    def name_of(self, server: str) -> str:
        """A server's configured name, by its uuid."""
        return next(name for name in self._simulation.specs if self._simulation.uuid_of(name) == server)
