"""What systemd is told, read from a real socket; and the unit, judged by systemd's own tools."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.service import life as service
from daemon.service.systemd import Notifier
from tests.fakes import FakeClock

UNITS = Path(__file__).parents[2] / "systemd"
SERVICE = UNITS / "ptero-backupd.service"
TEMPLATE = UNITS / "ptero-backupd@.service"
PROGRAM = "/opt/ptero-backupd/bin/ptero-backupd"
both = pytest.mark.parametrize("unit", [SERVICE, TEMPLATE], ids=lambda path: path.name, indirect=True)
needs_systemd_analyze = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is missing (Debian package: systemd)"
)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


def notifier_to(receiver: socket.socket, clock: FakeClock, **environ: str) -> Notifier:
    """A notifier started by that service manager."""
    return Notifier({"NOTIFY_SOCKET": receiver.getsockname(), **environ}, clock)


def told(receiver: socket.socket) -> list[str]:
    """The lines of the next message."""
    return receiver.recv(4096).decode().split("\n")


@pytest.mark.parametrize(
    ("tell", "lines"),
    [
        (lambda notifier: notifier.ready(), ["READY=1"]),
        (lambda notifier: notifier.ready("next: survival 04:00"), ["READY=1", "STATUS=next: survival 04:00"]),
        (lambda notifier: notifier.status("two\n  lines"), ["STATUS=two lines"]),
        (lambda notifier: notifier.stopping("draining"), ["STOPPING=1", "STATUS=draining"]),
        (lambda notifier: notifier.watchdog(), ["WATCHDOG=1"]),
        (lambda notifier: notifier.extend_timeout(90.5), ["EXTEND_TIMEOUT_USEC=90500000"]),
        (lambda notifier: notifier.status("\ud800"), ["STATUS=?"]),
    ],
)
def test_each_message_has_its_lines(
    receiver: socket.socket, clock: FakeClock, tell: Callable[[Notifier], None], lines: list[str]
) -> None:
    """As sd_notify(3) has them, in one datagram."""
    notifier = notifier_to(receiver, clock)
    assert notifier.active
    tell(notifier)
    assert told(receiver) == lines


def test_a_reload_says_when_it_began(receiver: socket.socket, clock: FakeClock) -> None:
    """By the monotonic clock, in microseconds, as the reload protocol demands."""
    clock.elapsed = 12.345678
    notifier_to(receiver, clock).reloading("reading the configuration")
    assert told(receiver) == ["RELOADING=1", "MONOTONIC_USEC=12345678", "STATUS=reading the configuration"]


def test_an_empty_status_says_nothing(receiver: socket.socket, clock: FakeClock) -> None:
    """No empty datagram, and the status before stays."""
    notifier = notifier_to(receiver, clock)
    notifier.status(" \n")
    notifier.watchdog()
    assert told(receiver) == ["WATCHDOG=1"]


def test_an_abstract_socket_is_reached(clock: FakeClock) -> None:
    """'@' stands for the null byte of Linux' abstract namespace."""
    name = f"ptero-backupd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        listening.settimeout(5)
        Notifier({"NOTIFY_SOCKET": "@" + name}, clock).ready()
        assert told(listening) == ["READY=1"]


@pytest.mark.parametrize("address", ["", "relative/path", "vsock:2:1234"])
def test_without_a_socket_nothing_happens(clock: FakeClock, address: str) -> None:
    """Started by hand, or in a container, there is nobody to tell."""
    notifier = Notifier({"NOTIFY_SOCKET": address}, clock)
    assert not notifier.active
    notifier.ready()


@pytest.mark.parametrize("address", ["/nowhere/notify", "@nobody-listens", "/" + "long" * 100, "/nul\0inside"])
def test_a_manager_that_does_not_listen_is_no_error(clock: FakeClock, address: str) -> None:
    """Nothing that systemd does costs a backup."""
    Notifier({"NOTIFY_SOCKET": address}, clock).ready()


def test_a_manager_that_is_stuck_does_not_hold_us(
    receiver: socket.socket, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue is given up after a moment."""
    monkeypatch.setattr("daemon.service.systemd.SEND_SECONDS", 0.001)
    notifier = notifier_to(receiver, clock)
    for _ in range(1000):
        notifier.watchdog()


@pytest.mark.parametrize(("text", "seconds"), [("30000000", 30.0), ("", None), ("soon", None), ("²", None)])
def test_the_watchdogs_interval_is_read(clock: FakeClock, text: str, seconds: float | None) -> None:
    """In seconds; None where nobody watches."""
    assert Notifier({"WATCHDOG_USEC": text}, clock).watchdog_seconds == seconds


@pytest.fixture
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One of the units with a program that exists here; the template as an instance of it."""
    program = tmp_path / "ptero-backupd"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / str(request.param.name).replace("@.", "@north.")
    copy.write_text(request.param.read_text().replace(PROGRAM, str(program)))
    return copy


@needs_systemd_analyze
@both
def test_systemd_accepts_the_unit(unit: Path) -> None:
    """Not even a warning about it: no unknown key, no misplaced section."""
    verified = run("systemd-analyze", "verify", "--man=no", str(unit))
    ours = [line for line in (verified.stdout + verified.stderr).splitlines() if "ptero-backupd" in line]
    assert ours == []
    assert verified.returncode == 0


@needs_systemd_analyze
@both
def test_the_unit_is_hardened(unit: Path) -> None:
    """systemd's own judgement of how much the service could do: 10 is everything, 0 nothing."""
    judged = run("systemd-analyze", "security", "--offline=true", "--threshold=15", "--no-pager", str(unit))
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)
    assert level is not None, judged.stdout + judged.stderr
    assert float(level[1]) <= 1.5
    assert judged.returncode == 0


@both
def test_the_unit_leaves_no_core(unit: Path) -> None:
    """It would hold the keys; the daemon itself forbids it as well, but only once it runs."""
    assert ("LimitCORE", "0") in directives(unit)


def directives(unit: Path) -> list[tuple[str, str]]:
    """The directives of a unit, in order."""
    pairs = (line.partition("=") for line in unit.read_text().splitlines() if re.match(r"[A-Z]\w*=", line))
    return [(name, value) for name, _, value in pairs]


def test_the_template_is_the_same_unit_for_each_of_several_configurations() -> None:
    """It differs in where configuration and state are, and in nothing else."""
    single, several = directives(SERVICE), directives(TEMPLATE)
    assert [name for name, _ in single] == [name for name, _ in several]
    changed = {name: value for (name, value), other in zip(several, single, strict=True) if other != (name, value)}
    command = f"{PROGRAM} --config /etc/ptero-backupd/%i/config.toml"
    assert changed.pop("Description").endswith("(%i)")
    assert changed == {
        "ExecStart": f"{command} run",
        "ConfigurationDirectory": "ptero-backupd/%i",
        "StateDirectory": "ptero-backupd-%i",
    }


def test_nothing_but_the_daemon_decides_whether_it_starts() -> None:
    """It makes backups where `check` finds fault, as on a full disk; a bad configuration it refuses itself."""
    assert [name for name, _ in directives(SERVICE) if name.startswith(("Exec", "Condition", "Assert"))] == [
        "ExecStart",
        "ExecReload",
    ]


def test_the_commands_of_the_unit_are_commands() -> None:
    """What the unit runs parses; the daemon itself is only asked for its help."""
    for name, value in directives(TEMPLATE):
        if name.startswith("ExecStart"):
            words = value.removeprefix(PROGRAM).split()
            done = run(sys.executable, "-m", "daemon", *words, "--help")
            assert done.returncode == 0, done.stderr


def test_the_unit_gives_the_daemon_the_time_that_it_takes() -> None:
    """To stop, what it asks for; between two signs of life, several times what it needs at most."""
    seconds = {name: value for name, value in directives(SERVICE) if name in {"TimeoutStopSec", "WatchdogSec"}}
    assert seconds == {"TimeoutStopSec": "90s", "WatchdogSec": "3min"}
    assert service.DRAIN_SECONDS + service.FLUSH_SECONDS < service.STOP_SECONDS < 90
    assert 4 * service.STATUS_SECONDS < 180


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of systemd's and keep what it says."""
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 — our own words


@pytest.mark.parametrize("file", [SERVICE, TEMPLATE], ids=lambda path: path.name)
def test_each_directive_of_the_unit_says_why(file: Path) -> None:
    """A comment stands above every directive, or above the group that it belongs to."""
    explained = False
    for line in file.read_text().splitlines():
        if line.startswith("#"):
            explained = True
        elif not line or line.startswith("["):
            explained = False
        else:
            assert explained, f"no comment explains: {line}"


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd-sysusers is missing (Debian: systemd)")
def test_the_user_of_the_unit_is_made(tmp_path: Path) -> None:
    """systemd-sysusers makes, in a root of its own, the user that the unit runs as."""
    folder = tmp_path / "usr" / "lib" / "sysusers.d"
    folder.mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    shutil.copy(UNITS / "ptero-backupd.sysusers.conf", folder / "ptero-backupd.conf")
    made = run("systemd-sysusers", f"--root={tmp_path}")
    assert made.returncode == 0, made.stderr
    user = re.search(r"^User=(\S+)$", SERVICE.read_text(), re.MULTILINE)
    assert user is not None
    assert re.search(rf"^{user[1]}:", (tmp_path / "etc" / "passwd").read_text(), re.MULTILINE)


@pytest.mark.skipif(not shutil.which("systemd-creds"), reason="systemd-creds is missing (Debian: systemd)")
def test_the_guides_command_encrypts_a_key_that_systemd_can_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a secret of this test's own in place of the machine's."""
    monkeypatch.setenv("SYSTEMD_CREDENTIAL_SECRET", str(tmp_path / "secret"))
    key, encrypted = tmp_path / "main.key", tmp_path / "main.key.cred"
    key.write_text("ptlc_EXAMPLE")
    guide = (UNITS.parent / "docs" / "systemd.md").read_text()
    command = next(line for line in guide.splitlines() if line.startswith("systemd-creds encrypt"))
    words = command.replace("/etc/ptero-backupd", str(tmp_path)).split()
    made = run(*words[:2], "--with-key=host", *words[2:])
    assert made.returncode == 0, made.stderr
    assert "ptlc_EXAMPLE" not in encrypted.read_text()
    assert run("systemd-creds", "decrypt", words[2], str(encrypted), "-").stdout == "ptlc_EXAMPLE"
