"""The real process from its start to its end: signals, reload, what systemd is told, exit codes."""

import signal
import socket
from pathlib import Path

import pytest

from daemon.sandbox.faults import slow
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Deed
from tests.process.support import CLOCK, Panel, command, running, wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_missed_start_is_caught_up_at_once_and_a_signal_ends_the_daemon_with_0(
    panel: Panel, number: signal.Signals
) -> None:
    """Nothing is on stdout, which is for data."""
    survival = panel.add_server(past=4)
    panel.configure(survival)
    with running(panel) as daemon:
        ended = daemon.wait_for("rotation_ended", result="done", deleted=2, kept=3)
        daemon.send(number)
        assert daemon.ended(5) == 0
    assert [backup.name for backup in panel.backups(survival)][-1] == ended["created"]
    assert daemon.events("stopping", signal=number.name)
    assert daemon.wait_for("daemon_stopped")["left"] == []
    assert daemon.stdout == []


def test_sigterm_leaves_a_pending_backup_and_the_next_start_waits_for_the_same_one(panel: Panel) -> None:
    """Waiting is left at once, since nothing is lost by it; no second backup is made."""
    survival = panel.add_server(seconds=3600)
    panel.configure(survival)
    with running(panel) as daemon:
        made = daemon.wait_for("backup_created")
        daemon.send(signal.SIGTERM)
        assert daemon.ended(5) == 0
        assert daemon.wait_for("daemon_stopped")["left"] == ["survival"]
    assert panel.done(Deed.DELETED, survival) == []
    with running(panel) as daemon:
        assert daemon.wait_for("backup_adopted")["backup"] == made["backup"]
        panel.world.report(survival, survival.backups[made["uuid"]], success=True)
        assert daemon.wait_for("rotation_ended", result="done")["created"] == made["backup"]
    assert panel.done(Deed.CREATED, survival) == [made["backup"]]


def test_sigterm_during_a_create_waits_for_its_answer(panel: Panel) -> None:
    """So that it is known and journalled; only then is the backup left to itself."""
    survival = panel.add_server(seconds=3600)
    panel.configure(survival)
    panel.world.faults.order(slow(1.5), on=Call.CREATE)
    with running(panel) as daemon:
        wait_until(lambda: bool(panel.done(Deed.CREATED, survival)), "the panel is asked for a backup")
        daemon.send(signal.SIGTERM)
        assert daemon.ended(6) == 0
    assert daemon.events("backup_created")
    assert daemon.wait_for("daemon_stopped")["left"] == ["survival"]


def test_a_second_signal_leaves_at_once_what_the_first_one_waits_for(panel: Panel) -> None:
    """Whoever is impatient may be; the next start settles it."""
    survival = panel.add_server(seconds=3600)
    panel.configure(survival)
    panel.world.faults.order(slow(30), on=Call.CREATE)
    with running(panel) as daemon:
        wait_until(lambda: bool(panel.done(Deed.CREATED, survival)), "the panel is asked for a backup")
        daemon.send(signal.SIGTERM)
        daemon.wait_for("stopping")
        daemon.send(signal.SIGTERM)
        assert daemon.ended(5) == 0
    assert not daemon.events("backup_created")


def test_a_bad_file_leaves_the_old_configuration_running_and_a_good_one_is_obeyed(panel: Panel) -> None:
    """The reload says what is wrong; the process stays the same."""
    survival, creative = panel.add_server(past=3), panel.add_server("creative", past=3)
    good = panel.configure(survival).read_text()
    with running(panel) as daemon:
        daemon.wait_for("rotation_ended", server="survival", result="done")
        file = panel.configure(survival, creative, keep="{ weekley = 3 }")
        daemon.send(signal.SIGHUP)
        failed = daemon.wait_for("reload_failed")
        assert "weekley" in failed["text"]
        assert failed["consequence"] == "the old configuration stays in force"
        file.write_text(good + f'[servers.creative]\nid = "{creative.identifier}"\n')
        daemon.send(signal.SIGHUP)
        daemon.wait_for("reloaded", servers=2)
        daemon.wait_for("rotation_ended", server="creative", result="done")
        daemon.send(signal.SIGTERM)
        assert daemon.ended(5) == 0
    assert len(daemon.events("rotation_ended", server="survival")) == 1, "the other server is not disturbed"


def test_a_server_that_a_reload_takes_away_loses_nothing(panel: Panel) -> None:
    """Its backup is being made; once it is good, nothing is deleted for it."""
    survival, creative = panel.add_server(seconds=3600), panel.add_server("creative", past=1)
    panel.configure(survival, creative)
    with running(panel) as daemon:
        made = daemon.wait_for("backup_created", server="survival")
        panel.configure(creative)
        daemon.send(signal.SIGHUP)
        daemon.wait_for("reloaded", servers=1)
        panel.world.report(survival, survival.backups[made["uuid"]], success=True)
        daemon.wait_for("rotation_ended", server="survival", result="refused")
    assert panel.done(Deed.DELETED, survival) == []


def test_systemd_is_told_of_the_whole_life(panel: Panel, tmp_path: Path) -> None:
    """Ready, reloading with the monotonic time, ready again, though the reload failed, and stopping."""
    panel.configure(panel.add_server(past=1))
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind(str(address))

        def told() -> dict[str, str]:
            return dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())

        with running(panel, NOTIFY_SOCKET=str(address)) as daemon:
            ready = told()
            daemon.wait_for("rotation_ended")
            panel.configure(more="nonsense")
            before = CLOCK.monotonic()
            daemon.send(signal.SIGHUP)
            reloading, again = told(), told()
            daemon.send(signal.SIGTERM)
            stopping = told()
            assert daemon.ended(5) == 0
    assert ready["READY"] == "1"
    assert "next start" in ready["STATUS"]
    assert reloading["RELOADING"] == "1"
    assert before <= int(reloading["MONOTONIC_USEC"]) / 1e6 <= CLOCK.monotonic()
    assert again["READY"] == "1"
    assert stopping["STOPPING"] == "1"


def test_a_bad_first_configuration_ends_it_with_2_and_every_mistake_is_named(panel: Panel) -> None:
    """Nothing is asked of any panel."""
    panel.configure(panel.add_server(), keep="{ weekley = 3 }", scope='"mine"')
    done = command(panel, "run")
    assert (done.returncode, done.stdout) == (2, "")
    assert "weekley" in done.stderr
    assert "mine" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_rotation_by_hand_finds_the_daemon_at_it_and_is_skipped(panel: Panel) -> None:
    """One rotation at a time for a server, whoever asks: exit code 3, and it says why."""
    survival = panel.add_server(seconds=3600)
    panel.configure(survival)
    with running(panel) as daemon:
        daemon.wait_for("backup_created")
        done = command(panel, "rotate", "survival", "--json")
    assert done.returncode == 3
    assert '"result": "skipped"' in done.stdout
    assert '"code": "busy"' in done.stdout
    assert len(panel.done(Deed.CREATED, survival)) == 1
