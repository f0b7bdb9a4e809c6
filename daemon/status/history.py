"""What a server's rotations left, as one frozen value that is replaced when a rotation ends.

Only values go in and out. The daemon folds each rotation's outcome into it; what the journal holds gives the same value
after a restart, and on the command line (`status`). docs/design.md says what counts as good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from daemon.core.clocks import was_set
from daemon.core.model import State
from daemon.core.units import read_rfc3339
from daemon.errors import ProblemCode
from daemon.rotation.outcome import Outcome, Problem, Result
from daemon.state import Rotation, Trigger
from daemon.status.snapshot import Snapshot, Tally

NOTHING = Tally()
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a server's last rotation ended. `excused` says that there was nothing to do, and nothing is wrong."""

    trigger: Trigger
    began_at: datetime
    ended_at: datetime
    result: Result
    created: str | None = None
    good: bool = False
    deleted: int = 0
    undeleted: int = 0
    problems: tuple[Problem, ...] = ()
    retry_at: datetime | None = None
    excused: bool = False

    @property
    def held(self) -> bool:
        """Whether all is well but that the brake let nothing be deleted."""
        over = bool(self.problems) and self.problems[-1].code == ProblemCode.MAX_DELETIONS
        return over and self.good and self.result is Result.REFUSED

    @property
    def frozen(self) -> bool:
        """Whether all is well but that a failed proof let nothing be deleted."""
        over = bool(self.problems) and self.problems[-1].code == ProblemCode.UNPROVEN
        return over and self.good and self.result is Result.REFUSED

    @property
    def undeletable(self) -> bool:
        """Whether all is well but that the panel did not delete what was to go."""
        return self.good and bool(self.problems) and self.problems[-1].code == ProblemCode.UNDELETABLE


@dataclass(frozen=True, slots=True)
class Began:
    """A rotation that is under way."""

    trigger: Trigger
    at: datetime


@dataclass(frozen=True, slots=True)
class Good:
    """A good backup: when it was made, by the panel; or, where only its rotation is known, when that ended.

    The rest is None where nothing tells it.
    """

    at: datetime
    uuid: str | None = None
    name: str | None = None
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ServerHistory:
    """All that is remembered of one server.

    `since` is since when it is watched. `fine_at` is when there was last nothing to complain of; at first, `since`.
    `good` is the newest good backup that is known, whoever made it. `failures` is how many rotations in a row ended
    without a good backup that should have brought one. `held_since` is since when the brake holds what they would
    delete, None while it does not. `undeleted` is how many backups the panel did not delete when it was last asked to.
    """

    since: datetime
    fine_at: datetime
    good: Good | None = None
    snapshot: Snapshot | None = None
    last: Ended | None = None
    failures: int = 0
    held_since: datetime | None = None
    undeleted: int = 0
    began: Began | None = None

    @classmethod
    def begun(cls, at: datetime) -> "ServerHistory":
        """Return the history of a server that is watched from that moment on."""
        return cls(at, at)

    def dated(self, now: datetime) -> "ServerHistory":
        """Return this history; if it began before the clock was set, and the clock is set now, let it begin now. A
        server watched since 1970 would be overdue by decades.
        """
        if not was_set(now) or (was_set(self.since) and was_set(self.fine_at)):
            return self
        fine_at = self.fine_at if was_set(self.fine_at) else now
        return replace(self, since=self.since if was_set(self.since) else fine_at, fine_at=fine_at)

    @property
    def tally(self) -> Tally:
        """The server's backups, counted; nothing where none were seen yet."""
        return self.snapshot.tally if self.snapshot else NOTHING

    @property
    def held(self) -> int | None:
        """How many deletions the brake holds; None where it holds none."""
        return None if self.held_since is None else self.tally.beyond

    @property
    def good_at(self) -> datetime | None:
        """When the newest good backup was made; None where there is none."""
        return self.good.at if self.good else None


def age_of(good_at: datetime | None, now: datetime) -> timedelta | None:
    """Return the age of a good backup; None where there is none, and 0 where its panel's clock is ahead of ours."""
    return None if good_at is None else max(now - good_at, timedelta(0))


def after(before: ServerHistory, ended: Ended) -> ServerHistory:
    """Given a server's history and how a rotation of it ended, return its history."""
    is_fine = (ended.good or ended.excused) and was_set(ended.ended_at)
    fine_at = ended.ended_at if is_fine else before.fine_at
    failures = {Result.DONE: 0, Result.SKIPPED: before.failures}.get(ended.result, before.failures + 1)
    held_since = None if ended.good else before.held_since  # what fails or is skipped does not let the brake go
    if ended.held:
        failures, held_since = 0, before.held_since or ended.ended_at
    if ended.frozen:
        failures = 0
    undeleted = ended.undeleted if ended.good or ended.undeleted else before.undeleted
    return replace(before, last=ended, fine_at=fine_at, failures=failures, held_since=held_since, undeleted=undeleted)


def after_outcome(before: ServerHistory, outcome: Outcome, began: Began, now: datetime) -> ServerHistory:
    """Given a server's history and the outcome of a rotation that ends now, return its history."""
    snapshot = snapshot_of(outcome, now)
    if snapshot is not None:
        good = good_in(snapshot)
    elif outcome.good_seen_at is not None and (before.good is None or before.good.at < outcome.good_seen_at):
        good = Good(outcome.good_seen_at)
    else:
        good = before.good
    history = after(before, _ended(outcome, began, now))
    return replace(history, snapshot=snapshot or before.snapshot, good=good, began=None)


def history_of(rows: Sequence[Rotation], snapshot: Snapshot | None, begun: ServerHistory) -> ServerHistory:
    """Given a server's journalled rotations, newest first, its backups as they were last judged, and what was known of
    it before, return its history. A row that another version wrote, and makes no sense here, is passed over.

    `begun` tells how it stood before these rotations: since when it is watched, when it was last fine.
    """
    dates = [row.began_at for row in rows]
    watched, fine_at = _first(begun.since, *dates), _first(begun.fine_at, *dates)
    history, made = replace(begun, since=watched, fine_at=fine_at), None
    for row in reversed(rows):
        if (ended := ended_of(row)) is None:
            continue
        history = after(history, ended)
        if ended.good:
            made = _made(ended, row.summary)
    since = [row for row in rows if snapshot is None or (row.ended_at is not None and row.ended_at > snapshot.at)]
    if snapshot is None:
        good = made or begun.good
    else:
        later = made is not None and made.at > snapshot.at  # another process rotated since
        good = made if later else good_in(snapshot)
    seen_at = max(filter(None, map(_seen_at, since)), default=None)
    if seen_at is not None and (good is None or good.at < seen_at):
        good = Good(seen_at)
    return replace(history, snapshot=snapshot, good=good)


def _first(*moments: datetime) -> datetime:
    """Return the earliest of these, as far as they were told by a clock that was set."""
    return min(filter(was_set, moments), default=moments[0])


def got_good(outcome: Outcome) -> bool:
    """Whether the new backup is there and good, though the rotation may not have ended well (nothing deleted, say)."""
    created = outcome.created
    return outcome.result is Result.DONE or (
        created is not None
        and any(one.backup.uuid == created.uuid and one.state is State.GOOD for one in outcome.verdicts)
    )


def snapshot_of(outcome: Outcome, now: datetime) -> Snapshot | None:
    """Return what the rotation saw; None if it ended before it judged the backups."""
    seen = outcome.seen
    if seen is None or not outcome.verdicts:
        return None
    return Snapshot.of(now, seen.uuid, seen.node, seen.backup_limit, outcome.verdicts)


def good_in(snapshot: Snapshot) -> Good | None:
    """Return the newest good backup of a snapshot."""
    backup = snapshot.newest_good.backup if snapshot.newest_good else None
    if backup is None or backup.created_at is None:
        return None
    return Good(backup.created_at, backup.uuid, backup.name, backup.bytes)


def ended_of(row: Rotation) -> Ended | None:
    """Return how a journalled rotation ended; None where it did not, was interrupted, or makes no sense here."""
    if row.ended_at is None or row.result == INTERRUPTED:
        return None
    try:
        return _read(row, row.ended_at, row.summary)
    except (AttributeError, TypeError, ValueError):
        return None


def _made(ended: Ended, summary: Mapping[str, Any]) -> Good:
    created = summary.get("created") or {}
    return Good(ended.ended_at, created.get("uuid"), created.get("name"), created.get("bytes"))


def _seen_at(row: Rotation) -> datetime | None:
    """Return when the newest good backup was made that a rotation saw besides its own; None where it does not tell."""
    try:
        return read_rfc3339(row.summary["good_seen_at"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _read(row: Rotation, ended_at: datetime, summary: Mapping[str, Any]) -> Ended:
    result = Result(row.result or Result.FAILED)
    return Ended(
        trigger=row.trigger,
        began_at=row.began_at,
        ended_at=ended_at,
        result=result,
        created=(summary.get("created") or {}).get("name"),
        good=bool(summary.get("good")),
        deleted=len(summary.get("deleted", ())),
        undeleted=len(summary.get("undeleted", ())),
        problems=tuple(_problem(**problem) for problem in summary.get("problems", ())),
        retry_at=row.retry_at,
        excused=result is Result.SKIPPED and not summary.get("passing"),
    )


def _ended(outcome: Outcome, began: Began, now: datetime) -> Ended:
    return Ended(
        trigger=began.trigger,
        began_at=began.at,
        ended_at=now,
        result=outcome.result,
        created=outcome.created.name if outcome.created else None,
        good=got_good(outcome),
        deleted=len(outcome.deleted),
        undeleted=len(outcome.undeleted),
        problems=outcome.problems,
        retry_at=outcome.retry_at,
        excused=outcome.result is Result.SKIPPED and not outcome.passing,
    )


def _problem(code: str, text: str, hint: str = "") -> Problem:
    return Problem(ProblemCode.read(code), text, hint)
