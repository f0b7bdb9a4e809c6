"""What must hold of proofs, held against what was really read: invariants 17 and 18 of the design.

A reading counts as evidence once it came to its end; what is recorded, shown and decided must follow from that.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from daemon.copies.jobs import Job, ToProve
from daemon.copies.results import ProofFound
from daemon.core.proof import Level, Proof
from daemon.state import ProofRecord
from tests.simulation import oracle
from tests.simulation.oracle import Row
from tests.simulation.proofs.archives import is_sound
from tests.simulation.proofs.known import Reading, Way, accepting, after, freezing, is_proven
from tests.simulation.proofs.scenario import HOUR, LEVELS
from tests.simulation.recorder import Rotation

YESTERDAY = timedelta(days=1)

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

Known = tuple[Reading, ...]
Place = tuple[str, str, str]
"""A server and a backup by their uuids, and a store; no store for the backup on its panel."""

DEATHS = 5
"""So often an archive may end its reader before that is told as a failed proof."""
SLACK = 120.0
"""What is recorded in an hour may have been read a little before."""
LOOK = timedelta(minutes=20)
"""How long a daemon may need to look at a server, once it has seen that no quiet hours are."""
PROVEN = "ptero_backupd_last_proven_timestamp_seconds{"
FROZEN = "ptero_backupd_deletion_frozen{"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reading that came to its end: how deep it was to look, and what the bytes really are; None if that is not
    known.
    """

    level: str
    sound: bool | None


class ProofRules:
    """Remembers what was read and recorded, and holds the one against the other."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold
        self._evidence: defaultdict[Place, list[Evidence]] = defaultdict(list)
        self._right_at: dict[Place, float] = {}
        self._deaths: Counter[tuple[str, Place]] = Counter()
        self._versions: defaultdict[str, list[tuple[float, Known]]] = defaultdict(list)
        self._spent: Counter[date] = Counter()
        self._spent_at: defaultdict[str, float] = defaultdict(float)
        """When each process counted what it was about to read."""
        self._once_more: defaultdict[tuple[str, datetime], list[tuple[str, float, str]]] = defaultdict(list)
        self._sound_at: defaultdict[str, set[float]] = defaultdict(set)
        self._bad_in_memory: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def _now(self) -> float:
        return self._simulation.clock.monotonic()

    # What is read ----------------------------------------------------------------------------------------------------

    def read(self, job: Job, what: ToProve, found: ProofFound, data: bytes | None) -> None:
        """A reading has ended; `data` is what was read, None where that is not known, or nothing was."""
        place = job.server.uuid, what.backup, what.store
        short = what.backup[:6]
        if found.failure is not None:
            self._tell(job, f"{short} cannot be read: {found.failure.text}")
            return
        sound = None if data is None else self._is_right(job, what, data)
        self._evidence[place].append(Evidence(what.level.value, sound))
        if sound and what.level is not Level.READ:
            self._right_at[place] = self._now()
        self._tell(job, f"{short} was read{f' in {what.store}' if what.store else ''}: {found.problems or 'sound'}")
        self._simulation.happened("a damaged archive was read" if found.problems else "an archive was proven")
        if data is None:
            self._hold("17", bool(what.store), f"{short} is said to be read, and no file was sent", job.server.uuid)
        else:
            right = sound is not bool(found.problems)
            self._hold("17", right, f"{short} is found {found.problems or 'sound'}, and that is wrong", job.server.uuid)

    def _is_right(self, job: Job, what: ToProve, data: bytes) -> bool:
        """Whether these bytes are a sound archive, and the very backup, as far as its checksum was told."""
        if not is_sound(data):
            return False
        told = next((one.checksum for one in job.listing.backups if one.uuid == what.backup), None)
        true = self._simulation.stores.rules.true(job.server.uuid, what.backup)
        return what.store != "" or told is None or true is None or data == true

    def died(self, process: str, job: Job, what: ToProve) -> None:
        """The process that reads has ended in the midst of an archive."""
        self._deaths[process, (job.server.uuid, what.backup, what.store)] += 1
        self._tell(job, f"the reader of {what.backup[:6]} dies")

    def walked_on_its_way(self, server: str, backup: str, store: str, data: bytes) -> None:
        """A copy was made of what came from the node: its stream was walked."""
        for place in (store, ""):
            self._evidence[server, backup, place].append(Evidence("walked", is_sound(data)))

    def _tell(self, job: Job, text: str) -> None:
        self._simulation.recorder.tell(f"    proof: {text}", job.server.uuid)

    # What is recorded ------------------------------------------------------------------------------------------------

    def recorded(self, process: str, record: ProofRecord) -> None:
        """The journal holds a proof: it was read as deep as that says, and found so."""
        proof, server = record.proof, record.server_uuid
        evidence = self._evidence[server, proof.backup, proof.store]
        deep = [one for one in evidence if LEVELS.index(one.level) >= LEVELS.index(proof.asked.value)]
        died = self._deaths[process, (server, proof.backup, proof.store)] >= DEATHS and bool(proof.problems)
        short, word = proof.backup[:6], "wrong" if proof.problems else "proven"
        self._hold("17", bool(deep) or died, f"{short} is recorded as {word}, and was not read so deep", server)
        right = any(one.sound is None or one.sound is not bool(proof.problems) for one in deep[-2:])
        self._hold("17", right or died or not deep, f"{short} is recorded as {word}, and was not found so", server)
        reading = Reading(proof.backup, proof.store, proof.made_at, proof.at, proof.asked.value, tuple(proof.problems))
        self._know(server, after(self._known(server), reading))
        if not proof.problems:
            self._sound_at[server].add(proof.at.timestamp())
        self._simulation.recorder.tell(f"    proof: {short} is recorded as {word} ({proof.asked.value})", server)

    def remembered(self, process: str, record: ProofRecord) -> None:
        """A process whose journal is in memory, since it could not be opened, knows of a proof while it lives."""
        bad = self._bad_in_memory[process, record.server_uuid]
        bad.discard(record.proof.backup)
        if record.proof.problems:
            bad.add(record.proof.backup)

    def accepted(self, server: str, backup: str) -> None:
        """The journal holds that an operator accepts what is wrong with a backup."""
        self._know(server, accepting(self._known(server), backup))
        self._simulation.recorder.tell(f"    proof: what is wrong with {backup[:6]} is accepted", server)

    def forgotten(self, process: str, server: str, proofs: Sequence[Proof]) -> None:
        """The journal no more holds what was read of these, which a list lacked: they are gone, if it was not false."""
        there = self._simulation.recorder.mirror[server]
        lost = {(one.backup, one.asked.value) for one in proofs if not one.store and one.backup in there}
        if lost:
            misled = self._was_misled(server, process)
            self._hold("17", misled, f"what was read of {lost} is forgotten, and they are there", server)
            known = (
                one for one in self._known(server) if one.place or one.wrong or (one.backup, one.level) not in lost
            )
            self._know(server, tuple(known))

    def spends(self, process: str, day: date, size: int) -> None:
        """So many bytes are about to be read: the day has room, and no quiet hours are."""
        most = self._simulation.scenario.proofs.table.get("per_day", "off")
        # A clock that is behind, or set back a little, comes to the day before, of which all is known still.
        self._spent = Counter({one: spent for one, spent in self._spent.items() if one >= day - YESTERDAY})
        self._spent_at[process], spent = self._now(), self._spent[day]
        self._spent[day] += size
        text = f"{size} bytes are read on a day with {spent} already, of {most}"
        self._hold("17", most == "off" or spent == 0 or spent < int(most), text)

    def begins(self, process: str, job: Job) -> None:
        """A reading begins, for which the bytes were counted some time ago: others may have been downloading since.

        A journal in memory, which stands for one that fails, counts them unseen.
        """
        policy, now = self._simulation.configuration.known[job.config.name], self._simulation.machine_now()
        spent_at = self._spent_at[process]
        counted = now - timedelta(seconds=self._now() - spent_at)
        moments = (now, *(counted - ago for ago in (LOOK, LOOK / 2, timedelta(0))))
        quiet = all(self._is_quiet(moment, policy) for moment in moments)
        quiet &= not self._simulation.checker.a_clock_was_set_since(spent_at - 2 * LOOK.total_seconds())
        self._hold("17", not quiet, "a backup is read in the quiet hours", job.server.uuid)

    def _is_quiet(self, now: datetime, policy: Mapping[str, Any]) -> bool:
        quiet = self._simulation.scenario.proofs.table.get("quiet", "off")
        if quiet == "off":
            return False
        begins, ends = map(time.fromisoformat, quiet.split("-"))
        return begins <= now.astimezone(ZoneInfo(policy["timezone"])).time() < ends

    def begins_once_more(self, rotation: Rotation) -> None:
        """A rotation begins that no start asked for: the policy's newest backup is bad, or was when that was found. It
        may have been deleted meanwhile, since a rotation waits for the one before it.
        """
        server, policy, recorder = rotation.uuid, rotation.policy, self._simulation.recorder
        before = (one for one in recorder.rotations if one.uuid == server and one is not rotation)
        if any(one.once_more == rotation.once_more for one in before):
            return  # it is tried again, whatever has become of the bad one meanwhile
        if self._was_misled(server, rotation.process):
            return
        bad = {one.backup for one in self._known(server) if one.wrong and not one.place}
        bad |= self._bad_in_memory[rotation.process, server]
        gone = {uuid: row for _, rows in recorder.versions[server] for uuid, row in rows.items() if uuid in bad}
        there = recorder.mirror[server]
        newest = {uuid for rows in (there, gone | there) for uuid in self._newest(rows.values(), policy, rotation)}
        self._hold("17", bool(bad & newest), "another backup is made, and the newest ones are not bad", server)

    def _newest(self, rows: Iterable[Row], policy: Mapping[str, Any], rotation: Rotation) -> list[str]:
        """The policy's three newest good ones of these."""
        newest_first = sorted(rows, key=lambda row: row.created, reverse=True)
        states = oracle.judge(newest_first, policy, rotation.server, self._simulation.world.now()).states
        mine = (row.uuid for row in newest_first if oracle.owns(policy, rotation.server, row.name))
        return [uuid for uuid in mine if states[uuid] == "good"][:3]

    def _was_misled(self, server: str, process: str) -> bool:
        """Whether a list of the look that this follows from told of rows that are not so: which are there is open."""
        since = self._now() - LOOK.total_seconds()
        return any(
            one.falsified
            for one in self._simulation.recorder.exchanges
            if (one.call, one.server, one.process) == ("list", server, process) and one.sent >= since
        )

    def made_once_more(self, server: str, start: datetime, backup: str, process: str) -> None:
        """Such a rotation makes its backup: of these a start gets one, apart from those that failed or are gone. Where
        it could not be written down, it is known by its date alone, and not once a clock was set, nor to another
        process, whose machine may have another clock.
        """
        made, recorder, checker = self._once_more[server, start], self._simulation.recorder, self._simulation.checker
        many = 1 + sum(uuid in recorder.mirror[server] and uuid not in recorder.once_failed for uuid, *_ in made)
        made.append((backup, self._now(), process))
        since = made[0][1] - LOOK.total_seconds()
        again = checker.starts_may_come_again(None)
        elsewhere = any(other != process for *_, other in made)
        again |= checker.journal_failed_since(since) and (checker.a_clock_was_set_since(since) or elsewhere)
        self._hold("17", many <= 1 or again, f"{many} more backups are made for the start of {start:%d %H:%M}", server)

    # What is known ---------------------------------------------------------------------------------------------------

    def _known(self, server: str) -> Known:
        versions = self._versions[server]
        return versions[-1][1] if versions else ()

    def _know(self, server: str, known: Known) -> None:
        self._versions[server].append((self._now(), known))

    def loses(self, since: float) -> None:
        """What is recorded is again what it was at that moment; how much was spent of a day is not known any more."""
        for server in self._versions:
            self._know(server, self.known_since(server, since)[0])
        self._spent.clear()

    def known_since(self, server: str, since: float) -> list[Known]:
        """All that was known at some time since that moment."""
        versions = self._versions[server]
        before = [known for at, known in versions if at <= since]
        return [*(before[-1:] or [()]), *(known for at, known in versions if at > since)]

    def frozen_ever_since(self, server: str, since: float) -> str:
        """What was found wrong, if a failed proof froze the server all the time since then."""
        each = [freezing(known) for known in self.known_since(server, since)]
        return each[-1][0].backup[:6] if all(each) else ""

    def ever_frozen(self, server: str, since: float) -> bool:
        """Whether a failed proof froze the server at any time since then."""
        return any(map(freezing, self.known_since(server, since)))

    def proven_sets(self, server: str, policy: Mapping[str, Any], since: float) -> list[frozenset[str]]:
        """The backups of a server that are proven as deep as its policy asks, by all that was known since then."""
        if "prove" not in policy:
            return [frozenset()]
        level = policy["prove"]["level"]
        each = (
            frozenset(one.backup for one in known if is_proven(known, one.backup, level))
            for known in self.known_since(server, since)
        )
        return list(dict.fromkeys(each))

    def ways(self, server: str, policy: Mapping[str, Any], good: Sequence[str], since: float) -> list[Way]:
        """How far the good backups, newest first, are proven, by all that was known since then."""
        number = policy.get("prove", {}).get("keep_proven", 0)
        each = self.proven_sets(server, policy, since)
        return [Way(tuple(uuid for uuid in good if uuid in proven), number) for proven in each]

    def shown(self, text: str) -> None:
        """The metrics show no other proofs than those that were recorded, and what is frozen."""
        for line in text.splitlines():
            if line.startswith((PROVEN, FROZEN)):
                name = line.partition('server="')[2].partition('"')[0]
                server, value = self._simulation.uuid_of(name), float(line.rpartition(" ")[2])
                if line.startswith(PROVEN):
                    self._hold("17", value in self._sound_at[server], f"{name}: nothing was proven at {value}", server)
                elif len(self.known_since(server, self._now() - 60)) == 1:
                    frozen = bool(freezing(self._known(server)))
                    self._hold("17", bool(value) is frozen, f"{name}: frozen is {frozen}, and shown as {value}", server)

    def was_right(self, server: str, backup: str, now: float) -> bool:
        """Whether a backup was read on its panel in the hour before, and was right; a set clock has no hours."""
        at = self._right_at.get((server, backup, ""))
        return at is not None and (now - at <= HOUR + SLACK or bool(self._simulation.checker.host_set))

    def was_read(self, server: str, backup: str, since: float) -> bool:
        """Whether a reading of a backup on its panel is recorded."""
        known = (one for each in self.known_since(server, since) for one in each)
        return any((one.backup, one.place) == (backup, "") for one in known)
