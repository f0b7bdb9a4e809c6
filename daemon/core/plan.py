"""The plan: which deletions follow from a judgement, in which order, and when there are to be none.

What must hold: nothing is deleted by a partial listing, or by a clock in doubt; never more than the brake allows; the
oldest first. What waits for copies or proofs is only taken away from the deletions: the brake counts it when it would
first go, and not again later. The caller deletes one at a time and looks again before each; nothing here does.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from daemon.core.brake import Applied, Brake, held_back, told_held, too_many
from daemon.core.copied import Copied, until_copied
from daemon.core.look import look, spare
from daemon.core.model import Action, Backup, Completeness, Listing, Scope, Verdict
from daemon.core.names import Ownership
from daemon.core.proof import Proof, Proofs
from daemon.core.proven import NOTHING_KNOWN, Proven, keeping_proven, until_proven
from daemon.core.retention import Retention, judge
from daemon.errors import ProblemCode


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is deleted: a code for scripts, a text for people. `held` is what waits since retention changed,
    `frozen` the failed proof that stops all deletion.
    """

    code: ProblemCode
    text: str
    held: tuple[Verdict, ...] = ()
    frozen: Proof | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Every verdict, newest first, and the deletions that follow, oldest first; none where it is refused.

    `held` are those that wait since the retention was changed, newest first, and `waits` names them. A plan that is
    refused has no `waits`: its refusal comes first. `frozen` is the failed proof for which it is refused, if it is.
    """

    verdicts: tuple[Verdict, ...]
    deletions: tuple[Verdict, ...]
    refused: str | None = None
    code: ProblemCode | None = None
    held: tuple[Verdict, ...] = ()
    waits: str | None = None
    frozen: Proof | None = None


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
    present = Applied(retention, ownership, store_names(copied), proven.rule)
    seen = Seen(listing, accepted, asked, proven.proofs)
    verdicts = seen.judged(present)

    def waiting_for(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
        return until_proven(until_copied(verdicts, copied, listing.taken_at), proven, retention.scope)

    if refusal := unfit(listing):
        return Plan(waiting_for(verdicts), (), refusal.text, refusal.code)
    waiting = seen.held(present, brake)
    held = (*waiting, *seen.held_small(present, brake))
    over = too_many(verdicts, brake, scope=retention.scope, zone=retention.zone, already=already_deleted)
    if over is not None:
        return Plan(waiting_for(verdicts), (), over, ProblemCode.MAX_DELETIONS, held)
    instead = {verdict.backup.uuid: verdict for verdict in waiting}
    verdicts = waiting_for([instead.get(verdict.backup.uuid, verdict) for verdict in verdicts])
    if (bad := proven.frozen) is not None:
        return Plan(verdicts, (), frozen_by(bad), ProblemCode.UNPROVEN, held, frozen=bad)
    waits = told_held(held, brake.held_until(listing.taken_at), retention.zone) if held else None
    return Plan(verdicts, deletions_of(verdicts), held=held, waits=waits)


@dataclass(frozen=True, slots=True)
class Seen:
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
        return keeping_proven(self._by_rules(by), Proven(by.proven, self.proofs), by.retention.scope)

    def _by_rules(self, by: Applied) -> tuple[Verdict, ...]:
        return judge(
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

    def spare(self, by: Applied) -> tuple[Verdict, ...]:
        """Return the suspicious ones that may make room, oldest first."""
        there, guard, at = self.listing, by.retention.guard, self.listing.taken_at
        seen = look(there.backups, guard, by.ownership, now=at, accepted=self.accepted, earlier=there.earlier)
        return spare(seen, everyone=by.retention.scope is Scope.ALL)

    def held(self, present: Applied, brake: Brake) -> tuple[Verdict, ...]:
        """Return what only the present retention deletes, while the operator has known of it for less than a day."""
        before = self._before(present, brake)
        if before is None:
            return ()
        # What both keep for its proof is compared by the rules alone: the next proof may free it at any moment.
        verdicts = self._by_rules if before.proven == present.proven else self.judged
        # What they held then is not known any more; each held some.
        held_then = [Copied(store) for store in before.stores - present.stores]
        kept_then = until_copied(verdicts(before), held_then, self.listing.taken_at)
        if before.proven != present.proven:
            kept_then = until_proven(kept_then, Proven(before.proven, self.proofs), before.retention.scope)
        return self._held_back(verdicts(present), kept_then, present, brake)

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


def deletions_of(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Given verdicts, newest first, return those that delete, oldest first."""
    return tuple(verdict for verdict in reversed(verdicts) if verdict.action is Action.DELETE)


def unfit(listing: Listing) -> Refusal | None:
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


def frozen_by(bad: Proof) -> str:
    """Say that nothing is deleted because of a failed proof."""
    return f"{bad.wrong}; nothing is deleted until a newer one{bad.where} is proven or this one is accepted"


def store_names(copied: Collection[Copied]) -> frozenset[str]:
    """Return the names of these stores."""
    return frozenset(one.store for one in copied)
