"""Rotations that end, or are left, at an awkward moment take nothing from those that come after them."""

import json
from datetime import timedelta

import pytest

from daemon.sandbox import faults
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Work
from daemon.sandbox.scenes import own_name
from tests.whole.fleet import Daemons, at, made, rows, until

pytestmark = pytest.mark.anyio


async def test_a_rotation_that_fails_gives_its_place_on_the_node_to_the_next(daemons: Daemons) -> None:
    """One server's create is refused; the other, on the same node, makes its backup all the same."""
    refused = faults.refused(403, "AccessDeniedHttpException", "This action is unauthorized.")
    daemons.world.faults.order(refused, on=Call.CREATE)
    async with daemons.running(daemons.configure()):
        await until(daemons.clock, at(1, 3, 59, 50))
    assert sorted([len(made(daemons)), len(made(daemons, "creative"))]) == [0, 1]


async def test_a_start_that_falls_due_during_a_rotation_comes_after_it_though_none_follows_that_day(
    daemons: Daemons,
) -> None:
    """Two starts, at 04:00 and 04:01, while the catching up from 03:59 still runs: one rotation serves both."""
    survival = next(iter(daemons.world.servers.values()))
    survival.work = Work(seconds=150)
    async with daemons.running(daemons.configure({"survival": survival}, schedule="0,1 4 * * *")):
        await until(daemons.clock, at(1, 6))
    assert rows(daemons) == [("catch-up", "done"), ("schedule", "done")]


async def test_a_rotation_that_is_left_says_how_far_it_was(
    daemons: Daemons, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever stops it, be it by Ctrl-C, learns which backup the panel goes on with."""
    survival = next(iter(daemons.world.servers.values()))
    survival.work = Work(seconds=600)
    async with daemons.running(daemons.configure({"survival": survival})) as fleet:
        await daemons.clock.sleep(60)
        assert await fleet.drain(25) == ("survival",)
    (backup,) = survival.backups.values()
    left = next(json.loads(line) for line in capsys.readouterr().err.splitlines() if "rotation_left" in line)
    assert (left["server"], left["stage"], left["backup"]) == ("survival", "waiting", backup.name)


async def test_a_drain_lets_a_rotation_that_deletes_come_to_its_end(daemons: Daemons) -> None:
    """Left in the midst of a DELETE nobody would know what became of it; 20 s are within the bound."""
    survival = next(iter(daemons.world.servers.values()))
    for day in (4, 3, 2, 1):
        moment = daemons.world.now() - timedelta(days=day)
        daemons.world.add_backup(survival, own_name("survival", moment, day), created_at=moment)
    daemons.world.faults.order(faults.slow(10), on=Call.DELETE, times=None)
    async with daemons.running(daemons.configure({"survival": survival})) as fleet:
        while not daemons.app.requests(Call.DELETE):
            await daemons.clock.sleep(1)
        assert await fleet.drain(25) == ()
    assert rows(daemons) == [("catch-up", "done")]
    assert len(survival.backups) == 3
