"""The engine on a database that the members of a cluster share."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from daemon.clock import since_boot
from daemon.config.values import ClusterConfig
from daemon.errors import ServerBusyError, StateError
from daemon.state.base import Catalogue, Leadership, Locks, Membership, Presence, Shares
from daemon.state.journal import Journal
from daemon.state.postgres.catalogue import PostgresCatalogue
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.database import Database, MakeDatabase
from daemon.state.postgres.fence import SERVER
from daemon.state.postgres.journal import PostgresJournal
from daemon.state.postgres.members import Members
from daemon.state.postgres.membership import PostgresMembership, members_of
from daemon.state.postgres.notes import notes_of
from daemon.state.postgres.schema import is_there, version_of
from daemon.state.postgres.shares import PostgresShares
from daemon.state.values import ClusterSeen, StateNote


class PostgresLocks:
    """Locks by the servers' uuids, each held by a member for as long as that renews."""

    def __init__(self, database: Database, members: Members) -> None:
        self._database = database
        self._members = members

    @asynccontextmanager
    async def held(self, server_uuid: str, part: str | None = None) -> AsyncIterator[None]:
        """Hold the server's lock, within that part of the fleet."""
        async with self._members.held(f"{SERVER}{server_uuid}", part) as other:
            if other is not None:
                raise ServerBusyError(server_uuid, f"{other.process} of member {other.name}")
            yield

    async def is_held(self, server_uuid: str) -> bool:
        """Return whether the server is known to be rotated now."""
        with suppress(StateError):
            return await self._members.holder(f"{SERVER}{server_uuid}") is not None
        return False

    async def check(self) -> None:
        """Find out whether the database answers."""
        await self._database.look(lambda connection: connection.fetchval("SELECT 1"))


class PostgresPresence:
    """The daemons that act on the database."""

    def __init__(self, database: Database, members: Members) -> None:
        self._database = database
        self._members = members

    @asynccontextmanager
    async def known(self) -> AsyncIterator[int | None]:
        """Be known as a daemon that acts; the others beside it are no surprise."""
        async with AsyncExitStack() as held:
            with suppress(StateError):
                await held.enter_async_context(self._members.joined("acts"))
            yield None

    async def daemon(self) -> int | None:
        """Return the process id of a daemon that is known to act; None if there is none."""
        with suppress(StateError):
            seen = ClusterSeen(await self._database.look(members_of))
            return next((one.process for one in seen.daemons), None)
        return None


class PostgresLeadership:
    """This daemon as one of those that share the fleet."""

    def __init__(self, database: Database, members: Members, name: str) -> None:
        self._members = members
        self._held = AsyncExitStack()
        self._joined = False
        self.shares: Shares | None = PostgresShares(database, members)
        self.membership: Membership | None = PostgresMembership(database, name)

    async def join(self) -> None:
        """Be one of them."""
        if self._members.is_lost:
            await self.give_up()
        if not self._joined:
            await self._held.enter_async_context(self._members.joined("acts"))
            self._joined = True

    async def lost(self) -> None:
        """Return when others may act for what we act for."""
        await self._members.lost()

    async def give_up(self) -> None:
        """Be no member any more, so that others can act for what we held at once."""
        self._joined = False
        await self._held.aclose()

    def hindrance(self, *, creates: bool) -> str:
        """Return why no write may leave for a panel now; empty if one may."""
        return self._members.hindrance(creates=creates)


class PostgresEngine:
    """State in one database, shared by all members of a cluster."""

    def __init__(
        self,
        cluster: ClusterConfig,
        *,
        now: Callable[[], float] = since_boot,
        make_database: MakeDatabase = Database,
    ) -> None:
        self._database = make_database(cluster.url)
        self._members = Members(self._database, cluster, now, make_database)
        self.locks: Locks = PostgresLocks(self._database, self._members)
        self.presence: Presence = PostgresPresence(self._database, self._members)
        self.catalogue: Catalogue = PostgresCatalogue(self._database, self._members)
        self.leadership: Leadership = PostgresLeadership(self._database, self._members, cluster.member)

    async def open(self) -> Journal:
        """Open the journal, making the tables if they are missing.

        A member that has lost its lease opens it again, and goes on though a newer one has migrated the tables since.
        """
        await self._database.run(lambda connection: is_there(connection, "schema_version"))
        return PostgresJournal(self._database, self._members)

    async def look(self) -> Journal | None:
        """Open the journal for reading; None if there are no tables yet."""
        return await self.open() if await self._database.look(self._version) else None

    async def check(self) -> tuple[StateNote, ...]:
        """Find out whether the tables are there, or can be made, and make none; return how the database is replicated,
        and whether it was promoted.
        """

        async def check(connection: Connection) -> tuple[StateNote, ...]:
            may = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
            if not await self._version(connection) and not await connection.fetchval(may):
                raise StateError(
                    f"the role may make no tables in {self._database.title}",
                    hint="let it own the database, or a schema that is first in its search_path",
                )
            return await notes_of(connection)

        return await self._database.look(check)

    def close(self) -> None:
        """Close the connections at once."""
        self._members.terminate()
        self._database.terminate()

    async def _version(self, connection: Connection) -> int:
        return await version_of(connection, self._database.title)
