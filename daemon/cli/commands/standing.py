"""How servers stand as the journal tells it, for `status`: each by its configuration, or by its rotations alone.

No panel is asked, and nothing is shown here.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from daemon.config.values import ServerConfig, StoreConfig
from daemon.core.proof import Proof, Proofs
from daemon.errors import StateError
from daemon.state import Catalogue, Journal, Locks, Rotation, ShelfRecord
from daemon.status import stored
from daemon.status.copies import CopiesSeen, copies_of
from daemon.status.copies_listed import damage_of
from daemon.status.drills import DrillStatus
from daemon.status.history import ServerHistory, history_of
from daemon.status.proofs import AllAsked, proof_status
from daemon.status.server_status import ServerStatus, status_of
from daemon.status.timetable import times_of

LOOKED_AT = 500
"""Servers that no configuration names are looked for in so many of the newest rotations."""


@dataclass(frozen=True, slots=True)
class CopiesKnown:
    """The stores, and what is known of all copies, proofs and drills; `asked` is since when proofs are asked for, and
    `drilled` are the servers that drills try.
    """

    catalogue: Catalogue
    stores: Mapping[str, StoreConfig]
    seen: CopiesSeen
    proofs: Mapping[str, Sequence[Proof]]
    asked: AllAsked
    drilled: frozenset[str]
    drills: Mapping[str, DrillStatus]

    def status(self, server: ServerConfig, history: ServerHistory, now: datetime) -> ServerStatus:
        """Return how a server stands, with its copies."""
        times = times_of(server, history.fine_at, now)
        copies = copies_of(server, self.stores, self.seen, history, times.interval) if self.stores else ()
        proof = proof_status(server, self.proofs.get(server.name, ()), history, self.asked)
        drill = self.drills.get(server.name, DrillStatus()) if server.name in self.drilled else None
        return status_of(server, history, now, times=times, copies=copies, proof=proof, drill=drill)

    async def damage(self, server: ServerConfig) -> tuple[str, ...]:
        """Return a sentence for each store in which copies of a server are damaged; none where that is not known."""
        if not server.policy.copies:
            return ()
        proofs, shelves = Proofs(self.proofs.get(server.name, ())), list[ShelfRecord]()
        with suppress(StateError):
            shelves = await self.catalogue.shelves(server.panel.name, server.id)
        damage = (damage_of(one, proofs) for one in shelves if one.holding.store in server.policy.copies)
        return tuple(text for text in damage if text)


@dataclass(frozen=True, slots=True)
class Shown:
    """One server. `status` is None where no configuration tells how it should stand.

    `last` is its newest rotation that ended, `open` one that has not ended; `alive` says whether some process is at it,
    or will pick it up. `damage` says of which copies something is wrong.
    """

    server: str
    panel: str
    policy: str
    zone: ZoneInfo
    history: ServerHistory
    status: ServerStatus | None
    last: Rotation | None
    open: Rotation | None
    alive: bool
    damage: tuple[str, ...] = ()

    @property
    def next_start(self) -> datetime | None:
        """When its next rotation begins, where a configuration tells it."""
        return self.status.times.next_start if self.status else None


async def configured(
    servers: Iterable[ServerConfig], journal: Journal, locks: Locks, now: datetime, copies: CopiesKnown
) -> list[Shown]:
    """Return how these servers stand, each by its configuration."""
    running, watched, new = await journal.running(), dict[str, ServerHistory](), ServerHistory.begun(now)
    with suppress(StateError):  # it says little that the rotations do not
        watched = await stored.watched(journal)
    return [
        await _of_server(
            server, journal, watched.get(server.name, new), running=running, locks=locks, now=now, copies=copies
        )
        for server in servers
    ]


async def _of_server(
    server: ServerConfig,
    journal: Journal,
    begun: ServerHistory,
    *,
    running: Sequence[Rotation],
    locks: Locks,
    now: datetime,
    copies: CopiesKnown,
) -> Shown:
    rows, snapshot = await stored.look(journal, server)
    history = history_of(rows, snapshot, begun)
    unfinished = next((row for row in running if server.stands_for(row.panel, row.server_uuid)), None)
    return Shown(
        server=server.name,
        panel=server.panel.name,
        policy=server.policy.name,
        zone=server.policy.zone,
        history=history,
        status=copies.status(server, history, now),
        last=next((row for row in rows if row.ended_at is not None), None),
        open=unfinished,
        alive=unfinished is not None and await locks.is_held(unfinished.server_uuid),
        damage=await copies.damage(server),
    )


async def journalled(journal: Journal, locks: Locks, now: datetime) -> list[Shown]:
    """Every server that was rotated lately, by its name."""
    by_name: dict[str, list[Rotation]] = {}
    for row in await journal.recent(limit=LOOKED_AT):
        by_name.setdefault(row.server, []).append(row)
    return [await _of_rows(rows, journal, locks, now) for _, rows in sorted(by_name.items())]


async def _of_rows(rows: Sequence[Rotation], journal: Journal, locks: Locks, now: datetime) -> Shown:
    """Return what the journal has of a server: its rotations, newest first, and its backups as last judged."""
    newest = rows[0]
    snapshot = await stored.last_snapshot(journal, newest.panel, newest.server_uuid)
    unfinished = next((row for row in rows if row.ended_at is None), None)
    return Shown(
        server=newest.server,
        panel=newest.panel,
        policy=newest.policy,
        zone=ZoneInfo("UTC"),
        history=history_of(rows, snapshot, ServerHistory.begun(now)),
        status=None,
        last=next((row for row in rows if row.ended_at is not None), None),
        open=unfinished,
        alive=unfinished is not None and await locks.is_held(unfinished.server_uuid),
    )
