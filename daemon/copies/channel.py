"""Bytes on their way from the download's thread to one store's task: a few pieces at a time, so that memory is bounded.

The thread waits while the store is behind. A store that has held it up for a while in all is spooled from then on: what
it has yet to take goes to a disk, and the thread goes on. A store that has ended, well or not, takes nothing more and
holds up nobody.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from concurrent.futures import CancelledError as FutureCancelledError
from contextlib import suppress

from daemon.copies.errors import CopyError
from daemon.copies.spool import Spool
from daemon.copies.spool_room import NO_ROOM, SpoolRoom

MOST_WAITING = 2  # pieces of 1 MiB or so, for each of the stores
PIECE = 2**20
SPOOLED_AFTER = 5.0
"""For how many seconds in all a store may hold up a download before it is spooled."""


class StalledError(Exception):
    """A store took nothing for too long."""


class Channel:
    """One store's share of a stream. `send` is for one other thread, the rest for the loop's own.

    A piece that has room is left here without waiting for the loop: a round trip for each MiB would take longer than
    what is done with it. So only the sender appends, and only `pieces` takes.
    """

    def __init__(self, *, stall_seconds: float, room: SpoolRoom = NO_ROOM) -> None:
        self._loop = asyncio.get_running_loop()
        self._come, self._gone = asyncio.Event(), asyncio.Event()  # something is to be taken; something was
        self._pieces: deque[bytes] = deque()
        self._spool = Spool(room)
        self._ended = False
        self._closed = False
        self._stall_seconds = stall_seconds
        self._held_up = 0.0
        self.taken = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield what is sent, to its end; raises CopyError if what was spooled cannot be read."""
        while piece := await self._next():
            self._gone.set()
            self.taken += len(piece)
            yield piece

    async def close(self) -> None:
        """Take nothing more; a sender that waits goes on at once."""
        self._closed = True
        self._pieces.clear()
        self._gone.set()
        await asyncio.to_thread(self._spool.close)

    async def end(self) -> None:
        """Let the stream end after what is still waiting."""
        self._ended = True
        self._come.set()

    def send(self, piece: bytes) -> None:
        """Give the store a piece, and wait while it has enough; raises StalledError if it takes none for too long."""
        try:
            while not (self._is_spooled(piece) or self._is_left(piece)):
                slow, began = self._is_slow, self._loop.time()
                patience = self._stall_seconds if slow or not self._spool.usable else SPOOLED_AFTER - self._held_up
                waited = asyncio.run_coroutine_threadsafe(self._room(len(piece), patience, spooled=slow), self._loop)
                there = waited.result()
                self._held_up += self._loop.time() - began
                if not there and (slow or not self._spool.usable):
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

    @property
    def _takes(self) -> bool:
        """Return whether a piece need not wait: there is room for it, or nothing is taken any more."""
        return self._closed or (not self._spool.waiting and len(self._pieces) < MOST_WAITING)

    def _is_left(self, piece: bytes) -> bool:
        """Return whether the piece is left here, if it has room."""
        if not self._takes:
            return False
        if not self._closed:
            self._pieces.append(piece)
            self._wake()
        return True

    def _is_spooled(self, piece: bytes) -> bool:
        """Return whether the piece went to the disk: behind what is there, or since a slow store has enough."""
        behind = self._spool.waiting > 0 or (self._is_slow and len(self._pieces) >= MOST_WAITING)
        if not behind or not self._spool.put(piece):
            return False
        self._wake()
        return True

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody listens any more
            self._loop.call_soon_threadsafe(self._come.set)

    async def _room(self, size: int, seconds: float, *, spooled: bool) -> bool:
        """Wait for room, or with `spooled` for room on the disk; False where there is none within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (self._takes or (spooled and self._spool.takes(size))):
                    self._gone.clear()
                    await self._gone.wait()
                return True
        return False

    async def _next(self) -> bytes:
        """Return the next piece, once there is one; none at the end."""
        while True:
            spooled = self._spool.waiting > 0  # looked at first: what is on the disk came after all that is here
            if self._pieces:
                return self._pieces.popleft()
            if spooled:
                return await self._spooled()
            if self._ended:
                return b""
            self._come.clear()
            await self._come.wait()

    async def _spooled(self) -> bytes:
        """Return the oldest bytes of the spool; none if it is empty."""
        try:
            return await asyncio.to_thread(self._spool.take, PIECE)
        except OSError as error:
            failure = CopyError(f"what was spooled cannot be read: {error.strerror or error}")
        raise failure
