"""From when on a server has gone without a proof for too long."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.calendar import Starts, parse_schedule
from daemon.core.proof_late import late_at

DAY = timedelta(days=1)
BEGIN = datetime(2026, 3, 5, tzinfo=UTC)
"""A Thursday, as the first day of 1970 was."""

DAILY, WEEKLY = (Starts(parse_schedule(f"every {days}d"), ZoneInfo("UTC"), timedelta(0), "") for days in (1, 7))


def on(day: float) -> datetime:
    """The moment so many days after a daily start."""
    return BEGIN + day * DAY


def late(*waiting: float, read: float | None, within: float = 2, asked: float = -99, starts: Starts = DAILY) -> float:
    """From which day on a server is late, if these wait."""
    found = late_at(
        [on(day) for day in waiting],
        None if read is None else on(read),
        asked=on(asked),
        within=within * DAY,
        starts=starts,
    )
    assert found is not None
    return (found - BEGIN) / DAY


def test_nothing_is_late_where_nothing_waits() -> None:
    """However long ago something was read."""
    assert late_at([], on(-99), asked=on(-99), within=DAY, starts=DAILY) is None
    assert late_at([], None, asked=on(-99), within=DAY, starts=DAILY) is None
    assert late_at([on(-9)], None, asked=None, within=DAY, starts=DAILY) is None


def test_a_backup_may_wait_so_long_for_its_proof_and_newer_ones_put_nothing_off() -> None:
    """The first that was made after the newest that was read counts."""
    assert late(1, read=0) == 3
    assert late(1, 2, 3, 4, read=0) == 3


def test_a_backup_that_retention_deleted_unread_is_counted_from_when_it_was_made() -> None:
    """As far as the schedule tells."""
    assert late(8, 9, read=0) == 8.5
    assert late(9, read=0) == 9.5


def test_a_backup_made_by_hand_waits_from_then_on() -> None:
    """It is there before the schedule's next one."""
    assert late(0.1, 1, read=0) == 2.1


def test_a_seldom_backup_is_not_late_as_it_is_made() -> None:
    """A week after the one before it; and on the panel's clock it may have been made before its own start."""
    assert late(7, read=0, starts=WEEKLY) == 9
    assert late(7, read=-0.001, starts=WEEKLY) == 9


def test_the_first_backup_after_a_break_has_half_an_interval() -> None:
    """Or what is asked for, if that is less."""
    assert late(30, read=0) == 30.5
    assert late(30, read=0, within=0.25) == 30.25


@pytest.mark.parametrize(("waiting", "asked", "day"), [((5,), 5, 7), ((1, 2, 5), 4, 6), ((5,), 0, 5.5), ((5,), 4, 6)])
def test_a_server_that_was_never_read_is_late_so_long_after_that_was_asked_for(
    waiting: tuple[float, ...], asked: float, day: float
) -> None:
    """A month of backups is not late in the minute in which proofs are configured."""
    assert late(*waiting, read=None, asked=asked) == day


@settings(max_examples=50)
@given(
    within=st.integers(1, 9).map(lambda days: days * DAY),
    kept=st.integers(2, 9),
    asked=st.integers(-20, 20),
    read=st.one_of(st.none(), st.integers(0, 5)),
)
def test_a_server_that_is_backed_up_each_day_and_never_read_again_becomes_late_and_stays_so(
    within: timedelta, kept: int, asked: int, read: int | None
) -> None:
    """Whatever retention keeps; and not while a proof may still come in time."""
    first = asked if read is None else read + 1
    for hours in range(24 * first, 24 * (first + 14), 7):
        now = on(hours / 24)
        made = [on(day) for day in range(hours // 24 - kept + 1, hours // 24 + 1) if read is None or day > read]
        found = late_at(made, None if read is None else on(read), asked=on(asked), within=within, starts=DAILY)
        assert found is not None
        assert (now >= found) is (now >= on(first) + within)


@given(within=st.integers(1, 5).map(lambda days: days * DAY), behind=st.integers(0, 5), kept=st.integers(1, 9))
def test_a_server_whose_backups_are_read_in_time_is_never_late(within: timedelta, behind: int, kept: int) -> None:
    """Each so many days after it was made."""
    for day in range(30):
        read = day - min(behind, within // DAY)
        made = [on(one) for one in range(day - kept + 1, day + 1) if one > read]
        found = late_at(made, on(read), asked=on(-99), within=within, starts=DAILY)
        assert found is None or on(day) <= found
