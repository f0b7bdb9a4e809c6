"""What a daemon knows of proofs, and what follows from it: worked out a second time from the words of the design.

The words are those of invariant 17; not a line of the daemon's is used.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tests.simulation.proofs.scenario import LEVELS


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading as it was recorded: of a backup on its panel, or of its copy in the store `place`.

    `made` is when the backup was made, `at` when it was read by the daemon's own clock. `wrong` is what was found, and
    may be accepted.
    """

    backup: str
    place: str
    made: datetime
    at: datetime
    level: str
    wrong: tuple[str, ...] = ()
    accepted: bool = False

    @property
    def depth(self) -> int:
        """How deep it looked."""
        return LEVELS.index(self.level)

    @property
    def bad(self) -> bool:
        """Whether something is wrong that nobody accepted."""
        return bool(self.wrong) and not self.accepted

    def stands_for(self, other: "Reading") -> bool:
        """Whether it is of the same thing, and as deep."""
        return (self.backup, self.place, self.level) == (other.backup, other.place, other.level)


def after(known: Iterable[Reading], reading: Reading) -> tuple[Reading, ...]:
    """What is known once a reading is recorded: it stands for the last one as deep of the same thing, unless that found
    something wrong later.

    What was accepted stays so, where the very same is wrong. What was found wrong ends what is dated later and right.
    """
    rest, accepted = [], False
    for one in known:
        same, later = (one.backup, one.place) == (reading.backup, reading.place), one.at > reading.at
        if one.stands_for(reading) and one.wrong and later:
            return tuple(known)
        if reading.wrong and same and later and not one.wrong:
            continue
        if one.stands_for(reading):
            accepted = one.accepted and one.wrong == reading.wrong
        else:
            rest.append(one)
    return (*rest, replace(reading, accepted=accepted))


def accepting(known: Iterable[Reading], backup: str) -> tuple[Reading, ...]:
    """What is known once an operator has accepted what is wrong with a backup, wherever it was read."""
    return tuple(replace(one, accepted=True) if one.backup == backup and one.wrong else one for one in known)


def standing(known: Sequence[Reading], backup: str, place: str) -> list[Reading]:
    """The readings of one thing that no later one, as deep at least, took the place of."""
    mine = [one for one in known if (one.backup, one.place) == (backup, place)]
    return [
        one
        for one in mine
        if not any(other.depth >= one.depth and (other.at, other.depth) > (one.at, one.depth) for other in mine)
    ]


def is_proven(known: Sequence[Reading], backup: str, level: str, place: str = "") -> bool:
    """Whether a backup was read so deep and found right, and nothing is known to be wrong with it."""
    mine = standing(known, backup, place)
    deep = any(not one.wrong and one.depth >= LEVELS.index(level) for one in mine)
    return deep and not any(one.bad for one in mine)


def freezing(known: Sequence[Reading]) -> list[Reading]:
    """The failed proofs that nothing may be deleted for: no newer backup is proven in the same place, and as deep."""
    return [
        one
        for one in known
        if one.bad
        and one in standing(known, one.backup, one.place)
        and not any(
            newer.place == one.place and newer.made > one.made and is_proven(known, newer.backup, one.level, one.place)
            for newer in known
        )
    ]


@dataclass(frozen=True, slots=True)
class Way:
    """How far a server's good backups are proven, newest first, by one state of what may be known: of these a policy
    keeps so many of the newest.
    """

    proven: tuple[str, ...]
    number: int

    @property
    def newest(self) -> tuple[str, ...]:
        """The newest ones, which survive every rule."""
        return self.proven[: self.number]

    @property
    def enough(self) -> bool:
        """Whether there are as many as the policy keeps, so that others may go."""
        return len(self.proven) >= self.number

    def one_stays(self, gone: str, frozen: str) -> bool:
        """Whether a proven one is left once that is gone, or none has to be."""
        return bool(set(self.proven) - {gone}) or not (frozen or self.number)
