"""Listening to the fleet: what each server's last rotation left, kept at hand and in the journal.

It only remembers. Where the journal fails it remembers less after a restart, says so once a time, and goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from daemon.clock import Clock
from daemon.config.values import Config, PanelConfig, ServerConfig
from daemon.core.model import State
from daemon.errors import StateError
from daemon.log import get_logger
from daemon.panel.client import PanelClient
from daemon.rotation.outcome import Outcome, Result
from daemon.rotation.run import Order, RotationContext
from daemon.state import Rotation, Sample
from daemon.status.counts import Counts, Reload
from daemon.status.stored import ended_of, from_stored, to_stored
from daemon.status.values import Began, Ended, ServerStatus, Snapshot, Work

log = get_logger()

RECENT = 20
"""How many rotations back a server's standing is looked for at the start."""

MANY = 2000
"""How many are looked at where the brake held what all the recent ones would have deleted."""

INTERRUPTED = "interrupted"


class StatusTracker:
    """What is known of every configured server at this moment. It is one of the fleet's listeners."""

    def __init__(self, context: RotationContext) -> None:
        self.context = context
        self.standings: dict[str, ServerStatus] = {}
        """Of the servers that were asked for, or rotated, since the daemon began; the journal knows the others."""

        self.counts = Counts()
        self.clients: dict[str, PanelClient] = {}
        self.stopping = False
        self.reload = Reload(successful=True, succeeded_at=context.clock.now())
        self._servers: Mapping[str, ServerConfig] = {}
        self._since: dict[str, datetime] = {}

    @property
    def clock(self) -> Clock:
        """The daemon's clock."""
        return self.context.clock

    def follow(self, config: Config) -> None:
        """Watch the servers of a configuration that was just read; what was known of others by their names is gone."""
        now = self.clock.now()
        self.reload = Reload(successful=True, succeeded_at=now)
        before, self._servers = self._servers, config.servers
        for name in [name for name, server in before.items() if not _same(server, config.servers.get(name))]:
            self.standings.pop(name, None)
            del self._since[name]
        self._since = {name: self._since.get(name, now) for name in config.servers}

    def reload_failed(self) -> None:
        """The configuration on disk is refused, and the one before stays in force."""
        self.reload = replace(self.reload, successful=False)

    def opening(self, open_client: Callable[[PanelConfig], PanelClient]) -> Callable[[PanelConfig], PanelClient]:
        """The same, but that the newest client of each panel is known here for what it counts."""

        def opened(panel: PanelConfig) -> PanelClient:
            client = self.clients[panel.name] = open_client(panel)
            return client

        return opened

    def began(self, order: Order) -> None:
        """A rotation begins."""
        name, now = order.server.name, self.clock.now()
        server_status = self.server_status(name)
        merged = (
            server_status.last is not None
            and order.start_at is not None
            and order.start_at < server_status.last.ended_at
        )
        if order.trigger == "schedule" and order.start_at is not None and not merged:
            self.counts.lateness.add(max(0.0, (now - order.start_at).total_seconds()))
        self.standings[name] = replace(server_status, began=Began(order.trigger, now))

    def ended(self, order: Order, outcome: Outcome) -> None:
        """A rotation ended."""
        now, name = self.clock.now(), order.server.name
        before = self.server_status(name)
        began = before.began or Began(order.trigger, now)
        snapshot = _snapshot(outcome, now)
        server_status = replace(
            after(before, _ended(outcome, began, now)), snapshot=snapshot or before.snapshot, began=None
        )
        self.standings[name] = server_status if snapshot is None else replace(server_status, good_at=_good_at(snapshot))
        self._count(outcome, (now - began.at).total_seconds())
        if snapshot is not None:
            self._keep(snapshot, order.server.panel.name)

    def work(self, name: str) -> Work | None:
        """How far the server's rotation is, where one is under way."""
        run = self.context.under_way.get(name)
        began = self.server_status(name).began
        if run is None or began is None:
            return None
        created = run.created.created_at if run.created else None
        waited = None if created is None else max(run.panel_now() - created, timedelta(0))
        return Work(began.trigger, began.at, run.stage, waited)

    def trend(self, name: str) -> list[Sample]:
        """How many bytes the server's backups held, day by day, as far as that is known."""
        snapshot = self.server_status(name).snapshot
        try:
            return self.context.journal.trend(snapshot.uuid) if snapshot else []
        except StateError:
            return []

    def server_status(self, name: str) -> ServerStatus:
        """How a server stands; what is not at hand is recalled from the journal."""
        server = self._servers.get(name)
        if name not in self.standings and server is not None:
            self.standings[name] = self._recalled(server)
        return self.standings.get(name) or ServerStatus(self.clock.now())

    def _count(self, outcome: Outcome, seconds: float) -> None:
        counts = self.counts
        counts.rotations[outcome.server, outcome.result] += 1
        counts.deletions[outcome.server] += len(outcome.deleted)
        counts.durations.add(seconds)
        try:
            rows = self.context.journal.recent(outcome.server, limit=1)
        except StateError:
            return  # the rotation itself has said so
        for row in rows:
            counts.count_steps(row.steps)

    def _keep(self, snapshot: Snapshot, panel: str) -> None:
        try:
            self.context.journal.snapshot(to_stored(snapshot, panel), snapshot.tally.bytes)
        except StateError as error:
            log.warning("snapshot_lost", text=error.text)

    def _recalled(self, server: ServerConfig) -> ServerStatus:
        """What the journal knows of a server."""
        since, journal = self._since[server.name], self.context.journal
        try:
            rows = journal.attempts(server.name, limit=RECENT)
            if len(rows) == RECENT and _held_throughout(rows):
                rows = journal.attempts(server.name, limit=MANY)  # since when, for an hourly schedule too
            stored = journal.last_snapshot(server.panel.name, server.id)
            server_status = recalled([row for row in rows if _is_of(row, server)], since)
        except (StateError, TypeError, ValueError) as error:  # the latter: a row that was not written here
            log.warning("journal_unreadable", server=server.name, text=str(error))
            return ServerStatus(since)
        snapshot = from_stored(stored) if stored else None
        return replace(
            server_status, snapshot=snapshot, good_at=_good_at(snapshot) if snapshot else server_status.good_at
        )


def after(before: ServerStatus, ended: Ended) -> ServerStatus:
    """Given how a server stood and how a rotation of it ended, return how it stands."""
    fine_at = ended.ended_at if ended.good or ended.excused else before.fine_at
    failures = {Result.DONE: 0, Result.SKIPPED: before.failures}.get(ended.result, before.failures + 1)
    held_since = None if ended.good else before.held_since  # what fails or is skipped does not let the brake go
    if ended.held:
        failures, held_since = 0, before.held_since or ended.ended_at
    undeleted = ended.undeleted if ended.good or ended.undeleted else before.undeleted
    return replace(before, last=ended, fine_at=fine_at, failures=failures, held_since=held_since, undeleted=undeleted)


def recalled(rows: list[Rotation], since: datetime) -> ServerStatus:
    """Given a server's journalled rotations, newest first, and since when it is watched, return how it stands."""
    ended = [row for row in rows if row.ended_at is not None and row.result != INTERRUPTED]
    server_status = ServerStatus(fine_at=min((row.began_at for row in rows), default=since))
    for row in reversed(ended):
        server_status = after(server_status, ended_of(row))
        if server_status.last is not None and server_status.last.good:
            server_status = replace(server_status, good_at=server_status.last.ended_at)
    return server_status


def _ended(outcome: Outcome, began: Began, now: datetime) -> Ended:
    return Ended(
        trigger=began.trigger,
        began_at=began.at,
        ended_at=now,
        result=outcome.result,
        created=outcome.created.name if outcome.created else None,
        good=_has_good(outcome),
        deleted=len(outcome.deleted),
        undeleted=len(outcome.undeleted),
        problems=outcome.problems,
        retry_at=outcome.retry_at,
        excused=outcome.result is Result.SKIPPED and not outcome.passing,
    )


def _has_good(outcome: Outcome) -> bool:
    """Whether the rotation's backup is there and good."""
    created = outcome.created
    return created is not None and any(
        one.backup.uuid == created.uuid and one.state is State.GOOD for one in outcome.verdicts
    )


def _snapshot(outcome: Outcome, now: datetime) -> Snapshot | None:
    """What the rotation saw; None where it did not come so far as to judge it."""
    seen = outcome.seen
    if seen is None or not outcome.verdicts:
        return None
    return Snapshot.of(now, seen.uuid, seen.node, seen.backup_limit, outcome.verdicts)


def _good_at(snapshot: Snapshot) -> datetime | None:
    return snapshot.newest_good.backup.created_at if snapshot.newest_good else None


def _held_throughout(rows: list[Rotation]) -> bool:
    """Whether the brake held what these would have deleted, as far as any of them got a good backup."""
    got_good = [ended_of(row).held for row in rows if row.ended_at is not None and row.summary.get("good")]
    return bool(got_good) and all(got_good)


def _same(before: ServerConfig, now: ServerConfig | None) -> bool:
    """Whether a server's name still means the same server."""
    return before is now or (now is not None and (before.panel.url, before.id) == (now.panel.url, now.id))


def _is_of(row: Rotation, server: ServerConfig) -> bool:
    return row.panel == server.panel.name and row.server_uuid.startswith(server.id[:8])
