"""A member of the cluster in `cluster_rounds`: a real daemon, and the ways to its database and to the panel.

All members have one address of the panel, or they would differ and delete nothing. Behind it each has its own wire.
"""

import re
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from daemon.config.values import ClusterConfig
from tests.process.cluster_database import MEMBERS, elsewhere
from tests.process.cluster_trouble import Trouble
from tests.process.support import CLOCK, Daemon, Panel, running
from tests.process.wire import Way, Wire, crossing, has_socket, wire

LEASE = "5s"

_DELETE = re.compile(rb"DELETE /api/client/servers/([0-9a-f]{8})[0-9a-f-]*/backups/([0-9a-f-]{36}) ")


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
    address: str = ""
    """Of the panel, as all members know it."""

    held_until: float = 0.0
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
            "PTERO_BACKUPD_CLUSTER__LEASE": LEASE,
            "PTERO_BACKUPD_PANELS__MAIN__URL": self.address,
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
            case _:
                raise AssertionError("this is not a member's own")

    def hold_for(self, seconds: float) -> None:
        """Hold what it sends to the panel for so long, whatever else ends before."""
        self.to_panel.hold(Way.THERE)
        self.held_until = CLOCK.monotonic() + seconds

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
            sent: list[Sent] = []
            seen = _noting(sent)
            wires = ends.enter_context(wire(database)), ends.enter_context(wire(panel_port, seen))
            members.append(Member(name, panel, cluster, *wires, sent))
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


def _noting(sent: list[Sent]) -> Callable[[bytes], None]:
    """Note each DELETE in what a member sends."""

    def note(chunk: bytes) -> None:
        at = CLOCK.now()
        sent.extend(Sent(at, server.decode(), backup.decode()) for server, backup in _DELETE.findall(chunk))

    return note
