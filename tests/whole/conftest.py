"""Whole rotations run on virtual time."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.sandbox.records import Settings
from daemon.sandbox.scenes import one_server
from tests.virtual import BACKEND, VirtualClock
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
