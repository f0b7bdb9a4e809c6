"""Pruning a store: which of a server's copies its own rules delete, and which may not be deleted yet.

What must hold (invariant 15): only a whole listing is judged, by the same `judge` as a panel's; only copies that this
installation wrote are touched; no copy goes before the locks on its data and manifest have ended; the brake is the
whole brake of invariant 7; the manifest goes before the data, since data without a manifest is no copy and is cleared
away.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from daemon.core.brake import Applied, Brake, held_back, told_held, too_many
from daemon.core.copy import Copy
from daemon.core.model import Action, Backup, Reason, Verdict
from daemon.core.names import Ownership
from daemon.core.retention import Retention, judge
from daemon.core.units import format_moment
from daemon.errors import ProblemCode

MAY_BE_LOCKED = "perhaps locked in the store: its key may not ask (s3:GetBucketObjectLockConfiguration)"
FOREIGN = Reason("foreign", None, "written by another installation")
NOT_BY_RULES = ("locked", "held")
"""The rules of reasons for which a copy stays that the store's own rules let go."""


@dataclass(frozen=True, slots=True)
class CopyVerdict:
    """What becomes of one copy, and why: at least one reason."""

    copy: Copy
    action: Action
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Pruning:
    """Every verdict, newest first, and the deletions, oldest first: none where it is `refused`.

    `held` are the copies that wait since the store's rules were changed, newest first, and `waits` names them. A
    pruning that is refused has no `waits`: its refusal comes first. `let_through` are the keys of the data of all that
    the brake lets go, the oldest first: also of what is locked still, and is not counted again once its lock has ended.
    """

    verdicts: tuple[CopyVerdict, ...]
    deletions: tuple[Copy, ...]
    refused: str | None = None
    code: ProblemCode | None = None
    held: tuple[Copy, ...] = ()
    waits: str | None = None
    let_through: tuple[str, ...] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """What to delete, in this order: of each copy the manifest first."""
        return tuple(key for copy in self.deletions for key in (copy.name.manifest, copy.name.data))


def prune(
    copies: Sequence[Copy],
    retention: Retention,
    *,
    installation: str,
    ownership: Ownership,
    brake: Brake,
    now: datetime,
    complete: bool = True,
    doubt: str = "",
    accepted: Collection[str] = frozenset(),
) -> Pruning:
    """Given all copies of one server in a store and what the store keeps, return what to delete, or why nothing may be.

    `retention` is the store's (`StoreRules.retention`), `accepted` are the uuids of backups that an operator accepted.
    `complete` says that the store was listed to its end, and `doubt` why `now` is not to be trusted.
    """
    by_key = {copy.name.data: copy for copy in copies}
    ours = {key: copy for key, copy in by_key.items() if copy.installation == installation}
    backups = [_as_backup(copy) for copy in ours.values()]
    trusted = {key for key, copy in ours.items() if copy.backup.uuid in accepted}

    def judged(by: Applied) -> tuple[Verdict, ...]:
        return judge(backups, by.retention, ownership=by.ownership, now=now, accepted=trusted)

    def said(verdicts: Sequence[Verdict]) -> tuple[CopyVerdict, ...]:
        foreign = (CopyVerdict(copy, Action.IGNORE, (FOREIGN,)) for key, copy in by_key.items() if key not in ours)
        own = (CopyVerdict(ours[one.backup.uuid], one.action, one.reasons) for one in verdicts)
        return tuple(sorted((*own, *foreign), key=_age, reverse=True))

    verdicts = judged(Applied(retention, ownership))
    unlocked = tuple(_until_unlocked(one, ours, now, retention) for one in verdicts)
    if refusal := _unfit(complete=complete, doubt=doubt):
        return Pruning(said(unlocked), (), refusal[1], refusal[0])
    held: tuple[Verdict, ...] = ()
    if brake.before is not None and not brake.lifted and now < brake.held_until(now):
        held = held_back(verdicts, judged(brake.before), brake.held_until(now), retention.zone)
    waiting = tuple(ours[one.backup.uuid] for one in held)
    # Without a record, what is locked was let go by rules that nobody remembers: counted, it would block the rest.
    counted = unlocked if brake.before is None else verdicts
    if (over := too_many(counted, brake, scope=retention.scope, zone=retention.zone)) is not None:
        return Pruning(said(unlocked), (), over, ProblemCode.MAX_DELETIONS, waiting)
    instead = {one.backup.uuid: one for one in held}
    every = said([instead.get(one.backup.uuid, one) for one in unlocked])
    going = tuple(one.copy for one in reversed(every) if one.action is Action.DELETE)
    waits = told_held(held, brake.held_until(now), retention.zone) if held else None
    passed = (one.backup.uuid for one in reversed(verdicts) if one.action is Action.DELETE)
    return Pruning(every, going, held=waiting, waits=waits, let_through=tuple(passed))


def _unfit(*, complete: bool, doubt: str) -> tuple[ProblemCode, str] | None:
    """Return why nothing may be deleted, whatever the rules say; None if deletions may go on."""
    if not complete:
        return ProblemCode.PARTIAL_LISTING, "the store was not listed to its end, so nothing is deleted by it"
    if doubt:
        return ProblemCode.CLOCK, f"{doubt}, so nothing is deleted"
    return None


def _age(verdict: CopyVerdict) -> tuple[datetime, str]:
    """Return the key that orders copies from the oldest."""
    return (verdict.copy.name.created_at, verdict.copy.name.data)


def _as_backup(copy: Copy) -> Backup:
    """Return the copy's backup with the copy's key as its uuid, since a store can hold two copies of one backup.

    Whether the panel locks the backup, or still has it, does not matter here.
    """
    made = copy.name.created_at
    return replace(copy.backup, uuid=copy.name.data, successful=True, locked=False, created_at=made, completed_at=made)


def _until_unlocked(verdict: Verdict, copies: dict[str, Copy], now: datetime, retention: Retention) -> Verdict:
    """Return the verdict, as KEEP if it deletes a copy that is locked: it is judged again once the lock has ended."""
    copy, until = copies[verdict.backup.uuid], copies[verdict.backup.uuid].locked_until
    is_locked = until is not None and until > now
    if verdict.action is not Action.DELETE or (copy.lock_known and not is_locked):
        return verdict
    text = f"locked in the store until {format_moment(until, retention.zone)}" if until and is_locked else MAY_BE_LOCKED
    return verdict._replace(action=Action.KEEP, reasons=(*verdict.reasons, Reason("locked", None, text)))
