"""When to look: once, if all goes as it did before."""

from datetime import timedelta

import pytest

from daemon.core.waiting import durations_of, far_beyond, first_look, next_look, usual
from tests.core.build import NOW, but, failed, good, verdicts

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("took", [1, 5, 30, 61, 600, 840])
def test_one_that_finishes_as_predicted_is_found_at_the_first_look(took: int) -> None:
    """Up to a quarter of an hour, even if the panel's whole seconds hide up to one second at each end."""
    wait = first_look([timedelta(seconds=took)] * 5)
    assert timedelta(seconds=took + 1) <= wait <= timedelta(seconds=took * 1.05 + 2)


def test_the_last_five_count_and_one_slow_one_does_not() -> None:
    """The median of the last five: an old habit and a single bad night are forgotten."""
    hour = timedelta(hours=1)
    assert first_look([hour] * 20 + [MINUTE] * 4 + [hour]) == timedelta(seconds=65)
    assert first_look([hour] * 20 + [MINUTE] * 3 + [hour] * 2) == timedelta(seconds=65)


def test_a_long_one_is_first_looked_at_when_it_should_be_done() -> None:
    """However long the earlier ones took: a look on the way would tell nothing that is not foretold."""
    hours = [timedelta(hours=2)]
    assert first_look(hours) == timedelta(hours=2, minutes=6, seconds=2)
    assert next_look(timedelta(hours=2, minutes=6), hours) == timedelta(seconds=2)


def test_without_history_the_looks_grow_by_half_up_to_five_minutes() -> None:
    """5 s, 7.5 s, 11.25 s and on."""
    looks, waited = [], timedelta(0)
    for _ in range(15):
        looks.append(next_look(waited, []))
        waited += looks[-1]
    assert [look.total_seconds() for look in looks[:4]] == [5, 7.5, 11.25, 16.875]
    assert looks[-1] == 5 * MINUTE
    assert first_look([]) == timedelta(seconds=5)


def test_past_the_predicted_end_the_looks_grow_by_half_from_there() -> None:
    """Foretold after 65 s: then 5 s, 7.5 s and on, as without history."""
    assert next_look(timedelta(seconds=65), [MINUTE]) == timedelta(seconds=5)
    assert next_look(timedelta(seconds=70), [MINUTE]) == timedelta(seconds=7.5)


def test_durations_are_those_of_good_backups_in_their_order() -> None:
    """A failed one says nothing of how long a good one takes."""
    older, newer = good(NOW - timedelta(days=2)), good(NOW - timedelta(days=1))
    rows = [but(newer, completed_at=NOW - timedelta(hours=23)), older, failed(NOW - timedelta(days=3))]
    assert durations_of(verdicts(rows).values()) == (MINUTE, 60 * MINUTE)


def test_twenty_times_what_is_usual_is_far_beyond_it_and_never_less_than_half_an_hour() -> None:
    """Four seconds: half an hour; three minutes: an hour. Where nothing is known of earlier ones, nothing is."""
    assert usual([timedelta(seconds=4)] * 5 + [timedelta(seconds=6)]) == timedelta(seconds=4)
    assert far_beyond([timedelta(seconds=4)] * 5) == 30 * MINUTE
    assert far_beyond([3 * MINUTE]) == 60 * MINUTE
    assert usual([]) is None
    assert far_beyond([]) is None
