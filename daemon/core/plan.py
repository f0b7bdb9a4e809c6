"""The plan: which deletions follow from a judgement, in which order, and when there are to be none.

What must hold: nothing is deleted by a partial listing, or by a clock in doubt; never more than the brake allows; the
oldest first. What waits for copies or proofs is only taken away from the deletions: the brake counts it when it would
first go, and not again later. The caller deletes one at a time and looks again before each; nothing here does.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from daemon.core.brake import Applied, Brake, held_back, is_candidate, named, told_held, too_many
from daemon.core.copied import RULE as UNCOPIED
from daemon.core.copied import Copied, uncopied, until_copied
from daemon.core.look import look, spare
from daemon.core.model import Action, Backup, Completeness, Listing, Scope, State, Verdict
from daemon.core.names import Ownership
from daemon.core.proof import Proof, Proofs
from daemon.core.proven import NOTHING_KNOWN, Proven, keeping_proven, until_proven
from daemon.core.retention import Retention, judge
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


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is deleted: a code for scripts, a text for people. `held` is what waits since retention changed."""

    code: ProblemCode
    text: str
    held: tuple[Verdict, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Every verdict, newest first, and the deletions that follow, oldest first; none where it is refused.

    `held` are those that wait since the retention was changed, newest first, and `waits` names them. A plan that is
    refused has no `waits`: its refusal comes first.
    """

    verdicts: tuple[Verdict, ...]
    deletions: tuple[Verdict, ...]
    refused: str | None = None
    code: ProblemCode | None = None
    held: tuple[Verdict, ...] = ()
    waits: str | None = None


def plan(
    listing: Listing,
    retention: Retention,
    *,
    ownership: Ownership,
    brake: Brake,
    accepted: Collection[str] = frozenset(),
    asked: Collection[str] = frozenset(),
    already_deleted: int = 0,
    copied: Collection[Copied] = (),
    proven: Proven = NOTHING_KNOWN,
) -> Plan:
    """Given a listing and what its policy keeps, return what to delete, or why nothing may be.

    Now is when the listing was taken. `asked` are those whose deletion was asked for and not completed.
    `already_deleted` good ones of this rotation count towards the brake; failed ones do not count. `copied` are the
    stores that must have a good backup before it goes, `proven` says which were read and found right, or wrong.
    """
    present = Applied(retention, ownership, _names(copied), proven.rule)
    seen = _Seen(listing, accepted, asked, proven.proofs)
    verdicts = seen.judged(present)

    def waiting_for(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
        return until_proven(until_copied(verdicts, copied, listing.taken_at), proven, retention.scope)

    if refusal := _unfit(listing):
        return Plan(waiting_for(verdicts), (), refusal.text, refusal.code)
    waiting = seen.held(verdicts, present, brake)
    held = (*waiting, *seen.held_small(present, brake))
    over = too_many(verdicts, brake, scope=retention.scope, zone=retention.zone, already=already_deleted)
    if over is not None:
        return Plan(waiting_for(verdicts), (), over, ProblemCode.MAX_DELETIONS, held)
    instead = {verdict.backup.uuid: verdict for verdict in waiting}
    verdicts = waiting_for([instead.get(verdict.backup.uuid, verdict) for verdict in verdicts])
    if (bad := proven.frozen) is not None:
        return Plan(verdicts, (), _frozen(bad), ProblemCode.UNPROVEN, held)
    waits = told_held(held, brake.held_until(listing.taken_at), retention.zone) if held else None
    return Plan(verdicts, _deletions(verdicts), held=held, waits=waits)


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
    if refusal := _unfit(listing):
        return refusal
    present = Applied(retention, ownership, _names(copied), proven.rule)
    seen = _Seen(listing, accepted, asked, proven.proofs)
    if (nothing := proven.no_room(seen.judged(present), retention.scope)) is not None:
        return Refusal(ProblemCode.NOTHING_DELETABLE, nothing)
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


def _room_by_good_ones(seen: "_Seen", present: Applied, brake: Brake, proven: Proven) -> list[Verdict] | Refusal:
    """Return what the plan deletes once the coming one is there, oldest first, or why it deletes nothing."""
    now, retention = seen.listing.taken_at, present.retention
    verdicts = seen.judged(present)
    held = seen.held(verdicts, present, brake)
    over = too_many(verdicts, brake, scope=retention.scope, zone=retention.zone)
    if over is not None and (because := _no_exception(brake, now, retention)):
        return Refusal(ProblemCode.MAX_DELETIONS, f"{over}; {because}", held)
    candidates = [
        verdict for verdict in verdicts if verdict.backup is not seen.coming and is_candidate(verdict, retention.scope)
    ]
    spared = {verdict.backup.uuid for verdict in (*_newest(candidates, retention.min_good, seen.asked), *held)}
    spared |= proven.last_one(verdicts, retention.scope)
    good = [verdict for verdict in _deletions(verdicts) if verdict.state is State.GOOD]
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


@dataclass(frozen=True, slots=True)
class _Seen:
    """A listing with what is known of its backups: which an operator accepted, which deletions were asked for, and
    which were read. A `coming` backup counts as good, whatever its size.
    """

    listing: Listing
    accepted: Collection[str]
    asked: Collection[str]
    proofs: Proofs
    coming: Backup | None = None

    def judged(self, by: Applied) -> tuple[Verdict, ...]:
        """Return the verdicts, newest first, with the newest proven ones kept."""
        verdicts = judge(
            self.listing.backups,
            by.retention,
            ownership=by.ownership,
            now=self.listing.taken_at,
            accepted=self.accepted,
            asked=self.asked,
            earlier=self.listing.earlier,
            coming=self.coming,
            complete=self.listing.completeness is Completeness.COMPLETE,
        )
        return keeping_proven(verdicts, Proven(by.proven, self.proofs), by.retention.scope)

    def spare(self, by: Applied) -> tuple[Verdict, ...]:
        """Return the suspicious ones that may make room, oldest first."""
        there, guard, at = self.listing, by.retention.guard, self.listing.taken_at
        seen = look(there.backups, guard, by.ownership, now=at, accepted=self.accepted, earlier=there.earlier)
        return spare(seen, everyone=by.retention.scope is Scope.ALL)

    def held(self, verdicts: Sequence[Verdict], present: Applied, brake: Brake) -> tuple[Verdict, ...]:
        """Return what only the present retention deletes, while the operator has known of it for less than a day."""
        before = self._before(present, brake)
        if before is None:
            return ()
        # What they held then is not known any more; each held some.
        held_then = [Copied(store) for store in before.stores - present.stores]
        kept_then = until_copied(self.judged(before), held_then, self.listing.taken_at)
        if before.proven != present.proven:
            kept_then = until_proven(kept_then, Proven(before.proven, self.proofs), before.retention.scope)
        return self._held_back(verdicts, kept_then, present, brake)

    def held_small(self, present: Applied, brake: Brake) -> tuple[Verdict, ...]:
        """Return the suspicious ones that only the present retention lets make room, while the operator has known of it
        for less than a day.
        """
        before = self._before(present, brake)
        if before is None:
            return ()
        allowed = (*self.judged(before), *self.spare(before))
        return self._held_back(tuple(reversed(self.spare(present))), allowed, present, brake)

    def _held_back(
        self, verdicts: Sequence[Verdict], before: Sequence[Verdict], present: Applied, brake: Brake
    ) -> tuple[Verdict, ...]:
        return held_back(verdicts, before, brake.held_until(self.listing.taken_at), present.retention.zone)

    def _before(self, present: Applied, brake: Brake) -> Applied | None:
        """Return what was last applied; None if it is applied now, is not known, or holds nothing any more."""
        # What the panel made of our names is knowledge, and no part of what was configured.
        before = brake.before and brake.before.knowing(present.ownership.altered)
        now = self.listing.taken_at
        return None if brake.lifted or before == present or now >= brake.held_until(now) else before


def _no_exception(brake: Brake, now: datetime, retention: Retention) -> str | None:
    """Return why the plan's being over the brake means that not even one may make room; None if one may."""
    if brake.most == 0:
        return "and with max_deletions = 0 no room is made"
    again = brake.room_from(now)
    if again is None:
        return None
    return f"room is made once in 24 hours all the same, next at {format_moment(again, retention.zone)}"


def _deletions(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    return tuple(verdict for verdict in reversed(verdicts) if verdict.action is Action.DELETE)


def _unfit(listing: Listing) -> Refusal | None:
    """Return why nothing may be deleted by this listing, whatever is in it; None if deletions may be decided."""
    return _partial(listing) or _undated(listing)


def _partial(listing: Listing) -> Refusal | None:
    if listing.completeness is not Completeness.PARTIAL:
        return None
    got = len(listing.backups)
    return Refusal(
        ProblemCode.PARTIAL_LISTING,
        f"the list of backups kept changing while it was read ({got} read, the panel says {listing.total}), "
        "so nothing is deleted by it",
    )


def _undated(listing: Listing) -> Refusal | None:
    return Refusal(ProblemCode.CLOCK, f"{listing.doubt}, so nothing is deleted") if listing.doubt else None


def _frozen(bad: Proof) -> str:
    return f"{bad.wrong}; nothing is deleted until a newer one is proven or this one is accepted"


def _names(copied: Collection[Copied]) -> frozenset[str]:
    return frozenset(one.store for one in copied)


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
