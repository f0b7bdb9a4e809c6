"""What to do about backups of ours that are still pending when a rotation begins.

One that was started for the current interval and is not overdue is adopted: the rotation waits for it instead of
making a second one. An older one is stuck: it is reported and left alone, and hinders nothing (DESIGN, invariants 2
and 12).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.core.model import Backup
from daemon.core.names import Ownership


@dataclass(frozen=True, slots=True)
class Adoption:
    """`adopted` is the newest pending one worth waiting for; `stuck` are the others, oldest first."""

    adopted: Backup | None
    stuck: tuple[Backup, ...]


def adopt(
    backups: Iterable[Backup], *, ownership: Ownership, since: datetime, timeout: timedelta, now: datetime
) -> Adoption:
    """Given a listing, return which pending backup of ours to wait for, and which are stuck.

    `since` is the scheduled start before this one and `now` the moment of the listing, both by the panel's clock.
    """
    pending = sorted(
        (b for b in backups if is_pending(b) and ownership.owns(b.name)), key=lambda b: (_created(b), b.uuid)
    )
    fresh = [b for b in pending if _created(b) >= since and now - _created(b) < timeout]
    adopted = fresh[-1] if fresh else None
    return Adoption(adopted, tuple(b for b in pending if b is not adopted))


def is_pending(backup: Backup) -> bool:
    """Whether the panel still waits for the node to finish this one."""
    return backup.completed_at is None and not backup.successful and backup.unreadable is None


def newest_attempt(backups: Iterable[Backup], ownership: Ownership) -> datetime | None:
    """When the newest backup of ours was created, failed and pending ones included; None where there is none."""
    return max((b.created_at for b in backups if b.created_at and ownership.owns(b.name)), default=None)


def _created(backup: Backup) -> datetime:
    assert backup.created_at is not None, "a backup without a readable date is strange, not pending"  # noqa: S101
    return backup.created_at
