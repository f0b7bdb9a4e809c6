"""The pace against a simulated panel: Laravel's fixed window, other users, slow and jumbled answers."""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.panel.http import CONNECTIONS
from daemon.panel.rate_limiter import GLANCE, HANDFUL, OWN_WINDOW, Budget, Portion, QueuedRequest, RateLimiter
from tests.fakes import FakeClock


@dataclass
class Window:
    """Laravel's limiter: 60 s from the first request after the last window; counts what it lets through."""

    limit: int
    ends: float = float("-inf")
    used: int = 0
    refusals: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "theirs": []})

    def hit(self, now: float, whose: str) -> int | None:
        """Count a request and return what remains; None where it is refused."""
        if now >= self.ends:
            self.ends, self.used = now + 60, 0
        if self.used >= self.limit:
            self.refusals[whose].append(now)
            return None
        self.used += 1
        return self.limit - self.used


@dataclass
class Fleet:
    """A process that always has a next request to make, ten at once at most; `chance` makes it jumbled and late."""

    limiter: RateLimiter
    latency: float = 0.1
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    let_through: list[float] = field(default_factory=list)
    under_way: int = 0
    stopped: bool = False

    def throughput(self, start: float, end: float) -> float:
        """Requests a minute between these moments."""
        return sum(start <= at < end for at in self.let_through) * 60 / (end - start)


class Simulation:
    """Fleets and others before one window, for some seconds."""

    def __init__(self, window: Window, fleets: list[Fleet], others: Iterable[float] = (), seconds: float = 600) -> None:
        self.window, self.seconds, self._order = window, seconds, itertools.count()
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        for at in others:
            self._later(at, lambda now: self._hit(now, "theirs"))
        for fleet in fleets:
            self._later(0.0, partial(self._try, fleet))
        while self._events and self._events[0][0] < seconds:
            now, _, happen = heapq.heappop(self._events)
            happen(now)

    def _later(self, at: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (at, next(self._order), happen))

    def _hit(self, now: float, whose: str) -> None:
        self.window.hit(now, whose)

    def _try(self, fleet: Fleet, now: float) -> None:
        if fleet.under_way >= CONNECTIONS:
            fleet.stopped = True
        elif (seconds := fleet.limiter.wait(now)) > 0:
            late = 0.003 * fleet.chance.random()  # nobody wakes on time
            self._later(now + min(seconds, GLANCE) + late, partial(self._try, fleet))
        else:
            fleet.limiter.go(now)
            fleet.under_way += 1
            self._later(now + fleet.latency * fleet.chance.random(), partial(self._arrives, fleet, now))
            self._later(now, partial(self._try, fleet))

    def _arrives(self, fleet: Fleet, sent_at: float, now: float) -> None:
        left = self.window.hit(now, "ours")
        if left is not None:
            fleet.let_through.append(now)
        back = now + fleet.latency * (0.5 + fleet.chance.random() / 2)
        self._later(back, partial(self._answered, fleet, sent_at, left))

    def _answered(self, fleet: Fleet, sent_at: float, left: int | None, now: float) -> None:
        fleet.under_way -= 1
        if left is None:
            fleet.limiter.refused(now, max(0.0, int(self.window.ends - now)))
        else:
            fleet.limiter.learn(now, sent_at, Budget(self.window.limit, left))
        if fleet.stopped:
            fleet.stopped = False
            self._try(fleet, now)

    def refused(self, start: float = 0.0) -> list[float]:
        """Every refusal from then on, ours and theirs."""
        return [at for whose in self.window.refusals.values() for at in whose if at >= start]


def spread(rate_a_minute: float, seconds: float, start: float = 0.0) -> Iterator[float]:
    """Moments of others' requests, evenly spread."""
    step = 60 / rate_a_minute
    return itertools.takewhile(lambda at: at < seconds, itertools.count(start, step))


@pytest.mark.parametrize(("limit", "latency"), [(60, 0.1), (256, 0.1), (720, 0.1), (60, 2.0), (256, 2.0)])
def test_a_fleet_uses_its_share_and_never_meets_a_429(limit: int, latency: float) -> None:
    """At least 92 % of the limit less the reserve, from the second minute on, and no refusal at all."""
    fleet = Fleet(RateLimiter(0.2), latency)
    assert Simulation(Window(limit), [fleet]).refused() == []
    assert 0.92 * 0.8 * limit <= fleet.throughput(60, 600) <= 0.8 * limit + 1


@pytest.mark.parametrize("limit", [256, 720])
@pytest.mark.parametrize("offset", [0, 7, 31, 59])
def test_others_within_their_reserve_always_get_through(limit: int, offset: int) -> None:
    """People who spread their fifth, and people who take it in one go, meet no refusal; nor do we; we lose nothing."""
    bursts = [minute * 60 + offset + k * 0.01 for minute in range(10) for k in range(int(limit * 0.19))]
    for others in (list(spread(limit * 0.19, 600, offset)), bursts):
        fleet = Fleet(RateLimiter(0.2))
        assert Simulation(Window(limit), [fleet], others).refused() == []
        assert fleet.throughput(60, 600) >= 0.92 * 0.8 * limit


@pytest.mark.parametrize("limit", [256, 720])
@pytest.mark.parametrize("part", [0.3, 0.4, 0.6])
def test_others_who_take_more_than_their_reserve_slow_us_down(limit: int, part: float) -> None:
    """A second program with the same user's key gets through, and so do we with nearly all that it leaves."""
    fleet = Fleet(RateLimiter(0.2))
    assert Simulation(Window(limit), [fleet], spread(limit * part, 600)).refused(60) == []
    assert fleet.throughput(60, 600) >= 0.9 * (1 - part) * limit


@pytest.mark.parametrize("limit", [256, 720])
def test_two_processes_of_ours_share_what_there_is(limit: int) -> None:
    """A `rotate` by hand beside the daemon: each takes the other for people, and neither starves."""
    both = [Fleet(RateLimiter(0.2), chance=random.Random(seed)) for seed in (1, 2)]
    simulation = Simulation(Window(limit), both)
    assert simulation.refused(60) == []
    assert all(fleet.throughput(60, 600) > 0.2 * limit for fleet in both)
    assert sum(fleet.throughput(60, 600) for fleet in both) > 0.7 * limit


def test_nothing_is_known_before_the_first_answer() -> None:
    """Then only the number of connections bounds the requests."""
    limiter = RateLimiter()
    for _ in range(50):
        assert limiter.wait(0.0) == 0
        limiter.go(0.0)


def test_a_quarter_of_the_share_goes_at_once_and_the_rest_ten_at_a_time() -> None:
    """A person at the terminal does not wait; a fleet does not come as one burst."""
    limiter = RateLimiter(0.2, Budget(100, 99))
    sent = _sent_within(limiter, 62.0)
    assert sent[:20] == [0.0] * 20
    assert sent[20] == pytest.approx(62 * HANDFUL / 80)
    assert all(later - earlier >= 7.74 for earlier, later in itertools.pairwise(sorted(set(sent))))
    assert len(sent) == 80


def _sent_within(limiter: RateLimiter, seconds: float) -> list[float]:
    """When requests go, if one always waits to."""
    now = 0.0
    sent: list[float] = []
    while True:
        wait = limiter.wait(now)
        now += wait
        if now >= seconds:
            return sent
        if wait == 0:
            limiter.go(now)
            sent.append(now)


def test_no_62_seconds_hold_more_than_our_share() -> None:
    """Wherever the panel's window begins, it cannot hold more of ours."""
    sent = _sent_within(RateLimiter(0.2, Budget(100, 99)), 600)
    for begin in sent:
        assert sum(begin <= at < begin + OWN_WINDOW for at in sent) <= 80


def test_a_429_makes_everybody_wait_and_then_goes_on() -> None:
    """For as long as it names, a second for its rounding, and never absurdly long."""
    limiter = RateLimiter(0.2, Budget(100, 0))
    limiter.refused(10.0, 30.0)
    assert limiter.wait(10.0) == 31
    assert limiter.wait(41.0) == 0
    limiter.refused(50.0, None)
    assert limiter.wait(50.0) == 61
    limiter.refused(50.0, 3600.0)
    assert limiter.wait(50.0) == 121


def test_the_reserve_melts_as_the_window_ends() -> None:
    """What is left for others shrinks with the time that they have for it, down to a tenth of their reserve."""
    limiter = RateLimiter(0.2)
    limiter.learn(0.0, 0.0, Budget(100, 12))
    wait = limiter.wait(0.0)
    assert wait == pytest.approx(60 - 60 * (11 - 2) / 18)
    assert limiter.wait(wait + 0.1) == 0
    limiter.learn(33.0, 33.0, Budget(100, 2))
    assert limiter.wait(33.0) == pytest.approx(27)
    assert limiter.wait(60.0) == 0


def test_the_reserve_does_not_melt_while_all_portions_may_be_more_than_the_whole() -> None:
    """Others keep all of it then, until the window ends."""
    limiter = RateLimiter(0.2, portion=lambda _: Portion(1 / 2, certain=False))
    limiter.learn(0.0, 0.0, Budget(100, 21))
    assert limiter.wait(0.0) == 0
    limiter.learn(59.0, 59.0, Budget(100, 20))
    assert limiter.wait(59.0) == pytest.approx(1)
    assert limiter.wait(60.0) == 0


def test_without_a_reserve_the_last_request_is_used_but_not_one_more() -> None:
    """A reserve of nothing is no division by nothing."""
    limiter = RateLimiter(0.0)
    limiter.learn(0.0, 0.0, Budget(100, 1))
    assert limiter.wait(0.0) == 0
    limiter.learn(1.0, 1.0, Budget(100, 0))
    assert limiter.wait(1.0) == pytest.approx(59)


def test_what_was_sent_since_counts_as_used() -> None:
    """The panel's number is as old as the request that brought it."""
    limiter = RateLimiter(0.0)
    limiter.learn(0.0, 0.0, Budget(100, 3))
    for _ in range(3):
        assert limiter.wait(1.0) == 0
        limiter.go(1.0)
    assert limiter.wait(1.0) == pytest.approx(59)


def test_answers_that_overtake_each_other_are_no_new_window() -> None:
    """A small rise is jumble and is not believed; a large one is a new window; an old answer tells nothing."""
    limiter = RateLimiter(0.2)
    limiter.learn(1.0, 0.5, Budget(100, 50))
    limiter.learn(2.0, 1.5, Budget(100, 58))
    assert (limiter.budget, limiter.window_begins) == (Budget(100, 50), 1.0)
    limiter.learn(3.0, 2.5, Budget(100, 99))
    assert (limiter.budget, limiter.window_begins) == (Budget(100, 99), 3.0)
    limiter.learn(3.1, 2.4, Budget(100, 49))
    assert (limiter.budget, limiter.window_begins) == (Budget(100, 99), 3.0)


def test_an_answer_from_the_old_window_does_not_start_the_new_one() -> None:
    """It left before the old window's end, so that its low number says nothing of the new one."""
    limiter = RateLimiter(0.2)
    limiter.learn(0.0, 0.0, Budget(100, 50))
    limiter.learn(60.1, 59.9, Budget(100, 20))
    assert limiter.window_begins == 0.0
    limiter.learn(60.2, 60.0, Budget(100, 45))
    assert (limiter.budget, limiter.window_begins) == (Budget(100, 45), 60.2)


def test_a_limit_that_changes_is_followed() -> None:
    """The panel's settings may change while the daemon runs."""
    limiter = RateLimiter(0.2)
    limiter.learn(0.0, 0.0, Budget(720, 700))
    limiter.learn(1.0, 1.0, Budget(256, 100))
    assert limiter.budget == Budget(256, 100)


def test_what_others_took_in_the_last_window_is_kept_for_them_in_the_next() -> None:
    """Their use is the panel's count less ours, as if the window had been seen whole."""
    limiter = RateLimiter(0.1)
    limiter.learn(0.0, 0.0, Budget(100, 99))
    for second in range(10):
        limiter.go(float(second + 1))
    limiter.learn(31.0, 30.0, Budget(100, 60))
    limiter.learn(61.0, 60.5, Budget(100, 99))
    assert limiter.demand == pytest.approx((40 - 10) * 2)


@pytest.mark.anyio
async def test_turns_are_taken_in_the_order_of_coming() -> None:
    """No task is overtaken while all wait for the pace."""
    clock = FakeClock()
    turn, order = QueuedRequest(RateLimiter(0.2, Budget(10, 9)), clock), []

    async def take(number: int) -> None:
        await turn.take()
        order.append(number)

    await asyncio.gather(*(take(number) for number in range(30)))
    assert order == list(range(30))
    assert clock.elapsed == pytest.approx(3 * OWN_WINDOW)


@pytest.mark.anyio
async def test_a_cancelled_wait_leaves_the_turn_to_the_next() -> None:
    """A task that gives up while it waits takes nothing with it."""
    turn = QueuedRequest(RateLimiter(0.2, Budget(10, 9)), FakeClock())
    async with turn._queue:
        first, second = asyncio.create_task(turn.take()), asyncio.create_task(turn.take())
        await asyncio.sleep(0)  # noqa: TID251 — lets both queue up
        first.cancel()
    await second
    assert first.cancelled()
    assert len(turn.limiter.sent) == 1


@given(
    limit=st.integers(1, 10**6),
    remaining=st.integers(0, 10**6),
    reserve=st.floats(0, 1),
    start=st.floats(0, 1e7),
    sent=st.integers(0, 200),
)
def test_waiting_as_told_always_leads_on(limit: int, remaining: int, reserve: float, start: float, sent: int) -> None:
    """Whatever the panel says, nobody waits for ever, and no wait is too short to pass."""
    limiter, now = RateLimiter(reserve), start
    limiter.learn(now, now, Budget(limit, remaining))
    for _ in range(sent):
        limiter.go(now)
    for _ in range(4):
        if (seconds := limiter.wait(now)) == 0:
            return
        assert now + seconds > now
        now += seconds
    assert limiter.wait(now) == 0
    assert now - start <= 2 * OWN_WINDOW
