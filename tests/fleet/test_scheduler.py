"""Servers that start together are one job, and each server has its own place in it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from anyio.lowlevel import checkpoint

from daemon.clock import SystemClock
from daemon.core.calendar import Starts, parse_schedule
from daemon.fleet.scheduler import Scheduler

pytestmark = pytest.mark.anyio

AT_FOUR, AT_FIVE = "0 4 * * *", "0 5 * * *"


def starts(schedule: str = AT_FOUR, *, zone: str = "UTC", splay: int = 0, uuid: str = "u") -> Starts:
    """The starts of one server."""
    return Starts(parse_schedule(schedule), ZoneInfo(zone), timedelta(seconds=splay), uuid)


@pytest.fixture
def due() -> list[Mapping[str, Starts]]:
    """What was handed over."""
    return []


@pytest.fixture
async def scheduler(due: list[Mapping[str, Starts]]) -> AsyncIterator[Scheduler]:
    """A scheduler that runs."""
    made = Scheduler(due.append)
    made.start()
    yield made
    made.stop()


def jobs(scheduler: Scheduler) -> int:
    """How many jobs APScheduler goes through."""
    return len(scheduler._scheduler.get_jobs())


async def test_a_thousand_servers_of_one_schedule_are_one_job(scheduler: Scheduler) -> None:
    """Without splay all start at four, whatever their uuid."""
    for number in range(1000):
        scheduler.put(f"server-{number}", starts(uuid=str(number)))
    assert jobs(scheduler) == 1


async def test_a_schedule_a_zone_or_a_delay_of_its_own_is_a_job_of_its_own(scheduler: Scheduler) -> None:
    """What differs in none of them starts together, were it of another policy."""
    scheduler.put("plain", starts())
    scheduler.put("later", starts(AT_FIVE))
    scheduler.put("elsewhere", starts(zone="Europe/Berlin"))
    scheduler.put("delayed", starts(splay=3600))
    scheduler.put("as plain", starts())
    assert jobs(scheduler) == 4


async def test_a_job_lasts_as_long_as_it_has_servers(scheduler: Scheduler) -> None:
    """The last one that leaves, for another schedule or for good, takes it along."""
    for name in ("one", "two"):
        scheduler.put(name, starts())
    scheduler.remove("one")
    scheduler.remove("none such")
    assert jobs(scheduler) == 1
    scheduler.put("two", starts(AT_FIVE))
    following = scheduler.next_start()
    assert jobs(scheduler) == 1
    assert following is not None
    assert (following[0], following[1].hour) == ("two", 5)
    scheduler.remove("two")
    assert scheduler.next_start() is None


async def test_each_start_is_handed_over_with_all_that_have_it(
    scheduler: Scheduler, due: list[Mapping[str, Starts]]
) -> None:
    """Those that left since it was scheduled are not among them."""
    for name in ("one", "two", "three"):
        scheduler.put(name, starts())
    scheduler.remove("two")
    (job,) = scheduler._scheduler.get_jobs()
    await job.func(*job.args)
    assert [list(together) for together in due] == [["one", "three"]]


async def test_a_clock_that_was_set_has_the_next_start_asked_for_again(scheduler: Scheduler) -> None:
    """It had been reckoned by the wrong clock."""
    scheduler.put("one", starts())
    (job,) = scheduler._scheduler.get_jobs()
    job.modify(next_run_time=datetime(2100, 1, 1, tzinfo=UTC))
    scheduler.anew()
    following = scheduler.next_start()
    assert following is not None
    assert following[1].year < 2100


async def test_what_is_put_while_it_does_not_run_has_no_next_start(due: list[Mapping[str, Starts]]) -> None:
    """A reload may still come while a daemon stops."""
    made = Scheduler(due.append)
    made.put("a", starts())
    assert made.next_start() is None
    made.start()
    assert made.next_start() is not None
    made.stop()
    await checkpoint()  # in which it stops
    made.put("b", starts(AT_FIVE))
    assert made.next_start() is None


async def test_it_knows_from_which_moment_starts_were_computed_last(scheduler: Scheduler) -> None:
    """By the clock of that time, were it set back since."""
    scheduler.put("plain", starts())
    now = SystemClock().now()
    assert scheduler.ahead_of(now) == timedelta()
    assert timedelta(minutes=59) < scheduler.ahead_of(now - timedelta(hours=1)) <= timedelta(hours=1)


async def test_one_that_was_stopped_is_not_stopped_again(scheduler: Scheduler) -> None:
    """A daemon that is told to end while it ends (seed 1016054 of clusters)."""
    raised: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    scheduler.put("one", starts())
    for _ in range(2):
        scheduler.stop()
        assert (scheduler.running, scheduler.next_start()) == (False, None)
    await checkpoint()
    await checkpoint()
    assert raised == []
