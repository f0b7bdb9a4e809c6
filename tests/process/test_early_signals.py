"""Signals while the process starts, and what a crash would leave of it: over real processes.

The signal is sent from within, when the command line begins to be loaded: that takes half a second, and luck is not
needed to hit it.
"""

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import pytest

from daemon.sandbox.records import Change
from tests.process.support import Panel, wait_until

EARLY = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored

class Early:
    def find_spec(self, name, path=None, target=None):
        if name == "daemon.cli.main":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})

sys.argv = ["ptero-backupd", *{words}]
sys.meta_path.insert(0, Early())
from daemon.__main__ import main
code = main()
{after}
sys.exit(code)
"""
LEFT = """
import ctypes, resource  # 3 is PR_GET_DUMPABLE
print(f"core {resource.getrlimit(resource.RLIMIT_CORE)}, dumpable {ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)}")
"""


def begun(
    words: Sequence[str], number: signal.Signals, environ: Mapping[str, str], after: str = ""
) -> subprocess.Popen[str]:
    """The command, to which that signal is sent as soon as it begins to load; `after` runs when it has ended."""
    code = EARLY.format(number=int(number), words=list(words), after=after)
    return subprocess.Popen(  # noqa: S603 — our own command
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_that_is_told_to_stop_while_it_starts_stops_properly(panel: Panel, number: signal.Signals) -> None:
    """As the first process of a container it would never have heard of it."""
    file = panel.configure(panel.add_server(past=1))
    daemon = begun(["--config", str(file), "run"], number, panel.environment)
    _, err = daemon.communicate(timeout=30)
    assert daemon.returncode == 0, err
    assert f'"signal": "{number.name}"' in err


def test_a_reload_while_it_starts_is_obeyed_and_kills_nothing(panel: Panel) -> None:
    """It reads the configuration anew, which costs nothing."""
    survival = panel.add_server(past=1)
    file = panel.configure(survival)
    daemon = begun(["--config", str(file), "run"], signal.SIGHUP, panel.environment)
    assert daemon.stderr
    assert any('"event": "reloaded"' in line for line in iter(daemon.stderr.readline, ""))
    wait_until(lambda: bool(panel.done(Change.CREATED, survival)), "the backup of a missed start")
    daemon.terminate()
    daemon.communicate(timeout=30)
    assert daemon.returncode == 0


def test_a_command_by_hand_is_interrupted_as_soon_as_it_can_say_so(panel: Panel) -> None:
    """In one line."""
    file = panel.configure(panel.add_server(past=1))
    command = begun(["--config", str(file), "rotate"], signal.SIGINT, panel.environment)
    assert command.communicate(timeout=30) == ("", "interrupted\n")
    assert command.returncode == 130


def test_a_command_by_hand_is_ended_by_the_others(panel: Panel) -> None:
    """Once it is loaded, and before it does anything."""
    survival = panel.add_server(past=1)
    file = panel.configure(survival)
    command = begun(["--config", str(file), "rotate"], signal.SIGTERM, panel.environment)
    command.communicate(timeout=30)
    assert command.returncode == -signal.SIGTERM
    assert panel.done(Change.CREATED, survival) == []


def test_a_crash_leaves_no_core_and_nobody_else_reads_the_memory(panel: Panel) -> None:
    """Both would hold the key."""
    file = panel.configure(panel.add_server(past=1))
    daemon = begun(["--config", str(file), "run"], signal.SIGTERM, panel.environment, after=LEFT)
    out, err = daemon.communicate(timeout=30)
    assert out == "core (0, 0), dumpable 0\n", err
    assert daemon.returncode == 0


def test_a_command_by_hand_leaves_no_core_either(panel: Panel) -> None:
    """It knows the key as well."""
    file = panel.configure(panel.add_server(past=1))
    command = begun(["--config", str(file), "check", "--offline"], signal.SIGCONT, panel.environment, after=LEFT)
    assert "core (0, 0)" in command.communicate(timeout=30)[0]
