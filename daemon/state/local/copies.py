"""What waits to be copied to the stores, and what became of each copy."""

from collections.abc import Iterable

from daemon.core.copies_queue import CopyQueue
from daemon.state.local.store import Store
from daemon.state.rows import (
    read_copy_record,
    read_store_trouble,
    read_waiting,
    written,
    written_copy_record,
)
from daemon.state.values import CopyRecord


class Copies(Store):
    """The daemon's copying."""

    def copy_queue(self) -> CopyQueue:
        """Return all that waits to be copied, and the stores that are in trouble."""
        with self._reading() as connection:
            waiting = [read_waiting(row) for row in connection.execute("SELECT * FROM copy_queue")]
            troubles = [read_store_trouble(row) for row in connection.execute("SELECT * FROM store_trouble")]
            return CopyQueue({(one.server, one.store): one for one in waiting}, {one.store: one for one in troubles})

    def requeue_copies(self, before: CopyQueue, after: CopyQueue) -> None:
        """Record what changed between the two: all of it or nothing."""
        gone = before.waiting.keys() - after.waiting.keys()
        well = before.troubles.keys() - after.troubles.keys()
        rows = [
            (one.server, one.store, written(one.since), one.fresh, one.tries, written(one.next_at), one.text)
            for place, one in after.waiting.items()
            if before.waiting.get(place) != one
        ]
        troubles = [
            (one.store, written(one.since), one.tries, written(one.next_at), one.text)
            for store, one in after.troubles.items()
            if before.troubles.get(store) != one
        ]
        with self._writing("queue of copies") as connection:
            connection.executemany("DELETE FROM copy_queue WHERE server = ? AND store = ?", list(gone))
            connection.executemany("DELETE FROM store_trouble WHERE store = ?", [(store,) for store in well])
            connection.executemany(
                "INSERT OR REPLACE INTO copy_queue (server, store, since, fresh, tries, next_at, text)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            connection.executemany(
                "INSERT OR REPLACE INTO store_trouble (store, since, tries, next_at, text) VALUES (?, ?, ?, ?, ?)",
                troubles,
            )

    def record_copies(self, records: Iterable[CopyRecord]) -> None:
        """Record what became of copies."""
        rows = [written_copy_record(one) for one in records]
        with self._writing("record of a copy") as connection:
            connection.executemany(
                "INSERT INTO copy_record (event, at, server, server_uuid, store, backup_uuid, backup, bytes, text)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def copy_records(self, server: str | None = None, store: str | None = None, limit: int = 50) -> list[CopyRecord]:
        """Return what became of the last copies, newest first: of that server, that store, both, or all."""
        asked = {"server": server, "store": store}
        where = " AND ".join(f"{column} = :{column}" for column, value in asked.items() if value is not None)
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM copy_record WHERE {where or 'TRUE'} ORDER BY id DESC LIMIT :limit",  # noqa: S608 — columns
                {**asked, "limit": limit},
            )
            return [read_copy_record(row) for row in rows]
