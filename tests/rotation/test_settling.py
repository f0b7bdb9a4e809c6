"""A daemon that is stopped while it looks for a lost create leaves that to the next one."""

import pytest

from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Work
from tests.whole.fleet import Daemons, at, rows, until

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("stops", [[70], [70, 5]], ids=len)
async def test_a_stop_waits_for_no_create_that_was_lost(daemons: Daemons, stops: list[float]) -> None:
    """It is left at once, however often; whoever starts next finds it by its name when the panel has made it."""
    survival = next(iter(daemons.world.servers.values()))
    survival.work = Work(seconds=60)
    config = daemons.configure({"survival": survival}, schedule="0 12 * * *")
    daemons.world.faults.order(faults.late(90), on=Call.CREATE)
    for seconds in stops:
        async with daemons.running(config) as fleet:
            await daemons.clock.sleep(seconds)
            began = daemons.clock.monotonic()
            assert await fleet.drain(25) == ("survival",)
            assert daemons.clock.monotonic() - began < 1
    assert not survival.backups
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 30))
    assert len(survival.backups) == daemons.app.requests(Call.CREATE) == 1
    assert rows(daemons)[-1] == ("resume", "done")


@pytest.mark.parametrize("configured", [False, True], ids=["none", "unusable"])
async def test_a_stop_waits_for_a_lost_create_that_no_journal_tells_the_next_start_of(
    daemons: Daemons, configured: bool
) -> None:
    """Left at once, it would be asked for again, and the start had two backups."""
    survival = next(iter(daemons.world.servers.values()))
    survival.work = Work(seconds=60)
    config = daemons.configure({"survival": survival}, schedule="0 12 * * *", state=configured)
    (daemons.folder / "state").write_text("no folder")
    daemons.world.faults.order(faults.late(75), on=Call.CREATE)
    async with daemons.running(config) as fleet:
        await daemons.clock.sleep(70)
        assert await fleet.drain(25) == ("survival",)
    assert len(survival.backups) == 1
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 30))
    assert len(survival.backups) == daemons.app.requests(Call.CREATE) == 1
