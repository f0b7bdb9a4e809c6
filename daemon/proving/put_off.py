"""The readings that were put off: until when, and after how many tries."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from daemon.core.proof_due import PAUSES

NODE_PAUSE = timedelta(minutes=1)
"""How long to wait before a node that makes backups is looked at again."""

Place = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Try:
    """A reading that was put off, until that moment, after so many tries; in so many of them the reader died."""

    until: datetime
    tries: int = 0
    deaths: int = 0


class PutOff:
    """What was put off, by its place."""

    def __init__(self) -> None:
        self._tries: dict[Place, _Try] = {}

    def later(self, now: datetime) -> AbstractSet[Place]:
        """Return what was put off until later than now. No clock that was set back makes that longer than the longest
        pause.
        """
        return {place for place, one in self._tries.items() if now < one.until <= now + PAUSES.most}

    def for_node(self, place: Place, now: datetime) -> None:
        """Its node makes a backup."""
        self._tries[place] = replace(self._of(place, now), until=now + NODE_PAUSE)

    def failed(self, place: Place, now: datetime) -> None:
        """It could not be read: it is tried again less and less often."""
        before = self._of(place, now)
        tries = before.tries + 1
        self._tries[place] = replace(before, until=now + PAUSES.pause(tries), tries=tries)

    def died(self, place: Place, now: datetime) -> int:
        """It ended the process that read it; return how often it did."""
        before = self._of(place, now)
        self._tries[place] = replace(before, deaths=before.deaths + 1)
        return before.deaths + 1

    def read(self, place: Place) -> None:
        """It was read."""
        self._tries.pop(place, None)

    def _of(self, place: Place, now: datetime) -> _Try:
        return self._tries.get(place, _Try(now))
