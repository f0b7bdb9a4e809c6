"""Whole rotations run on virtual time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.sandbox.records import Server, Settings
from daemon.sandbox.scenes import empty, one_server
from tests.virtual import BACKEND, VirtualClock
from tests.whole.fleet import Daemons, on_virtual_time
from tests.whole.rig import Rig


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


@pytest.fixture
def virtual_clock() -> VirtualClock:
    """The clock of the world and of the daemon."""
    return VirtualClock()


@pytest.fixture
async def rig(virtual_clock: VirtualClock, tmp_path: Path) -> AsyncIterator[Rig]:
    """One server without backups; keep = { last = 3 }."""
    world, server = one_server(virtual_clock, limit=100, settings=Settings(creation_limit=0))
    made = Rig(world, server, virtual_clock, tmp_path)
    yield made
    await made.close()


@pytest.fixture
def daemons(monkeypatch: pytest.MonkeyPatch, virtual_clock: VirtualClock, tmp_path: Path) -> Daemons:
    """Two servers on one node, without backups, for daemons to come."""
    on_virtual_time(monkeypatch, virtual_clock)
    world, owner, node = empty(virtual_clock, settings=Settings(creation_limit=0))
    for name in ("survival", "creative"):
        world.add_server(name, owner=owner, node=node, limit=20)
    return Daemons(world, virtual_clock, tmp_path)


@pytest.fixture
def survival(daemons: Daemons) -> Server:
    """The first of the two servers."""
    return next(iter(daemons.world.servers.values()))
