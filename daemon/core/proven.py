"""Proven first: what the proofs of a server's backups let its rotations delete (invariant 17).

What must hold: a proof that failed deletes nothing and freezes all deletion; the newest proven ones survive every rule,
and while there are fewer than configured no good one goes. Only room is made all the same: by one deletion of the plan,
never of those newest proven ones, and only while a proven one stays. A verdict is only ever turned into a keep, so that
a backup which the whole list keeps is kept by a part of it as well (invariant 5).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from daemon.core.model import Action, Reason, Scope, State, Verdict
from daemon.core.proof import Level, Proof, Proofs

RULE = "keep_proven"
"""The rule of the reasons that keep a backup for the sake of proofs."""

AWAITED = "awaited"
"""The slot of such a reason where too few are proven so far."""

UNPROVEN = "unproven"
"""The rule of the reason that tells what a proof found wrong; its slot is the level."""

NOTHING_PROVEN = "none of the panel's backups is proven to be sound, and one that is must stay"


@dataclass(frozen=True, slots=True)
class KeepProven:
    """How many of the newest proven backups a policy keeps, 0 for none, and how deep a proof must look to count."""

    number: int = 0
    level: Level = Level.SANE


NO_RULE = KeepProven()
"""A policy that keeps none for its proof."""


@dataclass(frozen=True)
class Proven:
    """What a policy keeps for its proofs, and what is known of a server's."""

    rule: KeepProven = NO_RULE
    proofs: Proofs = field(default_factory=Proofs)

    @property
    def frozen(self) -> Proof | None:
        """The failed proof that nothing may be deleted for."""
        return self.proofs.freezes()

    def no_room(self, verdicts: Sequence[Verdict], scope: Scope) -> str | None:
        """Given all verdicts, return why not even room may be made: a proven one must stay, and there is none."""
        must = self.rule.number > 0 or self.frozen is not None
        if not must or self._proven(verdicts, scope):
            return None
        because = f"{self.frozen.wrong}; {NOTHING_PROVEN}" if self.frozen is not None else NOTHING_PROVEN
        return f"no slot can be freed: {because}"

    def last_one(self, verdicts: Sequence[Verdict], scope: Scope) -> frozenset[str]:
        """Return the newest proven one of a frozen server, by its uuid: room is never made by that one."""
        return frozenset(self._proven(verdicts, scope)[:1]) if self.frozen is not None else frozenset()

    def newest(self, verdicts: Sequence[Verdict], scope: Scope) -> frozenset[str]:
        """Given all verdicts, newest first, return the newest proven ones that the policy keeps, by uuid."""
        return frozenset(self._proven(verdicts, scope)[: self.rule.number])

    def _proven(self, verdicts: Sequence[Verdict], scope: Scope) -> list[str]:
        judged = (one.backup.uuid for one in verdicts if _counts(one, scope))
        return [uuid for uuid in judged if self.proofs.proven(uuid, self.rule.level) is not None]


NOTHING_KNOWN = Proven()
"""No proofs, and none that is asked for."""


def _counts(verdict: Verdict, scope: Scope) -> bool:
    return verdict.whole and not verdict.backup.locked and (verdict.own or scope is Scope.ALL)


def keeping_proven(verdicts: Sequence[Verdict], proven: Proven, scope: Scope) -> tuple[Verdict, ...]:
    """Given all verdicts, newest first, return them with the newest proven ones kept, whatever the rules say."""
    newest = proven.newest(verdicts, scope)
    reason = Reason(RULE, None, f"among the newest proven ones, keep_proven = {proven.rule.number}")
    return tuple(_kept(verdict, reason) if verdict.backup.uuid in newest else verdict for verdict in verdicts)


def until_proven(verdicts: Sequence[Verdict], proven: Proven, scope: Scope) -> tuple[Verdict, ...]:
    """Given all verdicts, return them with each good backup kept while too few are proven, and what is wrong told.

    One whose deletion was left half done is kept too: it may have its file all the same.
    """
    number, found = proven.rule.number, len(proven.newest(verdicts, scope))
    lacking = Reason(RULE, AWAITED, f"{found} proven so far, keep_proven = {number}")
    kept = (_kept(one, lacking) if found < number and one.state is State.GOOD else one for one in verdicts)
    return tuple(_told(one, proven.proofs.failed(one.backup.uuid)) for one in kept)


def _kept(verdict: Verdict, reason: Reason) -> Verdict:
    if verdict.action is not Action.DELETE:
        return verdict
    return verdict._replace(action=Action.KEEP, reasons=(*verdict.reasons, reason))


def _told(verdict: Verdict, bad: Proof | None) -> Verdict:
    if bad is None:
        return verdict
    said = Reason(UNPROVEN, bad.asked.value, f"not sound: {'; '.join(bad.problems)}")
    return verdict._replace(reasons=(*verdict.reasons, said))


def awaits_proof(verdict: Verdict) -> bool:
    """Return whether a backup is kept only until enough newer ones are proven."""
    return any((reason.rule, reason.slot) == (RULE, AWAITED) for reason in verdict.reasons)
