"""What the daemon has to obey, in the order in which it came: signals, configurations that were read, a lost lease."""

import asyncio
import signal
from typing import Any

from daemon.config.values import Config
from daemon.log import get_logger
from daemon.service.process import SIGNALS, take_signals
from daemon.service.standby import Lost

log = get_logger()

STOPS = (signal.SIGTERM, signal.SIGINT)

Event = signal.Signals | Config | Exception | Lost | None
"""A reading puts its outcome here: a configuration, or why there is none; before it None, if it takes too long."""


class Events:
    """What came and has not been obeyed yet."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[Event] = asyncio.Queue()
        self.put = self._waiting.put_nowait

    def listen(self) -> None:
        """Take in signals from here on, and those that were held since the process began."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self.put, number)
        take_signals()

    async def next(self, seconds: float) -> Event:
        """Return the next one; raises TimeoutError if none comes within these seconds."""
        return await asyncio.wait_for(self._waiting.get(), seconds)

    def keep_signals(self) -> None:
        """Forget everything but the signals."""
        events = [self._waiting.get_nowait() for _ in range(self._waiting.qsize())]
        for event in events:
            if isinstance(event, signal.Signals):
                self.put(event)

    async def stopped_before(self, what: asyncio.Future[Any], seconds: float | None) -> bool:
        """Wait for something, at most so long; return whether we were told to stop before that."""
        stop = asyncio.create_task(self._told_to_stop())
        await asyncio.wait({what, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if stop.done():
            log.info("stopping", signal=stop.result().name)
        stop.cancel()
        await asyncio.wait({stop})
        return not stop.cancelled()

    async def _told_to_stop(self) -> signal.Signals:
        """Wait for a signal to stop; keep a request to reload for later."""
        again = False
        try:
            while True:
                event = await self._waiting.get()
                if event in STOPS:
                    return event
                again = True
        finally:
            if again:
                self.put(signal.SIGHUP)

    async def second_stop(self) -> None:
        """Wait for another signal to stop; ignore requests to reload, which come too late."""
        while await self._waiting.get() not in STOPS:
            log.info("reload_ignored", reason="the daemon is stopping")
