"""The panel's clock, as its answers show it, compared with ours."""

from datetime import datetime, timedelta

from daemon.clock import Clock
from daemon.core.clocks import RECENT, doubt


class PanelClock:
    """What the `Date` headers since the first one say of the panel's clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: tuple[datetime, float] | None = None
        self._first_ahead: timedelta | None = None

    def learn(self, date: datetime) -> None:
        """Take note of the `Date` of an answer that has just arrived."""
        self._last = date, self._clock.monotonic()
        if self._first_ahead is None:
            self._first_ahead = self._ahead(date, self._clock.now())

    def now(self) -> datetime | None:
        """Return the panel's clock now: its last `Date` plus the time since; None before the first."""
        if self._last is None:
            return None
        date, then = self._last
        return date + timedelta(seconds=self._clock.monotonic() - then)

    def doubt(self, taken_at: datetime, read_at: float) -> str:
        """Return why nothing may be deleted by a listing of that date, read at that monotonic moment, if so."""
        since = timedelta(seconds=self._clock.monotonic() - read_at)
        ours = self._clock.now() - since
        known = self._last is not None and self._clock.monotonic() - self._last[1] <= RECENT.total_seconds()
        return doubt(
            panel_ahead=taken_at - ours if known else None,
            panel_set=self._ahead(taken_at, ours) - (self._first_ahead or timedelta(0)),
            ours_set=self._clock.was_set_by(),
        )

    def _ahead(self, panel: datetime, ours: datetime) -> timedelta:
        """Return how far the panel's clock is ahead of ours, as if ours had never been set."""
        return panel - ours + self._clock.was_set_by()
