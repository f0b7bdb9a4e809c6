"""The way from one process to the database: slow, cut off, or losing the answer to what was done.

What is under way is no part of the process: it may arrive after the process has given up, was stopped, or is dead.
"""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, Protocol, TypeVar

from tests.simulation.cluster.engine import Link
from tests.simulation.cluster.tables import Tables

if TYPE_CHECKING:
    from random import Random

Result = TypeVar("Result")

MOMENTS = (0.0, 0.0, 0.01, 0.3)
"""How many seconds a statement is under way, in either direction, if that takes any time."""
AT_ONCE = 0.6
"""So many of the statements take none, where nothing is in the way: a run has thousands."""


class Caller(Protocol):
    """A process that asks the database."""

    name: str

    def check_alive(self) -> None:
        """Raise CancelledError where the process is dead."""
        ...

    def tick(self, where: str) -> None:
        """Something happens at which the process may be killed."""
        ...

    def announced(self) -> None:
        """What it announced is committed, and it knows that in a moment."""
        ...


class Roads:
    """What all ways from one machine have in common. `slowness` is how long they take at most beside that, `losing` how
    many of the answers are lost, `quick` how many of the statements take no time. Where they are `cut`, what is sent
    waits until they are open again. Something last did not come through at `failed_at`. Where the machine is
    `off_panel`, nothing gets to the panel and back.
    """

    def __init__(self, rng: "Random") -> None:
        self.rng = rng
        self.slowness = self.losing = 0.0
        self.refusing = self.off_panel = False
        self.quick = AT_ONCE
        self.failed_at = float("-inf")
        self._open = asyncio.Event()
        self._open.set()
        self._outside = copy_context()

    @property
    def cut(self) -> bool:
        """Whether nothing comes through."""
        return not self._open.is_set()

    @cut.setter
    def cut(self, cut: bool) -> None:
        (self._open.clear if cut else self._open.set)()

    def at_once(self) -> bool:
        """Whether a statement takes no time."""
        trouble = self.cut or self.refusing or self.slowness or self.losing
        return not trouble and self.rng.random() < self.quick

    async def pass_along(self) -> None:
        """Take one way."""
        seconds = self.rng.choice(MOMENTS) + (self.rng.random() * self.slowness if self.slowness else 0.0)
        if seconds:
            await asyncio.sleep(seconds)  # noqa: TID251 — the loop is virtual
        await self._open.wait()
        if self.refusing:
            raise ConnectionRefusedError

    def begin(self, way: "asyncio._CoroutineLike[Result]") -> "asyncio.Task[Result]":
        """Let something be under way that is no part of any process."""
        task = asyncio.get_running_loop().create_task(way, context=self._outside.copy())
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task


class Network(Link):
    """The ways of one process."""

    def __init__(self, tables: Tables, roads: Roads, caller: Caller) -> None:
        super().__init__(tables)
        self.process = caller.name
        self._roads = roads
        self._caller = caller

    async def carry(self, work: Callable[[], Result]) -> Result:
        """Have something done at the database, and return what came of it, if the answer comes."""
        self._caller.check_alive()
        try:
            if self._roads.at_once():
                return work()
            result = await asyncio.shield(self._roads.begin(self._there_and_back(work)))
        except BaseException:
            self._roads.failed_at = asyncio.get_running_loop().time()
            raise
        self._caller.check_alive()
        self._caller.tick("the database has answered")
        return result

    async def _there_and_back(self, work: Callable[[], Result]) -> Result:
        await self._roads.pass_along()
        before = len(self.tables.announced)
        result = work()
        if len(self.tables.announced) > before:
            self._caller.announced()
        await self._roads.pass_along()
        if self._roads.losing and self._roads.rng.random() < self._roads.losing:
            raise ConnectionResetError
        return result
