"""The console of a server that was started, read beside what else is done with the server.

What must hold: nothing is started before the console is open; a connection that is lost is opened again, a few times,
and asks for what was missed; how much is read, and for how long, is bounded.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

from daemon.core.backoff import Backoff
from daemon.core.console import ConsoleSeen
from daemon.errors import BackupdError
from daemon.log import redact
from daemon.operations.operation import Operation
from daemon.operations.restore_errors import NotStartedError
from daemon.panel.console import open_console
from daemon.panel.download import HostError
from daemon.panel.errors import PanelError
from daemon.panel.server_files import ConsoleAccess

PAUSES = Backoff(2.0, 30.0)
"""Seconds before a lost connection is opened again; a Pelican gives five tokens a minute."""

MOST_LOSSES = 10

QUIET_SECONDS = 1.0
"""Once nothing has come for so long, everything has that was on its way."""

LATE_SECONDS = 5.0
"""The longest wait for that: some consoles are never quiet."""


class Unwatched:
    """A console that nobody waits for."""

    @property
    def shown_at(self) -> float | None:
        """When the text was shown that was waited for (monotonic seconds); None: not yet."""
        return None

    async def must_have_shown(self) -> None:
        """Raise NotStartedError if the text that was waited for has not come."""

    async def last_lines(self) -> str:
        """Return the last lines, in words; "" where there are none."""
        return ""


class WatchedConsole(Unwatched):
    """A console in which `text` is waited for."""

    def __init__(self, operation: Operation, text: str) -> None:
        self._operation = operation
        self._seen = ConsoleSeen(text)
        self._opened = asyncio.Event()
        self._came = asyncio.Event()
        self._ended = False
        """Whether nothing more is waited for."""

        self.failure: BackupdError | None = None
        """Why it is not read any more, or was not for a while."""

    @property
    def shown_at(self) -> float | None:
        """When the text was shown (monotonic seconds); None: not yet."""
        return self._seen.shown_at

    async def opened(self) -> None:
        """Wait until it is open; raises ConsoleError, PanelError."""
        await self._opened.wait()
        if self.failure is not None:
            raise self.failure

    async def read(self) -> None:
        """Read it, until that is cancelled, all bounds are reached, or it cannot be had any more."""
        losses = 0
        try:
            while not self._seen.full:
                try:
                    await self._read_on()
                except (HostError, PanelError) as error:
                    self.failure = error
                    losses += 1
                    if losses > MOST_LOSSES or not self._opened.is_set():
                        return
                    await self._operation.clock.sleep(PAUSES.pause(losses))
        finally:
            self._ended = True
            self._opened.set()
            self._came.set()

    async def _read_on(self) -> None:
        operation = self._operation
        panel, clock = operation.config.panel, operation.clock
        async with (
            open_console(self._access, panel=panel.url, clear=panel.clear_links) as console,
            aclosing(console.lines()) as lines,
        ):
            self.failure = None
            self._opened.set()
            async for line in lines:
                self._seen.take(line, clock.monotonic())
                self._came.set()
                if self._seen.full:
                    return

    async def _access(self) -> ConsoleAccess:
        return await self._operation.client.files.console(self._operation.config.id)

    async def _quiet(self) -> None:
        """Wait a moment, once, for what is on its way, unless the text is there already."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LATE_SECONDS):
                while self.shown_at is None and not self._ended:
                    self._came.clear()
                    async with asyncio.timeout(QUIET_SECONDS):
                        await self._came.wait()
        self._ended = True

    async def must_have_shown(self) -> None:
        """Raise NotStartedError if the text that was waited for has not come."""
        await self._quiet()
        if self.shown_at is not None:
            return
        name, text = self._operation.config.name, f"“{self._seen.text}”"
        if self._seen.full:
            raise NotStartedError(f"{name} has not shown {text} in the first {self._seen.lines} lines of its console")
        if self.failure is not None:
            raise NotStartedError(f"the console of {name} could not be read to the end: {self.failure.text}")
        raise NotStartedError(f"{name} has not shown {text} in its console")

    async def last_lines(self) -> str:
        """Return the last lines, in words; "" where there are none."""
        await self._quiet()
        return redact(self._seen.told())


@asynccontextmanager
async def watched_console(operation: Operation, text: str | None) -> AsyncIterator[Unwatched]:
    """Read the console of the operation's server during a block, once it is open; without `text` it is not looked at.

    Raises ConsoleError, PanelError.
    """
    if text is None:
        yield Unwatched()
        return
    console = WatchedConsole(operation, text)
    reading = asyncio.create_task(console.read(), name="reading a console")
    try:
        await console.opened()
        yield console
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.result()  # it raises what only a bug raises
