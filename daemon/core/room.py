"""Room for one more backup at the panel's limit: which one goes, or why none may.

What must hold: what goes is what the plan would delete anyhow once the coming backup is good, or a suspicious one;
nothing that is held since the retention was changed; and while the brake holds, one in 24 hours.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from daemon.core.brake import Applied, Brake, is_candidate, named, told_held, too_many
from daemon.core.copied import RULE as UNCOPIED
from daemon.core.copied import Copied, uncopied, until_copied
from daemon.core.model import Action, Backup, Listing, State, Verdict
from daemon.core.names import Ownership
from daemon.core.plan import Refusal, Seen, deletions_of, store_names, unfit
from daemon.core.proven import NOTHING_KNOWN, Proven
from daemon.core.retention import Retention
from daemon.core.units import format_moment
from daemon.errors import ProblemCode

_HOLDERS = {
    "locked": ("locked", "unlock one"),
    "foreign": ("not made by this policy", "delete one of those by hand"),
    "kept": ("kept by the rules", "keep fewer"),
    "pending": ("not completed yet", "wait for it"),
    "suspicious": ("suspiciously small", "accept or delete it"),
    "strange": ("strange", "look at it on the panel"),
}
"""What can occupy a slot, in words, and what an operator can do about it."""

ROOM_MADE = "room was made once already, and no backup has turned good since"
"""Why no room is made now: a server that makes bad backups must not lose its good ones one by one."""


def make_room(
    listing: Listing,
    retention: Retention,
    *,
    ownership: Ownership,
    coming_name: str,
    brake: Brake,
    accepted: Collection[str] = frozenset(),
    asked: Collection[str] = frozenset(),
    in_vain: Collection[str] = frozenset(),
    again: bool = False,
    copied: Collection[Copied] = (),
    uncopied_may_go: bool = False,
    proven: Proven = NOTHING_KNOWN,
) -> Verdict | Refusal:
    """Given a listing as long as the panel allows, return the one deletion that makes room, or why there is none.

    It is the oldest good backup that the plan deletes once the coming one counts as good, so nothing goes that would
    have stayed. The coming one's size is unknown and counts as nothing, and `min_good` is counted without it, since it
    may still fail. The panel's limit does not count failed backups, so deleting one would make no room. If the brake
    refuses the plan as a whole, one backup may still go every 24 hours: otherwise there would never be a new one.
    Nothing goes that is held since the retention was changed.

    A backup whose deletion was `asked` for before, and not completed, goes only if there is no other. One that was
    tried `in_vain` a moment ago comes last of all.

    A suspicious backup inside its row goes before a good one while the newest is suspicious too, so that an hourly
    schedule continues; otherwise only if no good one can go. If room was made already, nothing but such a backup may go
    `again`.

    `copied` are the stores that must have a good backup before it goes. With `uncopied_may_go`, if all that could make
    room wait for their copies, one goes without: the operator prefers the new backup.

    A proof that failed, or that is lacking, stops no room as long as a `proven` one stays.
    """
    if refusal := unfit(listing):
        return refusal
    present = Applied(retention, ownership, store_names(copied), proven.rule)
    seen = Seen(listing, accepted, asked, proven.proofs)
    if (nothing := proven.no_room(seen.judged(present), retention.scope)) is not None:
        return Refusal(ProblemCode.UNPROVEN, nothing, frozen=proven.frozen)
    spared, waiting = (seen.spare(present), seen.held_small(present, brake)) if brake.most != 0 else ((), ())
    waits = {verdict.backup.uuid for verdict in waiting}
    free = (verdict for verdict in spared if verdict.backup.uuid not in waits)

    def tried(verdict: Verdict) -> tuple[bool, bool]:
        return verdict.backup.uuid in in_vain, verdict.backup.uuid in asked

    small = sorted(free, key=tried)
    fresh = [verdict for verdict in small if not any(tried(verdict))]
    if fresh and (again or _shrank_lately(seen.judged(present))):
        return fresh[0]
    if again:
        return small[0] if small else Refusal(ProblemCode.NOTHING_DELETABLE, ROOM_MADE, waiting)
    now = listing.taken_at
    coming = Backup("~coming", coming_name, successful=True, locked=False, bytes=0, created_at=now, completed_at=now)
    seen = replace(seen, coming=coming)
    good = _room_by_good_ones(seen, present, brake, proven)
    if not isinstance(good, Refusal):
        good = _copied_first(good, copied, retention, now, uncopied_may_go=uncopied_may_go)
    if isinstance(good, Refusal):
        return small[0] if small else _told_with(waiting, good, brake.held_until(now), retention)
    return min((*good, *small), key=tried)


def _told_with(waiting: tuple[Verdict, ...], room: Refusal, until: datetime, retention: Retention) -> Refusal:
    """Return the refusal with the small ones that are held: they are its reason if nothing else could make room."""
    if waiting and room.code == ProblemCode.NOTHING_DELETABLE:
        return Refusal(ProblemCode.MAX_DELETIONS, told_held(waiting, until, retention.zone), waiting)
    return replace(room, held=(*room.held, *waiting))


def _room_by_good_ones(seen: Seen, present: Applied, brake: Brake, proven: Proven) -> list[Verdict] | Refusal:
    """Return what the plan deletes once the coming one is there, oldest first, or why it deletes nothing."""
    now, retention = seen.listing.taken_at, present.retention
    verdicts = seen.judged(present)
    held = seen.held(present, brake)
    over = too_many(verdicts, brake, scope=retention.scope, zone=retention.zone)
    if over is not None and (because := _no_exception(brake, now, retention)):
        return Refusal(ProblemCode.MAX_DELETIONS, f"{over}; {because}", held)
    candidates = [
        verdict for verdict in verdicts if verdict.backup is not seen.coming and is_candidate(verdict, retention.scope)
    ]
    spared = {verdict.backup.uuid for verdict in (*_newest(candidates, retention.min_good, seen.asked), *held)}
    spared |= proven.last_one(verdicts, retention.scope)
    good = [verdict for verdict in deletions_of(verdicts) if verdict.state is State.GOOD]
    free = [verdict for verdict in good if verdict.backup.uuid not in spared]
    if free:
        return free
    waiting = [verdict for verdict in held if verdict.state is State.GOOD]
    if waiting:
        return Refusal(ProblemCode.MAX_DELETIONS, told_held(waiting, brake.held_until(now), retention.zone), held)
    return _nothing_deletable(replace(seen, coming=None).judged(present))


def _newest(candidates: Sequence[Verdict], number: int, asked: Collection[str]) -> Iterator[Verdict]:
    """Yield the newest so many that have their files, and all newer ones that may have none: any may be the last."""
    certain = 0
    for verdict in candidates:
        if certain == number:
            return
        certain += verdict.backup.uuid not in asked
        yield verdict


def _shrank_lately(present: Sequence[Verdict]) -> bool:
    """Return whether the newest own backup is suspicious, so that the coming one is likely to be so too."""
    ended = [one.state for one in present if one.own and one.state in {State.GOOD, State.SUSPICIOUS}]
    return ended[:1] == [State.SUSPICIOUS]


def _no_exception(brake: Brake, now: datetime, retention: Retention) -> str | None:
    """Return why the plan's being over the brake means that not even one may make room; None if one may."""
    if brake.most == 0:
        return "and with max_deletions = 0 no room is made"
    again = brake.room_from(now)
    if again is None:
        return None
    return f"room is made once in 24 hours all the same, next at {format_moment(again, retention.zone)}"


def _copied_first(
    going: list[Verdict], copied: Collection[Copied], retention: Retention, now: datetime, *, uncopied_may_go: bool
) -> list[Verdict] | Refusal:
    """Return those that wait for no copy; if all do, return all of them if that may be, else why none may go."""
    looked = until_copied(going, copied, now)
    ready = [verdict for verdict in looked if not uncopied(verdict)]
    return ready or (going if uncopied_may_go else _waiting_for_copies(looked, retention))


def _waiting_for_copies(waiting: Sequence[Verdict], retention: Retention) -> Refusal:
    """Say which backups would make room if they were copied, oldest first, and what the stores lack."""
    stores = " and ".join(dict.fromkeys(store for verdict in waiting for store in uncopied(verdict)))
    what = "a backup waits" if len(waiting) == 1 else f"{len(waiting)} backups wait"
    lack = "; ".join(reason.text for reason in waiting[0].reasons if reason.rule == UNCOPIED)
    names = named([verdict.backup for verdict in waiting], retention.zone)
    advice = 'look at the store, or set copy_before_delete_when_full = "make-room"'
    text = f"no slot can be freed: {what} for a copy in {stores}: {names} ({lack}); {advice}"
    return Refusal(ProblemCode.NOTHING_DELETABLE, text)


def _nothing_deletable(present: Sequence[Verdict]) -> Refusal:
    """Say what holds the slots, of which failed backups take none, and what the operator can do."""
    holders = Counter(_holder(verdict) for verdict in present if verdict.state is not State.FAILED)
    counted = [f"{number} {_HOLDERS[holder][0]}" for holder, number in holders.items()]
    held = f"all {counted[0]}" if len(counted) == 1 else ", ".join(counted) or "there is no backup that holds one"
    advice = ", ".join((*(_HOLDERS[holder][1] for holder in holders), "or raise the panel's limit")).removeprefix("or ")
    return Refusal(ProblemCode.NOTHING_DELETABLE, f"no slot can be freed: {held}; {advice}")


def _holder(verdict: Verdict) -> str:
    if verdict.action is Action.IGNORE:
        return verdict.reasons[0].rule
    return "locked" if verdict.backup.locked else "kept"
