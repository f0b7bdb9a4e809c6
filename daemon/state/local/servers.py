"""What is remembered of each server: the retention last applied, its backups as last judged, its size day by day."""

import json
from datetime import UTC

from daemon.core.applied import AppliedRetention
from daemon.state.journal import TREND_KEPT_FOR
from daemon.state.local.store import Store
from daemon.state.rows import read_applied, read_snapshot, read_trend, written
from daemon.state.values import Sample, Snapshot

_APPLY = "INSERT OR REPLACE INTO applied (server_uuid, retention, passed, coming, told_at) VALUES (?, ?, ?, ?, ?)"
_APPLY_IN_STORE = (
    "INSERT OR REPLACE INTO applied_in_store (server_uuid, retention, passed, coming, told_at, store)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)


class Servers(Store):
    """How each server stood when it was last looked at."""

    def applied(self, server_uuid: str, store: str = "") -> AppliedRetention | None:
        """Return the retention that was last applied to the server there; None where none was."""
        query, values = "SELECT * FROM applied WHERE server_uuid = ?", [server_uuid]
        if store:
            query, values = "SELECT * FROM applied_in_store WHERE server_uuid = ? AND store = ?", [server_uuid, store]
        with self._reading() as connection:
            row = connection.execute(query, values).fetchone()
            return None if row is None else read_applied(row)

    def apply(self, server_uuid: str, applied: AppliedRetention, store: str = "") -> None:
        """Remember the retention that is applied to the server there, and which is told to come, instead of those
        before.
        """
        row = (server_uuid, applied.retention, json.dumps(applied.passed), applied.coming, written(applied.told_at))
        with self._writing("retention in force") as connection:
            if store:
                connection.execute(_APPLY_IN_STORE, (*row, store))
            else:
                connection.execute(_APPLY, row)

    def snapshot(self, taken: Snapshot, size: int) -> None:
        """Remember a server's backups instead of those before, and as the day's end so far that they hold `size`."""
        day = taken.at.astimezone(UTC).date()
        row = (taken.server_uuid, taken.panel, written(taken.at), taken.detail)
        with self._writing("snapshot") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO snapshot (server_uuid, panel, at, detail) VALUES (?, ?, ?, ?)", row
            )
            connection.execute(
                "INSERT OR REPLACE INTO trend (server_uuid, day, bytes) VALUES (?, ?, ?)",
                (taken.server_uuid, day.isoformat(), size),
            )
            connection.execute(
                "DELETE FROM trend WHERE server_uuid = ? AND day < ?",
                (taken.server_uuid, (day - TREND_KEPT_FOR).isoformat()),
            )

    def last_snapshot(self, panel: str, server_id: str) -> Snapshot | None:
        """Return the newest snapshot of the panel's server whose uuid is `server_id`, or begins so."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT * FROM snapshot WHERE panel = ? AND server_uuid >= ? AND server_uuid < ?",
                (panel, server_id, f"{server_id}~"),  # no uuid holds a character beyond the tilde
            ).fetchone()
            return None if row is None else read_snapshot(row)

    def trend(self, server_uuid: str) -> list[Sample]:
        """Return how many bytes the server's backups held, day by day, oldest first; some days may be missing."""
        with self._reading() as connection:
            rows = connection.execute("SELECT * FROM trend WHERE server_uuid = ? ORDER BY day", (server_uuid,))
            return read_trend(rows)
