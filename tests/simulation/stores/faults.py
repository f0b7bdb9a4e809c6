"""What goes wrong in one store at the moment, and what it is excused for: it has lied, lost, or was damaged."""

import random
from collections.abc import Sequence

from daemon.clock import Clock
from daemon.stores.base import Entry
from daemon.stores.errors import (
    StoreCutError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreTroubleError,
    StoreUnreachableError,
)
from tests.simulation.stores.bucket import Call

ERRORS = 0.3
"""How many of the calls fail while a store is in trouble."""
LIES = 0.4


class Trouble:
    """The faults of a bucket. Each is off until a spell sets it; `touched` are the keys that are not as they were put.

    `changed` counts what was ever set, so that who compares two moments knows whether all was well in between.
    """

    def __init__(self, name: str, clock: Clock, rng: random.Random) -> None:
        self.name = name
        self.unreachable = self.full = self.flaky = self.lying = self.refusing = self.cutting = False
        self.slow = self.late = 0.0
        self.next_answer_takes = 0.0
        self.touched: set[str] = set()
        self.failed = 0
        self._clock = clock
        self._rng = rng
        self._shown: dict[str, tuple[Entry, float]] = {}
        self._since: dict[str, float] = {}

    @property
    def well(self) -> bool:
        """Whether nothing is wrong with it now."""
        return not any(
            (self.unreachable, self.full, self.flaky, self.lying, self.refusing, self.cutting, self.slow, self.late)
        )

    async def before(self, call: Call, key: str) -> None:
        """Fail, or take a while."""
        await self._clock.sleep(0.01 + self._rng.random() * self.slow)
        error = self._error(call)
        if error is not None:
            self.failed += 1
            raise error

    def _error(self, call: Call) -> StoreError | None:
        if self.unreachable:
            return StoreUnreachableError(f"{self.name}: no connection")
        if self.flaky and self._rng.random() < ERRORS:
            return StoreTroubleError(f"{self.name}: 503")
        if self.full and call is Call.PUT:
            return StoreFullError(f"{self.name}: no room")
        if self.refusing and call is Call.DELETE:
            return StorePermissionError(f"{self.name}: 403")
        if self.cutting and call is Call.LIST:
            return StoreCutError(f"{self.name}: the listing was cut")
        return None

    async def after(self, call: Call, key: str) -> None:
        """Lose the answer, or take a while for the next one."""
        if self.next_answer_takes:
            seconds, self.next_answer_takes = self.next_answer_takes, 0.0
            await self._clock.sleep(seconds)
        if self.flaky and self._rng.random() < ERRORS:
            self.failed += 1
            raise StoreUnreachableError(f"{self.name}: the answer was lost")

    def kept(self, key: str, sent: bytes) -> bytes | None:
        """Keep nothing of what it says that it has stored, or the beginning."""
        if not self.lying or self._rng.random() >= LIES:
            return sent
        self.touched.add(key)
        return None if self._rng.random() < 0.5 else sent[: len(sent) // 2]

    def listed(self, entries: Sequence[Entry]) -> list[Entry]:
        """Show what came within the last seconds not yet, and what went within them still."""
        now, there = self._clock.monotonic(), {entry.key: entry for entry in entries}
        self._since = {key: self._since.get(key, now) for key in there}
        shown = dict(there)
        if self.late:
            shown = {key: entry for key, entry in there.items() if self._age(entry) > self.late}
            shown |= {
                key: entry for key, (entry, at) in self._shown.items() if key not in there and now - at <= self.late
            }
        self._shown = {key: (entry, now) for key, entry in there.items()} | {
            key: one for key, one in self._shown.items() if key not in there and now - one[1] <= self.late
        }
        return sorted(shown.values(), key=lambda entry: entry.key)

    def _age(self, entry: Entry) -> float:
        return (self._clock.now() - entry.modified).total_seconds()
