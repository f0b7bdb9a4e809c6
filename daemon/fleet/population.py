"""How many members of a cluster share what a panel, or a store, allows."""

from collections import deque
from dataclasses import replace

from daemon.config.values import StoreConfig
from daemon.panel.rate_limiter import OWN_WINDOW


class Population:
    """The live members, as they were counted of late.

    A member that is gone is counted until no window of the API limit holds requests of its any more. So all fractions
    together are never more than the whole.
    """

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()

    def saw(self, members: int, now: float) -> None:
        """Take note of how many members are alive at this moment, of the monotonic clock."""
        alive = max(1, members)  # this one is, though it may have been replaced just now
        if not self._counts or self._counts[-1][1] != alive:
            self._counts.append((now, alive))

    def fraction(self, now: float) -> float:
        """Return this member's fraction of what all may do together; 0 before the first look."""
        while len(self._counts) > 1 and self._counts[1][0] <= now - OWN_WINDOW:
            self._counts.popleft()
        return 1 / max(count for _, count in self._counts) if self._counts else 0.0


def slowed(store: StoreConfig, fraction: float) -> StoreConfig:
    """Return a store with that fraction of its rate, and of at least one byte a second."""
    rate = store.settings.rate
    if rate is None or fraction == 1:
        return store
    return replace(store, settings=replace(store.settings, rate=max(1, int(rate * fraction))))
