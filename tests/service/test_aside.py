"""What runs aside, and how much of it the end waits for."""

import asyncio
import threading

from anyio.lowlevel import checkpoint

from daemon.service.aside import aside, let_end


def test_the_end_waits_for_what_runs_aside_unless_it_hangs() -> None:
    """A thread that Python ends in the middle of a library aborts the process; a mount that hangs is left."""
    go_on, ended = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait()
        ended.set()

    async def left() -> None:
        task = asyncio.ensure_future(aside(work))
        await checkpoint()  # in which it begins
        task.cancel()

    asyncio.run(left())
    let_end(0.0)
    assert not ended.is_set()
    threading.Timer(0.01, go_on.set).start()
    let_end(30.0)
    assert ended.is_set()
    let_end(30.0)  # nothing is left
