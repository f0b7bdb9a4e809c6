"""Whole rotations run on virtual time.

A module whose stories are to hold on each kind of panel says `pytest.mark.parametrize("kind", Kind)`.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.sandbox.records import Server
from daemon.sandbox.scenes import KEY, empty, one_server
from daemon.sandbox.settings import Kind, Settings, pelican
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
def kind() -> Kind:
    """Which panel it is."""
    return Kind.PTERODACTYL


@pytest.fixture
def settings(kind: Kind) -> Settings:
    """Those of a new panel of that kind, without a creation throttle."""
    return replace(pelican() if kind is Kind.PELICAN else Settings(), creation_limit=0)


@pytest.fixture
async def rig(virtual_clock: VirtualClock, tmp_path: Path, settings: Settings) -> AsyncIterator[Rig]:
    """One server without backups; keep = { last = 3 }."""
    world, server = one_server(virtual_clock, limit=100, settings=settings)
    world.add_key(KEY, server.owner)
    made = Rig(world, server, virtual_clock, tmp_path)
    yield made
    await made.close()


@pytest.fixture
def daemons(
    monkeypatch: pytest.MonkeyPatch, virtual_clock: VirtualClock, tmp_path: Path, settings: Settings
) -> Daemons:
    """Two servers on one node, without backups, for daemons to come."""
    on_virtual_time(monkeypatch, virtual_clock)
    world, owner, node = empty(virtual_clock, settings=settings)
    world.add_key(KEY, owner)
    for name in ("survival", "creative"):
        world.add_server(name, owner=owner, node=node, limit=20)
    return Daemons(world, virtual_clock, tmp_path)


@pytest.fixture
def survival(daemons: Daemons) -> Server:
    """The first of the two servers."""
    return next(iter(daemons.world.servers.values()))
