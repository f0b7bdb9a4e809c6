"""What must hold of stores, held against what they really have: invariants 13, 15 and 16 of the design.

Written from the design's words and the layout in `docs/stores.md`; not a line of the daemon's is used.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product, takewhile
from typing import TYPE_CHECKING, Any

from daemon.copies.results import CopyResult
from daemon.errors import ProblemCode
from daemon.stores.base import Entry
from tests.simulation import oracle
from tests.simulation.oracle import Row
from tests.simulation.process import PROCESS
from tests.simulation.stores.bucket import IN_THE_PAST, Bucket, Call
from tests.simulation.stores.faults import Trouble
from tests.simulation.stores.known import KnownWhole
from tests.simulation.stores.wanted import KEY, keeps

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

TWO_LOOKS = timedelta(hours=48)
MANIFEST = ".json"

Looking = tuple[str, str, str]
"""A process, and the store and the server that it looks at."""


@dataclass(frozen=True, slots=True)
class AlertChecks:
    """What a manifest tells, as far as the rules need it."""

    installation: str
    backup: str
    name: str
    created: datetime
    size: int
    stored: int
    sha256: str
    checksum: str | None
    unverified: bool

    def is_of(self, data: bytes) -> bool:
        """Whether these are the bytes that it tells of."""
        return (self.stored, self.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def read_manifest(text: bytes) -> AlertChecks | None:
    """What stands in a manifest; None where it is none."""
    try:
        document: Mapping[str, Any] = json.loads(text)
        backup, stored = document["backup"], document["stored"]
        return AlertChecks(
            document["installation"],
            backup["uuid"],
            backup["name"],
            datetime.fromisoformat(backup["created_at"]),
            backup["bytes"],
            stored["bytes"],
            stored["sha256"],
            backup["checksum"],
            document["proof"]["unverified"],
        )
    except (ValueError, KeyError, TypeError):
        return None


class StoreRules:
    """Holds every object that is stored or deleted, as it is, and what is said of it."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold
        self._shown: dict[Looking, list[Entry]] = {}
        self._alone: dict[tuple[str, str], tuple[object, Sequence[datetime]]] = {}
        """What stands without its other half, and when it was first seen so: by the host's clock, and in truth."""
        self._put: dict[tuple[str, str], tuple[str, float]] = {}
        self._pruned: dict[tuple[str, str], tuple[float, Sequence[Row]]] = {}
        self._named: dict[tuple[str, str], list[tuple[Mapping[str, Any], set[str]]]] = {}
        self._visited: dict[tuple[str, str], float] = {}
        self.known = KnownWhole()
        self.pruning: dict[Looking, Sequence[Row]] = {}
        """Who prunes which store of which server just now, and the copies that were seen there first."""

    def watch(self, bucket: Bucket) -> None:
        """Be told of what happens to a store."""
        bucket.on_change.append(self._changed)
        bucket.on_listing.append(self._listed)

    def _trouble(self, store: str) -> Trouble:
        return self._simulation.stores.troubles[store]

    # What is stored --------------------------------------------------------------------------------------------------

    def _changed(self, bucket: Bucket, call: Call, key: str, data: bytes) -> None:
        found = KEY.fullmatch(key)
        verb = "stored" if call is Call.PUT else "deleted"
        server = found[1] if found else None
        self._simulation.recorder.tell(f"    {bucket.name}: {key.rpartition('/')[2]} is {verb}", server)
        if found is None:
            self._hold("15", False, f"{key} in {bucket.name} is not ours, and was {verb}")
        elif call is Call.DELETE:
            self._deleted(bucket, key, found[1], is_manifest=found[4] is not None)
        elif found[4] is not None:
            self._whole(bucket, key.removesuffix(MANIFEST), data, found[1], found[3])
        else:
            self._put[bucket.name, key] = self._process(), self._simulation.clock.monotonic()
            self._simulation.proofs.rules.walked_on_its_way(found[1], found[3], bucket.name, data)

    def written(self, store: str, server: str) -> None:
        """The catalogue holds what a process was shown last."""
        self.known.written(self._process(), (store, server))

    @staticmethod
    def _process() -> str:
        return PROCESS.get().name

    def _whole(self, bucket: Bucket, key: str, manifest: bytes, server: str, backup: str) -> None:
        """A manifest is written: what it tells of stands, is what was sent, and is what the panel says."""
        told, data = read_manifest(manifest), bucket.objects.get(key)
        there = data is not None or key in self._trouble(bucket.name).touched
        self._hold("13", there and told is not None, f"a manifest of {backup[:6]} without data", server)
        if told is None or data is None:
            return
        self._hold("13", told.is_of(data.sent), f"the manifest of {backup[:6]} tells of other bytes", server)
        true = self.true(server, backup)
        if true is not None:
            same = hashlib.sha256(data.sent).digest() == hashlib.sha256(true).digest()
            _, stored_at = self._put.get((bucket.name, key), ("", self._simulation.clock.monotonic()))
            alike = told.unverified and len(data.sent) == len(true) and self.was_not_told(server, stored_at)
            self._hold("13", same or alike, f"the copy of {backup[:6]} is not what the panel says", server)

    def was_not_told(self, server: str, stored_at: float) -> bool:
        """Whether a list lacked checksums since the copying may have begun of what was stored at that moment: then size
        and archive have to do. A manifest may be written back long after that.
        """
        lists = (e for e in reversed(self._simulation.recorder.exchanges) if (e.call, e.server) == ("list", server))
        since = takewhile(lambda exchange: exchange.sent >= stored_at - 7200, lists)
        return any(exchange.fault == "optional fields missing" for exchange in since if exchange.sent <= stored_at)

    def true(self, server: str, backup: str) -> bytes | None:
        """The backup's very bytes; None where the panel no longer has it."""
        there = self._simulation.world.servers.get(server)
        row = there.backups.get(backup) if there else None
        return None if row is None else b"".join(row.archive.pieces())

    def copied(
        self, process: str, server: str, backup: str, result: CopyResult, well: Collection[str], *, heard: bool
    ) -> None:
        """What is said to have come of a copy: where one store has got it, no other one's trouble is to blame.

        `well` are the stores that did not fail meanwhile, and `heard` is whether the process did not stand still.
        """
        told = {one.store: one.failure.text if one.failure else "copied" for one in result.copies}
        for store, text in told.items():
            self._simulation.recorder.tell(f"{process}: copy of {backup[:6]} to {store}: {text}", server)
        for one in result.copies:
            if one.failure is None:
                self._simulation.happened("a backup was copied")
                self._stands(one.store, server, backup, gone_too=not heard)
            elif any(other.failure is None for other in result.copies):
                refused = one.failure.code is ProblemCode.OBJECT_EXISTS or IN_THE_PAST in one.failure.text
                excused = one.store not in well or refused or self._has_lied(one.store, backup)
                self._hold("16", excused, f"{one.store} has no copy of {backup[:6]}, though nothing is wrong", server)

    def _stands(self, store: str, server: str, backup: str, *, gone_too: bool) -> None:
        bucket = self._simulation.stores.buckets[store]
        there = bucket.objects.keys() | (bucket.gone.keys() if gone_too else ())
        keys = [key for key in there if KEY.fullmatch(key) and backup in key and server in key]
        stands = len(keys) == 2 or self._has_lied(store, backup)
        self._hold("13", stands, f"{store} is said to have {backup[:6]}, and has not", server)

    def _has_lied(self, store: str, backup: str) -> bool:
        """Whether it said to have stored something of that backup, and did not, or not so: locking it shows that."""
        return any(backup in key for key in self._trouble(store).touched)

    # What is deleted -------------------------------------------------------------------------------------------------

    def _listed(self, bucket: Bucket, folder: str, shown: list[Entry]) -> None:
        """Remember what the store showed, and since when something stands there alone."""
        now, keys, process = self._clocks(), {entry.key: entry for entry in shown}, self._process()
        for server in {entry.key.split("/")[1] for entry in shown if KEY.fullmatch(entry.key)} | {
            folder.rstrip("/").rpartition("/")[2]
        }:
            there = self._shown[process, bucket.name, server] = [one for one in shown if f"/{server}/" in one.key]
            self.known.shown(process, (bucket.name, server), there, self.copies(bucket, there))
            if (process, bucket.name, server) in self.pruning:
                self._name(bucket, server)
        for key, entry in keys.items():
            partner = key.removesuffix(MANIFEST) if key.endswith(MANIFEST) else key + MANIFEST
            if partner in keys:
                self._alone.pop((bucket.name, key), None)
                continue
            stamp, _ = self._alone.get((bucket.name, key), (None, now))
            if stamp != (entry.size, entry.modified):
                self._alone[bucket.name, key] = (entry.size, entry.modified), now

    def _deleted(self, bucket: Bucket, key: str, server: str, *, is_manifest: bool) -> None:
        if key not in bucket.objects:
            return
        if not is_manifest:
            beside = key + MANIFEST in bucket.objects
            self._hold("15", not beside, f"{key} in {bucket.name} is deleted before its manifest", server)
            by, at = self._put.get((bucket.name, key), ("", 0.0))
            pruned_at, _ = self._pruned.get((bucket.name, key), (-1.0, ()))
            known = self.known.knows((bucket.name, server), key, len(bucket.objects[key].data))
            let_go = pruned_at >= at or any(key in keys for _, keys in self._named.get((bucket.name, server), ()))
            self._hold(
                "13", let_go or not known, f"{key} in {bucket.name} was a whole copy, and is cleared away", server
            )
            left = by == self._process() or pruned_at >= at or self._was_left(bucket.name, key)
            self._hold("13", left, f"{key} in {bucket.name} may still be written, and is deleted", server)
            return
        told = read_manifest(bucket.objects[key].data)
        mine = told is not None and told.installation == self._simulation.stores.installation
        self._hold("15", mine, f"{key} in {bucket.name} was written by another, and is deleted", server)
        data = key.removesuffix(MANIFEST)
        if data in bucket.objects:
            rows = [row for row in self.whole(bucket, server) if row.uuid == data]
            frozen = self._simulation.proofs.rules.frozen_ever_since(server, self._since(server))
            self._hold("17", not frozen, f"{bucket.name} is pruned, though {frozen} froze the server", server)
            self._pruned[bucket.name, data] = self._simulation.clock.monotonic(), rows
            self._simulation.happened("a copy was pruned")
            self._by_the_rules(bucket, data, server)
        else:
            left = self._was_left(bucket.name, key)
            self._hold("13", left, f"{key} in {bucket.name} is deleted after one look", server)

    def visits(self, process: str, server: str, moment: float) -> None:
        """A daemon begins to look into a server's stores, to fill and to prune them."""
        self._visited[process, server] = moment

    def _since(self, server: str) -> float:
        """When the daemon that deletes began to look into the server's stores."""
        return self._visited.get((self._process(), server), 0.0)

    def _was_left(self, store: str, key: str) -> bool:
        """Whether two looks that were far enough apart found it as it is: by the daemon's own clock, or in truth.

        A look that was shown less makes the daemon begin to count anew, by a clock that may be right by then.
        """
        _, first = self._alone.get((store, key), (None, ()))
        return any(now - since >= TWO_LOOKS for now, since in zip(self._clocks(), first, strict=False))

    def _clocks(self) -> Sequence[datetime]:
        return self._simulation.machine_now(), self._simulation.clock.now()

    def _by_the_rules(self, bucket: Bucket, data: str, server: str) -> None:
        """A copy is pruned: the store's own rules let it go, by what the store showed last, and so does the brake."""
        shown = self._shown.get((self._process(), bucket.name, server), [])
        seen = product(self._seen(bucket, shown), self._policies(bucket.name, server))
        verdicts = [self._allowed(rows, policy, data, server, bucket) for rows, policy in seen]
        text = f"{data.rpartition('/')[2]} in {bucket.name} is pruned, and the store's rules keep it"
        self._hold("15", any(verdicts), text, server)

    def _allowed(self, rows: Sequence[Row], policy: Mapping[str, Any], data: str, server: str, bucket: Bucket) -> bool:
        judged = oracle.judge(rows, policy, self._simulation.stores.name_of(server), self._simulation.machine_now())
        locked = self._simulation.stores.locks.locked(bucket, rows)
        return data in judged.deletions and self._within(judged, policy, (bucket.name, server), locked)

    def _within(
        self, judged: oracle.Judgement, policy: Mapping[str, Any], place: tuple[str, str], locked: Collection[str]
    ) -> bool:
        """Whether so many may go at once, those apart that an earlier pruning by the same rules let through.

        What is locked is not counted the first time, when nobody remembers by which rules it would go.
        """
        earlier = self._named.get(place, ())
        named = {key for then, keys in earlier if oracle.same_retention(then, policy) for key in keys}
        return not all(oracle.over(judged, policy, named=apart) for apart in ((), named, named.union(locked)))

    def _name(self, bucket: Bucket, server: str) -> None:
        """A pruning looks into a store: what its rules let go, and its brake lets through, is named from now on."""
        looking = self._process(), bucket.name, server
        name, seen = self._simulation.stores.name_of(server), self._seen(bucket, self._shown[looking])
        self.pruning[looking] = self.pruning[looking] or seen[0]
        for rows, policy in product(seen, self._policies(bucket.name, server)):
            locked = self._simulation.stores.locks.locked(bucket, rows)
            judged = oracle.judge(rows, policy, name, self._simulation.machine_now())
            if not locked.isdisjoint(judged.deletions):
                self._simulation.happened("a lock held a copy")
            if judged.deletions and self._within(judged, policy, (bucket.name, server), locked):
                self._named.setdefault((bucket.name, server), []).append((policy, set(judged.deletions)))

    def kept(self, store: str, server: str, rows: Sequence[Row]) -> Sequence[Row]:
        """The good ones of these copies that the store's rules keep, by each configuration of the last hours.

        What is suspicious, or dated in the future since a clock was wrong, is neither kept nor let go.
        """
        name, now = self._simulation.stores.name_of(server), self._simulation.machine_now()
        each = [oracle.judge(rows, policy, name, now) for policy in self._policies(store, server)]
        return [
            row
            for row in rows
            if all(judged.states[row.uuid] == "good" and row.uuid not in judged.deletions for judged in each)
        ]

    def _seen(self, bucket: Bucket, shown: Sequence[Entry]) -> Sequence[Sequence[Row]]:
        """The whole copies of our own in a listing, and with those whose manifests it lacks though they stand: a store
        is asked for these by their names.
        """
        there = {entry.key for entry in shown}
        named = [entry.key + MANIFEST for entry in shown if entry.key + MANIFEST not in there]
        late = [Entry(key, len(one.data), one.modified) for key in named if (one := bucket.objects.get(key))]
        return [self.copies(bucket, shown), *([self.copies(bucket, [*shown, *late])] if late else [])]

    def copies(self, bucket: Bucket, shown: Sequence[Entry], *, ours: bool = True) -> Sequence[Row]:
        """The whole copies of our own in what was shown, or those of other installations."""
        entries = {entry.key: entry for entry in shown}
        rows = []
        for key, entry in entries.items():
            told = self.told(bucket, key) if key + MANIFEST in entries else None
            if told is not None and told.stored == entry.size and (told.installation == self._ours) is ours:
                made = told.created.astimezone(UTC).replace(microsecond=0)
                rows.append(Row(key, told.name, True, False, told.size, made, made))
        return rows

    @property
    def _ours(self) -> str:
        return self._simulation.stores.installation

    def told(self, bucket: Bucket, key: str) -> AlertChecks | None:
        """What the manifest beside that key told, though it may have been deleted since the listing."""
        stands = bucket.objects.get(key + MANIFEST) or bucket.gone.get(key + MANIFEST)
        return read_manifest(stands.data) if stands else None

    def _policies(self, store: str, server: str) -> Sequence[Mapping[str, Any]]:
        """What the store keeps of a server, by every configuration of the last hours."""
        simulation = self._simulation
        now = simulation.clock.monotonic()
        name = simulation.stores.name_of(server)
        servers = [one for one in simulation.configuration.between(name, now - 7200, now) if one is not None]
        return [
            keeps(policy, table)
            for policy in servers
            for table in simulation.configuration.stores_between(store, now - 7200, now)
        ]

    def pruned_since(self, store: str, server: str, since: float) -> Sequence[Row]:
        """The copies of a server that were pruned from a store since then."""
        return [
            row
            for (name, data), (at, rows) in self._pruned.items()
            for row in rows
            if name == store and at >= since and f"/{server}/" in data
        ]

    def whole(self, bucket: Bucket, server: str) -> Sequence[Row]:
        """The whole copies of a server that really are in a store."""
        there = [Entry(key, len(one.data), one.modified) for key, one in sorted(bucket.objects.items())]
        return self.copies(bucket, [entry for entry in there if f"/{server}/" in entry.key])
