"""What the simulation found, each as a story of its own that a person can read."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.sandbox.faults import slow, with_values, without
from daemon.sandbox.orders import Call
from daemon.sandbox.scenes import one_server
from daemon.sandbox.settings import Settings
from tests.virtual import BACKEND, VirtualClock
from tests.whole.fleet import Daemons, on_virtual_time, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> object:
    """An event loop that jumps over every wait."""
    return BACKEND


@pytest.fixture
def daemons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Daemons:
    """One server without backups, and nobody's daemon yet."""
    clock = VirtualClock()
    on_virtual_time(monkeypatch, clock)
    world, _ = one_server(clock, limit=20, settings=Settings(creation_limit=0))
    return Daemons(world, clock, tmp_path)


def created(daemons: Daemons) -> int:
    """How many backups were ever made."""
    return sum(entry.change == "created" for entry in daemons.world.ledger)


async def test_a_backup_that_the_list_shows_unreadably_after_a_kill_is_not_made_again(daemons: Daemons) -> None:
    """Seed 10024: killed after it had created; the next daemon's list told every name as null, so it made a second one.

    The journal held the uuid all the time: what the list does not show is looked at by itself.
    """
    config = daemons.configure(keep={"last": 1})
    async with daemons.running(config):
        await until(daemons.clock, datetime(2026, 4, 1, 3, 59, 30, tzinfo=UTC))
    before = created(daemons)
    await until(daemons.clock, datetime(2026, 4, 1, 4, 0, 30, tzinfo=UTC))
    async with daemons.running(config):
        await daemons.clock.sleep(0.5)
    assert created(daemons) == before + 1
    await daemons.clock.sleep(300)  # longer than a lost create is waited for
    daemons.world.faults.order(with_values({"name": None}), on=Call.LIST)
    async with daemons.running(config):
        await daemons.clock.sleep(600)
    assert created(daemons) == before + 1


async def test_a_create_that_a_kill_left_open_is_looked_for_in_a_list_that_can_be_read(daemons: Daemons) -> None:
    """Seed 30285: killed before the answer was journalled, then a list without names: it was taken for never made."""
    config = daemons.configure(keep={"last": 1}, schedule="59 3 * * *")
    daemons.world.faults.order(slow(20), on=Call.CREATE)
    async with daemons.running(config):
        await daemons.clock.sleep(5)
    assert created(daemons) == 1
    await daemons.clock.sleep(300)  # longer than a lost create is waited for
    daemons.world.faults.order(without("name"), on=Call.LIST)
    async with daemons.running(config):
        await daemons.clock.sleep(600)
    assert created(daemons) == 1
