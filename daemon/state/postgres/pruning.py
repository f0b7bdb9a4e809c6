"""Forgetting what is too old, or too much."""

from datetime import UTC, datetime, timedelta

from daemon.state.journal import KEPT_FOR, MOST_DRILLS, MOST_ROTATIONS, OF_BACKUPS, TREND_KEPT_FOR
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.store import Store
from daemon.state.rows import written

_LAST_ROOMS = (
    "SELECT max(rotation) FROM step JOIN rotation ON rotation.id = step.rotation"
    " WHERE name IN ('room', 'room_done', 'turned_good') GROUP BY server_uuid, name"
)
"""A few rotations for each server: until a backup turned good since room was made, none is made again."""

_AGED = (
    "WITH gone AS (DELETE FROM rotation WHERE began_at < $1 AND id NOT IN"  # noqa: S608 — constants alone
    f" (SELECT max(id) FROM rotation GROUP BY server_uuid UNION {_LAST_ROOMS}) RETURNING id) SELECT count(*) FROM gone"
)
_SURPLUS = (
    "WITH gone AS (DELETE FROM rotation"  # noqa: S608 — constants alone
    " WHERE id <= (SELECT id FROM rotation ORDER BY id DESC LIMIT 1 OFFSET $1)"
    f" AND id NOT IN ({_LAST_ROOMS}) RETURNING id) SELECT count(*) FROM gone"
)
_SURPLUS_COPIES = "DELETE FROM copy_record WHERE id <= (SELECT id FROM copy_record ORDER BY id DESC LIMIT 1 OFFSET $1)"
_DRILLS = (
    "DELETE FROM drill WHERE ended_at IS NOT NULL AND (began_at < $1"
    " OR id <= (SELECT id FROM drill ORDER BY id DESC LIMIT 1 OFFSET $2))"
)
_SERVER_GONE = (
    "server_uuid NOT IN (SELECT server_uuid FROM listing UNION SELECT server_uuid FROM rotation WHERE began_at >= $1"
    " UNION SELECT server_uuid FROM proof WHERE at >= $1)"
)
"""Its backups may be read while no rotation can be recorded: with a full disk, or right after a journal was lost."""
_IDENTIFIER_GONE = (
    "identifier NOT IN (SELECT substr(server_uuid, 1, 8) FROM listing"
    " UNION SELECT substr(server_uuid, 1, 8) FROM rotation WHERE began_at >= $1)"
)
_OF_AGE = ("snapshot", "copy_record", "deleted_by_hand", "listing")


class Pruning(Store):
    """What is forgotten, and what never is."""

    async def prune(self, now: datetime, keep: timedelta = KEPT_FOR, most: int = MOST_ROTATIONS) -> int:
        """Forget rotations and records of copies older than `keep`, and all but the newest `most` of each; return how
        many rotations.
        """
        before = written(now - keep)
        oldest_day = (now - TREND_KEPT_FOR).astimezone(UTC).date().isoformat()

        async def prune(connection: Connection) -> int:
            async with connection.transaction():
                aged = await connection.fetchval(_AGED, before)
                surplus = await connection.fetchval(_SURPLUS, most)
                for table in _OF_AGE:
                    await connection.execute(f"DELETE FROM {table} WHERE at < $1", before)  # noqa: S608 — constants
                await connection.execute(_SURPLUS_COPIES, most)
                await connection.execute(_DRILLS, before, MOST_DRILLS)
                for table in OF_BACKUPS:
                    await connection.execute(
                        f"DELETE FROM {table} WHERE at < $1 AND ({_SERVER_GONE} OR EXISTS (SELECT FROM listing"  # noqa: S608
                        f" WHERE listing.server_uuid = {table}.server_uuid"
                        f" AND strpos(listing.backups, {table}.backup_uuid) = 0))",
                        before,
                    )
                for table in ("applied", "applied_in_store", "proof"):
                    await connection.execute(f"DELETE FROM {table} WHERE {_SERVER_GONE}", before)  # noqa: S608
                await connection.execute(f"DELETE FROM proof_asked WHERE since < $1 AND {_IDENTIFIER_GONE}", before)  # noqa: S608
                await connection.execute("DELETE FROM trend WHERE day < $1", oldest_day)
                return int(aged) + int(surplus)

        return await self._writing("pruning", prune)
