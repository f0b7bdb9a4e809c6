"""How many members of a cluster share what a panel, or a store, allows."""

from collections import deque
from collections.abc import Set as AbstractSet
from dataclasses import replace

from daemon.config.values import StoreConfig
from daemon.core.shares import Member
from daemon.panel.rate_limiter import OWN_WINDOW, Portion


class Population:
    """The live members, as they were counted of late.

    A member that is gone is counted until no window of the API limit holds requests of its any more. So all fractions
    together are no more than the whole, unless one that is gone is only cut off from the database: it goes on. Nobody
    can tell that it does not, until its name is there again.
    """

    def __init__(self) -> None:
        self._counts: deque[tuple[float, int]] = deque()
        self._seen: AbstractSet[Member] = frozenset()
        self._seen_at = float("-inf")
        self._missing: frozenset[str] = frozenset()

    def saw(self, members: AbstractSet[Member], now: float) -> None:
        """Take note of who is alive at this moment, of the monotonic clock."""
        alive = max(1, len(members))  # this one is, though it may have been replaced just now
        if not self._counts or self._counts[-1][1] != alive:
            self._counts.append((now, alive))
        self._missing = (self._missing | _names(self._seen)) - _names(members)
        self._seen, self._seen_at = members, now

    def portion(self, now: float) -> Portion:
        """Return this member's portion of what all may do together. It is not certain while one that is gone may go on,
        and after none of the others was seen for so long that they may count this one as gone.
        """
        return Portion(self.fraction(now), certain=not self._missing and now - self._seen_at < OWN_WINDOW)

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


def _names(members: AbstractSet[Member]) -> frozenset[str]:
    return frozenset(name for name, _ in members)
