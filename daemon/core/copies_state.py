"""Whether a store has a server's newest good backup, and by when it should have one that is new enough.

What must hold: nothing counts as copied that the store was not seen to have, but for what it would not take; and a copy
that is missing is late two intervals after the last one, however often it was tried.
"""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LATE_AFTER = 2
"""How many intervals after the newest copy the next one is late: one may fail, and be made up for by the one after."""


class CopyState(StrEnum):
    """What becomes of a server's newest good backup in one store."""

    COPIED = "copied"
    WAITING = "waiting"
    FAILED = "failed"


def copy_state(
    good_at: datetime | None, newest: datetime | None, every: timedelta | None, *, waits: bool, failed: bool
) -> CopyState | None:
    """Return how the newest good backup, made at `good_at`, stands in a store; None where there is no such backup.

    `newest` is when the newest backup was made that the store has a copy of, None if it has none. `waits` says that the
    server is in the queue for the store, and `failed` that the last try for it did not succeed.
    """
    if good_at is None:
        return None
    if newest is not None and newest >= good_at:
        return CopyState.COPIED
    if failed:
        return CopyState.FAILED
    if not waits and newest is not None and every is not None and period(newest, every) == period(good_at, every):
        return CopyState.COPIED  # the store takes one in each period, and has it
    return CopyState.WAITING


def late_at(newest: datetime | None, since: datetime, span: timedelta) -> datetime:
    """Return from when on a store lacks a copy that is new enough: two spans after the backup that it has.

    `since` is since when a copy is asked for. A store that is new, or that had all, is given one span from then.
    """
    begun = since - span
    return (begun if newest is None else max(newest, begun)) + LATE_AFTER * span


def period(moment: datetime, every: timedelta) -> int:
    """Return the number of the period that a moment falls into, counted since 1970 UTC."""
    return (moment - EPOCH) // every
