"""The locks of copies: renewed when half is over, for what the rules keep and nothing else, and never shortened."""

from datetime import timedelta

import pytest

from daemon.core.brake import Applied, Brake
from daemon.core.copies_lock import is_due, lock_until, renewals
from tests.core.build import NOW, OURS, good
from tests.core.test_copies_prune import COPIES, DAY, THEM, copy, keeping, pruned

MONTH = timedelta(days=30)


@pytest.mark.parametrize(
    ("left", "due"), [(None, True), (-DAY, True), (14 * DAY, True), (15 * DAY, False), (40 * DAY, False)]
)
def test_a_lock_is_renewed_when_half_of_it_is_over(left: timedelta | None, due: bool) -> None:
    """A renewal lasts longer than what is there, so that no lock becomes shorter."""
    until = None if left is None else NOW + left
    assert is_due(until, MONTH, NOW) is due
    assert not due or until is None or lock_until(MONTH, NOW) > until


@pytest.mark.parametrize(("days", "hours"), [(2, 23), (3, 35)])
def test_a_short_lock_does_not_end_between_two_prunes(days: int, hours: int) -> None:
    """A store is pruned daily, and 38 hours after the last time at the latest: it may have had half and more then."""
    span, until, now = days * DAY, NOW + days * DAY, NOW
    for gap in (hours, 38):
        now += timedelta(hours=gap)
        assert until > now
        until = lock_until(span, now) if is_due(until, span, now) else until


def test_a_lock_that_has_two_days_left_outlasts_the_next_prune() -> None:
    """However short it is; with less it is renewed."""
    assert not is_due(NOW + 2 * DAY, 3 * DAY, NOW)
    assert is_due(NOW + 2 * DAY - timedelta(seconds=1), 3 * DAY, NOW)


def test_what_the_rules_keep_is_renewed() -> None:
    """The oldest two go, and one of the others was locked not long ago."""
    made = pruned(COPIES, "last=4")
    known = {COPIES[1].name.data: NOW + 20 * DAY, COPIES[2].name.data: NOW + DAY}
    assert renewals(made.verdicts, known, MONTH, NOW) == (COPIES[0], COPIES[2], COPIES[3])


def test_what_is_kept_for_its_lock_alone_is_not_locked_again() -> None:
    """It would never go."""
    held = copy(good(NOW - 9 * DAY), locked=DAY)
    made = pruned([*COPIES, held], "last=6")
    assert renewals(made.verdicts, {}, MONTH, NOW) == tuple(COPIES)


def test_what_is_held_since_the_rules_were_changed_is_not_locked_again() -> None:
    """It goes tomorrow."""
    made = pruned(COPIES, "last=5", Brake(10, 0.5, before=Applied(keeping("last=6"), OURS)))
    assert made.deletions == ()
    assert renewals(made.verdicts, {}, MONTH, NOW) == tuple(COPIES[:5])


def test_what_another_installation_wrote_is_not_locked() -> None:
    """It is no matter of ours."""
    assert renewals(pruned([copy(good(NOW), by=THEM)], "all").verdicts, {}, MONTH, NOW) == ()
