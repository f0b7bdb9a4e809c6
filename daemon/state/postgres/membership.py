"""The cluster as an operator sees it: its members, which of them are sent out, and the end of an epoch by hand.

What must hold: a member that was evicted announces nothing more, like one whose time is over (invariant 20), and takes
nothing when it joins anew.
"""

import json
from datetime import datetime
from typing import Any

from daemon.core.agreement import Opinion
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.database import Database
from daemon.state.postgres.fence import SERVER
from daemon.state.postgres.schema import is_there
from daemon.state.values import ClusterSeen, Member, SentOut

_SEND_OUT = (
    "INSERT INTO sent_out (name, sent_by, evicted) VALUES ($1, $2, $3) ON CONFLICT (name)"
    " DO UPDATE SET evicted = sent_out.evicted OR excluded.evicted"
)
_CALL_BACK = "DELETE FROM sent_out WHERE name = $1 RETURNING name"
_EVICT = "DELETE FROM member WHERE name = $1 RETURNING epoch"
_MEMBERS = (
    "SELECT *, extract(epoch FROM until - clock_timestamp())::float8 AS left, ARRAY("  # noqa: S608 — constants alone
    f"SELECT what FROM lease WHERE epoch = member.epoch AND what !~ '^{SERVER}' ORDER BY what"
    ") AS holds FROM member ORDER BY epoch"
)
_PROMOTED = "SELECT promoted_at FROM home"
_OUT = "SELECT * FROM sent_out ORDER BY name"
_OPINIONS = "SELECT * FROM opinion"
_CUT_OFF = "SELECT * FROM cut_off"


class PostgresMembership:
    """Who is sent out; `own` is the name of the member on whose machine this is asked for."""

    def __init__(self, database: Database, own: str) -> None:
        self._database = database
        self._own = own

    async def seen(self) -> ClusterSeen:
        """Return the whole cluster as it is now."""
        return await self._database.look(_seen)

    async def send_out(self, name: str) -> None:
        """Let a member hand over what it holds, and take nothing more."""
        await self._database.run(lambda connection: connection.execute(_SEND_OUT, name, self._own, False))

    async def evict(self, name: str) -> list[int]:
        """Send it out first, so that it takes nothing when it joins anew, and then end its epochs."""

        async def evict(connection: Connection) -> list[int]:
            await connection.execute(_SEND_OUT, name, self._own, True)
            return sorted(row["epoch"] for row in await connection.fetch(_EVICT, name))

        return await self._database.run(evict)

    async def call_back(self, name: str) -> bool:
        """Let it act again; return whether it was out."""
        return await self._database.run(lambda connection: connection.fetchval(_CALL_BACK, name)) is not None


async def members_of(connection: Connection) -> tuple[Member, ...]:
    """Return all members, the oldest first."""
    if not await is_there(connection, "member"):
        return ()
    rows = await connection.fetch(_MEMBERS)
    return tuple(
        Member(row["name"], row["process"], row["epoch"], row["role"], row["since"], row["left"], tuple(row["holds"]))
        for row in rows
    )


async def promoted_at(connection: Connection) -> datetime | None:
    """Return when it was noticed last that the database is another server than before; None if it never was."""
    there = await is_there(connection, "home")
    return await connection.fetchval(_PROMOTED) if there else None


def opinion_in(row: Any) -> Opinion:  # noqa: ANN401 — a row of asyncpg's
    """Return what a member goes by, as it has published that."""
    return Opinion(row["decisions"], json.loads(row["rules"]), row["digest"])


async def _seen(connection: Connection) -> ClusterSeen:
    members, promoted = await members_of(connection), await promoted_at(connection)
    if not await is_there(connection, "opinion"):
        return ClusterSeen(members, promoted_at=promoted)
    out = [SentOut(row["name"], row["since"], row["sent_by"], row["evicted"]) for row in await connection.fetch(_OUT)]
    opinions = {row["epoch"]: opinion_in(row) for row in await connection.fetch(_OPINIONS)}
    rows = await connection.fetch(_CUT_OFF) if await is_there(connection, "cut_off") else ()
    cut_off = {row["epoch"]: frozenset(row["panels"]) for row in rows}
    return ClusterSeen(members, tuple(out), opinions, promoted, cut_off)
