"""Which server the tables are in: a promoted standby, or a restored backup, is another one than before.

What was committed on the old one and not replicated is lost with it: announcements, and numbers that were given. So no
lease counts any more, the next epochs are far beyond any that may have been given, and nothing is deleted until all
writes of the members from before are over (invariant 20). The numbers of rotations rise as well: a member from before
must not write into the rotation of another one. How far is drawn by lot, since one backup may be restored twice, and
members from between live on.
"""

import asyncpg

from daemon.errors import StateError
from daemon.log import get_logger
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.schema import is_there

log = get_logger()

WRITE_SECONDS = 70.0
"""How long until the one deadline of a write that left before is over (daemon/panel/http.py)."""

EPOCHS = 1_000_000
"""More than were ever given between two commits that were replicated, of epochs or of numbers of rotations."""

LOTS = 100_000_000
"""By 1 to so many times that number they rise."""

PROMOTED = "the cluster's database was promoted or restored a moment ago, and may lack what was announced before"

_HERE = (
    "SELECT (SELECT system_identifier::text FROM pg_control_system()) AS system, CASE WHEN pg_is_in_recovery() THEN ''"
    " ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END AS timeline"
)
_KNOWN = "SELECT system, timeline FROM home"
_LOCKED = f"{_KNOWN} FOR UPDATE"
_WAITS_FOR_NONE = "SET LOCAL synchronous_commit = local"
"""Without a synchronous standby no commit returns, and nobody could connect to be told that. A standby that has any
later commit has this one too, since it has all before it.
"""
_FIRST = "INSERT INTO home (system, timeline) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_NOW_HERE = "UPDATE home SET system = $1, timeline = $2, promoted_at = clock_timestamp()"
_VOID = "DELETE FROM member"
_RAISE = "SELECT " + ", ".join(
    f"setval({numbers}, nextval({numbers}) + {EPOCHS} * (1 + floor(random() * {LOTS}))::bigint)"
    for numbers in ("pg_get_serial_sequence('member', 'epoch')", "pg_get_serial_sequence('rotation', 'id')")
)


async def notice(connection: Connection, title: str) -> None:
    """Void all leases if the tables are in another server than before, and say so; the first one is remembered.

    Where the role may not ask for the server's identity, nothing is noticed. Raises StateError at a standby: it cannot
    be written, and its promotion would go unnoticed on a connection from before.
    """
    here = await _here(connection, title)
    if here is None or await _known(connection, _KNOWN) == here:
        return
    async with connection.transaction():
        await connection.execute(_WAITS_FOR_NONE)
        before = await _known(connection, _LOCKED)
        if before is None:
            await connection.execute(_FIRST, *here)
        if before in {None, here}:
            return
        await connection.execute(_VOID)
        await connection.execute(_RAISE)
        await connection.execute(_NOW_HERE, *here)
    log.error("database_promoted", text=f"{title} is not the server that it was before", consequence=PROMOTED)


async def _here(connection: Connection, title: str) -> tuple[str, str] | None:
    """Return the server's identifier and its timeline; None if they, or our tables, cannot be seen."""
    if not await is_there(connection, "home"):
        return None
    try:
        system, timeline = await connection.fetchrow(_HERE)
    except asyncpg.InsufficientPrivilegeError:
        return None
    if not timeline:
        raise StateError(f"{title} is a standby", hint="name the primary, or both with target_session_attrs=read-write")
    return system, timeline


async def _known(connection: Connection, query: str) -> tuple[str, str] | None:
    """Return in which server the tables were before; None if nobody has looked yet."""
    row = await connection.fetchrow(query)
    return None if row is None else (row["system"], row["timeline"])
