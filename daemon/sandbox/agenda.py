"""What will happen by itself: backups finish, restores end, other clients make their calls.

There are no timers: each look at the world first lets everything happen that is due by then, in the order of its
moments. So the world works under virtual time, and nothing runs in the background.
"""

import heapq
from collections.abc import Callable

from daemon.clock import Clock


class Agenda:
    """Actions with the second, on the clock's monotonic scale, at which each is due."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        self._acting_at: float | None = None

    def seconds(self) -> float:
        """Return the present on the monotonic scale; during an action, the second at which it was due."""
        return self._clock.monotonic() if self._acting_at is None else self._acting_at

    def behind(self) -> float:
        """Return how many seconds ago the present action was due; 0 if none is happening."""
        return self._clock.monotonic() - self.seconds()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let `action` happen that many seconds from the present; at the next look if they are negative."""
        self._number += 1
        heapq.heappush(self._waiting, (self.seconds() + seconds, self._number, action))

    def settle(self) -> None:
        """Let everything happen that is due."""
        if self._acting_at is not None:
            return
        now = self._clock.monotonic()
        try:
            while self._waiting and self._waiting[0][0] <= now:
                self._acting_at, _, action = heapq.heappop(self._waiting)
                action()
        finally:
            self._acting_at = None
