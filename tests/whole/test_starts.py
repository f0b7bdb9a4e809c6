"""No start is lost and none is served twice: clock jumps, reloads, kills, retries."""

import random
from datetime import timedelta

import pytest

import daemon.sandbox.shapes
from daemon.config.values import Config
from daemon.errors import StateError
from daemon.panel.client import PanelClient
from daemon.rotation.order import Order
from daemon.rotation.rotate import rotate
from daemon.rotation.setup import open_context
from daemon.sandbox.faults import error_after, node_error, refused, web_page, without
from daemon.sandbox.orders import Call
from daemon.sandbox.records import BackupEnding, Work
from daemon.sandbox.scenes import own_name
from daemon.state import Trigger, engine_for
from daemon.state.local.journal import SqliteJournal
from tests.whole.fleet import Daemons, at, made, on_virtual_time, rows, until

pytestmark = pytest.mark.anyio


async def test_a_start_that_a_paused_machine_slept_through_comes_soon_after_it_is_awake(daemons: Daemons) -> None:
    """A suspended laptop, a paused VM: the wall clock jumps on, the monotonic one that timers hang on does not."""
    async with daemons.running(daemons.configure()):
        await until(daemons.clock, at(1, 22))
        daemons.clock.start += timedelta(hours=10)  # asleep until 08:00 of the 2nd
        await until(daemons.clock, at(2, 8, 30))
        assert made(daemons)[-1].startswith("02 08")


async def test_starts_go_on_after_a_clock_that_was_wrong_is_set_back(daemons: Daemons) -> None:
    """A board without a clock of its own, or a wrong RTC: NTP sets it back by five days after the daemon began."""
    async with daemons.running(daemons.configure()):
        await until(daemons.clock, at(6, 5))
        assert not {"02 04", "03 04"} & {moment[:5] for moment in made(daemons)}, "those of before are deleted by now"
        daemons.clock.start -= timedelta(days=5)  # it is the 1st, 05:00
        await until(daemons.clock, at(3, 5))
        assert {"02 04", "03 04"} <= {moment[:5] for moment in made(daemons)}


@pytest.mark.parametrize("trigger", ["schedule", "retry"])
async def test_a_start_makes_its_own_backup_though_one_was_left_by_a_clock_that_was_set_back_since(
    daemons: Daemons, trigger: Trigger
) -> None:
    """Seed 226655322: the old one, which was good by then, was taken for what this start had asked for."""
    survival = next(iter(daemons.world.servers.values()))
    survival.work = Work(seconds=600)
    config = daemons.configure({"survival": survival})
    daemons.clock.start += timedelta(days=10)  # it is the 11th, by a clock that is wrong
    async with daemons.running(config):
        await until(daemons.clock, at(12, 3, 59))
        before = len(made(daemons))
        await until(daemons.clock, at(12, 4, 5))
    await until(daemons.clock, at(12, 5))
    daemons.clock.start -= timedelta(days=10)
    context = await open_context(engine_for(config.state_dir), daemons.clock, config.servers.get, random.Random(3))
    async with client_of(daemons, config) as client:
        await rotate(Order(config.servers["survival"], trigger, at(2, 4)), client, context)
    await context.close()
    assert len(made(daemons)) == before + 2


async def test_a_start_that_comes_anew_is_not_served_by_a_backup_that_is_dated_ahead(daemons: Daemons) -> None:
    """Seed 804524: made for it by clocks that were set back since, that one cannot be good before its moment."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival})
    async with daemons.running(config):
        await until(daemons.clock, at(2, 3, 59))
        daemons.world.faults.order(node_error(502), on=Call.CREATE)
        await until(daemons.clock, at(2, 5))
    assert made(daemons)[-1] == "02 04:10"
    daemons.clock.start -= timedelta(hours=1)
    context = await open_context(engine_for(config.state_dir), daemons.clock, config.servers.get, random.Random(3))
    async with client_of(daemons, config) as client:
        report = await rotate(Order(config.servers["survival"], "schedule", at(2, 4)), client, context)
    await context.close()
    assert report.created is not None
    assert made(daemons)[-2:] == ["02 04:10", "02 04:00"]


async def test_a_retry_goes_on_with_its_own_backup_though_the_clock_has_not_come_to_its_start_again(
    daemons: Daemons,
) -> None:
    """Seed 707346: the backup was made since the clock was set back, and was said to be gone."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival})
    daemons.world.faults.order(web_page(502), on=Call.LIST, times=None)
    daemons.clock.start += timedelta(days=10)  # it is the 11th, by a clock that is wrong
    async with daemons.running(config):
        await until(daemons.clock, at(12, 4, 0, 1))  # it is killed before it asked for a backup
    daemons.world.faults.clear()
    daemons.clock.start -= timedelta(days=10)
    for day in range(5, 0, -1):
        moment = daemons.world.now() - timedelta(days=day)
        daemons.world.add_backup(survival, own_name("survival", moment, day), created_at=moment, by="history")
    daemons.world.faults.order(refused(500), on=Call.DELETE, times=3)
    async with daemons.running(config):
        await until(daemons.clock, at(2, 5))
    assert rows(daemons)[-2:] == [("resume", "failed"), ("retry", "done")]
    assert [moment for moment in made(daemons) if moment.startswith("02")] == ["02 04:00"]


async def test_a_retry_is_made_though_a_clock_that_was_set_back_since_dated_a_good_one_after_it(
    daemons: Daemons,
) -> None:
    """Else nothing would be tried again until the clock has caught up."""
    survival = next(iter(daemons.world.servers.values()))
    daemons.clock.start += timedelta(days=10)  # it is the 11th, by a clock that is wrong
    async with daemons.running(daemons.configure({"survival": survival})):
        await until(daemons.clock, at(12, 5))
        daemons.clock.start -= timedelta(days=10)
        await until(daemons.clock, at(3, 3, 59, 50))
        daemons.world.faults.order(node_error(502), on=Call.CREATE)
        await until(daemons.clock, at(3, 12))
    assert rows(daemons)[-2:] == [
        ("schedule", "failed"),
        ("retry", "refused"),
    ]  # which deletes nothing, by such a clock
    assert made(daemons)[-1] == "03 04:10"


async def test_a_reload_that_moves_the_start_to_an_earlier_hour_does_not_cost_the_day(daemons: Daemons) -> None:
    """From 12:00 to 04:00, reloaded at 10:00: the policy now asks for one since 04:00, and none was made."""
    survival = next(iter(daemons.world.servers.values()))
    async with daemons.running(daemons.configure({"survival": survival}, schedule="0 12 * * *")) as fleet:
        await until(daemons.clock, at(2, 10))
        fleet.reload(daemons.configure({"survival": survival}, schedule="0 4 * * *"))
        await until(daemons.clock, at(2, 23))
        assert [moment for moment in made(daemons) if moment.startswith("02")]


async def test_two_servers_that_exchange_their_ids_are_not_duplicates(daemons: Daemons) -> None:
    """What was seen under an old configuration says nothing of the new one."""
    survival, creative = daemons.world.servers.values()
    async with daemons.running(daemons.configure({"survival": survival, "creative": creative})) as fleet:
        await until(daemons.clock, at(1, 5))
        fleet.reload(daemons.configure({"survival": creative, "creative": survival}))
        await until(daemons.clock, at(2, 5))
    assert "refused" not in [result for _, result in rows(daemons)[2:] + rows(daemons, "creative")[2:]]


def client_of(daemons: Daemons, config: Config) -> PanelClient:
    return daemons.open_client(config.panels["main"])


async def test_a_killed_rotation_is_picked_up_though_somebody_tried_by_hand_meanwhile(daemons: Daemons) -> None:
    """`rotate` answers that the server is busy and goes; its row must not hide the one that was killed."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival})
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 30))
    survival.work = Work(seconds=3600)
    before = len(made(daemons))
    async with daemons.running(config):
        daemons.world.faults.order(web_page(502), on=Call.LIST, times=3)  # the daemon is before its create
        await until(daemons.clock, at(2, 4, 0, 1))
        context = await open_context(engine_for(config.state_dir), daemons.clock, config.servers.get, random.Random(3))
        async with client_of(daemons, config) as client:
            busy = await rotate(Order(config.servers["survival"], "manual"), client, context)
        await context.journal.close()
        assert busy.result == "skipped"
        assert len(made(daemons)) == before
    async with daemons.running(config):
        await until(daemons.clock, at(2, 12))
    assert len(made(daemons)) == before + 1


async def test_without_state_a_restart_onto_a_panel_in_trouble_makes_no_second_backup(daemons: Daemons) -> None:
    """The catch-up would have found its own backup in the list; its retry must look as well."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival}, state=False)
    async with daemons.running(config):
        await until(daemons.clock, at(1, 5))
    before = len(made(daemons))
    daemons.world.faults.order(web_page(502), on=Call.SERVER, times=4)
    async with daemons.running(config):
        await until(daemons.clock, at(1, 6))
    assert len(made(daemons)) == before


async def test_a_failed_backup_is_tried_again_once_though_the_panel_was_away_before(daemons: Daemons) -> None:
    """Passing trouble first, then a backup that failed: a failed one gets one more try."""
    survival = next(iter(daemons.world.servers.values()))
    async with daemons.running(daemons.configure({"survival": survival})):
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(node_error(502), on=Call.CREATE)
        survival.coming.append(Work(outcome=BackupEnding.FAILED))
        await until(daemons.clock, at(1, 12))
    assert rows(daemons)[-1] == ("retry", "done")


async def test_a_start_that_was_merged_is_not_served_by_the_backup_of_the_one_before(daemons: Daemons) -> None:
    """NTP sets the clock back by 30 seconds while a rotation runs: the start that fell due still gets its backup."""
    survival = next(iter(daemons.world.servers.values()))
    survival.work = Work(seconds=60)
    async with daemons.running(daemons.configure({"survival": survival}, schedule="0 * * * *")):
        await until(daemons.clock, at(1, 4, 30))
        survival.work = Work(seconds=3603)
        await until(daemons.clock, at(1, 6, 0, 1))
        daemons.clock.start -= timedelta(seconds=30)
        survival.work = Work(seconds=60)
        await until(daemons.clock, at(1, 6, 30))
    assert made(daemons) == ["01 04:00", "01 05:00", "01 05:59"]


async def test_without_state_a_panel_half_a_second_ahead_gets_no_second_backup(daemons: Daemons) -> None:
    """Dates are whole seconds; the comparison of a start with created_at must allow for that."""
    survival = next(iter(daemons.world.servers.values()))
    daemons.world.settings.skew = timedelta(seconds=0.5)
    config = daemons.configure({"survival": survival}, state=False)
    async with daemons.running(config):
        await until(daemons.clock, at(1, 5))
    before = len(made(daemons))
    for _ in range(10):
        await daemons.clock.sleep(0.13)
        async with daemons.running(config):
            await daemons.clock.sleep(30)
    assert len(made(daemons)) == before


async def test_a_retry_is_forgotten_when_a_later_start_succeeded_before_it(daemons: Daemons) -> None:
    """A reload moved the next start before the promised retry: its backup is there, so the retry has nothing to do."""
    survival = next(iter(daemons.world.servers.values()))
    async with daemons.running(daemons.configure({"survival": survival})) as fleet:
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(node_error(502), on=Call.CREATE)
        await until(daemons.clock, at(1, 4, 5))
        fleet.reload(daemons.configure({"survival": survival}, schedule="6 4 * * *"))
        await until(daemons.clock, at(1, 12))
    assert made(daemons)[1:] == ["01 04:06"]


async def test_without_state_a_killed_rotation_is_finished_by_the_next_daemon(daemons: Daemons) -> None:
    """Its backup is still pending in the list: it is adopted, waited for, and retention is applied."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival}, state=False, keep={"last": 2})
    async with daemons.running(config):
        await until(daemons.clock, at(3, 5))
    survival.work = Work(seconds=600)
    async with daemons.running(config):
        await until(daemons.clock, at(4, 4, 1))
    async with daemons.running(config):
        await until(daemons.clock, at(4, 5))
    assert len(made(daemons)) == 2


async def test_a_retry_that_the_journal_knows_nothing_of_takes_the_backup_of_the_first_try(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed 119: the disk is full, the backup is made, then the panel fails; the retry finds it in the list."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival})
    async with daemons.running(config):
        await until(daemons.clock, at(2, 3, 59))
        survival.work = Work(seconds=60)
        fill_the_disk(monkeypatch)
        monkeypatch.setattr(daemon.sandbox.shapes, "MOST_BACKUPS_PER_PAGE", 1)  # so that a look is not yet the listing
        await until(daemons.clock, at(2, 4, 0, 30))
        daemons.world.faults.order(web_page(502), on=Call.LIST, times=10)
        await until(daemons.clock, at(2, 4, 5))
        monkeypatch.undo()
        on_virtual_time(monkeypatch, daemons.clock)
        await until(daemons.clock, at(2, 12))
    assert rows(daemons)[-1] == ("retry", "done")
    assert made(daemons) == ["01 03:59", "01 04:00", "02 04:00"]


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more can be journalled."""

    def full(*_: object, **__: object) -> None:
        raise StateError("the step cannot be written: database or disk is full")

    for write in ("begin", "step", "end"):
        monkeypatch.setattr(SqliteJournal, write, full)


@pytest.mark.parametrize("killed_after", [1, 200])
@pytest.mark.parametrize("page", [False, True])
@pytest.mark.parametrize("status", [500, 503])
async def test_an_error_after_it_was_done_a_kill_and_a_list_without_dates_make_no_second_backup(
    daemons: Daemons, status: int, page: bool, killed_after: int
) -> None:
    """It was believed that such an answer means "not done", so that nobody looked for what the list did not show."""
    survival = next(iter(daemons.world.servers.values()))
    survival.work = Work(seconds=900)
    config = daemons.configure({"survival": survival}, schedule="0 12 * * *")
    daemons.world.faults.order(error_after(status, page=page), on=Call.CREATE)
    async with daemons.running(config):
        await daemons.clock.sleep(killed_after)
    daemons.world.faults.order(without("created_at", "name"), on=Call.LIST)
    async with daemons.running(config):
        await until(daemons.clock, at(1, 5))
    assert made(daemons) == ["01 03:59"]
    assert rows(daemons)[-1] == ("resume", "done")


@pytest.mark.parametrize(("asked", "tried"), [(None, "01 04:12"), ("1800", "01 04:32")])
async def test_a_create_that_nothing_came_of_is_tried_again_when_the_panel_asks_for_it(
    daemons: Daemons, asked: str | None, tried: str
) -> None:
    """Two minutes it is looked for; then ten pass, or as many as a panel in maintenance says."""
    survival = next(iter(daemons.world.servers.values()))
    async with daemons.running(daemons.configure({"survival": survival})):
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(refused(503, retry_after=asked), on=Call.CREATE)
        await until(daemons.clock, at(1, 5))
    assert made(daemons)[1:] == [tried]


async def test_backups_that_failed_while_the_daemon_was_dead_count_as_tries(daemons: Daemons) -> None:
    """Each try was killed before it saw its backup fail: the second one is the last."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival})
    async with daemons.running(config):
        await until(daemons.clock, at(2, 3, 59))
    survival.work = Work(seconds=300, outcome=BackupEnding.FAILED)
    async with daemons.running(config):
        await until(daemons.clock, at(2, 4, 2))
    await until(daemons.clock, at(2, 5))
    async with daemons.running(config):
        await until(daemons.clock, at(2, 5, 12))
    await until(daemons.clock, at(2, 6))
    for hour in (8, 12):
        async with daemons.running(config):
            await until(daemons.clock, at(2, hour))
    assert made(daemons)[2:] == ["02 04:00", "02 05:10"]
    assert rows(daemons)[2:] == [
        ("schedule", "interrupted"),
        ("resume", "failed"),
        ("retry", None),
        ("resume", "failed"),
    ]


async def test_a_start_whose_two_backups_failed_is_not_resumed(daemons: Daemons) -> None:
    """Seed 30702: though a killed rotation's row is still open, hours later there is nothing to go on with."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival})
    async with daemons.running(config):
        await until(daemons.clock, at(2, 3, 59))
        survival.work = Work(seconds=300, outcome=BackupEnding.FAILED)
        await until(daemons.clock, at(2, 4, 30))
    with SqliteJournal.open(daemons.folder / "state") as journal:
        journal.begin(
            server_uuid=survival.uuid,
            server="survival",
            panel="main",
            policy="standard",
            trigger="retry",
            start_at=at(2, 4),
            at=at(2, 4, 29),
        )
    async with daemons.running(config):
        await until(daemons.clock, at(2, 8))
    assert made(daemons)[2:] == ["02 04:00", "02 04:16"]
