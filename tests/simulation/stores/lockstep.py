"""Threads that take turns with the event loop: while one works the other waits, so that a seed plays the same again.

The copies are made by code that downloads in a thread and gives what comes to the loop. Here the thread runs until it
wants something of the loop, which then awaits that in virtual time, and the thread goes on with what came of it.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self, TypeVar

from daemon.transfer.sinks import Sink

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a thread wants to be awaited, for so many seconds at most."""

    coroutine: Coroutine[Any, Any, Any]
    seconds: float | None


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of something: a value, or what was raised."""

    value: Any = None
    error: BaseException | None = None

    def take(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


class _Baton:
    """Between a thread and the loop."""

    def __init__(self) -> None:
        self.to_loop: SimpleQueue[_Wish | _Outcome] = SimpleQueue()
        self.to_thread: SimpleQueue[_Outcome] = SimpleQueue()


_HERE = threading.local()


class Asked:
    """What `asyncio.run_coroutine_threadsafe` returns, as far as the copies use it."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], _loop: object) -> None:
        self._coroutine = coroutine

    def result(self, seconds: float | None = None) -> Any:
        """Let the loop await it; raises what that does, TimeoutError after so many seconds."""
        baton: _Baton = _HERE.baton
        baton.to_loop.put(_Wish(self._coroutine, seconds))
        return baton.to_thread.get().take()

    def cancel(self) -> None:
        """Nothing is left to cancel."""


async def in_thread(call: Callable[[], T]) -> T:
    """Return what the call returns, made in a thread that takes turns with this task."""
    baton = _Baton()

    def work() -> None:
        _HERE.baton = baton
        try:
            outcome = _Outcome(call())
        except BaseException as error:  # noqa: BLE001 — it is raised where it is waited for
            outcome = _Outcome(error=error)
        baton.to_loop.put(outcome)

    threading.Thread(target=work, daemon=True).start()
    cancelled: asyncio.CancelledError | None = None
    while isinstance(said := baton.to_loop.get(), _Wish):
        if cancelled is not None:
            said.coroutine.close()
            baton.to_thread.put(_Outcome(error=concurrent.futures.CancelledError()))
            continue
        try:
            baton.to_thread.put(_Outcome(await asyncio.wait_for(said.coroutine, said.seconds)))
        except asyncio.CancelledError as error:
            cancelled = error
            baton.to_thread.put(_Outcome(error=concurrent.futures.CancelledError()))
        except Exception as error:  # noqa: BLE001 — it is raised in the thread
            baton.to_thread.put(_Outcome(error=error))
    if cancelled is not None:
        raise cancelled
    result: T = said.take()
    return result


async def at_once(call: Callable[..., T], *given: Any) -> T:
    """What `asyncio.to_thread` does, in this thread."""
    return call(*given)


class SameThread:
    """What `WriterThread` does, in this thread."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to wait for."""

    def put(self, piece: bytes) -> None:
        """Give a piece to the sink."""
        self._sink.add(piece)
