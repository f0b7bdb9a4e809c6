"""How what alerts remember is written to the journal: one write at a time, and later again what failed."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager

from daemon.errors import StateError
from daemon.log import get_logger
from daemon.rotation.run import RotationContext
from daemon.state import Journal

log = get_logger()


class Writing:
    """Writes to the journal of a context."""

    def __init__(self, context: RotationContext) -> None:
        self._context = context
        self.behind = False
        """Whether it could not be written, so that it holds less than we know, or more."""

        self.one_at_a_time = asyncio.Lock()
        """Held from a write to what follows from it, so that nobody writes all while something is on its way."""

        self._writes: set[asyncio.Task[None]] = set()

    @property
    def journal(self) -> Journal:
        """The journal, as it is open now."""
        return self._context.journal

    @property
    def is_alone(self) -> bool:
        """Whether there is no cluster, so that nobody else writes to the journal."""
        return self._context.engine.leadership.shares is None

    @property
    def may_act(self) -> bool:
        """Whether it is certain that no other member of a cluster acts in the place of this one."""
        return not self._context.engine.leadership.hindrance(creates=False)

    @property
    def is_stand_in(self) -> bool:
        """Whether the journal is one in memory, in the place of one that cannot be opened now."""
        return self._context.opening_trouble is not None

    @contextmanager
    def noticing(self) -> Iterator[None]:
        """Log a failed write, and have it done later."""
        try:
            yield
        except StateError as error:
            self.behind = True
            log.warning("alerts_not_remembered", text=error.text, consequence="a restart may send an alert again")

    def later(self, write: Coroutine[None, None, None]) -> None:
        """Write this in the background."""
        task = asyncio.create_task(write, name="the memory of alerts")
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def close(self) -> None:
        """Return when all of it was written, or failed."""
        await asyncio.gather(*self._writes, return_exceptions=True)
