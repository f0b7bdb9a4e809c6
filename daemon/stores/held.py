"""Where the parts of an object are held until they are sent, since a part that failed is sent again: in memory, or in
files where they would take too much of it.

What must hold: a file has no name, so a kill leaves nothing of it, and goes with the last reference to its part; nobody
else can read it. It holds what the store is given, so it is as encrypted as the copy.
"""

import asyncio
import errno
import hashlib
import os
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryFile

from daemon.stores.boundary import translating
from daemon.stores.errors import PartError, PartRoomError
from daemon.stores.sizes import PARTS_HELD, parts_in_memory
from daemon.stores.streams import Block, blocks

PIECE = 2**20
"""What is written to a file or read from it at once, in bytes; the size of a part is a multiple of it."""


class FiledPart:
    """A part in a file. What blocks is for a thread; raises PartError where the folder's disk fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._size = 0
        with self._trouble(), TemporaryFile(dir=folder, buffering=0) as file:
            self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        """Return how many bytes are in it."""
        return self._size

    def add(self, piece: Block) -> None:
        """Append the bytes; blocks."""
        rest = memoryview(piece)
        with self._trouble():
            while rest:
                written = os.pwrite(self._file, rest, self._size)
                rest, self._size = rest[written:], self._size + written

    def pieces(self, size: int) -> Iterator[bytes]:
        """Yield all of it in pieces of that size, the last one smaller; blocks."""
        for start in range(0, self._size, size):
            wanted = min(size, self._size - start)
            with self._trouble():
                piece = os.pread(self._file, wanted, start)
                if len(piece) != wanted:
                    raise OSError("its file is shorter than what was written to it")
            yield piece

    def _trouble(self) -> AbstractContextManager[None]:
        return translating((OSError,), self._failure)

    def _failure(self, error: Exception) -> PartError:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        is_full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
        kind = PartRoomError if is_full else PartError
        return kind(f"this machine cannot hold a part of the copy in {self._folder}: {why}")


Part = Block | FiledPart


async def pieces_of(part: Part, size: int) -> AsyncGenerator[bytes, None]:
    """Yield a part in pieces of that size, the last one smaller."""
    if isinstance(part, FiledPart):
        pieces = part.pieces(size)
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece
    else:
        view = memoryview(part)
        for start in range(0, len(view), size):
            yield bytes(view[start : start + size])


def summed(part: Part, algorithm: str) -> bytes:
    """Return the checksum of a part, by an algorithm of hashlib's; blocks."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    for piece in part.pieces(PIECE) if isinstance(part, FiledPart) else (part,):
        digest.update(piece)
    return digest.digest()


async def parts_of(
    content: AsyncIterable[bytes], size: int, folder: Path | None
) -> tuple[AsyncGenerator[Part, None], int]:
    """Return the content in parts of that size, and how many of them may be held at a time, one being filled.

    Where not even one may be in memory they go to files in the folder. Without one, or without room in it, they are in
    memory all the same, one at a time.
    """
    held = parts_in_memory(size)
    if held == 0 and folder is not None and await asyncio.to_thread(_has_room, folder, PARTS_HELD * size):
        return _filed(content, size, folder), PARTS_HELD
    return blocks(content, size), max(1, held)


async def _filed(content: AsyncIterable[bytes], size: int, folder: Path) -> AsyncGenerator[FiledPart, None]:
    part: FiledPart | None = None
    async for piece in blocks(content, PIECE):
        if part is None:
            part = await asyncio.to_thread(FiledPart, folder)
        await asyncio.to_thread(part.add, piece)
        if len(part) == size:
            yield part
            part = None
    if part is not None:
        yield part


def _has_room(folder: Path, size: int) -> bool:
    """Return whether so many bytes may be written to a folder, so that as many again stay free."""
    try:
        return os.access(folder, os.W_OK) and disk_usage(folder).free >= 2 * size
    except OSError:
        return False
