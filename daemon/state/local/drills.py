"""The drills: what each tried, what it put onto its spare server, and how it ended."""

import json
from collections.abc import Collection
from datetime import datetime

from daemon.core.drills import DrillRecord, DrillResult
from daemon.state.journal import MOST_DRILLS
from daemon.state.local.store import Store
from daemon.state.rows import read_drill, written, written_drill


class Drills(Store):
    """Restores onto spare servers."""

    def drills(self, server: str | None = None, limit: int = MOST_DRILLS) -> list[DrillRecord]:
        """Return the last drills, newest first: of that server, or of all."""
        where = "" if server is None else " WHERE server = :server"
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM drill{where} ORDER BY id DESC LIMIT :limit",  # noqa: S608 — constants alone
                {"server": server, "limit": limit},
            )
            return [read_drill(row) for row in rows]

    def begin_drill(self, record: DrillRecord) -> int:
        """Record that a drill begins, and return its number."""
        row = written_drill(record)
        places = ", ".join(f":{column}" for column in row)
        with self._synced(), self._writing("beginning of a drill") as connection:
            begun = connection.execute(f"INSERT INTO drill ({', '.join(row)}) VALUES ({places})", row)  # noqa: S608
            return int(begun.lastrowid or 0)

    def drill_puts(self, number: int, names: Collection[str]) -> None:
        """Record what the drill is about to put onto its spare server."""
        with self._synced(), self._writing("change by a drill") as connection:
            connection.execute("UPDATE drill SET put = ? WHERE id = ?", (json.dumps(list(names)), number))

    def end_drill(
        self, number: int, *, at: datetime, result: DrillResult, seconds: float | None = None, text: str = ""
    ) -> None:
        """Record how a drill ended."""
        with self._synced(), self._writing("end of a drill") as connection:
            connection.execute(
                "UPDATE drill SET ended_at = ?, result = ?, seconds = ?, text = ? WHERE id = ? AND ended_at IS NULL",
                (written(at), result.value, seconds, text, number),
            )
