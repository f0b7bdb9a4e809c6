"""Bytes on their way from the download's thread to one store's task: a few pieces at a time, so that memory is bounded.

The thread waits while the store is behind. A store that has held it up for a while in all is spooled from then on: what
it has yet to take goes to a disk, and the thread goes on. A store that has ended, well or not, takes nothing more and
holds up nobody.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import CancelledError as FutureCancelledError
from enum import Enum, auto
from typing import Any, TypeVar

from daemon.copies.errors import CopyError
from daemon.copies.spool import NO_ROOM, Spool, SpoolRoom

T = TypeVar("T")

MOST_WAITING = 4  # pieces of 1 MiB or so
PIECE = 2**20
SPOOLED_AFTER = 5.0
"""For how many seconds in all a store may hold up a download before it is spooled."""


class StalledError(Exception):
    """A store took nothing for too long."""


class Offer(Enum):
    """The result of offering a piece to a store: taken, to be spooled, or not taken in time."""

    TAKEN = auto()
    SPOOL = auto()
    LATE = auto()


class Channel:
    """One store's share of a stream. `send` is for other threads, the rest for the loop's own."""

    def __init__(self, *, stall_seconds: float, room: SpoolRoom = NO_ROOM) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Condition()
        self._pieces: deque[bytes] = deque()
        self._spool = Spool(room)
        self._ended = False
        self._closed = False
        self._stall_seconds = stall_seconds
        self._held_up = 0.0
        self.taken = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what is sent, to its end; raises CopyError if what was spooled cannot be read."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._pieces or self._spool.waiting or self._ended)
                piece = self._pieces.popleft() if self._pieces else b""
                self._changed.notify_all()
            piece = piece or await self._spooled()
            if not piece:
                return
            self.taken += len(piece)
            yield piece

    async def close(self) -> None:
        """Take nothing more; a sender that waits goes on at once."""
        async with self._changed:
            self._closed = True
            self._pieces.clear()
            self._changed.notify_all()
        await asyncio.to_thread(self._spool.close)

    async def end(self) -> None:
        """Let the stream end after what is still waiting."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    def send(self, piece: bytes) -> None:
        """Give the store a piece, and wait while it has enough; raises StalledError if it takes none for too long."""
        try:
            while not self._is_spooled(piece):
                slow, began = self._is_slow, self._loop.time()
                patience = self._stall_seconds if slow or not self._spool.usable else SPOOLED_AFTER - self._held_up
                taken = self._on_loop(self._offer(piece, patience, spooled=slow))
                self._held_up += self._loop.time() - began
                if taken is Offer.TAKEN:
                    return
                if taken is Offer.LATE and (slow or not self._spool.usable):
                    raise StalledError
        except FutureCancelledError:  # the loop is ending: nobody listens any more
            return

    @property
    def waiting(self) -> int:
        """How many bytes are on the disk."""
        return self._spool.waiting

    @property
    def _is_slow(self) -> bool:
        return self._spool.usable and self._held_up >= SPOOLED_AFTER

    def _is_spooled(self, piece: bytes) -> bool:
        """Return whether the piece went to the disk: behind what is there, or since a slow store has enough."""
        behind = self._spool.waiting > 0 or (self._is_slow and len(self._pieces) >= MOST_WAITING)
        if not behind or not self._spool.put(piece):
            return False
        self._on_loop(self._wake())
        return True

    def _on_loop(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    async def _offer(self, piece: bytes, seconds: float, *, spooled: bool) -> Offer:
        """Append the piece when there is room for it; with `spooled` there may come to be room on the disk first."""

        def taken() -> bool:
            return self._closed or (not self._spool.waiting and len(self._pieces) < MOST_WAITING)

        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: taken() or (spooled and self._spool.takes(len(piece))))
                if not taken():
                    return Offer.SPOOL
                if not self._closed:
                    self._pieces.append(piece)
                    self._changed.notify_all()
                return Offer.TAKEN
        except TimeoutError:
            return Offer.LATE

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _spooled(self) -> bytes:
        """Return the oldest bytes of the spool; none if it is empty."""
        if not self._spool.waiting:
            return b""
        try:
            piece = await asyncio.to_thread(self._spool.take, PIECE)
        except OSError as error:
            failure = CopyError(f"what was spooled cannot be read: {error.strerror or error}")
            raise failure from None
        await self._wake()
        return piece
