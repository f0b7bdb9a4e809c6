"""A member of the cluster in `cluster_rounds`: a real daemon, and the ways to its database and to the panel.

All members have one address of the panel, or they would differ and delete nothing. Behind it each has its own wire.
"""

import json
import re
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from daemon.config.values import ClusterConfig
from tests.postgres import clock_library, movable_clock, set_clock
from tests.process.cluster_database import MEMBERS, elsewhere
from tests.process.cluster_trouble import Drawn, Trouble
from tests.process.support import CLOCK, Daemon, Event, Panel, running
from tests.process.wire import Way, Wire, crossing, has_socket, wire

LEASE_SECONDS = 5

WRONG = MEMBERS[-1]
"""The member whose clock can be set wrong, where the machine has what that takes."""

_OF_BACKUPS = re.compile(
    rb"(GET|POST|DELETE) /api/client/servers/([0-9a-f]{8})[0-9a-f-]*/backups(?:/([0-9a-f-]{36}))?(?:\?\S*)? HTTP"
)
_NAME = re.compile(rb'"name": ?"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Request:
    """A request about a server's backups as it left a member; `backup` is the uuid of the one that it is about."""

    at: datetime
    method: str
    server: str
    backup: str


@dataclass
class Sent:
    """What has left a member for the panel."""

    requests: list[Request] = field(default_factory=list)
    names: dict[str, datetime] = field(default_factory=dict)
    """When it asked for a backup of that name."""

    def note(self, chunk: bytes) -> None:
        """Note what is in these bytes."""
        at = CLOCK.now()
        for method, server, backup in _OF_BACKUPS.findall(chunk):
            self.requests.append(Request(at, method.decode(), server.decode(), backup.decode()))
        for name in _NAME.findall(chunk):
            self.names.setdefault(name.decode(), at)


@dataclass
class Member:
    """One member, the ways to what it needs, and what has left it for the panel."""

    name: str
    panel: Panel
    cluster: ClusterConfig
    to_database: Wire
    to_panel: Wire
    sent: Sent
    clock: Mapping[str, str]
    """What its process is started with if its clock can be set wrong; empty otherwise."""

    address: str = ""
    """Of the panel, as all members know it."""

    held_until: float = 0.0
    """Until then, by the monotonic clock, what is held for minutes is."""

    lives: list[Daemon] = field(default_factory=list)
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
            "PTERO_BACKUPD_CLUSTER__LEASE": f"{LEASE_SECONDS}s",
            "PTERO_BACKUPD_PANELS__MAIN__URL": self.address,
        }

    def start(self) -> None:
        """Start it."""
        environ = {**self.environ, **self.clock}
        self.lives.append(self._ends.enter_context(running(self.panel, room=None, counted=False, **environ)))

    def end(self) -> None:
        """Kill it, and wait for its end."""
        self._ends.close()

    @property
    def events(self) -> list[Event]:
        """All that it has logged, in order."""
        lines = (line for one in self.lives for line in tuple(one.stderr) if line.startswith("{"))
        return [json.loads(line) for line in lines]

    def last_of(self, *names: str) -> str:
        """Return which of these events it logged last, in whatever order its clock puts them; empty for none."""
        lines = (line for line in reversed(tuple(self.daemon.stderr)) if any(name in line for name in names))
        return next((event for event in map(_event, lines) if event in names), "")

    def set_clock(self, wrong: float) -> None:
        """Set its clock wrong by so many seconds, which it must be able to be."""
        set_clock(self.clock, wrong)

    def suffer(self, one: Drawn) -> None:
        """Let this trouble of its own begin."""
        match one.trouble:
            case Trouble.KILLED:
                self.daemon.process.kill()
            case Trouble.STOPPED:
                self.daemon.send(signal.SIGSTOP)
            case Trouble.DATABASE_CUT:
                self.to_database.cut()
            case Trouble.PANEL_CUT:
                self.to_panel.cut()
            case Trouble.DATABASE_HELD_THERE | Trouble.DATABASE_HELD_BACK | Trouble.DATABASE_HELD_LONG:
                self._hold(self.to_database, one.ways)
            case Trouble.PANEL_HELD_THERE | Trouble.PANEL_HELD_BACK:
                self._hold(self.to_panel, one.ways)
            case _:
                raise AssertionError("this is not a member's own")

    def _hold(self, wire: Wire, ways: Iterable[Way]) -> None:
        for way in ways:
            wire.hold(way)

    def hold_for_minutes(self, one: Drawn) -> None:
        """Hold what goes that way between it and the panel, whatever else ends before."""
        self._hold(self.to_panel, one.ways)
        self.held_until = CLOCK.monotonic() + one.minutes

    @property
    def is_held(self) -> bool:
        """Whether that lasts."""
        return CLOCK.monotonic() < self.held_until

    def recover(self) -> None:
        """Let its troubles end, but what is held for long; one that was killed is started again."""
        self.to_database.mend()
        if not self.is_held:
            self.to_panel.mend()
        if self.alive:
            self.daemon.send(signal.SIGCONT)
        else:
            self.start()


@contextmanager
def three_members(panel: Panel, cluster: ClusterConfig) -> Iterator[list[Member]]:
    """Three members that have not started yet."""
    database, panel_port = urlsplit(cluster.url.get_secret_value()).port, urlsplit(panel.url).port
    assert database
    assert panel_port
    with ExitStack() as ends:
        members: list[Member] = []
        for name in MEMBERS:
            sent = Sent()
            wires = ends.enter_context(wire(database)), ends.enter_context(wire(panel_port, sent.note))
            movable = clock_library() is not None and name == WRONG
            clock = movable_clock(Path(ends.enter_context(TemporaryDirectory()))) if movable else {}
            members.append(Member(name, panel, cluster, *wires, sent, clock))
            ends.callback(members[-1].end)
        at = ends.enter_context(crossing(lambda inode: _wire_of(inode, members)))
        for member in members:
            member.address = f"http://127.0.0.1:{at.port}"
        yield members


def _wire_of(inode: str, members: Sequence[Member]) -> Wire:
    """Return the wire of the member that has that socket; a command by hand goes by the first one's."""
    alive = (one for one in members if one.alive)
    owner = next((one for one in alive if has_socket(one.daemon.process.pid, inode)), members[0])
    return owner.to_panel


def _event(line: str) -> str:
    """The name of the event in a line of the log; empty if it is none."""
    return str(json.loads(line)["event"]) if line.startswith("{") else ""
