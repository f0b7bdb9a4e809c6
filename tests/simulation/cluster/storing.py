"""The rule of stores in a cluster: who deletes from them is a member, and alone with a server's copies (invariant 20).

What may go besides, and what must be there, is the same as for one daemon. And the trouble of members with a copy in
hand: stopped right after something was stored or deleted, before anybody is told of it.
"""

from typing import TYPE_CHECKING

from daemon.state.postgres.fence import SERVER
from tests.simulation.cluster import trouble
from tests.simulation.cluster.member import Member
from tests.simulation.cluster.standby import Standby
from tests.simulation.process import PROCESS
from tests.simulation.stores.bucket import Bucket, Call
from tests.simulation.stores.wanted import KEY

if TYPE_CHECKING:
    from tests.simulation.cluster.world import Cluster

STOPPED = "member stopped with a copy in hand"
PROMOTED = "database promoted with a copy in hand"
KINDS = (STOPPED, PROMOTED)
A_MOMENT = 0.001
KILLED = 0.4
"""So many of those that are stopped die; the others stand still."""


class Storing:
    """Holds what members do in stores against what the database says at that moment."""

    def __init__(self, simulation: "Cluster") -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold
        self._dice = {kind: simulation.scenario.stream(kind) for kind in KINDS}
        simulation.tables.on_seen = self._seen
        for bucket in simulation.stores.buckets.values():
            bucket.on_ask.append(self._asks)
            bucket.on_change.append(self._changes)

    def _seen(self, process: str, store: str, server: str) -> None:
        """A process records in the catalogue what a store holds of a server: nobody has taken over from it."""
        simulation = self._simulation
        epoch = simulation.epoch_of(process)
        text = f"{process} records what is in {store}, and is no member any more"
        self._hold("20", simulation.tables.lives(epoch), text, server)
        simulation.stores.first.written(store, server)

    def _asks(self, bucket: Bucket, call: Call, key: str) -> None:
        """Something is to be stored or deleted: by a member that has the server's copies to itself.

        What one that was replaced stores hurts nobody, since no object is ever stored in the place of another.
        """
        found, process = KEY.fullmatch(key), PROCESS.get()
        if found is None or call not in {Call.PUT, Call.DELETE}:
            return
        tables, epoch, server = self._simulation.tables, self._simulation.epoch_of(process.name), found[1]
        if tables.lives(epoch):
            alone = tables.holds(epoch, f"{SERVER}copies-{server}")
            text = f"{process.name} asks {bucket.name} for a {call} without the lock of the server's copies"
            self._hold("20", alone, text, server)
        elif call is Call.DELETE:
            self._hold("20", self._may_not_know(epoch), f"{process.name} deletes from {bucket.name}, and is no member")

    def _may_not_know(self, epoch: int | None) -> bool:
        """Whether a member was evicted, or the database promoted or its clock set, within the last lease."""
        simulation, now = self._simulation, self._simulation.clock.monotonic()
        evicted_at = simulation.evicted_at.get(epoch or 0, float("-inf"))
        last = max(evicted_at, simulation.promoted_at, simulation.database_set_at)
        return now - last < simulation.lease

    # Trouble ----------------------------------------------------------------------------------------------------------

    def _changes(self, bucket: Bucket, call: Call, key: str, _: bytes) -> None:
        """Something is stored or deleted, and its member does not know of it yet."""
        member = PROCESS.get()
        if not isinstance(member, Member) or self._simulation.calm or KEY.fullmatch(key) is None:
            return
        if self._happens(STOPPED):
            self._stop(member, bucket)
        if self._happens(PROMOTED):
            self._promote()

    def _happens(self, kind: str) -> bool:
        rate = self._simulation.scenario.kinds.get(kind)
        return rate is not None and self._dice[kind].random() < rate

    def _stop(self, member: Member, bucket: Bucket) -> None:
        """Let it be killed before it hears of that, or stand still."""
        simulation, rng = self._simulation, self._dice[STOPPED]
        simulation.happened(STOPPED)
        if rng.random() < KILLED:
            member.doomed_in = 1
        elif not member.stands_still:
            simulation.stores.troubles[bucket.name].next_answer_takes = A_MOMENT
            trouble.stand_still(simulation, member, rng)

    def _promote(self) -> None:
        """Let a standby hear of nothing from now on, and take the primary's place in a while."""
        simulation, rng = self._simulation, self._dice[PROMOTED]
        if simulation.standbys == trouble.STANDBYS or simulation.tables.home is None:
            return
        simulation.standbys += 1
        simulation.happened(PROMOTED)
        standby = Standby(simulation.tables, simulation.clock.monotonic())
        simulation.later(rng.choice((0.5, 5.0, 60.0, 1200.0)), lambda: simulation.promote(standby))
