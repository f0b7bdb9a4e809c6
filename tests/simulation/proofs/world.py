"""The proofs of a run: who is to be told of what is read, and what is wrong with the archives."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from daemon.copies.jobs import Job, ToProve
from daemon.sandbox.records import State
from tests.simulation.process import Process
from tests.simulation.proofs.ending import ProofEnding
from tests.simulation.proofs.restores import Restores
from tests.simulation.proofs.rules import ProofRules
from tests.simulation.proofs.scenario import DAMAGED, DAMAGES
from tests.simulation.recorder import Rotation
from tests.simulation.stores.wanted import KEY

if TYPE_CHECKING:
    from tests.simulation.run import Simulation


async def _tells_at_once(_: Process) -> None:
    """Nothing happens."""


class ProofWorld:
    """The judge of proofs; `deadly` are the backups whose archives end the process that reads them."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self.rules = simulation.checker.proofs = ProofRules(simulation)
        self.ending = ProofEnding(simulation)
        self.restores = Restores(simulation)
        self.deadly: set[str] = set()
        self.tells: Callable[[Process], Awaitable[None]] = _tells_at_once
        """What happens between what a process has found in an archive, and what it then does."""

        self.served: dict[tuple[str, str], bytes] = {}
        """The file that was last sent whole to a process, by the backup."""

    def damage_some(self) -> None:
        """Let some of the backups that are there be damaged, where anything is to be proven."""
        rng = self._simulation.scenario.stream("damaged archives")
        for server in self._simulation.world.servers.values() if self._simulation.scenario.proofs else ():
            for backup in server.backups.values():
                if backup.state is State.GOOD and rng.random() < DAMAGED:
                    backup.flavour = rng.choice(DAMAGES)

    def mend(self) -> None:
        """Let no archive end its reader any more, and nobody restore."""
        self.deadly.clear()
        for name in self.restores.under_way():
            self._simulation.processes[name].die("the calm days begin")

    def once_more(self, rotation: Rotation) -> None:
        """A rotation begins that may be one more for a bad backup."""
        if rotation.once_more is not None:
            self.rules.begins_once_more(rotation)

    def stored(self, job: Job, what: ToProve) -> bytes | None:
        """The copy that is to be read, as it lies in its store; nothing of it where its manifest tells of other bytes.

        None where it is not known what is to be read.
        """
        stores = self._simulation.stores
        bucket = stores.buckets[what.store]
        for key, found in ((key, KEY.fullmatch(key)) for key in bucket.objects):
            if found and not found[4] and (found[1], found[3]) == (job.server.uuid, what.backup):
                told, data = stores.rules.told(bucket, key), bucket.objects[key].data
                return None if told is None else data if told.is_of(data) else b""
        return None
