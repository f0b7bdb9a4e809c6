"""Whether anything more is to be read from a node."""

from types import SimpleNamespace
from typing import cast

import pytest

from daemon.core.shares import node_part
from daemon.errors import StateError
from daemon.fleet.busy_nodes import node_is_busy
from daemon.rotation.run import RotationContext
from daemon.rotation.slots import NodeSlots
from tests.virtual import BACKEND, VirtualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


class Shares:
    """Some member works on these parts."""

    def __init__(self, *parts: str) -> None:
        self.parts = parts

    async def at_work(self, part: str) -> bool:
        """Whether it is one of them."""
        if not part.startswith("node main/"):
            raise StateError("the database is gone")
        return part in self.parts


@pytest.mark.parametrize("shares", [None, Shares(), Shares(node_part("main", "other"))])
async def test_a_node_is_busy_while_a_rotation_of_ours_has_a_place_there(shares: Shares | None) -> None:
    """In a cluster as well, whatever others do elsewhere."""
    context = made(shares)
    assert not await node_is_busy(context, "main", "n1")
    slot = await context.slots.take("main", "n1", places=1, hold=60)
    assert await node_is_busy(context, "main", "n1")
    slot.release()
    assert not await node_is_busy(context, "main", "n1")


async def test_while_nobody_can_say_a_node_counts_as_busy() -> None:
    """What is read can wait for the database."""
    assert await node_is_busy(made(Shares()), "unknown", "n1")


async def test_a_node_is_busy_while_another_member_works_there() -> None:
    """Its slots are not known here."""
    assert await node_is_busy(made(Shares(node_part("main", "n1"))), "main", "n1")


def made(shares: Shares | None) -> RotationContext:
    """A daemon, alone or in a cluster."""
    engine = SimpleNamespace(leadership=SimpleNamespace(shares=shares))
    return cast("RotationContext", SimpleNamespace(engine=engine, slots=NodeSlots(VirtualClock())))
