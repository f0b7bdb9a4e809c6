"""Where blocking work is done: the disk, a lock that another process holds.

`Inline` does it at once and blocks everything else: for a command that has nothing else to do, and for tests on virtual
time. `Worker` does it in one thread, in the order of the calls, while the event loop goes on.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from typing import Protocol, TypeVar

from daemon.errors import JournalBusyError, StateError

Result = TypeVar("Result")

SLOW_SECONDS = 1.0
"""After how long the operator is told that the state is waited for."""

QUIET_SECONDS = 60.0
"""And not again for so long."""

ANSWER_SECONDS = 30.0
"""After how long it is waited for no longer: the disk hangs. What was asked for may still be done."""

BUSY_SECONDS = 10.0
"""How long a call waits for a lock that another process holds, in a thread of its own."""

STANDSTILL_SECONDS = 1.0
"""The same where the whole process stands still meanwhile."""


class Runner(Protocol):
    """Does blocking work, one call at a time; `patience` is how many seconds each may wait for other processes."""

    patience: float

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns, and raise what it raises."""
        ...

    async def give_back(self, work: Callable[[], object]) -> None:
        """Do what gives something back, in its turn, however late that is. Raises no StateError."""
        ...

    def close(self) -> None:
        """Do nothing more after the earlier calls."""
        ...


class Inline:
    """Does the work at once, in the caller's thread."""

    patience = STANDSTILL_SECONDS

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns."""
        return work()

    async def give_back(self, work: Callable[[], object]) -> None:
        """Do it at once."""
        with suppress(StateError):
            await self.run(work)

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class Worker:
    """One thread, started with the first call, and again with the first after a close. It never keeps the process from
    ending, even if the disk hangs. While it hangs only the first calls wait for it: after one was given up, the others
    fail at once until the disk answers. Otherwise hundreds of rotations would wait one after the other.

    `on_slow` is called when a call takes long; again only after one was quick, and after `QUIET_SECONDS`.
    """

    patience = BUSY_SECONDS

    def __init__(self, on_slow: Callable[[], None] = lambda: None) -> None:
        self._on_slow = on_slow
        self._said = False
        self._said_at = -inf
        self._hangs = False
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns; raises JournalBusyError if that takes more than `ANSWER_SECONDS`, and at once
        while an earlier call hangs.

        Work that is cancelled meanwhile is done all the same; what is refused at once is not.
        """
        if self._hangs:
            raise _no_answer()
        loop, done = asyncio.get_running_loop(), self._ask(work)
        slow = loop.call_later(SLOW_SECONDS, self._say)
        late = loop.call_later(ANSWER_SECONDS, self._give_up, done)
        try:
            return await done
        finally:
            slow.cancel()
            late.cancel()
            self._said = self._said and loop.time() > slow.when()

    async def give_back(self, work: Callable[[], object]) -> None:
        """Do what gives something back, in its turn; while the disk hangs, do not wait for that."""
        if self._hangs:
            self._ask(work).cancel()
            return
        with suppress(StateError):
            await self.run(work)

    def close(self) -> None:
        """Let the thread end after the work that waits for it."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread, self._waiting, self._hangs = None, queue.SimpleQueue(), False

    def _ask(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        """Let the thread do it in its turn, and return what will hold the result."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()

        def end(settle: Callable[[], None]) -> None:
            self._hangs = False
            if not done.done():  # otherwise nobody waits for it any more
                settle()

        def aside() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 — it is raised again where it is waited for
                settle = partial(done.set_exception, error)
            else:
                settle = partial(done.set_result, result)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(end, settle)

        self._put(aside)
        return done

    def _give_up(self, done: asyncio.Future[Result]) -> None:
        if not done.done():
            self._hangs = True
            done.set_exception(_no_answer())

    def _put(self, work: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=_work, args=(self._waiting,), name="state", daemon=True)
            self._thread.start()
        self._waiting.put(work)

    def _say(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self._said and now - self._said_at >= QUIET_SECONDS:
            self._said, self._said_at = True, now
            self._on_slow()


def _work(waiting: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (work := waiting.get()) is not None:
        work()


def _no_answer() -> JournalBusyError:
    text = f"the state folder's disk does not answer within {ANSWER_SECONDS:.0f} s"
    return JournalBusyError(text, hint="look at the machine's disk, or at the mount that holds the state folder")
