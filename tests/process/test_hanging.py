"""Waits that may never end: a mount that hangs, a journal that another process holds. Signals are obeyed meanwhile."""

import asyncio
import fcntl
import shutil
import signal
import socket
import sqlite3
import threading
import urllib.request
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from structlog.testing import capture_logs

from daemon.config.load import load
from daemon.config.values import Config
from daemon.service.life import Service
from daemon.service.systemd import Notifier
from tests.process.support import CLOCK, PATIENCE, Panel, command, running, wait_until

HANGS = """\
import os, pathlib, threading
opened, hangs = os.open, pathlib.Path({hangs!r})
def open(path, *given, **named):
    while str(path).endswith("config.toml") and hangs.exists():
        threading.Event().wait(0.05)
    return opened(path, *given, **named)
os.open = open
"""


class Manager:
    """A service manager in a thread: every line that it was told."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", self.path)
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while message := self._socket.recv(4096):
            self.lines += message.decode().splitlines()

    def count(self, line: str) -> int:
        """How often it was told that."""
        return self.lines.count(line)


def _listens_for_signals(process: int) -> bool:
    """Whether the process catches SIGTERM and SIGHUP by now."""
    status = Path(f"/proc/{process}/status").read_text()
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return all(caught >> (number - 1) & 1 for number in (signal.SIGTERM, signal.SIGHUP))


@pytest.fixture
def mount(panel: Panel) -> Path:
    """A file that makes reading the configuration hang while it is there, as a mount does whose server is away."""
    (panel.folder / "site").mkdir()
    file = panel.folder / "hangs"
    (panel.folder / "site" / "sitecustomize.py").write_text(HANGS.format(hangs=str(file)))
    return file


def test_a_reload_that_hangs_holds_up_nothing(panel: Panel, mount: Path, tmp_path: Path) -> None:
    """systemd's watchdog is fed, SIGTERM is obeyed at once, and a configuration that can be read again is."""
    panel.configure(panel.add_server(past=1))
    with Manager(tmp_path) as manager:
        environ: dict[str, Any] = {
            "NOTIFY_SOCKET": manager.path,
            "WATCHDOG_USEC": "400000",
            "PYTHONPATH": str(mount.parent / "site"),
        }
        with running(panel, **environ) as daemon:
            daemon.wait_for("rotation_ended")
            mount.touch()
            daemon.send(signal.SIGHUP)
            wait_until(lambda: manager.count("RELOADING=1") == 1, "it reads")
            daemon.send(signal.SIGHUP)
            fed = manager.count("WATCHDOG=1")
            wait_until(lambda: manager.count("WATCHDOG=1") > fed + 2, "the watchdog is fed")
            assert daemon.events("reloaded") == []
            mount.unlink()
            daemon.wait_for("reloaded", times=2)
            mount.touch()
            daemon.send(signal.SIGHUP)
            wait_until(lambda: manager.count("RELOADING=1") == 3, "it reads again")
            daemon.send(signal.SIGTERM)
            assert daemon.ended() == 0
            assert daemon.events("daemon_stopped")


def test_a_start_that_hangs_ends_by_a_signal(panel: Panel, mount: Path) -> None:
    """Whether the configuration cannot be read, or another process holds the journal; and it is said."""
    panel.configure(panel.add_server(past=1))
    mount.touch()
    with running(panel, PYTHONPATH=str(mount.parent / "site")) as daemon:
        wait_until(lambda: _listens_for_signals(daemon.process.pid), "it listens for signals")
        daemon.send(signal.SIGHUP)
        daemon.send(signal.SIGTERM)
        assert daemon.ended() == 0
        assert daemon.events("daemon_started") == []
    mount.unlink()
    state = panel.folder / "state"
    state.mkdir()
    with (state / "history.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running(panel) as daemon:
            daemon.wait_for("journal_waited_for")
            daemon.send(signal.SIGTERM)
            assert daemon.ended() == 0
        with running(panel) as daemon:
            daemon.wait_for("journal_waited_for")
            fcntl.flock(lock, fcntl.LOCK_UN)
            daemon.wait_for("rotation_ended", result="done")


def test_a_reload_that_takes_too_long_is_told(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that failed; and what is read in the end is obeyed."""
    monkeypatch.setattr("daemon.service.reading.READ_SECONDS", 0.05)
    config = load(panel.configure(panel.add_server(past=1)), panel.environment)
    readable = threading.Event()
    ready: list[str] = []

    def read() -> Config:
        assert not ready or readable.wait(PATIENCE)
        return config

    class Counting(Notifier):
        def ready(self, status: str = "") -> None:
            ready.append(status)
            if len(ready) == 2:
                readable.set()
            else:
                signal.raise_signal(signal.SIGHUP if len(ready) == 1 else signal.SIGTERM)

    with capture_logs() as lines:
        asyncio.run(Service(read, CLOCK, Counting({}, CLOCK)).run())
    told = [line["text"] for line in lines if line["event"] == "reload_failed"]
    assert told == ["the configuration is still being read: its file system does not answer"]
    assert len(ready) == 3


def test_a_journal_that_is_locked_amid_a_rotation_holds_up_nobody_and_costs_no_deletion(panel: Panel) -> None:
    """A backup tool has it for some seconds: it is told once, probes are answered, and what is due is deleted."""
    server = panel.add_server(past=5, seconds=0.5)
    panel.configure(server, more='[http]\nlisten = "127.0.0.1:0"\n')
    with running(panel) as daemon:
        address = daemon.wait_for("http_listening")["address"]
        daemon.wait_for("backup_created")
        with closing(sqlite3.connect(panel.folder / "state" / "history.sqlite3", isolation_level=None)) as tool:
            tool.execute("PRAGMA busy_timeout = 5000")
            tool.execute("BEGIN EXCLUSIVE")
            daemon.wait_for("state_waited_for")
            for path, answer in (("healthz", "alive\n"), ("readyz", "ready\n")):
                with urllib.request.urlopen(f"http://{address}/{path}", timeout=2) as answered:
                    assert answered.read().decode() == answer
            assert daemon.events("rotation_ended") == []
            tool.execute("ROLLBACK")
        assert daemon.wait_for("rotation_ended")["deleted"] == 3
        assert len(daemon.events("state_waited_for")) == 1
    assert len(panel.backups(server)) == 3


def test_a_state_folder_that_is_taken_away_is_made_anew(panel: Panel) -> None:
    """Within a rotation: it is journalled, and the daemon is known to run there."""
    survival = panel.add_server(past=1)
    panel.configure(survival)
    with running(panel) as daemon:
        daemon.wait_for("rotation_ended")
        shutil.rmtree(panel.folder / "state")
        panel.configure(survival, panel.add_server("creative", past=1), panel.add_server("mining", past=1))
        daemon.send(signal.SIGHUP)
        daemon.wait_for("state_used_again")
        daemon.wait_for("rotation_ended", times=3)
        status = command(panel, "status")
    assert f"daemon: running, process {daemon.process.pid}" in " ".join(status.stdout.split())
