"""Listen to the fleet: keep the history of each server at hand and in the journal, and say how it stands.

It only remembers. If the journal fails, it logs that once, goes on, and remembers less after a restart.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from daemon.clock import Clock
from daemon.config.values import Config, PanelConfig, ServerConfig
from daemon.core.clocks import was_set
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome
from daemon.rotation.run import RotationContext
from daemon.state import Journal, Sample
from daemon.status import stored
from daemon.status.copies import CopyStatus
from daemon.status.copies_tracker import CopiesTracker
from daemon.status.counts import Counts, Reload
from daemon.status.drills import DrillStatus, DrillsTracker
from daemon.status.history import Began, ServerHistory, after_outcome
from daemon.status.proofs import ProofStatus, ProofsTracker
from daemon.status.server_status import ServerStatus, Work, status_of
from daemon.status.snapshot import Snapshot
from daemon.status.timetable import Timetable

log = get_logger()

LOOK_AGAIN = timedelta(minutes=1)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class StatusTracker:
    """What is known of every configured server at this moment. It is one of the fleet's listeners."""

    def __init__(self, context: RotationContext) -> None:
        self.context = context
        self.histories: dict[str, ServerHistory] = {}
        """Of the servers that were asked for, or rotated, since the daemon began; the journal knows the others."""

        self.counts = Counts()
        self.clients: dict[str, PanelClient] = {}
        self.stopping = False
        self.reload = Reload(successful=True, succeeded_at=context.clock.now())
        self.copies = CopiesTracker(context)
        context.on_copies = self.copies.copied
        context.on_pruned = self.copies.pruned
        self.proofs = ProofsTracker(context)
        context.on_proof = self.proofs.proved
        self.drills = DrillsTracker(context)
        context.on_drill = self.drills.drilled
        self._timetable = Timetable()
        self._servers: Mapping[str, ServerConfig] = {}
        self._begun: dict[str, ServerHistory] = {}
        """What is known of each server without its rotations: since when it is watched, when it was last fine."""

        self._earlier: dict[str, ServerHistory] = {}
        """The same of servers that are not configured, or not discovered yet."""

        self._read: Journal | None = None
        """The journal that both were read from."""

        self._looked: dict[str, datetime] = {}
        """When the journal was last asked of a server that is overdue."""

    @property
    def clock(self) -> Clock:
        """The daemon's clock."""
        return self.context.clock

    def follow(self, config: Config) -> None:
        """Watch the servers of a configuration that was just read; what was known of others by their names is gone."""
        now = self.clock.now()
        self.reload = Reload(successful=True, succeeded_at=now)
        self.copies.follow(config)
        self.proofs.follow(config)
        self.drills.follow(config)
        before, self._servers = self._servers, config.servers
        for name in [name for name, server in before.items() if not server.is_same_server(config.servers.get(name))]:
            self.histories.pop(name, None)
            self._timetable.forget(name)
            self._looked.pop(name, None)
            del self._begun[name]
        begun = ServerHistory.begun(now)
        self._begun = {name: self._begun.get(name) or self._earlier.pop(name, begun) for name in config.servers}

    def reload_failed(self) -> None:
        """The configuration on disk is refused, and the one before stays in force."""
        self.reload = replace(self.reload, successful=False)

    def opening(self, open_client: Callable[[PanelConfig], PanelClient]) -> Callable[[PanelConfig], PanelClient]:
        """Wrap `open_client` so that each panel's newest client is remembered here for its counts."""

        def opened(panel: PanelConfig) -> PanelClient:
            client = self.clients[panel.name] = open_client(panel)
            return client

        return opened

    async def began(self, order: Order) -> None:
        """A rotation begins."""
        name, now = order.server.name, self.clock.now()
        history = await self.history(name)
        if not order.server.is_same_server(self._servers.get(name)):
            return
        merged = history.last is not None and order.start_at is not None and order.start_at < history.last.ended_at
        if order.trigger == "schedule" and order.start_at is not None and not merged:
            self.counts.lateness.add(max(0.0, (now - order.start_at).total_seconds()))
        self.histories[name] = replace(history, began=Began(order.trigger, now))

    async def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        now, name = self.clock.now(), order.server.name
        before = await self.history(name)
        began = before.began or Began(order.trigger, now)
        self._count(outcome, (now - began.at).total_seconds())
        if not order.server.is_same_server(self._servers.get(name)):
            return  # it says nothing of the server that has this name since a reload, or that will have it
        history = self.histories[name] = after_outcome(before, outcome, began, now)
        if history.snapshot is not None and history.snapshot is not before.snapshot:
            await self._keep(history.snapshot, order.server.panel.name)

    async def status(self, name: str) -> ServerStatus | None:
        """How a server stands now; None where none of that name is configured."""
        server = self._servers.get(name)
        if server is None:
            return None
        status = await self._status(server)
        if status.overdue and status.now - self._looked.get(name, LONG_AGO) >= LOOK_AGAIN:
            return await self._status(server) if await self.look_again(name) else status
        return status

    async def _status(self, server: ServerConfig) -> ServerStatus:
        history, now = await self.history(server.name), self.clock.now()
        times = self._timetable.times(server, history.fine_at, now)
        copies = await self.copies.of(server, history, times.interval)
        proof = await self.proofs.of(server, history)
        work, drill = self.work(server.name), await self.drills.of(server.name)
        return status_of(server, history, now, work=work, times=times, copies=copies, proof=proof, drill=drill)

    async def copies_of(self, name: str) -> tuple[CopyStatus, ...]:
        """How a configured server stands in each of its stores, by what is at hand of its rotations; nothing while what
        is known of copies was never read.
        """
        server, history = self._servers[name], self.at_hand(name)
        interval = self._timetable.times(server, history.fine_at, self.clock.now()).interval
        copies = await self.copies.of(server, history, interval)
        return copies if self.copies.is_known else ()

    async def proof_of(self, name: str) -> ProofStatus | None:
        """How a configured server's backups are proven, by what is at hand of its rotations; None if not known."""
        return await self.proofs.of(self._servers[name], self.at_hand(name))

    async def drill_of(self, name: str) -> DrillStatus | None:
        """How a configured server's backups fare in drills; None if no drill tries them, or that is not known."""
        return await self.drills.of(name)

    def overdue_at(self, name: str) -> datetime:
        """From when on a configured server is overdue, by what is at hand; it asks the journal nothing."""
        return self._timetable.overdue_at(self._servers[name], self.at_hand(name).fine_at)

    async def look_again(self, name: str) -> bool:
        """Ask the journal whether another process rotated a configured server well; return whether it did."""
        self._looked[name] = self.clock.now()
        before, server = await self.history(name), self._servers.get(name)
        if server is None:
            return False
        now = await self._recalled(server)
        if self.histories.get(name) is not before:
            return False  # a rotation ended meanwhile, or it is gone
        later = now.last is not None and (before.last is None or now.last.ended_at > before.last.ended_at)
        if not later or now.fine_at <= before.fine_at:
            return False
        self.histories[name] = replace(now, began=before.began)
        return True

    def work(self, name: str) -> Work | None:
        """Return how far a server's running rotation is; None if none is under way."""
        run = self.context.under_way.get(name)
        known = self.histories.get(name)
        began = known.began if known else None
        if run is None or began is None:
            return None
        created = run.created.created_at if run.created else None
        waited = None if created is None else max(run.panel_now() - created, timedelta(0))
        return Work(began.trigger, began.at, run.stage, waited)

    async def trend(self, name: str) -> list[Sample]:
        """How many bytes the server's backups held, day by day, as far as that is known."""
        snapshot = (await self.history(name)).snapshot
        return await stored.trend(self.context.journal, snapshot.uuid) if snapshot else []

    def ended_elsewhere(self, names: AbstractSet[str]) -> None:
        """Rotations of these servers were ended by other members of the cluster: the journal knows them better."""
        for name in names:
            self.histories.pop(name, None)

    async def took_over(self, names: AbstractSet[str]) -> None:
        """Learn how these servers stand, which another member of the cluster has looked after; raises StateError.

        Rotations of them may have begun and ended here meanwhile.
        """
        watched = await stored.watched(self.context.journal)
        for name in names & self._begun.keys():
            self._begun[name] = watched.get(name, self._begun[name])
        self.proofs.forget()  # that member may have alerted on newer ones
        self.drills.forget()
        under_way = {name: self.histories[name].began for name in names & self.histories.keys()}
        self.ended_elsewhere(names)
        for name, began in under_way.items():
            history = await self.history(name) if began is not None else None
            if history is not None and name in self.histories:
                self.histories[name] = replace(history, began=began)

    async def history(self, name: str) -> ServerHistory:
        """What is remembered of a server; what is not at hand is recalled from the journal."""
        await self.read_journal()
        while name not in self.histories and (server := self._servers.get(name)) is not None:
            recalled = await self._recalled(server)
            if self._servers.get(name) is server:  # no reload meanwhile; and what a rotation reported is newer
                self.histories.setdefault(name, recalled)
        return self.at_hand(name) if name in self.histories else ServerHistory.begun(self.clock.now())

    def at_hand(self, name: str) -> ServerHistory:
        """What is known of a configured server without asking the journal, once that was read."""
        known = self.histories if name in self.histories else self._begun
        history = known[name] = known[name].dated(self.clock.now())
        return history

    async def read_journal(self) -> None:
        """Recall what an earlier daemon knew: once, and again from a journal that is opened anew."""
        journal = self.context.journal
        if self._read is journal:
            return
        try:
            watched = await stored.watched(journal)
        except StateError:
            return
        if self._read is journal:
            return  # somebody else read it meanwhile
        self._read, self._earlier = journal, watched
        for name in watched.keys() & self._begun.keys():
            known = self._earlier.pop(name)
            begun = self._begun[name].fine_at
            if known.fine_at < begun or not was_set(begun):
                self._begun[name] = known
                if name in self.histories and self.histories[name].last is None:
                    del self.histories[name]

    async def _recalled(self, server: ServerConfig) -> ServerHistory:
        """Return what the journal knows of a server."""
        now = self.clock.now()
        begun = self._begun.get(server.name, ServerHistory.begun(now)).dated(now)
        try:
            return await stored.recall(self.context.journal, server, begun)
        except StateError as error:
            log.warning("journal_unreadable", server=server.name, text=error.text)
            return begun

    def _count(self, outcome: Outcome, seconds: float) -> None:
        counts = self.counts
        counts.rotations[outcome.server, outcome.result] += 1
        counts.deletions[outcome.server] += len(outcome.deleted)
        counts.durations.add(seconds)
        counts.count_steps(outcome.steps)

    async def _keep(self, snapshot: Snapshot, panel: str) -> None:
        try:
            await stored.keep_snapshot(self.context.journal, snapshot, panel)
        except StateError as error:
            log.warning("snapshot_lost", text=error.text)
