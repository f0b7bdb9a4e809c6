"""Blocking calls of one store, in threads of its own: a mount that hangs blocks no other store.

The threads are daemons, so that a call that never ends does not keep the process from ending.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import ParamSpec, TypeVar

from daemon.stores.errors import StoreUnreachableError

MOST_THREADS = 4

P = ParamSpec("P")
T = TypeVar("T")


class StoreThreads:
    """The threads of one store, each made when it is needed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads: list[threading.Thread] = []

    async def run(self, seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the call returns; raises StoreUnreachableError after `seconds`, while it may still be running.

        A call that is no longer waited for is not begun.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(take: Callable[[], None]) -> None:
            if not done.done():
                take()

        def aside() -> None:
            if done.done():
                return
            try:
                result = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 — it is raised where it is waited for
                take = partial(done.set_exception, error)
            else:
                take = partial(done.set_result, result)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(settle, take)

        self._put(aside)
        try:
            async with asyncio.timeout(seconds):
                return await done
        except TimeoutError:
            failure = StoreUnreachableError(f"{self._name}: no answer within {seconds:g} s")
            raise failure from None

    def close(self) -> None:
        """Let each thread end after its current call, and do not wait for that; later calls get new threads."""
        for _ in self._threads:
            self._waiting.put(None)
        self._waiting, self._idle, self._threads = queue.SimpleQueue(), threading.Semaphore(0), []

    def _put(self, work: Callable[[], None]) -> None:
        """Hand the work to an idle thread, or start one more if none is idle."""
        self._waiting.put(work)
        if not self._idle.acquire(blocking=False) and len(self._threads) < MOST_THREADS:
            name = f"store-{self._name}"
            thread = threading.Thread(target=_work, args=(self._waiting, self._idle), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()


def _work(waiting: queue.SimpleQueue[Callable[[], None] | None], idle: threading.Semaphore) -> None:
    while work := waiting.get():
        work()
        del work  # it holds what it worked on
        idle.release()
