"""What one store takes of a server's backups, and what it keeps; `copies_wanted` and `copies_prune` go by it."""

from dataclasses import dataclass, replace
from datetime import timedelta

from daemon.core.keep import Keep
from daemon.core.model import Scope
from daemon.core.retention import Retention


@dataclass(frozen=True, slots=True)
class StoreRules:
    """What one store takes and keeps.

    It takes at most one backup of a server in each period of `every`. Periods are counted from 1970 UTC, so a backup
    that is a few seconds early is still taken. `backfill` bounds how many backups from before the store's first copy
    are taken: so many of the newest, None for all of them, 0 for the newest alone.
    """

    name: str
    keep: Keep
    min_good: int = 1
    every: timedelta | None = None
    backfill: int | None = None

    def __post_init__(self) -> None:
        """Refuse what means nothing."""
        if self.every is not None and self.every <= timedelta(0):
            raise ValueError("every must be longer than nothing")
        if self.backfill is not None and self.backfill < 0:
            raise ValueError(f'backfill = {self.backfill}: write 1 or more, "all" or "none"')

    def retention(self, policy: Retention) -> Retention:
        """Return what the store keeps of a server that follows the policy: in its zone, and all that was copied."""
        return replace(
            policy, keep=self.keep, min_good=self.min_good, scope=Scope.ALL, total_size=None, failed_after=None
        )
