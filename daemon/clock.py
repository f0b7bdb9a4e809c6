"""The one module that reads the clock and sleeps; everything else is given a `Clock`, or `now` as a value.

Tests and the simulation pass their own clock, so that no test sleeps and hopes.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

YEARS = range(1970, 3000)
"""Whose moments are believed: a century to either side of them is still within the calendar, so they can be reckoned
with.
"""


_RUNNING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Counts what the machine slept as well, where the system has such a clock: Linux."""


class Clock(Protocol):
    """A clock: wall time, monotonic time, and sleep."""

    def now(self) -> datetime:
        """Return the wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return the seconds since some fixed moment; it never goes back."""
        ...

    def was_set_by(self) -> timedelta:
        """Return how far the wall clock has been set since this was made: forward, or back if negative."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds (none if negative)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def __init__(self) -> None:
        self._since_boot = self._booted()

    def now(self) -> datetime:
        """Return the wall clock, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 — this is the one place

    def monotonic(self) -> float:
        """Return the seconds since some fixed moment; it never goes back."""
        return time.monotonic()  # noqa: TID251 — this is the one place

    def was_set_by(self) -> timedelta:
        """Return how far the wall clock has been set since this was made; sleep of the machine does not count."""
        return self._booted() - self._since_boot

    def _booted(self) -> datetime:
        """Return when the machine was booted, by the wall clock as it is now."""
        running = time.clock_gettime(_RUNNING)
        return datetime.now(UTC) - timedelta(seconds=running)  # noqa: TID251 — this is the one place

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds (none if negative)."""
        import asyncio  # noqa: PLC0415 — a third of what `plan --listing` would load, and who awaits this has it

        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 — this is the one place


def pause(seconds: float) -> None:
    """Block the whole process for a moment, to wait for something that gives no notice."""
    time.sleep(seconds)  # noqa: TID251 — this is the one place


def since_boot() -> float:
    """Return the seconds since the machine was booted; the time that it slept counts as well."""
    return time.clock_gettime(_RUNNING)
