"""The standard streams closed, as `>&- 2>&-` in crontabs and some supervisors do it, or full: over real processes."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.sandbox.records import Change
from tests.process.support import Panel, wait_until

UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
FULL = "the output cannot be written: No space left on device"


def shell(words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """What comes of `ptero-backupd WORDS`, redirections included."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = f"exec {shlex.quote(sys.executable)} -m daemon {words}"
    return subprocess.run(  # noqa: S603 — our own command
        ["/bin/bash", "-c", command], capture_output=True, text=True, timeout=50, env=clean | environ, check=False
    )


@pytest.fixture
def empty_list(tmp_path: Path) -> Path:
    """A saved list without a backup."""
    file = tmp_path / "list.json"
    file.write_text('{"object":"list","data":[],"meta":{"pagination":{"total":0}}}')
    return file


@pytest.mark.parametrize("buffered", [{}, UNBUFFERED])
@pytest.mark.parametrize("command", ["--version", "--help", "config schema", "plan --listing {} --keep last=3"])
def test_a_full_disk_behind_stdout_is_said(command: str, buffered: dict[str, str], empty_list: Path) -> None:
    """Once, with the exit code of a failure, and is no bug; also where libraries print by themselves."""
    ran = shell(f"{command.format(empty_list)} >/dev/full", **buffered)
    assert (ran.returncode, ran.stderr) == (4, f"error: {FULL}\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", ["--version", "plan --listing {} --keep last=3"])
def test_a_stream_that_is_closed_is_dev_null(command: str, closed: str, empty_list: Path) -> None:
    """The command does its work, and what it opens is never taken for the stream."""
    ran = shell(f"{command.format(empty_list)} {closed}")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert bool(ran.stdout) is (">&-" not in closed.replace("2>&-", ""))


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_a_rotation_with_closed_streams_makes_its_backup(panel: Panel, closed: str) -> None:
    """As a crontab has it."""
    survival = panel.add_server(past=1)
    file = panel.configure(survival)
    ran = shell(f"--config {shlex.quote(str(file))} rotate survival {closed}", **panel.environment)
    assert ran.returncode == 0
    assert len(panel.done(Change.CREATED, survival)) == 1


def test_a_rotation_whose_report_cannot_be_written_is_done_whole_first(panel: Panel) -> None:
    """Then it says so, since nobody has read what was done."""
    survival = panel.add_server(past=4)
    file = panel.configure(survival)
    ran = shell(f"--config {shlex.quote(str(file))} --quiet rotate survival >/dev/full", **panel.environment)
    assert (ran.returncode, ran.stderr) == (4, f"error: {FULL}\n")
    assert len(panel.done(Change.CREATED, survival)) == 1
    assert len(panel.done(Change.DELETED, survival)) == 2


def test_the_daemon_runs_with_closed_streams(panel: Panel) -> None:
    """As a supervisor starts it that keeps no log."""
    survival = panel.add_server(past=1)
    file = panel.configure(survival)
    with subprocess.Popen(  # noqa: S603 — our own command
        ["/bin/bash", "-c", f"exec {shlex.quote(sys.executable)} -m daemon --config {shlex.quote(str(file))} run 2>&-"],
        env=panel.environment,
    ) as daemon:
        try:
            wait_until(lambda: bool(panel.done(Change.CREATED, survival)), "the backup of a missed start")
        finally:
            daemon.terminate()
        assert daemon.wait(20) == 0
