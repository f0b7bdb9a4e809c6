"""How long to wait before something is tried again, or looked at again: longer each time, up to a bound.

Each place that waits like this has a `Backoff` of its own, with the reason for its figures. The few pauses that do not
grow by one factor are tables where they are used. Nothing here draws a random number: the caller does.
"""

from dataclasses import dataclass
from datetime import timedelta
from math import ceil, log
from typing import Generic, TypeVar

Span = TypeVar("Span", float, timedelta)
"""Seconds, or a timedelta."""


@dataclass(frozen=True)
class Backoff(Generic[Span]):
    """Pauses that begin with `first`, each `factor` (above 1) times as long as the one before, none above `most`."""

    first: Span
    most: Span
    factor: float = 2.0

    def pause(self, tries: int, *, asked: Span | None = None, jitter: float = 0.0) -> Span:
        """Return how long to wait after that many tries, 1 being the first.

        What the other side `asked` for takes the place of our own pause, up to `most`. `jitter`, drawn from 0 to 1, is
        the share of `first` that is added: those who failed together then come back apart.
        """
        own = self._own(max(tries, 1) - 1)
        return min(own if asked is None else asked, self.most) + self.first * jitter

    def pause_after(self, waited: Span) -> Span:
        """Return the next pause after pauses of `waited` in total, for a caller that knows when it began, not how often
        it tried.
        """
        return min(self.first + waited * (self.factor - 1), self.most)

    def _own(self, doublings: int) -> Span:
        """Return the pause after that many longer ones; a power that no float holds is never asked for."""
        enough = ceil(log(self.most / self.first) / log(self.factor))
        return self.first * self.factor ** min(doublings, enough)
