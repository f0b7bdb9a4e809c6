"""How many backups run at once on one node."""

import asyncio

import pytest

from daemon.rotation.slots import NodeSlots, Slot
from tests.fakes import FakeClock
from tests.virtual import VirtualClock

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


async def test_a_node_that_failed_one_server_is_asked_for_the_next_at_once(clock: FakeClock) -> None:
    """It may be that server's trouble alone, however often it is tried."""
    slots = NodeSlots(clock)
    for _ in range(5):
        slots.failed("main", "node1", "survival")
    (await taken(slots)).result().release()
    assert sum(clock.naps) == 0


async def test_a_node_that_failed_several_servers_is_asked_gently(clock: FakeClock) -> None:
    """With a growing pause; who asks by hand is not patient."""
    slots, pauses = NodeSlots(clock), []
    for number in range(7):
        (await (await taken(slots))).release()
        pauses.append(sum(clock.naps))
        clock.naps.clear()
        slots.failed("main", "node1", f"server {number}")
    assert pauses == [0, 0, 5, 10, 20, 40, 60]
    (await slots.take("main", "node1", places=1, hold=3600, patient=False)).release()
    assert clock.naps == []


async def test_a_node_that_does_what_it_is_asked_is_asked_as_before() -> None:
    """While it is in trouble each of its places waits for a pause of its own; nobody does once it made a backup."""
    clock = VirtualClock()
    slots = NodeSlots(clock)
    for server in ("survival", "creative"):
        slots.failed("main", "node1", server)
    began = clock.monotonic()
    tasks = [await taken(slots, places=4) for _ in range(3)]
    await tasks[0]
    assert clock.monotonic() - began == 5
    await tasks[1]
    assert clock.monotonic() - began == 15
    slots.did("main", "node1")
    await (await taken(slots, places=4))
    assert clock.monotonic() - began == 15


async def test_who_is_left_while_a_node_rests_leaves_its_place() -> None:
    """The daemon ends, or the server leaves the configuration."""
    clock = VirtualClock()
    slots = NodeSlots(clock)
    for server in ("survival", "creative"):
        slots.failed("main", "node1", server)
    waiting = await taken(slots)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await (await taken(slots, node="node2"))).remaining() == 3600
    await clock.sleep(10)
    (await (await taken(slots))).release()
