"""What was last seen in the stores of copies, and the id of this installation, which all members share.

What a member saw is recorded only while it is one: what another has pruned since would count as copied.
"""

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from daemon.state.postgres.connect import Connection
from daemon.state.postgres.database import Database
from daemon.state.postgres.members import Members
from daemon.state.postgres.schema import is_there
from daemon.state.rows import read_holding, read_shelf, written_shelf
from daemon.state.values import Holding, ShelfRecord

_HOLDING = "store, panel, server_uuid, seen_at, copies, bytes, newest"
_SEEN = (
    f"INSERT INTO shelf ({_HOLDING}, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"  # noqa: S608 — constants alone
    " ON CONFLICT (store, panel, server_uuid) DO UPDATE SET seen_at = excluded.seen_at, copies = excluded.copies,"
    " bytes = excluded.bytes, newest = excluded.newest, detail = excluded.detail"
)


class PostgresCatalogue:
    """The catalogue of one cluster."""

    def __init__(self, database: Database, members: Members) -> None:
        self._database = database
        self._members = members

    async def installation(self) -> str:
        """Return the id, which the first member makes."""

        async def known_or_made(connection: Connection) -> str:
            await connection.execute("INSERT INTO installation (id) VALUES ($1) ON CONFLICT DO NOTHING", str(uuid4()))
            return str(await connection.fetchval("SELECT id FROM installation"))

        return await self._database.run(known_or_made)

    async def shelf(self, store: str, panel: str, server_uuid: str) -> ShelfRecord | None:
        """Return what was last seen of a server in a store."""
        query = "SELECT * FROM shelf WHERE store = $1 AND panel = $2 AND server_uuid = $3"
        return next(map(read_shelf, await self._rows(query, store, panel, server_uuid)), None)

    async def shelves(self, panel: str, server_id: str) -> list[ShelfRecord]:
        """Return what was last seen of a server in each store."""
        query = "SELECT * FROM shelf WHERE panel = $1 AND server_uuid >= $2 AND server_uuid < $3"
        query += " ORDER BY store, server_uuid"
        rows = await self._rows(query, panel, server_id, f"{server_id}~")  # no uuid holds anything beyond the tilde
        return [read_shelf(row) for row in rows]

    async def holdings(self, store: str | None = None) -> list[Holding]:
        """Return what a store holds of each server, or every store."""
        where, values = ("", ()) if store is None else (" WHERE store = $1", (store,))
        query = f"SELECT {_HOLDING} FROM shelf{where} ORDER BY store, panel, server_uuid"  # noqa: S608 — constants alone
        return [read_holding(row) for row in await self._rows(query, *values)]

    async def remember(self, record: ShelfRecord) -> None:
        """Record what was seen of a server in a store."""
        row = written_shelf(record)

        async def write(connection: Connection) -> None:
            async with self._members.fenced(connection):
                await connection.execute(_SEEN, *row)

        await self._database.run(write)

    async def replace(self, store: str, records: Iterable[ShelfRecord]) -> None:
        """Record what was seen in a store, in place of all that was known of it."""
        rows = [written_shelf(record) for record in records]

        async def write(connection: Connection) -> None:
            async with self._members.fenced(connection):
                await connection.execute("DELETE FROM shelf WHERE store = $1", store)
                await connection.executemany(_SEEN, rows)

        await self._database.run(write)

    async def _rows(self, query: str, *values: object) -> list[Any]:
        """Return what a query finds; nothing if nobody has made the tables yet."""

        async def read(connection: Connection) -> list[Any]:
            return await connection.fetch(query, *values) if await is_there(connection, "shelf") else []

        return await self._database.look(read)
