"""Processes that stand still, as after SIGSTOP: none of their code runs, while their clocks and all others go on.

Whatever the event loop would run for such a process is kept, timers and answers alike, and run in its order once the
process goes on. It then finds itself minutes later in the midst of what it did.
"""

import asyncio
from asyncio import Handle
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any
from unittest import mock

from tests.simulation.process import PROCESS, Process

READ_SECONDS = 1.0
"""In which it has read its configuration."""


class Stoppable(Process):
    """A process whose tasks are known, and that can stand still."""

    stands_still = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self._kept: list[Handle] = []

    def keep(self, handle: Handle) -> None:
        """Run this later."""
        self._kept.append(handle)

    def stand_still(self) -> None:
        """Run nothing from now on."""
        self.simulation.recorder.tell(f"{self.name} STANDS STILL")
        self.stands_still, self.stood_at = True, asyncio.get_running_loop().time()

    def go_on(self) -> None:
        """Run what has come meanwhile."""
        if self.stands_still:
            self.simulation.recorder.tell(f"{self.name} goes on")
            self.stands_still, self.went_on_at = False, asyncio.get_running_loop().time()
            asyncio.get_running_loop()._ready.extend(self._kept)  # type: ignore[attr-defined]  # asyncio has no other way
            self._kept.clear()

    def read_since(self, moment: float) -> float:
        """As it goes on, its timers may be over before it has read what it was told to meanwhile."""
        return self.stood_at if moment - self.went_on_at < READ_SECONDS else moment

    async def bury(self) -> None:
        """End all of its tasks; none of this can have an effect any more."""
        self.go_on()
        for _ in range(100):
            for task in list(self.tasks):
                if task is not asyncio.current_task():
                    task.cancel()
            await asyncio.sleep(0)  # noqa: TID251 — lets other tasks run


@contextmanager
def processes_can_stand_still() -> Iterator[None]:
    """Look at each step of the loop for whose it is."""
    run = Handle._run

    def run_or_keep(handle: Handle) -> None:
        process = handle._context.get(PROCESS)  # type: ignore[attr-defined]  # where asyncio keeps it
        if isinstance(process, Stoppable) and process.stands_still:
            process.keep(handle)
        else:
            run(handle)

    with mock.patch.object(Handle, "_run", run_or_keep):
        yield


def know_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Let each process know its tasks."""

    def make(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], context: Context | None = None
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, context=context)
        process = PROCESS.get(None) if context is None else context.get(PROCESS)
        if isinstance(process, Stoppable):
            process.tasks[task] = None
            task.add_done_callback(process.tasks.pop)
        return task

    loop.set_task_factory(make)  # type: ignore[arg-type]  # it is called as asyncio calls its own
