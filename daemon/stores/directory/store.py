"""The engine for a folder: the contract, over blocking calls in threads, each with a deadline."""

import fcntl
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from daemon.stores.base import Capability, Details, Entry, Traits, Unfinished
from daemon.stores.directory.part import Part
from daemon.stores.directory.reader import Reader, refuse_no_file
from daemon.stores.directory.tree import files_below, opened
from daemon.stores.directory.trouble import translated
from daemon.stores.errors import (
    StoreCutError,
    StoreError,
    StoreFullError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
    StoreUnusableError,
)
from daemon.stores.keys import check_folder, check_key, is_key
from daemon.stores.parts import begun_name, read_part
from daemon.stores.streams import RateLimit, at_least, exactly
from daemon.stores.threads import StoreThreads

BLOCK = 2**20
CALL_SECONDS = 60.0
SYNC_SECONDS = 600.0  # a slow disk has all that it holds back to write
LIST_SECONDS = 600.0
_OF_THE_FOLDER = (StoreUnreachableError, StoreTroubleError, StoreFullError, StorePermissionError, StoreRefusedError)
NO_LOCKS = "a folder's files can be deleted by anybody who may write to it"

P = ParamSpec("P")
T = TypeVar("T")


class DirectoryStore:
    """A store in a folder."""

    def __init__(self, name: str, root: Path, limit: RateLimit) -> None:
        self._root = root
        self._limit = limit
        self._threads = StoreThreads(name)
        self._configured = f"stores.{name}.url is {root.as_uri()}"

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """A folder has no locks."""
        return {Capability.LOCK: NO_LOCKS}

    async def put(
        self,
        key: str,
        content: AsyncIterable[bytes],
        *,
        size: int | None = None,
        at_most: int | None = None,  # noqa: ARG002 — a file grows as it must
        lock_until: datetime | None = None,
    ) -> Entry:
        """Write NAME.….part, and give it its name when all of it is on the disk."""
        check_key(key)
        if lock_until is not None:
            raise StoreUnusableError(f"{key} cannot be locked: {NO_LOCKS}")
        part = Part(self._root, key)
        try:
            return await self._write(key, part, exactly(self._limit.over(content), size))
        except BaseException:
            with suppress(StoreError):  # the first error is the one to tell
                await self._discard(key, part)
            raise

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Read the file, a block at a time."""
        reader = Reader(self._root, check_key(key))
        try:
            size = await self._call(CALL_SECONDS, f"{key} cannot be read", reader.open)
            async for piece in self._limit.over(self._pieces(key, reader, start, size if end is None else end)):
                yield piece
        finally:
            await self._call(CALL_SECONDS, f"{key} cannot be closed", reader.close)

    async def list_all(self, folder: str = "") -> list[Entry]:
        """Walk the folder."""
        return await self._call(LIST_SECONDS, f"{self._root} cannot be listed", self._entries, check_folder(folder))

    async def head(self, key: str) -> Details:
        """Look at the file."""
        status = await self._call(CALL_SECONDS, f"{key} cannot be looked at", self._status, check_key(key))
        return Details(_entry(key, status))

    async def delete(self, key: str) -> None:
        """Remove the file; its folders stay, since somebody may be about to write to them."""
        await self._call(CALL_SECONDS, f"{key} cannot be deleted", self._delete, check_key(key))

    async def unfinished(self, folder: str = "") -> list[Unfinished]:
        """Walk the folder for names that mark what is unfinished."""
        return await self._call(LIST_SECONDS, f"{self._root} cannot be listed", self._parts, check_folder(folder))

    async def clear(self, begun: Unfinished) -> bool:
        """Remove the file, unless its lock says that it is being written, or it was since."""
        return await self._call(CALL_SECONDS, f"the unfinished {begun.key} cannot be removed", self._clear, begun)

    async def lock(self, key: str, until: datetime) -> None:
        """Refuse: a folder has no locks."""
        raise StoreUnusableError(f"{check_key(key)} cannot be locked until {until}: {NO_LOCKS}")

    async def traits(self) -> Traits:
        """Return what holds for every folder."""
        return Traits(versioned=False, lockable=False)

    async def aclose(self) -> None:
        """Take no further call."""
        self._threads.close()

    async def _call(self, seconds: float, what: str, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with translated(what):
                return await self._threads.run(seconds, call, *args, **kwargs)
        except _OF_THE_FOLDER as error:
            error.hint += f"; {self._configured}"
            raise

    async def _write(self, key: str, part: Part, content: AsyncIterable[bytes]) -> Entry:
        await self._call(CALL_SECONDS, f"{key} cannot be written", part.open)
        async for block in at_least(content, BLOCK):
            await self._call(CALL_SECONDS, f"{key} cannot be written", part.write, block)
        return _entry(key, await self._call(SYNC_SECONDS, f"{key} cannot be written to the disk", part.publish))

    async def _discard(self, key: str, part: Part) -> None:
        await self._call(CALL_SECONDS, f"the unfinished {key} cannot be removed", part.discard)

    async def _pieces(self, key: str, reader: Reader, start: int, end: int) -> AsyncGenerator[bytes, None]:
        while start < end:
            piece = await self._call(CALL_SECONDS, f"{key} cannot be read", reader.read, start, min(BLOCK, end - start))
            if not piece:
                raise StoreCutError(f"{key} ends {end - start} bytes before it should")
            yield piece
            start += len(piece)

    # These block, and run in a thread.

    def _entries(self, folder: str) -> list[Entry]:
        found = (_entry(path, status) for path, status in files_below(self._root, folder) if is_key(path))
        return sorted(found, key=lambda entry: entry.key)

    def _parts(self, folder: str) -> list[Unfinished]:
        found = ((read_part(path), status) for path, status in files_below(self._root, folder))
        return [Unfinished(*part, status.st_size, _modified(status)) for part, status in found if part]

    def _status(self, key: str) -> os.stat_result:
        *folders, name = key.split("/")
        with opened(self._root, folders) as folder:
            return refuse_no_file(os.stat(name, dir_fd=folder, follow_symlinks=False))

    def _delete(self, key: str) -> None:
        *folders, name = key.split("/")
        with suppress(FileNotFoundError), opened(self._root, folders) as folder:
            os.unlink(name, dir_fd=folder)
            os.fsync(folder)

    def _clear(self, begun: Unfinished) -> bool:
        *folders, name = begun_name(begun).split("/")
        with suppress(FileNotFoundError, BlockingIOError), opened(self._root, folders) as folder:
            file = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            try:
                return _removed(folder, name, file, begun)
            finally:
                os.close(file)
        return False


def _removed(folder: int, name: str, file: int, begun: Unfinished) -> bool:
    """Remove an open file that nobody writes to, and that is as it was; raises BlockingIOError if somebody does."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass  # a file system without locks has no say
    status = os.fstat(file)
    if (status.st_size, _modified(status)) != (begun.size, begun.changed):
        return False
    os.unlink(name, dir_fd=folder)
    return True


def _entry(key: str, status: os.stat_result) -> Entry:
    return Entry(key, status.st_size, _modified(status))


def _modified(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(status.st_mtime, UTC)
