"""After calm days: each store has what its rules want of each server, and no more than they keep.

What its rules want is worked out a second time: see `wanted`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.simulation import oracle
from tests.simulation.doubts import SLACK
from tests.simulation.oracle import Row
from tests.simulation.scenario import DAY
from tests.simulation.stores.before import FIRST
from tests.simulation.stores.scenario import HOUR
from tests.simulation.stores.wanted import KEY, age, backup_of, good_ones, keeps, wanted

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

BOUND = timedelta(hours=26)
"""What was good for so long is copied: a store that was in trouble is asked again within that time."""
PRUNED = timedelta(hours=38)
"""A store is pruned daily, at one of the looks, which are twelve hours apart."""
HELD = timedelta(hours=60)
"""What only changed rules let go is told when the store is pruned, held for a day, and goes when it is pruned again."""


class StoreEnding:
    """Looks into every store at the end of a run."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold

    def look(self) -> None:
        """Hold what is there against what should be."""
        simulation = self._simulation
        since = simulation.acts_since
        lived = simulation.clock.monotonic() - since if since is not None else 0.0
        calm = simulation.clock.monotonic() - simulation.calm_since
        if min(lived, calm) < BOUND.total_seconds() + HOUR:
            return
        for name, policy in simulation.configuration.known.items():
            uuid = simulation.uuid_of(name)
            if uuid in simulation.removed or simulation.checker.a_clock_was_set_since(simulation.calm_since):
                continue
            for store in policy.get("copies", ()):
                self._look_into(store, name, uuid, policy)
            for store in policy.get(FIRST, ()):
                ago = simulation.clock.monotonic() - simulation.stores.first.listed_at(store, uuid)
                refuses = self.refuses_locks(store)  # and so it is in trouble, and one server an hour tries it
                self._hold("14", refuses or ago <= DAY, f"{store} was last looked into {ago / HOUR:.0f} h ago", uuid)

    def refuses_locks(self, store: str) -> bool:
        """Whether it locks, and this machine's clock is behind: by the service's own, its locks end in the past."""
        locks = "object_lock" in self._simulation.configuration.stores[store]
        return locks and self._simulation.host_clock.ahead < -timedelta(hours=1)

    def _look_into(self, store: str, name: str, server: str, policy: Mapping[str, Any]) -> None:
        """It has all that it wants, and no more."""
        simulation = self._simulation
        table, bucket = simulation.configuration.stores[store], simulation.stores.buckets[store]
        copies = list(simulation.stores.rules.whole(bucket, server))
        missing = self._missing(store, name, server, copies)
        there = {found[3] for key in bucket.objects if (found := KEY.fullmatch(key)) and found[1] == server}
        lasting = {row.uuid for row in self._good_before(name, server, policy)}
        lacks = [row.name for row in missing if row.uuid not in there and row.uuid in lasting]
        self._hold("16", self.refuses_locks(store) or not lacks, f"{store} has no copy of {lacks}", server)
        now, calm = simulation.host_clock.now(), timedelta(seconds=simulation.clock.monotonic() - simulation.calm_since)
        kept = keeps(policy, table)
        judged = oracle.judge(copies, kept, name, now)
        # What was copied lately may have made another one superfluous.
        newest = max((bucket.objects[row.uuid].modified for row in copies), default=now)
        quiet = min(calm, simulation.clock.now() - newest)
        bound = PRUNED + HELD if self._rules_changed(store, name) else PRUNED
        over = oracle.over(judged, kept) or quiet < bound or self._doubts_clocks()
        over |= simulation.proofs.rules.ever_frozen(server, simulation.clock.monotonic() - bound.total_seconds())
        locked = simulation.stores.locks.locked(bucket, copies, simulation.clock.now() - bound)
        left = [copy for copy in judged.deletions if copy not in locked]
        self._hold("16", over or not left, f"{store} keeps {left}", server)

    def _rules_changed(self, store: str, server: str) -> bool:
        """Whether a store was ever to keep something else of a server, so that something may be held for a day."""
        configuration, now = self._simulation.configuration, self._simulation.clock.monotonic()
        each = [
            keeps(policy, table)
            for policy in configuration.between(server, 0.0, now)
            for table in configuration.stores_between(store, 0.0, now)
            if policy is not None
        ]
        return not all(oracle.same_retention(one, each[0]) for one in each)

    def _doubts_clocks(self) -> bool:
        """Whether the daemon may doubt a clock: they differ, or were set while it ran, by more than an hour."""
        simulation, checker = self._simulation, self._simulation.checker
        apart = abs((simulation.world.now() - simulation.host_clock.now()).total_seconds())
        return max(apart, checker.clocks_set_by(simulation.acts_since or 0.0)) > HOUR - SLACK

    def _missing(self, store: str, name: str, server: str, copies: Sequence[Row]) -> list[Row]:
        """What a store lacks, whatever is known of deletions that were not completed, and of copies in other stores.

        A backup that may have no file is not copied, and takes no other one's place. One that only another store has is
        copied too, and so may take the place of one that the panel has. What was pruned lately, here or there, leaves
        its period to another one, which is copied at the next look.
        """
        simulation = self._simulation
        table, policy = simulation.configuration.stores[store], simulation.configuration.known[name]
        good = good_ones(list(simulation.recorder.mirror[server].values()), policy, name, simulation.world.now())
        lately = simulation.clock.monotonic() - BOUND.total_seconds()
        pruned = simulation.stores.rules.pruned_since(store, server, lately)
        half_deleted = simulation.recorder.half_deleted(server, simulation.clock.monotonic())
        each = [
            wanted(
                sorted((*(row for row in good if row.uuid not in asked), *gone), key=age, reverse=True),
                there,
                table,
                policy,
                max(simulation.world.now(), simulation.host_clock.now()),
            )
            for asked in half_deleted
            for there in (copies, [*copies, *pruned])
            for gone in ([], self._elsewhere(store, server), self._elsewhere(store, server, lately))
        ]
        return [row for row in each[0] if all(row in those for those in each[1:])]

    def _elsewhere(self, store: str, server: str, since: float = math.inf) -> list[Row]:
        """What other stores have, or pruned since then, of backups that the panel does not list any more."""
        stores, listed = self._simulation.stores, self._simulation.recorder.mirror[server]
        found = {
            backup_of(row): row
            for name, bucket in stores.buckets.items()
            if name != store
            for row in (*stores.rules.whole(bucket, server), *stores.rules.pruned_since(name, server, since))
        }
        return [replace(row, uuid=uuid) for uuid, row in found.items() if uuid not in listed]

    def _good_before(self, name: str, server: str, policy: Mapping[str, Any]) -> list[Row]:
        """Those that were there and good so long ago already: one that is good since then waits for the next look."""
        simulation = self._simulation
        then = simulation.recorder.truths(server, simulation.clock.monotonic() - BOUND.total_seconds())[0]
        return good_ones(list(then.values()), policy, name, simulation.world.now() - BOUND)
