"""How a server's backups fare on spare servers: read from the journal when asked, at most every few seconds.

So it also knows what `drill` in another process did. Without drills it reads and keeps nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.config.values import Config
from daemon.core.drills import DrillRecord, DrillResult, failing, last_good
from daemon.core.units import format_duration
from daemon.rotation.run import RotationContext
from daemon.status.lately import Lately


@dataclass(frozen=True, slots=True)
class DrillStatus:
    """The last drill of a server's backups that went well, and its very last one if that did not."""

    good: DrillRecord | None = None
    failed: DrillRecord | None = None

    def words(self, now: datetime) -> str:
        """Return how long ago the last good drill began, and how long the restore took; empty where there is none.

        Only a drill that started the spare server proves more than its reading did (invariant 17).
        """
        good = self.good
        if good is None:
            return ""
        ago = format_duration(max(now - good.began_at, timedelta(0)))
        took = "" if good.seconds is None else f", {format_duration(timedelta(seconds=round(good.seconds)))}"
        return f"{'proven' if good.starts else 'unpacked'} by a drill {ago} ago{took}"


@dataclass(slots=True)
class DrillCounts:
    """The drills since the daemon began, by server."""

    drills: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)


def drill_statuses(records: Sequence[DrillRecord], now: datetime) -> dict[str, DrillStatus]:
    """Given all records, newest first, return how each server's backups fare that any drill has tried."""
    good, failed = last_good(records), failing(records, now)
    return {name: DrillStatus(good.get(name), failed.get(name)) for name in good.keys() | failed.keys()}


class DrillsTracker:
    """How the backups of all servers fare that any drill tries."""

    def __init__(self, context: RotationContext) -> None:
        self._context = context
        self.counts = DrillCounts()
        self.sources: frozenset[str] = frozenset()
        self._seen: Lately[Mapping[str, DrillStatus]] = Lately(context, self._look)

    def follow(self, config: Config) -> None:
        """Watch the servers of a configuration that was just read."""
        self.sources = config.drilled
        self._seen.changed()
        if not self.sources:
            self.forget()

    def forget(self) -> None:
        """Know nothing of any drill until the journal is read again."""
        self._seen.forget()

    def drilled(self, record: DrillRecord) -> None:
        """Take in a drill that ended."""
        self._seen.changed()
        self.counts.drills[record.server] += 1
        self.counts.failed[record.server] += record.result is not DrillResult.DONE

    async def of(self, server: str) -> DrillStatus | None:
        """Return how a server's backups fare; None if no drill tries them, or while that is not known."""
        seen = await self._seen.value() if server in self.sources else None
        return None if seen is None else seen.get(server, DrillStatus())

    async def _look(self) -> Mapping[str, DrillStatus]:
        return drill_statuses(await self._context.journal.drills(), self._context.clock.now())
