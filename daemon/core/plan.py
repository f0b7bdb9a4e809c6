"""The plan: which deletions follow from a judgement, in which order, and when there are to be none.

What must hold: no deletion by a listing that is not whole; never more good backups than `max_deletions`, else
none at all, so that a narrowed policy costs nothing before somebody has seen it; the oldest first. The caller deletes
one at a time and looks again; nothing here does.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from daemon.core.model import Action, Backup, Completeness, Listing, Scope, State, Verdict
from daemon.core.names import Ownership
from daemon.core.retention import Retention, judge
from daemon.core.units import to_zone

UNBOUNDED = -1
"""The `max_deletions` that lifts the brake."""

_SHOWN = 5
"""How many of too many deletions a refusal names."""

_HOLDERS = {
    "locked": ("locked", "unlock one"),
    "foreign": ("not made by this policy", "delete one of those by hand"),
    "kept": ("kept by the rules", "keep fewer"),
    "pending": ("not completed yet", "wait for it"),
    "suspicious": ("suspiciously small", "accept or delete it"),
    "strange": ("strange", "look at it on the panel"),
}
"""What can hold a slot, in words, and what an operator can do about it."""

Code = Literal["partial_listing", "max_deletions", "nothing_deletable"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is deleted: a code for scripts, a text for people."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Every verdict, newest first, and the deletions that follow, oldest first; none where it is refused."""

    verdicts: tuple[Verdict, ...]
    deletions: tuple[Verdict, ...]
    refused: str | None = None
    code: Code | None = None


def plan(
    listing: Listing,
    retention: Retention,
    *,
    ownership: Ownership,
    max_deletions: int,
    accepted: Collection[str] = frozenset(),
    already_deleted: int = 0,
) -> Plan:
    """Given a listing and what its policy keeps, return what to delete, or why nothing may be.

    Now is when the listing was taken. `already_deleted` good ones of this rotation count towards `max_deletions`;
    failed ones do not count.
    """
    verdicts = judge(
        listing.backups,
        retention,
        ownership=ownership,
        now=listing.taken_at,
        accepted=accepted,
        complete=listing.completeness is Completeness.COMPLETE,
    )
    deletions = _deletions(verdicts)
    refusal = _partial(listing) or _too_many(deletions, retention, max_deletions, already_deleted)
    if refusal:
        return Plan(verdicts, (), refusal.text, refusal.code)
    return Plan(verdicts, deletions)


def make_room(
    listing: Listing,
    retention: Retention,
    *,
    ownership: Ownership,
    coming_name: str,
    max_deletions: int,
    accepted: Collection[str] = frozenset(),
) -> Verdict | Refusal:
    """Given a listing as long as the panel allows, return the one deletion that makes room, or why there is none.

    It is the oldest good backup that the plan deletes once the coming one is counted as good, so that nothing goes
    that would not go anyhow. `min_good` is counted without the coming one, which may still fail. The panel's limit
    does not count failed backups, so deleting one would make no room. The coming one's size is not known and counts
    as nothing.
    """
    now = listing.taken_at
    coming = Backup("~coming", coming_name, successful=True, locked=False, bytes=0, created_at=now, completed_at=now)
    present = judge(listing.backups, retention, ownership=ownership, now=now, accepted=accepted)
    states = {verdict.backup.uuid: verdict.state for verdict in present}
    verdicts = judge(
        (*listing.backups, coming),
        retention,
        ownership=ownership,
        now=now,
        states=states | {coming.uuid: State.GOOD},
        complete=listing.completeness is Completeness.COMPLETE,
    )
    deletions = _deletions(verdicts)
    refusal = _partial(listing) or _too_many(deletions, retention, max_deletions, 0)
    if refusal:
        return refusal
    good = [verdict for verdict in deletions if verdict.state is State.GOOD]
    candidates = [verdict for verdict in verdicts if verdict.backup is not coming and _is_candidate(verdict, retention)]
    protected = {verdict.backup.uuid for verdict in candidates[: retention.min_good]}
    free = [verdict for verdict in good if verdict.backup.uuid not in protected]
    return free[0] if free else _nothing_deletable(present)


def _is_candidate(verdict: Verdict, retention: Retention) -> bool:
    in_scope = verdict.own or retention.scope is Scope.ALL
    return verdict.state is State.GOOD and not verdict.backup.locked and in_scope


def _deletions(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    return tuple(verdict for verdict in reversed(verdicts) if verdict.action is Action.DELETE)


def _partial(listing: Listing) -> Refusal | None:
    if listing.completeness is not Completeness.PARTIAL:
        return None
    got = len(listing.backups)
    return Refusal(
        "partial_listing",
        f"the list of backups kept changing while it was read ({got} read, the panel says {listing.total}), "
        "so nothing is deleted by it",
    )


def _too_many(deletions: Sequence[Verdict], retention: Retention, bound: int, already: int) -> Refusal | None:
    good = [verdict for verdict in deletions if verdict.state is State.GOOD]
    if bound == UNBOUNDED or not good or len(good) + already <= bound:
        return None
    named = [_named(verdict.backup, retention) for verdict in good[:_SHOWN]]
    if len(good) > _SHOWN:
        named.append(f"and {len(good) - _SHOWN} more")
    before = f" after {already} already" if already else ""
    plural = "" if len(good) == 1 else "s"
    text = (
        f"would delete {len(good)} good backup{plural}{before}, more than max_deletions = {bound}: {', '.join(named)}"
    )
    return Refusal("max_deletions", text)


def _named(backup: Backup, retention: Retention) -> str:
    created = f" ({to_zone(backup.created_at, retention.zone).date()})" if backup.created_at else ""
    return backup.name + created


def _nothing_deletable(present: Sequence[Verdict]) -> Refusal:
    """Say what holds the slots, of which failed backups take none, and what the operator can do."""
    holders = Counter(_holder(verdict) for verdict in present if verdict.state is not State.FAILED)
    counted = [f"{number} {_HOLDERS[holder][0]}" for holder, number in holders.items()]
    held = f"all {counted[0]}" if len(counted) == 1 else ", ".join(counted) or "there is no backup that holds one"
    advice = ", ".join((*(_HOLDERS[holder][1] for holder in holders), "or raise the panel's limit")).removeprefix("or ")
    return Refusal("nothing_deletable", f"no slot can be freed: {held}; {advice}")


def _holder(verdict: Verdict) -> str:
    if verdict.action is Action.IGNORE:
        return verdict.reasons[0].rule
    return "locked" if verdict.backup.locked else "kept"
