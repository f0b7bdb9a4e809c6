"""Blocking calls of one store, in threads of its own: a mount that hangs takes no thread from anybody else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from daemon.stores.errors import StoreUnreachableError

MOST_THREADS = 4

P = ParamSpec("P")
T = TypeVar("T")


class StoreThreads:
    """The threads of one store, each made when it is needed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._executor = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix=f"store-{name}")

    async def run(self, seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the call returns; StoreUnreachableError after so many seconds, while it may still be running."""
        running = asyncio.get_running_loop().run_in_executor(self._executor, lambda: call(*args, **kwargs))
        try:
            async with asyncio.timeout(seconds):
                return await running
        except TimeoutError:
            failure = StoreUnreachableError(f"{self._name}: no answer within {seconds:g} s")
            raise failure from None

    def close(self) -> None:
        """Take no further call; those that run go on to their end, unwaited."""
        self._executor.shutdown(wait=False, cancel_futures=True)
