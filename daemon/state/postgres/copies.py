"""What waits to be copied to the stores, and what became of each copy."""

from collections.abc import Iterable

from daemon.core.copies_queue import CopyQueue
from daemon.state.postgres.store import Store
from daemon.state.rows import read_copy_record, read_store_trouble, read_waiting, written, written_copy_record
from daemon.state.values import CopyRecord

_WAITS = (
    "INSERT INTO copy_queue (server, store, since, fresh, tries, next_at, text) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    " ON CONFLICT (server, store) DO UPDATE SET since = excluded.since, fresh = excluded.fresh,"
    " tries = excluded.tries, next_at = excluded.next_at, text = excluded.text"
)
_TROUBLE = (
    "INSERT INTO store_trouble (store, since, tries, next_at, text) VALUES ($1, $2, $3, $4, $5)"
    " ON CONFLICT (store) DO UPDATE SET since = excluded.since, tries = excluded.tries,"
    " next_at = excluded.next_at, text = excluded.text"
)
_RECORD = (
    "INSERT INTO copy_record (event, at, server, server_uuid, store, backup_uuid, backup, bytes, text)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)


class Copies(Store):
    """The daemon's copying."""

    async def copy_queue(self) -> CopyQueue:
        """Return all that waits to be copied, and the stores that are in trouble."""
        rows = await self._rows("SELECT * FROM copy_queue")
        in_trouble = await self._rows("SELECT * FROM store_trouble")
        with self._readable():
            waiting, troubles = map(read_waiting, rows), map(read_store_trouble, in_trouble)
            return CopyQueue({(one.server, one.store): one for one in waiting}, {one.store: one for one in troubles})

    async def requeue_copies(self, before: CopyQueue, after: CopyQueue) -> None:
        """Record what changed between the two: all of it or nothing."""
        gone = before.waiting.keys() - after.waiting.keys()
        well = before.troubles.keys() - after.troubles.keys()
        rows = [
            (one.server, one.store, written(one.since), int(one.fresh), one.tries, written(one.next_at), one.text)
            for place, one in after.waiting.items()
            if before.waiting.get(place) != one
        ]
        troubles = [
            (one.store, written(one.since), one.tries, written(one.next_at), one.text)
            for store, one in after.troubles.items()
            if before.troubles.get(store) != one
        ]
        await self._write_all(
            "queue of copies",
            [
                ("DELETE FROM copy_queue WHERE server = $1 AND store = $2", sorted(gone)),
                ("DELETE FROM store_trouble WHERE store = $1", [(store,) for store in sorted(well)]),
                (_WAITS, rows),
                (_TROUBLE, troubles),
            ],
        )

    async def record_copies(self, records: Iterable[CopyRecord]) -> None:
        """Record what became of copies."""
        rows = [written_copy_record(one) for one in records]
        await self._write_all("record of a copy", [(_RECORD, rows)])

    async def copy_records(
        self, server: str | None = None, store: str | None = None, limit: int = 50
    ) -> list[CopyRecord]:
        """Return what became of the last copies, newest first: of that server, that store, both, or all."""
        asked = {column: value for column, value in (("server", server), ("store", store)) if value is not None}
        where = " AND ".join(f"{column} = ${number}" for number, column in enumerate(asked, start=2))
        query = f"SELECT * FROM copy_record WHERE {where or 'TRUE'} ORDER BY id DESC LIMIT $1"  # noqa: S608 — columns
        rows = await self._rows(query, limit, *asked.values())
        with self._readable():
            return [read_copy_record(row) for row in rows]
