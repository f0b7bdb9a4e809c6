"""Run in a thread what may never end, such as reading from a mount that hangs.

At its end the process waits for asyncio's own threads, but not for one from here that hangs.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")

_at_work: set[threading.Thread] = set()


async def aside(work: Callable[[], Result]) -> Result:
    """Return what `work` returns, run in a thread of its own; raises what it raises."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def end(settle: Callable[[], None]) -> None:
        if not done.done():  # nobody waits for it any more
            settle()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 — it is raised again where it is waited for
            settle = partial(done.set_exception, error)
        else:
            settle = partial(done.set_result, result)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(end, settle)
        _at_work.discard(threading.current_thread())

    thread = threading.Thread(target=run, name="aside", daemon=True)
    _at_work.add(thread)
    thread.start()
    return await done


def let_end(seconds: float) -> None:
    """Wait for what runs aside, for that many seconds each.

    As Python ends, it ends such threads wherever they are; in the middle of a library that is not written in Python,
    such as pydantic's core, that aborts the process.
    """
    for thread in tuple(_at_work):
        thread.join(seconds)
