"""Three daemons on one database and one panel, in all kinds of trouble: who is right is the panel's ledger.

    python -m tests.process.cluster_rounds                 10 rounds
    python -m tests.process.cluster_rounds --rounds 100
    python -m tests.process.cluster_rounds --seed 42       what is drawn by that seed again
    python -m tests.process.cluster_rounds --only FULL     this trouble alone

In each round servers come that have missed one start, on a node of their own. Once all members know of them, and
agree, the node is free to be taken. Members are killed, stopped for a while, sent out, evicted, or cut off: from the
database or from the panel, at once or so that what is on its way is held, in either direction, and let go later. The
database is restarted, its disk is full, its clock goes wrong, or its machine dies and a standby takes its place. The
clock of one member's machine goes wrong as well. A seed repeats what is drawn, not what the machine makes of it.

After each round all servers must be backed up, though a member is gone, and all is held against what must never happen:
see `cluster_promises`.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from daemon.core.shares import node_part
from daemon.errors import Exit
from daemon.panel.reconcile import SETTLE_SECONDS
from daemon.sandbox.faults import late, slow
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, Node, Server, State
from tests.postgres import PASSWORD, clock_library, may_mount, postgres
from tests.process.cluster_audit import COMMITTED
from tests.process.cluster_database import SharedDatabase
from tests.process.cluster_member import Member, three_members
from tests.process.cluster_promises import Promises
from tests.process.cluster_trouble import EVICTS, FOR_MINUTES, MINUTES, OF_DATABASE, Drawn, Met, Trouble
from tests.process.ledger import KEEP, LATE_SECONDS
from tests.process.support import CLOCK, Panel, command, serving, wait_until

PAST = 6
NEW = 4
"""So many servers come in each round: the first one with so many old backups that no plan passes its brake."""

PAST_BRAKE = 8

PATIENCE = 150.0
UNREACHED = 2
"""psql's exit code if it has no connection."""


class Rounds:
    """One panel, one database, three members, and what may happen to them."""

    def __init__(
        self,
        panel: Panel,
        database: SharedDatabase,
        members: Sequence[Member],
        chance: random.Random,
        possible: Set[Trouble],
    ) -> None:
        self.panel = panel
        self.database = database
        self.members = members
        self.chance = chance
        self.possible = possible
        self.servers: list[Server] = []
        self.careful: list[Server] = []
        self.met: list[Met] = []
        self._dated: dict[str, datetime] = {}
        self._digests: set[str] = set()
        panel.world.settings.api_limit = 100_000

    def play(self, rounds: int) -> None:
        """Play so many rounds of what is drawn."""
        self.database.make_tables()
        for number in range(1, rounds + 1):
            several = range(self.chance.randint(1, 3))
            self._round([Drawn.of(self.chance, self.possible, len(self.members)) for _ in several])
            sys.stderr.write(f"{number} of {rounds} rounds\n")

    def play_named(self, rounds: Sequence[Sequence[Trouble]]) -> None:
        """Play a round of each of these sets of troubles, without those that are not possible here."""
        self.database.make_tables()
        for troubles in rounds:
            possible = [trouble for trouble in troubles if trouble in self.possible]
            self._round([Drawn.named(trouble, self.chance, len(self.members)) for trouble in possible])

    def end(self) -> None:
        """Wait for what may take its time, see to it that everything is backed up, and hold it all once more."""
        wait_until(lambda: not any(member.is_held for member in self.members), "nothing is held", MINUTES[1])
        self._recover()
        wait_until(lambda: not self._settling() & self._missing(), "no create is open", SETTLE_SECONDS + PATIENCE)
        for server in self.servers:
            self._wait_until(partial(self._brought_to_its_end, server), "all is backed up")
        self._hold()

    # What goes on ----------------------------------------------------------------------------------------------------

    def _round(self, drawn: Sequence[Drawn]) -> None:
        """Let servers come, and troubles begin and end, until all servers are backed up."""
        if any(one.trouble is Trouble.PROMOTED for one in drawn):
            self.database.follow()
        new = self._let_servers_come()
        self.database.open()
        self._wait_until(lambda: any(map(self._begun, new)), "a rotation begins")
        self._suffer(sorted(drawn, key=lambda one: one.begins))
        self._wait_until(self._all_backed_up, "all servers are backed up though a member is gone")
        self._recover()
        self._hold()

    def _recover(self) -> None:
        """Let all troubles end but what is held for long."""
        for member in self.members:
            self._call_back(member)
            member.recover()
        for met in self.met:
            met.until = met.until or (None if met.trouble is Trouble.CLOCK_WRONG else CLOCK.now())

    def _let_servers_come(self) -> list[Server]:
        """Let all members know of servers on a new node, which nobody may take yet."""
        node = self.panel.world.add_node(f"node-{len(self.servers):03}")
        self.database.shut(node_part("main", node.name))
        new = [self._add_server(node) for _ in range(NEW)]
        self._configure()
        for member in self.members:
            if member.alive:
                member.daemon.send(signal.SIGHUP)
            else:
                member.start()
        self._wait_until(lambda: self._agreed(new), "all members know of the servers, and agree")
        return new

    def _agreed(self, new: Sequence[Server]) -> bool:
        """Whether all members go by one configuration, a new one, and know it of each other, and where the servers are.

        How each stands is what it said last of it.
        """
        digests = self.database.digests()
        if len(digests) != 1 or digests == self._digests:
            return False
        self.database.agree()
        there = self.database.sql("SELECT server FROM placement").split()
        if any(map(_differs, self.members)) or not {server.identifier for server in new} <= set(there):
            return False
        self._digests = digests
        return True

    def _suffer(self, drawn: Sequence[Drawn]) -> None:
        """Let the troubles begin and end; those that outlast all others end with the round."""
        began = CLOCK.monotonic()
        ends: list[tuple[float, Callable[[], None]]] = []
        for one in drawn:
            _wait(began + one.begins, ends)
            if (end := self._begin(one)) is not None:
                ends.append((began + one.begins + one.lasts, end))
        long = max((one.begins + one.lasts for one in drawn if one.trouble is Trouble.DATABASE_HELD_LONG), default=0.0)
        last = max((end for end, _ in ends), default=0.0)
        _wait(last, ends, enough=lambda: CLOCK.monotonic() > began + long and self._all_backed_up())
        for _, end in ends:
            end()

    def _begin(self, one: Drawn) -> Callable[[], None] | None:
        """Let a trouble begin; return what ends it, None if it does not come about."""
        member = None if one.trouble in OF_DATABASE else self._member_of(one)
        if member is not None and not self._may_have(member, one.trouble):
            return None
        by = {Trouble.CLOCK_MOVED: one.moved, Trouble.CLOCK_WRONG: one.wrong}.get(one.trouble, 0.0)
        met = Met(one.trouble, None if member is None else member.name, CLOCK.now(), by=by)
        self.met.append(met)
        end = self._begin_at_database(one) if member is None else self._begin_at(member, one)

        def ended() -> None:
            end()
            met.until = None if one.trouble is Trouble.CLOCK_WRONG and one.stays else CLOCK.now()

        return ended

    def _member_of(self, one: Drawn) -> Member:
        if one.trouble is Trouble.CLOCK_WRONG:
            return next(member for member in self.members if member.clock)
        return self._busiest() if one.busiest else self.members[one.other]

    def _may_have(self, member: Member, trouble: Trouble) -> bool:
        """Whether a trouble can come about; of what is held for minutes one at most, or nobody would be left to act."""
        return member.alive and not (trouble in FOR_MINUTES and any(other.is_held for other in self.members))

    def _begin_at(self, member: Member, one: Drawn) -> Callable[[], None]:
        """Let a member's trouble begin; return what ends it."""
        if one.trouble in FOR_MINUTES:
            member.hold_for_minutes(one)
        if one.trouble in {Trouble.SENT_OUT, *EVICTS}:
            self.database.send_out(member.name, at_once=one.trouble in EVICTS)
            return partial(self._call_back, member)
        if one.trouble is Trouble.CLOCK_WRONG:
            for met in self.met[:-1]:
                met.until = met.until or CLOCK.now()
            member.set_clock(one.wrong)
            return _nothing if one.stays else partial(member.set_clock, 0)
        member.suffer(one)
        return member.recover

    def _call_back(self, member: Member) -> None:
        if not member.is_held:
            self.database.call_back(member.name)

    def _begin_at_database(self, one: Drawn) -> Callable[[], None]:
        if one.trouble is Trouble.FULL:
            return self.database.fill_disk()
        if one.trouble is Trouble.CLOCK_MOVED:
            return self.database.move_clock(one.moved)
        if one.trouble is Trouble.PROMOTED:
            self.database.promote()
        else:
            self.database.restart(self.chance.choice(["fast", "immediate"]))
        return _nothing

    def _add_server(self, node: Node) -> Server:
        """A server that has missed one start, with old backups, some of them failed or locked; its panel is slow."""
        name, careful = f"server-{len(self.servers):03}", len(self.servers) % NEW == 0
        past = PAST_BRAKE if careful else PAST
        server = self.panel.add_server(name, past=past, seconds=self.chance.choice([0.05, 0.5, 1.5]), node=node)
        old = self.panel.backups(server)
        for state, locked in ((State.FAILED, True), (State.FAILED, False), (State.GOOD, True)):
            own = old[0].name.replace("-00000000", f"-{len(server.backups):08x}")
            add = self.panel.world.add_backup
            add(server, own, created_at=old[0].created_at, state=state, locked=locked, by="history")
        for call, longest in ((Call.LIST, 0.25), (Call.CREATE, 1.0), (Call.DELETE, LATE_SECONDS)):
            fault = self.chance.choice([slow, late])(longest * self.chance.random())
            self.panel.world.faults.order(fault, on=call, server=server.identifier, times=4)
        self._dated |= {backup.uuid: backup.created_at for backup in self.panel.backups(server)}
        self.servers.append(server)
        self.careful += [server] if careful else []
        return server

    def _configure(self) -> None:
        """One start in the week, as far from now as can be."""
        cron = f"0 0 * * {(CLOCK.now().isoweekday() + 3) % 7}"
        more = ""
        for server in self.servers:
            share = 0.5 if server in self.careful else 1.0
            more += f'[servers.{server.name}]\nid = "{server.identifier}"\nmax_share = {share}\n'
        self.panel.configure(schedule=f'"{cron}"', keep=f"{{ last = {KEEP} }}", more=more)

    def _busiest(self) -> Member:
        """The member alive that holds most; the first one where the database cannot be asked."""
        query = "SELECT name FROM lease JOIN member USING (epoch) GROUP BY name ORDER BY count(*) DESC, name"
        alive = {member.name: member for member in self.members if member.alive}
        return next((alive[name] for name in self._answer(query).split() if name in alive), self.members[0])

    def _begun(self, server: Server) -> bool:
        return any(one.events("rotation_began", server=server.name) for member in self.members for one in member.lives)

    def _answer(self, query: str) -> str:
        """What the database answers; nothing while it has no connection to give."""
        try:
            return self.database.sql(query)
        except subprocess.CalledProcessError as error:
            if error.returncode != UNREACHED:
                raise
            return ""

    def _brought_to_its_end(self, server: Server) -> bool:
        """Rotate a server by hand unless it is backed up; return whether it is. Where a rotation is under way, that may
        make one more.

        Soon after a promotion nothing is deleted, so that such a rotation fails in the end.
        """
        if self._backed_up(server):
            return True
        done = command(self.panel, "rotate", server.name, room=None, **self.members[0].environ)
        assert done.returncode in {Exit.DONE, Exit.SOME_FAILED, Exit.FAILED}, done.stderr
        return self._backed_up(server)

    # How it stands ---------------------------------------------------------------------------------------------------

    def _backed_up(self, server: Server) -> bool:
        created = self.panel.done(Change.CREATED, server)
        return any(one.state is State.GOOD and one.name in created for one in self.panel.backups(server))

    def _all_backed_up(self) -> bool:
        missing = self._missing()
        return not missing or missing <= self._failed() | self._settling()

    def _missing(self) -> set[str]:
        return {server.name for server in self.servers if not self._backed_up(server)}

    def _failed(self) -> set[str]:
        """The servers whose rotation failed, so that it is tried again in ten minutes."""
        lives = (one for member in self.members for one in member.lives)
        ended = (event for one in lives for event in one.events("rotation_ended") if event["result"] != "done")
        return {str(event["server"]) for event in ended}

    def _settling(self) -> set[str]:
        """The servers of which nobody knows whether the backup that was asked for will come: for two minutes. None are
        known while the database is out of reach.
        """
        rows = self._answer(
            f"SELECT server, (SELECT step || ' ' || {COMMITTED} FROM audit_step WHERE rotation = rotation.id AND"  # noqa: S608 — our own
            " step IN ('create', 'created', 'create_refused') ORDER BY id DESC LIMIT 1) FROM rotation"
            " WHERE id IN (SELECT max(id) FROM rotation GROUP BY server)"
        )
        asked = (row.partition("|")[::2] for row in rows.splitlines())
        return {
            server
            for server, step in asked
            if step.startswith("create ") and _seconds_since(step.partition(" ")[2]) < SETTLE_SECONDS
        }

    @property
    def pruned(self) -> int:
        """How many servers have lost backups to retention."""
        return sum(bool(self.panel.done(Change.DELETED, server)) for server in self.servers)

    # What must never happen ------------------------------------------------------------------------------------------

    def _hold(self) -> None:
        """Hold the ledger, and what left the members, against the promises."""
        sent = {member.name: tuple(member.sent.requests) for member in self.members}
        logged = {member.name: member.events for member in self.members}
        ledger, audit = tuple(self.panel.world.ledger), self.database.audit()
        try:
            held = Promises(self.members, sent, logged, ledger, audit, self.met, self.database.moves, self._dated)
            held.hold(self.servers, self.careful)
        except AssertionError as broken:
            raise AssertionError(f"{broken}\n{self.met}\n{self._output}") from broken

    def _wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until it holds; show all that the members logged otherwise."""
        try:
            wait_until(holds, what, PATIENCE)
        except AssertionError as waited:
            raise AssertionError(f"{waited}; not backed up: {self._missing()}\n{self._output}") from waited

    @property
    def _output(self) -> str:
        """What the members logged, each with its name."""
        lives = [(member.name, one) for member in self.members for one in member.lives]
        return "".join(f"{name} {line}\n" for name, one in lives for line in one.output.splitlines())


def _differs(member: Member) -> bool:
    """Whether the last that a member said of it is that it differs from others."""
    return member.last_of("daemon_started", "members_differ", "members_agree") in ("", "members_differ")


def _nothing() -> None:
    """What ends by itself."""


def _wait(
    until: float, ends: list[tuple[float, Callable[[], None]]], enough: Callable[[], bool] = lambda: False
) -> None:
    """Wait until that moment, or until it is enough; let the troubles end whose time has come."""
    while (now := CLOCK.monotonic()) < until and not enough():
        for end in [one for one in ends if one[0] <= now]:
            ends.remove(end)
            end[1]()
        threading.Event().wait(0.05)


def _seconds_since(moment: str) -> float:
    return (CLOCK.now() - datetime.fromisoformat(moment)).total_seconds()


@contextmanager
def cluster_rounds(folder: Path, seed: int, possible: Set[Trouble] = frozenset(Trouble)) -> Iterator[Rounds]:
    """Rounds on a server and a panel of their own, with those troubles that are possible on this machine."""
    small, movable = may_mount(), clock_library() is not None
    possible = set(possible)
    possible -= set() if small else {Trouble.FULL}
    possible -= set() if movable else {Trouble.CLOCK_MOVED, Trouble.CLOCK_WRONG}
    with postgres(small=small, movable=movable) as server, serving(folder) as panel:
        cluster = server.new()
        panel.secrets.append(PASSWORD)
        with three_members(panel, cluster) as members:

            def moved(port: int) -> None:
                for member in members:
                    member.to_database.target = port

            with closing(SharedDatabase(server, cluster, moved)) as database:
                yield Rounds(panel, database, members, random.Random(seed), possible)


def main(words: Sequence[str] | None = None) -> int:
    """Play rounds, and print what was met."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.process.cluster_rounds", description="trouble a cluster, again and again"
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", action="append", choices=[trouble.name for trouble in Trouble], default=[])
    asked = parser.parse_args(words)
    sys.stdout.write(f"seed {asked.seed}\n")
    sys.stdout.flush()
    only = {Trouble[name] for name in asked.only} or set(Trouble)
    with tempfile.TemporaryDirectory() as folder, cluster_rounds(Path(folder), asked.seed, only) as rounds:
        for trouble in sorted(only - rounds.possible):
            sys.stdout.write(f"not possible on this machine: {trouble}\n")
        rounds.play(asked.rounds)
        rounds.end()
    for trouble, times in Counter(met.trouble for met in rounds.met).most_common():
        sys.stdout.write(f"{times:5}  {trouble}\n")
    sys.stdout.write(f"{len(rounds.servers):5}  servers backed up, {rounds.pruned} of them pruned\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
