"""The clocks of a run: the panel's is true but for the skew it is set to, the daemon's host can be set wrong."""

import asyncio
import selectors
from collections.abc import Callable
from datetime import datetime, timedelta

import daemon.clock
from tests.virtual import JumpingSelector, VirtualLoop


class _NobodyElse(JumpingSelector):
    """Asks the kernel for nothing: no thread and no socket can wake up a run."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select()
        self.elapsed += max(0.0, timeout)
        return []


class SteppedLoop(VirtualLoop):
    """Virtual time, and somebody who is told before each step of the loop."""

    on_step: Callable[[], None] | None = None

    def __init__(self) -> None:
        super().__init__(_NobodyElse)

    def _run_once(self) -> None:
        if self.on_step is not None:
            self.on_step()
        super()._run_once()  # type: ignore[misc]  # asyncio's own, which its types do not name


class TrueClock:
    """Virtual time since the run began."""

    def __init__(self, begins: datetime) -> None:
        self.begins = begins

    def now(self) -> datetime:
        """What every clock would show that is right."""
        return self.begins + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """The loop's time."""
        return asyncio.get_running_loop().time()

    def was_set_by(self) -> timedelta:
        """A clock that is right is never set."""
        return timedelta(0)

    async def sleep(self, seconds: float) -> None:
        """Wait on the loop, which takes no time."""
        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 — the loop is virtual


class HostClock(TrueClock):
    """The clock of the machine that the daemon runs on; `ahead` is by how much it is wrong at the moment."""

    ahead = timedelta(0)

    def now(self) -> datetime:
        """What the machine's clock shows."""
        return super().now() + self.ahead


class ProcessClock:
    """The host's clock as one process has it: a process that was killed never wakes up."""

    def __init__(self, host: HostClock, check_alive: Callable[[], None]) -> None:
        self._host = host
        self._check_alive = check_alive
        self._ahead_at_first = host.ahead
        self.now = host.now
        self.monotonic = host.monotonic

    def was_set_by(self) -> timedelta:
        """How far the host's clock was set since the process began."""
        return self._host.ahead - self._ahead_at_first

    async def sleep(self, seconds: float) -> None:
        """Wait, if there is still somebody to wait."""
        self._check_alive()
        await self._host.sleep(seconds)
        self._check_alive()


_: type[daemon.clock.Clock] = TrueClock
