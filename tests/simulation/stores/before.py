"""Which copies a rotation may know of before it deletes a backup: what each store has shown, and when (invariant 14).

A store shows what it has in a listing, and by taking a manifest. The daemon goes by what it has written into its
catalogue, so what was shown before that is forgotten, and what was shown since may be known or not.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.simulation.doubts import SLACK
from tests.simulation.oracle import TOO_FAR_AHEAD, Row
from tests.simulation.recorder import Rotation
from tests.simulation.scenario import DAY
from tests.simulation.stores.bucket import Bucket, Call
from tests.simulation.stores.rules import MANIFEST, read_manifest
from tests.simulation.stores.scenario import StoreTable
from tests.simulation.stores.wanted import KEY, backup_of, good_ones, wanted

if TYPE_CHECKING:
    from daemon.stores.base import Entry
    from tests.simulation.run import Simulation

FIRST = "copy_before_delete"
Policy = Mapping[str, Any]
Place = tuple[str, str]
"""A store, and a server by its uuid."""


@dataclass(frozen=True, slots=True)
class View:
    """What a store showed of a server at some moment, in a listing that was taken at another one at the latest."""

    at: float
    listed_at: float
    copies: tuple[Row, ...]
    """Those that were compared with the panel's checksum: they alone count."""
    whole: tuple[Row, ...] = ()
    """All of them: by its own rules a store takes none in the place of one that is unverified."""
    others: tuple[Row, ...] = ()
    """Those of other installations that were compared: each counts for the backup that it is of."""

    def has(self, backup: str) -> bool:
        """Whether a whole copy of it was there, whoever made it."""
        return any(backup_of(row) == backup for row in (*self.copies, *self.others))

    def newer_is_enough(
        self, row: Row, good: Sequence[Row], table: StoreTable, policy: Policy, *, now: datetime
    ) -> bool:
        """Whether the store's own rules do not take that backup, and it has a newer one."""
        latest = now + TOO_FAR_AHEAD + timedelta(seconds=SLACK)
        newer = any(row.created < copy.created <= latest for copy in self.copies)
        return newer and row not in wanted(good, self.whole, table, policy, now)


class CopiesFirst:
    """Remembers what was shown, and says which backups may go by it, and which may have to wait."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._views: defaultdict[Place, list[View]] = defaultdict(list)
        self._written: defaultdict[Place, list[tuple[float, int]]] = defaultdict(list)
        self._lost: list[tuple[float, float]] = []
        """From when to when what was written is lost."""

    def watch(self, bucket: Bucket) -> None:
        """Be told of what a store shows."""
        bucket.on_listing.append(self._listed)
        bucket.on_change.append(self._changed)

    def _now(self) -> float:
        return self._simulation.clock.monotonic()

    def _listed(self, bucket: Bucket, folder: str, shown: Sequence["Entry"]) -> None:
        server = folder.rstrip("/").rpartition("/")[2]
        there = [entry for entry in shown if entry.key.startswith(folder)]
        ours, others = (self._simulation.stores.rules.copies(bucket, there, ours=ours) for ours in (True, False))
        counted, foreign = self._compared(bucket, ours), self._compared(bucket, others)
        self._views[bucket.name, server].append(View(self._now(), self._now(), counted, tuple(ours), foreign))

    def _compared(self, bucket: Bucket, rows: Sequence[Row]) -> tuple[Row, ...]:
        """Those copies that were compared with the panel's checksum."""
        told = ((row, self._simulation.stores.rules.told(bucket, row.uuid)) for row in rows)
        return tuple(row for row, manifest in told if manifest is not None and not manifest.unverified)

    def _changed(self, bucket: Bucket, call: Call, key: str, data: bytes) -> None:
        """A manifest is written: its store takes the copy."""
        found, told = KEY.fullmatch(key), read_manifest(data)
        if call is not Call.PUT or found is None or found[4] is None or told is None:
            return
        views = self._views[bucket.name, found[1]]
        before = views[-1] if views else View(self._now(), self._now(), ())
        row = Row(key.removesuffix(MANIFEST), told.name, True, False, told.size, told.created, told.created)
        counted = before.copies if told.unverified else (*before.copies, row)
        views.append(View(self._now(), before.listed_at, counted, (*before.whole, row), before.others))

    @staticmethod
    def named(policy: Policy) -> bool:
        """Whether a policy lets backups wait for copies."""
        return bool(policy.get(FIRST))

    def written(self, store: str, server: str) -> None:
        """The daemon's catalogue holds what was shown last."""
        place = store, server
        self._simulation.stores.rules.written(store, server)
        if self._views[place]:
            self._written[place].append((self._now(), len(self._views[place]) - 1))

    def loses(self, since: float) -> None:
        """The catalogue is again what it was at that moment. What was written right then may be there or not."""
        self._lost.append((since, self._now()))
        self._simulation.stores.rules.known.forget()
        for written in self._written.values():
            before = [number for at, number in written if at < since]
            written.append((self._now(), before[-1] if before else -1))

    def _known(self, place: Place, moment: float) -> tuple[View, ...]:
        """What a daemon may go by since that moment: what was in the catalogue then, and what was shown since.

        Nothing where the catalogue was empty then.
        """
        at = [number for when, number in self._written[place] if when <= moment]
        if not at or at[-1] < 0:
            return ()
        last, *later = self._views[place][at[-1] :]
        return (last, *(view for view in later if self._may_be_known(view, moment)))

    def _may_be_known(self, view: View, moment: float) -> bool:
        """Whether what was shown may be in a catalogue that is read after that moment, as it was not lost before."""
        return not any(since < view.at <= until <= moment for since, until in self._lost)

    # What may go, and what may have to wait ---------------------------------------------------------------------------

    def lack(
        self, rotation: Rotation, row: Row, policy: Policy, *, rows: Sequence[Row], now: datetime, since: float
    ) -> list[str]:
        """The stores that must have a good backup first, and of which nobody can know that they have it.

        `rows` are all that the panel showed, at `now` by its clock; the catalogue was looked at after `since`.
        """
        good = good_ones(rows, policy, rotation.server, now)

        def lets_go(store: str, view: View) -> bool:
            return view.has(row.uuid) or any(
                view.newer_is_enough(row, good, table, policy, now=now)
                for table in self._simulation.configuration.stores_between(store, self._now() - 7200, self._now())
            )

        return [
            store
            for store in policy.get(FIRST, ())
            if not any(lets_go(store, view) for view in self._fresh((store, rotation.uuid), since))
        ]

    def _fresh(self, place: Place, since: float) -> list[View]:
        """What a daemon may go by, and was shown within the last day."""
        oldest = since - DAY - SLACK - self._simulation.checker.clocks_set_by(since - DAY)
        views = self._known(place, since) or [one for one in self._views[place] if self._may_be_known(one, since)]
        return [view for view in views if view.at >= oldest]

    def may_wait(self, server: str, backup: str, policy: Policy, since: float) -> list[str]:
        """The stores that may hold a backup back, since a daemon need not know by then that they have it."""
        return [store for store in policy.get(FIRST, ()) if not self._surely_has((store, server), backup, since)]

    def _surely_has(self, place: Place, backup: str, since: float) -> bool:
        oldest = self._now() - DAY + SLACK + self._simulation.checker.clocks_set_by(self._now() - DAY)
        known = self._known(place, since)
        return bool(known) and all(view.has(backup) and view.listed_at >= oldest for view in known)

    def surely_lack(self, server: str, row: Row, policy: Policy) -> list[str]:
        """The stores that must have a backup, and never showed a copy of it, nor a newer one where that may do."""

        def lets_go(store: str, view: View) -> bool:
            table = self._simulation.configuration.stores[store]
            takes_all = (table["keep"], table.get("every")) == ("all", None)
            return view.has(row.uuid) or (not takes_all and any(one.created > row.created for one in view.copies))

        views = self._views
        return [
            store for store in policy.get(FIRST, ()) if not any(lets_go(store, view) for view in views[store, server])
        ]

    def listed_at(self, store: str, server: str) -> float:
        """When the last listing was taken that the catalogue knows of."""
        views, written = self._views[store, server], self._written[store, server]
        return max((views[number].listed_at for _, number in written if number >= 0), default=-1.0)
