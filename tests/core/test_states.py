"""What each backup is by itself, and the words that say why."""

from datetime import timedelta

import pytest

from daemon.core.model import Backup, State
from daemon.core.states import PLAINLY, age, find, newest_first
from daemon.core.suspicion import Guard
from tests.core.build import NOW, but, failed, good, pending

MINUTE = timedelta(minutes=1)
AHEAD = "dated more than 5 minutes ahead of the panel's clock"


@pytest.mark.parametrize(
    ("row", "state", "words"),
    [
        (good(NOW), State.GOOD, "good"),
        (good(NOW, locked=True), State.GOOD, "good"),
        (good(NOW + 5 * MINUTE), State.GOOD, "good"),
        (good(NOW + 5 * MINUTE + timedelta(microseconds=1)), State.STRANGE, AHEAD),
        (failed(NOW), State.FAILED, "failed"),
        (pending(NOW), State.PENDING, "not completed yet"),
        (but(good(NOW), created_at=None), State.STRANGE, "without a date"),
        (but(good(NOW), unreadable="its date is none"), State.STRANGE, "its date is none"),
        (but(pending(NOW), created_at=None, unreadable="its date is none"), State.STRANGE, "its date is none"),
    ],
)
def test_each_backup_is_something_and_says_why(row: Backup, state: State, words: str) -> None:
    """By the panel's clock."""
    (finding,) = find([row], [True], Guard(0.5, timedelta(days=3)), now=NOW, accepted=()).findings
    assert (finding.state, finding.words) == (state, words)


def test_a_state_of_which_nothing_more_is_known_has_plain_words() -> None:
    """Older journals kept none."""
    assert {finding.state: finding.words for finding in PLAINLY.values()} == {
        "good": "good",
        "failed": "failed",
        "pending": "not completed yet",
        "suspicious": "far smaller than the good ones before it",
        "strange": AHEAD,
    }
    assert all(finding.state is state for state, finding in PLAINLY.items())


def test_backups_are_ordered_by_date_then_uuid_and_last_what_has_no_date() -> None:
    """Whatever order the panel lists them in."""
    rows = [good(NOW, uuid="b"), good(NOW, uuid="a"), good(NOW - MINUTE, uuid="c")]
    undated = but(good(NOW, uuid="z"), created_at=None)
    assert newest_first([undated, rows[2], rows[1], rows[0]]) == [*rows, undated]
    assert age(rows[1]) == (NOW, "a")
