"""Forgetting what is too old, or too much."""

from datetime import UTC, datetime, timedelta

from daemon.state.journal import KEPT_FOR, MOST_DRILLS, MOST_ROTATIONS, OF_BACKUPS, TREND_KEPT_FOR
from daemon.state.local.store import Store
from daemon.state.rows import written

_LAST_ROOMS = (
    "SELECT max(rotation) FROM step JOIN rotation ON rotation.id = step.rotation"
    " WHERE name IN ('room', 'room_done', 'turned_good') GROUP BY server_uuid, name"
)
"""A few rotations for each server: until a backup turned good since room was made, none is made again."""
_SERVER_GONE = (
    "server_uuid NOT IN (SELECT server_uuid FROM listing"
    " UNION SELECT server_uuid FROM rotation WHERE began_at >= :before"
    " UNION SELECT server_uuid FROM proof WHERE at >= :before)"
)
"""Its backups may be read while no rotation can be recorded: with a full disk, or right after a journal was lost."""
_IDENTIFIER_GONE = (
    "identifier NOT IN (SELECT substr(server_uuid, 1, 8) FROM listing"
    " UNION SELECT substr(server_uuid, 1, 8) FROM rotation WHERE began_at >= :before)"
)


class Pruning(Store):
    """What is forgotten, and what never is."""

    def prune(self, now: datetime, keep: timedelta = KEPT_FOR, most: int = MOST_ROTATIONS) -> int:
        """Forget rotations and records of copies older than `keep`, and all but the newest `most` of each; return how
        many rotations.

        Age spares each server's newest attempt: when it was decides whether a start was missed. Both spare those that
        made room last, and saw a backup turn good. What is remembered of a backup is forgotten only once a list lacks
        it, or its server is long gone.
        """
        with self._writing("pruning") as connection:
            aged = connection.execute(
                "DELETE FROM rotation WHERE began_at < ? AND id NOT IN"  # noqa: S608 — constants alone
                f" (SELECT max(id) FROM rotation GROUP BY server_uuid UNION {_LAST_ROOMS})",
                (written(now - keep),),
            )
            surplus = connection.execute(
                "DELETE FROM rotation WHERE id <= (SELECT id FROM rotation ORDER BY id DESC LIMIT 1 OFFSET ?)"  # noqa: S608
                f" AND id NOT IN ({_LAST_ROOMS})",
                (most,),
            )
            connection.execute("DELETE FROM snapshot WHERE at < ?", (written(now - keep),))
            connection.execute("DELETE FROM copy_record WHERE at < ?", (written(now - keep),))
            connection.execute(
                "DELETE FROM copy_record WHERE id <= (SELECT id FROM copy_record ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (most,),
            )
            connection.execute(
                "DELETE FROM drill WHERE ended_at IS NOT NULL AND (began_at < ?"
                " OR id <= (SELECT id FROM drill ORDER BY id DESC LIMIT 1 OFFSET ?))",
                (written(now - keep), MOST_DRILLS),
            )
            connection.execute("DELETE FROM deleted_by_hand WHERE at < ?", (written(now - keep),))
            connection.execute("DELETE FROM listing WHERE at < ?", (written(now - keep),))
            for table in OF_BACKUPS:
                connection.execute(
                    f"DELETE FROM {table} WHERE at < :before AND ({_SERVER_GONE} OR EXISTS (SELECT 1 FROM listing"  # noqa: S608
                    f" WHERE listing.server_uuid = {table}.server_uuid"
                    f" AND instr(listing.backups, {table}.backup_uuid) = 0))",
                    {"before": written(now - keep)},
                )
            for table in ("applied", "applied_in_store", "proof"):
                connection.execute(f"DELETE FROM {table} WHERE {_SERVER_GONE}", {"before": written(now - keep)})  # noqa: S608
            connection.execute(
                f"DELETE FROM proof_asked WHERE since < :before AND {_IDENTIFIER_GONE}",  # noqa: S608 — constants
                {"before": written(now - keep)},
            )
            connection.execute(
                "DELETE FROM trend WHERE day < ?", ((now - TREND_KEPT_FOR).astimezone(UTC).date().isoformat(),)
            )
            return aged.rowcount + surplus.rowcount
