"""The calendar strip: which days, weeks and months are covered, and by what."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.core.model import Action, Backup, Reason, State, Verdict
from daemon.status.coverage import Cell, Cover, cover_of, strip_of

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 4, 16, 9, 40, tzinfo=UTC)  # a Thursday


def verdict(
    made: datetime | None,
    state: State = State.GOOD,
    action: Action = Action.KEEP,
    *,
    locked: bool = False,
    name: str = "one",
) -> Verdict:
    """A verdict on a backup made at that moment."""
    good = state in {State.GOOD, State.SUSPICIOUS}
    backup = Backup(name, name, good, locked, 1, made, made)
    return Verdict(backup, state, True, action, (Reason("daily", None, "because"),))


def covered(cells: tuple[Cell, ...]) -> dict[str, Cover]:
    """The slots that are covered, and how."""
    return {cell.slot: cell.cover for cell in cells if cell.cover is not Cover.NONE}


def test_it_ends_with_today_this_week_and_this_month() -> None:
    """And reaches two weeks, eight weeks and a year back, oldest first."""
    strip = strip_of([], BERLIN, NOW)
    assert [strip.days[0].slot, strip.days[-1].slot] == ["2026-04-03", "2026-04-16"]
    assert [strip.weeks[0].slot, strip.weeks[-1].slot] == ["2026-W09", "2026-W16"]
    assert [strip.months[0].slot, strip.months[-1].slot] == ["2025-05", "2026-04"]
    assert [len(strip.days), len(strip.weeks), len(strip.months)] == [14, 8, 12]
    assert strip.days[-1].title == "Thu 16 Apr"


def test_a_backup_covers_its_day_its_week_and_its_month() -> None:
    """Each named as the reasons name it."""
    strip = strip_of([verdict(datetime(2026, 4, 12, 12, tzinfo=UTC))], BERLIN, NOW)
    assert covered(strip.days) == {"2026-04-12": Cover.KEPT}
    assert covered(strip.weeks) == {"2026-W15": Cover.KEPT}
    assert covered(strip.months) == {"2026-04": Cover.KEPT}


def test_periods_are_those_of_the_zone() -> None:
    """Half past ten in the evening in London is the next day in Berlin, in the next month."""
    strip = strip_of([verdict(datetime(2026, 3, 31, 22, 30, tzinfo=UTC))], BERLIN, NOW)
    assert covered(strip.months) == {"2026-04": Cover.KEPT}
    assert covered(strip_of([], BERLIN, datetime(2026, 4, 15, 22, 30, tzinfo=UTC)).days) == {}
    assert strip_of([], BERLIN, datetime(2026, 4, 15, 22, 30, tzinfo=UTC)).days[-1].slot == "2026-04-16"


def test_the_turn_of_the_year_has_its_own_weeks() -> None:
    """The first of January 2027 is in week 53 of 2026."""
    now = datetime(2027, 1, 1, 12, tzinfo=UTC)
    strip = strip_of([verdict(now)], ZoneInfo("UTC"), now)
    assert covered(strip.weeks) == {"2026-W53": Cover.KEPT}
    assert covered(strip.months) == {"2027-01": Cover.KEPT}
    assert strip.months[-2].slot == "2026-12"


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (verdict(NOW), Cover.KEPT),
        (verdict(NOW, locked=True), Cover.LOCKED),
        (verdict(NOW, action=Action.DELETE), Cover.OTHER),
        (verdict(NOW, action=Action.IGNORE), Cover.OTHER),
        (verdict(NOW, State.FAILED, locked=True), Cover.BAD),
        (verdict(NOW, State.SUSPICIOUS, Action.IGNORE), Cover.BAD),
        (verdict(NOW, State.SUSPICIOUS, locked=True), Cover.LOCKED),
        (verdict(NOW, State.PENDING, Action.IGNORE), Cover.BAD),
    ],
)
def test_each_backup_covers_in_its_way(one: Verdict, expected: Cover) -> None:
    """Kept, locked, good all the same, or not good."""
    assert cover_of(one) is expected


def test_a_period_shows_the_best_of_its_backups() -> None:
    """One kept by the rules before a locked one, before one that goes, before one that failed; of equals the newest."""
    hours = [NOW - timedelta(hours=hour) for hour in range(5)]
    ways = [
        verdict(hours[0], State.FAILED, name="failed"),
        verdict(hours[1], action=Action.DELETE, name="going"),
        verdict(hours[2], locked=True, name="locked"),
        verdict(hours[3], name="newer"),
        verdict(hours[4], name="older"),
    ]
    for better in ("going", "locked", "newer"):
        until = next(place for place, one in enumerate(ways) if one.backup.name == better) + 1
        found = strip_of(ways[:until], BERLIN, NOW).days[-1].by
        assert found is not None
        assert found.backup.name == better
    last = strip_of(ways, BERLIN, NOW).days[-1].by
    assert last is not None
    assert last.backup.name == "newer"


def test_a_backup_without_a_date_covers_nothing() -> None:
    """Its day is not known."""
    strip = strip_of([verdict(None, State.STRANGE)], BERLIN, NOW)
    assert covered(strip.days) == covered(strip.weeks) == covered(strip.months) == {}
