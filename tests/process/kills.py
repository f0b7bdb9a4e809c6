"""The daemon killed at random moments, again and again, over a panel that survives it: who is right is the ledger.

    python -m tests.process.kills                  100 kills, four daemons side by side
    python -m tests.process.kills --kills 1000
    python -m tests.process.kills --seed 42        the moments and the panel's slowness of that seed again

Each `Ordeal` is one panel with one state folder, and one daemon after the other on it: the real command, over real
HTTP, on real files, killed with SIGKILL. A seed repeats what is drawn, not what the machine makes of it. After each
kill the panel's ledger and a copy of the state folder are held against what must never happen; at the end a last daemon
is left alone, and must bring everything to where it should be. The random moment is the only timer; everything else
is waited for.
"""

import argparse
import json
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from daemon.panel.reconcile import SETTLE_SECONDS
from daemon.sandbox.faults import late, slow
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, Server, State
from daemon.state import Rotation, Step
from daemon.state.local.journal import SqliteJournal
from tests.process.ledger import KEEP, LATE_SECONDS, hold_deletions, is_own
from tests.process.support import CLOCK, Daemon, Panel, command, running, serving, wait_until

PAST = 6
SIDE_BY_SIDE = 4
STARTING = 0.2
"""This share of the kills comes before the daemon's first request, the rest after it."""

BUSY_SECONDS = 0.7
"""The kills after the first request come within so many seconds of it."""

AT_ONCE = 3
"""So many servers at least have work to do at any moment."""


@contextmanager
def killed(panel: Panel) -> Iterator[Daemon]:
    """A daemon that is killed at the end of the block, and must not have ended before."""
    with running(panel, counted=False) as daemon:
        yield daemon
        daemon.send(signal.SIGKILL)
        assert daemon.ended() == -signal.SIGKILL, daemon.output


class Ordeal:
    """One panel, one state folder, and a daemon that is killed and started again."""

    def __init__(self, panel: Panel, chance: random.Random) -> None:
        self.panel = panel
        self.chance = chance
        self.servers: list[Server] = []
        self.stages: Counter[str] = Counter()
        self.state = panel.folder / "state"
        self._start_seconds = 0.5
        self._rows: list[Rotation] = []
        panel.world.settings.api_limit = 100_000
        self._began = CLOCK.now()
        self._steady = panel.add_server("steady", past=PAST)

    def suffer(self, kills: int) -> None:
        """Kill that many daemons, and leave the last one alone."""
        moments = [number < kills * STARTING for number in range(kills)]
        self.chance.shuffle(moments)
        for starting in moments:
            self._give_work()
            with killed(self.panel) as daemon:
                self._wait_for_the_moment(daemon, starting=starting)
            self.stages[self._hold(daemon)] += 1
        self._end()

    # What goes on ----------------------------------------------------------------------------------------------------

    def _give_work(self) -> None:
        """See to it that some servers have their one start before them or under way; touch a lock now and then."""
        while len(self._unfinished()) < AT_ONCE:
            self._add_server()
        if self.chance.random() < 0.3:
            server = self.chance.choice(self._unfinished())
            backup = self.chance.choice(self.panel.backups(server))
            if not backup.locked:
                self.panel.order("POST", f"servers/{server.identifier}/backups/{backup.uuid}/lock")
        self._configure()

    def _add_server(self) -> None:
        """A server with backups of every kind, that has missed one start; its panel is slow at random.

        A create may be obeyed only after the daemon that asked was killed, and the next one has read its list.
        """
        name = f"server-{len(self.servers):03}"
        server = self.panel.add_server(name, past=PAST, seconds=self.chance.choice([0.05, 0.05, 1.5]))
        add, old = self.panel.world.add_backup, self.panel.backups(server)[0]
        for state, locked in ((State.FAILED, True), (State.FAILED, False), (State.GOOD, True), (State.PENDING, True)):
            own = old.name.replace("-00000000", f"-{len(server.backups):08x}")
            add(server, own, created_at=old.created_at, state=state, locked=locked, by="history")
        add(server, "by hand", created_at=old.created_at, by="history")
        if self.chance.random() < 0.3:
            server.limit = sum(backup.state is not State.FAILED for backup in server.backups.values())
        longest = {Call.LIST: 0.25, Call.CREATE: 3 * self._start_seconds, Call.DELETE: LATE_SECONDS}
        for call, times in ((Call.LIST, 3), (Call.CREATE, 3), (Call.DELETE, 4)):
            make = self.chance.choice([slow, late])
            fault = make(longest[call] * self.chance.random())
            self.panel.world.faults.order(fault, on=call, server=server.identifier, times=times)
        self.servers.append(server)

    def _configure(self) -> None:
        """One start in the week for most, so that each has one alone; one in the minute for `steady`.

        No server waits for another's place on the node: one that settles a create would hold it for two minutes.
        """
        keep = f'scope = "own"\nkeep = {{ last = {KEEP} }}\nmax_share = 1.0\n'  # histories were never pruned
        text = f'state_dir = "{self.state}"\n[panels.main]\nurl = "{self.panel.url}"\nbackups_per_node = 100\n'
        text += f'[policies.once]\nschedule = "{_weekly(self._began)}"\n{keep}'
        text += f'[policies.often]\nschedule = "* * * * *"\n{keep}'
        for server, policy in ((self._steady, "often"), *((server, "once") for server in self.servers)):
            text += f'[servers.{server.name}]\nid = "{server.identifier}"\npolicy = "{policy}"\n'
        (self.panel.folder / "config.toml").write_text(text)

    def _wait_for_the_moment(self, daemon: Daemon, *, starting: bool) -> None:
        """Wait until the daemon is somewhere on its way to its work, or at it."""
        if starting:
            _let_pass(self.chance.uniform(0, self._start_seconds))
            return
        began = CLOCK.monotonic()
        daemon.wait_for("rotation_began", seconds=60)
        self._start_seconds = CLOCK.monotonic() - began
        _let_pass(self.chance.uniform(0, BUSY_SECONDS))

    def _unfinished(self) -> list[Server]:
        """The servers with work to do that need not be waited for."""
        return [server for server in self.servers if not self._finished(server) and not self._settling(server)]

    def _all_finished(self) -> bool:
        """The same, with the journal as it is while the daemon writes it."""
        with SqliteJournal.open(self.state) as journal:
            self._rows = journal.recent(limit=-1)
        return not self._unfinished()

    def _finished(self, server: Server) -> bool:
        """Whether its new backup is good, and nothing is left beyond retention."""
        created = self.panel.done(Change.CREATED, server)
        backups = [backup for backup in self.panel.backups(server) if is_own(backup.name, server)]
        good = [backup for backup in backups if backup.state is State.GOOD]
        unlocked = [backup.state for backup in backups if not backup.locked]
        done = bool(created) and set(created) <= {backup.name for backup in good}
        return done and State.FAILED not in unlocked and unlocked.count(State.GOOD) <= KEEP

    def _settling(self, server: Server) -> bool:
        """Whether the daemon was killed before it knew that its create came to nothing, and is to wait for it still.

        The panel may have refused it, or never have seen it: it is asked again only after two minutes.
        """
        asked: Step | None = None
        for step in (step for row in reversed(self._rows) if row.server == server.name for step in row.steps):
            if step.name in ("create", "created", "create_refused"):
                asked = step if step.name == "create" else None
        if asked is None or asked.detail["backup"] in self.panel.done(Change.CREATED, server):
            return False
        return (CLOCK.now() - asked.at).total_seconds() < SETTLE_SECONDS

    def _end(self) -> None:
        """Let one daemon do the rest, and hold what it leaves behind."""
        with killed(self.panel) as daemon:
            daemon.wait_for("daemon_started")
            try:
                wait_until(self._all_finished, "everything is brought to its end", 40)
            except AssertionError as late:
                unfinished = [server.name for server in self._unfinished()]
                raise AssertionError(f"not brought to their end: {unfinished}\n{daemon.output}") from late
        self._hold(daemon)
        told = command(self.panel, "history", "--json")
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout)["rotations"]

    # What must never happen ------------------------------------------------------------------------------------------

    def _hold(self, daemon: Daemon) -> str:
        """Hold the ledger and the state folder against the promises; return how far the killed one had come."""
        assert not daemon.events("bug"), daemon.output
        assert not daemon.events("rotation_bug"), daemon.output
        for server in (self._steady, *self.servers):
            self._hold_ledger(server)
        minutes = (CLOCK.now() - self._began.replace(second=0, microsecond=0)).total_seconds() // 60
        assert len(self.panel.done(Change.CREATED, self._steady)) <= minutes + 1, "more backups than starts"
        return self._hold_journal() if daemon.events("daemon_started") else "starting"

    def _hold_ledger(self, server: Server) -> None:
        """One backup for one start; nothing deleted that is locked, not the policy's own, pending, or to be kept."""
        if server is not self._steady:
            assert len(self.panel.done(Change.CREATED, server)) <= 1, f"{server.name}: a second backup for one start"
        hold_deletions(server, tuple(self.panel.world.ledger))

    def _hold_journal(self) -> str:
        """A copy of the journal can be read, is whole, and knows every write; return the newest step that is open."""
        assert not list(self.state.glob("*.damaged-*")), "a journal was set aside"
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(shutil.copytree(self.state, Path(folder) / "state"))
            with closing(sqlite3.connect(copy / "history.sqlite3")) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            with SqliteJournal.open(copy) as journal:
                assert journal.set_aside is None
                self._rows = rows = journal.recent(limit=-1)
        steps = [step for row in rows for step in row.steps]
        journalled = {(step.name, step.detail.get("backup")) for step in steps}
        for server in (self._steady, *self.servers):
            for name in self.panel.done(Change.CREATED, server):
                assert ("create", name) in journalled, f"{name} was made and not journalled before"
            for name in self.panel.done(Change.DELETED, server):
                assert {("delete", name), ("room", name)} & journalled, f"{name} was deleted and not journalled before"
        unended = [row for row in rows if row.ended_at is None]
        if not unended:
            return "at rest"
        newest = max((step for row in unended for step in row.steps), key=lambda step: step.at, default=None)
        return "after " + (newest.name if newest else "begin")


def _weekly(now: datetime) -> str:
    """A start in the week that is as far from now as can be."""
    return f"0 0 * * {(now.isoweekday() + 3) % 7}"


def _let_pass(seconds: float) -> None:
    threading.Event().wait(seconds)


def suffer(folder: Path, kills: int, seed: int) -> Counter[str]:
    """Share the kills out to daemons side by side; return how far those had come, and how often."""

    def one(number: int) -> Counter[str]:
        own = folder / str(number)
        own.mkdir()
        with serving(own) as panel:
            ordeal = Ordeal(panel, random.Random(f"{seed} {number}"))
            ordeal.suffer(kills // SIDE_BY_SIDE + (number < kills % SIDE_BY_SIDE))
            return ordeal.stages

    with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
        return sum(threads.map(one, range(SIDE_BY_SIDE)), Counter())


def main(words: Sequence[str] | None = None) -> int:
    """Run it and print how far the killed ones had come."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.process.kills", description="kill the daemon, again and again"
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = parser.parse_args(words)
    sys.stdout.write(f"seed {asked.seed}\n")
    with tempfile.TemporaryDirectory() as folder:
        stages = suffer(Path(folder), asked.kills, asked.seed)
    for stage, times in stages.most_common():
        sys.stdout.write(f"{times:5}  killed {stage}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
