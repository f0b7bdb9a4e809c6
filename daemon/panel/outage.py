"""A panel that is down: one call tries again for all others, which try once.

Otherwise each server of a fleet would find out by itself, with four requests in ten seconds. What must hold: any answer
from the panel ends the outage, so that trouble with one address says nothing of another that is answered.
"""

import asyncio

from daemon.clock import Clock
from daemon.panel.errors import PanelError, PanelTroubleError, PanelUnreachableError

KNOWN_SECONDS = 60.0
"""How long it is taken for down after the last try, unless it answers."""

_BEFORE_IT = frozenset({502, 503, 504})  # what a proxy says of a panel that is not there, or a panel in maintenance


def is_down(error: PanelError) -> bool:
    """Return whether the error is one that every other call would meet as well."""
    if isinstance(error, PanelUnreachableError):
        return True
    return isinstance(error, PanelTroubleError) and error.status in _BEFORE_IT


class Outage:
    """What all calls of one key know of their panel's outage."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answered_at = float("-inf")
        self._known_until = float("-inf")
        self._began_at = float("-inf")
        self._leader: asyncio.Future[None] | None = None

    @property
    def known(self) -> bool:
        """Whether the panel was found to be down a moment ago."""
        return self._clock.monotonic() < self._known_until

    def answered(self) -> None:
        """Take note that the panel answered something."""
        self._answered_at, self._known_until = self._clock.monotonic(), float("-inf")

    def lead(self) -> bool:
        """Return whether the caller is the one that tries again for all; if so, it must call `end`."""
        if self.known or self._leader is not None:
            return False
        self._leader = asyncio.get_running_loop().create_future()
        self._began_at = self._clock.monotonic()
        return True

    def end(self, *, down: bool) -> None:
        """Take note that the leader's tries are over. They count for all only if the panel answered nobody."""
        if down and self._answered_at < self._began_at:
            self._known_until = self._clock.monotonic() + KNOWN_SECONDS
        if self._leader is not None:
            self._leader.set_result(None)
            self._leader = None

    async def given_up(self) -> bool:
        """Wait for the leader, if there is one; return whether the panel is known to be down."""
        if self._leader is not None:
            await asyncio.shield(self._leader)
        return self.known
