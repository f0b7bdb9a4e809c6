"""Killed at any moment and started again: for one start there is one backup, and retention ends where it should."""

import signal
from collections.abc import Callable

import pytest

from daemon.sandbox.faults import late, slow
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change, Server
from tests.process.support import Daemon, Panel, running, wait_until

Moment = Callable[[Panel, Server, Daemon], None]


def while_it_looks(panel: Panel, _server: Server, _daemon: Daemon) -> None:
    """The list of backups does not come."""
    wait_until(lambda: panel.world.faults.happened["slow"] == 1, "the list was asked for")


def while_it_asks(panel: Panel, server: Server, _daemon: Daemon) -> None:
    """The panel has made the backup; its answer does not come."""
    wait_until(lambda: bool(panel.done(Change.CREATED, server)), "a backup was made")


def before_the_panel_obeys(panel: Panel, _server: Server, _daemon: Daemon) -> None:
    """The request is on its way, and will be obeyed when nobody waits for it any more."""
    wait_until(lambda: panel.world.faults.happened["late"] == 1, "the request arrived")


def while_it_waits(_panel: Panel, _server: Server, daemon: Daemon) -> None:
    """The backup is being made."""
    daemon.wait_for("backup_created")


def while_it_deletes(panel: Panel, server: Server, _daemon: Daemon) -> None:
    """The first of three deletions is done, its answer does not come."""
    wait_until(lambda: bool(panel.done(Change.DELETED, server)), "a backup was deleted")


@pytest.mark.parametrize(
    ("moment", "call", "seconds"),
    [
        (while_it_looks, Call.LIST, 30.0),
        (while_it_asks, Call.CREATE, 30.0),
        (before_the_panel_obeys, Call.CREATE, 2.0),
        (while_it_waits, None, 0.0),
        (while_it_deletes, Call.DELETE, 30.0),
    ],
)
def test_a_daemon_that_is_killed_makes_no_second_backup_and_the_next_one_ends_its_work(
    panel: Panel, moment: Moment, call: Call | None, seconds: float
) -> None:
    """Nothing is deleted but the three that are beyond retention, oldest first."""
    survival = panel.add_server(past=5)
    before = [backup.name for backup in panel.backups(survival)]
    panel.configure(survival)
    if call is not None:
        panel.world.faults.order(late(seconds) if moment is before_the_panel_obeys else slow(seconds), on=call)
    with running(panel) as daemon:
        moment(panel, survival, daemon)
        daemon.send(signal.SIGKILL)
        assert daemon.ended() == -signal.SIGKILL
    with running(panel) as daemon:
        daemon.wait_for("rotation_ended", result="done")
    created = panel.done(Change.CREATED, survival)
    assert len(created) == 1
    assert panel.done(Change.DELETED, survival) == before[:3]
    assert [backup.name for backup in panel.backups(survival)] == [*before[3:], *created]


def test_a_daemon_that_is_killed_again_and_again_waits_for_the_same_backup(panel: Panel) -> None:
    """A crash loop makes one backup, not one a crash."""
    survival = panel.add_server(seconds=3600)
    panel.configure(survival)
    for event in ("backup_created", "backup_adopted", "backup_adopted"):
        with running(panel) as daemon:
            daemon.wait_for(event)
            daemon.send(signal.SIGKILL)
    assert len(panel.done(Change.CREATED, survival)) == 1
    assert panel.done(Change.DELETED, survival) == []


def test_a_daemon_that_is_started_again_after_its_work_does_nothing(panel: Panel) -> None:
    """The start was served."""
    survival = panel.add_server()
    panel.configure(survival)
    with running(panel) as daemon:
        daemon.wait_for("rotation_ended", result="done")
        daemon.send(signal.SIGKILL)
    with running(panel) as daemon:
        daemon.wait_for("daemon_started")
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
    assert not daemon.events("rotation_began")
    assert not daemon.events("start_missed")
