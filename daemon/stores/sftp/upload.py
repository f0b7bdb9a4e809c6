"""One file on its way to an SSH host: a connection that breaks is made anew, and the upload goes on where it stood.

What must hold: what is published is what was sent. A host that was reset may have lost what it had confirmed, so after
a break all of the file is read back and compared. Nothing here gives the file its name.
"""

import hashlib
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar, cast

import asyncssh
from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile

from daemon.clock import Clock
from daemon.core.backoff import Backoff
from daemon.files import FILE_MODE
from daemon.stores.errors import (
    StoreCutError,
    StoreError,
    StoreFullError,
    StoreTroubleError,
    StoreUnreachableError,
)
from daemon.stores.streams import Block, blocks

A = TypeVar("A")

BLOCK = 2 * 2**20  # sent as many requests at once, so that a far host does not slow it
SYNC_SECONDS = 600.0  # a slow disk has all that it holds back to write
TRIES = 4
"""In a row, to bring one block to a host that cannot be reached; all of them take less than a copy waits for a store.
"""
PAUSES = Backoff(2.0, 15.0)
_NEW = asyncssh.FXF_WRITE | asyncssh.FXF_READ | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
_AGAIN = asyncssh.FXF_WRITE | asyncssh.FXF_READ


class Link(Protocol):
    """The connection to the host, as an upload uses it."""

    async def call(self, what: str, call: Callable[[SFTPClient], Awaitable[A]], seconds: float | None = None) -> A:
        """Return what a call returns that ends within its deadline; raises StoreError."""
        ...

    async def renew(self) -> None:
        """Let the next call make a new connection."""
        ...


class Upload:
    """What is written to the file at `path`, which must not exist. `what` says what cannot be done, if it cannot."""

    def __init__(self, link: Link, what: str, path: bytes, root: bytes, clock: Clock) -> None:
        self._link = link
        self._what = what
        self._path = path
        self._root = root
        self._clock = clock
        self._file: SFTPClientFile | None = None
        self._sha256 = hashlib.sha256()
        self._broke = False
        self.sent = 0

    async def send(self, content: AsyncIterable[bytes]) -> None:
        """Write all of it, and bring it to the host's disk; raises StoreError."""
        await self._open(_NEW)
        try:
            async for block in blocks(content, BLOCK):
                await self._persist(partial(self._write, block))
                self._sha256.update(block)
                self.sent += len(block)
            await self._persist(self._sync)
            if self._broke:
                await self._persist(self._compare)
        finally:
            await self._close()

    async def _open(self, flags: int) -> None:
        attrs = SFTPAttrs(permissions=FILE_MODE)
        self._file = await self._link.call(self._what, lambda sftp: sftp.open(self._path, flags, attrs, encoding=None))

    async def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(StoreError):
                await self._link.call(self._what, lambda _: file.close())

    async def _persist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step that may be done twice; where the connection breaks, again over a new one."""
        tries = 0
        while True:
            try:
                if self._file is None:
                    await self._resume()
                return await step()
            except StoreUnreachableError:
                tries += 1
                if tries >= TRIES:
                    raise
                self._file, self._broke = None, True  # a handle of a connection that is gone cannot be closed
                await self._link.renew()
                await self._clock.sleep(PAUSES.pause(tries))

    async def _resume(self) -> None:
        """Open the file again; raises StoreCutError if it does not have what the host confirmed."""
        await self._open(_AGAIN)
        attrs = await self._link.call(self._what, lambda sftp: sftp.lstat(self._path))
        if (attrs.size or 0) < self.sent:
            raise StoreCutError(f"{self._what}: the host has lost some of what it was sent")

    async def _write(self, block: Block) -> None:
        file, offset = self._opened, self.sent
        try:
            await self._link.call(self._what, lambda _: file.write(bytes(block), offset))
        except StoreTroubleError:  # all that OpenSSH says of a full disk
            if await self._is_full():
                failure = StoreFullError(f"{self._what}: the host has no room left")
                raise failure from None
            raise

    @property
    def _opened(self) -> SFTPClientFile:
        assert self._file is not None  # noqa: S101 — the callers have opened it
        return self._file

    async def _sync(self) -> None:
        with suppress(StoreTroubleError):  # a server that cannot bring it to the disk on demand
            await self._link.call(self._what, lambda _: self._opened.fsync(), SYNC_SECONDS)

    async def _compare(self) -> None:
        """Read the file back; raises StoreCutError unless it is what was sent."""
        sha256, come = hashlib.sha256(), 0
        while come < self.sent:
            size, offset = min(BLOCK, self.sent - come), come
            piece = await self._link.call(self._what, partial(read_at, self._opened, size, offset))
            if not piece:
                break
            sha256.update(piece)
            come += len(piece)
        if sha256.digest() != self._sha256.digest():
            raise StoreCutError(f"{self._what}: after the connection broke, the host has something else than was sent")

    async def _is_full(self) -> bool:
        with suppress(StoreError):
            room = await self._link.call("its room", lambda sftp: sftp.statvfs(self._root))
            return room.bavail * room.frsize < BLOCK
        return False


async def read_at(file: SFTPClientFile, size: int, offset: int, _: SFTPClient) -> bytes:
    """Return at most `size` bytes from the offset on; none at the end of the file."""
    return cast("bytes", await file.read(size, offset))  # it was opened without an encoding
