"""A clock that is set back is noticed, whatever else goes on."""

import asyncio
from datetime import timedelta

import pytest

from daemon.fleet.scheduler import Scheduler
from daemon.fleet.timekeeper import TICK_SECONDS, Timekeeper
from tests.virtual import BACKEND, VirtualClock

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)


@pytest.fixture
def anyio_backend() -> object:
    """Virtual time."""
    return BACKEND


async def noticed(*, tick_seconds: float, set_after: float, by: timedelta) -> list[timedelta]:
    """What is noticed of a clock that is set back while the first tick lasts."""
    clock = VirtualClock()
    back: list[timedelta] = []

    async def tick() -> None:
        await clock.sleep(tick_seconds)

    running = asyncio.create_task(Timekeeper(clock, tick=tick, set_back=back.append).run())
    await clock.sleep(set_after)
    clock.start -= by
    await clock.sleep(2 * (TICK_SECONDS + tick_seconds))
    running.cancel()
    return back


@pytest.mark.parametrize("set_after", [30, TICK_SECONDS + 300])
async def test_a_clock_that_is_set_back_is_noticed_once_even_amid_a_tick(set_after: float) -> None:
    """Seed 772052: a tick waited for a slow disk meanwhile, and nothing was started any more for two months."""
    assert await noticed(tick_seconds=600, set_after=set_after, by=56 * DAY) == [56 * DAY]


async def test_a_tick_that_takes_long_is_no_clock_that_was_set() -> None:
    """Nor is one that is set forward: the tick finds what is due."""
    assert await noticed(tick_seconds=600, set_after=30, by=timedelta()) == []
    assert await noticed(tick_seconds=600, set_after=30, by=-DAY) == []


async def test_a_clock_that_was_set_forward_and_back_between_two_ticks_is_noticed_by_what_was_scheduled() -> None:
    """Seed 786524689: starts were computed from the moment in between, and none began until it came again."""
    clock, scheduler = VirtualClock(), Scheduler(lambda _: None)
    back: list[timedelta] = []

    async def tick() -> None:
        """Nothing else is to be done."""

    keeper = Timekeeper(clock, tick=tick, set_back=back.append, ahead_of=scheduler.ahead_of)
    running = asyncio.create_task(keeper.run())
    assert scheduler.ahead_of(clock.now()) == timedelta()
    scheduler._looked(clock.now())
    scheduler._looked(clock.now() + 56 * DAY)
    scheduler._looked(clock.now())
    await clock.sleep(TICK_SECONDS + 1)
    running.cancel()
    assert back == [56 * DAY - timedelta(seconds=TICK_SECONDS)]
    scheduler.anew()
    assert scheduler.ahead_of(clock.now()) == timedelta()
