"""How many backups run at once on one node."""

import asyncio

import pytest

from daemon.rotation.slots import NodeSlots, Slot
from tests.fakes import FakeClock

pytestmark = pytest.mark.anyio


async def taken(slots: NodeSlots, *, places: int = 1, node: str = "node1") -> "asyncio.Task[Slot]":
    """Ask for a place and give the waiting a chance."""
    task = asyncio.create_task(slots.take("main", node, places=places, hold=3600))
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251 — lets other tasks run
    return task


async def test_places_are_given_in_the_order_they_were_asked_for(clock: FakeClock) -> None:
    """Two places, four askers."""
    slots = NodeSlots(clock)
    tasks = [await taken(slots, places=2) for _ in range(4)]
    assert [task.done() for task in tasks] == [True, True, False, False]
    tasks[0].result().release()
    third = await tasks[2]
    assert not tasks[3].done()
    third.release()
    (await tasks[3]).release()


async def test_a_place_given_back_twice_is_one_place(clock: FakeClock) -> None:
    """A slot that was given back after node_hold is given back again when its rotation ends."""
    slots = NodeSlots(clock)
    first = await (await taken(slots))
    first.release()
    first.release()
    assert first.remaining() is None
    second, third = await taken(slots), await taken(slots)
    assert (second.done(), third.done()) == (True, False)
    second.result().release()
    (await third).release()


async def test_nodes_do_not_wait_for_each_other(clock: FakeClock) -> None:
    """One busy node is its own trouble."""
    slots = NodeSlots(clock)
    here, there = await taken(slots), await taken(slots, node="node2")
    assert here.done()
    assert there.done()


async def test_a_reload_that_allows_more_places_is_obeyed_by_the_next_asker(clock: FakeClock) -> None:
    """backups_per_node may change while others wait."""
    slots = NodeSlots(clock)
    first, second = await taken(slots), await taken(slots)
    assert (first.done(), second.done()) == (True, False)
    third = await taken(slots, places=3)
    assert second.done()
    assert third.done()


async def test_a_place_may_be_held_for_node_hold(clock: FakeClock) -> None:
    """What remains counts down to nothing."""
    slot = await NodeSlots(clock).take("main", "node1", places=1, hold=60)
    await clock.sleep(45)
    assert slot.remaining() == 15
    await clock.sleep(45)
    assert slot.remaining() == 0
