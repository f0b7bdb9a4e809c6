"""The demo: the real daemon against a panel in memory, for half a minute, with nothing to configure.

Only the panel is simulated: the service, its schedule, its journal and its HTTP are those of `run`, and the demo
controls it by signals, as systemd does. It prints what the service logs, in plain words. What it promises at the end is
checked against the panel's own ledger, not against what the service says of itself.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from daemon.clock import SystemClock
from daemon.demo.play import play
from daemon.demo.screen import Screen
from daemon.demo.setup import build_world

__all__ = ["run"]


def run(keep_running: bool) -> int:
    """Play the demo on stdout and return its exit code: 0, 1 where a promise was broken, 130 where interrupted.

    With `keep_running` it stays until Ctrl-C, which is then its proper end.
    """
    clock = SystemClock()
    with tempfile.TemporaryDirectory(prefix="ptero-backupd-demo-") as folder:
        screen = Screen(sys.stdout)
        return int(asyncio.run(play(build_world(clock), Path(folder), screen, clock, keep_running=keep_running)))
