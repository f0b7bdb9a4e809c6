"""Which drill is due, whose backup it tries, and which one. Pure: `now` is an argument, and the records are given.

What must hold: never two drills at once, except beside one that was killed and whose server cannot be cleared; each
server in turn, so that none waits for ever for one that fails; a backup that is known to be damaged is never tried.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from daemon.core.model import Backup, Verdict
from daemon.core.proof import Level, Proofs

RETRY = timedelta(days=1)
"""A drill that failed is tried once more after this time, or after `every` if that is shorter."""


LEFT_FOR = timedelta(days=1)
"""A drill that has not ended for so long was killed, and its server could not be cleared: that is told as a failure."""

_LEFT = "it was killed, or hangs, and its server could not be cleared for a day: the daemon's log says why"


class DrillResult(StrEnum):
    """How a drill ended. SKIPPED says nothing of the backup; an INTERRUPTED one was killed, or given up by hand."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class DrillRecord:
    """One drill: a backup of `server` on the spare server `spare`, both by their configured names.

    `put` are the names at the top of the spare server that the drill unpacked there; None while it had not changed
    anything. It runs, or was killed, while `ended_at` is None. `starts` says whether the spare server is started. It
    took `seconds` until the files were there, or the server ran; None where it did not come so far. `text` says what
    went wrong, or what was left.
    """

    drill: str
    spare: str
    spare_uuid: str
    server: str
    server_uuid: str
    backup: str
    name: str
    began_at: datetime
    starts: bool
    put: tuple[str, ...] | None = None
    ended_at: datetime | None = None
    result: DrillResult | None = None
    seconds: float | None = None
    text: str = ""
    number: int = 0


@dataclass(frozen=True, slots=True)
class DrillRules:
    """A drill: `sources`, in turn, onto `spare`, once in `every`; by hand alone if that is None."""

    name: str
    spare: str
    sources: tuple[str, ...]
    every: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """A drill that is due since `due_at`, and the server whose backup it tries."""

    drill: str
    spare: str
    server: str
    due_at: datetime


def next_turn(
    drills: Iterable[DrillRules],
    records: Sequence[DrillRecord],
    now: datetime,
    *,
    put_off: Collection[str] = (),
    busy: Collection[str] = (),
    without: Collection[str] = (),
    stuck: Collection[int] = (),
) -> Turn | None:
    """Given all that is recorded, newest first, return the drill that is due longest; None while none may begin.

    Drills that are `put_off` wait, and so does a turn of which either server is `busy`. Servers `without` a backup to
    try are passed over. Drills that were killed, and whose server could not be cleared, are `stuck`: they hold up those
    onto the same spare server alone.
    """
    left = [one for one in records if one.ended_at is None]
    if any(one.number not in stuck for one in left):
        return None
    busy = {*busy, *(one.spare for one in left)}
    turns = (_turn(one, records, now, without) for one in drills if one.name not in put_off)
    due = (one for one in turns if one is not None and one.due_at <= now and not {one.spare, one.server} & busy)
    return min(due, key=lambda one: (one.due_at, one.drill), default=None)


def next_at(drills: Iterable[DrillRules], records: Sequence[DrillRecord], now: datetime) -> datetime | None:
    """Return when the next drill is due, whatever holds it up then; None if none ever is."""
    return min((turn.due_at for one in drills if (turn := _turn(one, records, now, ()))), default=None)


def next_source(rules: DrillRules, records: Sequence[DrillRecord], without: Collection[str] = ()) -> str | None:
    """Return whose turn it is: of the server that was never tried, or whose last drill is longest ago.

    One whose drill failed has one more try first, so that a node that was down costs it no turn.
    """
    there = [name for name in rules.sources if name not in without]
    tried = _tried(rules, records)
    if (again := _once_more(tried)) in there:
        return again
    last = {one.server: place for place, one in enumerate(reversed(tried))}  # a clock may have been wrong
    never = [name for name in there if name not in last]
    return next(iter(never), None) or min(there, key=lambda name: last[name], default=None)


def _turn(rules: DrillRules, records: Sequence[DrillRecord], now: datetime, without: Collection[str]) -> Turn | None:
    server, tried = next_source(rules, records, without), _tried(rules, records)
    if rules.every is None or server is None:
        return None
    due_at = now
    if tried and tried[0].began_at <= now:  # else none was tried, or the clock was wrong then
        due_at = tried[0].began_at + (min(RETRY, rules.every) if server == _once_more(tried) else rules.every)
    return Turn(rules.name, rules.spare, server, due_at)


def _tried(rules: DrillRules, records: Iterable[DrillRecord]) -> list[DrillRecord]:
    """Return the drills of that name that said something, newest first."""
    return [one for one in _telling(records) if one.drill == rules.name]


def _telling(records: Iterable[DrillRecord]) -> list[DrillRecord]:
    """Return the drills that said something, in the same order."""
    return [one for one in records if one.result not in {None, DrillResult.SKIPPED}]


def _once_more(tried: Sequence[DrillRecord]) -> str | None:
    """Return the server whose drill failed last, unless the one before it had failed with that server as well."""
    if not tried or tried[0].result is DrillResult.DONE:
        return None
    before = tried[1] if len(tried) > 1 else None
    twice = before is not None and before.server == tried[0].server and before.result is not DrillResult.DONE
    return None if twice else tried[0].server


def choose_backup(verdicts: Sequence[Verdict], proofs: Proofs) -> Backup | None:
    """Return the newest whole backup that was proven, else the newest whole one; None where there is none.

    One that a proof showed to be damaged is never tried: that it fails is known.
    """
    whole = [one.backup for one in verdicts if one.whole and proofs.failed(one.backup.uuid) is None]
    return next((one for one in whole if proofs.proven(one.uuid, Level.WALKED)), next(iter(whole), None))


def last_good(records: Iterable[DrillRecord]) -> dict[str, DrillRecord]:
    """Given records, newest first, return the last drill of each server that went well."""
    found: dict[str, DrillRecord] = {}
    for one in records:
        if one.result is DrillResult.DONE:
            found.setdefault(one.server, one)
    return found


def failing(records: Sequence[DrillRecord], now: datetime) -> dict[str, DrillRecord]:
    """Given records, newest first, return the last drill of each server, where that did not go well.

    One that was left open fails, whatever the later ones did: its spare server has the files of another one.
    """
    last: dict[str, DrillRecord] = {}
    for one in _telling(records):
        last.setdefault(one.server, one)
    failed = {server: one for server, one in last.items() if one.result is not DrillResult.DONE}
    left = (one for one in records if one.ended_at is None and now - one.began_at > LEFT_FOR)
    return failed | {one.server: replace(one, text=_LEFT) for one in left}
