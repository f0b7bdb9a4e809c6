"""What each backup of a listing is worth: good, failed, pending, suspicious or strange.

The state depends on the listing and on `now`, which is the panel's own clock, never on this machine's. Locks and
ownership play no part.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import compress
from typing import NamedTuple

from daemon.core.model import Backup, State
from daemon.core.suspicion import Guard, Shrink, weigh
from daemon.core.units import EARLIEST

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far ahead of the panel's clock a backup may be dated before it is strange."""


class StateFinding(NamedTuple):
    """A state, and the words that say why."""

    state: State
    words: str


PLAINLY = {
    State.GOOD: StateFinding(State.GOOD, "good"),
    State.FAILED: StateFinding(State.FAILED, "failed"),
    State.PENDING: StateFinding(State.PENDING, "not completed yet"),
    State.SUSPICIOUS: StateFinding(State.SUSPICIOUS, "far smaller than the good ones before it"),
    State.STRANGE: StateFinding(State.STRANGE, "dated more than 5 minutes ahead of the panel's clock"),
}
"""Each state in plain words, for where nothing more is known."""

_GOOD = PLAINLY[State.GOOD]


def age(backup: Backup) -> tuple[datetime, str]:
    """Return the key that orders backups from the oldest; ties are broken by uuid, so that a listing's order never
    matters.
    """
    return (backup.created_at or EARLIEST, backup.uuid)


def newest_first(backups: Iterable[Backup]) -> list[Backup]:
    """Order by age; what has no date comes last."""
    return sorted(backups, key=age, reverse=True)


class FoundStates(NamedTuple):
    """The state of each backup of a listing, in their order; `spare` and `shrinks` as in `Weighed`."""

    findings: list[StateFinding]
    spare: frozenset[str]
    shrinks: tuple[Shrink, ...]


def find(
    ordered: Sequence[Backup], own: Sequence[bool], guard: Guard, *, now: datetime, accepted: Collection[str]
) -> FoundStates:
    """Given backups, newest first, and whether each is own, return their states; `now` is the panel's clock."""
    latest = now + CLOCK_TOLERANCE
    findings = [_alone(backup, latest) for backup in ordered]
    good = [finding is _GOOD for finding in findings]
    sized, owned = list(compress(ordered, good)), list(compress(own, good))
    weighed = weigh(zip(reversed(sized), reversed(owned), strict=True), guard, accepted=accepted)
    if weighed.small:
        for place, backup in enumerate(ordered):
            if backup.uuid in weighed.small:
                findings[place] = StateFinding(State.SUSPICIOUS, weighed.small[backup.uuid])
    return FoundStates(findings, weighed.spare, weighed.shrinks)


def _alone(backup: Backup, latest: datetime) -> StateFinding:
    """Return the state of a backup by itself, without a look at the sizes of others."""
    if backup.unreadable is not None or backup.created_at is None:
        return StateFinding(State.STRANGE, backup.unreadable or "without a date")
    if backup.created_at > latest:
        return PLAINLY[State.STRANGE]
    if backup.completed_at is None:
        return PLAINLY[State.PENDING]
    return _GOOD if backup.successful else PLAINLY[State.FAILED]
