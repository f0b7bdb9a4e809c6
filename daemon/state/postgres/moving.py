"""A cluster's database as one side of a move."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from daemon.config.values import ClusterConfig
from daemon.state.moving import BATCH, Row
from daemon.state.postgres.connect import connect, title_of
from daemon.state.postgres.schema import CLAIMS, COPIED, migrate
from daemon.state.postgres.trouble import translated

_COLUMNS = (
    "SELECT attname, coalesce(array_position(indkey::int2[], attnum), 1000) AS place FROM pg_attribute"
    " LEFT JOIN pg_index ON indrelid = attrelid AND indisprimary"
    " WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attname <> ALL($2::name[])"
    " ORDER BY place, attnum"
)
_GO_ON = "SELECT setval(pg_get_serial_sequence($1, 'id'), max(id)) FROM {table} HAVING max(id) IS NOT NULL"


class ClusterSide:
    """The tables of a cluster, made if they are missing."""

    def __init__(self, cluster: ClusterConfig) -> None:
        self.title = title_of(cluster.url)
        self._url = cluster.url

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Keep a connection, in one transaction; then let new rows be numbered after those that came."""
        self._connection = await connect(self._url, self.title)
        try:
            with translated(f"{self.title} cannot be used"):
                await migrate(self._connection, self.title)
                async with self._connection.transaction():
                    yield
                    for table, columns in (await self.columns()).items():
                        if "id" in columns:
                            await self._connection.execute(_GO_ON.format(table=table), table)
        finally:
            self._connection.terminate()

    async def columns(self) -> dict[str, list[str]]:
        """Return each table's columns, those of its key first."""
        return {
            table: [row["attname"] for row in await self._connection.fetch(_COLUMNS, table, CLAIMS)] for table in COPIED
        }

    async def rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[list[Row]]:
        """Yield the rows in batches."""
        listed = ", ".join(columns)
        cursor = await self._connection.cursor(f"SELECT {listed} FROM {table} ORDER BY {listed}")  # noqa: S608 — our own
        while batch := await cursor.fetch(BATCH):
            yield [tuple(row) for row in batch]

    async def fill(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Add rows."""
        await self._connection.copy_records_to_table(table, records=rows, columns=columns)

    async def be(self, installation: str) -> None:
        """Have this id from now on."""
        await self._connection.execute(
            "INSERT INTO installation (id) VALUES ($1) ON CONFLICT (alone) DO UPDATE SET id = excluded.id", installation
        )
