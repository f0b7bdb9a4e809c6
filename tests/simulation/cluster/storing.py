"""The rule of stores in a cluster: who deletes from them is a member, and alone with a server's copies (invariant 20).

What may go besides, and what must be there, is the same as for one daemon. And the trouble of members with a copy or an
archive in hand: stopped right after something was stored, deleted or read, before anybody is told of it, as they
have looked what to prune, or as they ask for leave to delete.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from daemon.state.postgres.fence import SERVER
from daemon.stores.base import Entry
from tests.simulation.cluster import trouble
from tests.simulation.cluster.member import Member
from tests.simulation.cluster.standby import Standby
from tests.simulation.process import PROCESS, Process
from tests.simulation.scenario import HOUR
from tests.simulation.stores.bucket import Bucket, Call
from tests.simulation.stores.rules import MANIFEST
from tests.simulation.stores.wanted import KEY

if TYPE_CHECKING:
    from tests.simulation.cluster.world import Cluster

STOPPED = "member stopped with an archive in hand"
PROMOTED = "database promoted with a copy in hand"
BEFORE_A_DELETION = "member stands still before a deletion in a store"
KINDS = (STOPPED, PROMOTED, BEFORE_A_DELETION)
OF_STORES = (PROMOTED, BEFORE_A_DELETION)
A_MOMENT = 0.001
LOOKED_AT = 26 * HOUR
"""After so many seconds of calm days each server was looked at in each of its stores."""
KILLED = 0.4
"""So many of those that are stopped die; the others stand still."""


class Storing:
    """Holds what members do in stores against what the database says at that moment."""

    def __init__(self, simulation: "Cluster") -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold
        self._dice = {kind: simulation.scenario.stream(kind) for kind in KINDS}
        simulation.tables.on_seen = self._seen
        simulation.tables.on_proof = lambda process, server: self._records(process, "a proof", server)
        for bucket in simulation.stores.buckets.values():
            bucket.on_ask.append(self._asks)
            bucket.on_change.append(self._changes)
            bucket.on_listing.append(self._lists)
        simulation.proofs.tells = self._tells
        simulation.stores.asks_leave = self._asks_leave

    def _records(self, process: str, what: str, server: str) -> None:
        """A process records what it saw of a server, in a store or in an archive: nobody has taken over from it."""
        member, epoch = self._simulation.processes[process], self._simulation.epoch_of(process)
        if isinstance(member, Member) and not member.alive:
            epoch = member.died_in  # it was under way, and arrives all the same
        self._hold(
            "20", self._simulation.tables.lives(epoch), f"{process} records {what}, and is no member any more", server
        )

    def _seen(self, process: str, store: str, server: str) -> None:
        self._records(process, f"what is in {store}", server)
        self._simulation.stores.first.written(store, server)

    def _asks(self, bucket: Bucket, call: Call, key: str) -> None:
        """Something is to be stored or deleted: by a member that has the server's copies to itself.

        What one that was replaced stores hurts nobody, since no object is ever stored in the place of another. Nor does
        it that the data goes of a copy whose manifest is gone.
        """
        found, process = KEY.fullmatch(key), PROCESS.get()
        if found is None or call not in {Call.PUT, Call.DELETE}:
            return
        tables, epoch, server = self._simulation.tables, self._simulation.epoch_of(process.name), found[1]
        if tables.lives(epoch) and not self._lost_its_locks(process, call):
            alone = tables.holds(epoch, f"{SERVER}copies-{server}")
            text = f"{process.name} asks {bucket.name} for a {call} without the lock of the server's copies"
            self._hold("20", alone, text, server)
        elif call is Call.DELETE and (found[4] or key + MANIFEST in bucket.objects):
            self._hold("20", self._may_not_know(epoch), f"{process.name} deletes from {bucket.name}, and is no member")

    def _lost_its_locks(self, process: Process, call: Call) -> bool:
        """Whether the database was promoted, and may lack the process's locks, which no member has noticed yet: it will
        at the next renewal, within a lease. Something may be stored as long after a process stood still until then.
        """
        since = self._simulation.promoted_at
        if call is Call.PUT and process.stood_at <= since <= process.went_on_at:
            since = process.went_on_at
        return self._simulation.is_promoted_unnoticed and (
            self._simulation.clock.monotonic() - since < self._simulation.lease
        )

    def look_at_the_end(self) -> None:
        """What stands in a store was recorded, even if a promotion lost that: each look into the store finds it again.

        So it holds once every server was looked at in the calm days, of copies that stood before these.
        """
        simulation, stores = self._simulation, self._simulation.stores
        now, since = simulation.clock.monotonic(), simulation.acts_since
        if since is None or now - since < LOOKED_AT or simulation.checker.a_clock_was_set_since(simulation.calm_since):
            return
        before = simulation.clock.now() - timedelta(seconds=now - simulation.calm_since)
        for name, policy in simulation.configuration.known.items():
            server = simulation.uuid_of(name)
            for store in policy.get("copies", ()) if server not in simulation.removed else ():
                row, bucket = simulation.tables.shelves.get((store, "main", server)), stores.buckets[store]
                known = json.loads(row["detail"])["manifests"] if row else {}
                whole = (one.uuid for one in stores.rules.whole(bucket, server))
                lost = [key for key in whole if key not in known and bucket.objects[key + MANIFEST].modified < before]
                self._hold("16", not lost, f"{store} has {lost}, and that is not known", server)

    def _may_not_know(self, epoch: int | None) -> bool:
        """Whether a member was evicted, or the database promoted or its clock set, within the last lease."""
        simulation, now = self._simulation, self._simulation.clock.monotonic()
        evicted_at = simulation.evicted_at.get(epoch or 0, float("-inf"))
        last = max(evicted_at, simulation.promoted_at, simulation.database_set_at)
        return now - last < simulation.lease

    # Trouble ----------------------------------------------------------------------------------------------------------

    def _changes(self, bucket: Bucket, call: Call, key: str, _: bytes) -> None:
        """Something is stored or deleted, and its member does not know of it yet."""
        if KEY.fullmatch(key) is None:
            return
        self._may_stop(PROCESS.get(), bucket)
        if self._happens(PROMOTED):
            self._promote()

    def _lists(self, bucket: Bucket, folder: str, _: Sequence[Entry]) -> None:
        """A store was listed, maybe by a member that is about to prune it."""
        server = folder.rstrip("/").rpartition("/")[2]
        if (PROCESS.get().name, bucket.name, server) in self._simulation.stores.rules.pruning:
            self._may_stop(PROCESS.get(), bucket)

    async def _tells(self, reader: Process) -> None:
        """An archive was read to its end."""
        if self._may_stop(reader):
            await reader.clock.sleep(A_MOMENT)

    async def _asks_leave(self, member: Process) -> None:
        """Let it stand still, now and then, while it asks whether it may delete: until after its lease has ended."""
        if isinstance(member, Member) and not member.stands_still and self._happens(BEFORE_A_DELETION):
            self._simulation.happened(BEFORE_A_DELETION)
            trouble.stand_still(self._simulation, member, self._dice[BEFORE_A_DELETION])
            await member.clock.sleep(A_MOMENT)

    def _happens(self, kind: str) -> bool:
        rate = self._simulation.scenario.kinds.get(kind)
        return rate is not None and not self._simulation.calm and self._dice[kind].random() < rate

    def _may_stop(self, member: Process, bucket: Bucket | None = None) -> bool:
        """Let it be killed before it hears of that, or stand still, now and then."""
        simulation, rng = self._simulation, self._dice[STOPPED]
        if not isinstance(member, Member) or member.stands_still or not self._happens(STOPPED):
            return False
        simulation.happened(STOPPED)
        if rng.random() < KILLED:
            member.doomed_in = 1
            return True
        if bucket is not None:
            simulation.stores.troubles[bucket.name].next_answer_takes = A_MOMENT
        trouble.stand_still(simulation, member, rng)
        return True

    def _promote(self) -> None:
        """Let a standby hear of nothing from now on, and take the primary's place in a while."""
        simulation, rng = self._simulation, self._dice[PROMOTED]
        if simulation.standbys == trouble.STANDBYS or simulation.tables.home is None:
            return
        simulation.standbys += 1
        simulation.happened(PROMOTED)
        standby = Standby(simulation.tables, simulation.clock.monotonic())
        simulation.later(rng.choice((0.5, 5.0, 60.0, 1200.0)), lambda: simulation.promote(standby))
