"""A disk without room under the state folder, for real: every write to a file fails, until there is room again.

The limit on the size of files (setrlimit(2), RLIMIT_FSIZE) does it: it needs no mount and no rights, can be set from
outside while the daemon runs, and SQLite meets it in its own writes, as it would meet a full disk.
"""

import resource
import signal

import pytest

from daemon.sandbox.faults import slow
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change
from daemon.state.local.journal import SqliteJournal
from tests.leaks import stored
from tests.process.support import Daemon, Panel, command, running

NO_ROOM = 0
ROOM = resource.RLIM_INFINITY


def leave(daemon: Daemon, room: int) -> None:
    """From now on no file of the daemon's may grow beyond that."""
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))


def test_a_disk_that_fills_up_costs_no_backup_and_deletes_none_until_there_is_room_again(panel: Panel) -> None:
    """It is said, the daemon goes on, and with room again everything is as before; no restart is needed."""
    survival, creative = panel.add_server(past=5, seconds=3600), panel.add_server("creative", past=5)
    mining = panel.add_server("mining", past=5)
    panel.configure(survival)
    panel.world.faults.order(slow(1), on=Call.LIST)
    with running(panel, counted=False) as daemon:
        daemon.wait_for("rotation_began")
        leave(daemon, NO_ROOM)
        made = daemon.wait_for("backup_created")
        panel.world.report(survival, survival.backups[made["uuid"]], success=True)
        daemon.wait_for("problem", code="journal", server="survival")
        daemon.wait_for("rotation_ended", server="survival")

        panel.configure(survival, creative)
        daemon.send(signal.SIGHUP)
        daemon.wait_for("problem", code="journal", server="creative")
        daemon.wait_for("rotation_ended", server="creative")
        assert len(panel.done(Change.CREATED, creative)) == 1
        assert panel.done(Change.DELETED, survival) == panel.done(Change.DELETED, creative) == []

        leave(daemon, ROOM)
        panel.configure(survival, creative, mining)
        daemon.send(signal.SIGHUP)
        assert daemon.wait_for("rotation_ended", server="mining")["deleted"] == 3
        assert not daemon.events("problem", server="mining")
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
    assert "Traceback" not in daemon.output
    with running(panel) as again:
        again.wait_for("daemon_started")
        again.wait_for("rotation_ended", server="survival")
        again.wait_for("rotation_ended", server="creative", result="skipped")
    for server in (survival, creative, mining):
        assert len(panel.done(Change.CREATED, server)) == 1, "one start has one backup, whatever could be journalled"
    assert command(panel, "rotate", "creative", "--max-deletions", "10").returncode == 0
    assert len(panel.done(Change.DELETED, creative)) == 4


def test_a_daemon_that_starts_on_a_full_disk_makes_backups_and_begins_its_journal_when_there_is_room(
    panel: Panel,
) -> None:
    """The journal cannot even be begun; the next rotation tries again."""
    survival, creative = panel.add_server(past=5), panel.add_server("creative", past=5)
    panel.configure(survival)
    with running(panel, room=NO_ROOM) as daemon:
        assert daemon.wait_for("state_unusable")["consequence"] == "backups are made, none is deleted"
        daemon.wait_for("problem", code="journal", server="survival")
        daemon.wait_for("rotation_ended", server="survival")
        assert len(panel.done(Change.CREATED, survival)) == 1
        assert panel.done(Change.DELETED, survival) == []

        leave(daemon, ROOM)
        panel.configure(survival, creative)
        daemon.send(signal.SIGHUP)
        assert daemon.wait_for("rotation_ended", server="creative")["deleted"] == 3
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
    with SqliteJournal.open(panel.folder / "state") as journal:
        assert [row.server for row in journal.recent()] == ["creative"]


def test_commands_on_a_full_disk_say_so_and_are_no_bugs(panel: Panel) -> None:
    """`rotate` makes its backup and deletes none."""
    survival = panel.add_server(past=5)
    panel.configure(survival)
    assert command(panel, "rotate", "survival").returncode == 0
    deleted = panel.done(Change.DELETED, survival)
    rotated = command(panel, "rotate", "survival", room=NO_ROOM)
    assert len(panel.done(Change.CREATED, survival)) == 2
    assert panel.done(Change.DELETED, survival) == deleted
    assert rotated.returncode in (3, 4)
    assert "cannot be written" in rotated.stdout + rotated.stderr
    assert "Traceback" not in rotated.stderr


@pytest.mark.parametrize("ended", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_journalled_can_be_looked_at_on_a_full_disk_without_a_daemon(
    panel: Panel, ended: signal.Signals
) -> None:
    """Also where it was killed and left its newest rows in SQLite's log; nothing is lost, and only SQLite's index,
    which it had no room to fill, is there afterwards.
    """
    panel.configure(panel.add_server(past=5))
    with running(panel, counted=False) as daemon:
        daemon.wait_for("rotation_ended")
        daemon.send(ended)
        daemon.ended()
    state = panel.folder / "state"
    index = state / "history.sqlite3-shm"
    index.unlink(missing_ok=True)
    before = stored(state)
    for words in (("history",), ("status",)):
        looked = command(panel, *words, room=NO_ROOM)
        assert (looked.returncode, looked.stderr) == (0, "")
        assert " done " in looked.stdout
    assert index.read_bytes() == b""
    index.unlink()
    assert stored(state) == before
