"""What a starting daemon finds to do, decided from the journal's rows and the calendar."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.core.calendar import Starts, parse_schedule
from daemon.fleet.recovery import Recovery, recover
from daemon.state import Rotation
from daemon.state.local.journal import SqliteJournal

STARTS = Starts(parse_schedule("0 4 * * *"), ZoneInfo("UTC"), timedelta(0), "1a7ce997")
START = datetime(2026, 4, 1, 4, tzinfo=UTC)
NOW = START + timedelta(minutes=5)


class Late(Starts):
    """Half an hour late, whatever the splay."""

    @property
    def delay(self) -> timedelta:
        """The server's own delay."""
        return timedelta(minutes=30)


def begun(
    start_at: datetime = START,
    *,
    began_at: datetime | None = None,
    result: str | None = None,
    retry_at: datetime | None = None,
    **summary: object,
) -> list[Rotation]:
    """The journal's rows where one rotation has begun, and has not ended unless it has a result."""
    with SqliteJournal.memory() as journal:
        about = {"server_uuid": "1a7ce997", "server": "survival", "panel": "main", "policy": "standard"}
        began_at = began_at or start_at
        number = journal.begin(**about, trigger="schedule", start_at=start_at, at=began_at)
        if result is not None:
            journal.end(number, at=began_at, result=result, retry_at=retry_at, summary=summary)
        return journal.recent()


@pytest.mark.parametrize(("left_alone", "found"), [(True, Recovery("resume", START, NOW)), (False, None)])
def test_only_a_rotation_that_no_process_is_at_is_gone_on_with(left_alone: bool, found: Recovery | None) -> None:
    """A `rotate` in a terminal, or another daemon, has not ended either, and is not dead."""
    assert recover(begun(), STARTS, NOW, left_alone=lambda _: left_alone) == found


@pytest.mark.parametrize(("minutes_before", "found"), [(31, True), (30, False), (29, False)])
def test_a_missed_start_whose_splay_lasts_to_the_next_one_is_served_by_that(minutes_before: int, found: bool) -> None:
    """Both were backed up at the same moment (seed 128): the next start comes at 04:30, and the delay is 30 minutes."""
    late = Late(parse_schedule("0 4 * * *"), ZoneInfo("UTC"), timedelta(hours=1), "1a7ce997")
    now = START + late.delay - timedelta(minutes=minutes_before)
    missed = late.latest(now)
    expected = Recovery("catch-up", missed, now + late.delay) if found else None
    assert recover([], late, now, left_alone=lambda _: True) == expected


@pytest.mark.parametrize(
    ("days", "found"), [(0, None), (1, Recovery("catch-up", START, NOW)), (75, Recovery("catch-up", START, NOW))]
)
def test_what_began_by_a_clock_that_was_set_back_since_hides_no_missed_start(days: int, found: Recovery | None) -> None:
    """The machine's clock ran ahead for a while, and is right again."""
    rows = begun(START + timedelta(days=days), result="done")
    assert recover(rows, STARTS, NOW, left_alone=lambda _: True) == found


@pytest.mark.parametrize(
    ("days", "found"), [(1, Recovery("catch-up", START, NOW)), (0, None)], ids=["of the start before", "of this start"]
)
def test_what_began_later_than_now_hides_a_missed_start_only_if_it_was_for_that(
    days: int, found: Recovery | None
) -> None:
    """By a clock that was set back since it began after the next start, which it was not for (seed 814866)."""
    rows = begun(START - timedelta(days=days), began_at=NOW + timedelta(hours=2), result="failed")
    assert recover(rows, STARTS, NOW, left_alone=lambda _: True) == found


def test_a_retry_that_was_promised_by_a_clock_that_was_set_back_since_is_not_waited_for() -> None:
    """It would come months later; meanwhile the start that was missed is caught up."""
    later = START + timedelta(days=75)
    rows = begun(later, result="failed", retry_at=later + timedelta(minutes=10))
    assert recover(rows, STARTS, NOW, left_alone=lambda _: True) == Recovery("catch-up", START, NOW)


@pytest.mark.parametrize("result", ["skipped", "failed"])
def test_what_was_another_members_to_make_was_not_tried(result: str) -> None:
    """So the first try of the member that takes over is the first; but each hand-over is waited for longer."""
    retry_at = NOW + timedelta(seconds=5)
    handed_over = begun(result=result, retry_at=retry_at, handed_over=True)
    rows = [*handed_over, *handed_over, *begun(result="failed")]
    found = recover(handed_over, STARTS, NOW, left_alone=lambda _: True)
    assert found == Recovery("retry", START, retry_at, hand_overs=1)
    found = recover(rows, STARTS, NOW, left_alone=lambda _: True)
    assert found == Recovery("retry", START, retry_at, attempt=1, hand_overs=2)
    found = recover([*begun(), *rows], STARTS, NOW, left_alone=lambda _: True)
    assert found == Recovery("resume", START, NOW, attempt=1, hand_overs=2)
