"""A transfer in a thread of its own, beside an event loop."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


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
