"""What a starting daemon, or a reload, has to do for a server: continue, try again, or catch up.

It is decided from the journal's rows and the calendar alone; nothing here starts anything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.core.calendar import Starts, missed
from daemon.rotation.report import made_a_failed_one, was_handed_over
from daemon.state import Rotation, Trigger

MOST_FAILED = 2  # a backup that failed is tried again once


@dataclass(frozen=True, slots=True)
class Recovery:
    """A rotation to run at `moment`; the rest as in an Order."""

    trigger: Trigger
    start_at: datetime
    moment: datetime
    attempt: int = 0
    failed: int = 0
    hand_overs: int = 0


def recover(
    rows: Sequence[Rotation], starts: Starts, now: datetime, *, left_alone: Callable[[Rotation], bool]
) -> Recovery | None:
    """Given a server's rotations, newest first, return what is to be done for its latest start; None for nothing.

    `left_alone` returns whether no other process runs a rotation that has not ended.
    """
    latest = starts.latest(now)
    this_start = [row for row in rows if row.start_at is not None and row.start_at >= latest]
    killed = next((row for row in this_start if row.ended_at is None and left_alone(row)), None)
    if killed is not None and killed.start_at is not None:
        before = Recovery("resume", killed.start_at, now, *_tries(rows, killed))
        return before if before.failed < MOST_FAILED else None
    newest = rows[0] if rows else None
    if newest is not None and newest.start_at and newest.retry_at and starts.is_since(latest, newest.began_at, now=now):
        return Recovery("retry", newest.start_at, max(now, newest.retry_at), *_tries(rows, newest))
    start = missed(starts, _last_attempt(rows, starts, now), now)
    moment = now + starts.delay
    # Where the next start comes by then, it serves for both.
    return None if start is None or moment >= starts.after(now) else Recovery("catch-up", start, moment)


def _last_attempt(rows: Sequence[Rotation], starts: Starts, now: datetime) -> datetime | None:
    """Return when the newest rotation that tried anything began.

    A skipped rotation tried nothing: the server was busy or could not be backed up. One that began after the next start
    was dated by a clock that has been set back since, and says nothing of the starts by the present clock; nor does one
    that began later than now for an earlier start than the latest.
    """
    latest, following = starts.latest(now), starts.after(now)

    def tells(row: Rotation) -> bool:
        earlier = row.start_at is not None and row.start_at < latest
        return row.result != "skipped" and row.began_at < following and not (earlier and row.began_at > now)

    return next((row.began_at for row in rows if tells(row)), None)


def _tries(rows: Sequence[Rotation], row: Rotation) -> tuple[int, int, int]:
    """Return how often that start was tried, how many of the tries made a backup that failed, and how often it was
    another member's to make: that was no try.
    """
    ended = [other for other in rows if other.start_at == row.start_at and other.ended_at is not None]
    hand_overs = sum(map(was_handed_over, ended))
    return len(ended) - hand_overs, sum(map(made_a_failed_one, ended)), hand_overs
