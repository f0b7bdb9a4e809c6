"""Who is alive among the processes on one database, and what each holds: the whole fleet, or one server.

One row says of each member until when it lives, by the database's clock, and its epoch, which is never given twice.
What it holds is in rows that refer to it. Whoever wants something takes all rows away whose time is over, and with them
what those members held. From then on nothing is announced under their epoch: each announcement renews the row of its
own member, and fails without one, or without the server's lock (invariant 20). An expired row that nobody took away is
renewed: nobody has acted since.

Renewals have a connection of their own, so that they wait for nothing. When they end is counted from before a renewal
was sent, by a clock that goes on while the machine sleeps. After each renewal, leases that end further ahead than they
last are cut: the database's clock was set back, and a member that is dead shall not live for that much longer.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

from daemon.clock import since_boot
from daemon.config.values import ClusterConfig
from daemon.errors import ElsewhereError, StateError
from daemon.state.postgres import fence
from daemon.state.postgres.connect import Connection
from daemon.state.postgres.database import Database, MakeDatabase
from daemon.state.postgres.promotion import PROMOTED, WRITE_SECONDS

RENEWALS = 3
"""How many renewals fall within a lease: the next makes good for one that fails."""
MARGIN = 6
"""This share of the lease must be left when a write leaves."""
LOOK_SECONDS = 1.0
TAKEN_OVER = "another member of the cluster has taken over"
TOO_LATE = (
    "this one did not renew its lease in time, since its machine stood still or the database was out of reach; or it"
    " was evicted, which `ptero-backupd cluster status` shows"
)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds something."""

    name: str
    process: int


class Members:
    """This process as a member, from when it first holds something until it holds nothing any more."""

    def __init__(
        self,
        database: Database,
        cluster: ClusterConfig,
        now: Callable[[], float] = since_boot,
        make_database: MakeDatabase = Database,
    ) -> None:
        self._database = database
        self._renewals = make_database(cluster.url, longest_pause=2.0)
        self._cluster = cluster
        self.now = now
        self._lease = cluster.lease.total_seconds()
        self._joining = asyncio.Lock()
        self._users = 0
        self._epoch: int | None = None
        self._life = uuid4().hex
        """What our row is marked with, before we know its epoch. It is another one after each that we knew."""

        self._asked = False
        """Whether that row may be there."""

        self._until = float("-inf")
        self._failed_at = float("-inf")
        self._quiet_until = float("-inf")
        self._renewing: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        self._lost = asyncio.Event()
        self._held: dict[str, str | None] = {}
        self._left: set[str] = set()
        """What is held no more, as far as this process is concerned, and may be at the database."""

        self.token = uuid4().hex
        """What this process claims is marked so, whatever its epoch."""

    @property
    def epoch(self) -> int | None:
        """The epoch under which this process announces what it does; None if it holds nothing."""
        return self._epoch

    def hindrance(self, *, creates: bool) -> str:
        """Return why no write may leave now; empty if one may.

        Backups are made even while the database is known to be out of reach: at worst one more than needed.
        """
        if self._lost.is_set():
            return TAKEN_OVER
        now = self.now()
        if not creates and now < self._quiet_until:
            return PROMOTED
        if self._epoch is None or now < self._until - self._lease / MARGIN:
            return ""
        if creates and now < self._failed_at + self._lease / RENEWALS + LOOK_SECONDS:
            return ""
        return "this member's lease has not been renewed in time"

    async def announced(self, connection: Connection, row: tuple[object, ...]) -> bool:
        """Write a step, if this process still holds the server's lock; return whether it does. One that holds nothing
        just writes.
        """
        if self._epoch is None:
            await connection.execute(fence.STEP, *row)
        elif await connection.fetchval(fence.FENCED_STEP, self._epoch, self._cluster.lease, *row) is None:
            if not await self._renewed(connection, self._epoch):
                self.lose()
            return False
        return True

    @asynccontextmanager
    async def fenced(self, connection: Connection) -> AsyncIterator[None]:
        """Run a transaction that counts only while this process is a member; StateError if it is no more.

        Nobody takes over before the transaction has ended, since it has changed the member's row. A process that holds
        nothing just writes.
        """
        async with connection.transaction():
            await self._fence(connection, self._epoch)
            yield

    async def written(self, connection: Connection, change: str, values: Sequence[object]) -> int:
        """Make a change `as_member` and return how many rows it changed; StateError if this process is no more one.

        A process that holds nothing just writes.
        """
        statement = fence.as_member(change, acts=self._epoch is not None)
        changed = await connection.fetchval(statement, self._epoch, self._cluster.lease, *values)
        if changed is None:
            self.lose()
            raise StateError(TAKEN_OVER, hint=TOO_LATE)
        return int(changed)

    @property
    def is_lost(self) -> bool:
        """Whether another member has taken over from this one."""
        return self._lost.is_set()

    def lose(self) -> None:
        """Do nothing more under this epoch: another one has taken over."""
        self._lost.set()

    def renew_now(self) -> None:
        """Renew at once instead of at the next third of the lease."""
        self._soon.set()

    def terminate(self) -> None:
        """Renew no more, and close the connection for that at once: what is held ends with the lease."""
        if self._renewing is not None:
            self._renewing.cancel()
        self._renewals.terminate()

    async def lost(self) -> None:
        """Return when another member has taken over from this one."""
        await self._lost.wait()

    @property
    def parts_in_use(self) -> frozenset[str]:
        """The parts whose end would also end something that this process holds."""
        return frozenset(filter(None, self._held.values()))

    @asynccontextmanager
    async def held(self, what: str, part: str | None = None) -> AsyncIterator[Holder | None]:
        """Hold something, if nobody else does; give who holds it otherwise. Raises StateError.

        With a `part`, it is only held by the member that holds that part as well, and ends with it.
        """
        if what in self._held:
            yield Holder(self._cluster.member, os.getpid())
            return
        self._held[what] = part
        try:
            async with self.joined() as epoch:
                try:
                    yield await self._database.run(lambda connection: self._take(connection, what, epoch, part))
                finally:
                    # In its turn, since it may be cancelled while it is only just being taken.
                    self._left.add(what)
                    with suppress(StateError):
                        await self._database.run(lambda connection: self._free(connection, what))
        finally:
            del self._held[what]

    async def free_left(self, connection: Connection) -> None:
        """Give back what could not be given back when the time came, as the database was out of reach: the next to hold
        it may be another member.
        """
        for what in sorted(self._left - self._held.keys()):
            await self._free(connection, what)

    async def holder(self, what: str) -> Holder | None:
        """Return who holds something; raises StateError."""
        row = await self._database.look(lambda connection: connection.fetchrow(fence.HOLDER, what))
        return None if row is None else Holder(row["name"], row["process"])

    @asynccontextmanager
    async def joined(self, role: str = "command") -> AsyncIterator[int]:
        """Be a member meanwhile, in that role unless it is one already, and give the epoch; raises StateError."""
        self._users += 1
        self._database.use()
        try:
            async with self._joining:
                epoch = await self._join(role)
            yield epoch
        finally:
            self._users -= 1
            if not self._users:
                await self._leave()
            await self._database.leave()

    async def _join(self, role: str) -> int:
        if self._lost.is_set():
            raise StateError(TAKEN_OVER, hint=TOO_LATE)
        if self._epoch is not None:
            return self._epoch
        sent_at = self.now()
        values = (self._cluster.member, os.getpid(), self._cluster.lease, role, self._life)
        self._asked = True
        joined = await self._database.run(lambda connection: connection.fetchrow(fence.JOIN, *values))
        self._epoch = int(joined["epoch"])
        self._until, self._failed_at = sent_at + self._lease, float("-inf")
        if joined["promoted"] is not None:
            ago = max(0.0, joined["promoted"])  # less than nothing if the clock was set back since
            self._quiet_until = sent_at + self._lease + WRITE_SECONDS - ago
        self._renewing = asyncio.create_task(self._renew_on(self._epoch), name="renewing the lease")
        return self._epoch

    async def _leave(self) -> None:
        """Let others take over at once; also if nobody heard whether we have joined."""
        life, asked, renewing = self._life, self._asked, self._renewing
        if self._epoch is not None:
            self._life = uuid4().hex
        self._epoch = self._renewing = None
        self._asked = False
        self._left.clear()
        if renewing is not None:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        if asked:
            with suppress(StateError):
                await self._database.run(lambda connection: connection.execute(fence.LEAVE, life))
        if not self._users:
            self._lost.clear()

    async def take(self, what: str) -> bool:
        """Hold something until `free`, if nobody else does; return whether we do. Raises StateError."""
        epoch = self._epoch
        if epoch is None:
            return False
        other = await self._database.run(lambda connection: self._take(connection, what, epoch, None))
        return other is None

    async def free(self, what: str) -> None:
        """Hold it no more; raises StateError."""
        await self._database.run(lambda connection: self._free(connection, what))

    async def _free(self, connection: Connection, what: str) -> None:
        await connection.execute(fence.FREE, what, self._epoch)
        self._left.discard(what)

    async def _take(self, connection: Connection, what: str, epoch: int, part: str | None) -> Holder | None:
        """Take what nobody holds, or whose holder's time is over; return who holds it otherwise.

        That it is free is the rule, and then one statement does it. Why not is found out in a transaction.
        """
        if await connection.fetchval(fence.TAKE_AT_ONCE, epoch, self._cluster.lease, what, part) is not None:
            return None
        async with connection.transaction():
            await self._fence(connection, epoch)
            if part is not None and await connection.fetchval(fence.HOLD_FAST, part, epoch) is None:
                row = await connection.fetchrow(fence.HOLDER, part)
                raise ElsewhereError(what.removeprefix(fence.SERVER), "" if row is None else row["name"])
            # It is ours still if the database was out of reach when we gave it back.
            for take in (fence.TAKE, fence.KEEP):
                if await connection.fetchval(take, what, epoch, part) is not None:
                    return None
            row = await connection.fetchrow(fence.HOLDER, what)
        return Holder("another member", 0) if row is None else Holder(row["name"], row["process"])

    async def _renew_on(self, epoch: int) -> None:
        """Renew until there is nothing left to renew."""
        self._renewals.use()
        pause = self._lease / RENEWALS
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._soon.wait(), pause)
                self._soon.clear()
                pause = self._lease / RENEWALS
                sent_at = self.now()
                try:
                    if not await self._renewals.look(lambda connection: self._renewed(connection, epoch)):
                        self.lose()
                        return
                    self._until = sent_at + self._lease
                    await self._renewals.look(lambda connection: connection.execute(fence.CUT, epoch))
                except StateError:
                    self._failed_at, pause = self.now(), min(pause, LOOK_SECONDS)
        finally:
            await self._renewals.leave()

    async def _fence(self, connection: Connection, epoch: int | None) -> None:
        """Renew, if anything is held; raises StateError if another member has taken over."""
        if epoch is not None and not await self._renewed(connection, epoch):
            self.lose()
            raise StateError(TAKEN_OVER, hint=TOO_LATE)

    async def _renewed(self, connection: Connection, epoch: int) -> bool:
        return await connection.fetchval(fence.RENEW, epoch, self._cluster.lease) is not None
