"""Which days, weeks and months a server's backups cover, and by what: the calendar strip.

Periods are those of the policy's zone, oldest first, up to the one that `now` lies in. A period shows the best backup
that was made in it: of those that stay one without a lock first, since that one the rules chose.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from functools import lru_cache
from zoneinfo import ZoneInfo

from daemon.core.model import Action, Verdict
from daemon.core.units import to_zone

DAYS, WEEKS, MONTHS = 14, 8, 12


class Cover(Enum):
    """How a period is covered, best first."""

    KEPT = "kept"
    LOCKED = "locked"
    OTHER = "not counted"
    BAD = "not good"
    NONE = "none"


Key = tuple[int, ...]
_BEST = {cover: place for place, cover in enumerate(Cover)}


@dataclass(frozen=True, slots=True)
class Cell:
    """One day, week or month: `slot` as the reasons name it, `label` for a narrow cell, `title` for a date in words."""

    slot: str
    label: str
    title: str
    cover: Cover = Cover.NONE
    by: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """The three rows, each oldest first."""

    days: tuple[Cell, ...]
    weeks: tuple[Cell, ...]
    months: tuple[Cell, ...]


def cover_of(verdict: Verdict) -> Cover:
    """How one backup covers the period that it was made in."""
    if not verdict.whole:
        return Cover.LOCKED if verdict.backup.locked and verdict.backup.successful else Cover.BAD
    if verdict.backup.locked:
        return Cover.LOCKED
    return Cover.KEPT if verdict.action is Action.KEEP else Cover.OTHER


def strip_of(verdicts: Iterable[Verdict], zone: ZoneInfo, now: datetime) -> Strip:
    """Given a server's verdicts, newest first, return its strip at that moment."""
    best: dict[Key, tuple[Cover, Verdict]] = {}
    for verdict in verdicts:
        if verdict.backup.created_at is None:
            continue
        cover, day = cover_of(verdict), to_zone(verdict.backup.created_at, zone).date()
        for key in (_day(day), _week(day), _month(day)):
            if key not in best or _BEST[cover] < _BEST[best[key][0]]:
                best[key] = (cover, verdict)
    today = to_zone(now, zone).date()
    covered = (tuple(_cell(cell, best.get(key)) for key, cell in row) for row in _rows(today))
    return Strip(*covered)


def _cell(empty: Cell, found: tuple[Cover, Verdict] | None) -> Cell:
    return empty if found is None else Cell(empty.slot, empty.label, empty.title, *found)


def _day(day: date) -> Key:
    return (day.toordinal(),)


def _week(day: date) -> Key:
    return day.isocalendar()[:2]


def _month(day: date) -> Key:
    return (day.year, day.month, 0)


Row = list[tuple[Key, Cell]]


@lru_cache(maxsize=4)  # zones have up to three dates at once
def _rows(today: date) -> tuple[Row, Row, Row]:
    """The empty rows that end today, worked out once a day and shared by all servers."""
    return _days(today), _weeks(today), _months(today)


def _days(today: date) -> Row:
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    return [(_day(day), Cell(str(day), str(day.day), f"{day:%a} {day.day} {day:%b}")) for day in days]


def _weeks(today: date) -> Row:
    rows: Row = []
    for back in reversed(range(WEEKS)):
        year, week, _ = (today - timedelta(weeks=back)).isocalendar()
        rows.append(((year, week), Cell(f"{year:04}-W{week:02}", f"{week}", f"week {week}, {year}")))
    return rows


def _months(today: date) -> Row:
    rows: Row = []
    for back in reversed(range(MONTHS)):
        years, month = divmod(today.year * 12 + today.month - 1 - back, 12)
        first = date(years, month + 1, 1)
        rows.append((_month(first), Cell(f"{first:%Y-%m}", f"{first:%b}", f"{first:%B %Y}")))
    return rows
