"""This member's standing in the cluster, as an operator should know it: on the status page, and in alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from daemon.clock import Clock
from daemon.core.alerting import PROMOTION_NEWS
from daemon.core.shares import node_of
from daemon.core.units import rfc3339
from daemon.fleet.agreeing import Agreeing
from daemon.fleet.reaching import Reaching
from daemon.log import get_logger
from daemon.state import SharesSeen

log = get_logger()

SENT_OUT = "this daemon was sent out of the cluster, and takes nothing until `ptero-backupd cluster join`"

Holders = Mapping[str, Sequence[tuple[str, str]]]
"""The nodes that each member holds, by the member's name: of each node its panel's name, and its own."""

NOBODY_ACTS = "no member of the cluster acts, so no backups are made: call one back, or start one that is not out"


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What an operator should know of a cluster: where its members differ, in words, and since when (None while they
    agree); since when this is the member to tell that nobody acts; and when its database was last promoted or restored
    (None if it never was).
    """

    differing: str = ""
    differ_since: datetime | None = None
    nobody_since: datetime | None = None
    promoted_at: datetime | None = None


class Standing:
    """Whether an operator has sent this member `out`, whether anybody acts, and what else there is to know."""

    def __init__(self, agreeing: Agreeing, reaching: Reaching, clock: Clock) -> None:
        self._agreeing = agreeing
        self._reaching = reaching
        self._clock = clock
        self._promoted_at: datetime | None = None
        self._alone_out = False
        """Whether no member acts, since all that live were sent out, this one too."""

        self._nobody_since: datetime | None = None
        self._seen: SharesSeen | None = None
        self.out = False

    @property
    def last(self) -> bool:
        """Whether nobody acts, and this member is to tell that: of those that were sent out, the first that joined."""
        return self._nobody_since is not None

    def heard(self, seen: SharesSeen) -> None:
        """Take note of what is so now, and say what is new."""
        self._seen, self._promoted_at = seen, seen.promoted_at or self._promoted_at
        out = seen.me in seen.out
        if out and not self.out:
            log.warning("sent_out", consequence="this member hands over, and takes nothing more")
        elif self.out and not out:
            log.info("called_back", consequence="this member takes its share again")
        alone = out and not seen.members
        if alone and not self._alone_out:
            log.error("nobody_acts", consequence=NOBODY_ACTS)
        self.out, self._alone_out = out, alone
        last = alone and seen.me == min(seen.out, key=lambda member: member[1])
        self._nobody_since = (self._nobody_since or self._clock.now()) if last else None

    def notes(self) -> list[str]:
        """Return what the operator should know of this member's place in the cluster."""
        found = [*([NOBODY_ACTS] if self._alone_out else []), *([SENT_OUT] if self.out else [])]
        found += self._reaching.notes()
        if differing := self._agreeing.in_words():
            found.append(f"{differing}: nothing is deleted there; `ptero-backupd cluster status` shows more")
        if self._promoted_at is not None and self._clock.now() - self._promoted_at < PROMOTION_NEWS:
            found.append(f"the cluster's database was promoted or restored at {rfc3339(self._promoted_at)}")
        return found

    def holders(self) -> Holders:
        """Return which nodes each member holds, as it was seen last."""
        if self._seen is None:
            return {}
        holds: dict[str, list[tuple[str, str]]] = {name: [] for name, _ in self._seen.members}
        for part, (name, _) in self._seen.held.items():
            if (node := node_of(part)) is not None:
                holds.setdefault(name, []).append(node)
        return {name: sorted(nodes) for name, nodes in sorted(holds.items())}

    def view(self) -> ClusterView:
        """Return what an operator should know of the cluster."""
        return ClusterView(self._agreeing.in_words(), self._agreeing.since, self._nobody_since, self._promoted_at)
