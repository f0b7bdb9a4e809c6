"""What systemd hears from the real process through a whole life, its watchdog included."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from daemon.config.load import load
from daemon.fleet.fleet import Fleet
from daemon.service.life import Service
from daemon.service.systemd import Notifier
from tests.process.support import CLOCK, PATIENCE, Daemon, Panel, running

WATCHDOG_SECONDS = 1.0

Message = dict[str, str]


class Manager:
    """systemd's end of the notify socket."""

    def __init__(self, receiving: socket.socket) -> None:
        self._receiving = receiving
        self.heard: list[Message] = []

    def next(self) -> Message:
        """The next message; it must come in time."""
        message = dict(line.split("=", 1) for line in self._receiving.recv(4096).decode().splitlines())
        self.heard.append(message)
        return message

    def wait_for(self, key: str) -> Message:
        """The next message that has this key; those before it are kept in `heard`."""
        while key not in (message := self.next()):
            pass
        return message

    def rest(self) -> list[Message]:
        """All that came since, without waiting."""
        self._receiving.setblocking(False)
        try:
            while True:
                self.next()
        except BlockingIOError:
            return self.heard
        finally:
            self._receiving.settimeout(PATIENCE)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    """A service manager that listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiving:
        receiving.settimeout(PATIENCE)
        receiving.bind(str(tmp_path / "notify"))
        yield Manager(receiving)


@contextmanager
def watched(panel: Panel) -> Iterator[Daemon]:
    """A daemon whose service manager watches it."""
    microseconds = str(round(WATCHDOG_SECONDS * 1e6))
    with running(panel, NOTIFY_SOCKET=str(panel.folder / "notify"), WATCHDOG_USEC=microseconds) as daemon:
        yield daemon


def test_systemd_hears_of_a_whole_life(panel: Panel, manager: Manager) -> None:
    """Start, what is under way, the watchdog, a reload, a failed reload, a stop that asks for time."""
    survival, creative = panel.add_server(seconds=3600), panel.add_server("creative", past=1)
    good = panel.configure(survival).read_text()
    with watched(panel) as daemon:
        assert manager.next()["READY"] == "1", "nothing is said before it is ready"
        daemon.wait_for("backup_created")
        manager.wait_for("WATCHDOG")
        assert manager.wait_for("STATUS")["STATUS"].startswith("under way: survival; next start ")

        file = panel.configure(survival, creative)
        daemon.send(signal.SIGHUP)
        began = manager.wait_for("RELOADING")
        assert set(began) == {"RELOADING", "MONOTONIC_USEC"}
        assert manager.wait_for("READY")["READY"] == "1"
        daemon.wait_for("reloaded", servers=2)

        file.write_text(good + "nonsense")
        daemon.send(signal.SIGHUP)
        manager.wait_for("RELOADING")
        assert manager.wait_for("READY")["READY"] == "1", "the old configuration is in force, so the service is ready"
        daemon.wait_for("reload_failed")
        manager.wait_for("WATCHDOG")

        daemon.send(signal.SIGTERM)
        stopping = manager.wait_for("STOPPING")
        assert "survival" in stopping["STATUS"]
        extended = manager.wait_for("EXTEND_TIMEOUT_USEC")
        assert int(extended["EXTEND_TIMEOUT_USEC"]) > 28e6, "more than the drain and the last alerts may take"
        assert daemon.ended() == 0
    assert not any("WATCHDOG" in message or "READY" in message for message in manager.rest()[-1:])


def test_a_daemon_that_stands_still_does_not_feed_the_watchdog(panel: Panel, manager: Manager) -> None:
    """It is the event loop itself that feeds it, no thread beside it: systemd may start the daemon anew."""
    panel.configure(panel.add_server(past=1))
    with watched(panel) as daemon:
        manager.wait_for("WATCHDOG")
        os.kill(daemon.process.pid, signal.SIGSTOP)
        manager.rest()
        manager._receiving.settimeout(1.5 * WATCHDOG_SECONDS)
        with pytest.raises(TimeoutError):
            manager.next()
        os.kill(daemon.process.pid, signal.SIGCONT)
        manager.wait_for("WATCHDOG")


def test_a_scheduler_that_lets_starts_pass_by_is_not_called_alive(panel: Panel, manager: Manager) -> None:
    """The event loop runs, and yet systemd must think that the daemon hangs: it makes no backups."""
    notifier = Notifier({"NOTIFY_SOCKET": str(panel.folder / "notify"), "WATCHDOG_USEC": "1000000"}, CLOCK)
    service = Service(lambda: load(None, {}), CLOCK, notifier)
    for keeps_time, heard in ((False, []), (True, [{"WATCHDOG": "1"}])):
        service._feed_watchdog(cast("Fleet", SimpleNamespace(keeps_time=lambda it=keeps_time: it)))
        assert manager.rest() == heard
