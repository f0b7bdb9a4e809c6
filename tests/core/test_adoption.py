"""Which pending backup of ours a rotation waits for, and which are stuck."""

from datetime import UTC, datetime, timedelta

import pytest

from daemon.core.adoption import Adoption, adopt, newest_attempt
from daemon.core.model import Action, Backup, Reason, State, Verdict

NOW = datetime(2026, 4, 2, 4, 0, tzinfo=UTC)
SINCE = NOW - timedelta(hours=24)
TIMEOUT = timedelta(hours=6)


def verdict(hours: float, *, state: State = State.PENDING, own: bool = True) -> Verdict:
    """The verdict on a backup made so many hours ago, called by that number."""
    made = NOW - timedelta(hours=hours)
    done = None if state is State.PENDING else made
    backup = Backup(f"{hours}", f"{hours}", state is State.GOOD, False, 0, made, done)
    return Verdict(backup, state, own, Action.IGNORE, (Reason(state, None, "as the test has it"),))


@pytest.mark.parametrize(
    ("verdicts", "adopted", "stuck"),
    [
        ([], None, []),
        ([verdict(1)], "1", []),
        ([verdict(1), verdict(2)], "1", ["2"]),
        ([verdict(6)], None, ["6"]),
        ([verdict(5.9)], "5.9", []),
        ([verdict(72), verdict(90)], None, ["90", "72"]),
        ([verdict(1), verdict(72)], "1", ["72"]),
        ([verdict(1, own=False)], None, []),
        ([verdict(1, state=State.FAILED), verdict(2, state=State.GOOD)], None, []),
    ],
)
def test_the_newest_that_is_not_overdue_is_adopted_and_the_rest_are_stuck(
    verdicts: list[Verdict], adopted: str | None, stuck: list[str]
) -> None:
    """Given verdicts newest first, a day of schedule and a timeout of six hours."""
    decided = adopt(verdicts, since=SINCE, timeout=TIMEOUT, now=NOW)
    assert (decided.adopted and decided.adopted.name) == adopted
    assert [backup.name for backup in decided.stuck] == stuck


def test_one_from_before_the_previous_start_is_stuck_however_long_the_timeout() -> None:
    """It belongs to an interval that is over; one from that very start does not."""
    before, at_start = verdict(24.1), verdict(24)
    decided = adopt([at_start, before], since=SINCE, timeout=timedelta(days=7), now=NOW)
    assert decided == Adoption(at_start.backup, (before.backup,))


def test_the_newest_attempt_counts_failed_and_pending_ones_of_ours_alone() -> None:
    """A failed one shows that the start was not missed; a foreign one shows nothing."""
    verdicts = [verdict(1, own=False), verdict(3, state=State.FAILED), verdict(5), verdict(7, state=State.GOOD)]
    assert newest_attempt(verdicts, NOW) == NOW - timedelta(hours=3)
    assert newest_attempt([verdict(1, own=False)], NOW) is None


def test_what_is_dated_in_the_future_is_no_attempt_of_now() -> None:
    """It was made before the panel's clock was set back; one that is ahead by no more than an hour counts."""
    assert newest_attempt([verdict(-24), verdict(5)], NOW) == NOW - timedelta(hours=5)
    assert newest_attempt([verdict(-0.5), verdict(5)], NOW) == NOW + timedelta(hours=0.5)
    assert newest_attempt([verdict(-1), verdict(5)], NOW) == NOW + timedelta(hours=1)
