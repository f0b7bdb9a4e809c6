"""Bound how many backups run at once on one node.

A slot is taken before a backup is created and given back when it is completed, or after `node_hold`, or once it is
pending far longer than earlier ones were: one stuck backup never keeps a node's next one waiting for ever
(invariant 12).

A node that failed several servers is asked gently: for one at a time, and with a growing pause, until it does what it
is asked. Otherwise its servers would find out one after another, each after the panel's own timeout.
"""

import asyncio
from dataclasses import dataclass, field

import anyio

from daemon.clock import Clock
from daemon.core.backoff import Backoff


class Slot:
    """One place on one node; `release` may be called any number of times."""

    def __init__(self, limiter: anyio.CapacityLimiter, holder: object, clock: Clock, hold: float) -> None:
        self._limiter = limiter
        self._holder = holder
        self._clock = clock
        self._until = clock.monotonic() + hold
        self._held = True

    def remaining(self) -> float | None:
        """Return the seconds until the slot must be given back; None when it has been."""
        return max(0.0, self._until - self._clock.monotonic()) if self._held else None

    def hold_at_most(self, seconds: float) -> None:
        """Hold the slot for at most `seconds` from now, or less if it must be given back earlier."""
        self._until = min(self._until, self._clock.monotonic() + seconds)

    def release(self) -> None:
        """Let the node's next backup begin."""
        if self._held:
            self._held = False
            self._limiter.release_on_behalf_of(self._holder)


SEVERAL = 2
PAUSES = Backoff(5.0, 60.0)
"""Seconds before a node in trouble is asked for the next server: the panel itself waits 15 s for it each time, and one
that comes back should not be found out a minute later than needed.
"""


@dataclass(slots=True)
class _Trouble:
    """What a node failed at since it last worked; `turn` is held by the rotation that asks it next."""

    servers: set[str] = field(default_factory=set)
    tries: int = 1
    until: float = float("-inf")
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def pause(self) -> float:
        """Seconds between one server and the next."""
        return PAUSES.pause(self.tries)

    @property
    def several(self) -> bool:
        return len(self.servers) >= SEVERAL


class NodeSlots:
    """The places on every node, by panel and node name. A reload may change how many there are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limiters: dict[tuple[str, str], anyio.CapacityLimiter] = {}
        self._troubles: dict[tuple[str, str], _Trouble] = {}

    async def take(self, panel: str, node: str, *, places: int, hold: float, patient: bool = True) -> Slot:
        """Wait for one of the node's `places`, first come, first served; it may be held for `hold` seconds.

        A `patient` caller also waits for a node that is in trouble.
        """
        limiter = self._limiters.setdefault((panel, node), anyio.CapacityLimiter(places))
        limiter.total_tokens = places
        holder = object()
        await limiter.acquire_on_behalf_of(holder)
        slot = Slot(limiter, holder, self._clock, hold)
        if patient:
            try:
                await self._rest((panel, node))
            except BaseException:
                slot.release()
                raise
        return slot

    def busy(self, panel: str, node: str) -> bool:
        """Return whether a rotation holds one of the node's places, or waits for one."""
        limiter = self._limiters.get((panel, node))
        if limiter is None:
            return False
        return limiter.borrowed_tokens > 0 or limiter.statistics().tasks_waiting > 0

    async def _rest(self, key: tuple[str, str]) -> None:
        """Wait until the node may be asked again, and let the next one wait from now on."""
        trouble = self._troubles.get(key)
        if trouble is None or not trouble.several:
            return
        async with trouble.turn:
            if self._troubles.get(key) is trouble:
                await self._clock.sleep(max(0.0, trouble.until - self._clock.monotonic()))
                trouble.until = self._clock.monotonic() + trouble.pause

    def failed(self, panel: str, node: str, server: str) -> None:
        """Record that the node did not make a backup of that server."""
        trouble = self._troubles.setdefault((panel, node), _Trouble())
        trouble.servers.add(server)
        trouble.until = self._clock.monotonic() + trouble.pause
        if trouble.several:
            trouble.tries += 1

    def did(self, panel: str, node: str) -> None:
        """Record that the node works."""
        self._troubles.pop((panel, node), None)
