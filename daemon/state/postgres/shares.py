"""How the daemons of a cluster share the fleet, by what the database holds of them."""

import json
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from daemon.core.agreement import Opinion
from daemon.core.shares import Member
from daemon.core.units import read_rfc3339
from daemon.errors import StateError
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.database import Database
from daemon.state.postgres.ended import Ended
from daemon.state.postgres.fence import SERVER
from daemon.state.postgres.members import Members
from daemon.state.postgres.membership import opinion_in
from daemon.state.values import SharesSeen, StepName, UnderWay

_LIVE = (  # one statement for nearly all that is asked every second: each member asks, however little there is to do
    "SELECT name, epoch, EXISTS (SELECT FROM sent_out WHERE sent_out.name = member.name) AS out, digest, panels,"
    " ARRAY(SELECT what FROM lease WHERE lease.epoch = member.epoch AND NOT starts_with(what, $2)) AS holds,"
    " (SELECT promoted_at FROM home), (SELECT max(change) FROM placement) AS change"
    " FROM member LEFT JOIN opinion USING (epoch) LEFT JOIN cut_off USING (epoch)"
    " WHERE role = 'acts' AND until > clock_timestamp() OR epoch = $1"
)
_PUBLISH = (
    "INSERT INTO opinion (epoch, decisions, digest, rules) SELECT epoch, $2, $3, $4 FROM member WHERE epoch = $1"
    " ON CONFLICT (epoch) DO UPDATE SET decisions = excluded.decisions, digest = excluded.digest,"
    " rules = excluded.rules"
)
_CUT_OFF = (
    "INSERT INTO cut_off (epoch, panels) SELECT epoch, $2 FROM member WHERE epoch = $1"
    " ON CONFLICT (epoch) DO UPDATE SET panels = excluded.panels"
)
_OPINIONS = "SELECT epoch, decisions, digest, rules FROM opinion WHERE epoch = ANY($1)"
_AT_WORK = (
    "SELECT EXISTS (SELECT FROM lease JOIN member USING (epoch)"
    " WHERE part = $1 AND starts_with(what, $2) AND until > clock_timestamp())"
)
_UNDER_WAY = (  # one that was broken off is left out: nobody holds the server's lock, or a newer one goes on with it
    "SELECT DISTINCT ON (server_uuid) server, server_uuid, panel, trigger, began_at, member.name AS member,"  # noqa: S608
    " last.name AS step, last.at AS step_at"
    f" FROM rotation JOIN lease ON what = '{SERVER}' || server_uuid JOIN member USING (epoch) LEFT JOIN LATERAL"
    f" (SELECT name, at FROM step WHERE rotation = rotation.id AND name <> '{StepName.GATHERED}'"
    " ORDER BY id DESC LIMIT 1) AS last ON TRUE"
    " WHERE ended_at IS NULL AND member.epoch <> $1 AND until > clock_timestamp()"
    " ORDER BY server_uuid, rotation.id DESC"
)
_PLACED = "SELECT panel, server, node, change FROM placement WHERE change > $1"
_LOCK = "LOCK TABLE placement IN SHARE ROW EXCLUSIVE MODE"
_PLACE = (
    "INSERT INTO placement (panel, server, node) VALUES ($1, $2, $3) ON CONFLICT (panel, server)"
    " DO UPDATE SET node = excluded.node, change = excluded.change WHERE placement.node <> excluded.node"
)


class PostgresShares:
    """The parts of the fleet, each held by a member for as long as that renews."""

    def __init__(self, database: Database, members: Members) -> None:
        self._database = database
        self._members = members
        self._looked_as: int | None = None
        """The epoch at the last look. After it was lost, all is new to a member that begins anew."""

        self._published: tuple[int | None, Opinion] | None = None
        self._cut_off: tuple[int | None, AbstractSet[str]] = None, frozenset()
        """What was said last of the panels that we cannot reach, and under which epoch."""

        self._opinions: dict[str, Opinion] = {}
        """What others go by, by its digest, as far as we have read it."""

        self._change = 0
        self._ended = Ended()

    async def look(self) -> SharesSeen:
        """Return how the fleet is shared out now."""
        return await self._database.run(self._look)

    async def at_work(self, part: str) -> bool:
        """Return whether a live member holds the lock of a server within a part."""
        return bool(await self._database.run(lambda connection: connection.fetchval(_AT_WORK, part, SERVER)))

    async def under_way(self) -> list[UnderWay]:
        """Return the rotations that other live processes have under way."""
        own = self._members.epoch or 0
        rows = await self._database.run(lambda connection: connection.fetch(_UNDER_WAY, own))
        try:
            return [_under_way(row) for row in rows]
        except ValueError as error:
            raise StateError(f"{self._database.title} holds what cannot be read: {error}", hint="") from error

    def in_use(self) -> Collection[str]:
        """Return the parts within which this process holds the lock of a server."""
        return self._members.parts_in_use

    async def take(self, part: str) -> bool:
        """Hold a part, unless another live member does; return whether we do."""
        return await self._members.take(part)

    async def give(self, part: str) -> None:
        """Let another member take a part at once."""
        await self._members.free(part)

    async def publish(self, opinion: Opinion) -> None:
        """Let all members know what this one goes by."""
        epoch = self._members.epoch
        before = self._published
        if before is None or (before[0], before[1].digest) != (epoch, opinion.digest):
            values = (epoch, opinion.decisions, opinion.digest, json.dumps(dict(opinion.rules)))
            await self._database.run(lambda connection: connection.execute(_PUBLISH, *values))
            self._published = epoch, opinion

    async def tell_cut_off(self, panels: AbstractSet[str]) -> None:
        """Let all members know which panels this one cannot reach; a new epoch begins with none."""
        epoch = self._members.epoch
        if panels != (self._cut_off[1] if self._cut_off[0] == epoch else frozenset()):
            await self._database.run(lambda connection: connection.execute(_CUT_OFF, epoch, sorted(panels)))
            self._cut_off = epoch, panels

    async def place(self, panel: str, nodes: Mapping[str, str]) -> None:
        """Let all members know the nodes of some of a panel's servers.

        One at a time: a change that was committed late must not have a number that others have already passed.
        """
        rows = [(panel, server, node) for server, node in nodes.items()]

        async def place(connection: Connection) -> None:
            async with connection.transaction():
                await connection.execute(_LOCK)
                await connection.executemany(_PLACE, rows)

        await self._database.run(place)

    async def _look(self, connection: Connection) -> SharesSeen:
        epoch = self._members.epoch or 0
        if epoch != self._looked_as:
            self._looked_as, self._change = epoch, 0
            self._ended.begin_anew()
        await self._members.free_left(connection)
        rows = await connection.fetch(_LIVE, epoch, SERVER)
        live = {_member(row): row["out"] for row in rows}
        promoted, change = (rows[0]["promoted_at"], rows[0]["change"]) if rows else (None, None)
        opinions = await self._said(connection, {_member(row): row["digest"] for row in rows if row["digest"]})
        held = {what: _member(row) for row in rows for what in row["holds"]}
        placed = await connection.fetch(_PLACED, self._change) if change is not None and change > self._change else ()
        ended = await self._ended.since(connection)
        self._change = max((row["change"] for row in placed), default=self._change)
        me = next((one for one in live if one[1] == epoch), ("", epoch))
        if me not in live and epoch == self._members.epoch:  # evicted: the next renewal may be far
            self._members.lose()
        nodes = {(row["panel"], row["server"]): row["node"] for row in placed}
        out = frozenset(one for one, is_out in live.items() if is_out)
        cut_off = {_member(row): frozenset(row["panels"]) for row in rows if row["panels"]}
        return SharesSeen(me, frozenset(live) - out, held, nodes, frozenset(ended), out, opinions, promoted, cut_off)

    async def _said(self, connection: Connection, digests: Mapping[Member, str]) -> dict[Member, Opinion]:
        """Return what these members go by; the database is asked only for what is new, and not our own."""
        known = dict(self._opinions)
        if self._published is not None:
            known[self._published[1].digest] = self._published[1]
        new = {one[1]: one for one, digest in digests.items() if digest not in known}
        said = {one: known[digest] for one, digest in digests.items() if digest in known}
        for row in await connection.fetch(_OPINIONS, list(new)) if new else ():
            said[new[row["epoch"]]] = opinion_in(row)
        self._opinions = {one.digest: one for one in said.values()}
        return said


def _under_way(row: Any) -> UnderWay:  # noqa: ANN401 — as below
    return UnderWay(
        member=row["member"],
        server=row["server"],
        panel=row["panel"],
        server_uuid=row["server_uuid"],
        trigger=row["trigger"],
        began_at=read_rfc3339(row["began_at"]),
        step=row["step"],
        step_at=None if row["step_at"] is None else read_rfc3339(row["step_at"]),
    )


def _member(row: Any) -> Member:  # noqa: ANN401 — a row of asyncpg's
    return row["name"], row["epoch"]
