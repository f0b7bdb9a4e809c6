"""Snapshots and ends of rotations as the journal keeps them, so that a restarted daemon can show what it knew.

What cannot be read is passed over, since the next rotation brings it anew.
"""

from daemon import state as history
from daemon.errors import ProblemCode
from daemon.rotation.outcome import Problem, Result
from daemon.status.packed import read_detail
from daemon.status.values import Ended, Snapshot


def to_stored(snapshot: Snapshot, panel: str) -> history.Snapshot:
    """The snapshot as the journal takes it."""
    return history.Snapshot(snapshot.uuid, panel, snapshot.at, snapshot.detail)


def from_stored(stored: history.Snapshot) -> Snapshot | None:
    """The snapshot that the journal holds; None where it was written in another way."""
    try:
        return Snapshot.of(stored.at, stored.server_uuid, *read_detail(stored.detail))
    except (KeyError, TypeError, ValueError):
        return None


def ended_of(row: history.Rotation) -> Ended:
    """How a journalled rotation ended that was not interrupted; ValueError or TypeError where it makes no sense."""
    summary = row.summary
    result = Result(row.result or Result.FAILED)
    return Ended(
        trigger=row.trigger,
        began_at=row.began_at,
        ended_at=row.ended_at or row.began_at,
        result=result,
        created=(summary.get("created") or {}).get("name"),
        good=bool(summary.get("good")),
        deleted=len(summary.get("deleted", ())),
        undeleted=len(summary.get("undeleted", ())),
        problems=tuple(_problem(**problem) for problem in summary.get("problems", ())),
        retry_at=row.retry_at,
        excused=result is Result.SKIPPED and not summary.get("passing"),
    )


def _problem(code: str, text: str, hint: str = "") -> Problem:
    return Problem(ProblemCode.read(code), text, hint)
