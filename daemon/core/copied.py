"""Copies first: a good backup stays on the panel until each store that must have it does (invariant 14).

What must hold: a copy counts only if it was seen within the last day, and as a newer one only if it is not dated in the
future; a backup kept for want of a copy changes no other verdict; failed backups, and those whose deletion was left
half done, wait for no copy: they may have no file.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from daemon.core.model import Action, Reason, Verdict
from daemon.core.states import CLOCK_TOLERANCE

RULE = "uncopied"
"""The rule of the reason that a store lacks the backup; its slot is the store's name."""

SEEN_WITHIN = timedelta(days=1)
"""How long the last look into a store counts."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What one store, which must have a backup before it is deleted, holds of a server.

    `copies` are the whole copies, as the moment at which each backup was made, by its uuid. `seen_at` is when they were
    last listed (None: never). `refused` are the uuids of backups that the store does not take, by its own `every` and
    `keep`: for these a newer copy is enough. The copies of those `unverified` do not count, since the panel gave no
    checksum that they could be compared with.
    """

    store: str
    seen_at: datetime | None = None
    copies: Mapping[str, datetime] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    unverified: frozenset[str] = frozenset()

    def lacks(self, verdict: Verdict, now: datetime) -> Reason | None:
        """Return why this store does not let the backup go; None where it does."""
        if self.seen_at is None or abs(now - self.seen_at) > SEEN_WITHIN:
            return Reason(RULE, self.store, f"{self.store} was not seen within the last day")
        backup = verdict.backup
        if backup.uuid in self.copies:
            return None
        if backup.uuid in self.unverified:
            return Reason(RULE, self.store, f"its copy in {self.store} is unverified, since the panel gave no checksum")
        if backup.uuid not in self.refused:
            return Reason(RULE, self.store, f"not in {self.store} yet")
        if backup.created_at is not None and self._has_newer(backup.created_at, now):
            return None
        return Reason(RULE, self.store, f"{self.store} takes a newer one instead, and has none yet")

    def _has_newer(self, than: datetime, now: datetime) -> bool:
        """Return whether it holds a newer copy, apart from those that a clock which was wrong has dated ahead."""
        return any(than < made <= now + CLOCK_TOLERANCE for made in self.copies.values())


def until_copied(verdicts: Sequence[Verdict], copied: Collection[Copied], now: datetime) -> tuple[Verdict, ...]:
    """Given all verdicts, return them with each good backup kept that one of these stores must have first."""
    return tuple(_until_copied(verdict, copied, now) for verdict in verdicts) if copied else tuple(verdicts)


def _until_copied(verdict: Verdict, copied: Collection[Copied], now: datetime) -> Verdict:
    lacking = () if verdict.action is not Action.DELETE else held_by(verdict, copied, now)
    return verdict._replace(action=Action.KEEP, reasons=(*verdict.reasons, *lacking)) if lacking else verdict


def held_by(verdict: Verdict, copied: Collection[Copied], now: datetime) -> tuple[Reason, ...]:
    """Return why these stores do not let a backup go that is to be deleted; nothing where they do."""
    return tuple(filter(None, (one.lacks(verdict, now) for one in copied))) if verdict.whole else ()


def uncopied(verdict: Verdict) -> tuple[str, ...]:
    """Return the stores that hold this backup back, which would be deleted otherwise."""
    return tuple(reason.slot for reason in verdict.reasons if reason.rule == RULE and reason.slot is not None)
