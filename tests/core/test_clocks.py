"""Clocks that are not to be trusted with a deletion."""

from datetime import UTC, datetime, timedelta

import pytest

from daemon.core.clocks import RECENT, doubt, was_set

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NONE = timedelta(0)


@pytest.mark.parametrize(
    ("ahead", "panel_set", "ours_set", "words"),
    [
        (NONE, NONE, NONE, ""),
        (10 * MINUTE, NONE, NONE, ""),
        (HOUR, HOUR, HOUR, ""),
        (-HOUR, -HOUR, -HOUR, ""),
        (60 * 24 * HOUR, NONE, NONE, "the panel's clock is 60 d ahead of ours"),
        (-61 * MINUTE, NONE, NONE, "the panel's clock is 1 h 1 min behind ours"),
        (NONE, 1440 * HOUR, 1440 * HOUR, "this machine's clock was set 60 d forward while this ran"),
        (NONE, NONE, -2 * HOUR, "this machine's clock was set 2 h back while this ran"),
        (40 * MINUTE, 80 * MINUTE, NONE, "the panel's clock was set 1 h 20 min forward while this ran"),
        (-40 * MINUTE, -80 * MINUTE, NONE, "the panel's clock was set 1 h 20 min back while this ran"),
        (None, NONE, NONE, "the panel's answers do not tell what its clock shows (no Date)"),
    ],
)
def test_more_than_an_hour_is_doubted(
    ahead: timedelta | None, panel_set: timedelta, ours_set: timedelta, words: str
) -> None:
    """Between the two, of either, or where nothing is known."""
    assert doubt(panel_ahead=ahead, panel_set=panel_set, ours_set=ours_set) == words


def test_what_a_panel_said_of_its_clock_holds_for_an_hour() -> None:
    """The client counts by it; what is older says nothing of a deletion."""
    assert RECENT == HOUR


def test_a_moment_from_before_this_program_was_told_by_a_clock_that_was_not_set() -> None:
    """Most often it is 1970."""
    assert was_set(datetime(2026, 1, 1, tzinfo=UTC))
    assert not was_set(datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC))
