"""What each backup of a listing is worth: good, failed, pending, suspicious or strange.

The state depends on the listing and on `now`, which is the panel's own clock, never on this machine's. Locks and
ownership play no part.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from daemon.core.model import Backup, State
from daemon.core.suspicion import too_small
from daemon.core.units import EARLIEST

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far ahead of the panel's clock a backup may be dated before it is strange."""


class Finding(NamedTuple):
    """A state, and the words that say why."""

    state: State
    words: str


PLAINLY = {
    State.GOOD: Finding(State.GOOD, "good"),
    State.FAILED: Finding(State.FAILED, "failed"),
    State.PENDING: Finding(State.PENDING, "not completed yet"),
    State.SUSPICIOUS: Finding(State.SUSPICIOUS, "far smaller than the good ones before it"),
    State.STRANGE: Finding(State.STRANGE, "dated more than 5 minutes ahead of the panel's clock"),
}
"""Each state in plain words, for where nothing more is known."""


def age(backup: Backup) -> tuple[datetime, str]:
    """The key that orders backups from the oldest; ties are broken by uuid, so that a listing's order never matters."""
    return (backup.created_at or EARLIEST, backup.uuid)


def classify(
    backups: Sequence[Backup], *, now: datetime, suspicious: float, accepted: Collection[str] = ()
) -> dict[str, State]:
    """Return the state of every backup, by uuid; `suspicious` is the share of the usual size, 0 = no guard."""
    found = findings(sorted(backups, key=age), now=now, suspicious=suspicious, accepted=accepted)
    return {uuid: finding.state for uuid, finding in found.items()}


def findings(
    oldest_first: Sequence[Backup], *, now: datetime, suspicious: float, accepted: Collection[str]
) -> dict[str, Finding]:
    """Return what each backup is found to be, by uuid."""
    latest = now + CLOCK_TOLERANCE
    found = {backup.uuid: _alone(backup, latest) for backup in oldest_first}
    successful = (backup for backup in oldest_first if found[backup.uuid].state is State.GOOD)
    small = too_small(successful, share=suspicious, accepted=accepted)
    return found | {uuid: Finding(State.SUSPICIOUS, words) for uuid, words in small.items()}


def _alone(backup: Backup, latest: datetime) -> Finding:
    """What a backup is, looked at without the others."""
    if backup.unreadable is not None or backup.created_at is None:
        return Finding(State.STRANGE, backup.unreadable or "without a date")
    if backup.created_at > latest:
        return PLAINLY[State.STRANGE]
    if backup.completed_at is None:
        return PLAINLY[State.PENDING]
    return PLAINLY[State.GOOD if backup.successful else State.FAILED]
