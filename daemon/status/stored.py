"""Histories from the journal: what a restarted daemon and the command `status` know. Nothing else here reads it.

A snapshot that cannot be read is passed over, since the next rotation brings it anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from daemon.config.values import ServerConfig
from daemon.core.clocks import was_set
from daemon.core.units import read_rfc3339, rfc3339
from daemon.errors import StateError
from daemon.state import Journal, Rotation, Sample
from daemon.state import Snapshot as StoredSnapshot
from daemon.status.history import Good, ServerHistory, ended_of, history_of
from daemon.status.packed import read_detail
from daemon.status.snapshot import Snapshot

RECENT = 20
"""How many rotations back a server's history is looked for."""

MANY = 2000
"""How many are looked at where the recent ones do not tell since when something holds."""


async def recall(journal: Journal, server: ServerConfig, begun: ServerHistory) -> ServerHistory:
    """Return what the journal knows of a server. `begun` is what is known without it. Raises StateError."""
    rows, snapshot = await look(journal, server)
    return history_of(rows, snapshot, begun)


async def watched(journal: Journal) -> dict[str, ServerHistory]:
    """Return what was known of each server, by its name, when alerts last wrote: since when it was fine, and the newest
    good backup. One query tells it of all servers. Rows that make no sense, or were dated by a clock that was not set,
    are left out. Raises StateError.
    """
    known = ((name, _read_watch(row)) for name, row in (await journal.watches()).items())
    return {name: history for name, history in known if history is not None and was_set(history.fine_at)}


def to_watch(history: ServerHistory) -> dict[str, Any]:
    """What `watched` reads of a server."""
    good_at = rfc3339(history.good_at, "auto") if history.good_at else None
    return {"fine_at": rfc3339(history.fine_at, "auto"), "good_at": good_at}


async def look(journal: Journal, server: ServerConfig) -> tuple[list[Rotation], Snapshot | None]:
    """Return what a history is made of: the server's newest rotations, newest first, and its backups as last judged.

    The rotations are without their steps. Raises StateError.
    """
    snapshot = await last_snapshot(journal, server.panel.name, server.id)
    rows = await journal.attempts(server.name, limit=RECENT)
    if len(rows) == RECENT and _tells_too_little(rows, snapshot):
        rows = await journal.attempts(server.name, limit=MANY)
    return [row for row in rows if server.stands_for(row.panel, row.server_uuid)], snapshot


async def last_snapshot(journal: Journal, panel: str, server_id: str) -> Snapshot | None:
    """Return the server's backups as they were last judged; None where that is not known. Raises StateError."""
    stored = await journal.last_snapshot(panel, server_id)
    return from_stored(stored) if stored else None


async def keep_snapshot(journal: Journal, snapshot: Snapshot, panel: str) -> None:
    """Write a snapshot down; raises StateError."""
    await journal.snapshot(to_stored(snapshot, panel), snapshot.tally.bytes)


async def trend(journal: Journal, server_uuid: str) -> list[Sample]:
    """Return how many bytes the server's backups held, day by day, as far as that is known."""
    try:
        return await journal.trend(server_uuid)
    except StateError:
        return []


def to_stored(snapshot: Snapshot, panel: str) -> StoredSnapshot:
    """The snapshot as the journal takes it."""
    return StoredSnapshot(snapshot.uuid, panel, snapshot.at, snapshot.detail)


def from_stored(stored: StoredSnapshot) -> Snapshot | None:
    """The snapshot that the journal holds; None where it was written in another way."""
    try:
        return Snapshot.of(stored.at, stored.server_uuid, *read_detail(stored.detail), detail=stored.detail)
    except (KeyError, TypeError, ValueError):
        return None


def _read_watch(row: Mapping[str, Any]) -> ServerHistory | None:
    try:
        history = ServerHistory.begun(read_rfc3339(row["fine_at"]))
        good_at = row.get("good_at")
        return replace(history, good=Good(read_rfc3339(good_at))) if good_at else history
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _tells_too_little(rows: Sequence[Rotation], snapshot: Snapshot | None) -> bool:
    """Whether more rows may tell when there was a good backup, or since when the brake holds."""
    got_good = [row for row in rows if row.ended_at is not None and row.summary.get("good")]
    if not got_good:
        return snapshot is None
    return all(ended is not None and ended.held for ended in map(ended_of, got_good))
