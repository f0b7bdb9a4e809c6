"""Stand-ins that tests pass in: a clock that never really waits."""

import asyncio
from datetime import UTC, datetime, timedelta

from daemon.clock import SystemClock

START = datetime(2026, 4, 1, 4, 0, tzinfo=UTC)


class FakeClock:
    """A clock whose time passes only by sleeping, at once; what was slept is kept in `naps`."""

    def __init__(self, start: datetime = START) -> None:
        self.start = self.first = start
        self.elapsed = 0.0
        self.naps: list[float] = []

    def now(self) -> datetime:
        """The start plus all that was slept."""
        return self.start + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        """Seconds slept so far."""
        return self.elapsed

    def was_set_by(self) -> timedelta:
        """How far `start` was moved."""
        return self.start - self.first

    async def sleep(self, seconds: float) -> None:
        """Let the time pass without waiting for it, and let others run."""
        self.naps.append(seconds)
        self.elapsed += max(0.0, seconds)
        await asyncio.sleep(0)  # noqa: TID251 — lets other tasks run, waits for nothing


class SkippingClock(SystemClock):
    """The machine's clock, moved on by what was slept instead of sleeping: for tests over real sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def now(self) -> datetime:
        """The machine's time, and what was skipped."""
        return super().now() + timedelta(seconds=self.skipped)

    def monotonic(self) -> float:
        """The machine's time, and what was skipped."""
        return super().monotonic() + self.skipped

    async def sleep(self, seconds: float) -> None:
        """Skip the time, and let others run."""
        self.skipped += max(0.0, seconds)
        await super().sleep(0)
