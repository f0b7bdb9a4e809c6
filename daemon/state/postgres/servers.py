"""What is remembered of each server: the retention last applied, its backups as last judged, its size day by day."""

import json
from datetime import UTC

from daemon.core.applied import AppliedRetention
from daemon.state.journal import TREND_KEPT_FOR
from daemon.state.postgres.store import Store
from daemon.state.rows import read_applied, read_snapshot, read_trend, written
from daemon.state.values import Sample, Snapshot

_SNAPSHOT = (
    "WITH before AS (DELETE FROM trend WHERE server_uuid = $1 AND day < $7),"
    " today AS (INSERT INTO trend (server_uuid, day, bytes) VALUES ($1, $5, $6)"
    " ON CONFLICT (server_uuid, day) DO UPDATE SET bytes = excluded.bytes)"
    " INSERT INTO snapshot (server_uuid, panel, at, detail) VALUES ($1, $2, $3, $4) ON CONFLICT (server_uuid)"
    " DO UPDATE SET panel = excluded.panel, at = excluded.at, detail = excluded.detail"
)
_APPLIED = (
    "INSERT INTO applied (server_uuid, retention, passed, coming, told_at) SELECT $3, $4, $5, $6, $7 FROM live"
    " ON CONFLICT (server_uuid) DO UPDATE SET retention = excluded.retention, passed = excluded.passed,"
    " coming = excluded.coming, told_at = excluded.told_at"
)
_APPLIED_IN_STORE = (
    "INSERT INTO applied_in_store (server_uuid, retention, passed, coming, told_at, store)"
    " SELECT $3, $4, $5, $6, $7, $8 FROM live"
    " ON CONFLICT (server_uuid, store) DO UPDATE SET retention = excluded.retention, passed = excluded.passed,"
    " coming = excluded.coming, told_at = excluded.told_at"
)


class Servers(Store):
    """How each server stood when it was last looked at."""

    async def applied(self, server_uuid: str, store: str = "") -> AppliedRetention | None:
        """Return the retention that was last applied to the server there; None where none was."""
        row = await self._row(
            "SELECT retention, passed, coming, told_at FROM applied WHERE server_uuid = $1 AND $2 = '' UNION ALL"
            " SELECT retention, passed, coming, told_at FROM applied_in_store WHERE server_uuid = $1 AND store = $2",
            server_uuid,
            store,
        )
        with self._readable():
            return None if row is None else read_applied(row)

    async def apply(self, server_uuid: str, applied: AppliedRetention, store: str = "") -> None:
        """Remember the retention that is applied to the server there, and which is told to come."""
        row = (server_uuid, applied.retention, json.dumps(applied.passed), applied.coming, written(applied.told_at))
        if store:
            await self._write("retention in force", _APPLIED_IN_STORE, *row, store, as_member=True)
        else:
            await self._write("retention in force", _APPLIED, *row, as_member=True)

    async def snapshot(self, taken: Snapshot, size: int) -> None:
        """Remember a server's backups instead of those before, and as the day's end so far that they hold `size`."""
        day = taken.at.astimezone(UTC).date()
        oldest = (day - TREND_KEPT_FOR).isoformat()
        row = (taken.server_uuid, taken.panel, written(taken.at), taken.detail)
        await self._write("snapshot", _SNAPSHOT, *row, day.isoformat(), size, oldest)

    async def last_snapshot(self, panel: str, server_id: str) -> Snapshot | None:
        """Return the newest snapshot of the panel's server whose uuid is `server_id`, or begins so."""
        row = await self._row(
            "SELECT * FROM snapshot WHERE panel = $1 AND server_uuid >= $2 AND server_uuid < $3 LIMIT 1",
            panel,
            server_id,
            f"{server_id}~",  # no uuid holds a character beyond the tilde
        )
        with self._readable():
            return None if row is None else read_snapshot(row)

    async def trend(self, server_uuid: str) -> list[Sample]:
        """Return how many bytes the server's backups held, day by day, oldest first; some days may be missing."""
        rows = await self._rows("SELECT * FROM trend WHERE server_uuid = $1 ORDER BY day", server_uuid)
        with self._readable():
            return read_trend(rows)
