"""Which backups are far too small, by their sizes in the order in which they were made.

A world that shrinks to a tenth overnight is a fault far oftener than a clean-up, and a rotation that trusts the tenth
deletes the whole ones. So a backup far smaller than the good ones before it is not believed until a row of them lasts
for days or an operator accepts it. Computed from the listing alone, so that a restart or a lost journal changes
nothing; and what stays after a shrink is what the next listing needs to be judged alike.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

from daemon.core.model import Backup
from daemon.core.units import EARLIEST, format_size

LOOK_BACK = 5
"""How many good ones before it a backup is measured against."""

AGREEING = 3
"""How many small ones, within a factor of two of each other, make a row; and how many good ones are a measure."""

STAYS_FOR = timedelta(days=30)
"""How long after a shrink the last one from before it stays, where no operator says that it was meant."""


class Guard(NamedTuple):
    """When a backup is too small: below `share` of the usual size (0: never). A row of small ones is believed once it
    has lasted for `lasting`. With `together`, for a policy that may delete all backups, own and foreign ones are
    compared with each other while there are too few of one kind.
    """

    share: float
    lasting: timedelta
    together: bool = False


@dataclass(frozen=True, slots=True)
class Shrink:
    """A smaller size that is taken for the usual one, of own or of foreign backups.

    `first` is the first of that size, or the one that an operator accepted. It stays as long as larger ones from before
    it are there; otherwise what came after it would be too small again. `last` is the newest good one from before the
    shrink, which stays `until` that moment; if an operator accepted, there is neither.
    """

    own: bool
    first: str
    last: str = ""
    until: datetime | None = None

    @property
    def accepted(self) -> bool:
        """Whether an operator said that it is right."""
        return self.until is None


@dataclass(frozen=True, slots=True)
class Weighed:
    """What sizes show: which backups are `small`, each with the words that say why; which of these may make room at
    the panel's limit (`spare`); and which shrinks are taken for the new normal, the oldest first.
    """

    small: dict[str, str]
    spare: frozenset[str]
    shrinks: tuple[Shrink, ...]


def weigh(backups: Iterable[tuple[Backup, bool]], guard: Guard, *, accepted: Collection[str] = ()) -> Weighed:
    """Given successful backups, oldest first, and whether each is own, return what their sizes show.

    A backup is small if it is below the guard's share of the median size of up to five good ones before it, locked ones
    included. Own ones are compared with own ones, foreign ones with foreign ones. A row of at least three small ones,
    all within a factor of two of each other, is the new normal once its first and its last are far enough apart; then
    its members are good. An accepted backup is good at once, together with the row that it ends, and what is older is
    not compared with any more. A backup of no bytes is always small.
    """
    weighing = _Weighing(guard, accepted)
    for backup, mine in backups:
        weighing.take(backup, mine)
    return weighing.weighed()


@dataclass(slots=True)
class _Measure:
    """What a backup is compared with: the sizes of the good ones before it; `newest` is the uuid of the newest."""

    sizes: deque[int] = field(default_factory=lambda: deque(maxlen=LOOK_BACK))
    newest: str = ""

    def add(self, backup: Backup) -> None:
        self.sizes.append(backup.bytes)
        self.newest = backup.uuid


@dataclass(slots=True)
class _Side:
    """The own backups, or the foreign ones, up to some point.

    `run` are the small ones since the last good one, and `row` the newest of them that are alike, of `least` to `most`
    bytes. `before` is the uuid of the newest good one from before the row.
    """

    own: bool
    measure: _Measure = field(default_factory=_Measure)
    good: int = 0
    run: list[Backup] = field(default_factory=list)
    row: list[Backup] = field(default_factory=list)
    least: int = 0
    most: int = 0
    before: str = ""
    shrinks: list[Shrink] = field(default_factory=list)

    def add_small(self, backup: Backup, before: str) -> None:
        """Take in a small one; it begins a new row unless it is like those of the last row."""
        self.run.append(backup)
        least, most = min(self.least, backup.bytes), max(self.most, backup.bytes)
        if self.row and 0 < most <= 2 * least:
            self.row.append(backup)
            self.least, self.most = least, most
        else:
            self.row, self.before = [backup], before
            self.least = self.most = backup.bytes

    def lasts(self, lasting: timedelta) -> bool:
        """Return whether the row is long enough to be believed."""
        return len(self.row) >= AGREEING and made_at(self.row[-1]) - made_at(self.row[0]) >= lasting


class _Weighing:
    """One pass over backups, oldest first."""

    def __init__(self, guard: Guard, accepted: Collection[str]) -> None:
        self._guard = guard
        self._accepted = accepted
        self._sides = (_Side(own=False), _Side(own=True))
        self._everyone = _Measure()
        self._small: dict[str, str] = {}
        self._spare: set[str] = set()

    def take(self, backup: Backup, mine: bool) -> None:
        """Weigh the next one."""
        side = self._sides[mine]
        measure = self._everyone if self._guard.together and side.good < AGREEING else side.measure
        accepted = backup.uuid in self._accepted and backup.bytes > 0
        complaint = _complaint(backup, measure.sizes, self._guard.share)
        if complaint is None:
            if side.run:
                self._end_run(side, side.run)
            if accepted and side.shrinks:
                self._begin_anew(side, backup)
            self._count(side, backup)
            return
        self._small[backup.uuid] = complaint
        side.add_small(backup, measure.newest)
        if accepted:
            self._begin_anew(side, backup)
            self._believe(side)
        elif side.lasts(self._guard.lasting):
            first = side.row[0]
            side.shrinks.append(Shrink(side.own, first.uuid, side.before, made_at(first) + STAYS_FOR))
            self._believe(side)

    def weighed(self) -> Weighed:
        """Return what was found."""
        for side in self._sides:
            self._end_run(side, side.run, spared=side.row[0].uuid if side.row else None)
        shrinks = tuple(shrink for side in self._sides for shrink in side.shrinks)
        return Weighed(self._small, frozenset(self._spare), shrinks)

    def _believe(self, side: _Side) -> None:
        """Count the row as good after all."""
        for member in side.row:
            del self._small[member.uuid]
        row = side.row
        self._end_run(side, side.run[: -len(row)])
        for member in row:
            self._count(side, member)

    def _count(self, side: _Side, backup: Backup) -> None:
        side.good += 1
        side.measure.add(backup)
        self._everyone.add(backup)

    def _begin_anew(self, side: _Side, accepted: Backup) -> None:
        """Measure by the accepted backup from here on: the operator knows of everything older."""
        side.shrinks = [Shrink(side.own, accepted.uuid)]
        side.good = AGREEING
        side.measure.sizes.clear()
        self._everyone.sizes.clear()

    def _end_run(self, side: _Side, run: Sequence[Backup], *, spared: str | None = None) -> None:
        """Let all but the first and the newest of a run make room, nor the `spared` one: the first of an open row."""
        self._spare |= {member.uuid for member in run[1:-1]} - {spared}
        side.run, side.row = [], []


def made_at(backup: Backup) -> datetime:
    """Return when the backup was made; all that are weighed have a date."""
    return backup.created_at or EARLIEST


def _complaint(backup: Backup, before: Sequence[int], share: float) -> str | None:
    if not backup.bytes:
        return "0 bytes"
    if not before or backup.bytes >= share * max(
        before
    ):  # asked first, since it is quicker and the median is never more
        return None
    usual = median(before)
    if backup.bytes >= share * usual:
        return None
    those = "the good one before it" if len(before) == 1 else f"the median of the {len(before)} good ones before it"
    return f"{format_size(backup.bytes)}, less than {share:.0%} of {format_size(int(usual))}, {those}"
