"""Work of the daemon's own that goes on beside the rotations: one step after another, and a rest while there is none.

What must hold: a bug ends only the step that it is in (invariant 12).
"""

import asyncio
from collections.abc import Awaitable, Callable

from daemon.clock import Clock
from daemon.log import get_logger

log = get_logger()

GLANCE_SECONDS = 60.0
"""How often to look whether anything is due: that goes by the wall clock, which may be set."""


class Steps:
    """A task that takes steps from `begin` to `stop`. `step` calls `rest` where there is nothing to do."""

    def __init__(self, step: Callable[[], Awaitable[None]], clock: Clock, name: str) -> None:
        self._step = step
        self._clock = clock
        self._name = name
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin; once it has begun this does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._go_on(), name=self._name)

    def wake(self) -> None:
        """End the rest, if it rests."""
        self._woken.set()

    async def rest(self, seconds: float) -> None:
        """Wait for so long, or until it is woken: at once, if that was since its step began, or since the last rest."""
        waits = [asyncio.create_task(self._clock.sleep(seconds)), asyncio.create_task(self._woken.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        self._woken.clear()

    async def stop(self) -> None:
        """Break off the step that it is at, and wait until that has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _go_on(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._step()
            except Exception:
                log.exception("bug")
                await self._clock.sleep(GLANCE_SECONDS)
