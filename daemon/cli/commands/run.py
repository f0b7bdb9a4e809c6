"""`run`: the daemon."""

import asyncio
import os
import sys

from daemon.cli.context import read_config
from daemon.cli.settings import Settings
from daemon.clock import SystemClock
from daemon.errors import Exit
from daemon.log import configure
from daemon.service.aside import let_end
from daemon.service.life import Service
from daemon.service.process import hide_memory, share_one_heap
from daemon.service.systemd import Notifier

LAST_SECONDS = 2.0
"""How long the end waits for a configuration that is being read."""


def run_daemon(settings: Settings, *, log_to_stdout: bool = False) -> int:
    """Run until told to stop; raises BackupdError if the first configuration is wrong."""
    hide_memory()
    share_one_heap()
    configure(settings.level or "info", sys.stdout if log_to_stdout else None)
    clock = SystemClock()
    service = Service(lambda: read_config(settings), clock, Notifier(os.environ, clock))
    asyncio.run(service.run())
    let_end(LAST_SECONDS)
    return Exit.DONE
