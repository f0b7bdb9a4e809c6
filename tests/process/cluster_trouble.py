"""What happens to the members of a cluster, and to their database, in `cluster_rounds`."""

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from tests.process.wire import Way

LONGEST = 9.0
"""So many seconds a trouble lasts at most: more than a take-over needs."""

LONGEST_AT_PANEL = 3.0
"""So long the member that acts may be cut off from the panel, and none takes over from it."""

BEYOND_LEASE = 8.0, 75.0
"""So many seconds at least, and at most, what goes to and from the database is held beyond a lease."""

MINUTES = 75.0, 150.0
"""So many seconds at least, and at most, what is held for minutes is held: longer than any write waits, over several
rounds.
"""

FARTHEST = 25.0
"""By so many seconds the database's clock is moved at most: by several leases."""

WRONG = (120.0, 1800.0), (2 * 3600.0, 3 * 3600.0)
"""By so many seconds at least, and at most, a member's clock is wrong: still to be trusted, or not (invariant 9)."""


class Trouble(StrEnum):
    """What happens to a member, or to the database."""

    KILLED = "killed"
    STOPPED = "stopped"
    SENT_OUT = "sent out"
    EVICTED = "evicted"
    DATABASE_CUT = "cut off from the database"
    DATABASE_HELD_THERE = "what it sends to the database is held"
    DATABASE_HELD_BACK = "what the database answers is held"
    DATABASE_HELD_LONG = "what goes to the database, comes from it, or both is held for longer than a lease"
    PANEL_CUT = "cut off from the panel"
    PANEL_HELD_THERE = "what it sends to the panel is held"
    PANEL_HELD_BACK = "what the panel answers is held"
    HELD_FOR_MINUTES = "evicted, while what it has sent to the panel is held for minutes"
    ANSWERS_HELD_FOR_MINUTES = "evicted, while what the panel answers is held for minutes"
    CLOCK_WRONG = "its clock is set wrong"
    RESTARTED = "the database is restarted"
    PROMOTED = "the database's machine dies, and its standby is promoted"
    FULL = "the database's disk is full"
    CLOCK_MOVED = "the database's clock is moved"


OF_DATABASE = {Trouble.RESTARTED, Trouble.PROMOTED, Trouble.FULL, Trouble.CLOCK_MOVED}
AT_DATABASE = {
    Trouble.DATABASE_CUT,
    Trouble.DATABASE_HELD_THERE,
    Trouble.DATABASE_HELD_BACK,
    Trouble.DATABASE_HELD_LONG,
    *OF_DATABASE,
}
AT_PANEL = {Trouble.PANEL_CUT, Trouble.PANEL_HELD_THERE, Trouble.PANEL_HELD_BACK}
FOR_MINUTES = {Trouble.HELD_FOR_MINUTES, Trouble.ANSWERS_HELD_FOR_MINUTES}
WAYS = {
    Trouble.DATABASE_HELD_THERE: (Way.THERE,),
    Trouble.DATABASE_HELD_BACK: (Way.BACK,),
    Trouble.PANEL_HELD_THERE: (Way.THERE,),
    Trouble.PANEL_HELD_BACK: (Way.BACK,),
    Trouble.HELD_FOR_MINUTES: (Way.THERE,),
    Trouble.ANSWERS_HELD_FOR_MINUTES: (Way.BACK,),
}
EVICTS = {Trouble.EVICTED, *FOR_MINUTES}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One trouble: whose, when it begins after the servers came, and how many seconds it lasts.

    `other` is the number of a member, if it is not the `busiest` one. `moved` is by how many seconds the database's
    clock is moved, `wrong` by how many a member's, which `stays` so beyond the round. `minutes` is how many seconds
    that lasts which is held for minutes. What is held is held these `ways`.
    """

    trouble: Trouble
    busiest: bool
    other: int
    begins: float
    lasts: float
    moved: float
    minutes: float
    wrong: float
    stays: bool
    ways: tuple[Way, ...]

    @classmethod
    def of(cls, chance: random.Random, possible: Collection[Trouble], members: int) -> "Drawn":
        """Draw one of those that are possible here."""
        trouble = chance.choice(sorted(possible))
        longest = LONGEST_AT_PANEL if trouble in AT_PANEL else LONGEST
        whose = chance.random() < 0.75, chance.randrange(members)
        when = chance.uniform(0, 5), chance.uniform(0.3, longest)
        moved = chance.choice([-1, 1]) * chance.uniform(5, FARTHEST)
        minutes = chance.uniform(*MINUTES)
        wrong = chance.choice([-1, 1]) * chance.uniform(*chance.choice(WRONG))
        stays = chance.random() < 0.5
        ways = WAYS.get(trouble) or chance.choice([(Way.THERE,), (Way.BACK,), (Way.THERE, Way.BACK)])
        if trouble is Trouble.DATABASE_HELD_LONG:
            when = when[0], chance.uniform(*BEYOND_LEASE)
        return cls(trouble, *whose, *when, moved, minutes, wrong, stays, ways)

    @classmethod
    def named(cls, trouble: Trouble, chance: random.Random, members: int) -> "Drawn":
        """Draw all but the trouble. It meets the busiest member; what is held beyond a lease is so no longer than it
        must, and a clock is wrong by more than may be, from then on.
        """
        drawn = replace(cls.of(chance, [trouble], members), busiest=True, wrong=WRONG[-1][0], stays=True)
        return replace(drawn, lasts=BEYOND_LEASE[0]) if trouble is Trouble.DATABASE_HELD_LONG else drawn


@dataclass(slots=True)
class Met:
    """A trouble that came about: of which member, None for the database's own, and from when until when.

    `by` is how many seconds a clock was moved.
    """

    trouble: Trouble
    member: str | None
    since: datetime
    until: datetime | None = None
    by: float = 0.0

    def is_of(self, name: str) -> bool:
        """Whether that member had it."""
        return self.member in (None, name)

    def lasted_at(self, at: datetime, after: float = 0.0) -> bool:
        """Whether it lasted then, or had ended so many seconds before at most."""
        return self.since <= at and (self.until is None or (at - self.until).total_seconds() <= after)
