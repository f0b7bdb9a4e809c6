"""What the daemon tells people, held against the panel's ledger: every alert, and the metrics at the end.

The one receiver takes every message. Nothing here judges by what the daemon believes: a good backup is one that the
mirror shows, and when a rotation ended is what the recorder saw.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from daemon.alerts.formats import Post
from daemon.alerts.sender import Failure, Sender
from daemon.rotation.outcome import Outcome, Result
from tests.simulation import oracle
from tests.simulation.recorder import Rotation
from tests.simulation.scenario import HOUR, TIMEOUTS

if TYPE_CHECKING:
    from tests.simulation.process import Daemon, Process
    from tests.simulation.run import Simulation

GOOD_NEWS = {"new_normal", "copied", "recovered", "done"}
OF_OTHER_THINGS = {"unpruned", "pruned", "unproven", "proven", "proof_late"}
"""Of a store's brake, which may hold copies for as long as nobody lifts it, and of proofs: not of a new backup."""
TOLD_ONCE = {"unproven", "disputed"}
"""What is told once, as a proof fails or members begin to differ, and not for each rotation with a good backup."""
GRACE = 1800.0
KILLED_WITHIN = timedelta(minutes=1)
"""Until a daemon that is killed between two of its listeners may have dated what it tells."""
NEWEST = "ptero_backupd_newest_good_backup_timestamp_seconds"


class Mailbox(Sender):
    """A process's way to the receiver; a killed one sends nothing any more."""

    def __init__(self, process: "Process") -> None:
        super().__init__()
        self._process = process

    async def send(self, post: Post) -> Failure | None:
        """Hand it over."""
        await self._process.clock.sleep(0.2)
        simulation = self._process.simulation
        simulation.log_capture.search(post.body.decode(), "an alert")
        if simulation.receiver_down:
            return Failure("answered 503", passing=True)
        document = json.loads(post.body)
        for letter in document.get("alerts", [document]):
            simulation.alert_checks.take(letter)
        return None


@dataclass(slots=True)
class Ending:
    """How a rotation of a daemon ended: when by our clock, and `since` when by its own, `until` when all had heard of
    it. None is one whose daemon was killed meanwhile: it may be told and remembered, or not.
    """

    moment: float
    since: datetime
    well: bool
    must: bool
    until: datetime | None = None

    def is_told(self, heard: Collection[datetime]) -> bool:
        """Whether it is among what was heard, which is dated to the second."""
        until = self.until or self.since + KILLED_WITHIN
        return any(self.since.replace(microsecond=0) <= at <= until for at in heard)


class AlertChecks:
    """What people were told of each server, and whether it is true."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._last: dict[str, tuple[float, str]] = {}
        self._ended: defaultdict[str, list[Ending]] = defaultdict(list)
        self._heard: defaultdict[str, set[datetime]] = defaultdict(set)

    def ends(self, name: str, outcome: Outcome, now: datetime, *, again: bool) -> None:
        """A rotation of a daemon has ended, which none of its listeners knows yet: note whether it must be told, or all
        is well again. A failure that is tried again for the first time need not be told yet.
        """
        elsewhere = outcome.problems and outcome.problems[-1].code in TOLD_ONCE
        lacking = any(problem.code == "permission-lacking" for problem in outcome.problems)  # told, though it is done
        well = elsewhere or (outcome.result is Result.DONE and not lacking)
        if outcome.result is not Result.SKIPPED:
            must = not well and (outcome.retry_at is None or again)
            self._ended[name].append(Ending(self._simulation.clock.monotonic(), now, well, must))

    def ended(self, name: str, outcome: Outcome, now: datetime) -> None:
        """All listeners have heard of it. Nobody is told of a server that is gone from the configuration by then."""
        if outcome.result is Result.SKIPPED:
            return
        ending = self._ended[name][-1]
        ending.until = now
        present = self._simulation.checker.policies_between(name, ending.moment, self._simulation.clock.monotonic())
        ending.must &= all(present)

    def take(self, letter: Mapping[str, Any]) -> None:
        """One alert arrives."""
        simulation, event, name = self._simulation, letter["event"], letter["server"]
        if name.startswith(("stores.", "cluster.")):
            simulation.recorder.tell(f"somebody is told: {letter['title']}")
            return
        server = simulation.uuid_of(name)
        simulation.recorder.tell(f"somebody is told: {letter['title']}", server)
        if event in OF_OTHER_THINGS:
            return
        self._last[name] = simulation.clock.monotonic(), event
        backup = letter["backup"]
        if event not in GOOD_NEWS:
            self._heard[name].add(datetime.fromisoformat(letter["at"]))
        if event in GOOD_NEWS and backup is not None:
            versions = simulation.recorder.versions[server]
            good = any(backup["uuid"] in rows and rows[backup["uuid"]].successful for _, rows in reversed(versions))
            self._hold(good, f"{name} is said to have a good backup, which {backup['name']} never was", server)
        elif event == "overdue":
            self._really_overdue(name, server, datetime.fromisoformat(letter["at"]))

    def _really_overdue(self, name: str, server: str, at: datetime) -> None:
        """When it was noticed, no rotation had ended well within the time that one may take, and some more.

        It may come later than that, where its receiver was down. It is dated by the clock of the member that noticed
        it, and the rotation's end by that of the member that made it.
        """
        simulation, off = self._simulation, self._simulation.checker.clocks_are_off_by()
        noticed = simulation.clock.monotonic() + (at - simulation.host_clock.now()).total_seconds()
        done = self._last_done(server, before=noticed - off)
        if done is None or done.ended is None or simulation.checker.a_clock_was_set_since(done.ended):
            return
        if simulation.checker.journal_failed_since(done.began):
            return  # a daemon that started since then may not know of it
        age = noticed + off - done.ended
        least = TIMEOUTS[simulation.configuration.known[name]["timeout"]] + GRACE
        self._hold(age >= least, f"{name} is called overdue {age:.0f} s after a rotation that ended well", server)

    def _last_done(self, server: str, before: float = float("inf")) -> Rotation | None:
        """The last rotation of a daemon that ended well, before some moment."""
        those = (r for r in reversed(self._simulation.recorder.rotations) if r.uuid == server and r.result == "done")
        return next((r for r in those if r.trigger != "manual" and r.ended is not None and r.ended < before), None)

    async def look_at_the_end(self, daemon: "Daemon") -> None:
        """After calm days the last word on each server is good, and the metrics show its newest good backup."""
        text = await daemon.metrics()
        self._simulation.log_capture.search(text, "the metrics")
        self._simulation.proofs.rules.shown(text)
        shown = {
            line.split('"')[1]: float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith(NEWEST + "{")
        }
        for name, done in self.look_at_the_words({daemon.name}):
            real = self._newest_good(done)
            self._hold(shown.get(name) in real, f"{name}: {NEWEST} is {shown.get(name)}, and not {real}", done.uuid)

    def look_at_the_words(self, processes: Collection[str]) -> Sequence[tuple[str, Rotation]]:
        """After calm days nobody misses anything, and the last word on each server is good; return those whose last
        rotation was made there by one of these processes, and ended well.
        """
        self._nobody_misses_anything()
        ended_well = []
        for name in self._simulation.specs:
            server = self._simulation.uuid_of(name)
            done = self._last_done(server)
            ours = done is not None and done.process in processes and done.began > self._simulation.calm_since
            newest = next((r for r in reversed(self._simulation.recorder.rotations) if r.uuid == server), None)
            if server in self._simulation.removed or done is None or done is not newest or not ours:
                continue
            _, word = self._last.get(name, (0.0, "nothing"))
            stores = self._simulation.configuration.known[name].get("copies", ())
            lacks = word == "uncopied" and any(map(self._simulation.stores.ending.refuses_locks, stores))
            well = word in GOOD_NEWS or lacks
            self._hold(well, f"the last that was told of {name} is “{word}”, and all is well", server)
            ended_well.append((name, done))
        return ended_well

    def _nobody_misses_anything(self) -> None:
        """Whatever had to be told was told: itself, the trouble that it goes on with, or one since, which takes the
        place of one that waits.
        """
        checker, latest = self._simulation.checker, self._simulation.clock.monotonic() - HOUR
        for name, ended in self._ended.items():
            since, first = 0.0, 0
            for number, ending in enumerate(ended):
                if ending.well and ending.until is not None:
                    since, first = ending.moment, number
                elif ending.must and ending.until is not None and ending.moment < latest:
                    if checker.journal_failed_since(since - 1.0):
                        continue
                    told = any(other.is_told(self._heard[name]) for other in ended[first:] if not other.well)
                    text = f"nobody was told that {name} failed at {ending.since:%Y-%m-%dT%H:%M:%SZ}"
                    checker.hold("news", told, text, self._simulation.uuid_of(name))

    def _newest_good(self, done: Rotation) -> set[float | None]:
        """When the newest good backup of its policy was made, by each truth since the rotation's last listing.

        One that was dated ahead of the panel's clock then counts as good by now, or not until it is listed again.
        """
        listed = next(done.delivered("list"), None)
        now = self._simulation.world.now()
        then = listed.date if listed is not None and listed.date is not None else now
        truths = self._simulation.recorder.truths(done.uuid, done.began if listed is None else listed.sent)
        return {_newest(rows, done, moment) for rows in truths for moment in (then, now)}

    def _hold(self, holds: bool, text: str, server: str) -> None:
        self._simulation.checker.hold("told", holds, text, server)


def _newest(rows: Mapping[str, oracle.Row], rotation: Rotation, now: datetime) -> float | None:
    newest_first = sorted(rows.values(), key=lambda row: (row.created, row.uuid), reverse=True)
    states = oracle.classify(newest_first, rotation.policy, rotation.server, now)
    own = (row for row in newest_first if oracle.owns(rotation.policy, rotation.server, row.name))
    return next((row.created.timestamp() for row in own if states[row.uuid] == "good"), None)
