"""A task that goes on beside the rotations: what ends it, what wakes it, and what a bug costs."""

import asyncio

import pytest

from daemon.copying.steps import GLANCE_SECONDS, Steps
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio


async def test_a_bug_ends_only_its_own_step(clock: FakeClock) -> None:
    """And the next one is taken after a pause, so that a bug that stays is no busy loop (invariant 12)."""
    began, taken = clock.monotonic(), asyncio.Event()

    async def step() -> None:
        if clock.monotonic() == began:
            raise ZeroDivisionError
        taken.set()
        await asyncio.Event().wait()

    steps = Steps(step, clock, "working")
    steps.begin()
    await taken.wait()
    assert clock.monotonic() == began + GLANCE_SECONDS
    await steps.stop()


async def test_what_is_begun_twice_takes_each_step_once(clock: FakeClock) -> None:
    """A reload begins it again; it ends when it is told to stop, whatever it is at."""
    steps_taken: list[int] = []
    ended = asyncio.Event()

    async def step() -> None:
        steps_taken.append(1)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    steps = Steps(step, clock, "working")
    steps.begin()
    steps.begin()
    await asyncio.sleep(0)  # noqa: TID251 — lets the task begin, waits for nothing
    await steps.stop()
    assert (steps_taken, ended.is_set()) == ([1], True)


class Standing(FakeClock):
    """A clock whose time does not pass."""

    async def sleep(self, seconds: float) -> None:
        """Wait for ever."""
        self.naps.append(seconds)
        await asyncio.Event().wait()


async def test_a_rest_ends_when_it_is_woken() -> None:
    """Before its time is over. What woke it before its step began counts no more, since the step has seen that; what
    woke it since may not have been seen.
    """
    clock, taken = Standing(), list[str]()

    async def step() -> None:
        taken.append("step")
        if len(taken) == 2:
            steps.wake()
        await steps.rest(30.0)

    async def others_run() -> None:
        for _ in range(20):
            await asyncio.sleep(0)  # noqa: TID251 — lets the tasks run, waits for nothing

    steps = Steps(step, clock, "working")
    steps.wake()
    steps.begin()
    await others_run()
    assert taken == ["step"]
    steps.wake()
    await others_run()
    assert taken == ["step"] * 3
    assert clock.naps == [30.0] * 3
    await steps.stop()
