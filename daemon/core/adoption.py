"""What to do about backups of ours that are still pending when a rotation begins.

One that was started for the current interval and is not overdue is adopted: the rotation waits for it instead of
making a second one. An older one is stuck: it is reported and left alone, and hinders nothing (invariants 2
and 12).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.clocks import TRUSTED
from daemon.core.model import Backup, State, Verdict


@dataclass(frozen=True, slots=True)
class Adoption:
    """The newest pending backup that is worth waiting for, None if there is none, and the others, oldest first."""

    adopted: Backup | None
    stuck: tuple[Backup, ...]


def adopt(verdicts: Iterable[Verdict], *, since: datetime, timeout: timedelta, now: datetime) -> Adoption:
    """Given the verdicts on a listing, newest first, return which pending one of ours to wait for, and which are stuck.

    `since` is the scheduled start before this one and `now` the moment of the listing, both by the panel's clock.
    """
    pending = [verdict.backup for verdict in verdicts if verdict.own and verdict.state is State.PENDING]
    fresh = (b for b in pending if b.created_at and b.created_at >= since and now - b.created_at < timeout)
    adopted = next(fresh, None)
    return Adoption(adopted, tuple(backup for backup in reversed(pending) if backup is not adopted))


def newest_attempt(verdicts: Iterable[Verdict], now: datetime) -> datetime | None:
    """Return when the newest backup of ours was created, failed and pending ones included; None if there is none.

    `now` is the moment of the listing. What is dated well after it was made before the panel's clock was set back.
    """
    made = (one.backup.created_at for one in verdicts if one.own and one.backup.created_at)
    return max((at for at in made if at <= now + TRUSTED), default=None)
