"""Whether a store has a server's newest good backup, and by when it is late."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.copies_state import CopyState, copy_state, late_at

GOOD = datetime(2026, 4, 10, 4, tzinfo=UTC)
DAY = timedelta(days=1)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 — bounds


@pytest.mark.parametrize(
    ("newest", "every", "waits", "failed", "state"),
    [
        (GOOD, None, False, False, CopyState.COPIED),
        (GOOD, None, True, True, CopyState.COPIED),  # what fails is an older one
        (GOOD - DAY, None, True, False, CopyState.WAITING),
        (GOOD - DAY, None, True, True, CopyState.FAILED),
        (None, None, False, False, CopyState.WAITING),  # nobody has put it into the queue yet
        (None, None, False, True, CopyState.FAILED),
        (GOOD - timedelta(hours=3), DAY, False, False, CopyState.COPIED),
        (GOOD - timedelta(hours=3), DAY, True, False, CopyState.WAITING),
        (GOOD - timedelta(hours=3), DAY, False, True, CopyState.FAILED),
        (GOOD - timedelta(hours=5), DAY, False, False, CopyState.WAITING),  # of the day before
    ],
)
def test_the_state_of_the_newest_good_backup(
    newest: datetime | None, every: timedelta | None, waits: bool, failed: bool, state: CopyState
) -> None:
    """Copied is only what the store was seen to have, or would not take."""
    assert copy_state(GOOD, newest, every, waits=waits, failed=failed) is state


def test_the_states_are_called_as_the_documents_call_them() -> None:
    """The keys of a contract."""
    assert [*CopyState] == ["copied", "waiting", "failed"]


def test_without_a_good_backup_there_is_nothing_to_copy() -> None:
    """So no mark is shown."""
    assert copy_state(None, GOOD, None, waits=True, failed=True) is None


@given(newest=st.none() | MOMENTS, waits=st.booleans(), every=st.none() | st.just(DAY))
def test_a_store_in_trouble_is_never_shown_as_having_what_it_was_not_seen_to_have(
    newest: datetime | None, waits: bool, every: timedelta | None
) -> None:
    """Whatever waits, and however rarely it takes one."""
    copied = copy_state(GOOD, newest, every, waits=waits, failed=True) is CopyState.COPIED
    assert copied == (newest is not None and newest >= GOOD)


@pytest.mark.parametrize(
    ("newest", "since", "late"),
    [
        (GOOD, GOOD + DAY, GOOD + 2 * DAY),  # the next one, of a day later, did not come
        (None, GOOD, GOOD + DAY),
        (GOOD - 30 * DAY, GOOD, GOOD + DAY),  # it had all that was wanted until then
        (GOOD, GOOD - 9 * DAY, GOOD + 2 * DAY),
    ],
)
def test_a_copy_is_late_two_intervals_after_the_last(newest: datetime | None, since: datetime, late: datetime) -> None:
    """A store that is new, or had all that it wanted, is given one interval."""
    assert late_at(newest, since, DAY) == late


@given(newest=st.none() | MOMENTS, since=MOMENTS)
def test_however_long_nothing_comes_it_becomes_late(newest: datetime | None, since: datetime) -> None:
    """Within two intervals of the later of both."""
    assert since < late_at(newest, since, DAY) <= max(newest or since, since) + 2 * DAY
