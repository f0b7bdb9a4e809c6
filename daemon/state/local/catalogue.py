"""What was last seen in the stores of copies: one table, in a file of its own beside the journal.

It is a cache of what the stores hold, and much larger than the journal, which every command checks for damage. So it
is opened for each call alone, and what is damaged or of another version is as if absent, and is made anew by the next
write. What is read of holdings stands before the details in each row: SQLite need not read the pages of these.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from daemon.files import as_owner, make_folder, open_private, opened_folder, refuse_foreign
from daemon.state.local.file import BESIDE, is_damage, set_patience, translated
from daemon.state.local.installation import installation_of
from daemon.state.local.schema import transaction
from daemon.state.rows import read_holding, read_shelf, written_shelf
from daemon.state.runner import Runner
from daemon.state.values import Holding, ShelfRecord

FILE_NAME = "copies.sqlite3"

_VERSION = 1
_TABLE = """CREATE TABLE shelf (
    store TEXT NOT NULL,
    panel TEXT NOT NULL,
    server_uuid TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    copies INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    newest TEXT,
    detail TEXT NOT NULL,
    PRIMARY KEY (store, panel, server_uuid)
)"""
_HOLDING = "store, panel, server_uuid, seen_at, copies, bytes, newest"
_TROUBLE = "the catalogue of copies cannot be used"

Read = TypeVar("Read")


class LocalCatalogue:
    """The catalogue of one state folder; a runner executes its calls."""

    def __init__(self, folder: Path, runner: Runner) -> None:
        self._folder = folder
        self._runner = runner

    async def installation(self) -> str:
        """Return this installation's id."""
        return await self._runner.run(self._installation)

    async def shelf(self, store: str, panel: str, server_uuid: str) -> ShelfRecord | None:
        """Return what was last seen of a server in a store."""
        query = "SELECT * FROM shelf WHERE store = ? AND panel = ? AND server_uuid = ?"
        found = await self._runner.run(lambda: self._rows(read_shelf, query, (store, panel, server_uuid)))
        return found[0] if found else None

    async def shelves(self, panel: str, server_id: str) -> list[ShelfRecord]:
        """Return what was last seen of a server in each store."""
        query = (
            "SELECT * FROM shelf WHERE panel = ? AND server_uuid >= ? AND server_uuid < ? ORDER BY store, server_uuid"
        )
        values = (panel, server_id, f"{server_id}~")  # no uuid holds a character beyond the tilde
        return await self._runner.run(lambda: self._rows(read_shelf, query, values))

    async def holdings(self, store: str | None = None) -> list[Holding]:
        """Return what a store holds of each server, or every store."""
        where, values = ("", ()) if store is None else (" WHERE store = ?", (store,))
        query = f"SELECT {_HOLDING} FROM shelf{where} ORDER BY store, panel, server_uuid"  # noqa: S608 — constants alone
        return await self._runner.run(lambda: self._rows(read_holding, query, values))

    async def remember(self, record: ShelfRecord) -> None:
        """Record what was seen of a server in a store."""
        await self._runner.run(lambda: self._write([record]))

    async def replace(self, store: str, records: Iterable[ShelfRecord]) -> None:
        """Record what was seen in a store, in place of all that was known of it."""
        seen = list(records)
        await self._runner.run(lambda: self._write(seen, instead_of=store))

    def _installation(self) -> str:
        with translated(_TROUBLE):
            return installation_of(self._folder)

    def _rows(self, read: Callable[[sqlite3.Row], Read], query: str, values: tuple[str, ...]) -> list[Read]:
        """Return what the query finds; nothing if there is no file, or a damaged one."""
        with translated(_TROUBLE):
            if not (self._folder / FILE_NAME).exists():
                return []
            try:
                with self._opened() as connection:
                    return [read(row) for row in connection.execute(query, values)] if _is_ours(connection) else []
            except (sqlite3.DatabaseError, ValueError, TypeError) as error:
                if isinstance(error, sqlite3.DatabaseError) and not is_damage(error):
                    raise
                return []

    def _write(self, records: list[ShelfRecord], *, instead_of: str | None = None) -> None:
        """Write these, without what is known of a store `instead_of` which they stand; a damaged file is made anew."""
        with translated(_TROUBLE):
            make_folder(self._folder)
            try:
                self._write_into_file(records, instead_of)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._remove()
                self._write_into_file(records, instead_of)

    def _write_into_file(self, records: list[ShelfRecord], instead_of: str | None) -> None:
        with self._opened() as connection, transaction(connection):
            if not _is_ours(connection):
                connection.execute("DROP TABLE IF EXISTS shelf")
                connection.execute(_TABLE)
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute("DELETE FROM shelf WHERE store = ?", (instead_of,))
            connection.executemany(
                f"INSERT OR REPLACE INTO shelf ({_HOLDING}, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                map(written_shelf, records),
            )

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection to the file, which is made private before SQLite sees it."""
        path = self._folder / FILE_NAME
        with opened_folder(self._folder) as folder, as_owner(folder):
            for suffix in ("", *BESIDE):
                refuse_foreign(folder, path.name + suffix)
            with suppress(FileExistsError):
                os.close(open_private(folder, path.name, os.O_EXCL))
            connection = sqlite3.connect(path, isolation_level=None)
            try:
                connection.row_factory = sqlite3.Row
                set_patience(connection, self._runner.patience)
                connection.execute("PRAGMA trusted_schema = OFF")
                yield connection
            finally:
                connection.close()

    def _remove(self) -> None:
        for suffix in ("", *BESIDE):
            (self._folder / f"{FILE_NAME}{suffix}").unlink(missing_ok=True)


def _is_ours(connection: sqlite3.Connection) -> bool:
    """Return whether the file has this version's table."""
    return bool(connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION)
