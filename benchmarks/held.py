"""The daemon as `ptero-backupd run` starts it, with a probe beside it: how long the event loop is held, and how late
rotations begin. Run by `benchmarks.scheduler` and `benchmarks.cluster`; what it saw is printed as JSON at the end.

    python -m benchmarks.held CONFIG
"""

import asyncio
import json
import os
import selectors
import sys
import time
from array import array
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from unittest.mock import patch

from daemon.cli.context import read_config
from daemon.cli.settings import Settings
from daemon.clock import SystemClock
from daemon.log import configure
from daemon.rotation.order import Order
from daemon.service.life import Service
from daemon.service.systemd import Notifier
from daemon.status.tracker import StatusTracker

CLOCK = SystemClock()


class WatchedSelector(selectors.DefaultSelector):
    """Measures from each return to the next call: so long nobody else had a turn.

    `holds` are triples of seconds: when it began, how long by the clock, and how much of the processor this thread had.
    """

    def __init__(self) -> None:
        super().__init__()
        self._holds = array("d")  # a minute has many thousands, and the daemon's memory is looked at as well
        self._woke: tuple[float, float] | None = None

    @property
    def holds(self) -> list[tuple[float, float, float]]:
        """All of them."""
        return list(zip(*(self._holds[part::3] for part in range(3)), strict=True))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for what happens."""
        if self._woke is not None:
            (since, used), (now, uses) = self._woke, _clocks()
            self._holds.extend((since, now - since, uses - used))
        found = super().select(timeout)
        self._woke = _clocks()
        return found


def _clocks() -> tuple[float, float]:
    """The time that passes, and what this thread had of the processor."""
    return CLOCK.monotonic(), time.thread_time()


def listening(late: list[tuple[float, float]]) -> Callable[[StatusTracker, Order], Coroutine[Any, Any, None]]:
    """The watcher's own `began`, which notes when each start began that the scheduler called, and how late it was."""
    began = StatusTracker.began

    async def heard(tracker: StatusTracker, order: Order) -> None:
        if order.trigger == "schedule" and order.start_at is not None:
            late.append((CLOCK.monotonic(), (CLOCK.now() - order.start_at).total_seconds()))
        await began(tracker, order)

    return heard


def main() -> None:
    """Run until told to stop, and say what was seen."""
    selector, late = WatchedSelector(), list[tuple[float, float]]()
    configure("warning")
    settings = Settings(config=Path(sys.argv[1]))
    service = Service(lambda: read_config(settings), CLOCK, Notifier(os.environ, CLOCK))
    with (
        patch.object(StatusTracker, "began", listening(late)),
        asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner,
    ):
        runner.run(service.run())
    sys.stdout.write(json.dumps({"holds": selector.holds, "late": late}))


if __name__ == "__main__":
    main()
