"""What to copy next, to which store, and why; and what a store would not take.

What must hold: only good backups in the policy's scope are copied, the newest first; a store is filled by the rules
that prune it, so that nothing is copied only to be pruned; and a backup that a store has is not copied to it again.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from daemon.core.copied import Copied
from daemon.core.copies_state import period
from daemon.core.copy import Copy
from daemon.core.model import Action, Backup, Reason, Scope, Verdict
from daemon.core.names import Ownership
from daemon.core.retention import Retention, judge
from daemon.core.states import age
from daemon.core.store_rules import StoreRules
from daemon.core.units import EARLIEST, format_duration

_NOBODY = Ownership((), None)


class Taken(StrEnum):
    """Whether a store has a backup, is to have it, or would not take it."""

    HELD = "held"
    WANTED = "wanted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether one store takes one good backup, and why: at least one reason."""

    backup: Backup
    taken: Taken
    reasons: tuple[Reason, ...]


_HELD = (Reason("copied", None, "copied"),)


def choices(
    verdicts: Sequence[Verdict],
    copies: Collection[Backup],
    rules: StoreRules,
    policy: Retention,
    *,
    now: datetime,
    elsewhere: Iterable[Backup] = (),
    foreign: Collection[str] = frozenset(),
) -> tuple[Choice, ...]:
    """Given the verdicts on a panel's listing and the whole copies in a store, return what the store has, wants and
    refuses of the good backups in scope, newest first.

    `foreign` are the uuids of backups of which another installation has a copy there: they are not copied again, and
    take no other one's place, since the store's rules do not count them (invariant 15).

    `elsewhere` are backups that other stores have whole copies of, from which this one can be filled. Those that the
    panel lists are judged by its verdicts alone. `now` is the panel's clock. The verdicts have sorted out suspicious
    backups already; sizes are not judged again.
    """
    everyone = policy.scope is Scope.ALL
    listed = {one.backup.uuid for one in verdicts}
    gone = {backup.uuid: backup for backup in elsewhere if backup.uuid not in listed}
    still = (one.backup for one in verdicts if one.whole and (one.own or everyone))
    good = sorted((*still, *gone.values()), key=age, reverse=True)
    have = {copy.uuid for copy in copies}.union(foreign)
    refused = _out_of_turn([backup for backup in good if backup.uuid not in foreign], copies, rules)
    candidates = [backup for backup in good if backup.uuid not in have and backup.uuid not in refused]
    judged = _judged([*copies, *candidates], rules, policy, now)

    def choice(backup: Backup) -> Choice:
        if backup.uuid in have:
            return Choice(backup, Taken.HELD, _HELD)
        if backup.uuid in refused:
            return Choice(backup, Taken.REFUSED, (refused[backup.uuid],))
        verdict = judged[backup.uuid]
        return Choice(backup, Taken.WANTED if verdict.action is Action.KEEP else Taken.REFUSED, verdict.reasons)

    return tuple(map(choice, good))


def by_maker(copies: Collection[Copy], installation: str) -> tuple[list[Backup], frozenset[str]]:
    """Return the backups that the copies of that installation are of, and the uuids of those that others' are of."""
    ours = [copy.backup for copy in copies if copy.installation == installation]
    return ours, frozenset(copy.backup.uuid for copy in copies if copy.installation != installation)


def _judged(backups: Iterable[Backup], rules: StoreRules, policy: Retention, now: datetime) -> Mapping[str, Verdict]:
    """Return the verdicts of the store's rules on its copies and on what may be copied, all taken for good, by uuid."""
    unlocked = [replace(backup, locked=False) for backup in backups]
    retention = replace(rules.retention(policy), suspicious=0)
    return {one.backup.uuid: one for one in judge(unlocked, retention, ownership=_NOBODY, now=now)}


def _out_of_turn(good: Sequence[Backup], copies: Collection[Backup], rules: StoreRules) -> dict[str, Reason]:
    """Return what `every` and `backfill` refuse of the panel's good backups, given newest first, by uuid."""
    have = {copy.uuid for copy in copies}
    first = min((copy.created_at or EARLIEST for copy in copies), default=None)
    taken = {_period(copy, rules.every) for copy in copies} if rules.every else set()
    refused = {}
    for place, backup in enumerate(good):
        if backup.uuid in have:
            continue
        if rules.every and (period := _period(backup, rules.every)) in taken:
            refused[backup.uuid] = Reason(
                "every", None, f"one of the same {format_duration(rules.every)} is taken already"
            )
        elif rules.backfill is not None and place >= max(1, rules.backfill) and not _is_since(backup, first):
            refused[backup.uuid] = Reason("backfill", None, "from before the store's first copy")
        elif rules.every:
            taken.add(period)
    return refused


def _period(backup: Backup, every: timedelta | None) -> int:
    """Return the number of the period that a backup falls into."""
    return period(backup.created_at or EARLIEST, every or timedelta.resolution)


def _is_since(backup: Backup, first: datetime | None) -> bool:
    return first is not None and backup.created_at is not None and backup.created_at > first


@dataclass(frozen=True, slots=True)
class Wanted:
    """One backup to copy, and the stores that want it. It is downloaded once for all of them."""

    backup: Backup
    stores: tuple[str, ...]


def wanted(by_store: Mapping[str, Iterable[Choice]]) -> tuple[Wanted, ...]:
    """Given each store's choices, return what to copy, the newest backup first."""
    backups: dict[str, Backup] = {}
    stores: dict[str, list[str]] = {}
    for store, chosen in by_store.items():
        for choice in chosen:
            if choice.taken is Taken.WANTED:
                backups[choice.backup.uuid] = choice.backup
                stores.setdefault(choice.backup.uuid, []).append(store)
    newest_first = sorted(backups.values(), key=age, reverse=True)
    return tuple(Wanted(backup, tuple(stores[backup.uuid])) for backup in newest_first)


def copied_of(
    rules: StoreRules,
    seen_at: datetime | None,
    copies: Collection[Copy],
    verdicts: Sequence[Verdict],
    policy: Retention,
    *,
    installation: str,
    now: datetime,
    unverified_counts: bool = False,
) -> Copied:
    """Return what `plan` asks of a store that must have a backup before it is deleted.

    `copies` are the whole ones that were seen in it then, by the panel's clock, as `now` is; those that another
    `installation` wrote are as good for the backups that they are of, but its rules do not count them. Those that are
    not verified count only where the operator said so (invariant 13).
    """
    ours, foreign = by_maker(copies, installation)
    chosen = choices(verdicts, ours, rules, policy, now=now, foreign=foreign)
    refused = frozenset(choice.backup.uuid for choice in chosen if choice.taken is Taken.REFUSED)
    listed = {one.backup.uuid for one in verdicts}
    there = [copy for copy in copies if copy.installation == installation or copy.backup.uuid in listed]
    made = {copy.backup.uuid: copy.name.created_at for copy in there if copy.verified or unverified_counts}
    unverified = frozenset(copy.backup.uuid for copy in there) - made.keys()
    return Copied(rules.name, seen_at, made, refused, unverified)
