"""How many backups run at once on one node.

A slot is taken before a backup is created and given back when it is completed, or after `node_hold`, or once it is
pending far longer than earlier ones were: one stuck backup never keeps a node's next one waiting for ever
(invariant 12).
"""

import anyio

from daemon.clock import Clock


class Slot:
    """One place on one node; `release` may be called any number of times."""

    def __init__(self, limiter: anyio.CapacityLimiter, holder: object, clock: Clock, hold: float) -> None:
        self._limiter = limiter
        self._holder = holder
        self._clock = clock
        self._until = clock.monotonic() + hold
        self._held = True

    def remaining(self) -> float | None:
        """Seconds until the slot must be given back; None when it has been."""
        return max(0.0, self._until - self._clock.monotonic()) if self._held else None

    def hold_at_most(self, seconds: float) -> None:
        """Let it be held for so long from now on, unless it must be given back before."""
        self._until = min(self._until, self._clock.monotonic() + seconds)

    def release(self) -> None:
        """Let the node's next backup begin."""
        if self._held:
            self._held = False
            self._limiter.release_on_behalf_of(self._holder)


class NodeSlots:
    """The places on every node, by panel and node name. A reload may change how many there are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limiters: dict[tuple[str, str], anyio.CapacityLimiter] = {}

    async def take(self, panel: str, node: str, *, places: int, hold: float) -> Slot:
        """Wait for one of the node's `places`, first come first served; it may be held for `hold` seconds."""
        limiter = self._limiters.setdefault((panel, node), anyio.CapacityLimiter(places))
        limiter.total_tokens = places
        holder = object()
        await limiter.acquire_on_behalf_of(holder)
        return Slot(limiter, holder, self._clock, hold)
