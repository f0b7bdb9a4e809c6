"""Room at the panel's limit: once until a backup turned good, and no longer than that."""

import asyncio
from dataclasses import replace
from io import StringIO

import pytest
from structlog.testing import capture_logs

from daemon.log import configure
from daemon.rotation.outcome import Result
from daemon.sandbox import faults
from daemon.sandbox.orders import Call, Fault
from daemon.sandbox.records import BackupEnding, Change, Work
from daemon.sandbox.settings import Kind
from tests.whole.rig import Rig

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", Kind)]


def full(rig: Rig, count: int) -> None:
    rig.fill(count)
    rig.server.limit = count


def named(fault: Fault) -> str:
    return fault.name


def deleted(rig: Rig) -> list[str]:
    return [entry.name for entry in rig.world.ledger if entry.change is Change.DELETED]


async def test_room_that_cannot_be_made_is_not_said_to_be_made(rig: Rig) -> None:
    """All that is there is kept."""
    configure("info", stream=StringIO())
    full(rig, 3)
    rig.configure(keep={"last": 5})
    with capture_logs() as lines:
        assert (await rig.rotate()).result is Result.REFUSED
    assert "making_room" not in [line["event"] for line in lines]


async def test_where_room_is_made_the_log_says_by_what(rig: Rig) -> None:
    """Before it goes."""
    configure("info", stream=StringIO())
    full(rig, 4)
    with capture_logs() as lines:
        await rig.rotate()
    assert [line["backup"] for line in lines if line["event"] == "making_room"] == deleted(rig)[:1]


async def test_a_delete_that_the_node_refused_made_no_room_and_the_next_one_does(rig: Rig) -> None:
    """The node failed at the first deletion; nothing was deleted, so the next one makes the room."""
    full(rig, 4)
    names = rig.names()
    rig.world.faults.order(faults.node_error(502), on=Call.DELETE)
    first = await rig.rotate()
    assert first.created is not None
    assert deleted(rig) == names[1:2]
    second = await rig.rotate()
    assert second.result is Result.DONE, second.problems


@pytest.mark.parametrize(
    "fault", [faults.refused(500), faults.web_page(502), faults.web_page(503), faults.lost_before()], ids=named
)
async def test_a_delete_that_may_have_been_done_is_made_again_where_its_backup_is_still_there(
    rig: Rig, fault: Fault
) -> None:
    """Nobody knew what came of it; looks tell, and the same DELETE again can be no second room."""
    full(rig, 4)
    names = rig.names()
    rig.world.faults.order(fault, on=Call.DELETE)
    outcome = await rig.rotate()
    assert outcome.result is Result.DONE, outcome.problems
    assert deleted(rig) == names[:2]


async def test_room_that_a_job_makes_is_not_made_again_though_nobody_saw_it_done(rig: Rig) -> None:
    """A fork answers the DELETE with 202 and does it; the look that would show it is refused (seed 6000099)."""
    full(rig, 4)
    rig.server.limit = 3
    rig.world.faults.order(faults.job(), on=Call.DELETE)
    rig.world.faults.order(faults.refused(403), on=Call.VIEW, times=None)
    assert (await rig.rotate()).problems[0].code == "foreign-panel"
    rig.world.faults.clear()
    second = await rig.rotate()
    assert "room was made once already" in second.problems[0].text
    assert len(deleted(rig)) == 1


async def test_a_kill_before_the_delete_that_makes_room_costs_no_later_start(rig: Rig) -> None:
    """The journal holds that room was to be made, and the backup is still there."""
    full(rig, 4)
    rig.world.faults.order(replace(faults.node_error(502), before=30), on=Call.DELETE)
    killed = asyncio.create_task(rig.rotate())
    await rig.clock.sleep(10)
    killed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await killed
    await rig.clock.sleep(60)
    assert [step.name for step in rig.journal.recent()[0].steps][-1] == "room"
    second = await rig.rotate()
    assert second.result is Result.DONE, second.problems


async def test_a_deletion_for_room_that_is_done_late_is_not_followed_by_another(rig: Rig) -> None:
    """The list of before shows the backup, the one that the deletion is decided on does not: room was made."""
    full(rig, 4)
    rig.world.faults.order(faults.late(130), on=Call.DELETE)
    assert (await rig.rotate()).result is Result.FAILED
    rig.world.faults.order(faults.slow(20), on=Call.LIST)
    rig.world.faults.order(faults.slow(55), on=Call.CREATE)
    assert (await rig.rotate()).result is Result.REFUSED
    assert len(deleted(rig)) == 1


async def test_room_may_be_made_again_once_the_late_backup_turned_good_on_the_panel(rig: Rig) -> None:
    """The rotation gave up waiting, the backup turned good an hour later: the daemon must see that in the list."""
    rig.configure(timeout="1h", keep={"last": 4})
    full(rig, 4)
    rig.server.coming.append(Work(seconds=2 * 3600))
    assert (await rig.rotate()).result is Result.FAILED
    assert len(deleted(rig)) == 1
    await rig.clock.sleep(24 * 3600)
    second = await rig.rotate()
    assert second.result is Result.DONE, second.problems


async def test_fifty_refused_starts_do_not_earn_another_good_backup(rig: Rig) -> None:
    """Room was made once and its backup is stuck: however many starts pass, no second good one goes."""
    rig.configure(timeout="1h", keep={"last": 3})
    full(rig, 6)
    rig.server.work = Work(outcome=BackupEnding.STUCK)
    for _ in range(55):
        await rig.rotate()
        await rig.clock.sleep(3600)
    assert len(deleted(rig)) == 1


async def test_a_renamed_server_does_not_earn_another_good_backup(rig: Rig) -> None:
    """The journal knows the server by its uuid; a new name in the configuration changes nothing."""
    rig.configure(timeout="1h", keep={"last": 3}, name="auto-{time}-{id}", scope="all")
    full(rig, 6)
    rig.server.work = Work(outcome=BackupEnding.STUCK)
    await rig.rotate()
    assert len(deleted(rig)) == 1
    await rig.clock.sleep(24 * 3600)
    rig.config = replace(rig.config, name="renamed")
    await rig.rotate()
    assert len(deleted(rig)) == 1
