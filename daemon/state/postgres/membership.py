"""Which members an operator has sent out of the cluster, and the end of an epoch by hand.

What must hold: a member that was evicted announces nothing more, as one whose time is over (invariant 20), and takes
nothing when it joins anew.
"""

from daemon.state.postgres.connect import Connection
from daemon.state.postgres.database import Database
from daemon.state.values import SentOut

_SEND_OUT = (
    "INSERT INTO sent_out (name, sent_by, evicted) VALUES ($1, $2, $3) ON CONFLICT (name)"
    " DO UPDATE SET evicted = sent_out.evicted OR excluded.evicted"
)
_CALL_BACK = "DELETE FROM sent_out WHERE name = $1 RETURNING name"
_EVICT = "DELETE FROM member WHERE name = $1 RETURNING epoch"


class PostgresMembership:
    """Who is sent out; `own` is the name of the member on whose machine this is asked for."""

    def __init__(self, database: Database, own: str) -> None:
        self._database = database
        self._own = own

    async def out(self) -> list[SentOut]:
        """Return those that are out, by name."""
        return await self._database.look(_out)

    async def send_out(self, name: str) -> None:
        """Let a member hand over what it holds, and take nothing more."""
        await self._database.run(lambda connection: connection.execute(_SEND_OUT, name, self._own, False))

    async def evict(self, name: str) -> list[int]:
        """Send it out first, so that it takes nothing when it joins anew, and then end its epochs."""

        async def evict(connection: Connection) -> list[int]:
            await connection.execute(_SEND_OUT, name, self._own, True)
            return sorted(row["epoch"] for row in await connection.fetch(_EVICT, name))

        return await self._database.run(evict)

    async def call_back(self, name: str) -> bool:
        """Let it act again; return whether it was out."""
        return await self._database.run(lambda connection: connection.fetchval(_CALL_BACK, name)) is not None


async def _out(connection: Connection) -> list[SentOut]:
    if await connection.fetchval("SELECT to_regclass('sent_out')") is None:
        return []
    rows = await connection.fetch("SELECT * FROM sent_out ORDER BY name")
    return [SentOut(row["name"], row["since"], row["sent_by"], row["evicted"]) for row in rows]
