"""A transfer in a thread of its own, beside an event loop; and work that is done by two threads at once."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

WORTH_A_THREAD = 2**16
"""Bytes: with fewer it takes longer to hand them over than to sum them up."""


async def in_thread(call: Callable[[], T]) -> T:
    """Return what the call returns, made in a thread that a cancelled caller does not wait for.

    The loop's own threads are waited for when a process ends, and a node may be silent for a minute.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(take: Callable[..., None], value: object) -> None:
        with suppress(RuntimeError):  # the loop has been closed: nobody waits
            loop.call_soon_threadsafe(lambda: None if future.done() else take(value))

    def work() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 — it is raised where it is waited for
            deliver(future.set_exception, error)
        else:
            deliver(future.set_result, result)

    threading.Thread(target=work, name="download", daemon=True).start()
    return await future


class Beside:
    """A second thread for what can be done with one piece at the same time, since hashlib and zlib let others run."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, name)

    def run(self, aside: Callable[[bytes], None], own: Callable[[bytes], None], piece: bytes) -> None:
        """Call both with the piece, `own` in this thread; return when both have; raise what they do."""
        if len(piece) < WORTH_A_THREAD:
            aside(piece)
            own(piece)
            return
        done = self._executor.submit(aside, piece)
        try:
            own(piece)
        finally:
            done.result()

    def close(self) -> None:
        """Let the thread end; does not wait for it."""
        self._executor.shutdown(wait=False)
