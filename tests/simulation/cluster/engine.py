"""The daemon's engine of a cluster over the model: all of its own code, but for most of the journal's statements.

Those are SQLite's, on the one journal that all members share; announcements, alerts and the catalogue of copies are
the daemon's own. What must not be done by a member that another one has replaced goes through the daemon's fence, as
in PostgreSQL.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from pydantic import SecretStr

from daemon.config.values import ClusterConfig
from daemon.core.applied import AppliedRetention
from daemon.core.proof import Proof
from daemon.errors import StateError
from daemon.state import Journal, ProofRecord
from daemon.state.local.engine import AwaitedJournal
from daemon.state.postgres.alerts import Alerts
from daemon.state.postgres.connect import CONNECT_SECONDS
from daemon.state.postgres.database import Database, Work
from daemon.state.postgres.engine import PostgresEngine
from daemon.state.postgres.members import Members
from daemon.state.postgres.rotations import Rotations
from daemon.state.postgres.trouble import translated
from daemon.state.values import StateNote
from tests.simulation.cluster.outbox import Rows
from tests.simulation.cluster.tables import CHANGE, Tables

Result = TypeVar("Result")


class Link:
    """The way from a process to the database and back; here it takes no time and loses nothing."""

    process = ""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    async def connect(self) -> "Connection":
        """Return a new connection."""
        return Connection(self, await self.carry(lambda: self.tables.timeline))

    async def carry(self, work: Callable[[], Result]) -> Result:
        """Have something done at the database, and return what came of it."""
        return work()


class Connection:
    """One connection, as asyncpg's would be used. What is done in a transaction is done at one moment.

    It is to the server of that timeline, and lost with that.
    """

    def __init__(self, link: Link, timeline: int) -> None:
        self._link = link
        self._timeline = timeline
        self._closed = False
        self._inside = False

    def is_closed(self) -> bool:
        """Return whether it was closed."""
        return self._closed

    def terminate(self) -> None:
        """Close it at once."""
        self._closed = True

    async def close(self, timeout: float) -> None:  # noqa: ASYNC109 — asyncpg's
        """Close it."""
        self._closed = True

    async def do(self, work: Callable[[], Result]) -> Result:
        """Have something done at the database."""
        return work() if self._inside else await self._link.carry(lambda: self._there(work))

    def _there(self, work: Callable[[], Result]) -> Result:
        if self._timeline != self._link.tables.timeline:
            self._closed = True
            raise ConnectionResetError
        return work()

    async def fetch(self, statement: str, *values: object) -> Rows:
        """Return the rows that a statement returns."""
        return await self.do(lambda: self._link.tables.run(statement, values, self._link.process))

    async def fetchrow(self, statement: str, *values: object) -> Any:
        """Return the first of them, its columns by name and in order; None if there is none."""
        return next(map(Row, await self.fetch(statement, *values)), None)

    async def fetchval(self, statement: str, *values: object) -> Any:
        """Return the first column of the first of them; None if there is none."""
        return next((next(iter(row.values())) for row in await self.fetch(statement, *values)), None)

    async def execute(self, statement: str, *values: object) -> None:
        """Run a statement."""
        await self.fetch(statement, *values)

    async def executemany(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement for each row of values, at one moment."""
        await self.do(lambda: [self._link.tables.run(statement, row, self._link.process) for row in rows])

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Run a transaction: once its begin has arrived nothing suspends it, and its commit is carried back."""
        await self.do(lambda: None)
        self._inside = True
        try:
            with self._link.tables.transaction():
                yield
        finally:
            self._inside = False
        await self._link.carry(lambda: None)


class Row(dict[str, Any]):
    """A row: a mapping by name, and a sequence of its values."""

    def __iter__(self) -> Any:
        return iter(self.values())


class ModelDatabase(Database):
    """The daemon's handle on the database, connected to the model."""

    def __init__(self, link: Link, url: SecretStr, *, longest_pause: float = 15.0) -> None:
        super().__init__(url, longest_pause=longest_pause)
        self._link = link

    def _migrating(self, work: Work[Result]) -> Work[Result]:
        async def on_tables(connection: Connection) -> Result:
            self._link.tables.made = True
            return await work(connection)

        return on_tables

    async def _connect(self) -> Connection:
        with translated(f"{self.title} is out of reach"):
            async with asyncio.timeout(CONNECT_SECONDS):
                return await self._link.connect()


class ModelEngine(PostgresEngine):
    """The engine of one process."""

    def __init__(self, link: Link, cluster: ClusterConfig, now: Callable[[], float]) -> None:
        def made(url: SecretStr, *, longest_pause: float = 15.0) -> Database:
            return ModelDatabase(link, url, longest_pause=longest_pause)

        super().__init__(cluster, now=now, make_database=made)
        self.tables = link.tables

    @property
    def epoch(self) -> int | None:
        """The epoch of this process; None if it is no member."""
        return self._members.epoch

    @property
    def failed_at(self) -> float:
        """When a renewal of its lease failed last: it then knows that the database is out of reach."""
        return self._members._failed_at

    async def open(self) -> Journal:
        """Open the journal, making the tables."""
        await self._database.run(lambda connection: connection.fetchval("SELECT 1"))
        return self.journal()

    def journal(self) -> Journal:
        """Return its journal."""
        return ModelJournal(ModelStore(self._database, self._members), self._members, self.tables)

    async def look(self) -> Journal | None:
        """Open the journal for reading; None if there are no tables yet."""
        made = await self._database.look(lambda connection: connection.do(lambda: self.tables.made))
        return await self.open() if made else None

    async def check(self) -> tuple[StateNote, ...]:
        """Find out whether the database answers."""
        await self.locks.check()
        return ()


class ModelStore(Rotations, Alerts):
    """What of the journal is the daemon's own here: announcements, alerts, and how trouble is remembered."""


class Through:
    """Has the journal's work done at the database."""

    patience = 0.0

    def __init__(self, store: ModelStore) -> None:
        self._store = store

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return what it returns there."""
        return await self._store._writing("journal", lambda connection: connection.do(work))

    async def give_back(self, work: Callable[[], object]) -> None:
        """Do nothing: the journal outlives the process."""

    def close(self) -> None:
        """Do nothing."""


OWN = ("announce", "watches", "watch", "alerts", "claim_alerts", "alerts_sent")


class ModelJournal(AwaitedJournal):
    """The one journal, as one process has it."""

    def __init__(self, store: ModelStore, members: Members, tables: Tables) -> None:
        super().__init__(tables.journal, Through(store))
        self._store = store
        self._members = members
        self._tables = tables
        for name in OWN:
            setattr(self, name, getattr(store, name))

    @property
    def persistent(self) -> bool:
        """It outlives the process."""
        return self._store.persistent

    @property
    def trouble(self) -> StateError | None:
        """Why this process' last call failed."""
        return self._store.trouble

    async def close(self) -> None:
        """Let the connection go."""
        await self._store.close()

    async def asked_no_more(self, server_uuid: str, backup_uuid: str) -> bool:
        """As a member alone."""
        return bool(await self._as_member(lambda: self.sqlite.asked_no_more(server_uuid, backup_uuid)))

    async def apply(self, server_uuid: str, applied: AppliedRetention, store: str = "") -> None:
        """As a member alone."""
        await self._as_member(lambda: self.sqlite.apply(server_uuid, applied, store))

    async def record_proof(self, record: ProofRecord) -> bool:
        """As a member alone."""
        return bool(await self._as_member(lambda: self.sqlite.record_proof(record)))

    async def forget_proofs(self, server_uuid: str, proofs: Any) -> None:
        """As a member alone."""
        forgotten: Sequence[Proof] = list(proofs)
        await self._as_member(lambda: self.sqlite.forget_proofs(server_uuid, forgotten))

    async def _as_member(self, change: Callable[[], object]) -> int:
        return await self._store._write("change", CHANGE, change, as_member=True)
