"""The panel's clock is not ours: starts, dates and ages are compared on one clock, also where the two differ widely."""

from datetime import timedelta

import pytest

from daemon.rotation.outcome import Result
from daemon.sandbox.records import Server, State, Work
from daemon.sandbox.scenes import own_name
from tests.whole.fleet import Daemons, at, until
from tests.whole.rig import Rig

pytestmark = pytest.mark.anyio

QUARTERS = [timedelta(minutes=15), timedelta(minutes=-15)]


@pytest.mark.parametrize("skew", QUARTERS, ids=str)
async def test_a_start_that_was_served_is_known_by_the_panels_list_alone(
    daemons: Daemons, survival: Server, skew: timedelta
) -> None:
    """Without a journal a backup dated 03:45 by a slow panel is that of 04:00, and no second one is made."""
    daemons.world.settings.skew = skew
    config = daemons.configure({"survival": survival}, state=False)
    async with daemons.running(config):
        await until(daemons.clock, at(1, 3, 59, 30))
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 5))
    before = len(survival.backups)
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 30))
    assert before == len(survival.backups) == 2


@pytest.mark.parametrize("skew", QUARTERS, ids=str)
async def test_an_earlier_backup_does_not_pass_for_that_of_a_start(
    daemons: Daemons, survival: Server, skew: timedelta
) -> None:
    """The panel dates the one of 03:59 at 04:14 or 03:44; either way the start of 04:00 was missed and is caught up."""
    daemons.world.settings.skew = skew
    config = daemons.configure({"survival": survival}, state=False)
    async with daemons.running(config):
        await until(daemons.clock, at(1, 3, 59, 30))
    assert len(survival.backups) == 1
    await until(daemons.clock, at(1, 4, 5))
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 30))
    assert len(survival.backups) == 2


@pytest.mark.parametrize("hours", [-2, 2])
async def test_a_new_backup_has_its_whole_timeout_on_any_clock(rig: Rig, hours: int) -> None:
    """Dated two hours back it is not two hours old."""
    rig.world.settings.skew = timedelta(hours=hours)
    rig.configure(timeout="1h")
    rig.server.work = Work(seconds=3000)
    outcome = await rig.rotate()
    assert (outcome.created is not None, [problem.code for problem in outcome.problems]) == (True, ["clock"])


@pytest.mark.parametrize("hours", [-2, 2])
async def test_a_backup_that_is_taken_over_is_as_old_as_the_panel_says(rig: Rig, hours: int) -> None:
    """Dated in our future it is not new: ten minutes of its hour are left, and then it is given up."""
    rig.world.settings.skew = timedelta(hours=hours)
    rig.configure(timeout="1h")
    made = rig.world.now() - timedelta(minutes=50)
    rig.world.add_backup(rig.server, own_name("survival", made, 1), created_at=made, state=State.PENDING, by="history")
    began = rig.clock.monotonic()
    outcome = await rig.rotate()
    assert (outcome.result, outcome.problems[-1].code) == (Result.FAILED, "timeout")
    assert rig.clock.monotonic() - began == pytest.approx(600, abs=5)
