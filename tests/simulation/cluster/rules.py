"""The rule of a cluster: who writes to a server holds its lock at the database, and has announced it (invariant 20).
And the rule of clocks, for machines of which each has its own.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from daemon.core.shares import node_part
from daemon.state.postgres.fence import SERVER
from tests.simulation.cluster.member import Member
from tests.simulation.cluster.tables import Announcement
from tests.simulation.doubts import Doubts
from tests.simulation.recorder import Exchange, Rotation

if TYPE_CHECKING:
    from tests.simulation.cluster.world import Cluster

STEPS = {"create": ("create",), "delete": ("delete", "room")}
"""The steps that announce each write."""
KNOWN_SECONDS = 20.0
"""So long a member does not ask again after the database did not answer."""
LOOKS = 3
"""After so many looks a member knows that it was sent out."""
QUIET_SECONDS = 70.0
"""For so long beyond a lease nothing is deleted after a promotion."""
WRITE_SECONDS = 100.0
"""So long a write may still leave that was announced before the database's clock was set."""


class Fencing:
    """Holds every write that a rotation sends against what the database says at that moment."""

    def __init__(self, simulation: "Cluster") -> None:
        self._simulation = simulation
        self._hold = simulation.checker.hold
        self._sent: dict[str, tuple[Exchange, int | None]] = {}
        """The last write to each server, and the epoch under which it left."""

        self._given: set[int] = set()

    def given(self, epoch: int) -> None:
        """A member is given an epoch: one that no other ever had."""
        self._hold("20", epoch not in self._given, f"epoch {epoch} is given a second time")
        self._given.add(epoch)

    def began(self, rotation: Rotation) -> None:
        """A rotation begins: at no member that was sent out, and has had the time to learn of it at the database."""
        simulation, member = self._simulation, self._simulation.processes[rotation.process]
        if rotation.trigger == "manual" or not isinstance(member, Member) or member.machine.out_since is None:
            return
        since = max(member.machine.out_since, simulation.checker.begun[member.name], member.went_on_at)
        knows = rotation.began - since > LOOKS * simulation.shape.look
        knows &= not simulation.failed_since(member.name, since)
        self._hold("20", not knows, f"{member.name} begins a rotation, though it was sent out", rotation.uuid)

    def sent(self, exchange: Exchange) -> None:
        """A request leaves; who cannot reach the database makes a backup beside others, at worst one too many."""
        if exchange.call not in STEPS or exchange.rotation is None or exchange.server is None:
            return
        lacks_database = self._simulation.failed_since(exchange.process, exchange.rotation.began - KNOWN_SECONDS)
        gave_up = self._simulation.roads[exchange.process].failed_at >= exchange.rotation.began  # though it stood still
        if exchange.call == "create" and (lacks_database or gave_up):
            announced = self._simulation.tables.announcement(exchange.server, STEPS["create"], exchange.name or "")
            exchange.beside_others, exchange.unannounced = True, announced is None
            return
        self._alone(exchange, exchange.server)
        announcement = self._announced(exchange, exchange.server)
        if announcement is None:
            return
        if announcement.timeline != self._simulation.tables.timeline:
            self._soon(exchange, exchange.server, self._simulation.promoted_at)
        elif announcement.epoch in self._simulation.evicted_at:
            self._soon(exchange, exchange.server, self._simulation.evicted_at[announcement.epoch])
        else:
            self._held(exchange, exchange.server)
            self._quiet(exchange, exchange.server)

    def _alone(self, exchange: Exchange, server: str) -> None:
        """No other process that is at work waits for the answer to a write there; one that has joined anew does not."""
        simulation, last = self._simulation, self._sent.get(server)
        self._sent[server] = exchange, simulation.epoch_of(exchange.process)
        if last is None:
            return
        before, epoch = last
        if before.process == exchange.process or before.received or before.given_up:
            return
        alone = not simulation.checker.at_work(before.process) or not simulation.tables.lives(epoch)
        self._hold("20", alone, f"{exchange.process} writes while {before.process} does", server)

    def _announced(self, exchange: Exchange, server: str) -> Announcement | None:
        """The database has it that this is about to be asked for, or had it before it was promoted."""
        about = exchange.name if exchange.call == "create" else exchange.backup
        found = self._simulation.tables.announcement(server, STEPS[exchange.call], about or "")
        self._hold("20", found is not None, f"{exchange.process} sends a {exchange.call} that nobody announced", server)
        return found

    def _soon(self, exchange: Exchange, server: str, over_at: float) -> None:
        """What was announced before a promotion, or before its member was evicted, leaves by the lease from before."""
        ago = exchange.sent - over_at
        text = f"{exchange.process} sends a {exchange.call} {ago:.0f} s after it may have been taken over"
        self._hold("20", ago < self._simulation.lease, text, server)

    def _quiet(self, exchange: Exchange, server: str) -> None:
        """After a promotion was noticed nothing is deleted until whatever was announced before must be over."""
        simulation, since = self._simulation, self._simulation.tables.quiet_since
        was_set = simulation.database_set_at >= simulation.promoted_at
        if exchange.call != "delete" or since is None or was_set:
            return
        over = exchange.sent + simulation.database_ahead >= since + simulation.lease + QUIET_SECONDS - 1
        self._hold("20", over, f"{exchange.process} deletes, and the database was promoted a moment ago", server)

    def _held(self, exchange: Exchange, server: str) -> None:
        """Nobody has taken over from the process: it holds the server's lock, and the node that the server is on.

        After the database's clock was set, what was announced before may still leave.
        """
        simulation, rotation = self._simulation, exchange.rotation
        assert rotation is not None
        if exchange.sent - simulation.database_set_at < WRITE_SECONDS:
            return
        epoch, tables = simulation.epoch_of(exchange.process), simulation.tables
        held = tables.holds(epoch, f"{SERVER}{server}")
        self._hold("20", held, f"{exchange.process} sends a {exchange.call} without the server's lock", server)
        node = simulation.recorder.node_of(server, rotation.began)
        if node is not None and rotation.trigger != "manual":
            ours = tables.holds(epoch, node_part("main", node))
            self._hold(
                "20", ours, f"{exchange.process} sends a {exchange.call} to {node}, which it does not hold", server
            )


class DoubtsOfMembers(Doubts):
    """Holds a list's date against the clock of the machine whose member read it; a command by hand has a right one."""

    def __init__(self, simulation: "Cluster") -> None:
        super().__init__(simulation.checker)
        self._simulation = simulation

    def _host_set(self, page: Exchange) -> float:
        """By how much that clock was set since the process began."""
        _, sets = self._clock(page)
        begun = self._checker.begun[page.process]
        return abs(sum(by for at, by in sets if begun < at <= page.sent))

    def _apart(self, page: Exchange) -> float:
        """By how much the panel's clock differed from that one."""
        if page.date is None:
            return 0.0
        now, sets = self._clock(page)
        ago = self._recorder.now() - page.sent + sum(by for at, by in sets if at > page.sent)
        return abs((page.date - now).total_seconds() + ago)

    def _clock(self, page: Exchange) -> tuple[datetime, Sequence[tuple[float, float]]]:
        """What the clock shows now, and by how many seconds it was set when."""
        process = self._simulation.processes[page.process]
        if isinstance(process, Member):
            return process.machine.clock.now(), process.machine.sets
        return self._simulation.host_clock.now(), ()
