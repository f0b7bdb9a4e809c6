"""Pauses between tries: they grow by one factor, end at a bound, and are drawn apart by the caller alone."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.core.backoff import Backoff

MINUTE = timedelta(minutes=1)
BACKOFFS = st.builds(
    Backoff[float],
    first=st.floats(0.001, 100.0),
    most=st.floats(100.0, 100_000.0),
    factor=st.floats(1.01, 10.0),
)


def test_each_pause_is_so_many_times_the_one_before_up_to_the_bound() -> None:
    """Doubling, unless another factor is named."""
    assert [Backoff(1.0, 6.0).pause(tries) for tries in range(1, 6)] == [1.0, 2.0, 4.0, 6.0, 6.0]
    assert [Backoff(2.0, 100.0, factor=1.5).pause(tries) for tries in (1, 2, 3)] == [2.0, 3.0, 4.5]
    assert [Backoff(MINUTE, 3 * MINUTE).pause(tries) for tries in (1, 2, 3)] == [MINUTE, 2 * MINUTE, 3 * MINUTE]


def test_before_any_try_the_pause_is_the_first() -> None:
    """A caller that starts to count anew need not think of it."""
    assert Backoff(1.0, 6.0).pause(0) == 1.0


@pytest.mark.parametrize(("asked", "pause"), [(0.5, 0.5), (3.0, 3.0), (60.0, 6.0)])
def test_what_the_other_side_asks_for_counts_up_to_the_bound(asked: float, pause: float) -> None:
    """In place of our own, be it shorter or longer."""
    assert Backoff(1.0, 6.0).pause(3, asked=asked) == pause


@given(BACKOFFS, st.integers(1, 10**9))
def test_no_pause_leaves_its_bounds_however_many_tries_there_were(backoff: Backoff[float], tries: int) -> None:
    """Nor does any count of tries overflow."""
    assert backoff.first <= backoff.pause(tries) <= backoff.most


@given(BACKOFFS, st.integers(1, 1000))
def test_a_pause_is_never_shorter_than_the_one_before(backoff: Backoff[float], tries: int) -> None:
    """And longer by the factor, unless the bound cuts it."""
    one, following = backoff.pause(tries), backoff.pause(tries + 1)
    assert following == pytest.approx(min(one * backoff.factor, backoff.most))
    assert one <= following


@given(BACKOFFS, st.integers(1, 50), st.floats(0, 1))
def test_jitter_only_adds_and_never_more_than_the_first_pause(
    backoff: Backoff[float], tries: int, jitter: float
) -> None:
    """Whatever is drawn, the caller waits for as long as without it, or a little longer."""
    plain = backoff.pause(tries)
    assert plain <= backoff.pause(tries, jitter=jitter) <= plain + backoff.first


@given(BACKOFFS, st.integers(0, 40))
def test_the_pause_after_a_time_is_the_one_that_its_tries_would_have(backoff: Backoff[float], tries: int) -> None:
    """So that a process which begins in the middle looks when the one before it would have."""
    pauses = [backoff.pause(number) for number in range(1, tries + 2)]
    if all(one < backoff.most for one in pauses):
        assert backoff.pause_after(sum(pauses[:-1])) == pytest.approx(pauses[-1])


@given(st.lists(st.integers(0, 10**6), min_size=2).map(sorted))
def test_the_longer_the_wait_was_the_longer_is_the_pause(waits: list[int]) -> None:
    """Up to the bound, in whichever unit."""
    pauses = [Backoff(MINUTE, 60 * MINUTE, factor=1.5).pause_after(timedelta(seconds=waited)) for waited in waits]
    assert all(MINUTE <= earlier <= later <= 60 * MINUTE for earlier, later in pairwise(pauses))
