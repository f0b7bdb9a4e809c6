"""From when on a server has gone without a proof for too long.

What must hold: no new backup puts it off, and neither does retention when it deletes those that were never read. Else
a server that is backed up each night would never be late, though none of its backups was proven for a year.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from daemon.core.calendar import Starts

PATIENCE = 2
"""After a break in the backups, the first new one is given this part of an interval to be read."""


def late_at(
    waiting: Collection[datetime], read: datetime | None, *, asked: datetime | None, within: timedelta, starts: Starts
) -> datetime | None:
    """Return from when on a server lacks a proof; None while none is lacking.

    `waiting` is when those good backups were made that are newer than all that were read, and `read` when the newest of
    these was, None if there is none. Proofs are asked for since `asked`, None if nobody has asked for any yet.

    The wait begins with the first backup that was made after `read`. That may be deleted by now, so it is counted from
    when it should have been made by the schedule, or from the oldest that is there if this is earlier; where none was
    ever read, from `asked`. It may take `within`. So that the first backup after a break is not late as it is made,
    the oldest that is there has half an interval, or `within` if that is less.
    """
    if not waiting:
        return None
    oldest = min(waiting)
    first = starts.after(oldest)
    interval = starts.after(first) - first
    begun = asked
    if read is not None:
        begun = min(starts.after(read + interval / PATIENCE), oldest)  # the clocks may differ, so not the same start
    if begun is None:
        return None
    return max(begun + within, oldest + min(within, interval / PATIENCE))
