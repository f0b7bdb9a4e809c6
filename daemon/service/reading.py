"""Reading the configuration, without waiting for it where something else has to be done.

It is read in a thread: thousands of servers take the better part of a second, and a mount that hangs never returns.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from daemon.alerts import refuse_unusable
from daemon.config.values import Config, ServerConfig, keeping
from daemon.errors import BackupdError
from daemon.log import get_logger
from daemon.service import gc_policy as garbage
from daemon.service.events import Events
from daemon.service.memory import give_back

log = get_logger()

READ_SECONDS = 30.0
"""After how long to say that the configuration cannot be read; the wait goes on all the same."""

SLOW = "the configuration is still being read: its file system does not answer"

Result = TypeVar("Result")


class Aside(Protocol):
    """Runs something in a thread of its own."""

    def __call__(self, work: Callable[[], Result], /) -> Awaitable[Result]:
        """Return what it returns."""
        ...


class Reading:
    """Reads the configuration again and again; `read_config` raises BackupdError if it is wrong."""

    def __init__(self, read_config: Callable[[], Config], events: Events, aside: Aside) -> None:
        self._read_config = read_config
        self._events = events
        self._aside = aside
        self._config: Config | None = None
        self._untidy = False
        """Whether the configuration before that may have left memory that nobody has given back."""

        self._task: asyncio.Task[None] | None = None
        self._again = False

    @property
    def config(self) -> Config:
        """The configuration in force. Whoever runs for long asks for it anew: a frame that keeps the first one keeps
        its servers as well, 10 MiB for ten thousand, until the daemon ends.
        """
        if self._config is None:
            raise AssertionError("nothing was read yet")
        return self._config

    @config.setter
    def config(self, config: Config) -> None:
        self._untidy, self._config = self._config is not None, config

    def server(self, name: str) -> ServerConfig | None:
        """Return a configured server, as it is in force."""
        return self.config.servers.get(name)

    def tidy_up(self) -> None:
        """Give back what the configuration before the one in force has left, once that is no longer followed."""
        if self._untidy:
            self._untidy = False
            give_back(len(self.config.servers))

    async def first(self) -> bool:
        """Read the first configuration, however long it takes; return False if told to stop before it is read."""
        reading = asyncio.ensure_future(self._aside(self._configuration))
        if await self._events.stopped_before(reading, READ_SECONDS):
            return False
        if not reading.done():
            garbage.look_again()
            log.warning("configuration_awaited", text=SLOW)
            if await self._events.stopped_before(reading, None):
                return False
        self.config = reading.result()
        return True

    async def anew(self) -> None:
        """Read the configuration as it is now; the one from before stays in force if it is wrong, or hangs."""
        try:
            self.config = await asyncio.wait_for(self._later(), READ_SECONDS)
        except BackupdError as error:
            text = error.text
        except TimeoutError:
            garbage.look_again()
            self._events.put(signal.SIGHUP)
            text = SLOW
        else:
            return
        say_failed(text)

    def begin(self) -> bool:
        """Begin to read; what comes of it is put among the events. Return False if a reading is under way, in which
        case another one is due when it has ended.
        """
        if self._task is not None:
            self._again = True
            return False
        self._task = asyncio.create_task(self._read(), name="reading the configuration")
        return True

    def end(self) -> bool:
        """The outcome of the reading was taken; return whether another one is due."""
        again, self._task, self._again = self._again, None, False
        return again

    def drop(self) -> None:
        """Forget a reading that was begun, and its outcome: the configuration is read anew."""
        if self._task is not None:
            self._task.cancel()
        self.end()
        self._events.keep_signals()

    async def _read(self) -> None:
        reading = asyncio.ensure_future(self._later())
        done, _ = await asyncio.wait({reading}, timeout=READ_SECONDS)
        if not done:
            garbage.look_again()
            self._events.put(None)
        try:
            self._events.put(await reading)
        except Exception as error:  # noqa: BLE001 — a bug is raised where events are taken
            self._events.put(error)

    def _later(self) -> Awaitable[Config]:
        before = self.config
        return self._aside(lambda: keeping(self._configuration(), before))

    def _configuration(self) -> Config:
        with garbage.left_alone():
            config = self._read_config()
        give_back(len(config.servers))
        refuse_unusable(config)
        return config


def say_failed(text: str) -> None:
    """Log why the configuration is not the one that is there now."""
    log.warning("reload_failed", text=text, consequence="the old configuration stays in force")
