"""The journal of a folder as one side of a move."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from daemon.errors import StateError
from daemon.state.local.file import translated
from daemon.state.local.installation import installation_of
from daemon.state.local.journal import SqliteJournal
from daemon.state.local.schema import transaction
from daemon.state.moving import BATCH, Row


class FolderSide:
    """A folder; `made` says that its journal may be made."""

    def __init__(self, folder: Path, *, made: bool) -> None:
        self.title = f"the state folder {folder}"
        self._folder = folder
        self._made = made

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Keep the journal open, in one transaction."""
        looked = SqliteJournal.look(self._folder)
        if looked is None and not self._made:
            raise StateError(f"there is no journal in {self._folder}", hint="name the folder that the daemon used")
        if looked is not None:
            looked.close()
        with SqliteJournal.open(self._folder) as journal, journal.raw() as connection:
            self._connection = connection
            with transaction(connection):
                yield

    async def columns(self) -> dict[str, list[str]]:
        """Return each table's columns, those of its key first."""
        query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY rowid"
        found = {}
        for (table,) in self._connection.execute(query).fetchall():
            rows = self._connection.execute(f"PRAGMA table_info ({table})").fetchall()
            found[str(table)] = [row["name"] for row in sorted(rows, key=lambda row: row["pk"] or len(rows) + 1)]
        return found

    async def rows(self, table: str, columns: Sequence[str]) -> AsyncIterator[list[Row]]:
        """Yield the rows in batches."""
        listed = ", ".join(columns)
        cursor = self._connection.execute(f"SELECT {listed} FROM {table} ORDER BY {listed}")  # noqa: S608 — our own
        while batch := cursor.fetchmany(BATCH):
            yield [tuple(row) for row in batch]

    async def fill(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        """Add rows."""
        places = ", ".join("?" * len(columns))
        self._connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)  # noqa: S608

    async def be(self, installation: str) -> None:
        """Have this id from now on."""
        with translated(f"{self.title} cannot be used"):
            found = installation_of(self._folder, installation)
        if found != installation:
            raise StateError(
                f"{self._folder} belongs to another installation: {found}, not {installation}",
                hint="choose an empty folder",
            )
