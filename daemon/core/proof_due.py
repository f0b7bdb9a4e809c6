"""What is to be proven next, and why: by age, so that nothing is left to chance, and within what a day may cost.

What must hold: each server has its turn. When that comes follows from the newest of its backups that was read, and no
backup made since changes it; so however little a day may cost, the server that went longest without a proof is next.
Within a server the newest comes first. Nothing overtakes what is too large for the rest of the day. Nothing here reads
a clock.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo

from daemon.core.backoff import Backoff
from daemon.core.model import Scope, State, Verdict
from daemon.core.proof import PANEL, Level, Proof, Proofs, Subject
from daemon.core.proven import KeepProven
from daemon.core.units import to_zone

PAUSES = Backoff(timedelta(minutes=10), timedelta(days=1))
"""Before something is tried again that could not be read: its node may be down, or may have lost the file."""

EARLY = 5
"""A renewal begins when this part of `every` is still left, so that a quiet day or a full one makes none late."""

PRESSING = 2
"""A server's newest backup is read before all renewals once this part of `newest_within` has passed."""

AT_ONCE = datetime.min.replace(tzinfo=UTC)
"""The turn of a server that was never read; its first backup may be gone, so that nothing tells since when it waits."""


class Why(IntEnum):
    """Why something is to be proven, the most important first."""

    NEWEST = 0
    KEEP_PROVEN = 1
    EVERY = 2


@dataclass(frozen=True, slots=True)
class ProofRules:
    """What a policy wants proven, and how deep.

    The newest good backup is proven at most `newest_within` after it was made, and every kept one and each copy again
    at most `every` after the last time; None: not again. The newest `keep` proven ones survive every rule. Files by the
    patterns of `expect` must be in each.
    """

    level: Level = Level.SANE
    newest_within: timedelta = timedelta(days=2)
    every: timedelta | None = timedelta(days=30)
    keep: int = 1
    expect: tuple[str, ...] = ()

    @property
    def kept(self) -> KeepProven:
        """What retention keeps by them."""
        return KeepProven(self.keep, self.level)


@dataclass(frozen=True, slots=True)
class StoredCopy:
    """A whole copy in a store, of so many bytes there, which passed through the walker when it was `written_at`."""

    backup: str
    name: str
    store: str
    bytes: int
    made_at: datetime
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """One backup, or copy in `store`, to read: `by` when, and why. It may be read from now on.

    `made_at` is when the backup was made, `bytes` is what is to be read. From its `turn` on it is read before all whose
    turn is to come; if it cannot be read then, it has another one after `again`.
    """

    server: str
    backup: str
    name: str
    bytes: int
    made_at: datetime
    by: datetime
    turn: datetime
    again: timedelta
    why: Why
    level: Level
    store: str = PANEL

    @property
    def subject(self) -> Subject:
        """What a reading of it is of."""
        return Subject(self.backup, self.name, self.made_at, self.level, self.store, self.bytes)

    @property
    def place(self) -> tuple[str, str, str]:
        """Which one it is."""
        return self.server, self.backup, self.store

    @property
    def origin(self) -> tuple[str, str]:
        """Where it is read: from which server's panel, or which of its stores."""
        return self.server, self.store


def due(
    server: str,
    rules: ProofRules,
    verdicts: Sequence[Verdict],
    *,
    proofs: Proofs,
    now: datetime,
    copies: Iterable[StoredCopy] = (),
    scope: Scope = Scope.OWN,
) -> tuple[Due, ...]:
    """Given a server's verdicts, newest first, and its copies, return what may be proven now, in the order of need."""
    found: list[Due] = []
    good = provable(verdicts, scope)
    last_read = proofs.newest_read(rules.level)
    oldest = min(unread(good, last_read), default=None)
    pause = rules.newest_within / PRESSING
    turn = last_read.made_at + pause if last_read else AT_ONCE
    proven = 0
    for place, verdict in enumerate(good):
        backup = verdict.backup
        made = backup.created_at or now
        last = proofs.last(backup.uuid, rules.level)
        why = Why.NEWEST if place == 0 else Why.KEEP_PROVEN if proven < rules.keep else Why.EVERY
        proven += not backup.locked and proofs.proven(backup.uuid, rules.level) is not None
        what = (server, backup.uuid, backup.name, backup.bytes, made)
        if last is None and why is not Why.EVERY:
            late = (oldest if oldest and why is Why.NEWEST else made) + rules.newest_within
            found.append(Due(*what, late, turn, pause, why, rules.level))
        elif (by := _again(rules, last.at if last else made, now)) is not None:
            found.append(Due(*what, by, by, pause, Why.EVERY, rules.level))
    for copy in copies:
        last = proofs.last(copy.backup, Level.READ, copy.store)
        if (by := _again(rules, max(last.at, copy.written_at) if last else copy.written_at, now)) is not None:
            what = (server, copy.backup, copy.name, copy.bytes, copy.made_at)
            found.append(Due(*what, by, by, pause, Why.EVERY, rules.level, copy.store))
    return in_order(found, now)


def provable(verdicts: Sequence[Verdict], scope: Scope) -> list[Verdict]:
    """Given a server's verdicts, return those of the backups that are to be proven, in the same order."""
    return [one for one in verdicts if one.state is State.GOOD and one.whole and (one.own or scope is Scope.ALL)]


def unread(good: Iterable[Verdict], last_read: Proof | None) -> list[datetime]:
    """Return when those of the good backups were made that are newer than the newest one that was read."""
    made = (one.backup.created_at for one in good)
    return [moment for moment in made if moment is not None and (last_read is None or moment > last_read.made_at)]


def _again(rules: ProofRules, last: datetime, now: datetime) -> datetime | None:
    """Return by when to read again what was last read then; None while that is not due."""
    if rules.every is None:
        return None
    by = last + rules.every
    return by if now >= by - rules.every / EARLY else None


@dataclass(frozen=True, slots=True)
class Budget:
    """How many bytes may be read a day (None: any number), and how many were read today."""

    per_day: int | None = None
    spent: int = 0

    def allows(self, size: int, *, waited: bool = False) -> bool:
        """Return whether so many more may be read today; the first of a day always may, however large it is.

        What `waited` since an earlier day may go beyond: others went first today because it could not be read then,
        and if they did so each day, it would hold up all for ever.
        """
        most = self.most_before(size, waited=waited)
        return most is None or self.spent <= most

    def most_before(self, size: int, *, waited: bool = False) -> int | None:
        """Return how many bytes may have been read today, at most, so that so many more may; None for any number."""
        return None if self.per_day is None else max(0, self.per_day - (1 if waited else size))


@dataclass(frozen=True, slots=True)
class Quiet:
    """The hours in which nothing is proven, by a policy's wall clock; they may go over midnight."""

    begins: time
    ends: time

    def holds(self, now: datetime, zone: ZoneInfo) -> bool:
        """Return whether it is quiet now."""
        clock = to_zone(now, zone).time()
        if self.begins <= self.ends:
            return self.begins <= clock < self.ends
        return clock >= self.begins or clock < self.ends

    @classmethod
    def parse(cls, text: str) -> "Quiet":
        """Read "08:00-23:00"; raises ValueError."""
        try:
            begins, ends = (time.fromisoformat(part.strip()) for part in text.split("-"))
        except ValueError:
            raise ValueError(f'"{text}" is not a span of hours: write it as "08:00-23:00"') from None
        if begins == ends or begins.tzinfo or ends.tzinfo:
            raise ValueError(f'"{text}" is not a span of hours: write it as "08:00-23:00"')
        return cls(begins, ends)


def next_up(
    waiting: Iterable[Due],
    now: datetime,
    *,
    not_now: Collection[tuple[str, str, str]] = (),
    tried: Mapping[tuple[str, str], datetime] = MappingProxyType({}),
) -> Due | None:
    """Return what is proven next of all servers; None if nothing is due.

    Those `not_now` are passed over: theirs are quiet hours, or they are tried again later. What could not be read when
    it was last `tried`, by its origin, had its turn then.
    """
    able = (one for one in waiting if one.place not in not_now)
    return min(able, key=lambda one: _need(one, now, tried.get(one.origin)), default=None)


def in_order(waiting: Iterable[Due], now: datetime) -> tuple[Due, ...]:
    """Return what is due in the order of need: first that whose turn has come, by why and how long ago."""
    return tuple(sorted(waiting, key=lambda one: _need(one, now, None)))


def _need(
    one: Due, now: datetime, last_try: datetime | None
) -> tuple[bool, Why, datetime, timedelta, tuple[str, str, str]]:
    turn = one.turn if last_try is None else max(one.turn, last_try + one.again)
    return now < turn, one.why, turn, now - one.made_at, one.place
