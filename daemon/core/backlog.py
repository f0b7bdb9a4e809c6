"""What waits on the panel for its copies, and when that fills the panel's limit (invariant 14).

It is foretold from the schedule: each start makes one backup, and until a store has what it lacks nothing else goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.calendar import Starts
from daemon.core.copied import uncopied
from daemon.core.model import Action, State, Verdict
from daemon.core.units import format_duration

HORIZON = timedelta(days=30)
"""How far it is foretold: beyond that nobody has to do anything yet."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Good backups beyond retention that stay until `stores` have them.

    `full_at` is the first start that finds the panel's limit reached if no copy is made until then; None if that is
    more than HORIZON away.
    """

    backups: int
    stores: tuple[str, ...]
    full_at: datetime | None

    def words(self, now: datetime) -> str:
        """Return it as a sentence for operators, such as "2 backups wait for a copy in offsite; ..."."""
        what = "a backup waits" if self.backups == 1 else f"{self.backups} backups wait"
        text = f"{what} for a copy in {' and '.join(self.stores)}"
        if self.full_at is None:
            return text
        return f"{text}; the panel's limit is reached in {format_duration(max(self.full_at - now, timedelta(0)))}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Good backups beyond retention that stay until `stores` have them.

    `staying` is how many places at the panel are taken meanwhile, by these and all others that stay.
    """

    backups: int
    stores: tuple[str, ...]
    staying: int

    def backlog(self, limit: int, starts: Starts, now: datetime) -> Backlog:
        """Given the panel's limit, return when it is reached."""
        return Backlog(self.backups, self.stores, _full_at(limit - self.staying, starts, now))


def waiting(verdicts: Sequence[Verdict]) -> Waiting | None:
    """Given all verdicts of a plan, return what waits for copies; None if nothing does."""
    held = [stores for verdict in verdicts if (stores := uncopied(verdict))]
    if not held:
        return None
    named = tuple(dict.fromkeys(store for stores in held for store in stores))
    return Waiting(len(held), named, _staying(verdicts))


def backlog(verdicts: Sequence[Verdict], limit: int, starts: Starts, now: datetime) -> Backlog | None:
    """Given all verdicts of a plan and the panel's limit, return what waits for copies; None if nothing does."""
    held = waiting(verdicts)
    return held.backlog(limit, starts, now) if held else None


def _staying(verdicts: Sequence[Verdict]) -> int:
    """How many places are taken once what may go is gone; the panel does not count failed backups."""
    return sum(verdict.state is not State.FAILED and verdict.action is not Action.DELETE for verdict in verdicts)


def _full_at(free: int, starts: Starts, now: datetime) -> datetime | None:
    """Return the start that finds no free place; None if that is more than HORIZON away."""
    start, end = starts.after(now), now + HORIZON
    while free > 0 and start <= end:
        start, free = starts.after(start), free - 1
    return start if start <= end else None
