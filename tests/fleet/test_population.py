"""The fraction of an API limit that each member of a cluster may use."""

from bisect import bisect_right
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from daemon.config.values import StoreConfig
from daemon.core.keep import Keep
from daemon.core.shares import Member
from daemon.core.store_rules import StoreRules
from daemon.fleet.population import Population, slowed
from daemon.panel.rate_limiter import HANDFUL, WINDOW, Budget, Portion, RateLimiter
from daemon.stores.values import DirectoryLocation, StoreSettings


def members(number: int) -> frozenset[Member]:
    """So many of them."""
    return frozenset((f"member-{epoch}", epoch) for epoch in range(number))


def test_one_that_is_alone_has_all() -> None:
    """As soon as it knows that it is."""
    population = Population()
    assert population.fraction(0.0) == 0
    population.saw(members(1), 5.0)
    assert population.fraction(10.0) == 1


def test_one_that_comes_counts_at_once() -> None:
    """It sends requests at once."""
    population = Population()
    population.saw(members(2), 0.0)
    population.saw(members(3), 100.0)
    assert population.fraction(100.0) == 1 / 3


def test_one_that_is_gone_counts_until_no_window_holds_its_requests() -> None:
    """That is 62 s."""
    population = Population()
    for moment in range(10):
        population.saw(members(3), float(moment))
    for moment in range(10, 80):
        population.saw(members(2), float(moment))
        assert population.fraction(float(moment)) == (1 / 3 if moment < 72 else 1 / 2)


def test_a_portion_is_not_certain_while_one_that_is_gone_may_only_be_cut_off() -> None:
    """It may go on at its own until its name is there again, under whatever epoch."""
    population = Population()
    population.saw({("one", 1), ("two", 2)}, 0.0)
    assert population.portion(1.0) == Portion(1 / 2)
    population.saw({("one", 1)}, 10.0)
    population.saw({("one", 1), ("three", 3)}, 20.0)
    assert population.portion(20.0) == Portion(1 / 2, certain=False)
    population.saw({("one", 1), ("three", 3), ("two", 4)}, 30.0)
    assert population.portion(30.0) == Portion(1 / 3)


def test_a_portion_is_not_certain_after_nobody_was_seen_for_so_long_that_the_others_may_have_more() -> None:
    """They have it a window's time after they last saw this one, and not earlier."""
    population = Population()
    assert not population.portion(0.0).certain
    population.saw(members(3), 5.0)
    assert population.portion(66.9) == Portion(1 / 3)
    assert population.portion(67.0) == Portion(1 / 3, certain=False)


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0.1, 90)), min_size=1, max_size=30))
def test_the_fraction_is_by_the_most_that_were_alive_within_the_window(counts: list[tuple[int, float]]) -> None:
    """However they come and go."""
    population, now, seen = Population(), 0.0, []
    for count, pause in counts:
        population.saw(members(count), now)
        seen.append((now, count))
        assert population.fraction(now) <= 1 / count
        now += pause
        until = [*(at for at, _ in seen[1:]), now]
        alive = [count for (_, count), end in zip(seen, until, strict=True) if end > now - 62.0]
        assert population.fraction(now) == 1 / max([*alive, seen[-1][1]])


def test_three_members_together_keep_to_the_share_but_for_the_first_ten_of_one_that_comes() -> None:
    """It comes while the windows of the other two are full, and is not to wait for a minute; the reserve covers ten."""
    share = 192
    most = {comes: _most_in_a_window(comes, 240) for comes in range(64, 74, 2)}
    assert (min(most.values()), max(most.values())) == (share, share + HANDFUL)
    assert _most_in_a_window(240, 240) == share


def _most_in_a_window(comes: int, limit: int) -> int:
    """How many requests a panel's window holds at most, wherever it begins, where two members at full load are three
    after so many seconds.
    """
    populations = [Population() for _ in range(3)]
    limiters = [RateLimiter(reserve=0.2, portion=one.portion) for one in populations]
    sent: list[float] = []
    for tick in range(20 * 240):
        now = tick / 20
        alive = 2 if now < comes else 3
        for population, limiter in list(zip(populations, limiters, strict=True))[:alive]:
            population.saw(members(alive), now)
            limiter.budget = Budget(limit, limit)
            while limiter.wait(now) == 0:
                limiter.go(now)
                sent.append(now)
    assert sum(at > comes + WINDOW for at in sent) >= (240 - comes - WINDOW) / WINDOW * limit * 0.7
    return max(bisect_right(sent, end) - bisect_right(sent, end - WINDOW) for end in sent)


def test_a_store_is_copied_to_at_a_members_fraction_of_its_rate() -> None:
    """So that all together keep to it; one without a bound has none."""
    settings = StoreSettings("nas", DirectoryLocation(Path("/nas")), rate=10)
    store = StoreConfig(settings, StoreRules("nas", Keep(last=1)))
    assert [slowed(store, part).settings.rate for part in (1.0, 0.5, 1 / 3, 0.0)] == [10, 5, 3, 1]
    assert slowed(store, 0.5) == replace(store, settings=replace(settings, rate=5))
    free = replace(store, settings=replace(settings, rate=None))
    assert slowed(free, 0.5) is free
