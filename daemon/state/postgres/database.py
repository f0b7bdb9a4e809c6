"""One connection to the database, made when it is needed, made again after it was lost, and used in turn.

A call that is cancelled is done all the same: what it left half done on the connection would hit the next one. While
the database is out of reach, only one call in a while tries to reach it, and the others fail at once: otherwise
hundreds of rotations would wait one after the other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeVar

from pydantic import SecretStr

from daemon.core.backoff import Backoff
from daemon.errors import JournalBusyError, StateError
from daemon.state.postgres.connect import ANSWER_SECONDS, Connection, connect, title_of
from daemon.state.postgres.promotion import notice
from daemon.state.postgres.schema import migrate
from daemon.state.postgres.trouble import translated

CLOSE_SECONDS = 2.0

Result = TypeVar("Result")
Work = Callable[[Connection], Awaitable[Result]]


class Database:
    """A database, and at most one connection to it. It stays connected while somebody has it in `use`."""

    def __init__(self, url: SecretStr, *, longest_pause: float = 15.0) -> None:
        self.title = title_of(url)
        self._url = url
        self._pauses = Backoff(0.5, longest_pause)
        self._turn = asyncio.Lock()
        self._connection: Connection = None
        self._users = 0
        self._migrated = False
        self._failures = 0
        self._again_at = float("-inf")
        self._failure: StateError | None = None

    def use(self) -> None:
        """Keep the connection until `leave`."""
        self._users += 1

    async def leave(self) -> None:
        """Close the connection once nobody uses it, after all earlier calls."""
        self._users -= 1
        async with self._turn:
            await self._close_unused()

    def terminate(self) -> None:
        """Close the connection at once."""
        self._users = 0
        self._forget_a_lost_one()

    async def run(self, work: Work[Result]) -> Result:
        """Do this with the connection, after all earlier calls, on tables of our version; raises StateError."""
        return await self._in_turn(self._migrating(work))

    async def look(self, work: Work[Result]) -> Result:
        """Do the same, and make no tables if there are none."""
        return await self._in_turn(work)

    def _migrating(self, work: Work[Result]) -> Work[Result]:
        async def on_tables(connection: Connection) -> Result:
            if not self._migrated:
                await migrate(connection, self.title)
                self._migrated = True
            return await work(connection)

        return on_tables

    async def _in_turn(self, work: Work[Result]) -> Result:
        task = asyncio.ensure_future(self._once(work))
        task.add_done_callback(_seen)
        return await asyncio.shield(task)

    async def _once(self, work: Work[Result]) -> Result:
        async with self._turn:
            try:
                connection = await self._connected()
                with translated(f"{self.title} cannot be used"):
                    async with asyncio.timeout(ANSWER_SECONDS):
                        return await work(connection)
            except JournalBusyError:
                self._forget_a_lost_one()
                raise
            finally:
                await self._close_unused()

    async def _connected(self) -> Connection:
        """Return the connection; while it cannot be made, fail at once but now and then."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        now = asyncio.get_running_loop().time()
        if self._failure is not None and now < self._again_at:
            raise self._failure
        try:
            self._connection = await self._connect()
            with translated(f"{self.title} cannot be used"):
                await notice(self._connection, self.title)
        except StateError as error:
            self._forget_a_lost_one()
            self._failures += 1
            self._failure = error
            self._again_at = asyncio.get_running_loop().time() + self._pauses.pause(self._failures)
            raise
        self._failures, self._failure = 0, None
        return self._connection

    async def _connect(self) -> Connection:
        return await connect(self._url, self.title)

    def _forget_a_lost_one(self) -> None:
        """After a statement without an answer nobody knows what the connection does."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _close_unused(self) -> None:
        if self._users <= 0 and self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(StateError), translated(self.title):
                await connection.close(timeout=CLOSE_SECONDS)


class MakeDatabase(Protocol):
    """Makes what stands for one connection to a database."""

    def __call__(self, url: SecretStr, *, longest_pause: float = ...) -> Database:
        """Return it; nothing is connected yet."""
        ...


def _seen(task: asyncio.Task[Result]) -> None:
    """Take the exception of a call that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
