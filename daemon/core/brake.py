"""The brake: how much one rotation may delete before somebody has looked at it (invariant 7).

A narrowed policy, a wrong scope or a wrong zone would otherwise cost a month of worlds in one night. A plan that is
over a bound deletes nothing at all, since nobody can tell which of its deletions are the mistake. A backup that only a
changed retention deletes is held for a day after the operator was told, whatever key was changed and however few go.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from daemon.core.model import ASKED, Action, Backup, Reason, Scope, State, Verdict
from daemon.core.names import Altered, Ownership
from daemon.core.proven import NO_RULE, KeepProven
from daemon.core.retention import Retention
from daemon.core.suspicion import made_at
from daemon.core.units import format_moment, to_zone

UNBOUNDED = -1
"""The `max_deletions` that lifts the whole brake."""

FEW = 2
"""This many are never too large a share: a server with three backups may well lose two."""

HELD_FOR = timedelta(hours=24)
"""How long a backup that a changed retention deletes is held; and the time between two rooms while the brake holds."""

_SHOWN = 5
"""How many of too many deletions are named."""
USUAL_SHARE = 0.5
"""The share of the good backups that may go at once: the default of a policy's `max_share`, and in every store."""


@dataclass(frozen=True, slots=True)
class Applied:
    """Everything in a configuration that decides what is deleted. `stores` must have a good backup before it goes, and
    the newest `proven` ones stay.
    """

    retention: Retention
    ownership: Ownership
    stores: frozenset[str] = frozenset()
    proven: KeepProven = NO_RULE

    def knowing(self, altered: Mapping[str, Altered]) -> "Applied":
        """Return the same with these names that the panel gave to backups of ours."""
        return replace(self, ownership=self.ownership.knowing(altered))


@dataclass(frozen=True, slots=True)
class Brake:
    """The bounds: `most` good backups (-1 lifts the whole brake), and `share` of the good ones in scope.

    `excused` are the uuids that an earlier plan named and that were not deleted then; they count towards neither bound.
    `before` is what was last applied (None: not known). `told_at` is when the operator was told what the present one
    deletes beyond that (None: not yet), `room_at` when room was last made at the limit. All by the panel's clock.
    """

    most: int = UNBOUNDED
    share: float = 1.0
    excused: frozenset[str] = frozenset()
    before: Applied | None = None
    told_at: datetime | None = None
    room_at: datetime | None = None

    @property
    def lifted(self) -> bool:
        """Whether any number may be deleted, and at once."""
        return self.most == UNBOUNDED

    def held_until(self, now: datetime) -> datetime:
        """Return when backups that only the present retention deletes may go, if the operator is told by now.

        A `told_at` later than now comes from a clock that was set back since.
        """
        return min(self.told_at or now, now) + HELD_FOR

    def room_from(self, now: datetime) -> datetime | None:
        """Return when room may be made again while the brake holds; None for at once, or for never if none may go.

        A `room_at` more than a day after now comes from a clock that was set back since.
        """
        return self.room_at + HELD_FOR if self.room_at and abs(now - self.room_at) < HELD_FOR else None


def too_many(
    verdicts: Sequence[Verdict], brake: Brake, *, scope: Scope, zone: ZoneInfo, already: int = 0
) -> str | None:
    """Given all verdicts, newest first, return why their deletions are too many at once; None if they are not.

    `already` good ones were deleted by the same rotation before. Failed ones do not count, nor do locked ones.
    """
    counted = [verdict for verdict in verdicts if is_candidate(verdict, scope)]
    counted = [verdict for verdict in counted if verdict.backup.uuid not in brake.excused]
    going = [verdict.backup for verdict in reversed(counted) if verdict.action is Action.DELETE]
    number, among = len(going) + already, len(counted) + already
    if brake.lifted or not going:
        return None
    before = f" after {already} already" if already else ""
    if number > brake.most:
        plural = "" if len(going) == 1 else "s"
        over = f"{len(going)} good backup{plural}{before}, more than max_deletions = {brake.most}"
    elif number > FEW and number > brake.share * among:
        over = f"{len(going)} of {len(counted)} good backups{before}, more than max_share = {brake.share:g}"
    else:
        return None
    return f"would delete {over}: {named(going, zone)}"


def held_back(
    verdicts: Sequence[Verdict], before: Sequence[Verdict], until: datetime, zone: ZoneInfo
) -> tuple[Verdict, ...]:
    """Given the present verdicts and those of what was last applied, return what only the present delete, as kept."""
    gone = {verdict.backup.uuid for verdict in before if verdict.action is Action.DELETE}
    return tuple(
        verdict._replace(action=Action.KEEP, reasons=_held(verdict, until, zone))
        for verdict in verdicts
        if verdict.action is Action.DELETE and verdict.backup.uuid not in gone
    )


def _held(verdict: Verdict, until: datetime, zone: ZoneInfo) -> tuple[Reason, ...]:
    doubt = tuple(reason for reason in verdict.reasons if reason.rule == ASKED)
    then = "; ".join(reason.text for reason in verdict.reasons if reason.rule != ASKED)
    when = format_moment(until, zone)
    held = Reason("held", None, f"held until {when}, since the retention last applied keeps it; then: {then}")
    return (held, *doubt)


def told_held(held: Sequence[Verdict], until: datetime, zone: ZoneInfo) -> str:
    """Given held backups, newest first, return the words that name them and say until when."""
    backups = [verdict.backup for verdict in reversed(held)]
    what = (
        "a backup that the retention last applied keeps is"
        if len(backups) == 1
        else (f"{len(backups)} backups that the retention last applied keeps are")
    )
    return f"{what} held until {format_moment(until, zone)}: {named(backups, zone)}"


def is_candidate(verdict: Verdict, scope: Scope) -> bool:
    """Return whether the backup is good, not locked and in scope, so that the rules judge it."""
    return verdict.state is State.GOOD and not verdict.backup.locked and (verdict.own or scope is Scope.ALL)


def named(backups: Collection[Backup], zone: ZoneInfo) -> str:
    """Return the names of the first few, each with the day on which it was made."""
    first = [_named(backup, zone) for backup in list(backups)[:_SHOWN]]
    more = [f"and {len(backups) - _SHOWN} more"] if len(backups) > _SHOWN else []
    return ", ".join((*first, *more))


def _named(backup: Backup, zone: ZoneInfo) -> str:
    return f"{backup.name} ({to_zone(made_at(backup), zone).date()})"
