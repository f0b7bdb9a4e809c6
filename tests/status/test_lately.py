"""What was read of the state a short while ago: one reads for all who ask, and not known is not nothing."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from daemon.clock import SystemClock
from daemon.errors import StateError
from daemon.rotation.run import RotationContext
from daemon.status.lately import Lately

pytestmark = pytest.mark.anyio


def context() -> RotationContext:
    """A state that could be opened."""
    return cast("RotationContext", SimpleNamespace(clock=SystemClock(), opening_trouble=None))


async def test_who_asks_while_it_is_read_waits_for_the_answer() -> None:
    """It is read once for both."""
    answered, asked = asyncio.Event(), []

    async def read() -> list[str]:
        asked.append(1)
        await answered.wait()
        return ["frozen"]

    lately = Lately(context(), read)
    both = asyncio.gather(lately.value(), lately.value())
    await SystemClock().sleep(0)
    answered.set()
    assert [*await both] == [["frozen"], ["frozen"]]
    assert len(asked) == 1


async def test_where_it_cannot_be_read_what_was_read_before_stands_until_that_is_forgotten() -> None:
    """What was never read is not known; an empty answer is."""
    answers: list[list[str] | StateError] = [StateError("gone"), [], StateError("gone"), StateError("gone")]

    async def read() -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, StateError):
            raise answer
        return answer

    lately, found = Lately(context(), read), []
    for _ in range(3):
        lately.changed()
        found.append((await lately.value(), lately.is_known))
    lately.forget()
    assert [*found, (await lately.value(), lately.is_known)] == [(None, False), ([], True), ([], True), (None, False)]


async def test_a_journal_in_memory_in_the_place_of_one_that_cannot_be_opened_tells_nothing() -> None:
    """It is empty, whatever the real one holds; once that is open again it is read."""

    async def read() -> list[str]:
        return []

    within = context()
    lately = Lately(within, read)
    within.opening_trouble = StateError("gone")
    assert await lately.value() is None
    within.opening_trouble = None
    lately.changed()
    assert await lately.value() == []
