"""Whether the fleet keeps time, which is what systemd's watchdog is fed by."""

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.sandbox.scenes import empty
from daemon.sandbox.settings import Settings
from tests.virtual import START, VirtualClock
from tests.whole.fleet import Daemons, on_virtual_time, until

pytestmark = pytest.mark.anyio


async def test_a_scheduler_that_lets_a_start_pass_by_does_not_keep_time(
    monkeypatch: pytest.MonkeyPatch, virtual_clock: VirtualClock, tmp_path: Path
) -> None:
    """It is not called alive from a minute and a half after the start on, until it goes on; nor once it is stopped."""
    on_virtual_time(monkeypatch, virtual_clock)
    world, owner, node = empty(virtual_clock, settings=Settings(creation_limit=0))
    world.add_server("survival", owner=owner, node=node, limit=20)
    daemons = Daemons(world, virtual_clock, tmp_path)
    start = START + timedelta(minutes=1)
    async with daemons.running(daemons.configure()) as fleet:
        assert fleet.keeps_time()
        fleet._scheduler._scheduler.pause()
        await until(virtual_clock, start + timedelta(seconds=80))
        assert fleet.keeps_time(), "a moment late is not dead"
        await until(virtual_clock, start + timedelta(seconds=100))
        assert not fleet.keeps_time()
        fleet._scheduler._scheduler.resume()
        await until(virtual_clock, start + timedelta(seconds=101))
        assert fleet.keeps_time()
        await fleet.drain(60)
        assert not fleet.keeps_time()
