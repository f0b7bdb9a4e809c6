"""What happens to the members of a cluster, and to their database, in `cluster_rounds`."""

import random
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

LONGEST = 9.0
"""So many seconds a trouble lasts at most: more than a take-over needs."""

LONGEST_AT_PANEL = 3.0
"""So long the member that acts may be cut off from the panel, and none takes over from it."""

MINUTES = 75.0, 150.0
"""So many seconds at least, and at most, HELD_FOR_MINUTES lasts: longer than any write waits, over several rounds."""

FARTHEST = 25.0
"""By so many seconds the database's clock is moved at most: by several leases."""


class Trouble(StrEnum):
    """What happens to a member, or to the database."""

    KILLED = "killed"
    STOPPED = "stopped"
    SENT_OUT = "sent out"
    EVICTED = "evicted"
    DATABASE_CUT = "cut off from the database"
    DATABASE_HELD_THERE = "what it sends to the database is held"
    DATABASE_HELD_BACK = "what the database answers is held"
    PANEL_CUT = "cut off from the panel"
    PANEL_HELD_THERE = "what it sends to the panel is held"
    PANEL_HELD_BACK = "what the panel answers is held"
    HELD_FOR_MINUTES = "evicted, while what it has sent to the panel is held for minutes"
    RESTARTED = "the database is restarted"
    PROMOTED = "the database's machine dies, and its standby is promoted"
    FULL = "the database's disk is full"
    CLOCK_MOVED = "the database's clock is moved"


OF_DATABASE = {Trouble.RESTARTED, Trouble.PROMOTED, Trouble.FULL, Trouble.CLOCK_MOVED}
AT_DATABASE = {Trouble.DATABASE_CUT, Trouble.DATABASE_HELD_THERE, Trouble.DATABASE_HELD_BACK, *OF_DATABASE}
AT_PANEL = {Trouble.PANEL_CUT, Trouble.PANEL_HELD_THERE, Trouble.PANEL_HELD_BACK}


@dataclass(frozen=True, slots=True)
class Drawn:
    """One trouble: whose, when it begins after the servers came, and how many seconds it lasts.

    `other` is the number of a member, if it is not the `busiest` one. `moved` is by how many seconds a clock is moved,
    `minutes` how many seconds that lasts which is held for long.
    """

    trouble: Trouble
    busiest: bool
    other: int
    begins: float
    lasts: float
    moved: float
    minutes: float

    @classmethod
    def of(cls, chance: random.Random, possible: Collection[Trouble], members: int) -> "Drawn":
        """Draw one of those that are possible here."""
        trouble = chance.choice(sorted(possible))
        longest = LONGEST_AT_PANEL if trouble in AT_PANEL else LONGEST
        whose = chance.random() < 0.75, chance.randrange(members)
        when = chance.uniform(0, 5), chance.uniform(0.3, longest)
        moved = chance.choice([-1, 1]) * chance.uniform(5, FARTHEST)
        return cls(trouble, *whose, *when, moved, chance.uniform(*MINUTES))
