"""Room on a disk for what slow stores have yet to take, so that they hold up neither the node nor the other stores.

What must hold: it is never taken for a copy, and a kill leaves nothing of it, since the file has no name; nobody else
can read it; it takes no more than was said, and leaves some room on its disk. Everything here blocks.
"""

import os
from contextlib import suppress
from tempfile import TemporaryFile
from threading import Lock

from daemon.copies.spool_room import SpoolRoom
from daemon.transfer.files import spare

LEAST = 8 * 2**20
"""The smallest spool, in bytes, that is worth a file."""


class Spool:
    """What waits for one store, first in, first out, in a file that is used as a ring. One thread puts, one takes."""

    def __init__(self, room: SpoolRoom) -> None:
        self._room = room
        self._lock = Lock()
        self._file = -1
        self._put = self._taken = 0
        self._most = room.bytes
        self._usable = room.bytes > 0

    @property
    def usable(self) -> bool:
        """Whether there may be room in it, now or later."""
        return self._usable

    @property
    def waiting(self) -> int:
        """How many bytes are in it."""
        return self._put - self._taken

    def takes(self, size: int) -> bool:
        """Return whether that many bytes have room in it now."""
        return self._usable and self.waiting + size <= self._most

    def put(self, piece: bytes) -> bool:
        """Append the bytes; False where there is no room for them, in it or on its disk."""
        with self._lock:
            if not self._usable or not self._is_open() or not self.takes(len(piece)):
                return False
            try:
                self._write(piece)
            except OSError:  # a disk that is full, or fails
                self._usable = False
                return False
            self._put += len(piece)
            return True

    def take(self, most: int) -> bytes:
        """Take at most `most` bytes out of it; none if it is empty. Raises OSError."""
        with self._lock:
            if self._file < 0:
                return b""
            place = self._taken % self._most
            size = min(most, self.waiting, self._most - place)
            piece = os.pread(self._file, size, place)
            if len(piece) != size:
                raise OSError("it is shorter than what was written to it")
            self._taken += size
            with suppress(OSError):  # it is only advice, for the sake of games on the same machine
                os.posix_fadvise(self._file, place, size, os.POSIX_FADV_DONTNEED)
            return piece

    def close(self) -> None:
        """Close the file, whatever is in it; that removes it, since it has no name."""
        with self._lock:
            self._usable = False
            self._put = self._taken = 0
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _write(self, piece: bytes) -> None:
        """Write behind what is there, and on from the file's beginning where its end is reached."""
        rest, at = memoryview(piece), self._put
        while rest:
            place = at % self._most
            written = os.pwrite(self._file, rest[: self._most - place], place)
            rest, at = rest[written:], at + written

    def _is_open(self) -> bool:
        """Return whether there is a file; one is made in the first folder that lets us, not larger than its disk has
        room.
        """
        for folder in self._room.folders if self._file < 0 else ():
            with suppress(OSError):
                self._most = min(self._room.bytes, spare(folder) - self._room.reserved)
                if self._most >= LEAST:
                    with TemporaryFile(dir=folder, buffering=0) as file:
                        self._file = os.dup(file.fileno())
                    break
        self._usable = self._file >= 0
        return self._usable
