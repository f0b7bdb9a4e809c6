"""A look at a listing: its backups from the newest, which of them are own, and the state of each.

Sizes are compared among all backups that are known: if the listing lacks some, the last complete one has their sizes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import compress

from daemon.core.model import Action, Backup, Reason, State, Verdict
from daemon.core.names import Ownership
from daemon.core.states import PLAINLY, StateFinding, age, find, newest_first
from daemon.core.suspicion import Guard, Shrink

_SPARE = Reason("room", None, "far too small, and neither the first nor the newest of its row")


@dataclass(frozen=True, slots=True)
class Look:
    """The backups, newest first; for each whether it is own, and its state. `spare` and `shrinks` as in `Weighed`."""

    ordered: Sequence[Backup]
    own: Sequence[bool]
    findings: Sequence[StateFinding]
    spare: frozenset[str]
    shrinks: tuple[Shrink, ...]

    def of(self, uuids: Collection[str]) -> "Look":
        """Return the same of these backups alone."""
        listed = [backup.uuid in uuids for backup in self.ordered]
        ordered, own = list(compress(self.ordered, listed)), list(compress(self.own, listed))
        return replace(self, ordered=ordered, own=own, findings=list(compress(self.findings, listed)))

    def with_coming(self, coming: Backup) -> "Look":
        """Return the same with one more backup, which counts as own and good, whatever its size."""
        place = sum(age(backup) > age(coming) for backup in self.ordered)
        ordered, own, findings = list(self.ordered), list(self.own), list(self.findings)
        ordered.insert(place, coming)
        own.insert(place, True)
        findings.insert(place, PLAINLY[State.GOOD])
        return replace(self, ordered=ordered, own=own, findings=findings)


def look(
    backups: Sequence[Backup],
    guard: Guard,
    ownership: Ownership,
    *,
    now: datetime,
    accepted: Collection[str] = frozenset(),
    earlier: Collection[Backup] = (),
) -> Look:
    """Return the look at these backups; `now` is the panel's clock.

    Their sizes are compared with those of `earlier` ones too, which an earlier listing held and this one lacks.
    """
    there = {backup.uuid for backup in backups}
    ordered = newest_first((*backups, *(backup for backup in earlier if backup.uuid not in there)))
    own = [ownership.owns(backup.name, backup.uuid) for backup in ordered]
    found = find(ordered, own, guard, now=now, accepted=accepted)
    seen = Look(ordered, own, found.findings, found.spare, found.shrinks)
    return seen.of(there) if earlier else seen


def spare(seen: Look, *, everyone: bool) -> tuple[Verdict, ...]:
    """Return the suspicious backups that may make room at the panel's limit, oldest first: own ones, or `everyone`'s.

    Little is lost with them: the first and the newest of their row stay, and no good backup goes.
    """
    return tuple(
        Verdict(backup, State.SUSPICIOUS, mine, Action.DELETE, (_SPARE,))
        for backup, mine in zip(reversed(seen.ordered), reversed(seen.own), strict=True)
        if backup.uuid in seen.spare and not backup.locked and (mine or everyone)
    )
