"""The one module that reads the clock and waits; everything else is handed a `Clock`, or `now` as a value.

Tests and the simulation pass a clock of their own, so nothing ever sleeps for luck.
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
    """What may be known of time."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    def was_set_by(self) -> timedelta:
        """How far the wall clock was set since this was made: forward, or back where it is negative."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds (none when negative)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def __init__(self) -> None:
        self._since_boot = self._booted()

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 — this is the one place

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        return time.monotonic()  # noqa: TID251 — this is the one place

    def was_set_by(self) -> timedelta:
        """How far the wall clock was set since this was made; a machine that slept was not set."""
        return self._booted() - self._since_boot

    def _booted(self) -> datetime:
        """When the machine was booted, as the wall clock has it now."""
        running = time.clock_gettime(_RUNNING)
        return datetime.now(UTC) - timedelta(seconds=running)  # noqa: TID251 — this is the one place

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds (none when negative)."""
        import asyncio  # noqa: PLC0415 — a third of what `plan --listing` would load, and who awaits this has it

        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 — this is the one place


def pause(seconds: float) -> None:
    """Let the whole process stand still: for moments, where something must be waited for that nobody tells of."""
    time.sleep(seconds)  # noqa: TID251 — this is the one place
