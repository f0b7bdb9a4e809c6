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
from typing import Protocol, TypeVar

from daemon.errors import JournalBusyError

Result = TypeVar("Result")

SLOW_SECONDS = 1.0
"""After so long the operator is told that the state is waited for."""

ANSWER_SECONDS = 30.0
"""After so long it is waited for no longer: the disk hangs. What was asked for may still be done."""

BUSY_SECONDS = 10.0
"""So long a call waits for a lock that another process holds, in a thread of its own."""

STANDSTILL_SECONDS = 1.0
"""So long where the whole process stands still meanwhile."""


class Runner(Protocol):
    """Does blocking work, one call at a time; `patience` is how many seconds each may wait for other processes."""

    patience: float

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns, and raise what it raises."""
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

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class Worker:
    """One thread, started with the first call, and again with the first after a close. It never keeps the process from
    ending, even if the disk hangs.

    `on_slow` is called once when a call takes long, and again only after one was quick.
    """

    patience = BUSY_SECONDS

    def __init__(self, on_slow: Callable[[], None] = lambda: None) -> None:
        self._on_slow = on_slow
        self._said = False
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns; raises JournalBusyError if that takes more than `ANSWER_SECONDS`.

        Work that is cancelled meanwhile is done all the same.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Result] = loop.create_future()

        def end(settle: Callable[[], None]) -> None:
            if not done.done():  # nobody waits for it any more
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

        slow = loop.call_later(SLOW_SECONDS, self._say)
        late = loop.call_later(ANSWER_SECONDS, end, lambda: done.set_exception(_no_answer()))
        try:
            self._put(aside)
            return await done
        finally:
            slow.cancel()
            late.cancel()
            self._said = self._said and loop.time() > slow.when()

    def close(self) -> None:
        """Let the thread end after the work that waits for it."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread, self._waiting = None, queue.SimpleQueue()

    def _put(self, work: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=_work, args=(self._waiting,), name="state", daemon=True)
            self._thread.start()
        self._waiting.put(work)

    def _say(self) -> None:
        if not self._said:
            self._said = True
            self._on_slow()


def _work(waiting: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (work := waiting.get()) is not None:
        work()


def _no_answer() -> JournalBusyError:
    text = f"the state folder's disk does not answer within {ANSWER_SECONDS:.0f} s"
    return JournalBusyError(text, hint="look at the machine's disk, or at the mount that holds the state folder")
