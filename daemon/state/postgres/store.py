"""How the journal's modules read and write: each call whole or not at all, and trouble remembered."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from daemon.errors import StateError
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.database import Database, Result, Work
from daemon.state.postgres.members import Members

Values = Sequence[object]


class Store:
    """The journal's connection, and its trouble."""

    persistent = True
    set_aside: Path | None = None
    """Nothing is ever set aside: a damaged database is the operator's to restore."""

    def __init__(self, database: Database, members: Members) -> None:
        self.trouble: StateError | None = None
        self._database = database
        self._members = members
        self._closed = False
        database.use()

    async def look_after(self) -> None:
        """Do nothing: the tables are where the next daemon looks for them."""

    async def probe(self) -> None:
        """Write something that changes nothing; raises StateError if that is impossible."""
        await self._write("probe", "UPDATE schema_version SET version = version")

    async def close(self) -> None:
        """Let the connection go, after all earlier calls; a second time does nothing."""
        if not self._closed:
            self._closed = True
            await self._database.leave()

    async def _rows(self, query: str, *values: object) -> list[Any]:
        """Return what a query finds."""
        with self._noticed():
            rows: list[Any] = await self._run(lambda connection: connection.fetch(query, *values))
            return rows

    async def _row(self, query: str, *values: object) -> Any:  # noqa: ANN401 — a row, or None
        """Return the first row that a query finds; None if there is none."""
        return next(iter(await self._rows(query, *values)), None)

    async def _write(self, what: str, statement: str, *values: object, as_member: bool = False) -> int:
        """Run a statement that writes; return how many rows it changed. What may free something to be deleted is
        written `as_member` (`fence`): not after another one has taken over.
        """

        async def write(connection: Connection) -> int:
            if as_member:
                return await self._members.written(connection, statement, values)
            return int(str(await connection.execute(statement, *values)).rpartition(" ")[2])

        return await self._writing(what, write)

    async def _write_all(
        self, what: str, statements: Iterable[tuple[str, Sequence[Values]]], *, as_member: bool = False
    ) -> None:
        """Run each statement for each of its rows of values: all of it or nothing, as one of them is by itself."""
        filled = [(statement, rows) for statement, rows in statements if rows]

        async def write(connection: Connection) -> None:
            async with AsyncExitStack() as held:
                if as_member:
                    await held.enter_async_context(self._members.fenced(connection))
                elif len(filled) > 1:
                    await held.enter_async_context(connection.transaction())
                for statement, rows in filled:
                    await connection.executemany(statement, rows)

        await self._writing(what, write)

    async def _writing(self, what: str, write: Work[Result]) -> Result:
        with self._noticed(f"the {what} cannot be written: "):
            written = await self._run(write)
        self.trouble = None
        return written

    async def _run(self, work: Work[Result]) -> Result:
        if self._closed:
            raise StateError(f"the journal in {self._database.title} is closed", hint="")
        return await self._database.run(work)

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Raise StateError for a row that we did not write so."""
        with self._noticed():
            try:
                yield
            except (ValueError, TypeError, OverflowError, RecursionError) as error:
                raise StateError(f"{self._database.title} holds what cannot be read: {error}", hint="") from error

    @contextmanager
    def _noticed(self, what: str = "") -> Iterator[None]:
        """Remember trouble, and say what could not be done."""
        try:
            yield
        except StateError as error:
            self.trouble = type(error)(f"{what}{error.text}", hint=error.hint) if what else error
            raise self.trouble from None
