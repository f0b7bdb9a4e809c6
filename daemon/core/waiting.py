"""When to look whether a backup is done: seldom, yet soon after it is.

How long earlier backups took says when to look first; without that, and past it, the looks grow apart by half. The
durations are those of good backups in the order in which they were made; the last five count. They also say when one
is pending for so long that something must be wrong with it.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from statistics import median

from daemon.core.backoff import Backoff
from daemon.core.model import State, Verdict

_COUNTED = 5
_AT_LEAST = timedelta(seconds=2)
_BEYOND = Backoff(timedelta(seconds=5), timedelta(minutes=5), factor=1.5)
"""Between looks past the predicted end: most backups are done within seconds of it, and a slow one is not worth a
request each time; five minutes late is soon enough for one that takes hours.
"""
_FAR_BEYOND, _FAR_AT_LEAST = 20, timedelta(minutes=30)


def durations_of(verdicts: Iterable[Verdict]) -> tuple[timedelta, ...]:
    """Given verdicts newest first, return how long the good backups took, in the order in which they were made."""
    good = (verdict.backup for verdict in verdicts if verdict.state is State.GOOD)
    taken = [
        backup.completed_at - backup.created_at
        for backup in good
        if backup.completed_at is not None and backup.created_at is not None
    ]
    return tuple(reversed(taken))


def first_look(durations: Sequence[timedelta]) -> timedelta:
    """Return how long to wait after the create before looking for the first time."""
    return next_look(timedelta(0), durations)


def next_look(waited: timedelta, durations: Sequence[timedelta]) -> timedelta:
    """Return how much longer to wait before the next look, having waited that long since the create.

    Until the predicted end, straight to it; from then on 5 s, growing by half each time, up to 5 minutes.
    """
    expected = _expected(durations)
    if waited < expected:
        return max(_AT_LEAST, expected - waited)
    return _BEYOND.pause_after(waited - expected)


def usual(durations: Sequence[timedelta]) -> timedelta | None:
    """Return how long a backup usually takes, the median of the last five; None where there was none yet."""
    counted = durations[-_COUNTED:]
    return timedelta(seconds=median(duration.total_seconds() for duration in counted)) if counted else None


def far_beyond(durations: Sequence[timedelta]) -> timedelta | None:
    """Return the age from which a pending backup is far beyond what earlier ones took; None where there was none yet.

    Twenty times as long, and at least half an hour: a node that is merely busy does not come that far.
    """
    taken = usual(durations)
    return None if taken is None else max(_FAR_BEYOND * taken, _FAR_AT_LEAST)


def _expected(durations: Sequence[timedelta]) -> timedelta:
    """Return slightly more than usual, since the panel's times are cut to whole seconds; 0 if nothing is known."""
    taken = usual(durations)
    return timedelta(0) if taken is None else taken * 1.05 + timedelta(seconds=2)
