"""What waits for copies is told with the start that finds the panel's limit reached (invariant 14)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.core.backlog import Backlog, backlog
from daemon.core.brake import Brake
from daemon.core.calendar import Starts, parse_schedule
from daemon.core.copied import Copied
from daemon.core.model import Backup
from daemon.core.plan import plan
from tests.core.build import NOW, OURS, failed, good, listing, pending, retention

DAY = timedelta(days=1)
DAILY = Starts(parse_schedule("0 4 * * *"), ZoneInfo("UTC"), timedelta(0), "1a7ce997")
ROWS = [good(NOW - days * DAY, uuid=f"day-{days}") for days in range(5)]
FIRST = datetime(2026, 4, 2, 4, 0, tzinfo=UTC)


def waiting(
    limit: int, *copies: str, rows: list[Backup] = ROWS, starts: Starts = DAILY, now: datetime = NOW
) -> Backlog | None:
    """What waits of the three that are beyond the two newest days, where the store has these."""
    made = {row.uuid: NOW for row in rows if row.uuid in copies}
    stores = [Copied("nas", NOW, made), Copied("offsite", NOW, made)]
    decided = plan(listing(rows), retention("daily=2"), ownership=OURS, brake=Brake(), copied=stores)
    return backlog(decided.verdicts, limit, starts, now)


def test_nothing_waits_where_the_stores_have_it_all() -> None:
    """Then there is nothing to tell."""
    assert waiting(6, "day-2", "day-3", "day-4") is None


@pytest.mark.parametrize(
    ("limit", "copies", "full_at"),
    [
        (5, (), FIRST),  # the next start already
        (4, (), FIRST),  # over the limit, which was lowered
        (6, (), FIRST + DAY),
        (8, (), FIRST + 3 * DAY),
        (5, ("day-4", "day-3"), FIRST + 2 * DAY),  # two go, and leave their places
        (60, (), None),
    ],
)
def test_the_first_start_without_a_place_is_foretold(
    limit: int, copies: tuple[str, ...], full_at: datetime | None
) -> None:
    """Each start takes one place; what is copied frees one."""
    found = waiting(limit, *copies)
    assert found == Backlog(3 - len(copies), ("nas", "offsite"), full_at)


def test_failed_ones_take_no_place_and_pending_ones_do() -> None:
    """As the panel counts."""
    found = waiting(6, rows=[*ROWS, failed(NOW - DAY / 2), pending(NOW - DAY / 4)])
    assert found is not None
    assert found.full_at == FIRST


def test_it_is_not_foretold_for_more_than_a_month() -> None:
    """However many places there are: a schedule that starts once a year is asked once."""
    assert waiting(6, starts=Starts(parse_schedule("0 4 1 1 *"), ZoneInfo("UTC"), timedelta(0), "")) == Backlog(
        3, ("nas", "offsite"), None
    )


@pytest.mark.parametrize(("limit", "full_at"), [(34, FIRST + 30 * DAY), (35, None)])
def test_a_start_in_just_a_month_is_foretold_and_a_later_one_not(limit: int, full_at: datetime | None) -> None:
    """Five stay, so that with 29 free places the thirtieth start from now finds none."""
    found = waiting(limit, now=FIRST)
    assert found is not None
    assert found.full_at == full_at


@pytest.mark.parametrize(
    ("backlog", "words"),
    [
        (Backlog(1, ("nas",), None), "a backup waits for a copy in nas"),
        (
            Backlog(3, ("nas", "offsite"), NOW + 2 * DAY),
            "3 backups wait for a copy in nas and offsite; the panel's limit is reached in 2 d",
        ),
        (
            Backlog(3, ("nas",), NOW - DAY),
            "3 backups wait for a copy in nas; the panel's limit is reached in 0 s",
        ),
    ],
)
def test_it_is_told_in_days(backlog: Backlog, words: str) -> None:
    """In the same words everywhere."""
    assert backlog.words(NOW) == words
