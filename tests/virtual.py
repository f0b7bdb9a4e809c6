"""Virtual time: an event loop that never waits, but jumps to the next moment at which something is due.

With the sandbox and the client in one process, hours of rotations pass in milliseconds, and in the same order each
time. Nothing here may be imported by the daemon.
"""

import asyncio
import selectors
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 4, 1, 3, 59, tzinfo=UTC)


class JumpingSelector(selectors.DefaultSelector):
    """Takes the wait for granted: what would have been waited for has passed."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            ready = super().select(5)  # a thread may still answer; in real time, since it lives there
            if not ready:
                raise RuntimeError("every task waits for something that never comes")
        if not ready and timeout:
            self.elapsed += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self, selector: type[JumpingSelector] = JumpingSelector) -> None:
        self._jumping = selector()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Seconds that would have passed."""
        return self._jumping.elapsed


class VirtualClock:
    """The daemon's clock on a virtual loop; who moves `start` sets it."""

    def __init__(self, start: datetime = START) -> None:
        self.start = self.first = start

    def now(self) -> datetime:
        """The wall clock."""
        return self.start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    def was_set_by(self) -> timedelta:
        """How far it was set."""
        return self.start - self.first

    async def sleep(self, seconds: float) -> None:
        """Wait on the loop, which takes no time."""
        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 — the loop is virtual


BACKEND: tuple[str, dict[str, Callable[[], Any]]] = ("asyncio", {"loop_factory": VirtualLoop})
"""For anyio's plugin: `anyio_backend` of the tests that run on virtual time."""
