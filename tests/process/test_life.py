"""The real process from its start to its end: signals, reload, what systemd is told, exit codes."""

import asyncio
import gc
import json
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.config.values import Config
from daemon.sandbox.faults import slow
from daemon.sandbox.orders import Call
from daemon.sandbox.records import Change
from daemon.sandbox.scenes import KEY
from daemon.service.life import Service
from daemon.service.systemd import Notifier
from tests.process.support import CLOCK, COMMAND, PATIENCE, Panel, command, running, wait_until


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
        assert daemon.ended() == 0
    assert [backup.name for backup in panel.backups(survival)][-1] == ended["created"]
    assert daemon.events("stopping", signal=number.name)
    assert daemon.wait_for("daemon_stopped")["left"] == []
    assert daemon.stdout == []


def test_in_a_container_the_log_is_on_stdout(panel: Panel) -> None:
    """JSON there, and nothing on stderr: the image's own command."""
    survival = panel.add_server()
    panel.configure(survival)
    words = [*COMMAND, "--config", str(panel.folder / "config.toml"), "run", "--log-to-stdout"]
    daemon = subprocess.Popen(  # noqa: S603 — our own command
        words, env=panel.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: bool(panel.done(Change.CREATED, survival)), "a backup is asked for")
        daemon.terminate()
    finally:
        out, err = daemon.communicate(timeout=PATIENCE)
    assert (daemon.returncode, err) == (0, "")
    assert "daemon_started" in [json.loads(line)["event"] for line in out.splitlines()]


def test_sigterm_leaves_a_pending_backup_and_the_next_start_waits_for_the_same_one(panel: Panel) -> None:
    """Waiting is left at once, since nothing is lost by it; no second backup is made."""
    survival = panel.add_server(seconds=3600)
    panel.configure(survival)
    with running(panel) as daemon:
        made = daemon.wait_for("backup_created")
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
        assert daemon.wait_for("daemon_stopped")["left"] == ["survival"]
    assert panel.done(Change.DELETED, survival) == []
    with running(panel) as daemon:
        assert daemon.wait_for("backup_adopted")["backup"] == made["backup"]
        panel.world.report(survival, survival.backups[made["uuid"]], success=True)
        assert daemon.wait_for("rotation_ended", result="done")["created"] == made["backup"]
    assert panel.done(Change.CREATED, survival) == [made["backup"]]


def test_sigterm_during_a_create_waits_for_its_answer(panel: Panel) -> None:
    """So that it is known and journalled; only then is the backup left to itself."""
    survival = panel.add_server(seconds=3600)
    panel.configure(survival)
    panel.world.faults.order(slow(1.5), on=Call.CREATE)
    with running(panel) as daemon:
        wait_until(lambda: bool(panel.done(Change.CREATED, survival)), "the panel is asked for a backup")
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
    assert daemon.events("backup_created")
    assert daemon.wait_for("daemon_stopped")["left"] == ["survival"]


def test_a_second_signal_leaves_at_once_what_the_first_one_waits_for(panel: Panel) -> None:
    """Whoever is impatient may be; the next start settles it."""
    survival = panel.add_server(seconds=3600)
    panel.configure(survival)
    panel.world.faults.order(slow(30), on=Call.CREATE)
    with running(panel) as daemon:
        wait_until(lambda: bool(panel.done(Change.CREATED, survival)), "the panel is asked for a backup")
        daemon.send(signal.SIGTERM)
        daemon.wait_for("stopping")
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
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
        assert daemon.ended() == 0
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
    assert panel.done(Change.DELETED, survival) == []


def test_systemd_is_told_of_the_whole_life(panel: Panel, tmp_path: Path) -> None:
    """Ready, reloading with the monotonic time, ready again, though the reload failed, and stopping."""
    panel.configure(panel.add_server(past=1))
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(PATIENCE)
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
            assert daemon.ended() == 0
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
    assert len(panel.done(Change.CREATED, survival)) == 1


def test_what_is_unwise_is_said_at_the_start_and_a_changed_state_folder_waits_for_a_restart(panel: Panel) -> None:
    """A key that others can read, and a folder that cannot be changed while rotations rely on it."""
    key = panel.folder / "key"
    key.write_text(KEY)
    key.chmod(0o644)
    file = panel.configure(panel.add_server(past=1))
    file.write_text(file.read_text().replace("[policies", f'api_key_file = "{key}"\n[policies'))
    with running(panel, PTERO_BACKUPD_PANELS__MAIN__API_KEY=None) as daemon:
        assert str(key) in daemon.wait_for("configuration_warning")["text"]
        file.write_text(file.read_text().replace("/state", "/elsewhere"))
        daemon.send(signal.SIGHUP)
        assert "restart" in daemon.wait_for("state_dir_changed")["consequence"]
        daemon.wait_for("reloaded")
    assert not (panel.folder / "elsewhere").exists()


def test_where_the_state_folder_cannot_be_used_backups_are_made_and_none_is_deleted(panel: Panel) -> None:
    """It is said at once and with each rotation."""
    survival = panel.add_server(past=5)
    panel.configure(survival)
    (panel.folder / "state").write_text("a file is in the way")
    with running(panel) as daemon:
        unusable = daemon.wait_for("state_unusable")
        assert unusable["consequence"] == "backups are made, none is deleted"
        assert "look at state_dir" in unusable["hint"]
        daemon.wait_for("problem", code="journal")
        daemon.wait_for("rotation_ended")
    assert len(panel.done(Change.CREATED, survival)) == 1
    assert panel.done(Change.DELETED, survival) == []


def test_systemd_is_told_now_and_then_how_things_stand(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, with the half minute between two lines cut short."""
    monkeypatch.setattr("daemon.service.life.STATUS_SECONDS", 0.05)
    config = load(panel.configure(panel.add_server(past=1)), panel.environment)
    told: list[str] = []

    class Manager(Notifier):
        def status(self, status: str) -> None:
            told.append(status)
            signal.raise_signal(signal.SIGTERM)

    asyncio.run(Service(lambda: config, CLOCK, Manager({}, CLOCK)).run())
    assert told[0].startswith(("under way: survival; next start ", "nothing under way; next start "))
    assert told[0].endswith("UTC (survival)")


def test_a_reload_is_read_while_all_else_goes_on(panel: Panel) -> None:
    """Thousands of servers take the better part of a second, in which other servers' starts fall due."""
    config = load(panel.configure(panel.add_server(past=1)), panel.environment)
    readers: list[threading.Thread] = []
    frozen: list[bool] = []
    before = gc.get_freeze_count()  # of the tests themselves

    def read() -> Config:
        readers.append(threading.current_thread())
        frozen.append(gc.get_freeze_count() > before)
        assert not gc.isenabled()
        return config

    class Manager(Notifier):
        def ready(self, status: str = "") -> None:
            signal.raise_signal(signal.SIGHUP if len(readers) == 1 else signal.SIGTERM)

    asyncio.run(Service(read, CLOCK, Manager({}, CLOCK)).run())
    assert [thread is threading.main_thread() for thread in readers] == [False, False]
    assert frozen == [False, True], "what the start made is settled"
