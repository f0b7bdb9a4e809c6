"""The drills: what each tried, what it put onto its spare server, and how it ended."""

import json
from collections.abc import Collection
from datetime import datetime

from daemon.core.drills import DrillRecord, DrillResult
from daemon.state.journal import MOST_DRILLS
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.store import Store
from daemon.state.rows import read_drill, written, written_drill


class Drills(Store):
    """Restores onto spare servers."""

    async def drills(self, server: str | None = None, limit: int = MOST_DRILLS) -> list[DrillRecord]:
        """Return the last drills, newest first: of that server, or of all."""
        where, values = ("", ()) if server is None else (" WHERE server = $2", (server,))
        rows = await self._rows(f"SELECT * FROM drill{where} ORDER BY id DESC LIMIT $1", limit, *values)  # noqa: S608
        with self._readable():
            return [read_drill(row) for row in rows]

    async def begin_drill(self, record: DrillRecord) -> int:
        """Record that a drill begins, and return its number."""
        row = written_drill(record)
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        insert = f"INSERT INTO drill ({', '.join(row)}) VALUES ({places}) RETURNING id"  # noqa: S608 — columns

        async def write(connection: Connection) -> int:
            return int(await connection.fetchval(insert, *row.values()))

        return await self._writing("beginning of a drill", write)

    async def drill_puts(self, number: int, names: Collection[str]) -> None:
        """Record what the drill is about to put onto its spare server."""
        names_written = json.dumps(list(names))
        await self._write("change by a drill", "UPDATE drill SET put = $1 WHERE id = $2", names_written, number)

    async def end_drill(
        self, number: int, *, at: datetime, result: DrillResult, seconds: float | None = None, text: str = ""
    ) -> None:
        """Record how a drill ended."""
        await self._write(
            "end of a drill",
            "UPDATE drill SET ended_at = $1, result = $2, seconds = $3, text = $4 WHERE id = $5 AND ended_at IS NULL",
            written(at),
            result.value,
            seconds,
            text,
            number,
        )
