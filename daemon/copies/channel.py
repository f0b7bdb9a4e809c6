"""Bytes on their way from the download's thread to one store's task: a few pieces at a time, so that memory is bounded.

The thread waits while the store is behind; a store that has ended, well or not, takes nothing more and holds up nobody.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from concurrent.futures import CancelledError as FutureCancelledError

MOST_WAITING = 4  # pieces of 1 MiB or so


class StalledError(Exception):
    """A store took nothing for too long."""


class Channel:
    """One store's share of a stream. `send` is for other threads, the rest for the loop's own."""

    def __init__(self, *, stall_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Condition()
        self._pieces: deque[bytes] = deque()
        self._ended = False
        self._closed = False
        self._stall_seconds = stall_seconds

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what is sent, to its end."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._pieces or self._ended)
                if not self._pieces:
                    return
                piece = self._pieces.popleft()
                self._changed.notify_all()
            yield piece

    async def close(self) -> None:
        """Take nothing more: whoever sends goes on at once."""
        async with self._changed:
            self._closed = True
            self._pieces.clear()
            self._changed.notify_all()

    async def end(self) -> None:
        """Let the stream end after what is still waiting."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    def send(self, piece: bytes) -> None:
        """Give the store a piece, and wait while it has enough; StalledError where it takes none for too long."""
        sending = asyncio.run_coroutine_threadsafe(self._put(piece), self._loop)
        try:
            sending.result(self._stall_seconds)
        except TimeoutError:
            sending.cancel()
            raise StalledError from None
        except FutureCancelledError:  # the loop is ending: nobody listens any more
            return

    async def _put(self, piece: bytes) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or len(self._pieces) < MOST_WAITING)
            if not self._closed:
                self._pieces.append(piece)
                self._changed.notify_all()
