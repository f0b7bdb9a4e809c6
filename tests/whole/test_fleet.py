"""The daemon's servers together: starts, merging, retries, catching up, reload and kill, on virtual time."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from daemon.config.values import ServerConfig
from daemon.errors import StateError
from daemon.fleet.fleet import Fleet
from daemon.rotation.order import Order
from daemon.rotation.outcome import Outcome
from daemon.rotation.run import Run
from daemon.sandbox.faults import api_limit, late, lost_after, refused, slow, web_page
from daemon.sandbox.orders import Call
from daemon.sandbox.records import BackupEnding, Work
from daemon.sandbox.settings import Kind
from daemon.state.local.journal import SqliteJournal
from daemon.state.local.store import FILE_NAME
from tests.whole.fleet import Daemons, at, made, rows, until

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", Kind)]


async def test_each_start_makes_one_backup(daemons: Daemons) -> None:
    """Two days of a daily schedule; the first daemon ever catches up the start before it was there."""
    async with daemons.running(daemons.configure()):
        await until(daemons.clock, at(3, 3))
    assert made(daemons) == ["01 03:59", "01 04:00", "02 04:00"]
    assert rows(daemons) == [("catch-up", "done"), ("schedule", "done"), ("schedule", "done")]


async def test_a_502_at_the_start_is_tried_again_and_does_not_cost_a_day(daemons: Daemons) -> None:
    """Passing trouble is tried again after 10 minutes, doubling, until it succeeds."""
    async with daemons.running(daemons.configure()):
        await until(daemons.clock, at(1, 3, 59, 50))
        for server in daemons.world.servers.values():
            daemons.world.faults.order(web_page(502), server=server.identifier, times=8)
        await until(daemons.clock, at(1, 6))
    assert rows(daemons)[1:] == [("schedule", "failed"), ("retry", "failed"), ("retry", "done")]
    assert made(daemons)[1:] == ["01 04:30"]


async def test_a_backup_that_fails_is_tried_again_once(daemons: Daemons) -> None:
    """The second failure waits for the next start."""
    survival = next(iter(daemons.world.servers.values()))
    async with daemons.running(daemons.configure()):
        await until(daemons.clock, at(1, 3, 59, 50))
        survival.coming.extend([Work(outcome=BackupEnding.FAILED), Work(outcome=BackupEnding.FAILED)])
        await until(daemons.clock, at(1, 12))
    assert rows(daemons)[1:] == [("schedule", "failed"), ("retry", "failed")]


async def test_a_suspended_server_waits_for_its_next_start_and_hinders_nobody(daemons: Daemons) -> None:
    """It is skipped, which is no failure; the other server goes on."""
    survival = next(iter(daemons.world.servers.values()))
    survival.status = "suspended"
    async with daemons.running(daemons.configure()):
        await until(daemons.clock, at(1, 5))
        survival.status = None
        await until(daemons.clock, at(2, 5))
    assert rows(daemons) == [("catch-up", "skipped"), ("schedule", "skipped"), ("schedule", "done")]
    assert made(daemons, "creative") == ["01 03:59", "01 04:00", "02 04:00"]


async def test_a_crash_loop_makes_no_second_backup_for_one_start(daemons: Daemons) -> None:
    """Killed every 20 seconds while the backup takes two minutes: the same backup is waited for each time."""
    for server in daemons.world.servers.values():
        server.work = Work(seconds=120)
    config = daemons.configure(timeout="1h")
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 5))
    for _ in range(10):
        async with daemons.running(config):
            await daemons.clock.sleep(20)
    async with daemons.running(config):
        await until(daemons.clock, at(2, 4, 0, 1))
    for _ in range(10):
        async with daemons.running(config):
            await daemons.clock.sleep(20)
    assert made(daemons)[-1] == "02 04:00"
    assert len([moment for moment in made(daemons) if moment.startswith("02")]) == 1
    assert len([moment for moment in made(daemons, "creative") if moment.startswith("02")]) == 1


async def test_a_crash_loop_without_any_state_makes_no_second_backup_either(daemons: Daemons) -> None:
    """A sidecar without a volume finds its own backup in the panel's list."""
    config = daemons.configure(state=False)
    for _ in range(10):
        async with daemons.running(config):
            await daemons.clock.sleep(5)
    assert len(made(daemons)) == 1


async def test_a_create_whose_answer_was_lost_before_a_kill_is_found_again(daemons: Daemons) -> None:
    """The name was journalled first; the next daemon looks for it instead of asking again."""
    for server in daemons.world.servers.values():
        server.work = Work(seconds=600)
    config = daemons.configure()
    daemons.world.faults.order(lost_after(), on=Call.CREATE, times=2)
    async with daemons.running(config):
        await daemons.clock.sleep(0.5)
    async with daemons.running(config):
        await until(daemons.clock, at(1, 5, 30))
    assert daemons.app.requests(Call.CREATE) == 2 + 2  # the catch-up's, and those of the start at four
    assert len(made(daemons)) == len(made(daemons, "creative")) == 2


async def test_a_create_that_a_killed_daemon_sent_and_the_panel_does_late_is_waited_for(daemons: Daemons) -> None:
    """The request was on its way when the daemon died; the next one looks for the name before it asks for another."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival})
    daemons.world.faults.order(late(30), on=Call.CREATE)
    async with daemons.running(config):
        await daemons.clock.sleep(5)
    assert made(daemons) == []
    async with daemons.running(config):
        await until(daemons.clock, at(1, 3, 59, 59))
        assert daemons.app.requests(Call.CREATE) == 1
        assert len(made(daemons)) == 1


async def test_a_create_that_the_api_limit_held_back_is_waited_for_from_when_it_left(daemons: Daemons) -> None:
    """Meant at once, sent after 50 s, and done 100 s later: the daemon that was started meanwhile is not too early."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival}, schedule="0 12 * * *")
    daemons.world.faults.order(api_limit("50"), on=Call.CREATE)
    daemons.world.faults.order(late(100), on=Call.CREATE)
    async with daemons.running(config):
        await daemons.clock.sleep(55)
    async with daemons.running(config):
        await daemons.clock.sleep(400)
    assert daemons.app.requests(Call.CREATE) == 2
    assert len(made(daemons)) == 1


async def test_a_journal_that_fails_in_the_middle_is_said_and_deletes_nothing(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up while a rotation runs."""

    def full(*_: object, **__: object) -> None:
        raise StateError("the step cannot be written: database or disk is full")

    config = daemons.configure(keep={"last": 1})
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 30))
        monkeypatch.setattr(SqliteJournal, "step", full)
        monkeypatch.setattr(SqliteJournal, "end", full)
        await until(daemons.clock, at(2, 4, 30))
        assert made(daemons) == ["01 04:00", "02 04:00"]


async def test_starts_that_fall_due_during_a_rotation_do_not_pile_up(daemons: Daemons) -> None:
    """Every minute a start, and backups that take two and a half minutes."""
    for server in daemons.world.servers.values():
        server.work = Work(seconds=150)
    async with daemons.running(
        daemons.configure({"survival": next(iter(daemons.world.servers.values()))}, schedule="* * * * *")
    ):
        await until(daemons.clock, at(1, 4, 10))
    gaps = [row for row in rows(daemons) if row[1] == "done"]
    assert len(gaps) in (3, 4)
    assert len(made(daemons)) <= 5


async def test_a_start_missed_while_the_daemon_was_away_is_caught_up_once(daemons: Daemons) -> None:
    """Three days away cost one backup at the return, not three; a second return finds nothing missed."""
    config = daemons.configure()
    async with daemons.running(config):
        await until(daemons.clock, at(1, 5))
    await until(daemons.clock, at(4, 12))
    for _ in range(2):
        async with daemons.running(config):
            await daemons.clock.sleep(600)
    assert made(daemons)[2:] == ["04 12:00"]


async def test_a_row_that_cannot_be_read_hides_nothing_of_another_server(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the journal is asked for several servers at a time: one without a past would be backed up at once."""
    config = daemons.configure()
    async with daemons.running(config):
        await until(daemons.clock, at(1, 5))
    assert config.state_dir is not None
    with closing(sqlite3.connect(config.state_dir / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE rotation SET began_at = 'yesterday' WHERE server = 'creative'")
    begun: list[str] = []
    monkeypatch.setattr("daemon.fleet.rotations.Rotations.launch", lambda _, order: begun.append(order.server.name))
    async with daemons.running(config):
        await daemons.clock.sleep(600)
    assert begun == ["creative"]


async def test_a_promised_retry_is_kept_across_a_restart(daemons: Daemons) -> None:
    """The journal holds when to try again."""
    config = daemons.configure()
    async with daemons.running(config):
        await until(daemons.clock, at(1, 3, 59, 50))
        daemons.world.faults.order(refused(500, "DaemonConnectionException", "no"), on=Call.CREATE, times=2)
        await until(daemons.clock, at(1, 4, 2))
    async with daemons.running(config):
        await until(daemons.clock, at(1, 4, 9))
        assert made(daemons)[1:] == []
        await until(daemons.clock, at(1, 4, 12))
    assert made(daemons)[1:] == ["01 04:10"]


async def test_a_reload_leaves_unchanged_servers_alone_and_obeys_the_changes(daemons: Daemons) -> None:
    """A server that is gone is not started again, a new one is protected at once, a running one is not disturbed."""
    survival, creative = daemons.world.servers.values()
    survival.work = Work(seconds=60)
    async with daemons.running(daemons.configure({"survival": survival})) as fleet:
        await daemons.clock.sleep(5)
        assert fleet.running() == ("survival",)
        fleet.reload(daemons.configure({"survival": survival, "creative": creative}))
        assert "survival" in fleet.running()
        await until(daemons.clock, at(1, 4, 30))
        assert made(daemons, "creative") == ["01 04:00", "01 04:01"]
        fleet.reload(daemons.configure({"creative": creative}))
        await until(daemons.clock, at(2, 5))
    assert made(daemons, "creative")[-1] == "02 04:00"
    assert len(made(daemons, "survival")) <= 2


async def test_one_servers_bug_leaves_the_others_alone(daemons: Daemons, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even an exception that nobody foresaw ends only the rotation that it is in."""
    from daemon.rotation import rotate as module  # noqa: PLC0415 — patched for this test alone

    whole = module._rotate

    async def broken(run: Run) -> None:
        if run.config.name == "survival":
            raise ZeroDivisionError
        await whole(run)

    monkeypatch.setattr(module, "_rotate", broken)
    async with daemons.running(daemons.configure()):
        await until(daemons.clock, at(1, 5))
    assert made(daemons, "survival") == []
    assert made(daemons, "creative") == ["01 03:59", "01 04:00"]


async def test_one_server_under_two_panel_names_is_refused_when_it_is_seen(daemons: Daemons) -> None:
    """Two entries for one panel hide a duplicate from the configuration's own check; its uuid shows it."""
    survival = next(iter(daemons.world.servers.values()))
    config = daemons.configure({"survival": survival})
    one = config.servers["survival"]
    twin = replace(one, name="twin", panel=replace(one.panel, name="again"))
    config = replace(config, servers={"survival": one, "twin": twin})
    async with daemons.running(config):
        await until(daemons.clock, at(1, 5))
    assert rows(daemons, "twin") == [("catch-up", "refused"), ("schedule", "refused")]
    assert made(daemons) == ["01 03:59", "01 04:00"]


async def test_a_changed_panel_gets_a_new_client_and_a_running_rotation_keeps_its_own(daemons: Daemons) -> None:
    """A new key in the configuration does not disturb what is under way."""
    survival = next(iter(daemons.world.servers.values()))
    survival.work = Work(seconds=30)
    config = daemons.configure({"survival": survival})
    async with daemons.running(config) as fleet:
        await daemons.clock.sleep(5)
        server = config.servers["survival"]
        panel = replace(server.panel, backups_per_node=2)
        fleet.reload(replace(config, panels={"main": panel}, servers={"survival": replace(server, panel=panel)}))
        await until(daemons.clock, at(1, 5))
    assert rows(daemons) == [("catch-up", "done"), ("schedule", "done")]


async def test_a_drain_leaves_what_only_waits_to_the_next_daemon(daemons: Daemons) -> None:
    """What was left is picked up by the next daemon, here for the start that fell due meanwhile: no second backup."""
    for server in daemons.world.servers.values():
        server.work = Work(seconds=600)
    config = daemons.configure()
    async with daemons.running(config) as fleet:
        await daemons.clock.sleep(10)
        began = daemons.clock.now()
        assert await fleet.drain(25) == ("creative", "survival")
        assert (daemons.clock.now() - began).total_seconds() < 2
    assert rows(daemons)[0][1] is None
    async with daemons.running(config):
        await until(daemons.clock, at(1, 3, 59, 59))
    await until(daemons.clock, at(1, 4, 1))
    async with daemons.running(config):
        await until(daemons.clock, at(1, 5))
    assert (made(daemons), len(made(daemons, "creative"))) == (["01 03:59"], 1)


async def test_a_drain_gives_the_rest_its_bound_and_then_leaves_it_too(daemons: Daemons) -> None:
    """A create that hangs for longer than the bound is left; its name is in the journal."""
    daemons.world.faults.order(slow(50), on=Call.CREATE, times=None)
    async with daemons.running(daemons.configure()) as fleet:
        await daemons.clock.sleep(5)
        began = daemons.clock.now()
        left = await fleet.drain(25)
        assert left == ("creative", "survival")
        assert 25 <= (daemons.clock.now() - began).total_seconds() < 27


async def test_a_journal_that_cannot_be_read_does_not_stop_the_starts(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catching up then rests on the panel's list."""

    def unreadable(*_: object, **__: object) -> list[object]:
        raise StateError("the journal cannot be read: disk I/O error")

    monkeypatch.setattr(SqliteJournal, "recent", unreadable)
    async with daemons.running(daemons.configure()):
        await until(daemons.clock, at(1, 4, 30))
    monkeypatch.undo()
    assert made(daemons) == ["01 03:59", "01 04:00"]


async def test_listeners_are_told_and_a_broken_one_disturbs_nobody(daemons: Daemons) -> None:
    """Alerts and pages hang on this; a rotation does not hang on them."""
    told: list[tuple[str, str]] = []

    class Broken:
        async def began(self, order: Order) -> None:
            raise ZeroDivisionError

        async def ended(self, order: Order, outcome: Outcome) -> None:
            raise ZeroDivisionError

    class Listening:
        async def began(self, order: Order) -> None:
            told.append((order.server.name, order.trigger))

        async def ended(self, order: Order, outcome: Outcome) -> None:
            told.append((order.server.name, f"{outcome.result}, {len(outcome.verdicts)} verdicts"))

    survival = next(iter(daemons.world.servers.values()))
    async with daemons.running(daemons.configure({"survival": survival}), Broken(), Listening()):
        await until(daemons.clock, at(1, 3, 59, 30))
    assert told == [("survival", "catch-up"), ("survival", "done, 1 verdicts")]


async def test_a_bug_while_picking_up_one_server_leaves_the_others_alone(
    daemons: Daemons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start of the daemon goes through all of them."""
    asked: list[str] = []

    async def broken(_fleet: object, server: ServerConfig, _known: object) -> None:
        asked.append(server.name)
        raise ZeroDivisionError

    monkeypatch.setattr(Fleet, "_pick_up", broken)
    async with daemons.running(daemons.configure()):
        await until(daemons.clock, at(1, 4, 30))
    assert asked == ["survival", "creative"]
    assert len(made(daemons)) == len(made(daemons, "creative")) == 1
