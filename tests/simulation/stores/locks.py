"""What must hold of locks, held against the buckets' own: the part of invariant 15 that is about Object Lock."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from daemon.copies.results import PruneResult
from tests.simulation.doubts import SLACK
from tests.simulation.oracle import Row
from tests.simulation.process import PROCESS
from tests.simulation.scenario import DAY, HOUR
from tests.simulation.stores.bucket import Bucket, Call
from tests.simulation.stores.scenario import LOCKS
from tests.simulation.stores.wanted import KEY

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

MANIFEST = ".json"
UNDER_WAY = 6 * HOUR
"""For so many seconds a lock may be under way that was asked for before a clock was set."""


class LockRules:
    """Holds every lock that is asked for, every deletion of what is locked, and what is said to be deleted."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold

    def watch(self, bucket: Bucket) -> None:
        """Be told of what happens to a store."""
        bucket.on_lock.append(self._locks)
        bucket.on_refusal.append(self._refused)
        bucket.on_change.append(self._changed)

    # What is locked ---------------------------------------------------------------------------------------------------

    def _locks(self, bucket: Bucket, key: str, until: datetime) -> None:
        """A lock is asked for: by a clock that is trusted, for the span, and for no less than it was."""
        simulation, found = self._simulation, KEY.fullmatch(key)
        server = found[1] if found else None
        known = bucket.objects[key].locked_until if key in bucket.objects else None
        simulation.happened("a copy was locked" if known is None else "a lock was renewed")
        simulation.recorder.tell(f"    {bucket.name}: {key.rpartition('/')[2]} is locked until {until}", server)
        self._hold("15", known is None or until >= known, f"the lock of {key} is made shorter", server)
        self._hold("15", not self._is_in_doubt(), f"{key} is locked by a clock that is in doubt", server)
        latest = self._latest() + timedelta(seconds=self._span(bucket.name))
        self._hold("15", until <= latest, f"{key} is locked until {until}, which is too long", server)

    def _span(self, store: str) -> float:
        """For how many seconds the store locks, by any configuration of the last day."""
        now = self._simulation.clock.monotonic()
        tables = self._simulation.configuration.stores_between(store, now - DAY, now)
        return max(LOCKS[table["object_lock"]] for table in tables)

    def _latest(self) -> datetime:
        """What the daemon may take for the present: it sees no clock that is wrong by less than an hour."""
        simulation, since = self._simulation, self._simulation.clock.monotonic() - DAY
        unseen = HOUR + SLACK + sum(abs(by) for at, by in simulation.checker.panel_set if at >= since)
        return max(simulation.clock.now(), simulation.world.now()) + timedelta(seconds=unseen)

    def _is_in_doubt(self) -> bool:
        """Whether the daemon's clock was set by so much since it began, and so long ago, that it surely knows."""
        simulation = self._simulation
        begun, now = simulation.checker.begun[PROCESS.get().name], simulation.clock.monotonic()
        sets = [(at, by) for at, by in simulation.checker.host_set if at > begun]
        sums = (sum(by for at, by in sets if at <= until) for until in (now - UNDER_WAY, now))
        return all(abs(one) > HOUR + SLACK for one in sums) and not any(at > now - UNDER_WAY for at, _ in sets)

    # What is deleted --------------------------------------------------------------------------------------------------

    def _refused(self, bucket: Bucket, key: str) -> None:
        """A store refuses to delete what is locked: that is asked of no whole copy, since its locks are read first."""
        if key.removesuffix(MANIFEST) in bucket.objects and key.removesuffix(MANIFEST) + MANIFEST in bucket.objects:
            self._goes(bucket, key)

    def _changed(self, bucket: Bucket, call: Call, key: str, _: bytes) -> None:
        if call is Call.DELETE and key.endswith(MANIFEST) and key.removesuffix(MANIFEST) in bucket.objects:
            self._goes(bucket, key)

    def _goes(self, bucket: Bucket, key: str) -> None:
        """A part of a whole copy is to go: neither that nor the other one is locked, as far as the daemon can know."""
        simulation, found = self._simulation, KEY.fullmatch(key)
        unseen = simulation.checker.clocks_set_by(simulation.clock.monotonic() - DAY)
        now = simulation.machine_now() + timedelta(seconds=unseen)
        ends = self.ends(bucket, key.removesuffix(MANIFEST))
        is_locked = any(until is not None and until > now for until in ends)
        self._hold("15", not is_locked, f"{key} in {bucket.name} is to go before both locks ended", found and found[1])

    @staticmethod
    def ends(bucket: Bucket, data: str) -> list[datetime | None]:
        """When the locks of a copy's data and of its manifest end, of those that are there."""
        return [bucket.objects[key].locked_until for key in (data, data + MANIFEST) if key in bucket.objects]

    def locked(self, bucket: Bucket, rows: Sequence[Row], since: datetime | None = None) -> set[str]:
        """Which of these copies are locked, or were at some time since that moment."""
        since = since or bucket.clock.now()
        return {row.uuid for row in rows if any(end is not None and end > since for end in self.ends(bucket, row.uuid))}

    def pruned(self, store: str, server: str, result: PruneResult, kept: Sequence[Row], *, trusted: bool) -> None:
        """What is said to be deleted is gone; what is `kept` is locked for half of the span, by a `trusted` clock."""
        bucket = self._simulation.stores.buckets[store]
        self._told(bucket, server, result)
        if bucket.lockable and trusted and result.failure is None:
            self._renewed(bucket, server, kept)

    def _renewed(self, bucket: Bucket, server: str, kept: Sequence[Row]) -> None:
        half = timedelta(seconds=self._span(bucket.name) / 2 - UNDER_WAY - HOUR - SLACK)
        touched = self._simulation.stores.troubles[bucket.name].touched
        # A machine whose clock is behind since before the daemon began measures the span from there.
        soon = min(bucket.clock.now(), self._simulation.machine_now()) + half
        for row in kept:
            if not {row.uuid, row.uuid + MANIFEST} & touched:
                lasting = all(end is not None and end > soon for end in self.ends(bucket, row.uuid))
                self._hold("15", lasting, f"{bucket.name} keeps {row.name}, and its lock is not renewed", server)

    def _told(self, bucket: Bucket, server: str, result: PruneResult) -> None:
        gone = {one.backup for one in result.deleted}
        stand = [key for key in bucket.objects if (found := KEY.fullmatch(key)) and found[1] == server]
        said = [key for key in stand if any(backup in key for backup in gone)]
        self._hold("15", not said, f"{said} in {bucket.name} are said to be deleted, and are there", server)
