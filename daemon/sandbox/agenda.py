"""What is going to happen by itself: backups that finish, restores that end, other clients that come along.

There are no timers: whoever looks at the world first lets everything happen that is due by then, in the order of the
moments it was due at. So the world works under virtual time, and nothing runs in the background.
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
        """The present on the monotonic scale; while an action happens, the second that it was due at."""
        return self._clock.monotonic() if self._acting_at is None else self._acting_at

    def behind(self) -> float:
        """How many seconds ago the present action was due; 0 while none happens."""
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
