"""Three daemons on one database and one panel, in all kinds of trouble: who is right is the panel's ledger.

    python -m tests.process.cluster_rounds                 10 rounds
    python -m tests.process.cluster_rounds --rounds 100
    python -m tests.process.cluster_rounds --seed 42       what is drawn by that seed again

In each round servers come that have missed one start, and members are killed, stopped for a while, or cut off: from
the database or from the panel, at once or so that what is on its way is held, in either direction, and let go later.
The database is restarted now and then. A seed repeats what is drawn, not what the machine makes of it.

After each round all servers must be backed up, though a member is gone, and the ledger is held against what must never
happen. Who held which server, and when, is recorded by triggers in the database: a DELETE may leave a member only
while it holds that server there, or if it was announced while it did (invariant 20).
"""

import argparse
import asyncio
import random
import re
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from daemon.config.values import ClusterConfig
from daemon.panel.reconcile import SETTLE_SECONDS
from daemon.sandbox.faults import late, slow
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, Server, State
from daemon.state import engine_for
from tests.postgres import PASSWORD, Postgres, postgres
from tests.process.ledger import KEEP, LATE_SECONDS, hold_deletions
from tests.process.support import CLOCK, Daemon, Panel, command, running, serving, wait_until
from tests.process.wire import Way, Wire, wire

MEMBERS = ("one", "two", "three")
LEASE = "5s"
PAST = 6
NEW = 4
"""So many servers come in each round."""

PATIENCE = 150.0
LONGEST = 9.0
"""So many seconds a trouble lasts at most: more than a take-over needs."""

LONGEST_AT_PANEL = 3.0
"""So long the member that acts may be cut off from the panel, and none takes over from it."""

_DELETE = re.compile(rb"DELETE /api/client/servers/([0-9a-f]{8})[0-9a-f-]*/backups/([0-9a-f-]{36}) ")

_AUDIT = """
CREATE TABLE audit (what TEXT, epoch BIGINT, name TEXT, taken TIMESTAMPTZ, freed TIMESTAMPTZ);
CREATE FUNCTION audit_taken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO audit SELECT NEW.what, NEW.epoch, name, clock_timestamp() FROM member WHERE epoch = NEW.epoch;
    RETURN NEW; END $$;
CREATE FUNCTION audit_freed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    UPDATE audit SET freed = clock_timestamp() WHERE what = OLD.what AND epoch = OLD.epoch AND freed IS NULL;
    RETURN OLD; END $$;
CREATE TRIGGER audit_taken AFTER INSERT ON lease FOR EACH ROW EXECUTE FUNCTION audit_taken();
CREATE TRIGGER audit_freed AFTER DELETE ON lease FOR EACH ROW EXECUTE FUNCTION audit_freed();
"""


class Trouble(StrEnum):
    """What happens to a member, or to the database."""

    KILLED = "killed"
    STOPPED = "stopped"
    DATABASE_CUT = "cut off from the database"
    DATABASE_HELD_THERE = "what it sends to the database is held"
    DATABASE_HELD_BACK = "what the database answers is held"
    PANEL_CUT = "cut off from the panel"
    PANEL_HELD_THERE = "what it sends to the panel is held"
    PANEL_HELD_BACK = "what the panel answers is held"
    RESTARTED = "the database is restarted"


AT_DATABASE = {Trouble.DATABASE_CUT, Trouble.DATABASE_HELD_THERE, Trouble.DATABASE_HELD_BACK, Trouble.RESTARTED}
AT_PANEL = {Trouble.PANEL_CUT, Trouble.PANEL_HELD_THERE, Trouble.PANEL_HELD_BACK}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One trouble: whose, when it begins after the servers came, and how many seconds it lasts."""

    trouble: Trouble
    busiest: bool
    other: int
    begins: float
    lasts: float

    @classmethod
    def of(cls, chance: random.Random) -> "Drawn":
        """Draw one."""
        trouble = chance.choice(list(Trouble))
        longest = LONGEST_AT_PANEL if trouble in AT_PANEL else LONGEST
        whose = chance.random() < 0.75, chance.randrange(len(MEMBERS))
        return cls(trouble, *whose, chance.uniform(0, 2.5), chance.uniform(0.3, longest))


@dataclass(frozen=True, slots=True)
class Sent:
    """A DELETE as it left a member."""

    at: datetime
    server: str
    backup: str


@dataclass
class Member:
    """One member, the ways to what it needs, and what has left it for the panel."""

    name: str
    panel: Panel
    cluster: ClusterConfig
    to_database: Wire
    to_panel: Wire
    sent: list[Sent]
    lives: list[Daemon] = field(default_factory=list)
    stopped: bool = False
    _ends: ExitStack = field(default_factory=ExitStack)

    @property
    def daemon(self) -> Daemon:
        """Its process."""
        return self.lives[-1]

    @property
    def alive(self) -> bool:
        """Whether its process is there."""
        return bool(self.lives) and self.daemon.process.poll() is None

    @property
    def environ(self) -> dict[str, str]:
        """What makes it a member."""
        return {
            "PTERO_BACKUPD_CLUSTER__URL": elsewhere(self.cluster, self.to_database.port),
            "PTERO_BACKUPD_CLUSTER__MEMBER": self.name,
            "PTERO_BACKUPD_CLUSTER__LEASE": LEASE,
            "PTERO_BACKUPD_PANELS__MAIN__URL": f"http://127.0.0.1:{self.to_panel.port}",
        }

    def start(self) -> None:
        """Start it."""
        self.lives.append(self._ends.enter_context(running(self.panel, room=None, counted=False, **self.environ)))

    def end(self) -> None:
        """Kill it, and wait for its end."""
        self._ends.close()

    def suffer(self, trouble: Trouble) -> None:
        """Let this trouble of its own begin."""
        match trouble:
            case Trouble.KILLED:
                self.daemon.process.kill()
            case Trouble.STOPPED:
                self.daemon.send(signal.SIGSTOP)
            case Trouble.DATABASE_CUT:
                self.to_database.cut()
            case Trouble.DATABASE_HELD_THERE:
                self.to_database.hold(Way.THERE)
            case Trouble.DATABASE_HELD_BACK:
                self.to_database.hold(Way.BACK)
            case Trouble.PANEL_CUT:
                self.to_panel.cut()
            case Trouble.PANEL_HELD_THERE:
                self.to_panel.hold(Way.THERE)
            case Trouble.PANEL_HELD_BACK:
                self.to_panel.hold(Way.BACK)
            case Trouble.RESTARTED:
                raise AssertionError("this is not a member's")

    def recover(self) -> None:
        """Let all its troubles end; one that was killed is started again."""
        self.to_database.mend()
        self.to_panel.mend()
        if self.alive:
            self.daemon.send(signal.SIGCONT)
        else:
            self.start()


def elsewhere(cluster: ClusterConfig, port: int) -> str:
    """Return the address of the database by another port."""
    url = cluster.url.get_secret_value()
    return url.replace(f":{urlsplit(url).port}/", f":{port}/")


class Rounds:
    """One panel, one database, three members."""

    def __init__(self, panel: Panel, server: Postgres, members: Sequence[Member], chance: random.Random) -> None:
        self.panel = panel
        self.server = server
        self.members = members
        self.chance = chance
        self.servers: list[Server] = []
        self.met: Counter[Trouble] = Counter()
        self._twice: set[str] = set()
        panel.world.settings.api_limit = 100_000

    def play(self, rounds: int) -> None:
        """Play so many rounds."""
        asyncio.run(_tables(self.members[0].cluster))
        self.sql(_AUDIT)
        for _ in range(rounds):
            self._round()

    def end(self) -> None:
        """Wait for what may take its time, see to it that everything is backed up, and hold it all once more."""
        wait_until(lambda: not self._settling(), "all creates are settled", SETTLE_SECONDS + PATIENCE)
        for server in self.servers:
            self._wait_until(partial(self._brought_to_its_end, server), "all is backed up")
        self._hold()

    def sql(self, statement: str) -> str:
        """Run a statement on the members' tables."""
        return self.server.sql(self.members[0].cluster, statement)

    # What goes on ----------------------------------------------------------------------------------------------------

    def _round(self) -> None:
        """Let servers come, and troubles begin and end, until all servers are backed up."""
        drawn = sorted((Drawn.of(self.chance) for _ in range(self.chance.randint(1, 3))), key=lambda one: one.begins)
        new = [self._add_server() for _ in range(NEW)]
        if any(one.trouble in AT_DATABASE for one in drawn):
            self._twice |= {server.name for server in self.servers if not self._backed_up(server)}
        self._configure()
        for member in self.members:
            if member.alive:
                member.daemon.send(signal.SIGHUP)
            else:
                member.start()
        self._wait_until(lambda: any(map(self._begun, new)), "a rotation begins")
        self._suffer(drawn)
        self._wait_until(self._all_backed_up, "all servers are backed up though a member is gone")
        for member in self.members:
            member.recover()
        self._hold()

    def _suffer(self, drawn: Sequence[Drawn]) -> None:
        """Let the troubles begin and end; those that outlast all others end with the round."""
        began = CLOCK.monotonic()
        ends: list[tuple[float, Callable[[], None]]] = []
        for one in drawn:
            _wait(began + one.begins, ends)
            self.met[one.trouble] += 1
            if one.trouble is Trouble.RESTARTED:
                self.server.stop(self.chance.choice(["fast", "immediate"]))
                self.server.start()
                continue
            member = self._busiest() if one.busiest else self.members[one.other]
            if member.alive:
                member.suffer(one.trouble)
                ends.append((began + one.begins + one.lasts, member.recover))
        _wait(max((end for end, _ in ends), default=0.0), ends, enough=self._all_backed_up)

    def _add_server(self) -> Server:
        """A server that has missed one start, with old backups, some of them failed or locked; its panel is slow."""
        name = f"server-{len(self.servers):03}"
        server = self.panel.add_server(name, past=PAST, seconds=self.chance.choice([0.05, 0.5, 1.5]))
        old = self.panel.backups(server)
        for state, locked in ((State.FAILED, True), (State.FAILED, False), (State.GOOD, True)):
            own = old[0].name.replace("-00000000", f"-{len(server.backups):08x}")
            add = self.panel.world.add_backup
            add(server, own, created_at=old[0].created_at, state=state, locked=locked, by="history")
        for call, longest in ((Call.LIST, 0.25), (Call.CREATE, 1.0), (Call.DELETE, LATE_SECONDS)):
            fault = self.chance.choice([slow, late])(longest * self.chance.random())
            self.panel.world.faults.order(fault, on=call, server=server.identifier, times=4)
        self.servers.append(server)
        return server

    def _configure(self) -> None:
        """One start in the week, as far from now as can be."""
        cron = f"0 0 * * {(CLOCK.now().isoweekday() + 3) % 7}"
        more = "max_share = 1.0\n" + "".join(
            f'[servers.{server.name}]\nid = "{server.identifier}"\n' for server in self.servers
        )
        self.panel.configure(schedule=f'"{cron}"', keep=f"{{ last = {KEEP} }}", more=more)

    def _busiest(self) -> Member:
        """The member that holds most."""
        query = "SELECT name FROM lease JOIN member USING (epoch) GROUP BY name ORDER BY count(*) DESC, name LIMIT 1"
        name = self.sql(query)
        return next((member for member in self.members if member.name == name), self.members[0])

    def _begun(self, server: Server) -> bool:
        return any(one.events("rotation_began", server=server.name) for member in self.members for one in member.lives)

    def _brought_to_its_end(self, server: Server) -> bool:
        """Rotate a server by hand unless it is backed up; return whether it is, and not left to a member's rotation."""
        if self._backed_up(server):
            return True
        done = command(self.panel, "rotate", server.name, room=None, **self.members[0].environ)
        assert done.returncode == 0 or "busy" in done.stderr, done.stderr
        return done.returncode == 0

    # How it stands ---------------------------------------------------------------------------------------------------

    def _backed_up(self, server: Server) -> bool:
        created = self.panel.done(Change.CREATED, server)
        return any(one.state is State.GOOD and one.name in created for one in self.panel.backups(server))

    def _all_backed_up(self) -> bool:
        missing = [server.name for server in self.servers if not self._backed_up(server)]
        return not missing or set(missing) <= self._failed() | self._settling()

    def _failed(self) -> set[str]:
        """The servers whose rotation failed, so that it is tried again in ten minutes."""
        lives = (one for member in self.members for one in member.lives)
        ended = (event for one in lives for event in one.events("rotation_ended") if event["result"] != "done")
        return {str(event["server"]) for event in ended}

    def _settling(self) -> set[str]:
        """The servers of which nobody knows whether the backup that was asked for will come: for two minutes."""
        rows = self.sql(
            "SELECT server, (SELECT name || ' ' || at FROM step WHERE rotation = rotation.id AND"
            " name IN ('create', 'created', 'create_refused') ORDER BY id DESC LIMIT 1) FROM rotation"
            " WHERE id IN (SELECT max(id) FROM rotation GROUP BY server)"
        )
        asked = (row.partition("|")[::2] for row in rows.splitlines())
        return {
            server
            for server, step in asked
            if step.startswith("create ") and _seconds_since(step.partition(" ")[2]) < SETTLE_SECONDS
        }

    # What must never happen ------------------------------------------------------------------------------------------

    def _hold(self) -> None:
        """Hold the ledger, and what left the members, against the promises."""
        for member in self.members:
            for one in member.lives:
                assert not one.events("bug"), one.output
                assert not one.events("rotation_bug"), one.output
        for server in self.servers:
            hold_deletions(server, tuple(self.panel.world.ledger))
            created = len(self.panel.done(Change.CREATED, server))
            most = 1 + (server.name in self._twice)
            assert created <= most, f"{server.name}: {created} backups for one start\n{self._output}"
        held = self._held()
        announced = self._announced()
        for member in self.members:
            for sent in member.sent:
                self._hold_sent(member, sent, held.get((member.name, sent.server), []), announced.get(sent.backup, []))

    def _hold_sent(self, member: Member, sent: Sent, held: Sequence["Held"], announced: Sequence[datetime]) -> None:
        """A DELETE left while its member held the server, or was announced while it did."""
        if any(one.taken <= sent.at <= (one.freed or sent.at) for one in held):
            return
        before = [at for one in held if one.freed for at in announced if one.taken <= at <= one.freed < sent.at]
        assert before, f"{member.name} sent {sent}, and held it {held}; announced {announced}\n{self._output}"

    def _held(self) -> dict[tuple[str, str], list["Held"]]:
        """Who held which server, and when."""
        rows = self.sql("SELECT name, substr(what, 8, 8), taken, freed FROM audit WHERE what LIKE 'server %'")
        found: dict[tuple[str, str], list[Held]] = {}
        for row in rows.splitlines():
            name, server, taken, freed = row.split("|")
            moments = datetime.fromisoformat(taken), datetime.fromisoformat(freed) if freed else None
            found.setdefault((name, server), []).append(Held(*moments))
        return found

    def _announced(self) -> dict[str, list[datetime]]:
        """When which backup's deletion was announced."""
        rows = self.sql("SELECT detail::json ->> 'uuid', at FROM step WHERE name IN ('delete', 'room')")
        found: dict[str, list[datetime]] = {}
        for row in rows.splitlines():
            backup, at = row.split("|")
            found.setdefault(backup, []).append(datetime.fromisoformat(at))
        return found

    def _wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until it holds; show all that the members logged otherwise."""
        try:
            wait_until(holds, what, PATIENCE)
        except AssertionError as waited:
            missing = [server.name for server in self.servers if not self._backed_up(server)]
            raise AssertionError(f"{waited}; not backed up: {missing}\n{self._output}") from waited

    @property
    def _output(self) -> str:
        """What the members logged, each with its name."""
        lives = [(member.name, one) for member in self.members for one in member.lives]
        return "".join(f"{name} {line}\n" for name, one in lives for line in one.output.splitlines())


@dataclass(frozen=True, slots=True)
class Held:
    """From when until when a member held a server, by the database."""

    taken: datetime
    freed: datetime | None


async def _tables(cluster: ClusterConfig) -> None:
    """Make the members' tables."""
    engine = engine_for(cluster)
    await (await engine.open()).close()
    engine.close()


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
def _members(panel: Panel, cluster: ClusterConfig) -> Iterator[list[Member]]:
    """Three members that have not started yet."""
    database, panel_port = urlsplit(cluster.url.get_secret_value()).port, urlsplit(panel.url).port
    assert database
    assert panel_port
    with ExitStack() as ends:
        members = []
        for name in MEMBERS:
            sent: list[Sent] = []
            seen = _noting(sent)
            wires = ends.enter_context(wire(database)), ends.enter_context(wire(panel_port, seen))
            members.append(Member(name, panel, cluster, *wires, sent))
            ends.callback(members[-1].end)
        yield members


def _noting(sent: list[Sent]) -> Callable[[bytes], None]:
    """Note each DELETE in what a member sends."""

    def note(chunk: bytes) -> None:
        at = CLOCK.now()
        sent.extend(Sent(at, server.decode(), backup.decode()) for server, backup in _DELETE.findall(chunk))

    return note


@contextmanager
def cluster_rounds(folder: Path, server: Postgres, chance: random.Random) -> Iterator[Rounds]:
    """Rounds on a database and a panel of their own."""
    with serving(folder) as panel:
        panel.secrets.append(PASSWORD)
        with _members(panel, server.new()) as members:
            yield Rounds(panel, server, members, chance)


def main(words: Sequence[str] | None = None) -> int:
    """Play rounds, and print what was met."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.process.cluster_rounds", description="trouble a cluster, again and again"
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    asked = parser.parse_args(words)
    sys.stdout.write(f"seed {asked.seed}\n")
    sys.stdout.flush()
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres() as server,
        cluster_rounds(Path(folder), server, random.Random(asked.seed)) as rounds,
    ):
        rounds.play(asked.rounds)
        rounds.end()
    for trouble, times in rounds.met.most_common():
        sys.stdout.write(f"{times:5}  {trouble}\n")
    sent = sum(len(member.sent) for member in rounds.members)
    sys.stdout.write(f"{len(rounds.servers):5}  servers backed up, {sent} DELETEs\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
